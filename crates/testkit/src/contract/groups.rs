//! Groups: sharing partitions, remembering positions.
//!
//! Owns: these behaviours. Does not own: reading without a group ([`super::records`]).

use super::{Backend, Transcript};
use crate::wait::{self, within};
use expect_test::expect;
use std::collections::BTreeSet;
use std::time::Duration;
use systole_client::consumer::Assignment;
use systole_client::{Consumer, Event, GroupOptions, NewRecord, Offset, TopicPartition};
use systole_client::{Error, Record};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub async fn a_group_goes_on_where_it_committed(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("resume", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let new = |it: i32| NewRecord::to(&*topic).value(it.to_string());
    at.write((0..10).map(new).collect()).await;
    let options = GroupOptions::new(at.name("resume"));
    for round in ["first", "second", "third"] {
        let mut member = at.client.join(&[&topic], &options).expect("a member");
        let records = read(&mut *member, 1).await;
        log.line(format_args!("{round} begins at {}", records[0].offset));
        let before = within("commits", member.committed(std::slice::from_ref(&partition))).await;
        log.result("  committed", before.map(|it| it[0].1.map(Offset::get)));
        let position = Offset::new(records[0].offset.get() + 4).expect("not negative");
        let commit = [(partition.clone(), position)];
        log.result("  commit", within("the commit", member.commit(&commit)).await);
        within("an end", member.close()).await.expect("an orderly end");
    }
    log.is(&expect![[r#"
        first begins at 0
          committed: None
          commit: ()
        second begins at 4
          committed: Some(4)
          commit: ()
        third begins at 8
          committed: Some(8)
          commit: ()
    "#]]);
}

pub async fn a_second_member_takes_over_some_partitions(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("share", 4).await;
    let options = GroupOptions::new(at.name("share"));
    let mut first = Member::start(at, &topic, &options);
    log.line(format_args!("first alone: {}", first.assigned(4).await));
    let mut second = Member::start(at, &topic, &options);
    let taken = second.assigned(2).await;
    log.line(format_args!("second: {taken}"));
    log.line(format_args!("first with second: {}", first.assigned(2).await));
    // Cooperative: what did not move was never taken away.
    log.line(format_args!("first gave up: {}", first.revoked.len()));
    write_numbers(at, &topic, 400).await;
    let mut seen = first.values().await;
    seen.extend(second.values().await);
    while seen.len() < 400 {
        seen.extend(first.values().await);
        seen.extend(second.values().await);
    }
    let different: BTreeSet<_> = seen.iter().collect();
    log.line(format_args!("read: {}, different: {}", seen.len(), different.len()));
    second.stop().await;
    log.line(format_args!("first without second: {}", first.assigned(4).await));
    first.stop().await;
    log.is(&expect![[r#"
        first alone: 4
        second: 2
        first with second: 2
        first gave up: 2
        read: 400, different: 400
        first without second: 4
    "#]]);
}

pub async fn an_eager_group_gives_up_everything_first(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("eager", 4).await;
    let options =
        GroupOptions { assignment: Assignment::Eager, ..GroupOptions::new(at.name("eager")) };
    let mut first = Member::start(at, &topic, &options);
    log.line(format_args!("first alone: {}", first.assigned(4).await));
    let mut second = Member::start(at, &topic, &options);
    log.line(format_args!("second: {}", second.assigned(2).await));
    log.line(format_args!("first with second: {}", first.assigned(2).await));
    log.line(format_args!("first gave up: {}", first.revoked.len()));
    first.stop().await;
    log.line(format_args!("second without first: {}", second.assigned(4).await));
    second.stop().await;
    log.is(&expect![[r#"
        first alone: 4
        second: 2
        first with second: 2
        first gave up: 4
        second without first: 4
    "#]]);
}

pub async fn a_static_member_comes_back_to_its_partitions(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("static", 4).await;
    let of = |instance: &str| GroupOptions {
        instance: Some(instance.to_owned()),
        ..GroupOptions::new(at.name("static"))
    };
    let mut first = Member::start(at, &topic, &of("a"));
    first.assigned(4).await;
    let mut second = Member::start(at, &topic, &of("b"));
    second.assigned(2).await;
    first.assigned(2).await;
    let (before, revoked) = (second.owned.clone(), first.revoked.len());
    second.stop().await;
    let mut second = Member::start(at, &topic, &of("b"));
    second.assigned(2).await;
    log.line(format_args!("second has the same again: {}", second.owned == before));
    log.line(format_args!("first lost something: {}", first.revoked.len() > revoked));
    first.stop().await;
    second.stop().await;
    log.is(&expect![[r#"
        second has the same again: true
        first lost something: false
    "#]]);
}

pub async fn a_group_is_shown_changed_and_deleted(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let topic = at.topic("shown", 2).await;
    let group = at.name("shown");
    let partitions = [TopicPartition::new(&*topic, 0), TopicPartition::new(&*topic, 1)];
    let mut member = Member::start(at, &topic, &GroupOptions::new(&*group));
    member.assigned(2).await;
    let shown = wait::until("a stable group", async || {
        admin.group(&group).await.ok().filter(|it| it.state == "Stable")
    })
    .await;
    log.line(format_args!("{} by {}", shown.protocol_type, shown.protocol));
    let of = &shown.members[0];
    let numbers: Vec<_> = of.assigned.iter().map(|it| it.partition).collect();
    log.line(format_args!("member {} on {:?}: {numbers:?}", of.client_id, of.host));
    let listed = admin.groups().await.map(|it| it.iter().any(|it| it.name == group));
    log.result("listed", listed);
    let three = Offset::new(3).expect("not negative");
    let to = [(partitions[0].clone(), three)];
    log.result("change with a member", admin.set_group_offsets(&group, &to).await);
    log.result("delete with a member", admin.delete_group(&group).await);
    member.stop().await;
    log.result("change", admin.set_group_offsets(&group, &to).await);
    let offsets = admin.group_offsets(&group, &partitions).await;
    let offsets = offsets.map(|it| it.iter().map(|it| it.1.map(Offset::get)).collect::<Vec<_>>());
    log.result("offsets", offsets);
    log.result("state", admin.group(&group).await.map(|it| it.state));
    log.result("delete", admin.delete_group(&group).await);
    log.result("delete again", admin.delete_group(&group).await);
    log.result("state", admin.group(&group).await.map(|it| it.state));
    log.is(&expect![[r#"
        consumer by cooperative-sticky
        member systole on Some(127.0.0.1): [0, 1]
        listed: true
        change with a member: error GroupChanged
        delete with a member: error GroupInUse
        change: ()
        offsets: [Some(3), None]
        state: "Empty"
        delete: ()
        delete again: error UnknownGroup
        state: error UnknownGroup
    "#]]);
}

async fn write_numbers(at: &Backend, topic: &str, count: i32) {
    let new = |it: i32| NewRecord::to(topic).partition(it % 4).value(it.to_string());
    at.write((0..count).map(new).collect()).await;
}

async fn read(member: &mut dyn Consumer, at_least: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < at_least {
        if let Event::Records(more) = within("records", member.next()).await.expect("a member") {
            records.extend(more);
        }
    }
    records
}

/// A member of a group that runs by itself and says what happened.
struct Member {
    events: mpsc::UnboundedReceiver<Result<Event, Error>>,
    stop: mpsc::Sender<()>,
    task: JoinHandle<()>,
    owned: BTreeSet<i32>,
    revoked: Vec<i32>,
    unread: Vec<String>,
}

impl Member {
    fn start(at: &Backend, topic: &str, options: &GroupOptions) -> Self {
        let mut consumer = at.client.join(&[topic], options).expect("a member");
        let (told, events) = mpsc::unbounded_channel();
        let (stop, mut stopped) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stopped.recv() => break,
                    event = consumer.next() => drop(told.send(event)),
                }
            }
            within("an end", consumer.close()).await.expect("an orderly end");
        });
        let (owned, revoked, unread) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { events, stop, task, owned, revoked, unread }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Records(records) => {
                let text =
                    |it: &Record| Some(String::from_utf8_lossy(it.value.as_ref()?).into_owned());
                self.unread.extend(records.iter().filter_map(text));
            }
            Event::Assigned(more) => self.owned.extend(more.iter().map(|it| it.partition)),
            Event::Revoked(gone) | Event::Lost(gone) => {
                for it in gone {
                    self.owned.remove(&it.partition);
                    self.revoked.push(it.partition);
                }
            }
            Event::Ended(..) => {}
        }
    }

    /// Waits until the member owns so many partitions.
    async fn assigned(&mut self, count: usize) -> usize {
        while self.owned.len() != count {
            let event = within("a rebalance", self.events.recv()).await.expect("it runs");
            self.note(event.expect("a member"));
        }
        self.owned.len()
    }

    /// The values that came since the last call; waits a moment for some.
    async fn values(&mut self) -> Vec<String> {
        let moment = tokio::time::timeout(Duration::from_millis(50), self.events.recv()).await;
        if let Ok(Some(event)) = moment {
            self.note(event.expect("a member"));
        }
        std::mem::take(&mut self.unread)
    }

    async fn stop(self) {
        // An error means that the task has ended already, and joining it says why.
        let _ = self.stop.send(()).await;
        self.task.await.expect("an orderly end");
    }
}

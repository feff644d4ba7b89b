//! Reads what flows, as any Kafka client would, and notes it on the board.
//!
//! Owns: noticing new topics. Does not own: what is noted (`board`).

use super::board::Board;
use crate::context::Context;
use crate::stop::Stop;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use systole_client::consumer::Reset;
use systole_client::{Admin, Client, Consumer, DirectOptions, Error, Event, Start, TopicPartition};
use systole_world::{ClockExt as _, World};
use tokio::task::JoinHandle;

/// How often new topics are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

struct Follower {
    client: Arc<dyn Client>,
    board: Arc<Mutex<Board>>,
    world: World,
    stop: Stop,
}

/// Follows every topic that is not internal, until asked to stop.
pub(crate) fn start(
    client: Arc<dyn Client>,
    (board, cx): (Arc<Mutex<Board>>, &Context),
) -> JoinHandle<()> {
    let (world, stop) = (cx.world.clone(), cx.stop.clone());
    let follower = Follower { client, board, world, stop };
    tokio::spawn(async move {
        if let Err(error) = follower.follow().await {
            let mut board = follower.board.lock().unwrap_or_else(PoisonError::into_inner);
            board.trouble = Some(error.to_string());
        }
    })
}

impl Follower {
    async fn follow(&self) -> Result<(), Error> {
        let admin = self.client.admin()?;
        let admin = admin.as_ref();
        let mut from: Vec<(TopicPartition, Start)> = Vec::new();
        while !self.stop.is_asked() {
            let known = from.iter().map(|(it, _)| it.clone()).collect();
            let new = partitions(admin).await?.difference(&known).cloned().collect::<Vec<_>>();
            from.extend(new.into_iter().map(|it| (it, Start::Beginning)));
            if from.is_empty() {
                self.world.clock.sleep(LOOK_EVERY).await;
            } else {
                from = self.read(from, admin).await?;
            }
        }
        Ok(())
    }
    /// Reads until there is something new to read, and gives where to go on.
    async fn read(
        &self,
        from: Vec<(TopicPartition, Start)>,
        admin: &dyn Admin,
    ) -> Result<Vec<(TopicPartition, Start)>, Error> {
        let options = DirectOptions { reset: Reset::Earliest, ..DirectOptions::default() };
        let mut reader = self.client.read(from.clone(), &options).await?;
        let known: BTreeSet<_> = from.iter().map(|(it, _)| it.clone()).collect();
        while !self.stop.is_asked() && partitions(admin).await? == known {
            let look_again = self.world.clock.sleep(LOOK_EVERY);
            tokio::select! {
                read = self.note_all(reader.as_mut()) => return Err(read),
                () = look_again => {}
                () = self.stop.asked() => {}
            }
        }
        let mut next: std::collections::BTreeMap<_, _> = from.into_iter().collect();
        next.extend(reader.position().into_iter().map(|(it, offset)| (it, Start::At(offset))));
        reader.close().await?;
        Ok(next.into_iter().collect())
    }
    /// Notes records until there is an error that waiting does not mend.
    async fn note_all(&self, reader: &mut dyn Consumer) -> Error {
        loop {
            match reader.next().await {
                Ok(Event::Records(records)) => {
                    let now = self.world.clock.instant();
                    let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
                    for it in &records {
                        board.note(it, now);
                    }
                }
                Ok(_) => {}
                Err(error) if error.class() == systole_client::Class::Retry => {
                    tracing::debug!(code = %error.code(), %error, "reading goes on");
                }
                Err(error) => return error,
            }
        }
    }
}

/// Those of all topics that are not internal.
async fn partitions(admin: &dyn Admin) -> Result<BTreeSet<TopicPartition>, Error> {
    let cluster = admin.cluster(None).await?;
    let shown = cluster.topics.iter().filter(|it| !it.name.starts_with('_'));
    Ok(shown.flat_map(systole_client::admin::Topic::topic_partitions).collect())
}

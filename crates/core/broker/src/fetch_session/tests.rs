//! Sessions driven by hand: epochs, news, and who gives way.

use super::*;
use bytes::Bytes;

fn wanted(topic: &str, partition: i32) -> Wanted {
    Wanted {
        topic: TopicRef::Name(topic.into()),
        partition,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        fetch_offset: 0,
        bytes_max: 1000,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn answer(topic: &str, partition: i32, high_watermark: i64, records: &'static [u8]) -> Answer {
    let data = PartitionData {
        partition_index: partition,
        high_watermark,
        log_start_offset: 0,
        records: Some(Bytes::from_static(records)),
        ..PartitionData::default()
    };
    Answer { topic: TopicRef::Name(topic.into()), data }
}

/// Sessions and a counter that stands in for randomness.
#[derive(Default)]
struct Node {
    sessions: FetchSessions,
    drawn: i32,
}

impl Node {
    fn begin(&self, session_id: i32, epoch: i32, wanted: Vec<Wanted>) -> Result<Turn, ErrorCode> {
        self.begin_at(at(0), session_id, epoch, wanted)
    }
    fn begin_at(
        &self,
        at: Instant,
        session_id: i32,
        epoch: i32,
        wanted: Vec<Wanted>,
    ) -> Result<Turn, ErrorCode> {
        let forgotten = Vec::new();
        self.sessions.begin(Ask { session_id, epoch, by_id: false, wanted, forgotten, at })
    }
    fn end_at(
        &mut self,
        at: Instant,
        turn: &Turn,
        mut answers: Vec<Answer>,
    ) -> (Result<i32, ErrorCode>, Vec<i32>) {
        let drawn = &mut self.drawn;
        let id = self.sessions.end(turn, &mut answers, at, || {
            *drawn += 1;
            *drawn
        });
        (id, answers.iter().map(|it| it.data.partition_index).collect())
    }
    fn end(&mut self, turn: &Turn, answers: Vec<Answer>) -> (Result<i32, ErrorCode>, Vec<i32>) {
        self.end_at(at(0), turn, answers)
    }
    /// A new session over `partitions` partitions, all empty.
    fn open_at(&mut self, when: Instant, partitions: i32) -> i32 {
        let list = (0..partitions).map(|it| wanted("t", it)).collect();
        let turn = self.begin_at(when, 0, EPOCH_FULL, list).unwrap();
        let answers = (0..partitions).map(|it| answer("t", it, 0, b"")).collect();
        self.end_at(when, &turn, answers).0.unwrap()
    }
}

fn read_order(turn: &Turn) -> Vec<i32> {
    turn.wanted.iter().map(|it| it.partition).collect()
}

#[test]
fn only_news_is_told_in_a_session() {
    let mut node = Node::default();
    let id = node.open_at(at(0), 3);
    assert_eq!(id, 1);
    let turn = node.begin(id, 1, vec![]).unwrap();
    assert_eq!(read_order(&turn), [0, 1, 2]);
    let told = node.end(&turn, (0..3).map(|it| answer("t", it, 0, b"")).collect());
    assert_eq!(told, (Ok(id), vec![]));

    let turn = node.begin(id, 2, vec![]).unwrap();
    let answers = vec![answer("t", 0, 0, b""), answer("t", 1, 5, b"abc"), answer("t", 2, 1, b"")];
    assert_eq!(node.end(&turn, answers), (Ok(id), vec![1, 2]));
    // Who got records is read last the next time.
    assert_eq!(read_order(&node.begin(id, 3, vec![]).unwrap()), [0, 2, 1]);
}

#[test]
fn an_error_is_told_again_until_it_is_gone() {
    let mut node = Node::default();
    let id = node.open_at(at(0), 1);
    let failed = || {
        let mut it = answer("t", 0, -1, b"");
        it.data.error_code = ErrorCode::OffsetOutOfRange.number();
        it
    };
    for epoch in 1..3 {
        let turn = node.begin(id, epoch, vec![]).unwrap();
        assert_eq!(node.end(&turn, vec![failed()]).1, [0]);
    }
    let turn = node.begin(id, 3, vec![]).unwrap();
    assert_eq!(node.end(&turn, vec![answer("t", 0, 0, b"")]).1, [0]);
    let turn = node.begin(id, 4, vec![]).unwrap();
    assert_eq!(node.end(&turn, vec![answer("t", 0, 0, b"")]).1, [0; 0]);
}

#[test]
fn a_session_grows_changes_and_forgets() {
    let mut node = Node::default();
    let id = node.open_at(at(0), 2);
    let moved = Wanted { fetch_offset: 7, ..wanted("t", 1) };
    let forgotten = vec![(TopicRef::Name("t".into()), 0)];
    let list = vec![moved.clone(), wanted("u", 4)];
    let ask = Ask { session_id: id, epoch: 1, by_id: false, wanted: list, forgotten, at: at(0) };
    let turn = node.sessions.begin(ask).unwrap();
    assert_eq!(*turn.wanted, [moved, wanted("u", 4)]);

    let forgotten = vec![(TopicRef::Name("t".into()), 1), (TopicRef::Name("u".into()), 4)];
    let ask = Ask { session_id: id, epoch: 2, by_id: false, wanted: vec![], forgotten, at: at(0) };
    let turn = node.sessions.begin(ask).unwrap();
    assert_eq!(node.end(&turn, vec![]), (Ok(0), vec![]));
    assert_eq!(node.begin(id, 3, vec![]).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn wrong_ids_and_epochs_have_their_codes() {
    let mut node = Node::default();
    let id = node.open_at(at(0), 1);
    let refused = |node: &Node, id, epoch| node.begin(id, epoch, vec![]).unwrap_err();
    assert_eq!(refused(&node, 4711, 1), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(refused(&node, 0, -2), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(refused(&node, id, 2), ErrorCode::InvalidFetchSessionEpoch);
    let ask = |by_id| Ask {
        session_id: id,
        epoch: 1,
        by_id,
        wanted: vec![],
        forgotten: vec![],
        at: at(0),
    };
    assert_eq!(node.sessions.begin(ask(true)).unwrap_err(), ErrorCode::FetchSessionTopicIdError);
    let turn = node.sessions.begin(ask(false)).unwrap();
    assert_eq!(refused(&node, id, 1), ErrorCode::InvalidFetchSessionEpoch);
    // A later request overtook: its answer counts, this one's does not.
    let later = node.begin(id, 2, vec![]).unwrap();
    assert_eq!(node.end(&turn, vec![]).0, Err(ErrorCode::InvalidFetchSessionEpoch));
    assert_eq!(node.end(&later, vec![]).0, Ok(id));
}

#[test]
fn a_full_request_ends_the_session_that_it_names() {
    let mut node = Node::default();
    let id = node.open_at(at(0), 1);
    node.begin(id, EPOCH_NONE, vec![wanted("t", 0)]).unwrap();
    assert_eq!(node.begin(id, 1, vec![]).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn when_all_places_are_taken_the_stale_and_then_the_small_give_way() {
    let mut node = Node::default();
    let ids: Vec<_> = (0..SESSIONS_MAX).map(|_| node.open_at(at(0), 2)).collect();
    assert_eq!(node.open_at(at(1), 9), 0, "all are young");

    let later = at(1 + UNUSED_MAX.as_secs());
    for id in ids.iter().skip(1) {
        node.begin_at(later, *id, 1, vec![]).unwrap();
    }
    assert_ne!(node.open_at(later, 1), 0, "the one that was not used goes");
    assert_eq!(node.begin(ids[0], 1, vec![]).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(node.open_at(later, 2), 0, "nobody is stale and nobody smaller has had its time");
    assert_ne!(node.open_at(later, 3), 0, "a larger one beats a smaller one that had its time");
    assert_eq!(node.sessions.lock().sessions.len(), SESSIONS_MAX);
}

#[test]
fn too_many_partitions_are_served_without_a_session() {
    let mut node = Node::default();
    let many = i32::try_from(PARTITIONS_MAX).unwrap();
    let id = node.open_at(at(0), many);
    assert_eq!((id, node.open_at(at(0), 1)), (1, 0));
    let grown = node.begin(id, 1, vec![wanted("u", 0)]);
    assert_eq!(grown.unwrap_err(), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(node.sessions.lock().partitions, 0);
}

//! Where a follower begins, and what is said when it cannot go on where it was.
//!
//! Owns: turning a wish or a cursor into positions, and finding gaps. Does not own: reading on
//! ([`crate::watch`]).

use crate::cursor::{Cursor, Position, Scope};
use crate::error::{Error, from_client};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use systole_client::consumer::Fetch;
use systole_client::{Admin, Client, DirectOptions, Event, Offset, Start, TopicPartition};
use systole_kit::{ByteSize, Timestamp};
use systole_world::{Clock, ClockExt as _};

/// How long the records before a cursor may take to be looked at. If it is not enough, the cursor
/// is believed.
const LOOK_BACK_MAX: Duration = Duration::from_secs(5);
/// What is read ahead for it, in all partitions together.
const LOOK_BACK_BUFFER: ByteSize = ByteSize::kib(256);

/// What a follower wishes for.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Now,
    Earliest,
    Time(Timestamp),
    Resume(Cursor),
}

/// Where it will begin, and what it is told first.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) cursor: Cursor,
    pub(crate) report: Report,
}

/// Data of the first event of every stream, `event: position`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// `started`: where `from` said. `resumed`: nothing was missed. `gap`: something was, or may
    /// have been.
    outcome: &'static str,
    partitions: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap>,
}

#[derive(Debug, Serialize)]
struct Gap {
    partition: i32,
    /// `deleted`: records were deleted before they were read. `recreated`: it is not the topic that
    /// was read, and all of it follows. `another-cluster`: the same, of another cluster.
    reason: &'static str,
    /// How many offsets were skipped, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets_missed: Option<i64>,
}

pub(crate) struct Places<'a> {
    pub(crate) client: &'a dyn Client,
    pub(crate) admin: &'a dyn Admin,
    pub(crate) clock: &'a dyn Clock,
}

/// Asks the cluster where the topic begins and ends and decides.
pub(crate) async fn open(places: &Places<'_>, topic: &str, wish: Wish) -> Result<Opening, Error> {
    let cluster = places.admin.cluster(Some(topic)).await.map_err(from_client)?;
    let found = cluster.topics.iter().find(|it| it.name == topic).ok_or(Error::UnknownTopic)?;
    let partitions: Vec<_> = found.topic_partitions().collect();
    let scope = Scope::new(cluster.id.as_deref(), topic);
    let (positions, gaps, outcome) = match wish {
        Wish::Resume(cursor) => {
            let (positions, gaps) = resume(places, &partitions, scope, cursor).await?;
            let outcome = if gaps.is_empty() { "resumed" } else { "gap" };
            (positions, gaps, outcome)
        }
        Wish::Now => (ask(places, &partitions, Start::End).await?, Vec::new(), "started"),
        Wish::Earliest => {
            (ask(places, &partitions, Start::Beginning).await?, Vec::new(), "started")
        }
        Wish::Time(at) => (ask(places, &partitions, Start::Time(at)).await?, Vec::new(), "started"),
    };
    let report = Report { outcome, partitions: partitions.len(), gaps };
    Ok(Opening { cursor: Cursor { scope, positions }, report })
}

type Positions = BTreeMap<i32, Position>;

async fn ask(
    places: &Places<'_>,
    partitions: &[TopicPartition],
    start: Start,
) -> Result<Positions, Error> {
    let of: Vec<_> = partitions.iter().map(|it| (it.clone(), start)).collect();
    let offsets = places.admin.offsets(&of).await.map_err(from_client)?;
    let position = |next| Position { next, seen_at: None };
    Ok(offsets.into_iter().map(|(it, next)| (it.partition, position(next))).collect())
}

async fn resume(
    places: &Places<'_>,
    partitions: &[TopicPartition],
    scope: Scope,
    cursor: Cursor,
) -> Result<(Positions, Vec<Gap>), Error> {
    if !scope.is_topic_of(cursor.scope) {
        return Err(Error::Cursor("belongs to another topic"));
    }
    let mut positions = ask(places, partitions, Start::Beginning).await?;
    let gap = |partition, reason| Gap { partition, reason, offsets_missed: None };
    let whole = |reason| partitions.iter().map(|it| gap(it.partition, reason)).collect();
    if scope != cursor.scope {
        return Ok((positions, whole("another-cluster")));
    }
    if cursor.positions.keys().any(|it| !positions.contains_key(it)) {
        return Ok((positions, whole("recreated")));
    }
    let ends = ask(places, partitions, Start::End).await?;
    let (mut gaps, mut doubts) = (Vec::new(), Vec::new());
    for tp in partitions {
        let Some(beginning) = positions.get_mut(&tp.partition) else { continue };
        let end = ends.get(&tp.partition).map_or(Offset::ZERO, |it| it.next);
        let was = cursor.positions.get(&tp.partition).copied();
        // A partition that was added later is read from its beginning.
        let was = was.unwrap_or(Position { next: Offset::ZERO, seen_at: None });
        if was.next > end {
            gaps.push(gap(tp.partition, "recreated"));
        } else if was.next < beginning.next {
            let missed = Some(beginning.next.get() - was.next.get());
            gaps.push(Gap { offsets_missed: missed, ..gap(tp.partition, "deleted") });
        } else {
            let last = Offset::new(was.next.get() - 1).filter(|it| *it >= beginning.next);
            doubts.extend(last.zip(was.seen_at).map(|(at, time)| (tp.clone(), at, time)));
            *beginning = was;
        }
    }
    for tp in look_back(places, doubts).await? {
        let mut from = ask(places, std::slice::from_ref(&tp), Start::Beginning).await?;
        positions.append(&mut from);
        gaps.push(gap(tp.partition, "recreated"));
    }
    gaps.sort_by_key(|it| it.partition);
    Ok((positions, gaps))
}

/// Reads the records before the cursor again: a topic that was deleted and made anew may be as long
/// as the old one, but its records have other times. Gives the partitions where that is so.
async fn look_back(
    places: &Places<'_>,
    doubts: Vec<(TopicPartition, Offset, Timestamp)>,
) -> Result<Vec<TopicPartition>, Error> {
    if doubts.is_empty() {
        return Ok(Vec::new());
    }
    let from = doubts.iter().map(|(tp, at, _)| (tp.clone(), Start::At(*at))).collect();
    let fetch = Fetch { prefetch_max: LOOK_BACK_BUFFER, ..Fetch::default() };
    let options = DirectOptions { fetch, ..DirectOptions::default() };
    let mut consumer = places.client.read(from, &options).await.map_err(from_client)?;
    let mut open: BTreeMap<_, _> =
        doubts.into_iter().map(|(tp, at, time)| (tp, (at, time))).collect();
    let mut others = Vec::new();
    let look = async {
        while !open.is_empty() {
            match consumer.next().await.map_err(from_client)? {
                Event::Records(records) => {
                    for record in records {
                        let tp = record.topic_partition();
                        // Another offset: the record was compacted away, and nothing is known.
                        if let Some((at, time)) = open.remove(&tp) {
                            let is_same = record.timestamp.map(|(it, _)| it) == Some(time);
                            consumer.pause(std::slice::from_ref(&tp)).map_err(from_client)?;
                            if record.offset == at && !is_same {
                                others.push(tp);
                            }
                        }
                    }
                }
                Event::Ended(tp, _) => {
                    open.remove(&tp);
                }
                _ => {}
            }
        }
        Ok::<_, Error>(())
    };
    let looked = places.clock.timeout(LOOK_BACK_MAX, look).await;
    consumer.close().await.map_err(from_client)?;
    looked.unwrap_or(Ok(()))?;
    Ok(others)
}

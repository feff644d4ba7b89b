//! librdkafka's list of partitions, to and from our values.
//!
//! Owns: the conversion, and asking what a [`Start`] means now. Does not own: when to ask.

use super::{ANSWER_TIMEOUT, failure};
use crate::{Error, Kind, Offset, Start, TopicPartition};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn of_partitions<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for it in partitions {
        list.add_partition(&it.topic, it.partition);
    }
    list
}

pub(super) fn of_offsets(
    positions: &[(TopicPartition, Offset)],
) -> Result<TopicPartitionList, Error> {
    let raw = positions.iter().map(|(at, offset)| (at, rdkafka::Offset::Offset(offset.get())));
    build(raw)
}

fn build<'a>(
    of: impl Iterator<Item = (&'a TopicPartition, rdkafka::Offset)>,
) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    for (at, offset) in of {
        list.add_partition_offset(&at.topic, at.partition, offset)
            .map_err(|it| failure::of(&it).about(at.to_string()))?;
    }
    Ok(list)
}

pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    elements.iter().map(|it| TopicPartition::new(it.topic(), it.partition())).collect()
}

/// Each partition with its offset, `None` where there is none. An error of one is an error of all.
pub(super) fn offsets(
    list: &TopicPartitionList,
) -> Result<Vec<(TopicPartition, Option<Offset>)>, Error> {
    let elements = list.elements();
    let one = |it: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let at = TopicPartition::new(it.topic(), it.partition());
        it.error().map_err(|error| failure::of(&error).about(at.to_string()))?;
        let offset = match it.offset() {
            rdkafka::Offset::Offset(raw) => Offset::new(raw),
            _ => None,
        };
        Ok((at, offset))
    };
    elements.iter().map(one).collect()
}

/// Of the lines that librdkafka has to say, so many are served at once. Empty polls are cheap.
const LINES_MAX: usize = 100;

/// Serves what librdkafka has to say to a consumer that nobody reads from: log lines, and the
/// question for a first token, without which every other question would wait in vain.
pub(super) fn serve<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    for _ in 0..LINES_MAX {
        // Nothing is assigned, so what comes is no record; `None` may be a line that was served.
        drop(consumer.poll(Duration::ZERO));
    }
}

/// The offsets that these starts mean now, in their order. Blocks.
pub(super) fn resolve<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: &[(TopicPartition, Start)],
) -> Result<Vec<(TopicPartition, Offset)>, Error> {
    // ListOffsets takes -1 and -2 for the end and the beginning in place of a time, which are
    // librdkafka's own values for these two words.
    let question = |start: Start| match start {
        Start::At(_) => None,
        Start::Beginning => Some(rdkafka::Offset::Beginning),
        Start::End => Some(rdkafka::Offset::End),
        Start::Time(at) => Some(rdkafka::Offset::Offset(at.as_millis().max(0))),
    };
    let first = ask(consumer, of.iter().filter_map(|(at, it)| Some((at, question(*it)?))))?;
    let late = |at: &TopicPartition| first.get(at).is_some_and(Option::is_none);
    let later = of.iter().filter(|(at, _)| late(at));
    let end = ask(consumer, later.map(|(at, _)| (at, rdkafka::Offset::End)))?;
    let answer = |(at, start): &(TopicPartition, Start)| {
        let offset = match start {
            Start::At(offset) => Some(*offset),
            _ => first.get(at).copied().flatten().or_else(|| end.get(at).copied().flatten()),
        };
        let offset = offset.ok_or_else(|| Error::new(Kind::Other).about(at.to_string()))?;
        Ok((at.clone(), offset))
    };
    of.iter().map(answer).collect()
}

fn ask<'a, C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: impl Iterator<Item = (&'a TopicPartition, rdkafka::Offset)>,
) -> Result<HashMap<TopicPartition, Option<Offset>>, Error> {
    let list = build(of)?;
    if list.count() == 0 {
        return Ok(HashMap::new());
    }
    let list = consumer
        .offsets_for_times(list, ANSWER_TIMEOUT)
        .map_err(|it| failure::of(&it).about("list offsets"))?;
    Ok(offsets(&list)?.into_iter().collect())
}

/// Few different texts, many times: topics and header names.
#[derive(Default)]
pub(super) struct Words {
    known: HashMap<Box<str>, Arc<str>>,
}

impl Words {
    /// Past so many different words the memory is cleared, so that it cannot grow without limit.
    const MAX: usize = 1024;

    pub(super) fn get(&mut self, word: &str) -> Arc<str> {
        if let Some(it) = self.known.get(word) {
            return it.clone();
        }
        if self.known.len() >= Self::MAX {
            self.known.clear();
        }
        let shared: Arc<str> = word.into();
        self.known.insert(word.into(), shared.clone());
        shared
    }
}

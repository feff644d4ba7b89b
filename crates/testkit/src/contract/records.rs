//! Records: written, kept, found again.
//!
//! Owns: these behaviours. Does not own: sharing partitions ([`super::groups`]).

use super::{Backend, Transcript, send, text, to_the_end};
use crate::real_kafka::Ends;
use crate::wait::{until, within};
use crate::{Cable, Ledger};
use expect_test::expect;
use std::collections::BTreeMap;
use std::time::Duration;
use systole_client::admin::NewTopic;
use systole_client::{Codec, Event, NewRecord, Offset, ProducerExt as _};
use systole_client::{ProducerOptions, Start, TopicPartition};
use systole_kit::{ByteSize, Timestamp};

pub async fn every_codec_brings_back_what_was_sent(at: &Backend) {
    let mut log = Transcript::default();
    for codec in Codec::ALL {
        let topic = at.topic(codec.name(), 1).await;
        let options = ProducerOptions { codec, ..ProducerOptions::default() };
        let producer = at.client.producer(&options).expect("a producer");
        let value = |it: usize| format!("{it} {}", "abc ".repeat(it % 50));
        let records = (0..1000).map(|it| NewRecord::to(&*topic).value(value(it))).collect();
        let sent = within("acknowledgements", producer.send_all(records)).await.expect("open");
        let offsets = sent.into_iter().map(|it| it.expect("acknowledged").offset.get());
        let in_order = offsets.eq(0..1000);
        producer.close().await.expect("nothing was lost");
        let read = at.read_all(&topic, 1).await;
        let same = read.iter().enumerate().all(|(n, it)| {
            it.offset.get() == i64::try_from(n).expect("small")
                && it.value.as_deref() == Some(value(n).as_bytes())
        });
        log.line(format_args!("{codec:?}: in order {in_order}, {} read, same {same}", read.len()));
    }
    log.is(&expect![[r#"
        None: in order true, 1000 read, same true
        Gzip: in order true, 1000 read, same true
        Snappy: in order true, 1000 read, same true
        Lz4: in order true, 1000 read, same true
        Zstd: in order true, 1000 read, same true
    "#]]);
}

pub async fn keys_headers_and_times_are_kept(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("kept", 1).await;
    let new = || NewRecord::to(&*topic);
    at.write(vec![
        new().key("k").value("v").at(Timestamp::from_millis(1_000)),
        new().key("tombstone").at(Timestamp::from_millis(500)),
        new().value("no key").at(Timestamp::from_millis(1_700_000_000_000)),
        new().key("").value("").at(Timestamp::from_millis(2_000)),
        new().at(Timestamp::from_millis(3_000)),
        new()
            .value("headers")
            .header("ce_id", "1")
            .header("ce_id", "2")
            .header("empty", "")
            .header("ä", vec![0, 255])
            .at(Timestamp::from_millis(4_000)),
    ])
    .await;
    for it in at.read_all(&topic, 1).await {
        let (key, value) = (text(it.key.as_ref()), text(it.value.as_ref()));
        let (time, kind) = it.timestamp.expect("a time");
        log.line(format_args!("{} {key} {value} {} {kind:?}", it.offset, time.as_millis()));
        for header in &it.headers {
            let value = header.value.as_deref().unwrap_or_default();
            log.line(format_args!("  {}: {value:?}", header.name));
        }
    }
    log.is(&expect![[r#"
        0 "k" "v" 1000 Create
        1 "tombstone" none 500 Create
        2 none "no key" 1700000000000 Create
        3 "" "" 2000 Create
        4 none none 3000 Create
        5 none "headers" 4000 Create
          ce_id: [49]
          ce_id: [50]
          empty: []
          ä: [0, 255]
    "#]]);
}

pub async fn equal_keys_keep_their_order_and_their_partition(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("keys", 4).await;
    let key = |it: usize| format!("Patient/{}", it % 7);
    let new = |it: usize| NewRecord::to(&*topic).key(key(it)).value(it.to_string());
    at.write((0..700).map(new).collect()).await;
    let mut of_key: BTreeMap<String, Vec<(i32, usize)>> = BTreeMap::new();
    for it in at.read_all(&topic, 4).await {
        let key = String::from_utf8(it.key.expect("a key").to_vec()).expect("text");
        let value = String::from_utf8(it.value.expect("a value").to_vec()).expect("text");
        of_key.entry(key).or_default().push((it.partition, value.parse().expect("a number")));
    }
    for (key, seen) in of_key {
        let partition = seen[0].0;
        let one_partition = seen.iter().all(|it| it.0 == partition);
        let in_order = seen.is_sorted_by_key(|it| it.1);
        log.line(format_args!(
            "{key}: {} in partition {partition}, all {one_partition}, in order {in_order}",
            seen.len()
        ));
    }
    log.is(&expect![[r#"
        Patient/0: 100 in partition 0, all true, in order true
        Patient/1: 100 in partition 2, all true, in order true
        Patient/2: 100 in partition 3, all true, in order true
        Patient/3: 100 in partition 2, all true, in order true
        Patient/4: 100 in partition 3, all true, in order true
        Patient/5: 100 in partition 0, all true, in order true
        Patient/6: 100 in partition 3, all true, in order true
    "#]]);
}

pub async fn a_large_record_comes_back_whole(at: &Backend) {
    let mut log = Transcript::default();
    let large = NewTopic::new(at.name("large"), 1).config("max.message.bytes", "10000000");
    at.create(&large).await;
    for codec in Codec::ALL {
        let options = ProducerOptions {
            codec,
            record_max: ByteSize::mib(6),
            batch_max: ByteSize::mib(6),
            ..ProducerOptions::default()
        };
        let producer = at.client.producer(&options).expect("a producer");
        let value: Vec<u8> = (0..5_000_000_u32).map(|it| (it / 100 % 251) as u8).collect();
        let delivered = send(&*producer, NewRecord::to(&*large.name).value(value)).await;
        log.result(codec.name(), delivered.map(|it| it.offset.get()));
        producer.close().await.expect("nothing was lost");
    }
    for it in at.read_all(&large.name, 1).await {
        let value = it.value.expect("a value");
        let same = (0_u32..).zip(&value).all(|(n, it)| *it == (n / 100 % 251) as u8);
        log.line(format_args!("{}: {} bytes, same {same}", it.offset, value.len()));
    }
    log.is(&expect![[r#"
        none: 0
        gzip: 1
        snappy: 2
        lz4: 3
        zstd: 4
        0: 5000000 bytes, same true
        1: 5000000 bytes, same true
        2: 5000000 bytes, same true
        3: 5000000 bytes, same true
        4: 5000000 bytes, same true
    "#]]);
}

pub async fn a_record_that_is_too_large_is_refused_and_the_next_one_is_not(at: &Backend) {
    let mut log = Transcript::default();
    let small = NewTopic::new(at.name("small"), 1).config("max.message.bytes", "1000");
    at.create(&small).await;
    let options = ProducerOptions { codec: Codec::None, ..ProducerOptions::default() };
    let producer = at.client.producer(&options).expect("a producer");
    let new = |len: usize| NewRecord::to(&*small.name).value(vec![b'x'; len]);
    log.result("500 bytes", send(&*producer, new(500)).await.map(|it| it.offset.get()));
    log.result("2,000 bytes", send(&*producer, new(2000)).await.map(|it| it.offset.get()));
    log.result("500 bytes again", send(&*producer, new(500)).await.map(|it| it.offset.get()));
    let more_than_we_send = send(&*producer, new(2_000_000)).await;
    log.result("more than we send", more_than_we_send.map(|it| it.offset.get()));
    producer.close().await.expect("whoever sent was told");
    log.is(&expect![[r#"
        500 bytes: 0
        2,000 bytes: error TooLarge
        500 bytes again: 1
        more than we send: error TooLarge
    "#]]);
}

pub async fn a_record_for_an_unknown_topic_fails(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let producer = at.producer();
    let topic = at.topic("partition", 1).await;
    let to_the_ninth = NewRecord::to(&*topic).partition(9).value("v");
    let sent = send(&*producer, to_the_ninth).await;
    log.result("an unknown partition", sent.map(|it| it.offset.get()));
    producer.close().await.expect("whoever sent was told");
    let unknown = [(TopicPartition::new(at.name("nobody"), 0), Start::End)];
    let offsets = within("an answer", admin.offsets(&unknown)).await;
    log.result("offsets of an unknown topic", offsets.map(|it| it.len()));
    log.is(&expect![[r#"
        an unknown partition: error UnknownTopic
        offsets of an unknown topic: error UnknownTopic
    "#]]);
}

pub async fn an_empty_topic_ends_at_once(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("empty", 2).await;
    for start in [Start::Beginning, Start::End, Start::Time(Timestamp::from_millis(1))] {
        let all = (0..2).map(|it| (TopicPartition::new(&*topic, it), start)).collect();
        let mut reader = at.reader(all).await;
        let records = to_the_end(&mut *reader, 2).await;
        log.line(format_args!("{start:?}: {} records", records.len()));
        reader.close().await.expect("an orderly end");
    }
    log.is(&expect![[r#"
        Beginning: 0 records
        End: 0 records
        Time(Timestamp(1)): 0 records
    "#]]);
}

/// The partitions of all of them have the same numbers, which is where a client may mix them up.
pub async fn each_of_many_topics_says_once_where_it_ends(at: &Backend) {
    let mut log = Transcript::default();
    let mut all = Vec::new();
    for size in 0..4 {
        let topic = at.topic(&format!("ends-{size}"), 2).await;
        let record = |n| NewRecord::to(&*topic).partition(n % 2).value("x");
        at.write((0..size).map(record).collect()).await;
        all.extend((0..2).map(|it| TopicPartition::new(&*topic, it)));
    }
    let mut reader = at.reader(all.iter().map(|it| (it.clone(), Start::Beginning)).collect()).await;
    let mut ends = BTreeMap::<_, Vec<_>>::new();
    let mut note = |event| {
        if let Event::Ended(at, offset) = event {
            ends.entry(at).or_default().push(offset.get());
        }
        ends.len()
    };
    while note(within("ends", reader.next()).await.expect("open")) < all.len() {}
    at.write(vec![NewRecord::to(&*all[2].topic).partition(0).value("more")]).await;
    let told = async {
        loop {
            let event = reader.next().await.expect("open");
            let is_last = matches!(&event, Event::Ended(at, _) if *at == all[2]);
            note(event);
            if is_last {
                break;
            }
        }
    };
    within("the end after more", told).await;
    within("an end", reader.close()).await.expect("an orderly end");
    for (size, pair) in all.chunks(2).enumerate() {
        log.line(format_args!("{size}: {:?} {:?}", ends[&pair[0]], ends[&pair[1]]));
    }
    log.is(&expect![[r#"
        0: [0] [0]
        1: [1, 2] [0]
        2: [1] [1]
        3: [2] [1]
    "#]]);
}

pub async fn a_time_finds_its_offset(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let topic = at.topic("times", 1).await;
    let times = [1000, 2000, 1500, 3000, 3000];
    let new = |it: i64| NewRecord::to(&*topic).value("v").at(Timestamp::from_millis(it));
    // One batch each, so that the answer does not depend on how batches were cut.
    for it in times {
        at.write(vec![new(it)]).await;
    }
    for time in [0, 1000, 1001, 1600, 2500, 3000, 3001] {
        let question =
            [(TopicPartition::new(&*topic, 0), Start::Time(Timestamp::from_millis(time)))];
        let answer = admin.offsets(&question).await.map(|it| it[0].1.get());
        log.result(&format!("at or after {time}"), answer);
    }
    log.is(&expect![[r#"
        at or after 0: 0
        at or after 1000: 0
        at or after 1001: 1
        at or after 1600: 1
        at or after 2500: 3
        at or after 3000: 3
        at or after 3001: 5
    "#]]);
}

pub async fn a_reader_goes_on_from_any_position(at: &Backend) {
    let mut log = Transcript::default();
    let topics = [at.topic("one", 1).await, at.topic("two", 1).await];
    for topic in &topics {
        let new = |it: i64| {
            let record = NewRecord::to(topic.as_str()).value(it.to_string());
            record.at(Timestamp::from_millis(1000 * (it + 1)))
        };
        at.write((0..10).map(new).collect()).await;
    }
    let six = Offset::new(6).expect("not negative");
    for start in
        [Start::Beginning, Start::End, Start::At(six), Start::Time(Timestamp::from_millis(8500))]
    {
        // Both topics have a partition of the same number, and each must report its own end.
        let both = topics.iter().map(|it| (TopicPartition::new(it.as_str(), 0), start)).collect();
        let mut reader = at.reader(both).await;
        let records = to_the_end(&mut *reader, 2).await;
        for (topic, name) in topics.iter().zip(["one", "two"]) {
            let of = records.iter().filter(|it| *it.topic == **topic);
            let offsets: Vec<_> = of.map(|it| it.offset.get()).collect();
            log.line(format_args!("{start:?} {name}: {offsets:?}"));
        }
        let mut positions = reader.position();
        positions.sort_by_key(|(at, _)| *at.topic == *topics[1]);
        let positions: Vec<_> = positions.iter().map(|it| it.1.get()).collect();
        log.line(format_args!("  then at {positions:?}"));
        reader.close().await.expect("an orderly end");
    }
    log.is(&expect![[r#"
        Beginning one: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        Beginning two: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
          then at [10, 10]
        End one: []
        End two: []
          then at []
        At(Offset(6)) one: [6, 7, 8, 9]
        At(Offset(6)) two: [6, 7, 8, 9]
          then at [10, 10]
        Time(Timestamp(8500)) one: [8, 9]
        Time(Timestamp(8500)) two: [8, 9]
          then at [10, 10]
    "#]]);
}

pub async fn a_reader_waits_at_the_end_for_more(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("more", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut reader = at.reader(vec![(partition.clone(), Start::End)]).await;
    for round in 0..3 {
        let value = format!("round {round}");
        at.write(vec![NewRecord::to(&*topic).value(value)]).await;
        let record = loop {
            if let Event::Records(more) = within("a record", reader.next()).await.expect("open") {
                break more;
            }
        };
        log.line(format_args!("{}", text(record[0].value.as_ref())));
    }
    reader.pause(std::slice::from_ref(&partition)).expect("assigned");
    at.write(vec![NewRecord::to(&*topic).value("while paused")]).await;
    let silence = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            if let Event::Records(_) = reader.next().await.expect("open") {
                break;
            }
        }
    });
    log.line(format_args!("paused: {}", if silence.await.is_err() { "silent" } else { "speaks" }));
    reader.resume(&[partition]).expect("assigned");
    let record = until("a record", async || match reader.next().await.expect("open") {
        Event::Records(more) => Some(more),
        _ => None,
    });
    log.line(format_args!("resumed: {}", text(record.await[0].value.as_ref())));
    reader.close().await.expect("an orderly end");
    log.is(&expect![[r#"
        "round 0"
        "round 1"
        "round 2"
        paused: silent
        resumed: "while paused"
    "#]]);
}

pub async fn a_full_queue_waits_and_loses_nothing(at: &Backend) {
    let mut log = Transcript::default();
    let topic = at.topic("queue", 1).await;
    let options = ProducerOptions {
        queue_max: ByteSize::kib(64),
        record_max: ByteSize::kib(16),
        ..ProducerOptions::default()
    };
    let producer = at.client.producer(&options).expect("a producer");
    let value = vec![7; 1000];
    let mut under_way = Vec::new();
    for _ in 0..5000 {
        let record = NewRecord::to(&*topic).value(value.clone());
        under_way.push(within("room", producer.send(record)).await.expect("open"));
    }
    within("idle", producer.flush()).await.expect("open");
    let mut acknowledged = 0;
    for it in under_way {
        it.await.expect("acknowledged");
        acknowledged += 1;
    }
    within("an end", producer.close()).await.expect("nothing was lost");
    let late = producer.try_send(NewRecord::to(&*topic).value("late"));
    log.line(format_args!("acknowledged: {acknowledged}"));
    log.line(format_args!("after the end: {}", if late.is_err() { "refused" } else { "taken" }));
    let read = at.read_all(&topic, 1).await;
    let whole = read.iter().filter(|it| it.value.as_deref() == Some(&*value)).count();
    log.line(format_args!("read: {}, whole: {whole}", read.len()));
    log.is(&expect![[r#"
        acknowledged: 5000
        after the end: refused
        read: 5000, whole: 5000
    "#]]);
}

/// Between these ends a cable is laid; everything goes through it.
pub async fn a_cut_connection_loses_and_duplicates_nothing(between: Ends) {
    const RECORDS: u64 = 20_000;
    const CUT_EACH: u64 = 1_000;
    let mut log = Transcript::default();
    let cable = Cable::lay(between.near, between.far).await.expect("nobody else has this end");
    let at = Backend::at(&between.near.to_string());
    let topic = at.topic("cut", 2).await;
    let producer = at.producer();
    let (mut ledger, mut under_way) = (Ledger::default(), Vec::new());
    for number in 0..RECORDS {
        let partition = i32::try_from(number % 2).expect("small");
        let record = NewRecord::to(&*topic).partition(partition).value(number.to_string());
        ledger.sent(number);
        under_way.push((number, within("room", producer.send(record)).await.expect("open")));
        if number % CUT_EACH == 0 {
            cable.cut();
            tokio::time::sleep(Duration::from_millis(20)).await; // some are on the wire now
            cable.cut();
        }
    }
    for (number, delivery) in under_way {
        let it = within("acknowledgement", delivery).await.expect("acknowledged");
        ledger.acknowledged(number, TopicPartition::new(&*topic, it.partition), it.offset);
    }
    producer.close().await.expect("nothing was lost");
    let mut found = Vec::new();
    for it in at.read_all(&topic, 2).await {
        let number = std::str::from_utf8(it.value.as_deref().unwrap_or_default()).expect("text");
        found.push((number.parse().expect("a number"), it.topic_partition(), it.offset));
    }
    let of = |partition| {
        found.iter().filter(move |it: &&(u64, TopicPartition, Offset)| it.1.partition == partition)
    };
    let in_order = (0..2).all(|it| of(it).is_sorted_by_key(|it| it.0));
    log.line(ledger.compare(found.iter().cloned()));
    log.line(format_args!("in order: {in_order}"));
    log.is(&expect![[r#"
        20000 read, 0 lost, 0 duplicated, 0 moved, 0 invented, 0 unpromised
        in order: true
    "#]]);
}

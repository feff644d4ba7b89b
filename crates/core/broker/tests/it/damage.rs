//! A catalogue that was damaged on disk, and what is left of it.

use crate::harness::Harness;
use crate::metadata::ask;
use crate::records::{batch, put};
use crate::topics::{create, topic};
use std::path::PathBuf;
use std::time::Duration;

/// The segments of a partition, the one with the most bytes last.
fn segments(harness: &Harness, partition: &str) -> Vec<PathBuf> {
    let dir = harness.config.dir.join("log/segments");
    let files = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap());
    let named = |it: &std::fs::DirEntry| it.file_name().to_str().unwrap().starts_with(partition);
    let mut files: Vec<_> = files.filter(named).collect();
    files.sort_by_key(|it| it.metadata().unwrap().len());
    files.into_iter().map(|it| it.path()).collect()
}

#[tokio::test]
async fn a_damaged_fact_costs_its_topic_and_never_the_records_nor_the_start() {
    let mut harness =
        Harness::start_with(|it| it.maintenance_interval = Duration::from_secs(1)).await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    create(&mut client, vec![topic("kept", 1)]).await;
    let id = client.call(12, ask(&["t"])).await.topics[0].topic_id;
    assert_eq!(put(&mut client, batch(&["a record"])).await, (0, 0));
    harness.stop().await;
    let path = segments(&harness, "AAAAAAAAAAAAAAAAAAAAAQ-0.").pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(10).position(|it| it == br#""name":"t""#).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for _ in 0..2 {
        harness.start_again().await;
        let mut client = harness.client().await;
        let mut request = ask(&["t", "kept"]);
        request.allow_auto_topic_creation = false;
        let topics = client.call(12, request).await.topics;
        let codes: Vec<_> = topics.iter().map(|it| it.error_code).collect();
        assert_eq!(codes, [3, 0]);
        harness.until_metric("damaged", |it| it > 0).await;
        harness.stop().await;
        assert_eq!(segments(&harness, &format!("{id}-0.")).len(), 1);
    }
}

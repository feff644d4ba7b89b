//! What is measured, in which order.
//!
//! Owns: the rounds. In each one every system is started afresh and does all of it; which one goes
//! first changes from round to round, since the machine drifts.

use crate::figures::Figures;
use crate::report::Report;
use crate::system::{Programs, Running, System};
use crate::{compaction, java, librdkafka, probe, raw, start, transactions};
use anyhow::Context as _;
use clap::Args;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// How often everything is measured.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Part of the records, for a quick look: 0.1 is a tenth.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale: f64,
    /// Only measures whose name contains this.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Also write the table to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// The release build of `systole`.
    #[arg(long, value_name = "FILE")]
    pub(crate) systole: PathBuf,
    /// The starter of Apache Kafka.
    #[arg(long, value_name = "FILE", default_value = "interop/kafka/kafka")]
    pub(crate) kafka: PathBuf,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    JavaProduce1Kib,
    JavaProduce100,
    JavaConsume100,
    LibrdkafkaProduce1Kib,
    LibrdkafkaProduce100,
    LibrdkafkaConsume100,
    RawProduce1Partition,
    RawProduce1000Partitions,
    PartitionsCost,
    LatencyP50,
    LatencyP99,
    DiskSync,
    EndToEnd1000P50,
    EndToEnd1000P99,
    EndToEnd10000P50,
    EndToEnd10000P99,
    OneTransactionEach,
    OneTransactionEachBy64,
    TransactionsShare,
    CompactionSeconds,
    CompactionP99,
}

impl Measure {
    pub(crate) const ALL: [Self; 21] = [
        Self::JavaProduce1Kib,
        Self::JavaProduce100,
        Self::JavaConsume100,
        Self::LibrdkafkaProduce1Kib,
        Self::LibrdkafkaProduce100,
        Self::LibrdkafkaConsume100,
        Self::RawProduce1Partition,
        Self::RawProduce1000Partitions,
        Self::PartitionsCost,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::DiskSync,
        Self::EndToEnd1000P50,
        Self::EndToEnd1000P99,
        Self::EndToEnd10000P50,
        Self::EndToEnd10000P99,
        Self::OneTransactionEach,
        Self::OneTransactionEachBy64,
        Self::TransactionsShare,
        Self::CompactionSeconds,
        Self::CompactionP99,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::JavaProduce1Kib => "produce 1 KiB, kafka-producer-perf-test, records/s",
            Self::JavaProduce100 => "produce 100 B, kafka-producer-perf-test, records/s",
            Self::JavaConsume100 => "consume 100 B, kafka-consumer-perf-test, records/s",
            Self::LibrdkafkaProduce1Kib => "produce 1 KiB, librdkafka, records/s",
            Self::LibrdkafkaProduce100 => "produce 100 B, librdkafka, records/s",
            Self::LibrdkafkaConsume100 => "consume 100 B, librdkafka, records/s",
            Self::RawProduce1Partition => "1 partition, ready-made batches, MB/s",
            Self::RawProduce1000Partitions => "1,000 partitions, the same batches, MB/s",
            Self::PartitionsCost => "1,000 partitions over 1, time for the same bytes",
            Self::LatencyP50 => "latency, 1,000/s, one in flight, p50 ms",
            Self::LatencyP99 => "latency, 1,000/s, one in flight, p99 ms",
            Self::DiskSync => "the disk's own fdatasync, p50 ms",
            Self::EndToEnd1000P50 => "produce to consume at 1,000/s, p50 ms",
            Self::EndToEnd1000P99 => "produce to consume at 1,000/s, p99 ms",
            Self::EndToEnd10000P50 => "produce to consume at 10,000/s, p50 ms",
            Self::EndToEnd10000P99 => "produce to consume at 10,000/s, p99 ms",
            Self::OneTransactionEach => "one record per transaction, 1 producer, transactions/s",
            Self::OneTransactionEachBy64 => {
                "one record per transaction, 64 producers, transactions/s"
            }
            Self::TransactionsShare => {
                "16 KiB batches, transactions of 100 ms over none, one in flight"
            }
            Self::CompactionSeconds => "compaction of 1 GiB, a tenth live, from asking to done, s",
            Self::CompactionP99 => "compaction, p99 of appends beside it over that before",
        }
    }
}

/// Written with ten versions of each key, then compacted, whatever the scale.
const COMPACTED_MIB: u64 = 1024;

pub(crate) type Results = BTreeMap<(Measure, System), Figures>;

/// Runs all rounds. Takes about three minutes a round at scale 1 on two cores.
pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let programs = Programs { systole: options.systole.clone(), kafka: options.kafka.clone() };
    let mut results = Results::new();
    for round in 0..options.rounds {
        let mut order = System::ALL;
        order.rotate_left(round as usize % System::ALL.len());
        for system in order {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, system.name());
            let dir = tempfile::tempdir()?;
            let running = Running::start(system, &programs, &dir.path().join("data"))?;
            let mut bench = Bench { options, programs: &programs, results: &mut results, system };
            bench.all(&running, dir.path()).with_context(|| system.name().to_owned())?;
        }
    }
    let starts = start::measure(&programs, options.rounds)?;
    Ok(Report { rounds: options.rounds, results, starts })
}

/// One system in one round.
struct Bench<'a> {
    options: &'a Options,
    programs: &'a Programs,
    results: &'a mut Results,
    system: System,
}

impl Bench<'_> {
    fn all(&mut self, running: &Running, dir: &Path) -> anyhow::Result<()> {
        let address = running.address;
        self.java(running)?;
        self.librdkafka(running)?;
        // Enough to last a second on each: the comparison is between one partition and many of
        // the same system.
        let mebibytes = self.scaled(if self.system == System::Systole { 1024 } else { 128 });
        if self.wanted(Measure::PartitionsCost) {
            let one = raw::produce(address, 1, mebibytes)?;
            let many = raw::produce(address, 1000, mebibytes)?;
            self.put(Measure::RawProduce1Partition, one);
            self.put(Measure::RawProduce1000Partitions, many);
            self.put(Measure::PartitionsCost, one / many);
        }
        if self.wanted(Measure::LatencyP50) {
            self.put(Measure::DiskSync, probe::fdatasync_p50_ms(dir)?);
            let latency = raw::latency(address, self.scaled(5_000))?;
            self.put(Measure::LatencyP50, latency.p50_ms);
            self.put(Measure::LatencyP99, latency.p99_ms);
        }
        for (per_second, p50, p99) in [
            (1_000, Measure::EndToEnd1000P50, Measure::EndToEnd1000P99),
            (10_000, Measure::EndToEnd10000P50, Measure::EndToEnd10000P99),
        ] {
            if self.wanted(p50) {
                let latency = raw::end_to_end(address, per_second, self.scaled(per_second * 5))?;
                self.put(p50, latency.p50_ms);
                self.put(p99, latency.p99_ms);
            }
        }
        self.transactions(address)?;
        if self.wanted(Measure::CompactionSeconds) {
            let compaction = compaction::measure(address, COMPACTED_MIB)?;
            self.put(Measure::CompactionSeconds, compaction.seconds);
            self.put(Measure::CompactionP99, compaction.p99_over_quiet);
        }
        Ok(())
    }

    fn transactions(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        for (measure, producers) in
            [(Measure::OneTransactionEach, 1), (Measure::OneTransactionEachBy64, 64)]
        {
            self.one(measure, || transactions::one_record_each(address, producers))?;
        }
        self.one(Measure::TransactionsShare, || transactions::share_of_plain(address))
    }

    fn java(&mut self, running: &Running) -> anyhow::Result<()> {
        let (programs, address) = (self.programs, running.address);
        let kib =
            java::Load { topic: "java-1kib", records: self.scaled(600_000), record_bytes: 1024 };
        let small =
            java::Load { topic: "java-100", records: self.scaled(4_000_000), record_bytes: 100 };
        for load in [kib, small] {
            librdkafka::create_topic(address, load.topic, 1)?;
        }
        self.one(Measure::JavaProduce1Kib, || java::produce(programs, address, kib))?;
        self.one(Measure::JavaProduce100, || java::produce(programs, address, small))?;
        self.one(Measure::JavaConsume100, || java::consume(programs, address, small))
    }

    fn librdkafka(&mut self, running: &Running) -> anyhow::Result<()> {
        let address = running.address;
        for topic in ["rd-1kib", "rd-100"] {
            librdkafka::create_topic(address, topic, 1)?;
        }
        let (large, small) = (self.scaled(600_000), self.scaled(3_000_000));
        self.one(Measure::LibrdkafkaProduce1Kib, || {
            librdkafka::produce(address, "rd-1kib", large, 1024)
        })?;
        self.one(Measure::LibrdkafkaProduce100, || {
            librdkafka::produce(address, "rd-100", small, 100)
        })?;
        self.one(Measure::LibrdkafkaConsume100, || librdkafka::consume(address, "rd-100", small))
    }

    fn one(
        &mut self,
        measure: Measure,
        run: impl FnOnce() -> anyhow::Result<f64>,
    ) -> anyhow::Result<()> {
        if self.wanted(measure) {
            let figure = run().with_context(|| measure.name())?;
            self.put(measure, figure);
        }
        Ok(())
    }

    fn put(&mut self, measure: Measure, figure: f64) {
        eprintln!("  {}: {figure:.2}", measure.name());
        self.results.entry((measure, self.system)).or_default().push(figure);
    }

    fn wanted(&self, measure: Measure) -> bool {
        self.options.only.as_ref().is_none_or(|it| measure.name().contains(it.as_str()))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive share of a count far below 2^52"
    )]
    fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.options.scale) as u64).max(1)
    }
}

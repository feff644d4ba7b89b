//! Real Kafka clients against the embedded node (or the broker that `SYSTOLE_INTEROP_BOOTSTRAP`
//! names, to see what Apache Kafka answers).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)] // tests

mod java;
mod kcat;
mod programs;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use systole_interop::{Missing, Runtime};
use systole_testkit::EmbeddedNode;

/// The broker under test; one node serves all cases of this process.
fn bootstrap() -> &'static str {
    static OTHER: OnceLock<Option<String>> = OnceLock::new();
    static NODE: OnceLock<EmbeddedNode> = OnceLock::new();
    match OTHER.get_or_init(|| std::env::var("SYSTOLE_INTEROP_BOOTSTRAP").ok()) {
        Some(other) => other,
        None => NODE.get_or_init(|| EmbeddedNode::start().expect("the node starts")).bootstrap(),
    }
}

/// A topic or group name that no other case of any run uses.
fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{count}", std::process::id())
}

/// Whether the case can run here. Says why not; where CI demands all clients, that is a failure.
fn ready(runtime: Runtime) -> bool {
    match runtime.prepare().expect("the client can be installed") {
        Ok(()) => true,
        Err(Missing(why)) => {
            let demanded = std::env::var_os("SYSTOLE_REQUIRE_INTEROP").is_some();
            assert!(!demanded, "SYSTOLE_REQUIRE_INTEROP is set, but {why}");
            eprintln!("skipped: {why}");
            false
        }
    }
}

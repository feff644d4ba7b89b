//! Real Kafka clients against the embedded node (or the broker that `SYSTOLE_INTEROP_BOOTSTRAP`
//! names, to see what Apache Kafka answers).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)] // tests

mod demo;
mod java;
mod kcat;
mod programs;
mod secured;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use systole_interop::{Missing, Runtime};
use systole_testkit::EmbeddedNode;

/// The broker under test. A case holds it as long as it runs; the last to let go stops the node.
struct Target {
    bootstrap: String,
    _node: Option<Arc<EmbeddedNode>>,
}

/// Whether the case can run here. Says why not; where CI demands all clients, that is a failure.
fn can_run(runtimes: &[Runtime]) -> bool {
    for runtime in runtimes {
        if let Err(Missing(why)) = runtime.prepare().expect("the client can be installed") {
            let demanded = std::env::var_os("SYSTOLE_REQUIRE_INTEROP").is_some();
            assert!(!demanded, "SYSTOLE_REQUIRE_INTEROP is set, but {why}");
            eprintln!("skipped: {why}");
            return false;
        }
    }
    true
}

/// The broker under test, if the case can run here.
fn target(runtimes: &[Runtime]) -> Option<Target> {
    if !can_run(runtimes) {
        return None;
    }
    if let Ok(bootstrap) = std::env::var("SYSTOLE_INTEROP_BOOTSTRAP") {
        return Some(Target { bootstrap, _node: None });
    }
    let node = EmbeddedNode::shared();
    Some(Target { bootstrap: node.bootstrap().to_owned(), _node: Some(node) })
}

/// A topic or group name that no other case of any run uses.
fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{count}", std::process::id())
}

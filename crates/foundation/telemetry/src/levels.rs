//! How much each part of the process says, changeable while it runs.
//!
//! Owns: loggers, their levels, the filter that holds lines to them. Does not own: the lines' form
//! (`logs`), who may change a level (the broker asks access lists).
//!
//! A logger is a crate, or what the configuration names. One without a level of its own has that of
//! the longest name that begins its name, else that of [`ROOT`]. A change lasts until the process
//! ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};

/// The logger of all lines that no other logger has a level for.
pub const ROOT: &str = "root";
/// The program, whose name begins those of its crates, and the crates that write lines.
const CRATES: [&str; 9] = [
    "systole",
    "systole_broker",
    "systole_catalogue",
    "systole_client",
    "systole_coordinator",
    "systole_gateway",
    "systole_log",
    "systole_node",
    "systole_telemetry",
];
/// From the least to the most.
const LEVELS: [LevelFilter; 5] = [
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// Those of this process, which [`logs::start`](crate::logs::start) sets and holds lines to.
pub fn of_process() -> &'static Levels {
    static OF_PROCESS: LazyLock<Levels> = LazyLock::new(Levels::default);
    &OF_PROCESS
}

/// The levels of all loggers. Clones are the same levels.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    state: Arc<RwLock<State>>,
}

#[derive(Debug)]
struct State {
    root: LevelFilter,
    own: BTreeMap<String, LevelFilter>,
    known: BTreeSet<String>,
    targets: Targets,
}

impl Default for State {
    fn default() -> Self {
        Self::from(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl From<Targets> for State {
    fn from(targets: Targets) -> Self {
        let root = targets.default_level().unwrap_or(LevelFilter::OFF);
        let own: BTreeMap<_, _> = targets.iter().map(|(it, of)| (it.to_owned(), of)).collect();
        let known = CRATES.into_iter().chain([ROOT]).map(str::to_owned);
        let known = known.chain(own.keys().cloned()).collect();
        Self { root, own, known, targets }
    }
}

impl Levels {
    /// Starts anew from what the configuration says.
    pub(crate) fn reset(&self, targets: Targets) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::from(targets);
        tracing::callsite::rebuild_interest_cache();
    }
    /// Every logger with the level in force.
    pub fn all(&self) -> Vec<(String, LevelFilter)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let level = |name: &String| {
            let says = |it: &&LevelFilter| {
                it.into_level().is_some_and(|it| state.targets.would_enable(name, &it))
            };
            let most = LEVELS.iter().rev().find(says).copied().unwrap_or(LevelFilter::OFF);
            (name.clone(), if name == ROOT { state.root } else { most })
        };
        state.known.iter().map(level).collect()
    }
    pub fn knows(&self, logger: &str) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).known.contains(logger)
    }
    /// Gives loggers levels, or with `None` takes their own away, all at once. Unknown loggers, and
    /// taking the level of [`ROOT`], change nothing.
    pub fn change(&self, changes: &[(&str, Option<LevelFilter>)]) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (logger, level) in changes {
            match level {
                Some(level) if *logger == ROOT => state.root = *level,
                Some(level) if state.known.contains(*logger) => {
                    state.own.insert((*logger).to_owned(), *level);
                }
                Some(_) => {}
                None => drop(state.own.remove(*logger)),
            }
        }
        let own = state.own.iter().map(|(it, level)| (it.clone(), *level));
        state.targets = Targets::new().with_default(state.root).with_targets(own);
        drop(state);
        // Each place in the code that writes lines remembers whether it is heard.
        tracing::callsite::rebuild_interest_cache();
    }
    /// Holds lines to these levels, also when they change.
    pub(crate) fn filter(&self) -> Filter {
        Filter { levels: self.clone() }
    }
}

pub(crate) struct Filter {
    levels: Levels,
}

impl Filter {
    fn hears(&self, line: &Metadata<'_>) -> bool {
        let state = self.levels.state.read().unwrap_or_else(PoisonError::into_inner);
        state.targets.would_enable(line.target(), line.level())
    }
}

impl<S: Subscriber> Layer<S> for Filter {
    fn register_callsite(&self, line: &'static Metadata<'static>) -> Interest {
        if self.hears(line) { Interest::always() } else { Interest::never() }
    }
    fn enabled(&self, line: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.hears(line)
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        let state = self.levels.state.read().unwrap_or_else(PoisonError::into_inner);
        state.own.values().copied().chain([state.root]).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::io;
    use std::sync::Mutex;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn speak() {
        tracing::info!(target: "systole_log::wal", "info of log");
        tracing::debug!(target: "systole_log::wal", "debug of log");
        tracing::debug!(target: "systole_broker", "debug of broker");
        tracing::warn!(target: "hyper", "warning of hyper");
    }

    #[test]
    fn lines_are_held_to_levels_that_change_while_they_are_written() {
        let (levels, lines) = (Levels::default(), Lines::default());
        levels.reset("info,hyper=error".parse().unwrap());
        let writer = lines.clone();
        let form = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
        let form = form.with_target(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(form).with(levels.filter());
        tracing::subscriber::with_default(subscriber, || {
            speak();
            levels.change(&[("systole_log", Some(LevelFilter::DEBUG)), ("hyper", None)]);
            speak();
            levels.change(&[("systole_log", None), (ROOT, Some(LevelFilter::OFF))]);
            speak();
            levels.change(&[("systole", Some(LevelFilter::DEBUG))]);
            speak();
        });
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        expect![[r"
             INFO info of log
             INFO info of log
            DEBUG debug of log
             WARN warning of hyper
             INFO info of log
            DEBUG debug of log
            DEBUG debug of broker
        "]]
        .assert_eq(&lines);
    }

    #[test]
    fn loggers_that_are_none_are_not_made_and_the_root_keeps_a_level() {
        let levels = Levels::default();
        let before = levels.all();
        levels.change(&[("systole_typo", Some(LevelFilter::TRACE)), (ROOT, None)]);
        assert_eq!(levels.all(), before);
        assert!(!levels.knows("systole_typo") && levels.knows(ROOT));
    }
}

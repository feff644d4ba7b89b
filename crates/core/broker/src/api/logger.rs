//! The levels of this process's loggers, as the configuration APIs see them (KIP-412).
//!
//! Owns: Kafka's words for levels, and which changes are allowed. Does not own: the levels
//! (`telemetry::levels`). Ours: no line is fatal, so FATAL says nothing at all; a logger is a
//! crate.

use super::Call;
use super::resource::Edit;
use systole_guard::{Operation, Resource};
use systole_telemetry::levels::{self, ROOT};
use systole_wire::message::describe_configs_response::DescribeConfigsResourceResult;
use systole_wire::{ErrorCode, Rejected};
use tracing::level_filters::LevelFilter;

/// Kafka's number for where a level comes from: it can be changed while the node runs.
const OF_LOGGER: i8 = 6;

const WORDS: [(&str, LevelFilter); 6] = [
    ("DEBUG", LevelFilter::DEBUG),
    ("ERROR", LevelFilter::ERROR),
    ("FATAL", LevelFilter::OFF),
    ("INFO", LevelFilter::INFO),
    ("TRACE", LevelFilter::TRACE),
    ("WARN", LevelFilter::WARN),
];

/// Whether the caller may do this to the loggers of the node that it means.
fn check(call: &Call, operation: Operation, name: &str) -> Result<(), Rejected> {
    call.authorize(operation, Resource::CLUSTER)?;
    let node_id = call.ctx.config.node_id;
    if name.parse() == Ok(node_id) {
        return Ok(());
    }
    let text = format!("Unexpected broker id, expected {node_id}.");
    Err(Rejected::new(ErrorCode::InvalidRequest, text))
}

pub(crate) fn describe(
    call: &Call,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Rejected> {
    check(call, Operation::DescribeConfigs, name)?;
    let result = |(logger, level): (String, LevelFilter)| {
        let word = WORDS.iter().find(|it| it.1 == level)?.0;
        Some(DescribeConfigsResourceResult {
            name: logger.into(),
            value: Some(word.into()),
            config_source: OF_LOGGER,
            ..Default::default()
        })
    };
    Ok(levels::of_process().all().into_iter().filter_map(result).collect())
}

/// Changes the levels of loggers, all or none.
pub(crate) fn alter(
    call: &Call,
    (name, only_check): (&str, bool),
    edits: &[(&str, Edit<'_>)],
) -> Result<(), Rejected> {
    check(call, Operation::AlterConfigs, name)?;
    let levels = levels::of_process();
    let mut changes = Vec::new();
    for (logger, edit) in edits {
        let is_known = levels.knows(logger);
        let refuse = |code, text: &str| Err(Rejected::new(code, text));
        let level = match edit {
            Edit::Append(_) | Edit::Subtract(_) => {
                let text = "The level of a logger is no list.";
                return refuse(ErrorCode::InvalidRequest, text);
            }
            _ if !is_known => return refuse(ErrorCode::InvalidConfig, "There is no such logger."),
            Edit::Delete if *logger == ROOT => {
                return refuse(ErrorCode::InvalidRequest, "The root logger keeps a level.");
            }
            Edit::Delete => None,
            Edit::Set(word) => {
                let known = WORDS.iter().find(|it| it.0 == *word);
                let text = || format!("A level is one of {}.", WORDS.map(|it| it.0).join(", "));
                let level = known.ok_or_else(|| Rejected::new(ErrorCode::InvalidConfig, text()))?;
                Some(level.1)
            }
        };
        changes.push((*logger, level));
    }
    if !only_check {
        levels.change(&changes);
        for (logger, level) in changes {
            let level = level.map_or("inherited".to_owned(), |it| it.to_string());
            tracing::warn!(logger, level, "the level of a logger was changed");
        }
    }
    Ok(())
}

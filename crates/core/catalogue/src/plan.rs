//! What a client asks for, checked and completed, before anything is changed.
//!
//! Owns: the rules for new topics and new partitions, in Kafka's order and with Kafka's codes. Does
//! not own: carrying them out (`catalogue`).
//!
//! # Source  Kafka `ReplicationControlManager`; observed answers of Apache Kafka 4.3.1

use crate::config::{self, ConfigError};
use crate::name;
use crate::setting::Overrides;
use systole_wire::{ErrorCode, Rejected};

/// Partitions that one topic may have. Kafka has no such limit and dies of it.
pub const PARTITIONS_MAX: i32 = 10_000;

/// A topic that someone wants.
#[derive(Debug, Clone, Default)]
pub struct NewTopic {
    pub name: String,
    /// -1: the node's default.
    pub partitions: i32,
    /// -1: the node's default. One node has one replica.
    pub replication_factor: i16,
    /// Replicas by partition; if given, the two counts must be -1.
    pub assignments: Vec<(i32, Vec<i32>)>,
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the node's default for everything that is not said.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: -1, replication_factor: -1, ..Self::default() }
    }
}

/// The node as a plan sees it.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    pub node_id: i32,
    pub partitions_default: i32,
}

/// Checks the name; whether it is taken is another question.
pub fn check_name(name: &str) -> Result<(), Rejected> {
    let refuse = |error: name::NameError| {
        Rejected::new(ErrorCode::InvalidTopic, format!("Topic name is invalid: {error}"))
    };
    name::check(name).map_err(refuse)
}

/// How many partitions `topic` gets.
pub fn partition_count(topic: &NewTopic, site: Site) -> Result<i32, Rejected> {
    if !topic.assignments.is_empty() {
        return assigned_count(topic, site);
    }
    if topic.replication_factor == 0 || topic.replication_factor < -1 {
        let text = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Rejected::new(ErrorCode::InvalidReplicationFactor, text));
    }
    if topic.partitions == 0 || topic.partitions < -1 {
        let text = "Number of partitions was set to an invalid non-positive value.";
        return Err(Rejected::new(ErrorCode::InvalidPartitions, text));
    }
    if topic.replication_factor > 1 {
        let wanted = topic.replication_factor;
        let text = format!(
            "Unable to replicate the partition {wanted} time(s): The target replication factor of \
             {wanted} cannot be reached because only 1 broker(s) are registered."
        );
        return Err(Rejected::new(ErrorCode::InvalidReplicationFactor, text));
    }
    let count = if topic.partitions == -1 { site.partitions_default } else { topic.partitions };
    check_limit(count)
}

fn check_limit(count: i32) -> Result<i32, Rejected> {
    if count > PARTITIONS_MAX {
        let text = format!("A topic may have at most {PARTITIONS_MAX} partitions.");
        return Err(Rejected::new(ErrorCode::InvalidPartitions, text));
    }
    Ok(count)
}

fn assigned_count(topic: &NewTopic, site: Site) -> Result<i32, Rejected> {
    let not_minus_one = |what: &str| {
        let text =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Rejected::new(ErrorCode::InvalidRequest, text))
    };
    if topic.replication_factor != -1 {
        return not_minus_one("replication factor");
    }
    if topic.partitions != -1 {
        return not_minus_one("numPartitions");
    }
    let refuse = |text: String| Err(Rejected::new(ErrorCode::InvalidReplicaAssignment, text));
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|(index, _)| *index).collect();
    indexes.sort_unstable();
    if let Some(twice) = indexes.windows(2).find_map(|it| (it[0] == it[1]).then_some(it[0])) {
        let text = format!("Found multiple manual partition assignments for partition {twice}");
        return refuse(text);
    }
    for (_, replicas) in &topic.assignments {
        check_replicas(replicas, site)?;
    }
    if indexes.iter().zip(0..).any(|(index, expected)| *index != expected) {
        let text = "partitions should be a consecutive 0-based integer sequence";
        return refuse(text.to_owned());
    }
    check_limit(i32::try_from(indexes.len()).unwrap_or(i32::MAX))
}

/// One node: the only possible list of replicas is its own id.
pub fn check_replicas(replicas: &[i32], site: Site) -> Result<(), Rejected> {
    let refuse = |text: String| Err(Rejected::new(ErrorCode::InvalidReplicaAssignment, text));
    match replicas {
        [] => refuse("The manual partition assignment includes an empty replica list.".to_owned()),
        [one] if *one == site.node_id => Ok(()),
        [one, rest @ ..] if *one == site.node_id && rest.contains(one) => refuse(format!(
            "The manual partition assignment includes the broker {one} more than once."
        )),
        many => {
            let stranger = many.iter().find(|it| **it != site.node_id).unwrap_or(&-1);
            refuse(format!(
                "The manual partition assignment includes broker {stranger}, but no such broker \
                 is registered."
            ))
        }
    }
}

/// How many partitions a topic with `existing` has after a request for `wanted` in total.
pub fn grown_count(
    existing: i32,
    wanted: i32,
    assignments: Option<&[Vec<i32>]>,
    site: Site,
) -> Result<i32, Rejected> {
    let refuse = |text: String| Err(Rejected::new(ErrorCode::InvalidPartitions, text));
    if wanted == existing {
        return refuse(format!("Topic already has {existing} partition(s)."));
    }
    if wanted < existing {
        return refuse(format!(
            "The topic currently has {existing} partition(s); {wanted} would not be an increase."
        ));
    }
    let additional = usize::try_from(wanted - existing).unwrap_or_default();
    if let Some(assignments) = assignments {
        if assignments.len() != additional {
            let text = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) \
                 were specified.",
                assignments.len()
            );
            return Err(Rejected::new(ErrorCode::InvalidReplicaAssignment, text));
        }
        assignments.iter().try_for_each(|it| check_replicas(it, site))?;
    }
    check_limit(wanted)
}

/// The settings given with a new topic.
pub fn new_configs(given: &[(String, Option<String>)]) -> Result<Overrides, Rejected> {
    let mut configs = Overrides::new();
    for (name, value) in given {
        let (name, value) = check_config(name, value.as_deref()).map_err(|it| illegal(&it))?;
        configs.insert(name, value);
    }
    Ok(configs)
}

fn check_config(name: &str, value: Option<&str>) -> Result<(String, String), ConfigError> {
    let Some(definition) = config::of_topic(name) else {
        return Err(ConfigError::Unknown(name.chars().take(100).collect()));
    };
    let Some(value) = value else { return Err(ConfigError::Null(name.to_owned())) };
    definition.check(value)?;
    Ok((name.to_owned(), value.to_owned()))
}

pub fn illegal(error: &ConfigError) -> Rejected {
    Rejected::new(ErrorCode::InvalidConfig, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const SITE: Site = Site { node_id: 1, partitions_default: 3 };

    #[test]
    fn counts_and_assignments_are_judged_as_kafka_judges_them() {
        let topic = |partitions, replication_factor, assignments: &[(i32, &[i32])]| NewTopic {
            name: "t".into(),
            partitions,
            replication_factor,
            assignments: assignments.iter().map(|(it, to)| (*it, to.to_vec())).collect(),
            configs: vec![],
        };
        let cases = [
            topic(-1, -1, &[]),
            topic(5, 1, &[]),
            topic(0, 1, &[]),
            topic(1, 0, &[]),
            topic(1, 2, &[]),
            topic(10_001, 1, &[]),
            topic(-1, -1, &[(1, &[1]), (0, &[1])]),
            topic(2, -1, &[(0, &[1])]),
            topic(-1, 1, &[(0, &[1])]),
            topic(-1, -1, &[(0, &[1]), (0, &[1])]),
            topic(-1, -1, &[(0, &[1]), (2, &[1])]),
            topic(-1, -1, &[(0, &[2])]),
            topic(-1, -1, &[(0, &[1, 1])]),
            topic(-1, -1, &[(0, &[])]),
        ];
        let judge = |it: &NewTopic| match partition_count(it, SITE) {
            Ok(count) => format!("{count} partitions\n"),
            Err(rejected) => format!("{rejected:.90}\n"),
        };
        expect![[r#"
            3 partitions
            5 partitions
            INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value.
            INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value.
            INVALID_REPLICATION_FACTOR: Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered.
            INVALID_PARTITIONS: A topic may have at most 10000 partitions.
            2 partitions
            INVALID_REQUEST: A manual partition assignment was specified, but numPartitions was not set to -1.
            INVALID_REQUEST: A manual partition assignment was specified, but replication factor was not set to -1.
            INVALID_REPLICA_ASSIGNMENT: Found multiple manual partition assignments for partition 0
            INVALID_REPLICA_ASSIGNMENT: partitions should be a consecutive 0-based integer sequence
            INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 2, but no such broker is registered.
            INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once.
            INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list.
        "#]]
        .assert_eq(&cases.iter().map(judge).collect::<String>());
    }
}

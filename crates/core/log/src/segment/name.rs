//! What the files in `segments/` are called.
//!
//! Owns: names to and from text. Does not own: which of the files count (`recovery`).

use crate::position::{Offset, PartitionId};
use std::fmt;

/// What tells the segments of a partition apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) base: Offset,
    /// 0: as the records came. Each compaction writes a higher one.
    pub(crate) generation: u64,
}

impl Name {
    pub(crate) const fn plain(base: Offset) -> Self {
        Self { base, generation: 0 }
    }
    fn parse(text: &str) -> Option<Self> {
        let (digits, generation) = match text.split_once('.') {
            Some((digits, generation)) => (digits, generation.parse().ok().filter(|it| *it > 0)?),
            None => (text, 0),
        };
        if digits.len() != 20 {
            return None;
        }
        Some(Self { base: Offset::from_wire(digits.parse().ok()?)?, generation })
    }
}

/// Twenty digits, so that names sort as offsets do.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.base.raw())?;
        if self.generation > 0 {
            write!(f, ".{}", self.generation)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Record batches.
    Log,
    Index,
    /// A compacted segment that is being written.
    Unfinished,
}

const EXTENSIONS: [(Kind, &str); 3] =
    [(Kind::Log, ".log"), (Kind::Index, ".index"), (Kind::Unfinished, ".tmp")];

/// One file: `<partition>.<segment>.<kind>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) partition: PartitionId,
    pub(crate) name: Name,
    pub(crate) kind: Kind,
}

impl FileName {
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let (kind, rest) =
            EXTENSIONS.iter().find_map(|(kind, end)| Some((*kind, file.strip_suffix(end)?)))?;
        let (partition, name) = rest.split_once('.')?;
        Some(Self { partition: PartitionId::parse(partition)?, name: Name::parse(name)?, kind })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extension = match self.kind {
            Kind::Log => "log",
            Kind::Index => "index",
            Kind::Unfinished => "tmp",
        };
        write!(f, "{}.{}.{extension}", self.partition, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use systole_kit::Uuid;

    proptest! {
        #[test]
        fn the_name_of_a_file_leads_back_to_it(
            topic: [u8; 16],
            index in 0_i32..,
            base in 0_i64..,
            generation in 0_u64..3,
        ) {
            let partition = PartitionId { topic: Uuid::from_bytes(topic), index };
            let name = Name { base: Offset::new(base), generation };
            for kind in [Kind::Log, Kind::Index, Kind::Unfinished] {
                let it = FileName { partition, name, kind };
                prop_assert_eq!(FileName::parse(&it.to_string()), Some(it));
            }
        }
    }

    #[test]
    fn other_files_have_no_meaning() {
        let good = "AQEBAQEBAQEBAQEBAQEBAQ-0.00000000000000000007.log";
        assert!(FileName::parse(good).is_some());
        for bad in [
            "00000000000000000007.log",
            "AQEBAQEBAQEBAQEBAQEBAQ-0.7.log",
            "AQEBAQEBAQEBAQEBAQEBAQ-0.00000000000000000007.0.log",
            "AQEBAQEBAQEBAQEBAQEBAQ.00000000000000000007.log",
            "AQEBAQEBAQEBAQEBAQEBAQ-0.00000000000000000007.log.bak",
        ] {
            assert_eq!(FileName::parse(bad), None, "{bad}");
        }
    }
}

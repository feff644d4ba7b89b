//! The topics of the node, as groups see them.

use std::sync::Arc;
use systole_kit::Uuid;

/// A topic that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    pub id: Uuid,
    pub partition_count: i32,
}

/// What exists now. Two answers may be of different moments: whoever remembers something reads the
/// version first, and looks again when it has grown.
pub trait Topics {
    /// Grows with each change of any topic or its partitions.
    fn version(&self) -> u64;
    fn by_name(&self, name: &str) -> Option<Topic>;
    fn name_of(&self, id: Uuid) -> Option<Arc<str>>;
    /// In the order of names.
    fn names(&self) -> Vec<Arc<str>>;
}

/// FNV-1a over names, ids and partition counts of those of `names` that exist; 0 if none does.
pub(crate) fn metadata_hash<'a>(
    names: impl Iterator<Item = &'a Arc<str>>,
    topics: &dyn Topics,
) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let mut is_empty = true;
    for name in names {
        let Some(topic) = topics.by_name(name) else { continue };
        is_empty = false;
        add(name.as_bytes());
        add(topic.id.as_bytes());
        add(&topic.partition_count.to_be_bytes());
    }
    if is_empty { 0 } else { i64::from_be_bytes(hash.to_be_bytes()) }
}

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

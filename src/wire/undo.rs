//! Undoing as clients ask for it, and what they hear of it.

use serde::{Deserialize, Serialize};

/// Which change; without one the caller's last.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoIn {
    /// Its position in the log: of a redo, that of the undoing.
    pub seq: Option<i64>,
}

/// A position of the log.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreToIn {
    pub seq: i64,
}

/// What was taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Undone {
    /// Where the compensating change stands in the log.
    pub seq: i64,
    /// The change that it takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<i64>,
    /// Items, or other things, that it changed itself.
    pub count: usize,
}

impl Undone {
    pub fn new(seq: i64, undoes: Option<i64>, count: usize) -> Undone {
        Undone { seq, undoes, count }
    }
}

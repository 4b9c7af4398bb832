//! What stood at an earlier position of the log. Pure: entries of the log come in, an earlier state comes
//! out. The log alone is asked: nothing of the past is kept beside it.
//!
//! # Backwards
//! The present is rewound. An entry about an item says what each cell held before it (`was`), so of all
//! entries since a position the oldest one about a cell says what stood there then. What nothing happened to
//! since stands as it is now. The work is that of what changed since, not of how much there is.
//!
//! # Names
//! Entries name columns by key and choices by name, as they were called when the entry was written. So the
//! schema is rewound first ([`Timeline`]): a change of it keeps, beside what it tells, the lists and columns
//! that it touched as they were before, with their ids ([`Before`]).
//!
//! # Links
//! An entry tells of the links that its item got and lost. Of all entries since that name a link, the
//! oldest says whether it was there. A cell of at most ten links has its order in the entry; behind the
//! tenth the order of an earlier time is not known.

mod before;
mod rewind;
mod said;

pub use before::{Before, Timeline};
pub use rewind::{LastChange, Rewound, pairs_then, rewind};
pub use said::{Entries, Entry, Said, SaidKind, by_item, read_entries};

use crate::error::AppError;

/// Entries that are read at most for one question about the past.
pub const MAX_ENTRIES: usize = 100_000;
/// Changes of the schema that are rewound at most.
pub const MAX_RESHAPES: usize = 2_000;

/// 413: the schema has changed more than [`MAX_RESHAPES`] times since.
pub fn too_reshaped() -> AppError {
    AppError::too_large("The schema has changed more often since than is followed back")
}

//! The rules of an import, pure: what a file is (`format`), how objects and cards become rows
//! (`flatten`, `vcard`), how a delimited file is split (`dialect`, `strict`, `header`), what its columns
//! are (`infer`, `keys`, `mapping`), what will be done with it (`plan`) and what a person is asked before
//! that (`proposal`). Bytes and records come in as
//! arguments; reading files is not its business, nor is storing rows.
//!
//! The rule above all: what a person should decide about is refused with a code, never guessed.

pub mod dialect;
pub mod flatten;
pub mod format;
pub mod header;
pub mod infer;
pub mod item_id;
pub mod keys;
pub mod mapping;
pub mod options;
pub mod plan;
pub mod proposal;
pub mod row_key;
pub mod strict;
pub mod vcard;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Most fields a record may have; also the most columns of a list.
pub const MAX_FIELDS: usize = 500;
/// Most bytes of one record, quotes and all.
pub const MAX_RECORD_BYTES: u64 = 1024 * 1024;
/// How much of a file is looked at to find out how it is written.
pub const SAMPLE_BYTES: usize = 64 * 1024;

/// What a person should know about a file that was taken all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about, e.g. `merged_cells`.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub message: String,
}

impl Warning {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
        }
    }
}

/// Why a file, a parameter or a mapping is not taken. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A JSON pointer to what is at fault: `/file`, `/mapping/<source>`, `/<parameter>`.
    pub path: Cow<'static, str>,
    /// The broken rule, e.g. `ragged_row`.
    pub code: &'static str,
    /// A sentence for people; names line and column where there is one.
    pub message: String,
}

impl Refusal {
    /// A fault of the file itself.
    pub fn file(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: Cow::Borrowed("/file"),
            code,
            message: message.into(),
        }
    }

    /// A fault of the request around the file.
    pub fn at(
        path: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            code,
            message: message.into(),
        }
    }
}

/// One step of a JSON pointer (RFC 6901): `~` and `/` escaped.
pub(crate) fn pointer_step(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

//! Comments on items.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/comments.sql"),
    down: "DROP TABLE estatebase.comments",
};

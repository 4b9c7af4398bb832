//! `estatebase.fold(text)`: texts compared without case in SQL, exactly as in memory.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/fold.sql"),
    down: "DROP FUNCTION estatebase.fold(text)",
};

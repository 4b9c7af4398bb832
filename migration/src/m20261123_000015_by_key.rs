//! Rows of a group are found by their keys, whatever the planner believes.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/by_key.sql"),
    // The functions take and answer what they did.
    down: "",
};

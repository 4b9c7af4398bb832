//! `estatebase.write_group(…)`: the group commit as one message to the database.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/write_group.sql"),
    down: "DROP FUNCTION estatebase.write_group",
};

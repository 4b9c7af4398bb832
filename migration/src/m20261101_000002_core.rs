//! Workspaces, members, invites, lists, columns, items, the log and the remembered operations.
//! The rules of keys, roles and row-level security are explained where they stand in `core.sql`.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/core.sql"),
    down: "DROP SCHEMA estatebase CASCADE",
};

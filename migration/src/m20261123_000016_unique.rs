//! Unique columns, and what a group commit writes of their keys.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/unique.sql"),
    down: "DROP FUNCTION estatebase.write_keys; DROP FUNCTION estatebase.unique_key;
        DROP TABLE estatebase.unique_keys;
        ALTER TABLE estatebase.columns DROP COLUMN is_unique, DROP COLUMN is_replaced",
};

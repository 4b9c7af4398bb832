//! The ways back through the log: a person's own changes, what undoes which, and changes of the schema.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/undo.sql"),
    down: "DROP INDEX estatebase.events_by_actor;
        DROP INDEX estatebase.events_by_undone;
        DROP INDEX estatebase.events_of_schema",
};

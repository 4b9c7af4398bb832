//! Public links to forms, and the form as who did something.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/forms.sql"),
    // What forms have brought in stays in the log: the old rule holds for what comes.
    down: "DROP FUNCTION estatebase.form_by_token;
        DROP TABLE estatebase.form_links;
        ALTER TABLE estatebase.events DROP CONSTRAINT events_actor_kind_check;
        ALTER TABLE estatebase.events ADD CONSTRAINT events_actor_kind_check
            CHECK (actor_kind IN ('user', 'token', 'job')) NOT VALID",
};

//! What upkeep asks across tenants, and what the planner should know of items; explained where it
//! stands in `upkeep.sql`.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/upkeep.sql"),
    down: "DROP STATISTICS estatebase.items_of_lists;
        DROP INDEX estatebase.ops_by_age;
        DROP FUNCTION estatebase.forget_ops(interval, integer);
        DROP FUNCTION estatebase.unfinished_jobs(uuid[])",
};

//! Jobs that are planned anew, and fairness between workspaces.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/job_runs.sql"),
    // The function of before does the same less fairly; it is left as it is.
    down: "REVOKE DELETE ON estatebase.job_errors FROM estatebase_app",
};

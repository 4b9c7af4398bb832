//! Jobs and the rows they could not store. Their keys, policies and the one look across tenants are
//! explained where they stand in `jobs.sql`.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/jobs.sql"),
    down: "DROP FUNCTION estatebase.claim_jobs(text, interval, integer);
        DROP TABLE estatebase.job_errors;
        DROP TABLE estatebase.jobs",
};

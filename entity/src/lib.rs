//! SeaORM models of the tables, one file a table, and the newtype ids. No logic.

pub mod ids;
pub mod job_errors;
pub mod jobs;

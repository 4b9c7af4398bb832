//! Migrations.

pub mod m20261101_000003_jobs;

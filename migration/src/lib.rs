//! The schema of the database, one file a migration, written so that the binary before it and the
//! one after it both work while it runs (expand, backfill, contract). Never imports the entities.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261101_000001_identity;
mod m20261101_000002_core;
mod m20261101_000003_jobs;
mod m20261101_000004_fold;
mod m20261123_000005_upkeep;
mod m20261123_000006_write_group;
mod m20261123_000007_links;
mod m20261123_000010_views;
mod m20261123_000011_comments;
mod m20261123_000012_forms;
mod m20261123_000014_undo;
mod m20261123_000015_by_key;
mod m20261123_000016_unique;
mod m20261124_000017_job_runs;
mod script;

/// All migrations, oldest first. Run as the owner of the database, never as the app's role.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261101_000001_identity::Migration),
            Box::new(m20261101_000002_core::MIGRATION),
            Box::new(m20261101_000003_jobs::MIGRATION),
            Box::new(m20261101_000004_fold::MIGRATION),
            Box::new(m20261123_000005_upkeep::MIGRATION),
            Box::new(m20261123_000006_write_group::MIGRATION),
            Box::new(m20261123_000007_links::MIGRATION),
            Box::new(m20261123_000010_views::MIGRATION),
            Box::new(m20261123_000011_comments::MIGRATION),
            Box::new(m20261123_000012_forms::MIGRATION),
            Box::new(m20261123_000014_undo::MIGRATION),
            Box::new(m20261123_000015_by_key::MIGRATION),
            Box::new(m20261123_000016_unique::MIGRATION),
            Box::new(m20261124_000017_job_runs::MIGRATION),
        ]
    }
}

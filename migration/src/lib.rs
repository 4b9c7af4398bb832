//! The schema of the database: one file a migration, applied in the order of this list.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::prelude::MigratorTrait;

mod m20261101_000001_identity;

/// All migrations.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261101_000001_identity::Migration)]
    }
}

//! Jobs and the rows they could not store. Their keys, policies and the one look across tenants are
//! explained where they stand in `jobs.sql`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(include_str!("sql/jobs.sql"))
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(
                "DROP FUNCTION estatebase.claim_jobs(text, interval, integer);
                 DROP TABLE estatebase.job_errors;
                 DROP TABLE estatebase.jobs",
            )
            .await?;
        Ok(())
    }
}

//! What upkeep asks across tenants, and what the planner should know of items; explained where it
//! stands in `upkeep.sql`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(include_str!("sql/upkeep.sql"))
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(
                "DROP STATISTICS estatebase.items_of_lists;
                 DROP INDEX estatebase.ops_by_age;
                 DROP FUNCTION estatebase.forget_ops(interval, integer);
                 DROP FUNCTION estatebase.unfinished_jobs(uuid[])",
            )
            .await?;
        Ok(())
    }
}

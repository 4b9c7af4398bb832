//! The second wall: what the database itself refuses, whatever the server asks.

use entity::{columns, invites, items, lists, members, profiles, workspaces};
use estatebase::ids::WorkspaceId;
use estatebase::store::{Db, Purpose, Tx};
use sea_orm::EntityTrait as _;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::app::{TestApp, last};
use crate::support::db::TestDb;

/// Tables of the product that belong to no workspace, each named with its reason in the schema.
const SHARED: [&str; 1] = ["profiles"];

async fn tenant_tables(connection: &mut PgConnection) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'estatebase'::regnamespace
            AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    tables
        .into_iter()
        .filter(|name| !SHARED.contains(&name.as_str()) && name != "seaql_migrations")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenants_table_shows_nothing_to_who_does_not_say_for_whom() {
    let app = TestApp::new().await;
    let (owner, other) = (app.person("owner").await, app.person("other").await);
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    owner.item(&list, json!({"Price": 1})).await;
    let foreign = other.workspace().await;
    let foreign = foreign.rsplit('/').next().unwrap();
    let mut database = PgConnection::connect(&app.db.app_url()).await.unwrap();
    let tables = tenant_tables(&mut database).await;
    assert!(tables.len() >= 10, "{tables:?}");
    for table in &tables {
        let column = if table == "workspaces" {
            "id"
        } else {
            "workspace_id"
        };
        let own = workspace.rsplit('/').next().unwrap();
        let count = format!("SELECT count(*) FROM estatebase.{table} WHERE {column} = '{own}'");
        for context in ["", foreign] {
            let mut tx = database.begin().await.unwrap();
            sqlx::query("SELECT set_config('app.workspace_id', $1, true)")
                .bind(context)
                .execute(&mut *tx)
                .await
                .unwrap();
            let seen: i64 = sqlx::query_scalar(AssertSqlSafe(count.clone()))
                .fetch_one(&mut *tx)
                .await
                .unwrap();
            assert_eq!(seen, 0, "{table} as {context:?}");
        }
        // The setting ended with its transaction: the connection remembers nobody.
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(count))
            .fetch_one(&mut database)
            .await
            .unwrap();
        assert_eq!(seen, 0, "{table} after another's transaction");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_another_workspace_can_not_be_written() {
    let app = TestApp::new().await;
    let (owner, other) = (app.person("owner").await, app.person("other").await);
    let own = last(&owner.workspace().await);
    let foreign = last(&other.workspace().await);
    let mut database = PgConnection::connect(&app.db.app_url()).await.unwrap();
    let insert = format!(
        "BEGIN; SET LOCAL app.workspace_id = '{own}';
         INSERT INTO estatebase.members (workspace_id, user_id, role, joined_at)
         VALUES ('{foreign}', '{}', 'owner', now())",
        owner.id
    );
    let refused = sqlx::raw_sql(AssertSqlSafe(insert))
        .execute(&mut database)
        .await
        .unwrap_err();
    assert_eq!(
        refused.as_database_error().unwrap().code().unwrap(),
        "42501"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_the_log_is_no_way_around_its_policies() {
    let db = TestDb::new().await;
    let mut database = PgConnection::connect(&db.app_url()).await.unwrap();
    let partitions: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
         WHERE inhparent = 'estatebase.events'::regclass",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert!(
        partitions.len() >= 5,
        "this month, three ahead, and a default one"
    );
    for partition in partitions {
        let read = format!("SELECT 1 FROM estatebase.{partition}");
        let refused = sqlx::query(AssertSqlSafe(read))
            .execute(&mut database)
            .await
            .unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().unwrap(),
            "42501",
            "{partition}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entity_agrees_with_the_migrated_schema() {
    let db = TestDb::new().await;
    let pool = Db::open(&db.app_url(), 1).unwrap();
    let tx = Tx::begin(&pool, WorkspaceId(Uuid::nil()), Purpose::Read)
        .await
        .unwrap();
    workspaces::Entity::find().one(&tx).await.unwrap();
    members::Entity::find().one(&tx).await.unwrap();
    invites::Entity::find().one(&tx).await.unwrap();
    lists::Entity::find().one(&tx).await.unwrap();
    columns::Entity::find().one(&tx).await.unwrap();
    items::Entity::find().one(&tx).await.unwrap();
    profiles::Entity::find().one(&tx).await.unwrap();
    entity::form_links::Entity::find().one(&tx).await.unwrap();
    entity::views::Entity::find().one(&tx).await.unwrap();
    entity::jobs::Entity::find().one(&tx).await.unwrap();
    entity::job_errors::Entity::find().one(&tx).await.unwrap();
    tx.commit().await.unwrap();
    pool.close().await;
}

//! The test databases themselves, and the role that the server signs in with.

use estatebase::store::roles;
use sqlx::{Connection as _, PgConnection};

use crate::support::db::{TestDb, execute};

async fn tables(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'estatebase'")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let (one, other) = tokio::join!(TestDb::new(), TestDb::new());
    let mut one = PgConnection::connect(&one.owner_url()).await.unwrap();
    let mut other = PgConnection::connect(&other.owner_url()).await.unwrap();
    let migrated = tables(&mut other).await;
    assert!(migrated > 0);
    execute(&mut one, "CREATE TABLE estatebase.of_one ()".to_owned()).await;
    assert_eq!(tables(&mut one).await, migrated + 1);
    assert_eq!(tables(&mut other).await, migrated);
}

#[tokio::test]
async fn the_servers_role_owns_nothing_and_is_bound_by_the_policies() {
    let db = TestDb::new().await;
    let mut app = PgConnection::connect(&db.app_url()).await.unwrap();
    assert!(roles::is_fit_for_serving(&mut app).await.unwrap());
    let owned: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole
            OR relowner = to_regrole($1)",
    )
    .bind(roles::APP)
    .fetch_one(&mut app)
    .await
    .unwrap();
    assert_eq!(owned, 0);
    let refused = sqlx::raw_sql("CREATE TABLE estatebase.mine ()")
        .execute(&mut app)
        .await;
    let code = refused
        .unwrap_err()
        .as_database_error()
        .unwrap()
        .code()
        .unwrap()
        .into_owned();
    assert_eq!(code, "42501", "insufficient_privilege");
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    assert!(!roles::is_fit_for_serving(&mut owner).await.unwrap());
}

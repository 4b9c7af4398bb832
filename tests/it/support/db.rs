//! A migrated database for one test. The migrations run once in a process, in a template; each
//! test's database is a copy of it, and is dropped with its `TestDb`.

use std::sync::atomic::{AtomicU32, Ordering};

use estatebase::store::roles::{self, Login};
use migration::{Migrator, MigratorTrait as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;
use url::Url;

use super::app::TestApp;

const OWNER: &str = "estatebase_owner";
const WEB: &str = "estatebase_web";
/// The same in every test process: they may share a server, and the roles are the server's.
const PASSWORD: &str = "for tests only";

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// One test's database.
pub(crate) struct TestDb {
    name: String,
}

impl TestDb {
    /// A copy of the migrated template.
    pub(crate) async fn new() -> Self {
        let template = TEMPLATE.get_or_init(make_template).await;
        let name = new_name();
        let mut server = PgConnection::connect(server_url().as_str()).await.unwrap();
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}");
        execute(&mut server, statement).await;
        Self { name }
    }

    /// As the role that migrates and owns every table.
    pub(crate) fn owner_url(&self) -> String {
        url(OWNER, &self.name)
    }

    /// As the role that the server signs in with.
    pub(crate) fn app_url(&self) -> String {
        url(WEB, &self.name)
    }

    /// A secret stands in none of the tables, in no payload and in no remembered answer.
    pub(crate) async fn never_stored(&self, tables: &[&str], secret: &str) {
        let mut database = PgConnection::connect(&self.owner_url()).await.unwrap();
        for table in tables {
            let everything: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                "SELECT string_agg(t::text || coalesce(convert_from(decode(substr(p.p, 3), 'hex'), 'UTF8'), ''), ' ')
                 FROM estatebase.{table} t
                 LEFT JOIN LATERAL (SELECT coalesce(to_jsonb(t)->>'payload', to_jsonb(t)->>'answer') AS p) p ON true"
            )))
            .fetch_one(&mut database)
            .await
            .unwrap();
            let everything = everything.unwrap_or_default();
            assert!(
                !everything.is_empty() && !everything.contains(secret),
                "in {table}"
            );
        }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        drop_database(&self.name);
    }
}

/// The server's address as its superuser; tests can't run without one.
pub(crate) fn server_url() -> Url {
    let url = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!("TEST_DATABASE_URL is not set: run `make test`, or `estatebase with-postgres -- cargo test …`")
    });
    Url::parse(&url).unwrap()
}

/// A name that no other test of any process has.
pub(crate) fn new_name() -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("estatebase_test_{}_{count}", std::process::id())
}

/// Drops a database whoever is still connected to it.
pub(crate) fn drop_database(name: &str) {
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    // The caller may stand in a runtime, which must not be blocked on.
    let dropping = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let mut server = PgConnection::connect(server_url().as_str()).await.unwrap();
                execute(&mut server, statement).await;
            });
    });
    let dropped = dropping.join();
    if !std::thread::panicking() {
        dropped.unwrap();
    }
}

pub(crate) async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .unwrap();
}

/// A connection to a test's database as the server's superuser.
pub(crate) async fn superuser(app: &TestApp) -> PgConnection {
    let mut url = server_url();
    url.set_path(&app.db.name);
    PgConnection::connect(url.as_str()).await.unwrap()
}

async fn make_template() -> String {
    let name = new_name();
    let mut server = PgConnection::connect(server_url().as_str()).await.unwrap();
    roles::ensure_groups(&mut server).await.unwrap();
    for (role, group) in [(OWNER, None), (WEB, Some(roles::APP))] {
        let login = Login {
            name: role,
            password: PASSWORD,
        };
        roles::ensure_login(&mut server, login, group)
            .await
            .unwrap();
    }
    execute(&mut server, format!("CREATE DATABASE {name} OWNER {OWNER}")).await;
    let owner = sea_orm::Database::connect(url(OWNER, &name)).await.unwrap();
    Migrator::up(&owner, None).await.unwrap();
    owner.close().await.unwrap();
    name
}

fn url(user: &str, database: &str) -> String {
    let mut url = server_url();
    url.set_username(user).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url.set_path(database);
    url.into()
}

/// How far what is held of unique columns is from the values of the living items: how many values are held
/// by another, by nobody, or for nothing. No answer of the server's tells.
pub(crate) async fn unheld(db: &TestDb) -> i64 {
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    sqlx::query_scalar(
        r#"SELECT count(*) FROM (
             SELECT i.workspace_id, i.list_id, c.id AS column_id,
                 estatebase.unique_key(i."values"->>c.id) AS key, i.id
             FROM estatebase.items i JOIN estatebase.columns c USING (workspace_id, list_id)
             WHERE c.is_unique AND c.deleted_at IS NULL AND i.deleted_at IS NULL AND i."values" ? c.id
         ) living FULL JOIN estatebase.unique_keys k USING (workspace_id, list_id, column_id, key)
         WHERE living.id IS DISTINCT FROM k.item_id"#,
    )
    .fetch_one(&mut owner)
    .await
    .unwrap()
}

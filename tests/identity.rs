//! The built-in identity provider on a Postgres of its own, served alone.

#[path = "it/auth_js.rs"]
mod auth_js;
#[path = "it/identity.rs"]
mod identity;

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use actix_web::{App, HttpServer, web};
use estatebase::auth::provider::{Provider, ProviderConfig};
use estatebase::auth::{BuiltInKeys, install_crypto};
use estatebase::ids::UserId;
use migration::{Migrator, MigratorTrait as _};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use url::Url;
use uuid::Uuid;

/// A Postgres cluster in a temporary folder; stopped and removed when dropped.
struct Cluster {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    port: u16,
}

impl Cluster {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        if let Some((uid, gid)) = unprivileged() {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let cluster = Self {
            folder,
            binaries: binaries(),
            port,
        };
        let data = cluster.folder.path().join("data");
        cluster.run(
            "initdb",
            &[
                "--no-sync",
                "--auth=trust",
                "--username=owner",
                "--encoding=UTF8",
                "--pgdata",
                data.to_str().unwrap(),
            ],
        );
        let socket = cluster.folder.path().to_str().unwrap();
        let options = format!("-p {port} -k {socket} -c listen_addresses=127.0.0.1 -c fsync=off");
        let log = cluster.folder.path().join("log");
        cluster.run(
            "pg_ctl",
            &[
                "-w",
                "-D",
                data.to_str().unwrap(),
                "-l",
                log.to_str().unwrap(),
                "-o",
                &options,
                "start",
            ],
        );
        cluster
    }

    async fn pool(&self, user: &str) -> PgPool {
        let options = PgConnectOptions::new()
            .host("127.0.0.1")
            .port(self.port)
            .username(user)
            .database("postgres");
        PgPoolOptions::new()
            .max_connections(8)
            .connect_with(options)
            .await
            .unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.binaries.join(program));
        command.args(arguments).current_dir(self.folder.path());
        if let Some((uid, gid)) = unprivileged() {
            command.uid(uid).gid(gid);
        }
        // Not captured: the server would inherit the pipe and keep it open.
        command.stdout(std::process::Stdio::null());
        assert!(command.status().unwrap().success(), "{command:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        self.run(
            "pg_ctl",
            &[
                "-w",
                "-m",
                "immediate",
                "-D",
                data.to_str().unwrap(),
                "stop",
            ],
        );
    }
}

/// Whom to run as where we are root, for Postgres refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    let root = Path::new("/proc/self")
        .metadata()
        .is_ok_and(|process| process.uid() == 0);
    let id = |flag: &str| {
        let output = Command::new("id")
            .args([flag, "postgres"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    root.then(|| (id("-u"), id("-g")))
}

fn binaries() -> PathBuf {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("Postgres is needed for this test")
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    versions.pop().unwrap()
}

/// The schema, made by the owner; a role of the server without more rights than its group's; and a
/// stranger.
async fn migrate(cluster: &Cluster) -> PgPool {
    let url = format!("postgres://owner@127.0.0.1:{}/postgres", cluster.port);
    let database = sea_orm::Database::connect(url).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    Migrator::down(&database, None).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    let owner = cluster.pool("owner").await;
    for role in [
        "CREATE ROLE server LOGIN IN ROLE estatebase_app",
        "CREATE ROLE stranger LOGIN",
    ] {
        sqlx::query(role).execute(&owner).await.unwrap();
    }
    owner
}

#[actix_web::test]
async fn the_built_in_provider_keeps_its_promises() {
    install_crypto();
    let cluster = Cluster::start();
    let owner = migrate(&cluster).await;
    let pool = cluster.pool("server").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let secret = SecretString::from("a secret for this test, long enough");
    let keys = BuiltInKeys::derive(&secret, &Url::parse(&base).unwrap()).unwrap();
    let config = ProviderConfig {
        pool: pool.clone(),
        keys,
        limit_attempts: true,
    };
    let provider = web::Data::new(Provider::new(config).unwrap());
    let shared = provider.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .configure(estatebase::http::identity::configure)
    })
    .workers(2)
    .listen(listener)
    .unwrap()
    .run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);

    auth_js::the_official_client_works(&base).await;
    identity::it_says_what_it_is(&base).await;
    identity::an_address_has_one_account_however_many_ask_at_once(&base).await;
    identity::refreshing_at_once_from_many_tabs_gives_all_the_same_token(&base).await;
    identity::a_token_from_before_the_last_refresh_ends_the_session(&base).await;
    identity::signing_out_ends_what_its_scope_says(&base).await;
    identity::a_new_password_ends_the_other_sessions(&base).await;
    identity::metadata_is_merged_and_kept_small(&base).await;
    identity::an_address_can_be_changed_but_not_taken(&base).await;
    identity::errors_come_in_the_style_of_the_version_asked_for(&base).await;
    identity::bad_input_gets_a_code_and_harms_nobody(&base).await;
    identity::a_caller_names_themselves_in_one_header_only(&base).await;
    identity::guessing_a_password_ends_after_ten_tries(&base).await;
    identity::an_unknown_address_looks_like_a_wrong_password(&base).await;
    the_demo_login_is_made_once_and_kept(&provider).await;
    a_dump_holds_no_secret(&base, &owner).await;
    only_the_servers_role_may_look(&cluster, &pool).await;

    handle.stop(false).await;
    serving.await.unwrap().unwrap();
    pool.close().await;
    owner.close().await;
}

async fn the_demo_login_is_made_once_and_kept(provider: &Provider) {
    let ensure = |password: &str| {
        provider.ensure_user("Demo@Estatebase.Example", SecretString::from(password))
    };
    let (one, other) = futures::join!(ensure(identity::PASSWORD), ensure(identity::PASSWORD));
    let id: UserId = one.unwrap();
    assert_eq!(other.unwrap(), id);
    assert_eq!(ensure("another password").await.unwrap(), id);
    let here = std::net::IpAddr::from([127, 0, 0, 9]);
    let demo = "demo@estatebase.example";
    let signed_in = provider
        .sign_in(demo, SecretString::from(identity::PASSWORD), here)
        .await
        .unwrap();
    assert_eq!(signed_in.account.id, id);
    assert!(!provider.session_is_live(Uuid::new_v4()).await.unwrap());
}

async fn a_dump_holds_no_secret(base: &str, owner: &PgPool) {
    let email = format!("dump.{}@example.com", Uuid::new_v4().simple());
    let answer: serde_json::Value = reqwest::Client::new()
        .post(format!("{base}/auth/v1/signup"))
        .json(&serde_json::json!({"email": email, "password": "a password to look for"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let dump: String = sqlx::query_scalar(
        "SELECT string_agg(row, E'\\n') FROM (
             SELECT u::text FROM identity.users u
             UNION ALL SELECT s::text FROM identity.sessions s
             UNION ALL SELECT t::text FROM identity.refresh_tokens t
         ) AS rows (row)",
    )
    .fetch_one(owner)
    .await
    .unwrap();
    assert!(dump.contains(&email) && dump.contains("$argon2id$"));
    let refresh = answer["refresh_token"].as_str().unwrap();
    let hex_of = |text: &str| hex::encode(text);
    for secret in [
        "a password to look for",
        refresh,
        answer["access_token"].as_str().unwrap(),
    ] {
        assert!(
            !dump.contains(secret) && !dump.contains(&hex_of(secret)),
            "{secret}"
        );
    }
}

async fn only_the_servers_role_may_look(cluster: &Cluster, server: &PgPool) {
    let stranger = cluster.pool("stranger").await;
    for table in ["users", "sessions", "refresh_tokens"] {
        let select = format!("SELECT count(*) FROM identity.{table}");
        let select = || sqlx::query(sqlx::AssertSqlSafe(select.clone()));
        assert!(select().execute(server).await.is_ok());
        let refused = select().execute(&stranger).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().unwrap(),
            "42501"
        );
        let truncate = format!("TRUNCATE identity.{table} CASCADE");
        let refused = sqlx::query(sqlx::AssertSqlSafe(truncate))
            .execute(server)
            .await
            .unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().unwrap(),
            "42501"
        );
    }
    stranger.close().await;
}

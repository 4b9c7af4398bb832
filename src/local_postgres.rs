//! A private Postgres cluster from the programs that are installed on this machine: made, started,
//! furnished with the product's roles and database, recovered after any death, and stopped. It
//! listens on 127.0.0.1 only and asks everyone for a password. The schema is the migrations'.

mod account;
mod binaries;
mod guard;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tracing::{debug, info, warn};

use self::account::Account;
use self::binaries::Binaries;
use self::guard::{Ending, Guard};
use crate::data_folder::{self, DataFolder};
use crate::store::roles::{self, Login};

const SUPERUSER: &str = "postgres";
const OWNER: &str = "estatebase_owner";
const WEB: &str = "estatebase_web";
const DATABASE: &str = "estatebase";

/// Where clusters stand that are not to be reached in their data folder.
const SHARED_HOME: &str = "/var/lib/estatebase";

/// How long a start may take while Postgres shows no sign of an error: a recovery after a crash
/// replays up to `max_wal_size`.
const PATIENCE: Duration = Duration::from_secs(300);
/// Starts tried when another program takes the port, or an earlier server's last processes linger.
const ATTEMPTS: u32 = 8;

/// What every cluster is started with.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    // A socket file's path has a limit of some 100 bytes, a clone's has none.
    "unix_socket_directories=",
    "timezone=UTC",
    "log_timezone=UTC",
    "jit=off",
    "wal_compression=on",
    "synchronous_commit=on",
];
/// For data that stays, on a machine of some GB.
const KEPT: &[&str] = &[
    "max_connections=100",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
];
/// For data that nobody misses after a crash.
const THROWAWAY: &[&str] = &[
    "max_connections=300",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum_naptime=1h",
];

/// A running cluster. `stop` ends it and waits; letting go of it, or the death of this process,
/// ends it soon after.
#[derive(Debug)]
pub struct LocalPostgres {
    access: Access,
    guard: Guard,
}

/// What it takes to connect. Kept in the data folder, for its owner's eyes.
#[derive(Clone, Serialize, Deserialize)]
struct Access {
    port: u16,
    superuser_password: String,
    owner_password: String,
    app_password: String,
}

/// The place and the programs of one cluster.
struct Cluster {
    account: Account,
    binaries: Binaries,
    /// Postgres's own folder.
    data: PathBuf,
    log: PathBuf,
    settings: &'static [&'static str],
}

impl LocalPostgres {
    /// Starts the cluster of this folder, which is made first when there is none. What an earlier
    /// server left running is stopped first.
    pub async fn start(folder: &DataFolder) -> anyhow::Result<Self> {
        let remembered = folder.path().join("postgres.json");
        let mut access = Access::kept_in(&remembered)?;
        let cluster = Cluster::kept_in(folder.path())?;
        cluster.stop_leftover()?;
        if !cluster.data.exists() {
            info!("making a private Postgres in {}", cluster.data.display());
            cluster.make(&access, &[])?;
        }
        let port = access.port;
        let guard = cluster.start(&mut access, Ending::Fast).await?;
        if access.port != port {
            access.keep(&remembered)?;
        }
        data_folder::write_private(&folder.path().join("pg_service.conf"), &access.services())?;
        let this = Self { access, guard };
        this.furnish().await?;
        info!(port = this.access.port, "the private Postgres is up");
        Ok(this)
    }

    /// Starts a new cluster that is deleted when it stops. It survives no crash, and is the faster
    /// for it: for tests.
    pub async fn throwaway() -> anyhow::Result<Self> {
        let account = Account::choose(None)?;
        let binaries = Binaries::find(&account, None)?;
        let folder = temporary_folder(&account)?;
        let cluster = Cluster {
            account,
            binaries,
            data: folder.path().join("data"),
            log: folder.path().join("log"),
            settings: THROWAWAY,
        };
        let mut access = Access::new();
        cluster.make(&access, &["--no-sync"])?;
        let guard = cluster
            .start(&mut access, Ending::Deleted(folder.path()))
            .await?;
        // From here on the guard deletes it.
        let _ = folder.keep();
        let this = Self { access, guard };
        this.furnish().await?;
        Ok(this)
    }

    /// The product's database as its owner; for migrations.
    pub fn owner_url(&self) -> SecretString {
        self.access
            .url(OWNER, &self.access.owner_password, DATABASE)
    }

    /// The product's database as the server's role.
    pub fn app_url(&self) -> SecretString {
        self.access.url(WEB, &self.access.app_password, DATABASE)
    }

    /// The database `postgres` as the superuser.
    pub fn superuser_url(&self) -> SecretString {
        self.access
            .url(SUPERUSER, &self.access.superuser_password, "postgres")
    }

    /// Stops the cluster and waits until it is gone.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.guard.stop().await
    }

    /// Roles and database, as far as they are missing.
    async fn furnish(&self) -> anyhow::Result<()> {
        let furnish = async {
            let mut connection = self.access.superuser().connect().await?;
            let (owner, web) = (
                Login {
                    name: OWNER,
                    password: &self.access.owner_password,
                },
                Login {
                    name: WEB,
                    password: &self.access.app_password,
                },
            );
            roles::ensure_groups(&mut connection).await?;
            roles::ensure_login(&mut connection, owner, None).await?;
            roles::ensure_login(&mut connection, web, Some(roles::APP)).await?;
            roles::ensure_database(&mut connection, DATABASE, OWNER).await?;
            connection.close().await?;
            anyhow::Ok(())
        };
        furnish
            .await
            .context("the private Postgres can't be given its roles and database")
    }
}

impl Access {
    fn new() -> Self {
        Self {
            port: 0,
            superuser_password: data_folder::random_secret(),
            owner_password: data_folder::random_secret(),
            app_password: data_folder::random_secret(),
        }
    }

    fn kept_in(path: &Path) -> anyhow::Result<Self> {
        match data_folder::read_if_any(path)? {
            Some(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} can't be understood", path.display())),
            None => {
                let access = Self::new();
                access.keep(path)?;
                Ok(access)
            }
        }
    }

    fn keep(&self, path: &Path) -> anyhow::Result<()> {
        data_folder::write_private(path, &serde_json::to_string_pretty(self)?)
    }

    /// For `psql service=estatebase`, so that no password stands in a command line
    /// (PostgreSQL manual, 34.17).
    fn services(&self) -> String {
        let service = |name: &str, user: &str, password: &str, database: &str| {
            format!(
                "[{name}]\nhost=127.0.0.1\nport={}\nuser={user}\npassword={password}\ndbname={database}\n\n",
                self.port
            )
        };
        [
            service("estatebase", OWNER, &self.owner_password, DATABASE),
            service("estatebase_web", WEB, &self.app_password, DATABASE),
            service("superuser", SUPERUSER, &self.superuser_password, DATABASE),
        ]
        .concat()
    }

    /// All parts are hexadecimal or plain names: nothing needs an escape.
    fn url(&self, user: &str, password: &str, database: &str) -> SecretString {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
        .into()
    }

    fn superuser(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .ssl_mode(PgSslMode::Disable)
            .username(SUPERUSER)
            .password(&self.superuser_password)
            .database("postgres")
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Access")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster of a data folder: in its subfolder `postgres`, or where that link points to.
    fn kept_in(folder: &Path) -> anyhow::Result<Self> {
        let link = folder.join("postgres");
        let data = link.join("data");
        let account = Account::choose(data.exists().then_some(data.as_path()))?;
        let version = data_folder::read_if_any(&data.join("PG_VERSION"))
            .context("start as the user who made it, or start anew with: make reset")?
            .and_then(|version| version.trim().parse().ok());
        let binaries = Binaries::find(&account, version)?;
        if !link.exists() {
            make_home(&account, folder, &link)?;
        }
        let home = link.canonicalize()?;
        Ok(Self {
            account,
            binaries,
            data: home.join("data"),
            log: folder.join("postgres.log"),
            settings: KEPT,
        })
    }

    fn program(&self, name: &str) -> Command {
        self.account.command(self.binaries.program(name))
    }

    /// Makes the data beside its place and moves it there: whatever happens, it is whole or absent.
    fn make(&self, access: &Access, options: &[&str]) -> anyhow::Result<()> {
        let unfinished = self.data.with_extension("unfinished");
        let password = self.data.with_extension("password");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        data_folder::write_private(&password, &access.superuser_password)?;
        self.account.give(&password)?;
        let mut command = self.program("initdb");
        command
            .args([
                "--encoding=UTF8",
                "--auth=scram-sha-256",
                "--username",
                SUPERUSER,
            ])
            .args(LOCALE)
            .args(options)
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(&unfinished);
        let made = Account::run(&mut command);
        fs::remove_file(&password)?;
        made.context("a private Postgres can't be made")?;
        fs::rename(&unfinished, &self.data)?;
        Ok(())
    }

    /// Starts Postgres on the port it had, or another one when that is taken.
    async fn start(&self, access: &mut Access, ending: Ending<'_>) -> anyhow::Result<Guard> {
        let mut said = String::new();
        for attempt in 1..=ATTEMPTS {
            access.port = free_port(access.port)?;
            let mut postgres = self.program("postgres");
            postgres
                .arg("-D")
                .arg(&self.data)
                .args(["-p", &access.port.to_string()]);
            for setting in SETTINGS.iter().chain(self.settings) {
                postgres.args(["-c", setting]);
            }
            let mut guard = Guard::start(&self.account, &postgres, ending, &self.log)?;
            if await_answer(&mut guard, access).await? {
                return Ok(guard);
            }
            said = guard.said();
            if !may_pass(&said) {
                break;
            }
            debug!(attempt, "Postgres did not start: {said}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("the private Postgres does not start. It said:\n{said}")
    }

    /// Stops the Postgres that a dead server left running on this data. The caller holds the data
    /// folder, so nobody else's it can be.
    fn stop_leftover(&self) -> anyhow::Result<()> {
        let note = self.data.join("postmaster.pid");
        let Some(pid) = data_folder::read_if_any(&note)?
            .and_then(|text| text.lines().next()?.trim().parse::<i32>().ok())
        else {
            return Ok(());
        };
        match command_line(pid) {
            // Postgres itself judges a note whose process is gone.
            None => Ok(()),
            Some(line) if line.contains(&*self.data.to_string_lossy()) => {
                warn!("stopping the Postgres (process {pid}) that an earlier server left running");
                let stop = |how: &str| {
                    let mut command = self.program("pg_ctl");
                    command.arg("stop").arg("-D").arg(&self.data);
                    Account::run(command.args(["-w", "-t", "60", "-m", how]))
                };
                match stop("fast") {
                    // It may have ended in between, by its guard.
                    Err(_) if command_line(pid).is_some() => stop("immediate"),
                    _ => Ok(()),
                }
            }
            // The number went to another program, which must not be taken for Postgres.
            Some(_) => Ok(fs::remove_file(&note)?),
        }
    }
}

/// Text compares by code point everywhere, and upper and lower case are known beyond ASCII.
const LOCALE: &[&str] = if cfg!(target_os = "macos") {
    &["--locale=C", "--lc-ctype=UTF-8"]
} else {
    &["--locale=C.UTF-8", "--lc-messages=C"]
};

/// Makes the folder that the cluster stands in: in the data folder, or elsewhere with a link to it
/// when the account can't enter the data folder.
fn make_home(account: &Account, folder: &Path, link: &Path) -> anyhow::Result<()> {
    if link.is_symlink() {
        // It leads nowhere: what it led to was deleted.
        fs::remove_file(link)?;
    }
    if account.may_enter(folder) {
        return make_private_folder(account, link);
    }
    let base = Path::new(SHARED_HOME);
    fs::create_dir_all(base).with_context(|| format!("{SHARED_HOME} can't be made"))?;
    let hash = hex::encode(Sha256::digest(folder.as_os_str().as_encoded_bytes()));
    let name = hash.get(..12).unwrap_or(&hash);
    // The first names may be taken by the data of earlier folders of the same path.
    let home = (1u32..)
        .map(|n| {
            base.join(if n == 1 {
                name.to_owned()
            } else {
                format!("{name}-{n}")
            })
        })
        .find(|home| !home.exists())
        .context("no name is free")?;
    make_private_folder(account, &home)?;
    symlink(&home, link)?;
    info!(
        "Postgres refuses to be run by root, and the user who runs it can't enter {}: its data is kept in {}",
        folder.display(),
        home.display()
    );
    Ok(())
}

fn make_private_folder(account: &Account, path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(|| format!("{} can't be made", path.display()))?;
    account.give(path)
}

/// A new folder among the temporary ones, or in /tmp when the account can't enter those.
fn temporary_folder(account: &Account) -> anyhow::Result<tempfile::TempDir> {
    let usual = std::env::temp_dir();
    let base = if account.may_enter(&usual) {
        usual
    } else {
        PathBuf::from("/tmp")
    };
    let folder = tempfile::Builder::new()
        .prefix("estatebase-")
        .tempdir_in(base)?;
    account.give(folder.path())?;
    Ok(folder)
}

/// The wanted port if it is free, else another one.
fn free_port(wanted: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Waits until Postgres answers (true) or has ended (false).
async fn await_answer(guard: &mut Guard, access: &Access) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let options = access
        .superuser()
        .log_statements(tracing::log::LevelFilter::Off);
    loop {
        match PgConnection::connect_with(&options).await {
            Ok(connection) => {
                // Another program may have taken the port; it does not know our password.
                connection.close().await?;
                return Ok(true);
            }
            Err(_) if guard.has_ended()? => return Ok(false),
            Err(sqlx::Error::Database(answer)) if answer.code().as_deref() == Some("28P01") => {
                bail!(
                    "the private Postgres does not take the password in postgres.json: that file is not the one it was made with. Put it back, or start anew with: make reset"
                )
            }
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(error).context("the private Postgres does not answer");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
}

/// Whether what Postgres said at its end may be otherwise in a moment.
fn may_pass(said: &str) -> bool {
    [
        "Address already in use",
        "pre-existing shared memory block",
        "lock file \"postmaster.pid\" already exists",
    ]
    .iter()
    .any(|sign| said.contains(sign))
}

/// How a process was started; nothing when there is none of that number.
fn command_line(pid: i32) -> Option<String> {
    if let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let output = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

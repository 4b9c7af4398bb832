//! One cluster on the disk and its process: made, started, and rid of what an earlier server left.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tracing::{debug, warn};

use super::access::{Access, SUPERUSER};
use super::account::Account;
use super::binaries::Binaries;
use super::guard::{Ending, Guard};
use super::home;
use crate::data_folder;

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
///
/// What an import dirties goes to the disk as it comes: with large buffers the kernel would write
/// hundreds of megabytes at once each half minute, and every commit beside it wait for them.
pub(super) const KEPT: &[&str] = &[
    "max_connections=150",
    "shared_buffers=64MB",
    "backend_flush_after=256kB",
    "max_wal_size=4GB",
];
/// New segments of the write-ahead log are zeroed by the commit that needs the first byte of one: small
/// ones make it wait for milliseconds instead of tenths of a second.
pub(super) const WAL_SEGMENTS: &str = "--wal-segsize=1";
/// For data that nobody misses after a crash.
pub(super) const THROWAWAY: &[&str] = &[
    "max_connections=300",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum_naptime=1h",
];

/// Text compares by code point everywhere, and upper and lower case are known beyond ASCII.
const LOCALE: &[&str] = if cfg!(target_os = "macos") {
    &["--locale=C", "--lc-ctype=UTF-8"]
} else {
    &["--locale=C.UTF-8", "--lc-messages=C"]
};

/// The place and the programs of one cluster.
pub(super) struct Cluster {
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    /// Postgres's own folder.
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) settings: &'static [&'static str],
}

impl Cluster {
    /// The cluster of a data folder: in its subfolder `postgres`, or where that link points to.
    pub(super) fn kept_in(folder: &Path) -> anyhow::Result<Self> {
        let link = folder.join("postgres");
        let data = link.join("data");
        let account = Account::choose(data.exists().then_some(data.as_path()))?;
        let version = data_folder::read_if_any(&data.join("PG_VERSION"))
            .context("start as the user who made it, or start anew with: make reset")?
            .and_then(|version| version.trim().parse().ok());
        let binaries = Binaries::find(&account, version)?;
        if !link.exists() {
            home::make(&account, folder, &link)?;
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
    pub(super) fn make(&self, access: &Access, options: &[&str]) -> anyhow::Result<()> {
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
    pub(super) async fn start(
        &self,
        access: &mut Access,
        ending: Ending<'_>,
    ) -> anyhow::Result<Guard> {
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
    pub(super) fn stop_leftover(&self) -> anyhow::Result<()> {
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
                // Its guard may be ending it too: then its note goes a moment before its process.
                let ends = || {
                    (0..100).any(|_| {
                        let gone = command_line(pid).is_none();
                        if !gone {
                            std::thread::sleep(std::time::Duration::from_millis(50));
                        }
                        gone
                    })
                };
                match stop("fast") {
                    Err(_) if !ends() => stop("immediate"),
                    _ => Ok(()),
                }
            }
            // The number went to another program, which must not be taken for Postgres.
            Some(_) => Ok(fs::remove_file(&note)?),
        }
    }
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

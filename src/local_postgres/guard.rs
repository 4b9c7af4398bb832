//! The small shell process between this server and its Postgres. It stops Postgres when the pipe
//! from the server closes: on purpose, or because the server died, however it died. Both stand in a
//! process group of their own, so that a terminal's Ctrl-C reaches the server alone.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use super::account::Account;

/// `$1` the signal that stops Postgres, `$2` a folder to delete afterwards (or nothing), the rest
/// is Postgres. What runs behind `&` loses its standard input: hence the pipe's copy at 3. The
/// signals of a closing terminal are not for the guard; Postgres sets its own ways with them.
const SCRIPT: &str = r#"
stop=$1 doomed=$2
shift 2
trap '' HUP INT TERM
exec 3<&0
"$@" </dev/null 3<&- &
postgres=$!
{ read -r _ <&3; kill -"$stop" "$postgres" 2>/dev/null; } &
watch=$!
wait "$postgres"
status=$?
kill -KILL "$watch" 2>/dev/null
if [ -n "$doomed" ]; then rm -rf "$doomed"; fi
exit "$status"
"#;

/// A log beyond this size is begun anew.
const LOG_BYTES: u64 = 16 * 1024 * 1024;
/// A checkpoint of a busy machine's dirty pages fits in; then it is told to hurry.
const PATIENCE: Duration = Duration::from_secs(90);

/// How Postgres ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending<'a> {
    /// Sessions are ended, everything is written: the next start needs no recovery.
    Fast,
    /// At once, and the folder is deleted.
    Deleted(&'a Path),
}

/// A running Postgres. Letting go of it stops Postgres soon; `stop` waits for that.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    log: PathBuf,
    log_start: u64,
}

impl Guard {
    /// Starts `postgres`; its words are appended to the file `log`.
    pub(super) fn start(
        account: &Account,
        postgres: &StdCommand,
        ending: Ending<'_>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = open_log(log)?;
        let log_start = file.metadata()?.len();
        let mut command = account.command("/bin/sh");
        command.args(["-c", SCRIPT, "postgres-guard"]);
        match ending {
            Ending::Fast => command.args(["INT", ""]),
            Ending::Deleted(folder) => command.arg("QUIT").arg(folder),
        };
        command
            .arg(postgres.get_program())
            .args(postgres.get_args());
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = Command::from(command)
            .spawn()
            .context("/bin/sh can't be started")?;
        Ok(Self {
            child,
            log: log.to_owned(),
            log_start,
        })
    }

    /// Whether Postgres has ended by itself.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What Postgres said since this start.
    pub(super) fn said(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.log_start))?;
            let mut said = Vec::new();
            file.take(64 * 1024).read_to_end(&mut said)?;
            Ok(said)
        };
        read()
            .map(|said| String::from_utf8_lossy(&said).trim().to_owned())
            .unwrap_or_default()
    }

    /// Ends Postgres and waits until it is gone.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error).context("the local Postgres can't be waited for"),
            Err(_) => bail!(
                "the local Postgres is still stopping; {} says why",
                self.log.display()
            ),
        }
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("{} can't be written", path.display()))?;
    if log.metadata()?.len() > LOG_BYTES {
        log.set_len(0)?;
    }
    Ok(log)
}

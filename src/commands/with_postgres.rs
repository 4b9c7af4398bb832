//! `estatebase with-postgres -- <command>`: runs a command while a Postgres of its own is there.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context as _;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use crate::local_postgres::LocalPostgres;

/// Run a command with a Postgres that is made for it and deleted after it
///
/// The command finds its superuser's address in TEST_DATABASE_URL.
#[derive(Debug, Args)]
pub(super) struct WithPostgres {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl WithPostgres {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (program, arguments) = self.command.split_first().context("there is no command")?;
        let mut heard = Heard::start()?;
        let postgres = LocalPostgres::throwaway().await?;
        let child = Command::new(program)
            .args(arguments)
            .env(
                "TEST_DATABASE_URL",
                postgres.superuser_url().expose_secret(),
            )
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()));
        let ended = match child {
            Ok(child) => heard.pass_on_to(child).await,
            Err(error) => Err(error),
        };
        postgres.stop().await?;
        ended.map(exit_code)
    }
}

/// The signals that would end this process before its Postgres and its command.
struct Heard {
    interrupt: Signals,
    terminate: Signals,
    hang_up: Signals,
    quit: Signals,
}

impl Heard {
    fn start() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for the command to end. It decides itself what a signal means to it; a terminal's
    /// Ctrl-C reaches it twice, which is no more than an impatient person does.
    async fn pass_on_to(&mut self, mut child: Child) -> anyhow::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status.context("the command can't be waited for"),
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.hang_up.recv() => Signal::HUP,
                _ = self.quit.recv() => Signal::QUIT,
            };
            let pid = child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
                // It may have ended just now.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

/// As a shell tells it: 128 and the signal's number for who was ended by one.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

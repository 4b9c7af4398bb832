//! `estatebase audit verify`: walks the chain of one workspace's log, without a server.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};

use crate::ids::WorkspaceId;
use crate::store::Db;
use crate::store::verify::{Verdict, verify_log};

/// Look into the log
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Verify(Verify),
}

/// Check a workspace's hash chain and name the first bad entry; fails when there is one
#[derive(Debug, Args)]
struct Verify {
    /// The workspace's id
    workspace: WorkspaceId,
    /// Postgres as the server's role
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let What::Verify(verify) = self.what;
        let db = Db::open(verify.database_url.expose_secret(), 1)?;
        match verify_log(&db, verify.workspace).await? {
            Verdict::Whole { events, mark, .. } => {
                println!("whole: {events} events, mark {mark}");
                Ok(ExitCode::SUCCESS)
            }
            Verdict::Broken { seq, reason } => {
                println!("broken at seq {seq}: {reason}");
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

//! `estatebase seed`: a believable agency of any size, the same for the same seed, written into a
//! workspace over REST or into a CSV file for an import.

pub mod agency;
pub mod csv;
pub mod dice;
pub mod near_duplicates;
pub mod tables;
pub mod upload;
pub mod words;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::client::login::LoginArgs;
use super::client::rest::Rest;
use crate::ids::WorkspaceId;
use agency::Agency;
use tables::Table;

/// Rows between two lines of progress.
const PROGRESS_EVERY: u64 = 20_000;

/// Fills a workspace, or a CSV file, with a believable agency.
#[derive(Clone, Debug, clap::Args)]
pub struct SeedArgs {
    #[command(flatten)]
    pub login: LoginArgs,
    /// How many properties; half as many contacts, a tenth deals, a quarter showings.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: u64,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The workspace to fill; without it one is made.
    #[arg(long, conflicts_with = "csv")]
    pub workspace: Option<WorkspaceId>,
    /// Write one table as CSV to this file (- is standard output) and ask no server.
    #[arg(long)]
    pub csv: Option<PathBuf>,
    /// Only this table; a CSV file is of properties unless this says otherwise.
    #[arg(long, value_enum)]
    pub table: Option<Table>,
}

/// The command.
///
/// # Errors
/// When the file can't be written or the server refuses.
pub async fn run(args: SeedArgs) -> anyhow::Result<ExitCode> {
    let agency = Agency {
        seed: args.seed,
        properties: args.rows,
    };
    match args.csv {
        Some(file) => {
            let table = args.table.unwrap_or(Table::Properties);
            tokio::task::spawn_blocking(move || write_file(agency, table, &file)).await??;
        }
        None => fill(agency, &args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_file(agency: Agency, table: Table, file: &Path) -> anyhow::Result<()> {
    let out: Box<dyn Write> = if file == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        let made = std::fs::File::create(file);
        Box::new(made.with_context(|| format!("making {}", file.display()))?)
    };
    let rows = csv::write_csv(agency, table, BufWriter::new(out))?;
    eprintln!("{rows} rows of {}", table.name());
    Ok(())
}

async fn fill(agency: Agency, args: &SeedArgs) -> anyhow::Result<()> {
    let (mut session, account) = args.login.sign_in_or_up().await?;
    let rest = session.rest().await?;
    let workspace = match args.workspace {
        Some(workspace) => workspace,
        None => {
            let made = rest.create_workspace("Valley Oak Homes", Some("real_estate"));
            made.await?.id
        }
    };
    let lists = rest.lists(workspace).await?;
    for table in Table::ALL {
        if args.table.is_none_or(|only| only == table) {
            // A long upload outlives a token.
            let rest: Rest = session.rest().await?;
            let progress = |rows: u64| {
                if rows.is_multiple_of(PROGRESS_EVERY) {
                    eprintln!("{}: {rows} rows", table.name());
                }
            };
            let rows = upload::upload(&rest, workspace, &lists, agency, table, progress).await?;
            println!("{}: {rows} rows", table.name());
        }
    }
    println!("workspace {workspace} at {}", rest.server());
    if let Some(account) = account {
        println!("sign in as {} with {}", account.email, account.password);
    }
    Ok(())
}

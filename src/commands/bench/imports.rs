//! CSV imports, bytes to committed, against a binary COPY of the same rows; and the server's
//! memory meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::Bench;
use super::baseline::{self, Rows};
use super::figure::{Figure, Must};
use super::memory::{self, Peak, megabytes};
use super::turns::Turns;
use crate::commands::client::rest::Rest;
use crate::commands::loadtest::per_second;
use crate::commands::seed::agency::Agency;
use crate::commands::seed::csv::write_csv;
use crate::commands::seed::tables::{Field, Table};
use crate::ids::{ListId, WorkspaceId};

const ROWS: u64 = 100_000;
/// Turns of the import and of COPY.
const ROUNDS: usize = 5;
const POLL: Duration = Duration::from_millis(20);

/// What an import took.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    pub list: ListId,
    pub rows: u64,
    pub took: Duration,
    /// The most memory the server held over what it held before, in bytes.
    pub over_idle: Option<u64>,
}

/// Rows a second against COPY, and memory at 100 000 and at a million rows.
///
/// # Errors
/// When a side can't be measured.
pub async fn measure(
    bench: &Bench,
    workspace: WorkspaceId,
) -> anyhow::Result<(Vec<Figure>, Import)> {
    let small = import(bench, workspace, ROWS).await?;
    let mut turns = Turns::default();
    turns.push(speed(&small), per_second(ROWS, copy(bench, ROWS).await?));
    for _ in 1..ROUNDS {
        let import = import(bench, workspace, ROWS).await?;
        turns.push(speed(&import), per_second(ROWS, copy(bench, ROWS).await?));
    }
    let large = import(bench, workspace, bench.million).await?;
    let mut figures = vec![turns.figure(
        "rows/s of a CSV import of 100 000 × 15, against binary COPY",
        Must::AtLeast(0.4),
        ["import", "binary COPY, same indexes"],
        "rows/s",
        0,
    )];
    for import in [small, large] {
        if let Some(bytes) = import.over_idle {
            let name = format!("server memory over idle, import of {} rows", import.rows);
            figures.push(
                Figure::new(name, megabytes(bytes), "MB", Must::AtMost(150.0))
                    .with("took", format!("{:.1} s", import.took.as_secs_f64())),
            );
        }
    }
    Ok((figures, large))
}

fn speed(import: &Import) -> f64 {
    per_second(import.rows, import.took)
}

/// Makes a list, sends so many seeded rows as a CSV file, waits until they are committed.
///
/// # Errors
/// When the import does not succeed, or makes another number of rows.
pub async fn import(bench: &Bench, workspace: WorkspaceId, rows: u64) -> anyhow::Result<Import> {
    let rest = bench.rest().await?;
    let columns: Vec<_> = Table::Properties
        .fields()
        .iter()
        .map(Field::column)
        .collect();
    let name = format!("Properties, {rows} rows");
    let list = rest.create_list(workspace, &name, &columns).await?.id;
    let file = write_file(rows).await?;
    let idle = bench.server_pid.map(memory::resident).transpose()?;
    let peak = bench.server_pid.map(Peak::watch);
    let started = Instant::now();
    let job = rest.import_csv(workspace, list, file.path()).await?;
    let job = rest.wait_for_job(workspace, job.id, POLL).await?;
    let took = started.elapsed();
    let over_idle = peak
        .map(Peak::stop)
        .zip(idle)
        .map(|(most, idle)| most.saturating_sub(idle));
    ensure!(
        job.state == "succeeded" && job.count("created") == Some(rows),
        "an import of {rows} rows ended as {job:?}"
    );
    Ok(Import {
        list,
        rows,
        took,
        over_idle,
    })
}

/// Imports while something else is measured; ends early with `cancel`.
///
/// # Errors
/// When the import can't be started.
pub async fn start(
    rest: &Rest,
    workspace: WorkspaceId,
    rows: u64,
) -> anyhow::Result<(ListId, crate::ids::JobId)> {
    let columns: Vec<_> = Table::Properties
        .fields()
        .iter()
        .map(Field::column)
        .collect();
    let name = format!("Imported meanwhile, {rows} rows");
    let list = rest.create_list(workspace, &name, &columns).await?.id;
    let file = write_file(rows).await?;
    let job = rest.import_csv(workspace, list, file.path()).await?;
    Ok((list, job.id))
}

async fn write_file(rows: u64) -> anyhow::Result<tempfile::NamedTempFile> {
    tokio::task::spawn_blocking(move || {
        let file = tempfile::Builder::new().suffix(".csv").tempfile()?;
        let agency = Agency {
            seed: 1,
            properties: rows,
        };
        write_csv(agency, Table::Properties, std::io::BufWriter::new(&file))
            .context("writing the file to import")?;
        Ok(file)
    })
    .await?
}

async fn copy(bench: &Bench, rows: u64) -> anyhow::Result<Duration> {
    baseline::make(&bench.database).await?;
    let encoded = tokio::task::spawn_blocking(move || {
        Rows::encode(Agency {
            seed: 1,
            properties: rows,
        })
    })
    .await??;
    let pool = bench.pool().await?;
    let started = Instant::now();
    let copied = encoded.copy(&pool).await?;
    let took = started.elapsed();
    ensure!(copied == rows, "COPY made {copied} of {rows} rows");
    baseline::drop(&bench.database).await?;
    Ok(took)
}

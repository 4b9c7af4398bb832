//! Acknowledged edits in one workspace, against one transaction an edit in plain Postgres.

use std::time::Duration;

use super::baseline::{self, Rows};
use super::figure::{Figure, Must};
use super::turns::Turns;
use super::{Bench, pgbench};
use crate::commands::loadtest::{Audience, LoadPlan, LoadReport, run_plan};
use crate::commands::seed::agency::Agency;

pub const EDITORS: u16 = 64;
pub const DEPTH: usize = 16;
/// Turns of a latency.
const ROUNDS: usize = 7;

/// Throughput with 64 editors 16 deep, and the latency of one editor alone.
///
/// # Errors
/// When a side can't be measured, or the load breaks a promise: speed without truth is no figure.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    baseline::make(&bench.database).await?;
    let rows = Rows::encode(Agency {
        seed: 1,
        properties: pgbench::ITEMS,
    })?;
    rows.copy(&bench.pool().await?).await?;
    let many = edit(bench, EDITORS, DEPTH).await?;
    let plain = transactions(bench, u32::from(EDITORS), bench.duration).await?;
    let alone = alone(bench).await?;
    baseline::drop(&bench.database).await?;
    Ok(vec![
        Figure::new(
            "edits/s of 64 editors, 16 deep, against one transaction an edit",
            many.acks_per_second / plain.edits_per_second,
            "×",
            Must::AtLeast(5.0),
        )
        .with(
            "acknowledged",
            format!("{:.0} edits/s", many.acks_per_second),
        )
        .with(
            "edit→ack p50, p99",
            format!("{:.2} ms, {:.2} ms", many.ack.p50_ms, many.ack.p99_ms),
        )
        .with(
            "pgbench, 64 clients",
            format!("{:.0} edits/s", plain.edits_per_second),
        ),
        alone,
    ])
}

/// One editor and one client of pgbench by turns.
async fn alone(bench: &Bench) -> anyhow::Result<Figure> {
    let each = (bench.duration / 4).max(Duration::from_secs(1));
    let mut turns = Turns::default();
    for _ in 0..ROUNDS {
        let acked = edit_alone(bench, each).await?.ack.mean_ms;
        let plain = transactions(bench, 1, each).await?.latency_ms;
        turns.push(acked, plain);
    }
    Ok(turns.figure(
        "edit→ack of one editor against one such transaction",
        Must::AtMost(2.0),
        ["edit→ack, mean", "pgbench, 1 client, mean"],
        "ms",
        2,
    ))
}

/// Like pgbench's client the editor has one thread, and nobody else's work on it.
async fn edit_alone(bench: &Bench, duration: Duration) -> anyhow::Result<LoadReport> {
    let plan = LoadPlan {
        duration,
        ..plan(bench, 1, 1).await?
    };
    let report = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.enable_all().build()?.block_on(run_plan(plan))
    });
    bench.sound(report.await??)
}

/// Editors as fast as `depth` edits in flight each allow.
///
/// # Errors
/// When the load can't take place or breaks a promise.
pub async fn edit(bench: &Bench, editors: u16, depth: usize) -> anyhow::Result<LoadReport> {
    let report = run_plan(plan(bench, editors, depth).await?).await?;
    bench.sound(report)
}

/// See [`edit`].
///
/// # Errors
/// When the server refuses to refresh the token.
pub async fn plan(bench: &Bench, editors: u16, depth: usize) -> anyhow::Result<LoadPlan> {
    Ok(LoadPlan {
        editors,
        rate: 0.0,
        pipeline: depth,
        duration: bench.duration,
        items: 1000,
        audience: Audience::Watchers(1),
        ..bench.plan().await?
    })
}

async fn transactions(
    bench: &Bench,
    clients: u32,
    duration: Duration,
) -> anyhow::Result<pgbench::Pgbench> {
    pgbench::run(&bench.pgbench, &bench.database, clients, duration).await
}

//! Acknowledged edits in one workspace, against one transaction an edit in plain Postgres.

use super::baseline::{self, Rows};
use super::figure::{Figure, Must};
use super::{Bench, pgbench};
use crate::commands::loadtest::{Audience, LoadPlan, LoadReport, run_plan};
use crate::commands::seed::agency::Agency;

pub const EDITORS: u16 = 64;
pub const DEPTH: usize = 16;

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
    let plain = transactions(bench, u32::from(EDITORS)).await?;
    let alone = edit(bench, 1, 1).await?;
    let plain_alone = transactions(bench, 1).await?;
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
        .with("edit→ack p50, p99", two(&many))
        .with("pgbench, 64 clients", per_second(&plain)),
        Figure::new(
            "edit→ack of one editor against one such transaction",
            alone.ack.mean_ms / plain_alone.latency_ms,
            "×",
            Must::AtMost(2.0),
        )
        .with("edit→ack mean", format!("{:.2} ms", alone.ack.mean_ms))
        .with("edit→ack p50, p99", two(&alone))
        .with(
            "pgbench, 1 client, mean",
            format!("{:.2} ms", plain_alone.latency_ms),
        ),
    ])
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

async fn transactions(bench: &Bench, clients: u32) -> anyhow::Result<pgbench::Pgbench> {
    pgbench::run(&bench.pgbench, &bench.database, clients, bench.duration).await
}

fn two(report: &LoadReport) -> String {
    format!("{:.2} ms, {:.2} ms", report.ack.p50_ms, report.ack.p99_ms)
}

fn per_second(plain: &pgbench::Pgbench) -> String {
    format!("{:.0} edits/s", plain.edits_per_second)
}

//! How soon an edit is acknowledged while a large import runs.

use super::figure::{Figure, Must};
use super::{Bench, imports};
use crate::commands::loadtest::{Audience, LoadPlan, LoadReport, run_plan};
use crate::ids::WorkspaceId;

/// Editors, and edits a second of all, beside the import.
const EDITORS: u16 = 20;
const RATE: f64 = 50.0;

/// Edit→ack beside an import of a million rows.
///
/// # Errors
/// When a load can't take place or breaks a promise.
pub async fn measure(bench: &Bench, workspace: WorkspaceId) -> anyhow::Result<Vec<Figure>> {
    let idle = edit(bench, workspace).await?;
    let rest = bench.rest().await?;
    let (_, job) = imports::start(&rest, workspace, bench.million).await?;
    let busy = edit(bench, workspace).await?;
    let running = !rest.job(workspace, job).await?.is_over();
    let bound = (5.0 * idle.ack.p99_ms).max(40.0);
    Ok(vec![
        Figure::new(
            format!("edit→ack p99 while {} rows are imported", bench.million),
            busy.ack.p99_ms,
            "ms",
            Must::AtMost(bound),
        )
        .with("idle p99", format!("{:.2} ms", idle.ack.p99_ms))
        .with("busy p50", format!("{:.2} ms", busy.ack.p50_ms))
        .with(
            "import still running at the end",
            if running { "yes" } else { "NO: too few rows" },
        ),
    ])
}

async fn edit(bench: &Bench, workspace: WorkspaceId) -> anyhow::Result<LoadReport> {
    let report = run_plan(LoadPlan {
        workspace: Some(workspace),
        editors: EDITORS,
        rate: RATE,
        duration: bench.duration,
        audience: Audience::Watchers(1),
        ..bench.plan().await?
    })
    .await?;
    bench.sound(report)
}

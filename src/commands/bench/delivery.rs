//! How soon an edit reaches the others, and how soon it is acknowledged while a large import runs.

use super::figure::{Figure, Must};
use super::{Bench, imports};
use crate::commands::loadtest::{Audience, LoadPlan, LoadReport, run_plan};
use crate::ids::WorkspaceId;

/// Editors, and edits a second of all, beside the import.
const EDITORS: u16 = 20;
const RATE: f64 = 50.0;

/// Edit→delivery at 200 sockets × 200 edits/s, and edit→ack beside an import of a million rows.
///
/// # Errors
/// When a load can't take place or breaks a promise.
pub async fn measure(bench: &Bench, workspace: WorkspaceId) -> anyhow::Result<Vec<Figure>> {
    let crowd = load(bench, None, 200, 200.0, Audience::Editors).await?;
    let idle = beside(bench, workspace).await?;
    let rest = bench.rest().await?;
    let (_, job) = imports::start(&rest, workspace, bench.million).await?;
    let busy = beside(bench, workspace).await?;
    let running = !rest.job(workspace, job).await?.is_over();
    let bound = (5.0 * idle.ack.p99_ms).max(40.0);
    Ok(vec![
        Figure::new(
            "edit→delivery p99, 200 sockets × 200 edits/s",
            crowd.delivery.p99_ms,
            "ms",
            Must::AtMost(60.0),
        )
        .with(
            "p50, p99.9",
            format!(
                "{:.2} ms, {:.2} ms",
                crowd.delivery.p50_ms, crowd.delivery.p999_ms
            ),
        )
        .with(
            "deliveries",
            format!("{:.0}/s", crowd.deliveries_per_second),
        )
        .with("edit→ack p99", format!("{:.2} ms", crowd.ack.p99_ms)),
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

async fn beside(bench: &Bench, workspace: WorkspaceId) -> anyhow::Result<LoadReport> {
    load(bench, Some(workspace), EDITORS, RATE, Audience::Watchers(1)).await
}

async fn load(
    bench: &Bench,
    workspace: Option<WorkspaceId>,
    editors: u16,
    rate: f64,
    audience: Audience,
) -> anyhow::Result<LoadReport> {
    let report = run_plan(LoadPlan {
        workspace,
        editors,
        rate,
        duration: bench.duration,
        audience,
        ..bench.plan().await?
    })
    .await?;
    bench.sound(report)
}

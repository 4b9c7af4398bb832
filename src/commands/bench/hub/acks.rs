//! How many edits are acknowledged a second, in one workspace and over eight.

use crate::commands::bench::Bench;
use crate::commands::bench::edits::{DEPTH, EDITORS, edit, plan};
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::loadtest::{LoadPlan, LoadReport, run_together};

const WORKSPACES: u16 = 8;
/// In each of them.
const EDITORS_EACH: u16 = 16;

/// Acknowledged edits in one workspace, and over eight side by side.
///
/// # Errors
/// When a load can't take place or breaks a promise.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let one = edit(bench, EDITORS, DEPTH).await?;
    let mut plans: Vec<LoadPlan> = Vec::new();
    for _ in 0..WORKSPACES {
        plans.push(plan(bench, EDITORS_EACH, DEPTH).await?);
    }
    let reports = run_together(plans).await?;
    let many: Vec<LoadReport> = reports
        .into_iter()
        .map(|report| bench.sound(report))
        .collect::<Result<_, _>>()?;
    let slowest = many.iter().map(|load| load.ack.p99_ms);
    let fewest = many.iter().map(|load| load.acks_per_second);
    Ok(vec![
        Figure::new(
            format!("acknowledged edits, one workspace, {EDITORS} editors {DEPTH} deep"),
            one.acks_per_second,
            "/s",
            Must::AtLeast(5_000.0),
        )
        .with("edit→ack p99", format!("{:.2} ms", one.ack.p99_ms)),
        Figure::new(
            format!("acknowledged edits, {WORKSPACES} workspaces of {EDITORS_EACH} editors"),
            many.iter().map(|load| load.acks_per_second).sum(),
            "/s",
            Must::AtLeast(10_000.0),
        )
        .with(
            "in the slowest workspace",
            format!("{:.0}/s", fewest.fold(f64::INFINITY, f64::min)),
        )
        .with(
            "edit→ack p99, longest of them",
            format!("{:.2} ms", slowest.fold(0.0, f64::max)),
        ),
    ])
}

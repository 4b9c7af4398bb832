//! How soon an edit reaches the others' sockets.

use crate::commands::bench::Bench;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::loadtest::{Audience, LoadPlan, run_plan};

/// People who edit, and watch all others do so.
const EDITORS: u16 = 200;
/// Edits a second of all of them: 40 000 deliveries.
const RATE: f64 = 200.0;

/// Edit→delivery at 200 sockets × 200 edits/s.
///
/// # Errors
/// When the load can't take place or breaks a promise.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let report = run_plan(LoadPlan {
        editors: EDITORS,
        rate: RATE,
        duration: bench.duration,
        audience: Audience::Editors,
        ..bench.plan().await?
    })
    .await?;
    let report = bench.sound(report)?;
    let delivery = report.delivery;
    let figure = |quantile: &str, ms: f64, most: f64| {
        let name = format!("edit→delivery {quantile}, {EDITORS} sockets × {RATE} edits/s");
        Figure::new(name, ms, "ms", Must::AtMost(most))
    };
    Ok(vec![
        figure("p50", delivery.p50_ms, 8.0).with(
            "deliveries",
            format!("{:.0}/s", report.deliveries_per_second),
        ),
        figure("p95", delivery.p95_ms, 25.0),
        figure("p99", delivery.p99_ms, 60.0)
            .with(
                "p99.9, longest",
                format!("{:.2} ms, {:.2} ms", delivery.p999_ms, delivery.max_ms),
            )
            .with("edit→ack p99", format!("{:.2} ms", report.ack.p99_ms)),
    ])
}

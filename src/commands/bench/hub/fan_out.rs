//! How many events a second reach the sockets of one workspace, none lost, before they come late:
//! the pace rises step by step until it is too much.

use super::room_for;
use crate::commands::bench::Bench;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::loadtest::{Audience, Fault, LoadPlan, LoadReport, float, run_plan};

/// They edit, and are told nothing but answers.
const EDITORS: u16 = 10;
/// Edits a second, step by step. A little above a round number: what is under way at the end of a
/// step does not count.
const STEPS: [f64; 8] = [50.0, 105.0, 155.0, 205.0, 255.0, 310.0, 400.0, 500.0];
const P99_MS: f64 = 60.0;

/// The most deliveries a second of which 99 % come within 60 ms.
///
/// # Errors
/// When a load can't take place, or an event is lost to a socket that stayed open.
pub async fn measure(bench: &Bench, sockets: u16) -> anyhow::Result<Vec<Figure>> {
    let figure = |value| {
        Figure::new(
            format!("deliveries to {sockets} sockets of one workspace at p99 ≤ {P99_MS} ms"),
            value,
            "/s",
            Must::AtLeast(100_000.0),
        )
    };
    if let Err(why) = room_for(u32::from(sockets), bench.server_pid) {
        return Ok(vec![figure(f64::NAN).with("NOT MEASURED", why)]);
    }
    let (mut most, mut steps) = (0.0, Vec::new());
    for rate in STEPS {
        let report = step(bench, sockets, rate).await?;
        steps.push((format!("at {rate} edits/s"), describe(&report)));
        if !is_in_time(&report) {
            break;
        }
        most = report.deliveries_per_second;
    }
    let figure = figure(most);
    Ok(vec![
        steps
            .into_iter()
            .fold(figure, |figure, (at, was)| figure.with(at, was)),
    ])
}

async fn step(bench: &Bench, sockets: u16, rate: f64) -> anyhow::Result<LoadReport> {
    let report = run_plan(LoadPlan {
        editors: EDITORS,
        rate,
        duration: bench.duration,
        audience: Audience::Readers(sockets),
        ..bench.plan().await?
    })
    .await?;
    // Whom the server closed as too slow lost nothing: it would resume. The step has failed, though.
    let mut faults = report.verdict.faults.keys();
    if faults.all(|fault| matches!(fault, Fault::GaveUp | Fault::Unanswered)) {
        Ok(report)
    } else {
        bench.sound(report)
    }
}

fn is_in_time(report: &LoadReport) -> bool {
    report.verdict.sound && report.resets == 0 && report.delivery.p99_ms <= P99_MS
}

fn describe(report: &LoadReport) -> String {
    let delivery = report.delivery;
    let mut text = format!(
        "{:.0}/s, p50 {:.1} ms, p99 {:.1} ms, {:.0} bytes an event with its frame",
        report.deliveries_per_second,
        delivery.p50_ms,
        delivery.p99_ms,
        float(report.read_bytes) / float(report.deliveries.max(1)),
    );
    for (fault, count) in &report.verdict.faults {
        text += &format!(", {fault:?} {count}");
    }
    text
}

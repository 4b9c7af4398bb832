//! What a load found: figures and verdict, as a table for people and as JSON for machines.

use std::fmt::{self, Write};

use serde::Serialize;

use super::check::Verdict;
use super::measure::{Latencies, Measures, Summary, per_second};
use super::plan::LoadPlan;
use crate::ids::WorkspaceId;

/// The outcome of one run.
#[derive(Debug, Serialize)]
pub struct LoadReport {
    pub workspace: WorkspaceId,
    pub editors: u16,
    pub sockets_watching: u16,
    pub lists: u16,
    /// Edits a second that were asked for; 0: as many as `pipeline` in flight an editor allow.
    pub rate: f64,
    pub pipeline: usize,
    pub seconds: f64,
    pub sent: u64,
    pub acked: u64,
    pub refused: u64,
    pub unanswered: u64,
    pub acks_per_second: f64,
    /// Events that arrived, at all sockets together.
    pub deliveries: u64,
    pub deliveries_per_second: f64,
    /// Of the frames that brought events to readers.
    pub read_bytes: u64,
    pub reconnects: u64,
    pub resets: u64,
    /// Edit → ack over sockets.
    pub ack: Summary,
    /// Edit → answer over REST.
    pub rest: Summary,
    /// Edit → arrival at another socket.
    pub delivery: Summary,
    pub verdict: Verdict,
}

impl LoadReport {
    pub fn new(
        plan: &LoadPlan,
        workspace: WorkspaceId,
        measures: &Measures,
        unanswered: u64,
        verdict: Verdict,
    ) -> Self {
        Self {
            workspace,
            editors: plan.editors,
            sockets_watching: plan.sockets_watching(),
            lists: plan.lists,
            rate: plan.rate,
            pipeline: plan.pipeline,
            seconds: plan.duration.as_secs_f64(),
            sent: measures.sent,
            acked: measures.acked,
            refused: measures.refused,
            unanswered,
            acks_per_second: per_second(measures.acked_in_time, plan.duration),
            deliveries: measures.delivered,
            deliveries_per_second: per_second(measures.delivered_in_time, plan.duration),
            read_bytes: measures.read_bytes,
            reconnects: measures.reconnects,
            resets: measures.resets,
            ack: measures.ack.summary(),
            rest: measures.rest.summary(),
            delivery: measures.delivery.summary(),
            verdict,
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = if self.rate > 0.0 {
            format!("{} edits/s", self.rate)
        } else {
            format!("{} in flight each", self.pipeline)
        };
        writeln!(
            f,
            "{} editors, {pace}, {} s, {} lists, {} sockets watching",
            self.editors, self.seconds, self.lists, self.sockets_watching
        )?;
        writeln!(
            f,
            "  edits        {} sent, {} acknowledged, {} refused, {} unanswered: {:.1} acks/s",
            self.sent, self.acked, self.refused, self.unanswered, self.acks_per_second
        )?;
        writeln!(
            f,
            "  deliveries   {}: {:.1}/s",
            self.deliveries, self.deliveries_per_second
        )?;
        if self.reconnects + self.resets > 0 {
            writeln!(
                f,
                "  connections  {} reconnects, {} resets",
                self.reconnects, self.resets
            )?;
        }
        writeln!(
            f,
            "\n  ms              {:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        row(f, "edit→ack", &self.ack)?;
        row(f, "edit→delivery", &self.delivery)?;
        row(f, "edit→REST", &self.rest)?;
        writeln!(f)?;
        self.verdict.fmt(f)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, summary: &Summary) -> fmt::Result {
    if summary.count == 0 {
        return Ok(());
    }
    let Summary {
        p50_ms,
        p90_ms,
        p99_ms,
        p999_ms,
        max_ms,
        ..
    } = summary;
    writeln!(
        f,
        "  {name:<16}{:>10}{p50_ms:>10.2}{p90_ms:>10.2}{p99_ms:>10.2}{p999_ms:>10.2}{max_ms:>10.2}",
        summary.count
    )
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Checked {} acks, {} events, {} sockets and {} items against the log and the database:",
            self.acks_checked, self.events_checked, self.sockets_checked, self.items_checked
        )?;
        if self.sound {
            return writeln!(
                f,
                "  sound: nothing lost, nothing doubled, everything in order, every client as the database"
            );
        }
        for (fault, count) in &self.faults {
            writeln!(f, "  BROKEN {fault:?}: {count}")?;
        }
        for example in &self.examples {
            writeln!(f, "    {example}")?;
        }
        Ok(())
    }
}

/// The line of one second: totals so far, and what this second added.
pub fn progress_line(second: u64, now: &Measures, before: (u64, u64, u64)) -> String {
    let (sent, acked, delivered) = before;
    let mut line = format!(
        "{second:>4} s  sent {} (+{})  acked {} (+{})  delivered {} (+{})",
        now.sent,
        now.sent - sent,
        now.acked,
        now.acked - acked,
        now.delivered,
        now.delivered - delivered,
    );
    for (name, latencies) in [("ack", &now.ack), ("delivery", &now.delivery)] {
        p99(&mut line, name, latencies);
    }
    line
}

fn p99(line: &mut String, name: &str, latencies: &Latencies) {
    let summary = latencies.summary();
    if summary.count > 0 {
        // Writing to a String can't fail.
        let _ = write!(line, "  {name} p99 {:.1} ms", summary.p99_ms);
    }
}

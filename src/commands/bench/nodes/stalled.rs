//! A socket that stops reading beside many that read: what the others notice, what the server
//! keeps for it, and how soon it is closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use super::follower::{Follower, View};
use super::median;
use super::process::{Node, Stand};
use crate::commands::bench::Bench;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::bench::memory::{Peak, resident};
use crate::commands::client::rest::Rest;
use crate::commands::loadtest::{Audience, LoadPlan, LoadReport, float, run_plan};
use crate::ids::WorkspaceId;

const READERS: u16 = 200;
const EDITORS: u16 = 10;
/// Edits a second of all of them.
const RATE: f64 = 200.0;
/// With and without it by turns; what the machine does meanwhile, it does to both.
const ROUNDS: usize = 5;
/// So many stall where memory is measured: what the server keeps for one is lost in its noise.
const MANY: u64 = 32;
const CLOSED_WITHIN_S: f64 = 10.0;
/// A load lasts as long as the socket may stay open, and longer.
const LASTS: Duration = Duration::from_secs(13);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// One load, and what became of the stalled sockets beside it.
struct Turn {
    p99_ms: f64,
    /// Bytes the server held at most above what it held before.
    grown: u64,
    /// Seconds until the last of the stalled sockets was closed.
    closed: f64,
}

/// The others' p99 with it against without it; memory; when it was closed.
///
/// # Errors
/// When a load can't take place or breaks a promise.
pub async fn measure(bench: &Bench, stand: &Stand) -> anyhow::Result<Vec<Figure>> {
    let node = stand.start(None).await?;
    let (rest, _) = node.person().await?;
    let workspace = rest.create_workspace("Bench, stalled", None).await?.id;
    let stage = Stage {
        bench,
        node: &node,
        rest,
        workspace,
    };
    // The first load pays for what all others find.
    stage.turn(0).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(stage.turn(0).await?);
        with.push(stage.turn(1).await?);
    }
    let (mut many, mut none) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        none.push(float(stage.turn(0).await?.grown));
        many.push(float(stage.turn(MANY).await?.grown));
    }
    let p99 = |turns: &[Turn]| median(turns.iter().map(|turn| turn.p99_ms).collect());
    let ratios = without.iter().zip(&with).map(|(a, b)| b.p99_ms / a.p99_ms);
    let (one, plain) = (median(many), median(none));
    Ok(vec![
        Figure::new(
            format!("p99 of {READERS} readers beside one that stalls, against without it"),
            median(ratios.collect()),
            "×",
            Must::AtMost(1.1),
        )
        .with("p99 without, median", format!("{:.2} ms", p99(&without)))
        .with("p99 with it, median", format!("{:.2} ms", p99(&with))),
        Figure::new(
            format!("server memory of each of {MANY} sockets that stall"),
            (one - plain).max(0.0) / float(MANY) / 1024.0,
            "KiB",
            Must::AtMost(1024.0),
        )
        .with(
            "grown under load without them",
            format!("{:.0} KiB", plain / 1024.0),
        )
        .with("grown with them", format!("{:.0} KiB", one / 1024.0)),
        Figure::new(
            "a socket that stalls is closed, longest of all turns",
            super::longest(with.iter().map(|turn| turn.closed)),
            "s",
            Must::AtMost(CLOSED_WITHIN_S),
        ),
    ])
}

struct Stage<'a> {
    bench: &'a Bench,
    node: &'a Node,
    rest: Rest,
    workspace: WorkspaceId,
}

impl Stage<'_> {
    async fn turn(&self, stalled: u64) -> anyhow::Result<Turn> {
        let pid = self.node.pid().context("the server has ended")?;
        let begins = Arc::new(Barrier::new(2));
        let mut load = tokio::spawn(run_plan(LoadPlan {
            workspace: Some(self.workspace),
            editors: EDITORS,
            rate: RATE,
            duration: LASTS,
            audience: Audience::Readers(READERS),
            together: Some(Arc::clone(&begins)),
            ..LoadPlan::new(self.rest.server().clone(), self.rest.token())
        }));
        let mut reading = Vec::new();
        for _ in 0..stalled {
            let mut view = View::default();
            let follower = Follower::open(&self.rest, self.workspace, &mut view).await?;
            reading.push(read(follower, view));
        }
        tokio::select! {
            _ = begins.wait() => {}
            ended = &mut load => {
                ended??;
                bail!("a load ended before it began");
            }
        }
        let mut stopped = Vec::new();
        for reader in reading {
            stopped.push(stop(reader).await?);
        }
        let began = Instant::now();
        let (before, peak) = (resident(pid)?, Peak::watch(pid));
        let closed = self.all_closed(began).await?;
        let report = load.await??;
        let grown = peak.stop().saturating_sub(before);
        // Held open from this end until here.
        drop(stopped);
        let report: LoadReport = self.bench.sound(report)?;
        Ok(Turn {
            p99_ms: report.delivery.p99_ms,
            grown,
            closed,
        })
    }

    /// Seconds until the server has only the load's own sockets open; no number when the load was
    /// over before. Asks for as long in every turn: the question takes its time of the readers too.
    async fn all_closed(&self, began: Instant) -> anyhow::Result<f64> {
        let others = u64::from(READERS) + u64::from(EDITORS);
        let mut closed = f64::NAN;
        while began.elapsed() + ASK_EVERY < LASTS {
            let open = self.node.sockets().await?;
            if closed.is_nan() && open <= others {
                closed = began.elapsed().as_secs_f64();
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(closed)
    }
}

/// Someone who reads until stopped.
type Reading = (
    tokio::sync::oneshot::Sender<()>,
    JoinHandle<anyhow::Result<Follower>>,
);

fn read(mut follower: Follower, mut view: View) -> Reading {
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let reading = tokio::spawn(async move {
        loop {
            tokio::select! {
                heard = follower.hear(&mut view, |_| {}) => heard?,
                _ = &mut stopped => return Ok(follower),
            }
        }
    });
    (stop, reading)
}

/// It reads no more, and stays open.
async fn stop((stop, reading): Reading) -> anyhow::Result<Follower> {
    // Whoever is not there to be stopped says below why.
    let _ = stop.send(());
    reading.await?
}

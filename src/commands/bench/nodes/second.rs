//! Two servers on one database: how much later the second one tells of the first one's edits, and
//! what becomes of them while Redis is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::follower::{Follower, View};
use super::pen::{Seal, Writing};
use super::process::{Node, Redis, Stand};
use super::unmeasured;
use crate::commands::bench::Bench;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::{PATIENCE, SocketError};
use crate::commands::loadtest::event::Seen;
use crate::commands::loadtest::ground::Ground;
use crate::commands::loadtest::measure::{Latencies, Summary};
use crate::commands::loadtest::{LoadPlan, float};
use crate::ids::WorkspaceId;

/// On each server.
const SOCKETS: usize = 20;
/// Edits a second.
const RATE: u32 = 100;
const LATER_MS: f64 = 15.0;
const CAUGHT_UP_S: f64 = 2.0;
/// After its return Redis is used again for so long.
const AFTER: Duration = Duration::from_secs(5);

/// Those who are told by one server.
struct Audience {
    running: JoinSet<Result<View, SocketError>>,
    ages: Arc<Mutex<Latencies>>,
    /// How far each has been told.
    told: Vec<watch::Receiver<u64>>,
}

/// The second server's delay, and what it makes up for after Redis was away.
///
/// # Errors
/// When it can't be tried.
pub async fn measure(bench: &Bench, stand: &Stand, away: Duration) -> anyhow::Result<Vec<Figure>> {
    let redis = match Redis::start().await {
        Ok(redis) => redis,
        Err(why) => return Ok(vec![unmeasured("a second server", &format!("{why:#}"))]),
    };
    let a = stand.start(Some(&redis)).await?;
    let b = stand.start(Some(&redis)).await?;
    let (rest, _) = a.person().await?;
    let plan = LoadPlan::new(rest.server().clone(), rest.token());
    let ground = Ground::prepare(&rest, &plan).await?;
    let seal = Seal::new();
    let (goal, goals) = watch::channel(u64::MAX);
    let first = gather(&a, &rest, ground.workspace, seal, &goals).await?;
    let second = gather(&b, &rest, ground.workspace, seal, &goals).await?;
    let writing = Writing::begin(&rest, &ground, seal, RATE).await?;

    tokio::time::sleep(bench.duration).await;
    let (near, far) = (first.ages(), second.ages());

    let port = redis.kill().await?;
    tokio::time::sleep(away).await;
    let meanwhile = second.ages();
    let _redis = Redis::start_on(port).await?;
    let (returned, head) = (Instant::now(), writing.head());
    let caught_up = second.reach(head).await;
    let caught_up = caught_up.map(|()| returned.elapsed().as_secs_f64());
    // What was late is no part of what follows.
    let _ = second.ages();
    tokio::time::sleep(AFTER).await;
    let again = second.ages();

    // The last answer says how far the log goes.
    let acked = writing.end().await?;
    goal.send_replace(rest.head(ground.workspace).await?);
    let missed = first.finish().await + second.finish().await;
    Ok(vec![
        Figure::new(
            "edit→delivery p99 through a second server, above the first one's",
            far.p99_ms - near.p99_ms,
            "ms",
            Must::AtMost(LATER_MS),
        )
        .with("on the first", describe(&near))
        .with("on the second", describe(&far)),
        Figure::new(
            format!("Redis away for {} s: lost or doubled", away.as_secs()),
            float(missed),
            "events",
            Must::AtMost(0.0),
        )
        .with("edits in all", acked.to_string())
        .with("on the second meanwhile", describe(&meanwhile)),
        Figure::new(
            "the second server has caught up, since the return of Redis",
            caught_up.unwrap_or(f64::NAN),
            "s",
            Must::AtMost(CAUGHT_UP_S),
        )
        .with("on the second thereafter", describe(&again)),
    ])
}

fn describe(ages: &Summary) -> String {
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, longest {:.0} ms",
        ages.p50_ms, ages.p99_ms, ages.max_ms
    )
}

async fn gather(
    node: &Node,
    rest: &Rest,
    workspace: WorkspaceId,
    seal: Seal,
    goals: &watch::Receiver<u64>,
) -> anyhow::Result<Audience> {
    let rest = node.caller(rest)?;
    let mut audience = Audience {
        running: JoinSet::new(),
        ages: Arc::default(),
        told: Vec::new(),
    };
    for _ in 0..SOCKETS {
        let mut view = View::default();
        let follower = Follower::open(&rest, workspace, &mut view).await?;
        let (tell, told) = watch::channel(view.seq());
        let ages = Arc::clone(&audience.ages);
        audience.told.push(told);
        audience
            .running
            .spawn(follow(follower, view, seal, ages, tell, goals.clone()));
    }
    Ok(audience)
}

/// Until the goal is reached. Nobody has a reason to close the socket.
async fn follow(
    mut follower: Follower,
    mut view: View,
    seal: Seal,
    ages: Arc<Mutex<Latencies>>,
    tell: watch::Sender<u64>,
    mut goals: watch::Receiver<u64>,
) -> Result<View, SocketError> {
    while view.seq() < *goals.borrow_and_update() {
        let count = |event: &Seen| {
            if let Some(age) = seal.age(event) {
                ages.lock().record(age);
            }
        };
        tokio::select! {
            biased;
            heard = follower.hear(&mut view, count) => heard?,
            changed = goals.changed() => {
                if changed.is_err() {
                    break;
                }
            }
        }
        tell.send_replace(view.seq());
    }
    Ok(view)
}

impl Audience {
    /// The ages since this was asked last.
    fn ages(&self) -> Summary {
        std::mem::take(&mut *self.ages.lock()).summary()
    }

    /// Waits until all have been told of `seq`; `None` when one has not in fifteen seconds.
    async fn reach(&self, seq: u64) -> Option<()> {
        let all = self.told.iter().cloned().map(|mut told| async move {
            let reached = told.wait_for(|told| *told >= seq).await;
            reached.ok().map(|_| ())
        });
        let all = futures::future::join_all(all);
        let reached = tokio::time::timeout(PATIENCE, all).await.ok()?;
        reached.into_iter().collect()
    }

    /// Events that were lost or doubled, over all sockets; a socket that did not come to the end
    /// counts as one.
    async fn finish(mut self) -> u64 {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut missed = 0;
        while let Ok(Some(ended)) = tokio::time::timeout_at(until, self.running.join_next()).await {
            missed += match ended {
                Ok(Ok(view)) => view.faults(),
                _ => 1,
            };
        }
        missed + u64::try_from(self.running.len()).unwrap_or(u64::MAX)
    }
}

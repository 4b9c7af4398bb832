//! A server is killed with all its clients connected, and started again on its port: each client
//! comes back by itself and goes on where it stood.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::follower::{Follower, View};
use super::process::Stand;
use super::unmeasured;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::bench::hub::room_for;
use crate::commands::client::reconnect;
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::SocketError;
use crate::commands::loadtest::{Audience, LoadPlan, LoadReport, run_plan};
use crate::ids::WorkspaceId;

const EDITORS: u16 = 5;
/// Edits a second of all of them.
const RATE: f64 = 20.0;
/// Edits go on before the fault; after it, for as long as clients may take to resume, and longer.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(25);
/// Sockets that are opened side by side.
const OPENING: usize = 64;
const RESUMED_WITHIN: f64 = 15.0;
/// Whoever is not back by then is lost.
const GIVE_UP: Duration = Duration::from_secs(60);

/// A client that came back.
struct Client {
    view: View,
    /// When it was confirmed where it stood.
    resumed: Option<Instant>,
    /// Times it tried in vain.
    refused: u32,
}

/// Clients that were told all, and how soon the last one was back.
///
/// # Errors
/// When the fault can't be made.
pub async fn measure(stand: &Stand, clients: u16) -> anyhow::Result<Vec<Figure>> {
    let node = stand.start(None).await?;
    let name = format!("kill -9 with {clients} clients");
    if let Err(why) = room_for(u32::from(clients), node.pid()) {
        return Ok(vec![unmeasured(&name, &why)]);
    }
    let (rest, _) = node.person().await?;
    let workspace = rest.create_workspace("Bench, killed", None).await?.id;
    let (goal, goals) = watch::channel(u64::MAX);
    let mut following = gather(&rest, workspace, clients, &goals).await?;

    let load = tokio::spawn(run_plan(LoadPlan {
        workspace: Some(workspace),
        editors: EDITORS,
        rate: RATE,
        duration: BEFORE + AFTER,
        audience: Audience::Watchers(1),
        ..LoadPlan::new(rest.server().clone(), rest.token())
    }));
    tokio::time::sleep(BEFORE).await;
    let port = node.port()?;
    let killed = Instant::now();
    node.kill().await?;
    let node = stand.start_on(port, None).await?;
    let back = node.listening;

    let report = load.await??;
    goal.send_replace(rest.head(workspace).await?);
    let returned = collect(&mut following).await;
    following.shutdown().await;
    Ok(figures(&name, clients, &returned, back, &report)
        .map(|figure| {
            let away = (back - killed).as_secs_f64();
            figure.with("the port was away", format!("{away:.2} s"))
        })
        .into())
}

fn figures(
    name: &str,
    clients: u16,
    returned: &[Client],
    back: Instant,
    report: &LoadReport,
) -> [Figure; 2] {
    let whole = returned.iter().filter(|client| client.view.faults() == 0);
    let whole = u16::try_from(whole.count()).unwrap_or(u16::MAX);
    let resets: u64 = returned.iter().map(|client| client.view.resets).sum();
    let refused: u64 = returned
        .iter()
        .map(|client| u64::from(client.refused))
        .sum();
    let mut times: Vec<f64> = returned
        .iter()
        .filter_map(|client| {
            Some(
                client
                    .resumed?
                    .saturating_duration_since(back)
                    .as_secs_f64(),
            )
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let all = times.len() == usize::from(clients);
    let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
    let last = at(times.len().saturating_sub(1));
    let faults =
        f64::from(clients.saturating_sub(whole)) + f64::from(u8::from(!report.verdict.sound));
    [
        Figure::new(
            format!("{name}: lost or doubled, by client"),
            faults,
            "clients",
            Must::AtMost(0.0),
        )
        .with("came to the end of the log", returned.len().to_string())
        .with("were told to read again", resets.to_string())
        .with(
            "edits",
            format!(
                "{} acknowledged, sound: {}",
                report.acked, report.verdict.sound
            ),
        ),
        Figure::new(
            format!("{name}: the last has resumed, since the port is back"),
            if all { last } else { f64::NAN },
            "s",
            Must::AtMost(RESUMED_WITHIN),
        )
        .with("resumed", times.len().to_string())
        .with("median", format!("{:.2} s", at(times.len() / 2)))
        .with("tries in vain", refused.to_string()),
    ]
}

async fn gather(
    rest: &Rest,
    workspace: WorkspaceId,
    clients: u16,
    goals: &watch::Receiver<u64>,
) -> anyhow::Result<JoinSet<Result<Client, SocketError>>> {
    let open = |_| async move {
        let mut view = View::default();
        let follower = Follower::open(rest, workspace, &mut view).await?;
        Ok::<_, SocketError>((follower, view))
    };
    let opened: Vec<(Follower, View)> = futures::stream::iter(0..clients)
        .map(open)
        .buffer_unordered(OPENING)
        .try_collect()
        .await
        .context("opening the clients' sockets")?;
    Ok(opened
        .into_iter()
        .map(|(follower, view)| follow(rest.clone(), workspace, follower, view, goals.clone()))
        .collect())
}

/// Until the goal is reached, over as many sockets as it takes.
async fn follow(
    rest: Rest,
    workspace: WorkspaceId,
    mut follower: Follower,
    view: View,
    mut goals: watch::Receiver<u64>,
) -> Result<Client, SocketError> {
    let mut client = Client {
        view,
        resumed: None,
        refused: 0,
    };
    while client.view.seq() < *goals.borrow_and_update() {
        tokio::select! {
            biased;
            heard = follower.hear(&mut client.view, |_| {}) => {
                if let Err(end) = heard {
                    if !end.may_retry() {
                        return Err(end);
                    }
                    follower = come_back(&rest, workspace, &mut client).await?;
                    client.resumed = Some(Instant::now());
                }
            }
            changed = goals.changed() => {
                if changed.is_err() {
                    break;
                }
            }
        }
    }
    Ok(client)
}

/// With the contract's full-jitter back-off.
async fn come_back(
    rest: &Rest,
    workspace: WorkspaceId,
    client: &mut Client,
) -> Result<Follower, SocketError> {
    let mut attempt = 0;
    loop {
        reconnect::pause(attempt).await;
        match Follower::open(rest, workspace, &mut client.view).await {
            Err(error) if error.may_retry() => {
                attempt += 1;
                client.refused += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Those who reached the end in time.
async fn collect(following: &mut JoinSet<Result<Client, SocketError>>) -> Vec<Client> {
    let until = tokio::time::Instant::now() + GIVE_UP;
    let mut returned = Vec::new();
    while let Ok(Some(ended)) = tokio::time::timeout_at(until, following.join_next()).await {
        match ended {
            Ok(Ok(client)) => returned.push(client),
            Ok(Err(error)) => tracing::warn!(%error, "a client gave up"),
            Err(error) => tracing::warn!(%error, "a client ended"),
        }
    }
    returned
}

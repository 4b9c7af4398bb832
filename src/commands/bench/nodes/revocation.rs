//! A member is removed through one server while events flow: no socket of theirs is told of
//! anything that happened after, on any server, and all end soon.

use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::follower::{Follower, View};
use super::pen::{Seal, Writing};
use super::process::{Node, Redis, Stand};
use super::{longest, unmeasured};
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::client::frames::Event;
use crate::commands::client::rest::{Call, Rest, workspace_path};
use crate::commands::client::socket::SocketError;
use crate::commands::loadtest::ground::Ground;
use crate::commands::loadtest::{LoadPlan, float};
use crate::ids::WorkspaceId;

/// Members who are removed, one after the other.
const ROUNDS: usize = 5;
/// Of each on each server.
const SOCKETS: usize = 10;
/// Edits a second meanwhile.
const RATE: u32 = 100;
const WITH_REDIS_MS: f64 = 250.0;
const WITHOUT_MS: f64 = 1_500.0;
/// Without Redis the other server looks once a second: what flows must have come to its sockets before.
const SETTLE: Duration = Duration::from_millis(2_500);
/// How long a socket is watched for what it must not be told.
const WATCHED: Duration = Duration::from_secs(4);

/// What a member's socket was told.
struct Sock {
    on_the_deciding: bool,
    /// The highest seq of an event.
    last: u64,
    /// When it was told of the removal, or closed.
    cut: Option<Instant>,
}

/// How one removal went.
struct Round {
    /// Events above the removal's seq.
    leaked: u64,
    /// Milliseconds from the answer to the removal, longest.
    here: f64,
    elsewhere: f64,
}

/// Once with Redis, once without.
///
/// # Errors
/// When it can't be tried.
pub async fn measure(stand: &Stand) -> anyhow::Result<Vec<Figure>> {
    let mut figures = match Redis::start().await {
        Ok(redis) => rounds(stand, Some(&redis)).await?,
        Err(why) => vec![unmeasured(
            "a member is removed, with Redis",
            &format!("{why:#}"),
        )],
    };
    figures.extend(rounds(stand, None).await?);
    Ok(figures)
}

async fn rounds(stand: &Stand, redis: Option<&Redis>) -> anyhow::Result<Vec<Figure>> {
    let (a, b) = (stand.start(redis).await?, stand.start(redis).await?);
    let (owner, _) = a.person().await?;
    let plan = LoadPlan::new(owner.server().clone(), owner.token());
    let ground = Ground::prepare(&owner, &plan).await?;
    let writing = Writing::begin(&owner, &ground, Seal::new(), RATE).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(&a, &b, &owner, ground.workspace).await?);
    }
    let acked = writing.end().await?;
    let (how, most) = match redis {
        Some(_) => ("with Redis", WITH_REDIS_MS),
        None => ("without Redis", WITHOUT_MS),
    };
    let leaked: u64 = rounds.iter().map(|round| round.leaked).sum();
    let longest = |of: fn(&Round) -> f64| longest(rounds.iter().map(of));
    Ok(vec![
        Figure::new(
            format!("a member is removed, {how}: later events on the member's sockets"),
            float(leaked),
            "events",
            Must::AtMost(0.0),
        )
        .with(
            "removals × sockets on each server",
            format!("{ROUNDS} × {SOCKETS}"),
        )
        .with("edits meanwhile", acked.to_string()),
        Figure::new(
            format!("a member is removed, {how}: cut off on the other server"),
            longest(|round| round.elsewhere),
            "ms",
            Must::AtMost(most),
        )
        .with(
            "on the server that decides",
            format!("{:.1} ms after the answer", longest(|round| round.here)),
        ),
    ])
}

async fn round(a: &Node, b: &Node, owner: &Rest, workspace: WorkspaceId) -> anyhow::Result<Round> {
    let (member, user) = join(a, owner, workspace).await?;
    let mut sockets = JoinSet::new();
    for node in [a, b] {
        let rest = node.caller(&member)?;
        for _ in 0..SOCKETS {
            let mut view = View::default();
            let follower = Follower::open(&rest, workspace, &mut view).await?;
            sockets.spawn(watch(follower, view, std::ptr::eq(node, a)));
        }
    }
    tokio::time::sleep(SETTLE).await;
    let before = owner.head(workspace).await?;
    let path = format!("{}/members/{user}", workspace_path(workspace));
    owner.send(Call::new(Method::DELETE, path)).await?;
    let answered = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let removed = removal(owner, workspace, before).await?;
    let watched: Vec<Sock> = sockets.join_all().await;
    ensure!(watched.iter().all(|sock| sock.last > 0), "no events flowed");
    let over = |sock: &Sock| sock.last.saturating_sub(removed);
    let late = |deciding: bool| {
        let of_server = watched.iter().filter(|s| s.on_the_deciding == deciding);
        // A socket that was never cut off makes no number of it.
        longest(of_server.map(|sock| {
            sock.cut.map_or(f64::NAN, |cut| {
                cut.saturating_duration_since(answered).as_secs_f64() * 1e3
            })
        }))
    };
    Ok(Round {
        leaked: watched.iter().map(over).sum(),
        here: late(true),
        elsewhere: late(false),
    })
}

/// A new account becomes a member: its caller, and its id.
async fn join(a: &Node, owner: &Rest, workspace: WorkspaceId) -> anyhow::Result<(Rest, Uuid)> {
    #[derive(Deserialize)]
    struct Invite {
        token: String,
    }
    #[derive(Deserialize)]
    struct Me {
        user: User,
    }
    #[derive(Deserialize)]
    struct User {
        id: Uuid,
    }
    let (member, account) = a.person().await?;
    let path = format!("{}/invites", workspace_path(workspace));
    let body = json!({ "email": account.email, "role": "editor" });
    let invite: Invite = owner
        .read(Call::new(Method::POST, path).json(&body)?)
        .await?;
    let accept = Call::new(Method::POST, "/api/v1/invites/accept");
    let body = json!({ "token": invite.token });
    member.read::<Value>(accept.json(&body)?).await?;
    let me: Me = member.read(Call::new(Method::GET, "/api/v1/me")).await?;
    Ok((member, me.user.id))
}

/// The seq of the removal that came after `before`.
async fn removal(owner: &Rest, workspace: WorkspaceId, before: u64) -> anyhow::Result<u64> {
    let mut after = before.saturating_sub(1);
    loop {
        let page = owner.events::<Event>(workspace, after, 500).await?;
        let found = page
            .data
            .iter()
            .find(|event| event.kind == "member.removed");
        if let Some(event) = found {
            return Ok(event.seq);
        }
        ensure!(page.through > after, "the log does not tell of the removal");
        after = page.through;
    }
}

/// Listens to the socket's end; one that is never closed is listened to for as long as the others.
async fn watch(mut follower: Follower, mut view: View, on_the_deciding: bool) -> Sock {
    let mut sock = Sock {
        on_the_deciding,
        last: 0,
        cut: None,
    };
    let listening = async {
        loop {
            let Sock { last, cut, .. } = &mut sock;
            let heard = follower
                .hear(&mut view, |event| *last = event.seq.max(*last))
                .await;
            if heard.is_err() || matches!(view.access, Some(None)) {
                cut.get_or_insert_with(Instant::now);
            }
            if let Err(end) = heard {
                return end;
            }
        }
    };
    let end: Result<SocketError, _> = tokio::time::timeout(SETTLE + 2 * WATCHED, listening).await;
    if let Ok(end) = end {
        tracing::debug!(%end, "a member's socket ended");
    }
    sock
}

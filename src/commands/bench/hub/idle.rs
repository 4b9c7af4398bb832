//! What sockets cost that are open, subscribed and silent: the server's memory, and its time for
//! pings and beats.

use std::time::Instant;

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Crowd, room_for};
use crate::commands::bench::Bench;
use crate::commands::bench::cpu;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::bench::memory::{megabytes, resident};
use crate::commands::client::frames::{Frame, RawEvent};
use crate::commands::client::lean::LeanSocket;
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::{PATIENCE, SocketError, parse};
use crate::commands::loadtest::float;
use crate::ids::WorkspaceId;

/// Of one office.
const A_WORKSPACE: u32 = 100;
/// Sockets that are opened side by side.
const OPENING: usize = 64;
/// They come first: into memory that a server has free after its start. What the others add is what
/// a socket costs, and the larger of the two is told.
const FIRST: u32 = 10;

/// Memory a socket over before, and cores while all are idle.
///
/// # Errors
/// When they can't be opened, or one of them is closed meanwhile.
pub async fn measure(bench: &Bench, crowd: Crowd) -> anyhow::Result<Vec<Figure>> {
    let measurable = match bench.server_pid {
        Some(server) => room_for(crowd.idle, Some(server)).map(|()| server),
        None => Err("the server's process is not known: --server-pid".to_owned()),
    };
    match measurable {
        Ok(server) => watch(bench, crowd, server).await,
        Err(why) => Ok(figures(crowd.idle, f64::NAN, f64::NAN)
            .map(|figure| figure.with("NOT MEASURED", why.clone()))
            .into()),
    }
}

async fn watch(bench: &Bench, crowd: Crowd, server: u32) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    let mut workspaces = Vec::new();
    for number in 1..=crowd.idle.div_ceil(A_WORKSPACE) {
        let name = format!("Bench, silent {number}");
        workspaces.push(rest.create_workspace(&name, None).await?.id);
    }
    let first = crowd.idle / FIRST;
    let before = resident(server)?;
    let mut sockets = open(&rest, &workspaces, first).await?;
    tokio::time::sleep(crowd.settle).await;
    let with_first = resident(server)?;
    let began = Instant::now();
    let mut others = open(&rest, &workspaces, crowd.idle - first).await?;
    let opened = began.elapsed();
    tokio::time::sleep(crowd.settle).await;
    let settled = resident(server)?;
    let (spent, began) = (cpu::spent(server)?, Instant::now());
    tokio::time::sleep(crowd.watched).await;
    let cores = (cpu::spent(server)? - spent).as_secs_f64() / began.elapsed().as_secs_f64();
    let held = resident(server)?.max(settled);
    if let Some(closed) = sockets.try_join_next().or_else(|| others.try_join_next()) {
        bail!("an idle socket was closed: {}", closed?);
    }
    sockets.shutdown().await;
    others.shutdown().await;
    let each = kibibytes_each(held, before, crowd.idle);
    let added = kibibytes_each(held, with_first, crowd.idle - first);
    let [memory, cpu] = figures(crowd.idle, each.max(added), cores);
    Ok(vec![
        memory
            .with("before", format!("{:.1} MB", megabytes(before)))
            .with(
                "with the first tenth",
                format!("{:.1} MB", megabytes(with_first)),
            )
            .with("with all of them", format!("{:.1} MB", megabytes(held)))
            .with("each over before", format!("{each:.2} KiB"))
            .with("each after the first tenth", format!("{added:.2} KiB"))
            .with("workspaces", workspaces.len().to_string())
            .with("opened in", format!("{:.1} s", opened.as_secs_f64())),
        cpu.with("watched", format!("{} s", crowd.watched.as_secs())),
    ])
}

fn kibibytes_each(held: u64, before: u64, sockets: u32) -> f64 {
    float(held.saturating_sub(before)) / f64::from(sockets.max(1)) / 1024.0
}

fn figures(count: u32, each: f64, cores: f64) -> [Figure; 2] {
    [
        Figure::new(
            format!("server memory of each of {count} idle sockets, over before"),
            each,
            "KiB",
            Must::AtMost(20.0),
        ),
        Figure::new(
            format!("server time for {count} idle sockets, pings and beats included"),
            cores,
            "cores",
            Must::AtMost(0.2),
        ),
    ]
}

/// Opens them in turn over the workspaces; each then answers pings until it is closed, and says
/// why it was.
async fn open(
    rest: &Rest,
    workspaces: &[WorkspaceId],
    count: u32,
) -> anyhow::Result<JoinSet<SocketError>> {
    let turns = workspaces.iter().cycle().zip(0..count);
    let sockets: Vec<LeanSocket> = futures::stream::iter(turns)
        .map(|(workspace, _)| subscribed(rest, *workspace))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
        .context("opening the idle sockets")?;
    Ok(sockets.into_iter().map(listen).collect())
}

async fn subscribed(rest: &Rest, workspace: WorkspaceId) -> Result<LeanSocket, SocketError> {
    let opening = async {
        let mut socket = LeanSocket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        socket.subscribe(workspace, None).await?;
        let mut subscribed = false;
        while !subscribed {
            let confirm = |text: &str| match parse::<RawEvent>(text)? {
                Frame::Error(refusal) => Err(SocketError::Refused(refusal.problem)),
                frame => {
                    subscribed |= matches!(frame, Frame::Subscribed(_));
                    Ok(())
                }
            };
            socket.hear(confirm).await?;
        }
        Ok(socket)
    };
    tokio::time::timeout(PATIENCE, opening)
        .await
        .unwrap_or(Err(SocketError::Silence))
}

async fn listen(mut socket: LeanSocket) -> SocketError {
    loop {
        if let Err(end) = socket.hear(|_| Ok(())).await {
            return end;
        }
    }
}

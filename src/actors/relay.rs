//! The bridge to other nodes over Redis: after a commit it tells them which workspace moved, and
//! what they tell makes our actor of that workspace read the log. It carries no data and no truth:
//! what it loses is found by the poll of each second.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::registry::Registry;
use crate::ids::WorkspaceId;

const CHANNEL: &str = "estatebase:commits";
/// Moves that may wait for Redis; beyond, the poll finds them.
const WAITING: usize = 4_096;
const PAUSE: Duration = Duration::from_secs(1);

/// Our end of the bridge.
pub struct Relay {
    node: Uuid,
    moves: mpsc::Sender<(WorkspaceId, i64)>,
    stop: CancellationToken,
}

impl Relay {
    /// Connects in the background and keeps at it. Fails when the URL can't be read.
    pub fn start(url: &str, registry: &Arc<Registry>) -> anyhow::Result<Arc<Relay>> {
        let client = redis::Client::open(url)?;
        let (moves, waiting) = mpsc::channel(WAITING);
        let relay = Arc::new(Relay {
            node: Uuid::now_v7(),
            moves,
            stop: CancellationToken::new(),
        });
        actix_web::rt::spawn(tell(
            client.clone(),
            relay.node,
            waiting,
            relay.stop.clone(),
        ));
        actix_web::rt::spawn(listen(
            client,
            relay.node,
            Arc::downgrade(registry),
            relay.stop.clone(),
        ));
        Ok(relay)
    }

    /// A workspace's log moved on to `seq` here.
    pub fn moved(&self, workspace: WorkspaceId, seq: i64) {
        // A full queue loses a wake-up, never an event.
        let _ = self.moves.try_send((workspace, seq));
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }
}

async fn tell(
    client: redis::Client,
    node: Uuid,
    mut moves: mpsc::Receiver<(WorkspaceId, i64)>,
    stop: CancellationToken,
) {
    let mut connection: Option<ConnectionManager> = None;
    loop {
        let next = tokio::select! {
            next = moves.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some((workspace, seq)) = next else { return };
        if connection.is_none() {
            let config = ConnectionManagerConfig::new().set_number_of_retries(1);
            connection = client.get_connection_manager_with_config(config).await.ok();
        }
        let Some(redis) = &mut connection else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let told: redis::RedisResult<()> = redis
            .publish(CHANNEL, format!("{node} {workspace} {seq}"))
            .await;
        if let Err(error) = told {
            tracing::warn!(%error, "other nodes were not told; they poll");
        }
    }
}

async fn listen(
    client: redis::Client,
    node: Uuid,
    registry: Weak<Registry>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            heard = hear(&client, node, &registry) => {
                if let Err(error) = heard {
                    tracing::warn!(%error, "Redis is away; polling");
                }
            }
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the connection breaks.
async fn hear(
    client: &redis::Client,
    node: Uuid,
    registry: &Weak<Registry>,
) -> redis::RedisResult<()> {
    let mut channel = client.get_async_pubsub().await?;
    channel.subscribe(CHANNEL).await?;
    let mut messages = channel.on_message();
    while let Some(message) = messages.next().await {
        let text: String = message.get_payload()?;
        let Some(registry) = registry.upgrade() else {
            return Ok(());
        };
        if let Some((workspace, seq)) = foreign_move(&text, node) {
            registry.nudge(workspace, seq);
        }
    }
    Ok(())
}

/// A move that another node made.
fn foreign_move(text: &str, own: Uuid) -> Option<(WorkspaceId, i64)> {
    let mut parts = text.split(' ');
    let from: Uuid = parts.next()?.parse().ok()?;
    let workspace = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    (from != own).then_some((workspace, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_moves_are_heard_and_nonsense_is_not() {
        let (own, other, workspace) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let told = |node: Uuid| format!("{node} {workspace} 7");
        assert_eq!(foreign_move(&told(own), own), None);
        assert_eq!(
            foreign_move(&told(other), own),
            Some((WorkspaceId(workspace), 7))
        );
        for nonsense in ["", "x", "x y z", &format!("{other} {workspace}")] {
            assert_eq!(foreign_move(nonsense, own), None);
        }
    }
}

//! The bridge to other nodes over Redis: after a commit it tells them which workspace moved, and
//! what they tell makes our actor of that workspace read the log. It carries no data and no truth:
//! what it loses is found by the poll of each second. Beside that it carries presence, which may be
//! lost, on a channel and a connection of its own, so that no commit waits behind it.

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

const COMMITS: &str = "estatebase:commits";
const PRESENCE: &str = "estatebase:presence";
/// Messages of a channel that may wait for Redis; beyond, the poll finds the commits.
const WAITING: usize = 4_096;
const PAUSE: Duration = Duration::from_secs(1);

/// Our end of the bridge.
pub struct Relay {
    node: Uuid,
    moves: mpsc::Sender<String>,
    presence: mpsc::Sender<String>,
    stop: CancellationToken,
}

impl Relay {
    /// Connects in the background and keeps at it. Fails when the URL can't be read.
    pub fn start(url: &str, registry: &Arc<Registry>) -> anyhow::Result<Arc<Relay>> {
        let client = redis::Client::open(url)?;
        let (moves, waiting_moves) = mpsc::channel(WAITING);
        let (presence, waiting_presence) = mpsc::channel(WAITING);
        let relay = Arc::new(Relay {
            node: Uuid::now_v7(),
            moves,
            presence,
            stop: CancellationToken::new(),
        });
        for (channel, waiting) in [(COMMITS, waiting_moves), (PRESENCE, waiting_presence)] {
            actix_web::rt::spawn(tell(client.clone(), channel, waiting, relay.stop.clone()));
        }
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
        let _ = self
            .moves
            .try_send(format!("{} {workspace} {seq}", self.node));
    }

    /// Who is where at our sockets, in the words of the workspace's actor.
    pub(in crate::actors) fn present(&self, workspace: WorkspaceId, text: &str) {
        // Who is not told of again is forgotten: a full queue may lose it.
        let _ = self
            .presence
            .try_send(format!("{} {workspace} {text}", self.node));
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }
}

async fn tell(
    client: redis::Client,
    channel: &'static str,
    mut waiting: mpsc::Receiver<String>,
    stop: CancellationToken,
) {
    let mut connection: Option<ConnectionManager> = None;
    loop {
        let next = tokio::select! {
            next = waiting.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some(message) = next else { return };
        if connection.is_none() {
            let config = ConnectionManagerConfig::new().set_number_of_retries(1);
            connection = client.get_connection_manager_with_config(config).await.ok();
        }
        let Some(redis) = &mut connection else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let told: redis::RedisResult<()> = redis.publish(channel, message).await;
        if let Err(error) = told {
            tracing::warn!(%error, channel, "other nodes were not told");
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
    channel.subscribe(&[COMMITS, PRESENCE]).await?;
    let mut messages = channel.on_message();
    while let Some(message) = messages.next().await {
        let text: String = message.get_payload()?;
        let Some(registry) = registry.upgrade() else {
            return Ok(());
        };
        let Some((from, workspace, rest)) = foreign(&text, node) else {
            continue;
        };
        if message.get_channel_name() == PRESENCE {
            registry.hear_presence(workspace, from, rest);
        } else if let Ok(seq) = rest.parse() {
            registry.nudge(workspace, seq);
        }
    }
    Ok(())
}

/// What another node said: which one, of which workspace, and what.
fn foreign(text: &str, own: Uuid) -> Option<(Uuid, WorkspaceId, &str)> {
    let (from, rest) = text.split_once(' ')?;
    let (workspace, rest) = rest.split_once(' ')?;
    let from: Uuid = from.parse().ok()?;
    (from != own).then_some((from, workspace.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_words_are_heard_and_nonsense_is_not() {
        let (own, other, workspace) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let told = |node: Uuid| format!("{node} {workspace} a b");
        assert_eq!(foreign(&told(own), own), None);
        assert_eq!(
            foreign(&told(other), own),
            Some((other, WorkspaceId(workspace), "a b"))
        );
        for nonsense in ["", "x", "x y z", &format!("{other} {workspace}")] {
            assert_eq!(foreign(nonsense, own), None);
        }
    }
}

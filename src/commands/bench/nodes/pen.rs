//! Someone who edits at an even pace over one socket, and whose edits say when they were due, so
//! that whoever is told of one knows how long it took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::commands::client::frames::{Edit, Frame, ItemEdit, RawEvent};
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::{PATIENCE, Socket, parse};
use crate::commands::loadtest::clock::Clock;
use crate::commands::loadtest::event::{Cells, Seen};
use crate::commands::loadtest::ground::{Field, Ground};
use crate::commands::loadtest::stamp::{Stamp, new_nonce};
use crate::ids::WorkspaceId;

/// Marks the edits of one run, and knows them again.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    clock: Clock,
    nonce: u16,
}

/// Edits that go on until they are ended.
pub struct Writing {
    state: Arc<State>,
    task: JoinHandle<anyhow::Result<u64>>,
}

#[derive(Default)]
struct State {
    head: AtomicU64,
    over: AtomicBool,
}

impl Seal {
    pub fn new() -> Self {
        Self {
            clock: Clock::start(),
            nonce: new_nonce(),
        }
    }

    /// The `op` of one edit that is due at `due`.
    pub fn op(&self, due: Instant, editor: u16, counter: u32) -> Uuid {
        Stamp {
            intended: self.clock.moment(due),
            nonce: self.nonce,
            editor,
            counter,
        }
        .op()
    }

    /// What `op` says; `None` for the edits of others.
    pub fn read(&self, op: Uuid) -> Option<Stamp> {
        Stamp::read(op, self.nonce)
    }

    /// Microseconds since the edit was due; `None` for the events of others.
    pub fn age(&self, event: &Seen) -> Option<u64> {
        let stamp = self.read(event.op?)?;
        Some(self.clock.now().micros_since(stamp.intended))
    }
}

impl Default for Seal {
    fn default() -> Self {
        Self::new()
    }
}

impl Writing {
    /// Connects and begins, so many edits a second.
    ///
    /// # Errors
    /// When the server can't be reached, or there is nothing to edit.
    pub async fn begin(
        rest: &Rest,
        ground: &Ground,
        seal: Seal,
        rate: u32,
    ) -> anyhow::Result<Self> {
        let socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        let field = ground.lists.first().context("a ground without a list")?;
        let state = Arc::<State>::default();
        let pen = Pen {
            socket,
            seal,
            workspace: ground.workspace,
            field: field.clone(),
            state: Arc::clone(&state),
            sent: 0,
            acked: 0,
        };
        let every = Duration::from_secs(1) / rate.max(1);
        let task = tokio::spawn(pen.write(every));
        Ok(Self { state, task })
    }

    /// The highest seq that was acknowledged.
    pub fn head(&self) -> u64 {
        self.state.head.load(Ordering::Relaxed)
    }

    /// Sends no more and waits for all answers: how many edits were acknowledged.
    ///
    /// # Errors
    /// When one was refused, or is not answered.
    pub async fn end(self) -> anyhow::Result<u64> {
        self.state.over.store(true, Ordering::Relaxed);
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .context("edits are not answered")??
    }
}

struct Pen {
    socket: Socket,
    seal: Seal,
    workspace: WorkspaceId,
    field: Field,
    state: Arc<State>,
    sent: u32,
    acked: u64,
}

impl Pen {
    async fn write(mut self, every: Duration) -> anyhow::Result<u64> {
        let mut due = tokio::time::interval(every);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                at = due.tick() => {
                    if !self.state.over.load(Ordering::Relaxed) {
                        self.edit(at.into_std()).await?;
                    } else if self.acked == u64::from(self.sent) {
                        self.socket.close().await;
                        return Ok(self.acked);
                    }
                }
                text = self.socket.next() => self.take(&text?)?,
            }
        }
    }

    async fn edit(&mut self, due: Instant) -> anyhow::Result<()> {
        let at = usize::try_from(self.sent)? % self.field.items.len().max(1);
        let item = self.field.items.get(at).context("nothing to edit")?;
        self.sent += 1;
        let marker = Some(u64::from(self.sent));
        let items = [ItemEdit {
            id: *item,
            values: Cells { marker },
        }];
        let edit = Edit {
            op: self.seal.op(due, 0, self.sent),
            workspace: self.workspace,
            list: self.field.list,
            items: &items,
        };
        Ok(self.socket.send(&edit).await?)
    }

    fn take(&mut self, text: &str) -> anyhow::Result<()> {
        match parse::<RawEvent>(text)? {
            Frame::Ack(ack) => {
                self.acked += 1;
                self.state.head.fetch_max(ack.seq, Ordering::Relaxed);
            }
            Frame::Reject(reject) => bail!("an edit was refused: {}", reject.problem),
            Frame::Error(refusal) => bail!("a frame was refused: {}", refusal.problem),
            _ => {}
        }
        Ok(())
    }
}

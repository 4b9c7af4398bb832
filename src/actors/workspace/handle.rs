//! The way to a workspace: typed async methods behind an explicit bound. A mailbox is no bound (a
//! fresh clone of an address may always send one more), so every command holds a permit until it
//! is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Addr};
use tokio::sync::{Semaphore, oneshot, watch};
use uuid::Uuid;

use super::command::{Job, Reply, Request};
use super::core::{Core, Snapshot};
use super::presence::{Appear, Heard, WhoIsHere};
use super::tail::{Past, Tail};
use super::tails::Tails;
use super::{Announce, Close, JobNews, Look, Submit, Subscribe, Unsubscribe, Workspace};
use crate::actors::outbox::{Outbox, Ticket};
use crate::actors::relay::Relay;
use crate::domain::log::{Actor as LogActor, mark};
use crate::domain::presence::Whereabouts;
use crate::domain::roles::Role;
use crate::error::AppError;
use crate::ids::{UserId, WorkspaceId};
use crate::store::Db;

/// Commands that may be under way in one workspace.
pub(super) const PERMITS: usize = 4_096;
/// How long a lane may take to end when the server stops.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// How long a lane that panicked may take to be gone.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long a command waits for a permit before it is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// A workspace's actor, as the rest of the house sees it. Cheap to clone.
#[derive(Clone)]
pub struct WorkspaceHandle {
    id: WorkspaceId,
    addr: Addr<Workspace>,
    gate: Arc<Gate>,
    tail: Arc<Tail>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

/// Where a subscription begins: events after `seq` follow.
#[derive(Clone, Debug, actix::MessageResponse)]
pub struct Subscribed {
    pub seq: i64,
    pub mark: String,
    pub role: Role,
}

/// A session's end of a subscription: dropped, the hub forgets it, also when the actor has not
/// answered yet.
pub struct Subscription {
    handle: WorkspaceHandle,
    session: Uuid,
    ticket: Ticket,
}

impl Subscription {
    pub fn handle(&self) -> &WorkspaceHandle {
        &self.handle
    }

    /// Where the person at this socket is, and what others call the person.
    pub fn appear(&self, name: Arc<str>, whereabouts: Whereabouts) {
        #[expect(clippy::disallowed_methods, reason = "ten a second a socket")]
        self.handle.addr.do_send(Appear {
            session: self.session,
            ticket: self.ticket,
            name,
            whereabouts,
        });
    }

    /// Asks for everybody who is here, and for what changes from then on.
    pub fn ask_who_is_here(&self) {
        #[expect(
            clippy::disallowed_methods,
            reason = "one a subscription, and one a second for a socket that missed some"
        )]
        self.handle.addr.do_send(WhoIsHere {
            session: self.session,
            ticket: self.ticket,
        });
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "one a subscription")]
        self.handle.addr.do_send(Unsubscribe {
            session: self.session,
            ticket: self.ticket,
        });
    }
}

/// Lets commands in, a bounded number at a time, until the actor is let go.
pub(super) struct Gate {
    permits: Arc<Semaphore>,
    failed: AtomicBool,
    /// Commands of people that came in, ever.
    people: AtomicU64,
}

impl Gate {
    fn new() -> Gate {
        Gate {
            permits: Arc::new(Semaphore::new(PERMITS)),
            failed: AtomicBool::new(false),
            people: AtomicU64::new(0),
        }
    }

    /// Closes for good if nothing is under way, so that nothing can be lost.
    pub(super) fn close_if_unused(&self) -> bool {
        let all = u32::try_from(PERMITS).unwrap_or(u32::MAX);
        let Ok(_all) = self.permits.try_acquire_many(all) else {
            return false;
        };
        self.permits.close();
        true
    }

    pub(super) fn close(&self) {
        self.permits.close();
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.permits.close();
    }
}

impl WorkspaceHandle {
    /// Reads the workspace and starts its actor on that arbiter.
    pub(in crate::actors) async fn start(
        reading: &Db,
        lane: Db,
        relay: Option<Arc<Relay>>,
        tails: &Arc<Tails>,
        id: WorkspaceId,
        arbiter: &actix::ArbiterHandle,
    ) -> Result<WorkspaceHandle, AppError> {
        let core = Core::load(reading, id).await?;
        let (sender, snapshot) = watch::channel(Arc::new(core.snapshot()));
        let gate = Arc::new(Gate::new());
        let tail = Arc::new(Tail::new(tails, id, core.seq, &mark(&core.hash)));
        let (held, kept) = (Arc::clone(&gate), Arc::clone(&tail));
        let actor = Workspace::new(lane, relay, core, sender, held, kept);
        let addr = Workspace::start_in_arbiter(arbiter, move |_| actor);
        Ok(WorkspaceHandle {
            id,
            addr,
            gate,
            tail,
            snapshot,
        })
    }

    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// The workspace as of its last commit.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Waits until the workspace is at `seq`, at most `patience`; whether it is. What another server
    /// wrote is looked for at once.
    pub async fn reach(&self, seq: i64, patience: Duration) -> bool {
        self.nudge(seq);
        let mut snapshot = self.snapshot.clone();
        let reached = snapshot.wait_for(|snapshot| snapshot.seq >= seq);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// How many commands of people came in since the actor started: whether it grows tells a batch
    /// of an import that it should be short.
    pub fn commands_of_people(&self) -> u64 {
        self.gate.people.load(Ordering::Relaxed)
    }

    /// Whether the actor takes commands.
    pub fn is_open(&self) -> bool {
        self.addr.connected() && !self.gate.permits.is_closed()
    }

    /// Whether the actor ended by a fault.
    pub(in crate::actors) fn has_failed(&self) -> bool {
        self.gate.failed.load(Ordering::SeqCst)
    }

    /// Runs a command through the lane and waits for its answer.
    ///
    /// Errors: `unavailable` when the lane is full or let go of before it took the command (it had
    /// no effect), `internal` when it ended while the command was under way (ask again by key).
    pub async fn submit(&self, request: Request) -> Result<Reply, AppError> {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.gate.permits).acquire_owned())
            .await
            .map_err(|_| AppError::unavailable("The workspace is busy; try again"))?
            .map_err(|_| AppError::unavailable("The workspace is moving; try again"))?;
        if matches!(request.actor, LogActor::User(_) | LogActor::Form(_)) {
            self.gate.people.fetch_add(1, Ordering::Relaxed);
        }
        let (reply, answer) = oneshot::channel();
        let job = Job {
            request,
            reply,
            _permit: Some(permit),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "bounded by the permit that the job holds"
        )]
        self.addr.do_send(Submit(job));
        match answer.await {
            Ok(answer) => answer,
            Err(_) => {
                self.end().await;
                let reason = anyhow::anyhow!("the lane ended while a command was under way");
                Err(AppError::internal(reason))
            }
        }
    }

    /// Waits for the end of a lane that panicked: a caller who asks again must find its successor.
    async fn end(&self) {
        let mut snapshot = self.snapshot.clone();
        let gone = async { while snapshot.changed().await.is_ok() {} };
        // Late only if the lane dropped a command and lives on.
        let _ = tokio::time::timeout(ENDS_WITHIN, gone).await;
    }

    /// Follows the workspace: from the answer's position on, every commit goes to `outbox` under
    /// its ticket, until the subscription is dropped. `None` when the person is no member.
    pub async fn subscribe(
        &self,
        session: Uuid,
        user: UserId,
        outbox: Outbox,
    ) -> Result<Option<(Subscription, Subscribed)>, AppError> {
        // Before it is asked for: whoever stops waiting for the answer leaves nothing behind.
        let subscription = Subscription {
            handle: self.clone(),
            session,
            ticket: outbox.ticket(),
        };
        let subscribed = self
            .addr
            .send(Subscribe {
                session,
                user,
                outbox,
            })
            .await
            .map_err(|_| AppError::unavailable("The workspace is moving; try again"))?;
        Ok(subscribed.map(|subscribed| (subscription, subscribed)))
    }

    /// The first piece of what happened between a client's position, known by its mark, and
    /// `through`, which the workspace has reached.
    ///
    /// Errors: those of the database, where the past lies further back than memory.
    pub async fn past(&self, db: &Db, since: (i64, &str), through: i64) -> Result<Past, AppError> {
        let oldest = self.snapshot.borrow().oldest_seq;
        self.tail.since(db, since, through, oldest).await
    }

    /// Lets nothing more in, and waits until what is under way is answered.
    pub(in crate::actors) async fn close(&self) {
        self.gate.close();
        #[expect(clippy::disallowed_methods, reason = "once, at the end")]
        self.addr.do_send(Close);
        let give_up = tokio::time::Instant::now() + CLOSE_WITHIN;
        while self.addr.connected() && tokio::time::Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Another node wrote, up to `seq`.
    pub(in crate::actors) fn nudge(&self, seq: i64) {
        if self.snapshot.borrow().seq < seq {
            #[expect(clippy::disallowed_methods, reason = "one a commit of another node")]
            self.addr.do_send(Look);
        }
    }

    /// Another node says who is at its sockets.
    pub(in crate::actors) fn hear_presence(&self, node: Uuid, text: &str) {
        let Ok(word) = serde_json::from_str(text) else {
            return tracing::warn!(workspace = %self.id, "a word about presence can't be read");
        };
        #[expect(clippy::disallowed_methods, reason = "a few a second a node")]
        self.addr.do_send(Heard { node, word });
    }

    /// Tells those who may know how a job stands.
    pub fn announce(&self, news: JobNews) {
        #[expect(
            clippy::disallowed_methods,
            reason = "one a committed batch or end of a job"
        )]
        self.addr.do_send(Announce(news));
    }
}

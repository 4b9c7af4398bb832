//! The workspace actor: serializes every write of one workspace through its lane, keeps what is
//! known of it in memory, and hands each committed event to every socket that may see it.
//!
//! The lane is a bounded queue with one running job: the mailbox stays free while a group commits,
//! what queues meanwhile is the next group, and a job that panics fails alone.

mod admin;
mod broadcast;
mod catch_up;
mod command;
mod core;
mod create;
mod done;
mod durable;
mod entry;
mod group;
mod handle;
mod import;
mod items;
mod known;
mod links;
mod news;
mod presence;
mod reach;
mod recent;
mod refill;
mod tail;
mod tails;
mod undo;
mod unique;
mod upsert;

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures::FutureExt;
use tokio::sync::watch;
use uuid::Uuid;

pub use admin::{AdminCommand, CommentCommand, FormCommand, INVITE_DAYS, ViewCommand};
pub use broadcast::{EncodedEvent, EventBatch, Lists, events_frame};
pub use command::{Answer, Command, Outcome, Remember, Reply, Request, Shape};
pub use core::Snapshot;
pub use create::{NewWorkspace, create};
pub use handle::{Subscribed, Subscription, WorkspaceHandle};
pub use news::JobNews;
pub use tail::Past;
pub(super) use tails::Tails;
pub use undo::UndoCommand;

use self::command::Job;
use self::core::Core;
use self::done::Done;
use self::handle::Gate;
use self::tail::Tail;
use super::outbox::{Outbox, Outgoing, Ticket};
use super::relay::Relay;
use crate::domain::membership::Members;
use crate::domain::roles::Role;
use crate::ids::{UserId, WorkspaceId};
use crate::store::Db;
use crate::telemetry;

/// Commands in one group at most.
const GROUP_COMMANDS: usize = 256;
/// Items in one group at most; a larger batch stands alone.
const GROUP_ITEMS: usize = 1_000;
/// How often the actor looks at silence, idleness and other nodes' writes.
const TICK: Duration = Duration::from_secs(1);
/// A subscription that heard nothing for so long hears the position.
const BEAT_AFTER: Duration = Duration::from_secs(5);
/// Bytes of a batch that sockets are handed whole.
const LARGE: usize = 128 * 1024;
/// A workspace without sockets and work is let go after so long.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// The actor of one workspace.
pub(super) struct Workspace {
    id: WorkspaceId,
    db: Db,
    /// `None` while the lane works.
    core: Option<Box<Core>>,
    queue: VecDeque<Job>,
    /// Batches of imports: they take turns with what people do.
    bulk: VecDeque<Job>,
    bulk_was_last: bool,
    /// Another node may have written: read the log when the lane is free.
    look: bool,
    closing: bool,
    /// What is computed anew could not go on: not before the next tick.
    refill_rests: bool,
    refilled_last: bool,
    relay: Option<Arc<Relay>>,
    told: news::Throttle,
    presence: presence::Presence,
    snapshot: watch::Sender<Arc<Snapshot>>,
    subscribers: HashMap<Uuid, Subscriber>,
    /// The members for whom the subscribers were looked at last.
    members: Arc<Members>,
    gate: Arc<Gate>,
    tail: Arc<Tail>,
    idle_since: Instant,
}

struct Subscriber {
    user: UserId,
    role: Role,
    outbox: Outbox,
    heard_at: Instant,
    /// It asked who is here; it was told, and of each change since.
    asked_for_people: bool,
    knows_people: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Submit(Job);

#[derive(Message)]
#[rtype(result = "Option<Subscribed>")]
struct Subscribe {
    session: Uuid,
    user: UserId,
    outbox: Outbox,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Announce(JobNews);

#[derive(Message)]
#[rtype(result = "()")]
struct Look;

#[derive(Message)]
#[rtype(result = "()")]
struct Close;

#[derive(Message)]
#[rtype(result = "()")]
struct Unsubscribe {
    session: Uuid,
    ticket: Ticket,
}

impl Workspace {
    fn new(
        db: Db,
        relay: Option<Arc<Relay>>,
        core: Core,
        snapshot: watch::Sender<Arc<Snapshot>>,
        gate: Arc<Gate>,
        tail: Arc<Tail>,
    ) -> Self {
        Workspace {
            id: core.id,
            members: Arc::clone(&core.members),
            db,
            core: Some(Box::new(core)),
            queue: VecDeque::new(),
            bulk: VecDeque::new(),
            bulk_was_last: false,
            look: false,
            closing: false,
            refill_rests: false,
            refilled_last: false,
            relay,
            told: news::Throttle::default(),
            presence: presence::Presence::default(),
            snapshot,
            subscribers: HashMap::new(),
            gate,
            tail,
            idle_since: Instant::now(),
        }
    }

    /// The server stops: so does the lane, once it has nothing left to answer.
    fn stop_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.closing && self.core.is_some() && self.queue.is_empty() && self.bulk.is_empty() {
            ctx.stop();
        }
    }

    /// Starts the next group, unless one is under way.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let refills = self.refills();
        if self.queue.is_empty() && self.bulk.is_empty() && !self.look && !refills {
            return;
        }
        let Some(mut core) = self.core.take() else {
            return;
        };
        let idle = self.queue.is_empty() && self.bulk.is_empty();
        if refills && !self.look && (idle || !self.refilled_last) {
            self.refilled_last = true;
            return self.refill(core, ctx);
        }
        self.refilled_last = false;
        let group = self.next_group();
        self.look = false;
        let commands = u32::try_from(group.len()).unwrap_or(u32::MAX);
        if commands > 0 {
            metrics::histogram!(telemetry::COMMIT_GROUP).record(f64::from(commands));
        }
        let db = self.db.clone();
        let work = async move {
            let started = Instant::now();
            let done = run_group(&db, &mut core, group).await;
            metrics::histogram!(telemetry::COMMIT_DURATION).record(started.elapsed());
            (core, done)
        };
        self.run(work, ctx);
    }

    /// Whether a computed column is to be computed anew now.
    fn refills(&self) -> bool {
        let needed = self
            .core
            .as_ref()
            .is_some_and(|core| refill::is_needed(core));
        needed && !self.closing && !self.refill_rests
    }

    /// Takes a page of the computed column that is computed anew: it takes turns with what people do.
    fn refill(&mut self, mut core: Box<Core>, ctx: &mut Context<Self>) {
        let db = self.db.clone();
        let work = async move {
            let done = refill::step(&db, &mut core).await;
            (core, done)
        };
        self.run(work, ctx);
    }

    /// The lane works, and goes on when that is done.
    fn run(
        &mut self,
        work: impl Future<Output = (Box<Core>, Done)> + 'static,
        ctx: &mut Context<Self>,
    ) {
        let isolated = AssertUnwindSafe(work).catch_unwind().into_actor(self);
        ctx.spawn(isolated.map(|result, actor, ctx| match result {
            Ok((core, done)) => {
                actor.core = Some(core);
                actor.refill_rests |= done.stumbled;
                actor.finish(done);
                actor.spread_presence(ctx);
                actor.pump(ctx);
                actor.stop_if_done(ctx);
            }
            Err(_) => {
                // What the group did is unknown and its state is gone: its callers learn that
                // nobody knows, and a fresh actor reads everything again.
                metrics::counter!(telemetry::PANICS, "where" => "lane").increment(1);
                tracing::error!(workspace = %actor.id, "the lane panicked");
                actor.gate.fail();
                ctx.stop();
            }
        }));
    }

    /// Commands on items that queued together, or one other command alone.
    fn next_group(&mut self) -> Vec<Job> {
        let bulk = self.queue.is_empty() || !self.bulk_was_last;
        self.bulk_was_last = false;
        if let Some(batch) = self.bulk.pop_front_if(|_| bulk) {
            self.bulk_was_last = true;
            return vec![batch];
        }
        let mut group = Vec::new();
        let mut items = 0;
        while let Some(job) = self.queue.pop_front() {
            match &job.request.command {
                Command::Items(command)
                    if group.is_empty()
                        || (items + command.len() <= GROUP_ITEMS
                            && group.len() < GROUP_COMMANDS) =>
                {
                    items += command.len();
                    group.push(job);
                }
                Command::Admin(_) | Command::Undo(_) if group.is_empty() => return vec![job],
                _ => {
                    self.queue.push_front(job);
                    break;
                }
            }
        }
        group
    }

    /// Memory is published, then the callers hear of it, each waiting for its own word, then everybody's
    /// sockets.
    fn finish(&mut self, done: Done) {
        let worked = !done.answers.is_empty() || !done.batches.is_empty();
        self.publish();
        if let (Some(relay), Some(last)) = (&self.relay, done.batches.last()) {
            relay.moved(self.id, last.through);
        }
        // First, for a batch read from the log may hold what came after a removal: nothing of it
        // may reach the removed member, and a new audience reads again from before the batch.
        self.drop_removed();
        if let Some(head) = &done.diverged {
            self.reset(head);
        }
        for (job, result) in done.answers {
            job.answer(result);
        }
        for batch in done.batches {
            self.fan_out(Arc::new(batch));
        }
        for job in done.deferred.into_iter().rev() {
            self.queue.push_front(job);
        }
        if worked {
            self.idle_since = Instant::now();
        }
    }

    fn publish(&self) {
        if let Some(core) = &self.core {
            self.snapshot.send_replace(Arc::new(core.snapshot()));
        }
    }

    fn fan_out(&mut self, batch: Arc<EventBatch>) {
        let now = Instant::now();
        self.tail.push(&batch);
        metrics::counter!(telemetry::EVENTS).increment(batch.len());
        // What is more than a socket should hold at once is fetched by each at its own pace.
        let news = match batch.bytes() {
            ..=LARGE => Outgoing::Events(batch),
            _ => Outgoing::Moved {
                workspace: self.id,
                through: batch.through,
            },
        };
        for subscriber in self.subscribers.values_mut() {
            subscriber.outbox.push(news.clone());
            subscriber.heard_at = now;
        }
    }

    /// The log is not the one that the sockets followed: each begins anew from its head.
    fn reset(&self, head: &done::Diverged) {
        self.tail.restart(head.seq, &head.mark);
        let mark: Arc<str> = head.mark.as_str().into();
        for subscriber in self.subscribers.values() {
            subscriber.outbox.push(Outgoing::Reset {
                workspace: self.id,
                seq: head.seq,
                mark: Arc::clone(&mark),
            });
        }
    }

    /// Ends the subscriptions of those who are no members any more, before the removal is
    /// acknowledged; tells the others when their role changed.
    fn drop_removed(&mut self) {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        if Arc::ptr_eq(&self.members, &snapshot.members) && !snapshot.is_deleted() {
            return;
        }
        self.members = Arc::clone(&snapshot.members);
        self.presence.members_changed();
        let workspace = self.id;
        self.subscribers.retain(|_, subscriber| {
            let role = snapshot
                .role_of(subscriber.user)
                .filter(|_| !snapshot.is_deleted());
            if role != Some(subscriber.role) {
                subscriber.outbox.push(Outgoing::Access { workspace, role });
            }
            role.map(|role| subscriber.role = role).is_some()
        });
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.forget_closed();
        self.beat();
        self.keep_presence(ctx);
        self.refill_rests = false;
        if !self.closing {
            self.look = true;
            self.pump(ctx);
        }
        let works = !self.queue.is_empty() || !self.bulk.is_empty() || self.refills();
        let idle = self.subscribers.is_empty() && !works;
        if !idle {
            self.idle_since = Instant::now();
        } else if self.idle_since.elapsed() >= IDLE_AFTER && self.gate.close_if_unused() {
            ctx.stop();
        }
    }

    fn forget_closed(&mut self) {
        let presence = &mut self.presence;
        self.subscribers.retain(|session, subscriber| {
            let closed = subscriber.outbox.is_closed();
            if closed {
                presence.leave(*session);
            }
            !closed
        });
    }

    fn beat(&mut self) {
        let through = self.snapshot.borrow().seq;
        for subscriber in self.subscribers.values_mut() {
            if subscriber.heard_at.elapsed() >= BEAT_AFTER {
                subscriber.heard_at = Instant::now();
                subscriber.outbox.push(Outgoing::Beat {
                    workspace: self.id,
                    through,
                });
            }
        }
    }
}

async fn run_group(db: &Db, core: &mut Core, mut group: Vec<Job>) -> Done {
    match group.first().map(|job| &job.request.command) {
        Some(Command::Admin(_)) => match group.pop() {
            Some(job) => admin::run(db, core, job).await,
            None => Done::default(),
        },
        Some(Command::Import(_)) => match group.pop() {
            Some(job) => import::run(db, core, job).await,
            None => Done::default(),
        },
        Some(Command::Undo(_)) => match group.pop() {
            Some(job) => undo::run(db, core, job).await,
            None => Done::default(),
        },
        None => catch_up::look(db, core).await,
        Some(Command::Items(_)) => items::run(db, core, group).await,
    }
}

impl Actor for Workspace {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Permits bound what may be under way; the mailbox must hold as much.
        ctx.set_mailbox_capacity(handle::PERMITS * 2);
        ctx.run_interval(TICK, Self::tick);
        self.ask_nodes();
        metrics::gauge!(telemetry::WORKSPACES).increment(1.0);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.gate.close();
        for subscriber in self.subscribers.values() {
            subscriber
                .outbox
                .push(Outgoing::Rejoin { workspace: self.id });
        }
        metrics::gauge!(telemetry::WORKSPACES).decrement(1.0);
    }
}

impl Handler<Submit> for Workspace {
    type Result = ();

    fn handle(&mut self, Submit(job): Submit, ctx: &mut Self::Context) {
        match &job.request.command {
            Command::Import(_) => self.bulk.push_back(job),
            _ => self.queue.push_back(job),
        }
        self.pump(ctx);
    }
}

impl Handler<Subscribe> for Workspace {
    type Result = Option<Subscribed>;

    fn handle(&mut self, subscribe: Subscribe, _: &mut Self::Context) -> Self::Result {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let role = snapshot.role_of(subscribe.user)?;
        // Of an earlier join: this one has not said where its person is.
        self.presence.leave(subscribe.session);
        self.subscribers.insert(
            subscribe.session,
            Subscriber {
                user: subscribe.user,
                role,
                outbox: subscribe.outbox,
                heard_at: Instant::now(),
                asked_for_people: false,
                knows_people: false,
            },
        );
        Some(Subscribed {
            seq: snapshot.seq,
            mark: snapshot.mark.clone(),
            role,
        })
    }
}

impl Handler<Announce> for Workspace {
    type Result = ();

    fn handle(&mut self, Announce(news): Announce, _: &mut Self::Context) {
        if !self.told.is_due(&news) {
            return;
        }
        let frame = news.frame(self.id, self.snapshot.borrow().seq);
        for subscriber in self.subscribers.values() {
            if news.is_for(subscriber.user, subscriber.role) {
                subscriber.outbox.push(Outgoing::Frame {
                    workspace: self.id,
                    frame: frame.clone(),
                });
            }
        }
    }
}

impl Handler<Close> for Workspace {
    type Result = ();

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) {
        self.closing = true;
        self.stop_if_done(ctx);
    }
}

impl Handler<Look> for Workspace {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.look = true;
        self.pump(ctx);
    }
}

impl Handler<Unsubscribe> for Workspace {
    type Result = ();

    fn handle(&mut self, end: Unsubscribe, ctx: &mut Self::Context) {
        // The session may have joined again meanwhile: that subscription is not the one that ends.
        let ends = |known: &Subscriber| known.outbox.ticket() <= end.ticket;
        if self.subscribers.get(&end.session).is_some_and(ends) {
            self.subscribers.remove(&end.session);
            self.presence.leave(end.session);
            self.spread_presence(ctx);
        }
    }
}

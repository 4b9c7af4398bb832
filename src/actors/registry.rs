//! Which workspace runs where: starts an actor on demand, replaces a dead one, and refuses a
//! workspace that keeps failing. Made once, outside the HTTP server's factory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::Arbiter;
use parking_lot::Mutex;
use uuid::Uuid;

use super::relay::Relay;
use super::workspace::{Tails, WorkspaceHandle};
use crate::error::AppError;
use crate::ids::{UserId, WorkspaceId};
use crate::store::{self, Db, Purpose, Tx};

/// Connections of a thread: a lane uses one at a time, and look-ups another.
const CONNECTIONS: u32 = 8;
/// Restarts of one workspace within a minute before it is refused.
const MAX_RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// How long this server may take to come to where another one is.
const BEHIND_AT_MOST: Duration = Duration::from_secs(2);
/// How long the end of the server waits for a workspace that is being read.
const START_WITHIN: Duration = Duration::from_secs(2);

/// All workspaces that run in this process.
pub struct Registry {
    /// For reading a workspace on its caller's thread, before its actor starts.
    db: Db,
    /// Threads, each with connections that only its lanes open: so their answers arrive on the
    /// reactor of the thread that waits for them.
    arbiters: Vec<(Arbiter, Db)>,
    slots: Mutex<HashMap<WorkspaceId, Arc<Slot>>>,
    /// No workspace starts any more; changed while `slots` is locked.
    stopping: AtomicBool,
    relay: OnceLock<Arc<Relay>>,
    tails: Arc<Tails>,
}

/// A workspace's place: one start at a time, however many ask.
#[derive(Default)]
struct Slot {
    handle: tokio::sync::Mutex<Option<WorkspaceHandle>>,
    current: Mutex<Option<WorkspaceHandle>>,
    restarts: Mutex<Vec<Instant>>,
}

impl Registry {
    /// Workspaces are spread over as many threads as `threads`.
    pub fn new(db: &Db, threads: usize) -> Arc<Registry> {
        Arc::new(Registry {
            db: db.clone(),
            arbiters: (0..threads.max(1))
                .map(|_| (Arbiter::new(), db.sibling(CONNECTIONS)))
                .collect(),
            slots: Mutex::new(HashMap::new()),
            stopping: AtomicBool::new(false),
            relay: OnceLock::new(),
            tails: Tails::new(),
        })
    }

    /// From here on other nodes hear of our commits.
    pub fn tell_through(&self, relay: Arc<Relay>) {
        // Set once, while the server is wired.
        let _ = self.relay.set(relay);
    }

    /// Another node moved a workspace on to `seq`: if it runs here, it reads the log.
    pub fn nudge(&self, id: WorkspaceId, seq: i64) {
        let slot = self.slots.lock().get(&id).cloned();
        if let Some(handle) = slot.and_then(|slot| slot.current.lock().clone()) {
            handle.nudge(seq);
        }
    }

    /// Another node says who is at its sockets: of interest where the workspace runs here.
    pub fn hear_presence(&self, id: WorkspaceId, node: Uuid, text: &str) {
        let slot = self.slots.lock().get(&id).cloned();
        if let Some(handle) = slot.and_then(|slot| slot.current.lock().clone()) {
            handle.hear_presence(node, text);
        }
    }

    /// The running actor of a workspace, started when there is none.
    ///
    /// Errors: `not_found` when there is no such workspace, `unavailable` while the database is
    /// away or when the workspace failed five times within a minute.
    pub async fn open(&self, id: WorkspaceId) -> Result<WorkspaceHandle, AppError> {
        let slot = self.slot(id)?;
        if let Some(handle) = slot.current.lock().clone().filter(WorkspaceHandle::is_open) {
            return Ok(handle);
        }
        // Boxed, for it is large and rare: every command's future has room for what it awaits.
        let opened = Box::pin(self.start(id, &slot)).await;
        if opened.is_err() {
            // Nothing runs here: a stranger's guesses must not fill the map. Who else holds the slot
            // may be starting the actor: beside the map's hold and ours there is none then.
            self.slots.lock().retain(|other, slot| {
                *other != id || slot.current.lock().is_some() || Arc::strong_count(slot) > 2
            });
        }
        opened
    }

    /// The same for a person. Whoever became a member on another server a moment ago is one here as
    /// well: before anybody is taken for an outsider, the database is asked.
    ///
    /// Errors: also `not_found` for an outsider.
    pub async fn open_for(
        &self,
        id: WorkspaceId,
        user: UserId,
    ) -> Result<WorkspaceHandle, AppError> {
        let handle = self.open(id).await?;
        if handle.snapshot().role_of(user).is_none() {
            let seq = Box::pin(self.member_at(id, user)).await?;
            handle.reach(seq, BEHIND_AT_MOST).await;
        }
        match handle.snapshot().role_of(user) {
            Some(_) => Ok(handle),
            None => Err(AppError::not_found()),
        }
    }

    /// A position at which the person is a member.
    async fn member_at(&self, id: WorkspaceId, user: UserId) -> Result<i64, AppError> {
        let mut tx = Tx::begin(&self.db, id, Purpose::Read).await?;
        if !store::members::is_member(&tx, id, user).await? {
            return Err(AppError::not_found());
        }
        let head = store::log::head(&mut tx, id, false).await?;
        head.map(|head| head.seq).ok_or_else(AppError::not_found)
    }

    /// A workspace's place, while the server runs: sockets whose workspace is let go of at the end
    /// ask for it once more, and a lane that began now would be cut off with its thread.
    fn slot(&self, id: WorkspaceId) -> Result<Arc<Slot>, AppError> {
        let mut slots = self.slots.lock();
        if self.stopping.load(Ordering::SeqCst) {
            return Err(AppError::unavailable("The server is stopping; try again"));
        }
        Ok(Arc::clone(slots.entry(id).or_default()))
    }

    async fn start(&self, id: WorkspaceId, slot: &Slot) -> Result<WorkspaceHandle, AppError> {
        let mut running = slot.handle.lock().await;
        if let Some(handle) = running.clone().filter(WorkspaceHandle::is_open) {
            return Ok(handle);
        }
        if running.as_ref().is_some_and(WorkspaceHandle::has_failed) {
            slot.count_restart()?;
        }
        let handle = self.start_actor(id).await?;
        *running = Some(handle.clone());
        *slot.current.lock() = Some(handle.clone());
        Ok(handle)
    }

    async fn start_actor(&self, id: WorkspaceId) -> Result<WorkspaceHandle, AppError> {
        let relay = self.relay.get().cloned();
        let (arbiter, db) = self
            .home_of(id)
            .ok_or_else(|| AppError::unavailable("Stopping"))?;
        let (home, tails) = (arbiter.handle(), &self.tails);
        WorkspaceHandle::start(&self.db, db.clone(), relay, tails, id, &home).await
    }

    /// The thread that runs a workspace: always the same while the process lives.
    fn home_of(&self, id: WorkspaceId) -> Option<&(Arbiter, Db)> {
        let low = u64::try_from(id.uuid().as_u128() & u128::from(u32::MAX)).unwrap_or(0);
        let count = u64::try_from(self.arbiters.len()).unwrap_or(1).max(1);
        self.arbiters.get(usize::try_from(low % count).unwrap_or(0))
    }

    /// Forgets the places of workspaces that were let go of.
    pub fn sweep(&self) {
        // Who holds a slot is about to use it; while the map is locked nobody else can get one.
        self.slots.lock().retain(|_, slot| {
            let runs = slot
                .current
                .lock()
                .as_ref()
                .is_some_and(WorkspaceHandle::is_open);
            runs || Arc::strong_count(slot) > 1 || slot.failed_lately()
        });
    }

    /// Ends every lane once it has answered what is under way, then the threads.
    pub async fn stop(&self) {
        let slots: Vec<Arc<Slot>> = {
            let slots = self.slots.lock();
            self.stopping.store(true, Ordering::SeqCst);
            slots.values().cloned().collect()
        };
        let ends = slots.iter().map(|slot| async {
            // One that starts just now is waited for, unless the database keeps it waiting.
            let started = tokio::time::timeout(START_WITHIN, slot.handle.lock()).await;
            if let Some(handle) = started.ok().and_then(|handle| handle.clone()) {
                handle.close().await;
            }
        });
        futures::future::join_all(ends).await;
        for (arbiter, _) in &self.arbiters {
            arbiter.stop();
        }
    }
}

impl Slot {
    fn failed_lately(&self) -> bool {
        self.restarts
            .lock()
            .iter()
            .any(|at| at.elapsed() < RESTART_WINDOW)
    }

    fn count_restart(&self) -> Result<(), AppError> {
        let mut restarts = self.restarts.lock();
        restarts.retain(|at| at.elapsed() < RESTART_WINDOW);
        if restarts.len() >= MAX_RESTARTS {
            return Err(AppError::unavailable(
                "The workspace keeps failing; it rests for a minute",
            )
            .retry_after(60));
        }
        restarts.push(Instant::now());
        metrics::counter!(crate::telemetry::RESTARTS).increment(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn no_workspace_starts_once_the_server_ends() {
        // Nobody answers there: whoever came as far as asking would be told another reason.
        let away = Db::open("postgres://nobody@127.0.0.1:1/nothing", 1).unwrap();
        let registry = Registry::new(&away, 1);
        registry.stop().await;
        let refused = registry.open(WorkspaceId(uuid::Uuid::now_v7())).await;
        let error = refused.err().unwrap();
        assert_eq!(error.detail, "The server is stopping; try again");
    }

    #[actix_web::test]
    async fn a_failed_start_takes_no_place_from_under_another_caller() {
        let away = Db::open("postgres://nobody@127.0.0.1:1/nothing", 1).unwrap();
        let registry = Registry::new(&away, 1);
        let id = WorkspaceId(uuid::Uuid::now_v7());

        let other = Arc::clone(registry.slots.lock().entry(id).or_default());
        assert!(registry.open(id).await.is_err());
        let kept = registry.slots.lock().get(&id).cloned();
        assert!(kept.is_some_and(|slot| Arc::ptr_eq(&slot, &other)));

        drop(other);
        assert!(registry.open(id).await.is_err());
        assert!(registry.slots.lock().is_empty());
        registry.stop().await;
    }
}

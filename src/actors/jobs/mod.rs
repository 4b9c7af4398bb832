//! Runs the jobs: claims what is queued (or was left by a dead runner), supervises each, and tells the
//! outcome. The truth is in Postgres; a wake-up in this process only saves waiting.

mod export;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::Arbiter;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::import::accept::{discard_all, rows_of};
use super::import::batch::{BatchSink, BatchSize, ImportBatch, ImportedBatch, Target};
use super::import::index::upsert;
use super::import::sweep::sweep;
use super::import::{Ended, ImportJob, Patience, start};
use super::registry::Registry;
use super::workspace::{AdminCommand, Command, JobNews, Outcome, Request, Shape, WorkspaceHandle};
use crate::domain::edit::list_of;
use crate::domain::import::proposal::Proposal;
use crate::domain::log::Actor;
use crate::error::AppError;
use crate::ids::{JobId, UserId, WorkspaceId};
use crate::store::jobs::{self, Amended, Job, JobProgress, RowError};
use crate::store::{self, Db, Purpose, StoreError, Tx};

/// Imports that one process runs at once: a parser's core each, beside the people who edit.
const AT_ONCE: usize = 2;
const LEASE: Duration = Duration::from_secs(15);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a running import may take to end behind its batch.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_secs(1);
/// How often it is looked for uploads that no job needs; first at the start.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The runner of this process.
pub struct Jobs {
    db: Db,
    registry: Arc<Registry>,
    uploads: PathBuf,
    owner: String,
    wake: Notify,
    /// Nothing is claimed any more.
    idle: Notify,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    arbiter: Arbiter,
}

impl Jobs {
    /// Makes the runner; files of imports are in `uploads`.
    pub fn new(db: Db, registry: Arc<Registry>, uploads: PathBuf) -> Arc<Jobs> {
        Arc::new(Jobs {
            db,
            registry,
            uploads,
            owner: Uuid::now_v7().to_string(),
            wake: Notify::new(),
            idle: Notify::new(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
            stop: CancellationToken::new(),
            arbiter: Arbiter::new(),
        })
    }

    /// Begins to claim jobs, on a thread of its own.
    pub fn run(self: &Arc<Self>) {
        let jobs = Arc::clone(self);
        self.arbiter.spawn(async move {
            Arc::clone(&jobs).work().await;
            jobs.idle.notify_one();
        });
    }

    /// Where an upload waits for its job.
    pub fn uploads(&self) -> &PathBuf {
        &self.uploads
    }

    /// A job was queued a moment ago.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Claims nothing more; running imports stop behind their current batch.
    pub async fn stop(&self) {
        self.stop.cancel();
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let ended = self.room.acquire_many(all);
        // What is not done in time goes on from its checkpoint, here or elsewhere.
        let _ = tokio::time::timeout(STOP_WITHIN, ended).await;
        // A thread that ends under an open connection would take it along.
        let _ = tokio::time::timeout(STOP_WITHIN, self.idle.notified()).await;
        self.arbiter.stop();
    }

    async fn work(self: Arc<Self>) {
        let mut swept: Option<Instant> = None;
        while !self.stop.is_cancelled() {
            if swept.is_none_or(|last| last.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                self.sweep().await;
            }
            if let Err(error) = self.claim().await {
                tracing::warn!(%error, "no jobs could be claimed");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn sweep(&self) {
        match sweep(&self.db, &self.uploads).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "uploads that no job needs were removed"),
            Err(error) => tracing::warn!(%error, "orphaned uploads stay until the next round"),
        }
    }

    async fn claim(self: &Arc<Self>) -> Result<(), StoreError> {
        // One by one: the next is of whoever has the fewest under way.
        while let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            let claimed = jobs::claim_due(&self.db, &self.owner, LEASE, 1).await?;
            let Some((workspace, job)) = claimed.into_iter().next() else {
                return Ok(());
            };
            let jobs = Arc::clone(self);
            actix::spawn(async move {
                jobs.run_one(workspace, job).await;
                drop(room);
                jobs.wake();
            });
        }
        Ok(())
    }

    async fn run_one(&self, workspace: WorkspaceId, id: JobId) {
        match find(&self.db, workspace, id).await {
            Ok(job) if job.kind == "export" => self.export(workspace, job).await,
            Ok(job) => self.import(workspace, job).await,
            Err(error) => tracing::error!(%error, job = %id, "a claimed job can't be read"),
        }
    }

    /// Keeps the lease of a job until it is aborted; one that is lost stops the work.
    fn keep(&self, workspace: WorkspaceId, job: JobId, stop: &CancellationToken) -> JoinHandle<()> {
        let (db, owner) = (self.db.clone(), self.owner.clone());
        actix::spawn(beat(db, workspace, job, owner, stop.clone()))
    }

    /// Runs one import to its end.
    async fn import(&self, workspace: WorkspaceId, job: Job) {
        let id = job.id;
        let facts = Arc::new(news(&job));
        let stop = CancellationToken::new();
        let beat = self.keep(workspace, id, &stop);
        let (db, registry, uploads) = (
            self.db.clone(),
            Arc::clone(&self.registry),
            self.uploads.clone(),
        );
        let owner = self.owner.clone();
        let load = async move || load(&db, &registry, &uploads, workspace, id, &owner).await;
        let sink = LaneSink {
            registry: Arc::clone(&self.registry),
            workspace,
            facts,
            edits: Arc::default(),
        };
        let mut running = start(load, sink, Patience::default());
        let ended = tokio::select! {
            ended = running.wait() => ended,
            () = stop.cancelled() => { running.stop(); running.wait().await }
            () = self.stop.cancelled() => { running.stop(); running.wait().await }
        };
        beat.abort();
        if let Err(error) = self.settle(workspace, id, ended).await {
            // The lease runs out and somebody else goes on from the checkpoint.
            tracing::error!(%error, job = %id, "the end of an import could not be stored");
        }
    }

    async fn settle(
        &self,
        workspace: WorkspaceId,
        id: JobId,
        ended: Ended,
    ) -> Result<(), AppError> {
        // Its end was told with its last batch.
        if matches!(ended, Ended::Succeeded(_)) {
            return discard_all(&self.uploads, id).await;
        }
        let job = find(&self.db, workspace, id).await?;
        match ended {
            Ended::Over | Ended::Stopped if job.finished_at.is_some() => {}
            // Its lease is somebody else's: so is its end.
            Ended::Succeeded(_) | Ended::Over => return Ok(()),
            Ended::Stopped => return self.give_back(workspace, id).await,
            Ended::Interrupted(error) => {
                tracing::warn!(%error, job = %id, "an import rests until it is claimed again");
                return self.give_back(workspace, id).await;
            }
            Ended::Failed(error, errors) => self.fail(workspace, &job, &error, errors).await?,
        }
        // Before its end is told, which may fail: nobody else would.
        discard_all(&self.uploads, id).await?;
        let handle = self.registry.open(workspace).await?;
        handle.announce(news(&find(&self.db, workspace, id).await?));
        Ok(())
    }

    async fn give_back(&self, workspace: WorkspaceId, id: JobId) -> Result<(), AppError> {
        let mut tx = Tx::begin(&self.db, workspace, Purpose::Write).await?;
        jobs::release(tx.conn(), workspace, id, &self.owner)
            .await
            .map_err(StoreError::from)?;
        Ok(tx.commit().await?)
    }

    async fn fail(
        &self,
        workspace: WorkspaceId,
        job: &Job,
        error: &AppError,
        errors: Vec<RowError>,
    ) -> Result<(), AppError> {
        let told =
            json!({"code": error.code.name(), "detail": error.detail, "errors": error.fields});
        let command = AdminCommand::FailJob {
            job: job.id,
            export: job.kind == "export",
            error: told,
            errors,
        };
        let handle = self.registry.open(workspace).await?;
        handle
            .submit(request(job.id, job.created_by, Command::Admin(command)))
            .await
            .map(drop)
    }
}

/// Renews the lease until told to stop; a lease that is somebody else's stops the work.
async fn beat(db: Db, workspace: WorkspaceId, id: JobId, owner: String, stop: CancellationToken) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let renewed = async {
            let mut tx = Tx::begin(&db, workspace, Purpose::Write).await?;
            let ours = jobs::renew(tx.conn(), workspace, id, &owner, LEASE).await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(ours)
        };
        match renewed.await {
            Ok(true) => {}
            Ok(false) => return stop.cancel(),
            Err(error) => tracing::warn!(%error, job = %id, "a lease could not be renewed"),
        }
    }
}

/// The job as it is stored, bound to the list as it is now.
async fn load(
    db: &Db,
    registry: &Registry,
    uploads: &std::path::Path,
    workspace: WorkspaceId,
    id: JobId,
    owner: &str,
) -> Result<Option<ImportJob>, AppError> {
    let job = find(db, workspace, id).await?;
    if job.state != "running" || job.lease_owner.as_deref() != Some(owner) {
        return Ok(None);
    }
    let proposal: Proposal =
        serde_json::from_value(job.params.clone()).map_err(AppError::internal)?;
    let unplanned = || AppError::internal(anyhow::anyhow!("an import without a plan"));
    let plan = proposal.plan.ok_or_else(unplanned)?;
    let handle = registry.open(workspace).await?;
    let snapshot = handle.snapshot();
    let list = list_of(job.list.ok_or_else(AppError::not_found)?, &snapshot.schema)?;
    let tx = Tx::begin(db, workspace, Purpose::Read).await?;
    let people = store::members::named(&tx, workspace).await?;
    tx.commit().await?;
    let version = u64::try_from(snapshot.schema_version).unwrap_or(0);
    let upsert = upsert(db, workspace, list, &plan).await?;
    let target = Target::new(id, list.id, version, &plan, &list.columns, Arc::new(people))?
        .upserting(upsert);
    Ok(Some(ImportJob {
        path: rows_of(uploads, id, proposal.rows_file.as_deref()),
        plan,
        target,
        size: BatchSize::default(),
        progress: JobProgress {
            from_record: job.checkpoint_record,
            read: job.counts.read,
            created: job.counts.created,
            failed: job.counts.failed,
            skipped: job.counts.skipped,
            updated: job.counts.updated,
            unchanged: job.counts.unchanged,
            checkpoint_bytes: job.checkpoint_bytes,
            checkpoint_record: job.checkpoint_record,
            errors: Vec::new(),
        },
    }))
}

async fn find(db: &Db, workspace: WorkspaceId, id: JobId) -> Result<Job, AppError> {
    let mut tx = Tx::begin(db, workspace, Purpose::Read).await?;
    let job = jobs::get(tx.conn(), workspace, id)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await?;
    job.ok_or_else(AppError::not_found)
}

fn request(job: JobId, by: UserId, command: Command) -> Request {
    Request {
        user: by,
        actor: Actor::Job(job),
        op: None,
        remember: None,
        shape: Shape::Nothing,
        command,
    }
}

/// What a `job` frame tells of a job.
pub fn news(job: &Job) -> JobNews {
    JobNews {
        job: job.id,
        user: job.created_by,
        state: job.state.clone(),
        done: job.checkpoint_bytes,
        total: job.total_bytes,
        read: job.counts.read,
        created: job.counts.created,
        failed: job.counts.failed,
    }
}

/// The workspace's lane as the sink of a job's batches.
#[derive(Clone)]
struct LaneSink {
    registry: Arc<Registry>,
    workspace: WorkspaceId,
    /// Whose job it is, and how large.
    facts: Arc<JobNews>,
    /// What people had asked of the workspace at the last batch.
    edits: Arc<AtomicU64>,
}

impl BatchSink for LaneSink {
    async fn import_batch(&self, batch: ImportBatch) -> Result<ImportedBatch, AppError> {
        let handle: WorkspaceHandle = self.registry.open(self.workspace).await?;
        let mut progress = batch.progress.clone();
        let state = if batch.last { "succeeded" } else { "running" };
        let command = Command::Import(Arc::new(batch));
        let reply = handle
            .submit(request(self.facts.job, self.facts.user, command))
            .await?;
        let amended = match reply.outcome {
            Outcome::Imported { amended } => amended,
            _ => Amended::default(),
        };
        progress.amend(amended);
        handle.announce(JobNews {
            state: state.to_owned(),
            done: progress.checkpoint_bytes,
            read: progress.read,
            created: progress.created,
            failed: progress.failed,
            ..JobNews::clone(&self.facts)
        });
        let edits = handle.commands_of_people();
        let crowded = self.edits.swap(edits, Ordering::Relaxed) != edits;
        Ok(ImportedBatch {
            seq: u64::try_from(reply.seq).unwrap_or(0),
            amended,
            crowded,
        })
    }
}

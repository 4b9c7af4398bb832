//! The import job: a supervised actor that turns an uploaded file into committed batches. Parsing
//! runs on the blocking pool, one batch ahead of the commit; the next batch goes out only after the
//! one before is committed, so progress and rows never part. It holds no truth: whenever something
//! is in doubt (a panic, a lost answer, a schema that changed), it begins again at the stored
//! checkpoint. Storing the job's end, leases and the queue are the caller's.

pub mod accept;
pub mod batch;
pub mod index;
pub mod reader;
pub mod sweep;
mod table;

#[cfg(test)]
mod expectations;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod readings;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use self::batch::{BatchSink, BatchSize, Batches, ImportBatch, Target};
use self::reader::ReadError;
use crate::domain::import::Refusal;
use crate::domain::import::options::OnError;
use crate::domain::import::plan::ImportPlan;
use crate::error::{AppError, ErrorCode, FieldError};
use crate::store::jobs::{Amended, JobProgress, RowError};

/// How often a job that is interrupted is begun again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in a row without any progress, after which the actor gives up.
    pub attempts: u32,
    /// Before the second attempt; doubles each time.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(200),
        }
    }
}

/// All that one run of a job needs.
#[derive(Clone, Debug)]
pub struct ImportJob {
    /// The uploaded file.
    pub path: PathBuf,
    pub plan: ImportPlan,
    pub target: Target,
    pub size: BatchSize,
    /// As stored: where to go on.
    pub progress: JobProgress,
}

impl ImportJob {
    /// At the job's progress, opened on the blocking pool.
    async fn open(&self) -> Result<Batches, Ended> {
        let ImportJob {
            path,
            plan,
            target,
            size,
            progress,
        } = self.clone();
        let opened =
            spawn_blocking(move || Batches::open(&path, &plan, target, size, progress)).await;
        opened
            .map_err(|_| Ended::Interrupted(panicked()))?
            .map_err(|error| judge(error.into()))
    }
}

/// How a job ended.
#[derive(Debug)]
pub enum Ended {
    /// Every batch is committed, the last one as the last.
    Succeeded(JobProgress),
    /// It can't be done, now or later; what is committed stays.
    Failed(AppError, Vec<RowError>),
    /// Its stored state says that it does not run any more: it ended before (and the answer was
    /// lost), was cancelled, or belongs to another worker.
    Over,
    /// Asked to stop; it can go on from its checkpoint at any time.
    Stopped,
    /// Given up for now, after several attempts; it can go on from its checkpoint.
    Interrupted(AppError),
}

/// A running job. Dropping the handle does not stop it.
pub struct ImportHandle {
    stop: CancellationToken,
    ended: oneshot::Receiver<Ended>,
}

impl ImportHandle {
    /// Asks the job to stop once its current batch is committed.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end. Safe to drop and to call again until it has answered.
    pub async fn wait(&mut self) -> Ended {
        (&mut self.ended).await.unwrap_or_else(|_| {
            Ended::Interrupted(AppError::unavailable("The import's actor is gone"))
        })
    }
}

/// Starts the actor of a job on the current arbiter. `load` reads the job as it is stored, now and
/// after each interruption; None: it does not run any more, or not here.
pub fn start<L, S>(load: L, sink: S, patience: Patience) -> ImportHandle
where
    L: AsyncFn() -> Result<Option<ImportJob>, AppError> + Unpin + 'static,
    S: BatchSink + Unpin,
{
    let stop = CancellationToken::new();
    let (send, ended) = oneshot::channel();
    ImportActor {
        work: Some((load, sink, send)),
        patience,
        stop: stop.clone(),
    }
    .start();
    ImportHandle { stop, ended }
}

struct ImportActor<L, S> {
    work: Option<(L, S, oneshot::Sender<Ended>)>,
    patience: Patience,
    stop: CancellationToken,
}

impl<L, S> Actor for ImportActor<L, S>
where
    L: AsyncFn() -> Result<Option<ImportJob>, AppError> + Unpin + 'static,
    S: BatchSink + Unpin,
{
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some((load, sink, send)) = self.work.take() else {
            return;
        };
        let (stop, patience) = (self.stop.clone(), self.patience);
        let work = async move { supervise(&load, &sink, &stop, patience).await };
        context.spawn(work.into_actor(self).map(|ended, _, context| {
            // Nobody may be waiting; the job's stored state tells all the same.
            let _ = send.send(ended);
            context.stop();
        }));
    }
}

/// Runs a job until it has ended, again after every interruption, with growing pauses, until
/// `patience` is at its end.
pub async fn supervise<L, S>(
    load: &L,
    sink: &S,
    stop: &CancellationToken,
    patience: Patience,
) -> Ended
where
    L: AsyncFn() -> Result<Option<ImportJob>, AppError>,
    S: BatchSink,
{
    let Patience {
        attempts: mut left,
        mut pause,
    } = patience;
    let mut furthest = None;
    loop {
        let ended = match load().await {
            Ok(None) => return Ended::Over,
            Ok(Some(job)) => {
                let here = job.progress.checkpoint_record;
                if furthest.replace(here).is_some_and(|before| before < here) {
                    Patience {
                        attempts: left,
                        pause,
                    } = patience;
                }
                let run = AssertUnwindSafe(run(job, sink, stop)).catch_unwind().await;
                run.unwrap_or_else(|_| Ended::Interrupted(panicked()))
            }
            Err(error) => judge(error),
        };
        left = left.saturating_sub(1);
        match ended {
            Ended::Interrupted(error) if left > 0 => {
                tracing::warn!(%error, source = ?error.source, left, "import interrupted, goes on from its checkpoint");
            }
            ended => return ended,
        }
        tokio::select! {
            () = stop.cancelled() => return Ended::Stopped,
            () = tokio::time::sleep(pause) => pause *= 2,
        }
    }
}

/// One run, from the job's checkpoint to its end or the first doubt.
async fn run<S: BatchSink>(job: ImportJob, sink: &S, stop: &CancellationToken) -> Ended {
    match attempt(job, sink, stop).await {
        Ok(Some(progress)) => Ended::Succeeded(progress),
        Ok(None) => Ended::Stopped,
        Err(ended) => ended,
    }
}

/// While people edit beside it, an import rests so many times as long as its batch took: it has a sixth
/// of the lane, and of the disk.
const GIVEN_WAY: u32 = 5;

async fn attempt<S: BatchSink>(
    job: ImportJob,
    sink: &S,
    stop: &CancellationToken,
) -> Result<Option<JobProgress>, Ended> {
    if job.plan.on_error == OnError::Abort
        && job.progress.checkpoint_record == 0
        && !try_out(&job, stop).await?
    {
        return Ok(None);
    }
    let mut next = parsed(parse(job.open().await?).await)?;
    let (mut crowded, mut amended) = (false, Amended::default());
    while let Some(mut batch) = next.1 {
        if stop.is_cancelled() {
            return Ok(None);
        }
        // The file was read ahead: it does not know of them.
        batch.progress.amend(amended);
        let last = batch.last.then(|| batch.progress.clone());
        next.0.give_way(crowded);
        let ahead = parse(next.0);
        let begun = Instant::now();
        let imported = sink.import_batch(batch).await.map_err(judge)?;
        crowded = imported.crowded;
        amended += imported.amended;
        let took = begun.elapsed();
        if let Some(mut progress) = last {
            progress.amend(imported.amended);
            return Ok(Some(progress));
        }
        if crowded {
            tokio::time::sleep(took * GIVEN_WAY).await;
        }
        next = parsed(ahead.await)?;
    }
    Ok(None)
}

/// Reads the whole file once without storing anything: with `on_error=abort` the first bad row ends
/// the job before it has begun. False: asked to stop.
async fn try_out(job: &ImportJob, stop: &CancellationToken) -> Result<bool, Ended> {
    let mut batches = job.open().await?;
    loop {
        if stop.is_cancelled() {
            return Ok(false);
        }
        let (rest, batch) = parsed(parse(batches).await)?;
        let Some(batch) = batch else { return Ok(true) };
        if let Some(first) = batch.progress.errors.first() {
            let message = format!(
                "Row {} can't be stored ({}); nothing was imported",
                first.row, first.message
            );
            let error = AppError::field("/file", "bad_rows", message);
            return Err(Ended::Failed(error, batch.progress.errors));
        }
        batches = rest;
    }
}

type Parsed = (Batches, Result<Option<ImportBatch>, ReadError>);

/// Begins to make the next batch on the blocking pool.
fn parse(mut batches: Batches) -> JoinHandle<Parsed> {
    spawn_blocking(move || {
        let batch = batches.next_batch();
        (batches, batch)
    })
}

fn parsed(
    joined: Result<Parsed, tokio::task::JoinError>,
) -> Result<(Batches, Option<ImportBatch>), Ended> {
    let (batches, batch) = joined.map_err(|_| Ended::Interrupted(panicked()))?;
    Ok((batches, batch.map_err(|error| judge(error.into()))?))
}

/// Whether trying again can help.
fn judge(error: AppError) -> Ended {
    match error.code {
        ErrorCode::Malformed
        | ErrorCode::Invalid
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::NotUnique
        | ErrorCode::Gone
        | ErrorCode::TooLarge => Ended::Failed(error, Vec::new()),
        _ => Ended::Interrupted(error),
    }
}

fn panicked() -> AppError {
    AppError::internal(anyhow::anyhow!("the import panicked"))
}

impl From<Refusal> for FieldError {
    fn from(refusal: Refusal) -> Self {
        Self {
            path: refusal.path.into_owned(),
            code: refusal.code.into(),
            message: refusal.message,
        }
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        refused(vec![refusal])
    }
}

/// 422 with all of them.
pub fn refused(refusals: Vec<Refusal>) -> AppError {
    AppError::fields(refusals.into_iter().map(FieldError::from).collect())
}

impl From<ReadError> for AppError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal.into(),
            ReadError::Io(error) => accept::failed(error),
        }
    }
}

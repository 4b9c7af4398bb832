//! Runs one export: its file is written, its rows are told of now and then, and its end goes through the
//! lane. Reading and writing are `actors::export`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::super::export::{self, ExportJob, Exported, result_of};
use super::super::import::accept::discard;
use super::super::workspace::{AdminCommand, Command, JobNews};
use super::{Jobs, POLL, find, news, request};
use crate::domain::edit::list_of;
use crate::domain::export::ExportPlan;
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store::jobs::{self, Job};
use crate::store::{Purpose, Tx};

/// How often an export tells of its rows.
const TOLD_EVERY: Duration = Duration::from_millis(500);
/// How often an export is begun anew.
const MOST_ATTEMPTS: i32 = 5;

impl Jobs {
    /// Writes the file of one export, and tells its end.
    pub(super) async fn export(&self, workspace: WorkspaceId, job: Job) {
        let id = job.id;
        let stop = self.stop.child_token();
        let beat = self.keep(workspace, id, &stop);
        let rows = Arc::new(AtomicU64::new(0));
        let telling = actix::spawn(self.tell(workspace, news(&job), Arc::clone(&rows)));
        let written = self.write(workspace, &job, &stop, &rows).await;
        telling.abort();
        beat.abort();
        if let Err(error) = self.settle_export(workspace, &job, written).await {
            // The lease runs out and somebody else writes it anew.
            tracing::error!(%error, job = %id, "the end of an export could not be stored");
        }
    }

    async fn write(
        &self,
        workspace: WorkspaceId,
        job: &Job,
        stop: &CancellationToken,
        rows: &AtomicU64,
    ) -> Result<Option<Exported>, AppError> {
        let plan: ExportPlan =
            serde_json::from_value(job.params.clone()).map_err(AppError::internal)?;
        let handle = self.registry.open(workspace).await?;
        let snapshot = handle.snapshot();
        let look = snapshot.links.look();
        let list = list_of(job.list.ok_or_else(AppError::not_found)?, &snapshot.schema)?;
        let today = Utc::now().date_naive();
        let asked = plan
            .asked(list, job.created_by, today)
            .map_err(AppError::fields)?;
        let export = ExportJob {
            workspace,
            schema: Arc::clone(&snapshot.schema),
            list: Arc::clone(list),
            plan,
            asked,
            look,
            path: result_of(&self.uploads, job.id),
        };
        let told = |so_far| rows.store(so_far, Ordering::Relaxed);
        export::run(&self.db, export, stop, told).await
    }

    /// Tells how far an export is, now and then, until it is dropped.
    fn tell(
        &self,
        workspace: WorkspaceId,
        facts: JobNews,
        rows: Arc<AtomicU64>,
    ) -> impl Future<Output = ()> + use<> {
        let (db, registry, owner) = (
            self.db.clone(),
            Arc::clone(&self.registry),
            self.owner.clone(),
        );
        async move {
            loop {
                tokio::time::sleep(TOLD_EVERY).await;
                let read = rows.load(Ordering::Relaxed);
                let stored = async {
                    let mut tx = Tx::begin(&db, workspace, Purpose::Write).await?;
                    jobs::tell(tx.conn(), workspace, facts.job, &owner, read).await?;
                    tx.commit().await
                };
                // It is only told less then.
                if stored.await.is_ok()
                    && let Ok(handle) = registry.open(workspace).await
                {
                    handle.announce(JobNews {
                        read,
                        ..facts.clone()
                    });
                }
            }
        }
    }

    async fn settle_export(
        &self,
        workspace: WorkspaceId,
        job: &Job,
        written: Result<Option<Exported>, AppError>,
    ) -> Result<(), AppError> {
        let path = result_of(&self.uploads, job.id);
        let by = job.created_by;
        let handle = self.registry.open(workspace).await?;
        match written {
            Ok(Some(Exported { rows, bytes })) => {
                let id = job.id;
                let command = AdminCommand::FinishExport {
                    job: id,
                    rows,
                    bytes,
                };
                let ended = handle
                    .submit(request(id, by, Command::Admin(command)))
                    .await;
                if let Err(error) = ended {
                    // Cancelled meanwhile, or told before: whoever may still want the file finds it.
                    if find(&self.db, workspace, id).await?.state != "succeeded" {
                        discard(path).await?;
                    }
                    return Err(error);
                }
            }
            Ok(None) => {
                discard(path).await?;
                return self.give_back(workspace, job.id).await;
            }
            Err(error) if error.code.status() < 500 || job.attempts >= MOST_ATTEMPTS => {
                tracing::warn!(%error, source = ?error.source, job = %job.id, "an export is given up");
                discard(path).await?;
                self.fail(workspace, job, &error, Vec::new()).await?;
            }
            Err(error) => {
                tracing::warn!(%error, source = ?error.source, job = %job.id, "an export rests until it is claimed again");
                tokio::time::sleep(POLL).await;
                return self.give_back(workspace, job.id).await;
            }
        }
        handle.announce(news(&find(&self.db, workspace, job.id).await?));
        Ok(())
    }
}

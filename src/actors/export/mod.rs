//! The export job: all items that are asked for, in one state of the list, into a file. Reading goes a
//! thousand items ahead of writing. A run that breaks off leaves nothing that counts: the next begins
//! anew. Storing the job's end and telling of progress are the caller's.

#[cfg(test)]
mod round_trip;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use self::write::Writer;
use crate::actors::import::accept::failed;
use crate::domain::export::{Asked, ExportPlan};
use crate::domain::item::Item;
use crate::domain::schema::{List, Schema};
use crate::error::AppError;
use crate::ids::{JobId, UserId, WorkspaceId};
use crate::store::link_cache::Look;
use crate::store::{self, Db, Purpose, Tx};

/// All that one run of a job needs.
pub struct ExportJob {
    pub workspace: WorkspaceId,
    pub schema: Arc<Schema>,
    pub list: Arc<List>,
    pub plan: ExportPlan,
    pub asked: Asked,
    /// As of before the reading.
    pub look: Look,
    /// Where the file goes.
    pub path: PathBuf,
}

/// A file that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    pub rows: u64,
    pub bytes: u64,
}

/// Where the file of an export is.
pub fn result_of(uploads: &Path, job: JobId) -> PathBuf {
    uploads.join(format!("{job}.result"))
}

/// Writes the file. `told` hears of the rows so far. None: stopped before the end.
pub async fn run(
    db: &Db,
    job: ExportJob,
    stop: &CancellationToken,
    mut told: impl FnMut(u64),
) -> Result<Option<Exported>, AppError> {
    let mut tx = Tx::begin(db, job.workspace, Purpose::Export).await?;
    let people = store::members::list(&tx, job.workspace).await?;
    let people: HashMap<UserId, String> = people
        .into_iter()
        .filter_map(|member| Some((member.user, member.email?)))
        .collect();
    let Asked {
        selection,
        sort,
        shown,
    } = job.asked;
    let shown = Arc::new(shown);
    let (path, plan) = (job.path, job.plan);
    let file = (Arc::clone(&shown), Arc::new(people));
    let (send, mut pages) = mpsc::channel::<Vec<Item>>(2);
    let writing = spawn_blocking(move || {
        let (shown, people) = file;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut writer = Writer::create(&path, plan.format, plan.links, shown, people)?;
        while let Some(page) = pages.blocking_recv() {
            writer.write(&page)?;
        }
        writer.finish()
    });
    store::items_query::open(&mut tx, job.workspace, &job.list, &selection, &sort).await?;
    let mut rows = 0;
    loop {
        let mut items = store::items_query::next(&mut tx, &job.list).await?;
        if items.is_empty() {
            break;
        }
        let (workspace, schema) = (job.workspace, &job.schema);
        store::links::show_all(&mut tx, workspace, schema, &shown, &job.look, &mut items).await?;
        rows += u64::try_from(items.len()).unwrap_or(0);
        // A writer that is gone says why at its end.
        if send.send(items).await.is_err() {
            break;
        }
        told(rows);
        if stop.is_cancelled() {
            return Ok(None);
        }
    }
    drop(send);
    tx.commit().await?;
    let bytes = writing.await.map_err(AppError::internal)??;
    Ok(Some(Exported { rows, bytes }))
}

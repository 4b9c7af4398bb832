//! Uploads that nobody needs: what a crash left between an upload and its job, and the files of jobs
//! that ended where they could not be discarded.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::accept::{blocking, discard, failed};
use crate::error::AppError;
use crate::ids::JobId;
use crate::store::{Db, jobs};

/// Files that were written to within this time may belong to a request under way, here or at another
/// node: their jobs are yet to come.
pub const YOUNG: Duration = Duration::from_secs(60 * 60);

/// So long the file of an export may be fetched.
pub const FETCHED_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Removes the files in `uploads` that are older than [`YOUNG`] and that no unfinished job names: how
/// many.
pub async fn sweep(db: &Db, uploads: &Path) -> Result<usize, AppError> {
    let folder = uploads.to_owned();
    let old = blocking(move || old_files(&folder).map_err(failed)).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let named: Vec<JobId> = old.iter().map(|(job, _)| *job).collect();
    let needed: HashSet<JobId> = jobs::unfinished(db, &named).await?.into_iter().collect();
    let orphans: Vec<PathBuf> = old
        .into_iter()
        .filter(|(job, _)| !needed.contains(job))
        .map(|(_, path)| path)
        .collect();
    let count = orphans.len();
    for orphan in orphans {
        discard(orphan).await?;
    }
    Ok(count)
}

/// Files of some age, with the jobs that they are for; what is named otherwise is none of ours.
fn old_files(folder: &Path) -> io::Result<Vec<(JobId, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut old = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(job) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.split('.').next()?.parse().ok())
        else {
            continue;
        };
        // One that is gone by now is somebody else's work.
        let written = entry.metadata().and_then(|file| file.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        let kept = match entry.path().extension().and_then(|kind| kind.to_str()) {
            Some("result") => FETCHED_WITHIN,
            _ => YOUNG,
        };
        if age.is_some_and(|age| age >= kept) {
            old.push((job, entry.path()));
        }
    }
    Ok(old)
}

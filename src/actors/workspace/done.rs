//! What a turn of the lane came to, before anybody has heard of it.

use super::broadcast::EventBatch;
use super::command::{Job, Reply};
use crate::error::AppError;

/// What a group came to: answers to give once its events are on their way.
#[derive(Default)]
pub(super) struct Done {
    pub(super) answers: Vec<(Job, Result<Reply, AppError>)>,
    pub(super) batches: Vec<EventBatch>,
    /// The log turned out to be another one; `batches` follow its head.
    pub(super) diverged: Option<Diverged>,
    /// Jobs that must wait for another of the same key in this group.
    pub(super) deferred: Vec<Job>,
    /// The lane's own work could not go on: not at once again.
    pub(super) stumbled: bool,
}

/// The head of a log that does not continue the one in memory: a backup was restored.
pub(super) struct Diverged {
    pub(super) seq: i64,
    pub(super) mark: String,
}

impl Done {
    /// Adds what the part after it came to.
    pub(super) fn absorb(&mut self, part: Done) {
        self.answers.extend(part.answers);
        self.deferred.extend(part.deferred);
        if part.diverged.is_some() {
            self.batches.clear();
            self.diverged = part.diverged;
        }
        self.batches.extend(part.batches);
    }
}

/// Gives all of them the same answer; what is behind it is logged once.
pub(super) fn refuse_all(mut done: Done, jobs: Vec<Job>, error: AppError) -> Done {
    if let Some(source) = &error.source {
        tracing::error!(%source, code = error.code.name(), "a group could not be written");
    }
    let each = || AppError::new(error.code, error.detail.clone());
    done.answers
        .extend(jobs.into_iter().map(|job| (job, Err(each()))));
    done
}

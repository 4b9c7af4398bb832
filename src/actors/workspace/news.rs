//! Progress of jobs, for whoever started one and for admins: at most four times a second a job, and
//! always its end. Never logged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytestring::ByteString;

use crate::domain::roles::Role;
use crate::ids::{JobId, UserId, WorkspaceId};
use crate::wire::frames::ServerFrame;

const APART: Duration = Duration::from_millis(250);

/// How a job stands.
#[derive(Clone, Debug)]
pub struct JobNews {
    pub job: JobId,
    /// Who started it.
    pub user: UserId,
    pub state: String,
    /// Bytes of the file.
    pub done: u64,
    pub total: u64,
    /// Rows.
    pub read: u64,
    pub created: u64,
    pub failed: u64,
}

impl JobNews {
    pub(super) fn is_for(&self, user: UserId, role: Role) -> bool {
        user == self.user || role >= Role::Admin
    }

    fn is_final(&self) -> bool {
        self.state != "running"
    }

    /// The `job` frame; `seq` is the position at which access was checked.
    pub(super) fn frame(&self, workspace: WorkspaceId, seq: i64) -> ByteString {
        ServerFrame::Job {
            workspace,
            job: self.job,
            state: &self.state,
            done: self.done,
            total: self.total,
            read: self.read,
            created: self.created,
            failed: self.failed,
            seq,
        }
        .to_text()
        .into()
    }
}

/// Which jobs were told of a moment ago. A job may end at another node, so entries go by age.
#[derive(Default)]
pub(super) struct Throttle(HashMap<JobId, Instant>);

impl Throttle {
    pub(super) fn is_due(&mut self, news: &JobNews) -> bool {
        self.is_due_at(news, Instant::now())
    }

    fn is_due_at(&mut self, news: &JobNews, now: Instant) -> bool {
        self.0
            .retain(|_, last| now.saturating_duration_since(*last) < APART);
        if news.is_final() {
            self.0.remove(&news.job);
            return true;
        }
        let due = !self.0.contains_key(&news.job);
        if due {
            self.0.insert(news.job, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn news(job: u128, state: &str) -> JobNews {
        JobNews {
            job: JobId(Uuid::from_u128(job)),
            user: UserId(Uuid::nil()),
            state: state.to_owned(),
            done: 0,
            total: 0,
            read: 0,
            created: 0,
            failed: 0,
        }
    }

    #[test]
    fn a_running_job_is_told_of_four_times_a_second_and_its_end_always() {
        let (mut told, start) = (Throttle::default(), Instant::now());
        let running = news(1, "running");
        let frames =
            (0..1_000).filter(|ms| told.is_due_at(&running, start + Duration::from_millis(*ms)));
        assert_eq!(frames.count(), 4);
        let end = start + Duration::from_millis(1_000);
        assert!(told.is_due_at(&running, end));
        assert!(told.is_due_at(&news(2, "running"), end), "of its own");
        assert!(told.is_due_at(&news(1, "succeeded"), end));
        assert!(told.is_due_at(&news(1, "failed"), end));
    }

    #[test]
    fn nothing_is_kept_of_jobs_that_ended_elsewhere() {
        let (mut told, start) = (Throttle::default(), Instant::now());
        for job in 0..1_000 {
            told.is_due_at(&news(job, "running"), start);
        }
        told.is_due_at(&news(0, "running"), start + APART);
        assert_eq!(told.0.len(), 1);
    }
}

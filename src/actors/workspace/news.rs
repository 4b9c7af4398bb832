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

/// When each running job was last told of.
#[derive(Default)]
pub(super) struct Throttle(HashMap<JobId, Instant>);

impl Throttle {
    pub(super) fn is_due(&mut self, news: &JobNews) -> bool {
        if news.is_final() {
            self.0.remove(&news.job);
            return true;
        }
        let now = Instant::now();
        let due = self
            .0
            .get(&news.job)
            .is_none_or(|last| now.duration_since(*last) >= APART);
        if due {
            self.0.insert(news.job, now);
        }
        due
    }
}

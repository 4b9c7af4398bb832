//! A client's past: whether its position can be continued, and with what. Never a hole. It goes out a
//! piece at a time, as the client acknowledges; what is left of it waits in the log, of which the
//! socket holds a position.

use std::sync::Arc;

use super::follow::Reset;
use super::session::{Context, Session};
use crate::actors::outbox::Ticket;
use crate::actors::workspace::{Past, WorkspaceHandle};
use crate::domain::event::Reader;
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store::Db;
use crate::wire::frames::Position;

/// The first piece of all from `since` to `through`, or an honest reset.
pub(super) async fn replay(
    handle: &WorkspaceHandle,
    db: &Db,
    since: &Position,
    through: i64,
    reader: Reader,
) -> Result<Past, AppError> {
    let is_other = |audience: &String| *audience != reader.name();
    if since.audience.as_ref().is_some_and(is_other) {
        return Ok(Past::Reset("changed_audience"));
    }
    if since.seq > through || since.seq < 0 {
        return Ok(Past::Reset("future_seq"));
    }
    handle.past(db, (since.seq, &since.mark), through).await
}

/// A place that is behind: where it stands, and how far the hub is.
pub(super) struct Behind {
    pub(super) workspace: WorkspaceId,
    pub(super) ticket: Ticket,
    pub(super) handle: WorkspaceHandle,
    pub(super) since: (i64, Arc<str>),
    pub(super) through: i64,
}

impl Behind {
    async fn fetch(&self, db: &Db) -> Result<Past, AppError> {
        let (seq, mark) = &self.since;
        self.handle.past(db, (*seq, mark), self.through).await
    }
}

impl Session {
    /// Fetches the next piece for a place that is behind, if the peer has room for it: one at a time.
    pub(super) fn catch_up(&mut self, ctx: &mut Context) {
        if self.fetching || !self.has_room() {
            return;
        }
        let Some(behind) = self.subscriptions.behind() else {
            return;
        };
        self.fetching = true;
        let gateway = Arc::clone(&self.gateway);
        let work = async move {
            let past = behind.fetch(&gateway.db).await;
            // What was said goes to the connection before more is: it may not take it.
            tokio::task::yield_now().await;
            (behind, past)
        };
        Session::spawn(ctx, work, |session, (behind, past), ctx| {
            session.fetching = false;
            match past {
                Ok(past) => session.caught_up(&behind, past, ctx),
                // The next tick asks again.
                Err(error) => {
                    return tracing::warn!(workspace = %behind.workspace, %error, "a past can't be read");
                }
            }
            session.deliver(ctx);
        });
    }

    fn caught_up(&mut self, behind: &Behind, past: Past, ctx: &mut Context) {
        let place = self.subscriptions.place(behind.workspace, behind.ticket);
        // It may have begun anew meanwhile.
        let stands = |place: &&mut super::subscriptions::Place| {
            place
                .follow
                .behind()
                .is_some_and(|(at, _)| at == behind.since)
        };
        let Some(place) = place.filter(stands) else {
            return;
        };
        match past {
            Past::Events(piece) => {
                let frame = place.follow.advance(&[piece]);
                if let Some(frame) = frame {
                    self.send(frame, ctx);
                }
            }
            Past::Reset(reason) => {
                let head = behind.handle.snapshot();
                let reset = Reset {
                    seq: head.seq,
                    mark: head.mark.as_str().into(),
                    reason,
                };
                self.reset(behind.workspace, reset, ctx);
            }
        }
    }
}

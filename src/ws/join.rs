//! One join of a workspace: may the person, where does the hub's news begin, and the first piece of
//! the past that leads there.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Gateway;
use super::follow::Opening;
use super::replay::replay;
use crate::actors::outbox::Outbox;
use crate::actors::workspace::{EventBatch, Lists, Past, Subscribed, Subscription};
use crate::domain::edit::list_of;
use crate::domain::event::{Audience, Reader};
use crate::domain::schema::Schema;
use crate::error::AppError;
use crate::ids::{ListId, UserId, WorkspaceId};
use crate::wire::frames::Position;

/// How long this server may take to come to where a socket already was.
const CAUGHT_UP_WITHIN: Duration = Duration::from_millis(1_500);

/// A join, as it goes out.
pub(super) struct Join {
    pub(super) session: Uuid,
    pub(super) user: UserId,
    pub(super) workspace: WorkspaceId,
    pub(super) lists: Lists,
    pub(super) since: Option<Position>,
    pub(super) outbox: Outbox,
}

/// A join, as it comes back.
pub(super) struct Joined {
    pub(super) hub: Subscription,
    pub(super) at: Subscribed,
    /// What became of the position that was asked for.
    pub(super) past: Option<(Position, Past)>,
}

impl Join {
    /// Runs it.
    ///
    /// Errors: `not_found` for an outsider whatever there is, `gone` for a workspace in the trash.
    pub(super) async fn run(self, gateway: &Gateway) -> Result<Joined, AppError> {
        // An outsider learns nothing else, neither of lists nor of the trash.
        let registry = &gateway.registry;
        let handle = registry.open_for(self.workspace, self.user).await?;
        let snapshot = handle.snapshot();
        if snapshot.is_deleted() {
            return Err(AppError::gone("The workspace is in the trash"));
        }
        check_lists(&self.lists, &snapshot.schema)?;
        if let Some(since) = &self.since {
            // It comes from another server, which was ahead: better a moment than to read all again.
            handle.reach(since.seq, CAUGHT_UP_WITHIN).await;
        }
        let (hub, at) = handle
            .subscribe(self.session, self.user, self.outbox)
            .await?
            .ok_or_else(AppError::not_found)?;
        let past = match self.since {
            None => None,
            Some(since) => {
                let reader = Reader::new(self.user, at.role);
                let past = replay(&handle, &gateway.db, &since, at.seq, reader).await?;
                Some((since, past))
            }
        };
        Ok(Joined { hub, at, past })
    }
}

/// Where a join begins, and how it gets from there to now.
pub(super) struct Start {
    pub(super) seq: i64,
    pub(super) mark: String,
    /// The first piece of its past.
    pub(super) replayed: Option<Arc<EventBatch>>,
    pub(super) reset: Option<&'static str>,
}

impl Start {
    pub(super) fn of(
        at: &Subscribed,
        past: Option<(Position, Past)>,
        said: &Opening,
        class: Audience,
    ) -> Start {
        let from = |seq, mark: &str, reset| Start {
            seq,
            mark: mark.to_owned(),
            replayed: None,
            reset,
        };
        if let Some(reset) = &said.reset {
            // Whoever asked for no past has nothing to read again.
            return from(reset.seq, &reset.mark, past.map(|_| reset.reason));
        }
        match past {
            None => from(at.seq, &at.mark, None),
            Some((_, Past::Reset(reason))) => from(at.seq, &at.mark, Some(reason)),
            // The role changed meanwhile: what was read is not what may be seen now.
            Some(_) if class != Audience::of_role(at.role) => {
                from(at.seq, &at.mark, Some("changed_audience"))
            }
            Some((since, Past::Events(batch))) => Start {
                seq: since.seq,
                mark: since.mark,
                replayed: Some(batch),
                reset: None,
            },
        }
    }
}

/// An error about the first list that the workspace does not have.
pub(super) fn check_lists(lists: &Lists, schema: &Schema) -> Result<(), AppError> {
    let Lists::Some(wanted) = lists else {
        return Ok(());
    };
    wanted
        .iter()
        .try_for_each(|id: &ListId| list_of(*id, schema).map(drop))
}

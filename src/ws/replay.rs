//! A client's past: whether its position can be continued, and with what. Never a hole.

use crate::actors::workspace::{Past, WorkspaceHandle};
use crate::domain::event::Reader;
use crate::error::AppError;
use crate::store::Db;
use crate::wire::frames::Position;

/// All from `since` to `through`, or an honest reset.
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

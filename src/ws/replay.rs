//! A client's past: the events between its position and now, or an honest reset. Never a hole.

use crate::actors::workspace::{EncodedEvent, EventBatch};
use crate::domain::event::Audience;
use crate::domain::log::{GENESIS, mark};
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store::{self, Db, Purpose, Tx};
use crate::wire::frames::Position;

/// Beyond these a client rereads what it shows: it is faster for both.
const MAX_EVENTS: i64 = 5_000;
const MAX_BYTES: usize = 4 << 20;

/// What became of a position.
pub(super) enum Replay {
    /// All that happened since.
    Events(EventBatch),
    /// It can't be continued, and why.
    Reset(&'static str),
}

/// Reads from `since` to `through`.
pub(super) async fn replay(
    db: &Db,
    workspace: WorkspaceId,
    since: &Position,
    through: i64,
    class: Audience,
    oldest_seq: i64,
) -> Result<Replay, AppError> {
    if since
        .audience
        .as_deref()
        .is_some_and(|audience| audience != class.name())
    {
        return Ok(Replay::Reset("changed_audience"));
    }
    if since.seq > through || since.seq < 0 {
        return Ok(Replay::Reset("future_seq"));
    }
    if since.seq + 1 < oldest_seq {
        return Ok(Replay::Reset("too_old"));
    }
    let mut tx = Tx::begin(db, workspace, Purpose::Page).await?;
    let known = match since.seq {
        0 => Some(GENESIS),
        seq => store::log::hash_at(&mut tx, workspace, seq).await?,
    };
    if known.map(|hash| mark(&hash)) != Some(since.mark.to_ascii_lowercase()) {
        return Ok(Replay::Reset("foreign_mark"));
    }
    if through - since.seq > MAX_EVENTS {
        return Ok(Replay::Reset("too_far"));
    }
    let events =
        store::log::events_after(&mut tx, workspace, since.seq, through, MAX_EVENTS, false).await?;
    let end = events
        .last()
        .map_or_else(|| since.mark.clone(), |last| mark(&last.hash));
    tx.commit().await?;
    let reached = events.last().map_or(since.seq, |last| last.header.seq);
    if reached != through {
        return Err(AppError::internal(anyhow::anyhow!(
            "the log ends at {reached}, not {through}"
        )));
    }
    let encoded = events.iter().map(EncodedEvent::logged).collect();
    let batch = EventBatch::new(workspace, since.seq, through, &end, encoded);
    if batch.bytes() > MAX_BYTES {
        return Ok(Replay::Reset("too_far"));
    }
    Ok(Replay::Events(batch))
}

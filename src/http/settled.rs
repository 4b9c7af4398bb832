//! Reads of items under the schema that they were written under. A row may be newer than the schema that
//! this server knows, a moment after another server changed it: shown under the old one it would lack
//! cells, and a client would take that for all of its version.

use super::extract::{Access, MIN_SEQ_PATIENCE};
use crate::error::AppError;
use crate::store::{self, Tx};

/// How often a read is tried while the schema changes under it.
const TRIES: u32 = 4;

/// Whether what `tx` has read until now is of the schema that the caller sees; if not, waits until this
/// server has caught up, for the read to be tried again.
pub async fn is_settled(tx: &mut Tx, access: &Access) -> Result<bool, AppError> {
    let head = store::log::head(tx, access.snapshot.id, false).await?;
    let head = head.ok_or_else(AppError::not_found)?;
    if head.schema_version == access.snapshot.schema_version {
        return Ok(true);
    }
    access.handle.reach(head.seq, MIN_SEQ_PATIENCE).await;
    Ok(false)
}

/// Runs a read until it is settled, that is, until it gives something.
pub async fn settled<T>(
    read: impl AsyncFn() -> Result<Option<T>, AppError>,
) -> Result<T, AppError> {
    for _ in 0..TRIES {
        if let Some(read) = read().await? {
            return Ok(read);
        }
    }
    Err(AppError::unavailable("The schema is changing; try again"))
}

//! The walk along a workspace's chain: every event in order, every digest, every hash, up to the
//! head row. Constant memory; reads only.

use super::log::{LoggedEvent, LoggedRow, events_after, head, stray};
use super::{Db, Purpose, StoreError, Tx};
use crate::domain::log::{GENESIS, Hash, digest, link, mark, row_digest};
use crate::ids::WorkspaceId;

const PAGE: i64 = 1_000;

/// What the walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Whole {
        events: i64,
        seq: i64,
        mark: String,
    },
    /// The first position at which the log is not as it was written.
    Broken {
        seq: i64,
        reason: &'static str,
    },
}

/// Checks the whole log of a workspace.
pub async fn verify_log(db: &Db, workspace: WorkspaceId) -> Result<Verdict, StoreError> {
    let mut tx = Tx::begin(db, workspace, Purpose::Page).await?;
    let head = head(&mut tx, workspace, false).await?;
    tx.commit().await?;
    let Some(head) = head else {
        return Err(StoreError::corrupt("no such workspace"));
    };
    let (mut seq, mut hash) = (0, GENESIS);
    while seq < head.seq {
        // By position, and with room for one too many: an event that stands twice is seen even where
        // a page ends.
        let through = seq.saturating_add(PAGE).min(head.seq);
        let mut tx = Tx::begin(db, workspace, Purpose::Page).await?;
        let events = events_after(&mut tx, workspace, seq, through, PAGE + 1, true).await?;
        tx.commit().await?;
        if events.is_empty() {
            return Ok(Verdict::Broken {
                seq: seq + 1,
                reason: "missing",
            });
        }
        for event in &events {
            match step(seq, &hash, event) {
                Ok(next) => (seq, hash) = (seq + 1, next),
                Err((seq, reason)) => return Ok(Verdict::Broken { seq, reason }),
            }
        }
    }
    if hash != head.hash {
        return Ok(Verdict::Broken {
            seq,
            reason: "the head is another than the log's end",
        });
    }
    let mut tx = Tx::begin(db, workspace, Purpose::Page).await?;
    let stray = stray(&mut tx, workspace).await?;
    tx.commit().await?;
    if let Some(seq) = stray {
        return Ok(Verdict::Broken {
            seq,
            reason: "it stands outside of the log",
        });
    }
    Ok(Verdict::Whole {
        events: seq,
        seq,
        mark: mark(&hash),
    })
}

/// One step: the event must be the next, say what was hashed, and be linked to the one before. Else
/// the position that is bad, and why.
fn step(seq: i64, previous: &Hash, event: &LoggedEvent) -> Result<Hash, (i64, &'static str)> {
    let next = seq + 1;
    if event.header.seq == seq {
        return Err((seq, "doubled"));
    }
    if event.header.seq != next {
        return Err((next, "missing"));
    }
    check(previous, event).map_err(|reason| (next, reason))
}

fn check(previous: &Hash, event: &LoggedEvent) -> Result<Hash, &'static str> {
    if usize::try_from(event.header.rows) != Ok(event.rows.len()) {
        return Err("a payload is missing or added");
    }
    let digests = event.rows.iter().map(checked_digest);
    let digest = digest(&digests.collect::<Result<Vec<_>, _>>()?);
    if digest != event.digest {
        return Err("a payload was exchanged");
    }
    let hash = link(previous, &event.header, &digest);
    if hash == event.hash {
        Ok(hash)
    } else {
        Err("the event was changed or moved")
    }
}

/// The digest of a row that is as it was written, or whose payload was erased: then its salt is gone
/// with it, and without the one the other proves nothing.
fn checked_digest(row: &LoggedRow) -> Result<Hash, &'static str> {
    let known = row.digest.as_slice().try_into();
    let known: Hash = known.map_err(|_| "a digest is malformed")?;
    match (&row.salt, &row.payload) {
        (Some(salt), Some(payload)) if row_digest(salt, payload) == known => Ok(known),
        (Some(_), Some(_)) => Err("a payload was changed"),
        (None, None) => Ok(known),
        _ => Err("half of a payload was erased"),
    }
}

//! The walk along a workspace's chain: every event in order, every digest, every hash, up to the
//! head row. Constant memory; reads only.

use super::log::{LoggedEvent, events_after, head};
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
        let mut tx = Tx::begin(db, workspace, Purpose::Page).await?;
        let events = events_after(&mut tx, workspace, seq, head.seq, PAGE, true).await?;
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
                Err(reason) => {
                    return Ok(Verdict::Broken {
                        seq: seq + 1,
                        reason,
                    });
                }
            }
        }
    }
    if hash != head.hash {
        return Ok(Verdict::Broken {
            seq,
            reason: "the head is another than the log's end",
        });
    }
    Ok(Verdict::Whole {
        events: seq,
        seq,
        mark: mark(&hash),
    })
}

/// One step: the event must be the next, say what was hashed, and be linked to the one before.
fn step(seq: i64, previous: &Hash, event: &LoggedEvent) -> Result<Hash, &'static str> {
    if event.header.seq != seq + 1 {
        return Err(if event.header.seq == seq {
            "doubled"
        } else {
            "missing"
        });
    }
    if usize::try_from(event.header.rows) != Ok(event.rows.len()) {
        return Err("a payload is missing or added");
    }
    let mut digests = Vec::with_capacity(event.rows.len());
    for row in &event.rows {
        let known: Hash = row
            .digest
            .as_slice()
            .try_into()
            .map_err(|_| "a digest is malformed")?;
        if let (Some(salt), Some(payload)) = (&row.salt, &row.payload)
            && row_digest(salt, payload) != known
        {
            return Err("a payload was changed");
        }
        digests.push(known);
    }
    let digest = digest(&digests);
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

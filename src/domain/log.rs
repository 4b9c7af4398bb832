//! The hash chain of a workspace's log: what is hashed, in which bytes. Pure; knows no storage.
//!
//! `hash(n) = SHA-256(hash(n-1) ‖ header(n) ‖ digest(n))`, where `digest` is the SHA-256 over the
//! digests of the event's rows, and a row's digest is `SHA-256(salt ‖ payload)`. A payload may be
//! erased for good: its digest stays, so the chain still verifies.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::{FormId, JobId, ListId, UserId, WorkspaceId};

/// A link of the chain.
pub type Hash = [u8; 32];

/// What stands before the first event.
pub const GENESIS: Hash = [0; 32];

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    User(UserId),
    Token(Uuid),
    Job(JobId),
    /// A stranger, by the public link to a form.
    Form(FormId),
}

impl Actor {
    /// The kind's name in Postgres and on the wire.
    pub fn kind(self) -> &'static str {
        match self {
            Actor::User(_) => "user",
            Actor::Token(_) => "token",
            Actor::Job(_) => "job",
            Actor::Form(_) => "form",
        }
    }

    pub fn id(self) -> Uuid {
        match self {
            Actor::User(id) => id.uuid(),
            Actor::Token(id) => id,
            Actor::Job(id) => id.uuid(),
            Actor::Form(id) => id.uuid(),
        }
    }

    /// The actor of that kind, if there is such a kind.
    pub fn from_parts(kind: &str, id: Uuid) -> Option<Actor> {
        match kind {
            "user" => Some(Actor::User(UserId(id))),
            "token" => Some(Actor::Token(id)),
            "job" => Some(Actor::Job(JobId(id))),
            "form" => Some(Actor::Form(FormId(id))),
            _ => None,
        }
    }
}

/// All of an event but what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeader {
    pub workspace: WorkspaceId,
    pub seq: i64,
    /// Microseconds at most, as Postgres keeps them.
    pub at: DateTime<Utc>,
    pub kind: String,
    pub actor: Actor,
    pub op: Option<Uuid>,
    pub change: Option<Uuid>,
    pub undoes: Option<i64>,
    pub list: Option<ListId>,
    /// How many payload rows the event has.
    pub rows: i32,
}

impl EventHeader {
    /// The canonical bytes: fixed order, big-endian integers, every text with its length, every
    /// optional part with a flag, so that no two headers share their bytes.
    fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(b"estatebase.log.1");
        bytes.extend_from_slice(self.workspace.uuid().as_bytes());
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.at.timestamp_micros().to_be_bytes());
        push_text(&mut bytes, &self.kind);
        push_text(&mut bytes, self.actor.kind());
        bytes.extend_from_slice(self.actor.id().as_bytes());
        push_optional(
            &mut bytes,
            self.op.as_ref().map(|id| id.as_bytes().as_slice()),
        );
        push_optional(
            &mut bytes,
            self.change.as_ref().map(|id| id.as_bytes().as_slice()),
        );
        push_optional(
            &mut bytes,
            self.undoes
                .map(i64::to_be_bytes)
                .as_ref()
                .map(|b| b.as_slice()),
        );
        push_optional(
            &mut bytes,
            self.list.as_ref().map(|id| id.0.as_bytes().as_slice()),
        );
        bytes.extend_from_slice(&self.rows.to_be_bytes());
        bytes
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn push_optional(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        Some(part) => {
            bytes.push(1);
            bytes.extend_from_slice(part);
        }
        None => bytes.push(0),
    }
}

/// The digest of one payload row.
pub fn row_digest(salt: &[u8], payload: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(salt)
        .chain_update(payload)
        .finalize()
        .into()
}

/// The digest of an event: of its rows' digests, in order.
pub fn digest<'a>(rows: impl IntoIterator<Item = &'a Hash>) -> Hash {
    let mut hasher = Sha256::new();
    for row in rows {
        hasher.update(row);
    }
    hasher.finalize().into()
}

/// The hash that `header` and `digest` get behind `previous`.
pub fn link(previous: &Hash, header: &EventHeader, digest: &Hash) -> Hash {
    Sha256::new()
        .chain_update(previous)
        .chain_update(header.canonical())
        .chain_update(digest)
        .finalize()
        .into()
}

/// A position's mark: the first 8 bytes of the log's hash there, in hex.
pub fn mark(hash: &[u8]) -> String {
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(seq: i64, kind: &str) -> EventHeader {
        EventHeader {
            workspace: WorkspaceId(Uuid::from_u128(1)),
            seq,
            at: DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap(),
            kind: kind.into(),
            actor: Actor::User(UserId(Uuid::from_u128(2))),
            op: None,
            change: None,
            undoes: None,
            list: None,
            rows: 1,
        }
    }

    #[test]
    fn any_changed_part_changes_the_hash() {
        let digest = row_digest(b"salt", b"payload");
        let base = link(&GENESIS, &header(1, "a"), &digest);
        let mut others = vec![
            link(&[1; 32], &header(1, "a"), &digest),
            link(&GENESIS, &header(2, "a"), &digest),
            link(&GENESIS, &header(1, "b"), &digest),
            link(&GENESIS, &header(1, "a"), &row_digest(b"salt", b"payloae")),
        ];
        for change in [
            |h: &mut EventHeader| h.op = Some(Uuid::nil()),
            |h: &mut EventHeader| h.change = Some(Uuid::nil()),
            |h: &mut EventHeader| h.undoes = Some(0),
            |h: &mut EventHeader| h.list = Some(ListId(Uuid::nil())),
            |h: &mut EventHeader| h.rows = 2,
            |h: &mut EventHeader| h.actor = Actor::Job(JobId(Uuid::from_u128(2))),
        ] {
            let mut changed = header(1, "a");
            change(&mut changed);
            others.push(link(&GENESIS, &changed, &digest));
        }
        others.push(base);
        let all = others.len();
        others.sort_unstable();
        others.dedup();
        assert_eq!(others.len(), all);
    }

    proptest! {
        #[test]
        fn no_two_headers_share_their_bytes(a in "[ab]{0,3}", b in "[ab]{0,3}", x: i64, y: i64) {
            let (left, right) = (header(x, &a), header(y, &b));
            prop_assert_eq!(left == right, left.canonical() == right.canonical());
        }
    }
}

//! How a command becomes an entry of the log: its event linked behind the hash so far, its payload
//! salted and digested, its operation remembered. Writes nothing.

use chrono::{DateTime, Utc};
use rand::RngCore;
use uuid::Uuid;

use super::command::{Answer, Remember, Request};
use super::core::Core;
use crate::domain::log::{Actor, EventHeader, Hash, digest, link, row_digest};
use crate::ids::{ItemId, ListId, UserId};
use crate::store::commit::{EventRow, HeadMove, OpRow, PayloadRow};

/// The move of the head by one event, `reshaping` what is cached or not.
pub(super) fn head_move(core: &Core, hash: Hash, reshaping: bool) -> HeadMove {
    HeadMove {
        workspace: core.id,
        known_seq: core.seq,
        known_hash: core.hash,
        known_schema_version: core.schema_version,
        seq: core.seq + 1,
        hash,
        schema_version: core.schema_version + i64::from(reshaping),
    }
}

/// The parts of an event that is about to be logged.
pub(super) struct NewEvent<'a> {
    pub(super) seq: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) kind: &'a str,
    pub(super) by: By,
    pub(super) list: Option<ListId>,
    pub(super) payloads: Vec<PayloadRow>,
}

/// Whose doing an event is, and what it belongs to.
#[derive(Clone, Copy)]
pub(super) struct By {
    pub(super) actor: Actor,
    pub(super) op: Option<Uuid>,
    /// The change that it takes back.
    pub(super) undoes: Option<i64>,
    /// What it has in common with other events.
    pub(super) change: Option<Uuid>,
}

impl By {
    pub(super) fn of(request: &Request) -> By {
        let (undoes, change) = request.command.takes_back();
        By {
            actor: request.actor,
            op: request.op,
            undoes,
            change,
        }
    }

    /// Nobody's command.
    pub(super) fn itself(actor: Actor) -> By {
        By {
            actor,
            op: None,
            undoes: None,
            change: None,
        }
    }
}

/// Links an event behind `hash` and moves it on.
pub(super) fn event(core: &Core, hash: &mut Hash, new: NewEvent<'_>) -> EventRow {
    let header = EventHeader {
        workspace: core.id,
        seq: new.seq,
        at: new.at,
        kind: new.kind.to_owned(),
        actor: new.by.actor,
        op: new.by.op,
        change: new.by.change,
        undoes: new.by.undoes,
        list: new.list,
        rows: i32::try_from(new.payloads.len()).unwrap_or(i32::MAX),
    };
    let digest = digest(new.payloads.iter().map(|row| &row.digest));
    *hash = link(hash, &header, &digest);
    EventRow {
        header,
        digest,
        hash: *hash,
        payloads: new.payloads,
    }
}

/// A payload row with a salt of its own, so that an erased value can't be guessed from its digest.
pub(super) fn payload(
    list: Option<ListId>,
    item: Option<ItemId>,
    last_item: Option<ItemId>,
    bytes: Vec<u8>,
    packed: bool,
) -> PayloadRow {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let digest = row_digest(&salt, &bytes);
    PayloadRow {
        list,
        item,
        last_item,
        salt,
        payload: bytes,
        packed,
        digest,
    }
}

pub(super) fn op_row(principal: UserId, remember: &Remember, seq: i64, answer: &Answer) -> OpRow {
    OpRow {
        principal,
        key: remember.key.clone(),
        fingerprint: remember.fingerprint,
        seq,
        // An answer is made of plain text and numbers: writing it out can't fail.
        answer: serde_json::to_vec(answer).unwrap_or_default(),
    }
}

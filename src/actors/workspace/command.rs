//! What may be asked of a workspace's lane, and what it answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use super::admin::AdminCommand;
use super::undo::UndoCommand;
use crate::actors::import::batch::ImportBatch;
use crate::domain::edit::ItemCommand;
use crate::domain::item::Item;
use crate::domain::log::{Actor, Hash};
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::{ItemId, UserId};
use crate::store::jobs::Amended;
use crate::wire::undo::Undone;

/// A command with who gives it and how it is to be answered.
#[derive(Debug)]
pub struct Request {
    pub user: UserId,
    pub actor: Actor,
    /// The operation's id on the wire, carried by its event.
    pub op: Option<Uuid>,
    pub remember: Option<Remember>,
    pub shape: Shape,
    pub command: Command,
}

/// The key under which a retry finds the answer.
#[derive(Clone, Debug)]
pub struct Remember {
    pub key: String,
    /// SHA-256 of the request: the same key with another one is refused.
    pub fingerprint: Hash,
}

/// How a command on items is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Ids and versions, over a socket.
    Ack,
    /// 201, the item, and where it is.
    CreatedOne { location: String },
    /// 201 `{"data":[…]}`.
    CreatedMany,
    /// 201 and the item's id alone: for whoever may not read it.
    Receipt,
    /// 200, the item.
    One,
    /// 200 `{"data":[…]}`.
    Many,
    /// 204.
    Nothing,
    /// 200, what was taken back: not the items, which may be thousands.
    Undone { undoes: Option<i64> },
}

impl Shape {
    /// Whether items are shown with all their cells.
    pub fn shows_items(&self) -> bool {
        !matches!(self, Shape::Ack | Shape::Nothing | Shape::Undone { .. })
    }
}

#[derive(Debug)]
pub enum Command {
    Items(ItemCommand),
    Admin(AdminCommand),
    Import(Arc<ImportBatch>),
    /// What it does is found in the log, by the lane.
    Undo(UndoCommand),
}

impl Command {
    /// The change that its event takes back, and what it has in common with others.
    pub(super) fn takes_back(&self) -> (Option<i64>, Option<Uuid>) {
        match self {
            Command::Items(ItemCommand::Compensate(what)) => (what.undoes, what.change),
            Command::Admin(AdminCommand::Compensate { undoes, .. }) => (Some(*undoes), None),
            _ => (None, None),
        }
    }
}

/// An answer that can be remembered and given again to the letter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<RawValue>>,
}

impl Answer {
    /// 204.
    pub fn empty() -> Answer {
        Answer::new(204, None)
    }

    /// Changes what it says.
    pub(super) fn revise(&mut self, change: impl FnOnce(&mut Value)) {
        let body = self.body.as_ref();
        if let Some(mut body) = body.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            change(&mut body);
            self.body = RawValue::from_string(body.to_string()).ok();
        }
    }

    pub(super) fn new(status: u16, body: Option<&Value>) -> Answer {
        Answer {
            status,
            etag: None,
            location: None,
            body: body.and_then(|body| RawValue::from_string(body.to_string()).ok()),
        }
    }
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its position in the log.
    pub seq: i64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    /// Items as they stand after it; turned into an answer where it is needed.
    Items {
        list: Arc<List>,
        items: Vec<Arc<Item>>,
    },
    /// A batch of an import, and what its rows became beside what stands.
    Imported { amended: Amended },
    /// Ready to be given.
    Ready(Answer),
}

impl Reply {
    /// The answer in that shape.
    pub fn into_answer(self, shape: &Shape) -> Answer {
        match self.outcome {
            Outcome::Ready(answer) => answer,
            Outcome::Imported { .. } => Answer::empty(),
            Outcome::Items { list, items } => answer_items(shape, self.seq, &list, &items),
        }
    }
}

/// Renders what a command on items answers.
pub(super) fn answer_items(shape: &Shape, seq: i64, list: &List, items: &[Arc<Item>]) -> Answer {
    let (status, body) = match shape {
        Shape::Nothing => (204, None),
        Shape::Ack => (
            200,
            Some(ack_body(
                seq,
                items.iter().map(|item| (item.id, item.version)),
            )),
        ),
        Shape::Undone { undoes } => {
            let told = Undone::new(seq, *undoes, items.len());
            (200, serde_json::to_string(&told).ok())
        }
        Shape::Receipt => (
            201,
            items
                .first()
                .map(|item| format!(r#"{{"id":"{}"}}"#, item.id)),
        ),
        Shape::One | Shape::CreatedOne { .. } => {
            let status = if matches!(shape, Shape::One) {
                200
            } else {
                201
            };
            (status, items.first().map(|item| item.to_wire(list)))
        }
        Shape::Many | Shape::CreatedMany => {
            let status = if matches!(shape, Shape::Many) {
                200
            } else {
                201
            };
            (status, Some(data_body(list, items)))
        }
    };
    let single = matches!(shape, Shape::One | Shape::CreatedOne { .. });
    Answer {
        status,
        etag: items.first().filter(|_| single).map(|item| item.version),
        location: match (shape, items.first()) {
            (Shape::CreatedOne { location }, Some(item)) => Some(format!("{location}/{}", item.id)),
            _ => None,
        },
        // The parts were written as JSON: this can't fail, and an empty body says so if it did.
        body: body.and_then(|body| RawValue::from_string(body).ok()),
    }
}

fn ack_body(seq: i64, items: impl Iterator<Item = (ItemId, i64)>) -> String {
    use std::fmt::Write;
    let mut out = format!(r#"{{"seq":{seq},"items":["#);
    for (index, (id, version)) in items.enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(out, r#"{comma}{{"id":"{id}","version":{version}}}"#);
    }
    out.push_str("]}");
    out
}

fn data_body(list: &List, items: &[Arc<Item>]) -> String {
    let mut out = String::with_capacity(items.len().saturating_mul(512));
    out.push_str(r#"{"data":["#);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item.write_wire(list, &mut out);
    }
    out.push_str("]}");
    out
}

/// A request on its way through the lane. Dropping it unanswered tells the caller that nobody
/// knows whether it took effect.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Reply, AppError>>,
    /// Held until it is answered: the bound of the lane.
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// A step of another command, which nobody waits for by itself.
    pub(super) fn step(request: Request) -> Job {
        Job {
            request,
            reply: oneshot::channel().0,
            _permit: None,
        }
    }

    pub(super) fn answer(self, result: Result<Reply, AppError>) {
        // The caller may be gone; the effect stands all the same.
        let _ = self.reply.send(result);
    }
}

//! The websocket frames as a client sees them: what it sends, what it understands. Unknown fields
//! are skipped and unknown frames are named, so that a newer server does not break an older tool.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::position::Position;
use crate::ids::{ItemId, ListId, WorkspaceId};

/// The subprotocol both sides name in the handshake.
pub const SUBPROTOCOL: &str = "estatebase.v1";

/// The first frame of a connection.
#[derive(Serialize)]
#[serde(tag = "type", rename = "hello")]
pub struct Hello<'a> {
    pub token: &'a str,
    pub client: Uuid,
}

/// Asks for the events of a workspace; without `since`, from now on.
#[derive(Serialize)]
#[serde(tag = "type", rename = "subscribe")]
pub struct Subscribe<'a> {
    pub id: u64,
    pub workspace: WorkspaceId,
    /// `"all"`, the one choice a tool needs.
    pub lists: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<&'a Position>,
}

/// Changes of items: all or nothing, one `op`, one event.
#[derive(Serialize)]
#[serde(tag = "type", rename = "edit")]
pub struct Edit<'a, V> {
    pub op: Uuid,
    pub workspace: WorkspaceId,
    pub list: ListId,
    pub items: &'a [ItemEdit<V>],
}

/// The new cells of one item.
#[derive(Serialize)]
pub struct ItemEdit<V> {
    pub id: ItemId,
    pub values: V,
}

/// New items: all or nothing, one `op`, one event.
#[derive(Serialize)]
#[serde(tag = "type", rename = "create")]
pub struct Create<'a, V> {
    pub op: Uuid,
    pub workspace: WorkspaceId,
    pub list: ListId,
    pub items: &'a [ItemCreate<V>],
}

/// The cells of one new item, under an id of the client's choice or the server's.
#[derive(Serialize)]
pub struct ItemCreate<V> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    pub values: V,
}

/// A frame from the server; `E` is how much of each event the reader wants to know.
#[derive(Debug)]
pub enum Frame<E> {
    Welcome(Welcome),
    Subscribed(Subscribed),
    Events(Events<E>),
    Beat(Beat),
    Ack(Ack),
    Reject(Reject),
    Reset(Reset),
    Access(Access),
    Job(Job),
    Drain(Drain),
    Error(Refusal),
    Pong,
    /// A frame this client has no use for.
    Other,
}

#[derive(Debug, Deserialize)]
pub struct Welcome {
    #[serde(default)]
    pub heartbeat_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct Subscribed {
    pub workspace: WorkspaceId,
    #[serde(flatten)]
    pub position: Position,
}

/// Everything the socket may see in `(after, through]`.
#[derive(Debug, Deserialize)]
pub struct Events<E> {
    pub workspace: WorkspaceId,
    pub after: u64,
    pub through: u64,
    pub mark: String,
    pub events: Vec<E>,
}

#[derive(Debug, Deserialize)]
pub struct Beat {
    pub through: u64,
    pub mark: String,
}

/// The edit is committed under `seq`.
#[derive(Debug, Deserialize)]
pub struct Ack {
    pub op: Uuid,
    pub seq: u64,
    #[serde(default)]
    pub items: Vec<AckedItem>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct AckedItem {
    pub id: ItemId,
    pub version: u64,
}

#[derive(Debug, Deserialize)]
pub struct Reject {
    pub op: Uuid,
    pub problem: Problem,
}

/// What lies before `seq` can't be replayed: read again from there.
#[derive(Debug, Deserialize)]
pub struct Reset {
    pub workspace: WorkspaceId,
    pub reason: String,
    pub seq: u64,
    pub mark: String,
}

#[derive(Debug, Deserialize)]
pub struct Access {
    pub role: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Job {
    pub job: Uuid,
    pub state: String,
    #[serde(default)]
    pub done: u64,
    #[serde(default)]
    pub total: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct Drain {
    pub after_ms: u64,
}

#[derive(Debug, Deserialize)]
pub struct Refusal {
    pub problem: Problem,
}

/// The parts of a problem document (RFC 9457) that a person wants to read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Problem {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub status: u16,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub detail: Option<String>,
    #[serde(default)]
    pub errors: Vec<BrokenRule>,
}

/// One broken rule of the input.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct BrokenRule {
    pub path: String,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.code)?;
        if let Some(sentence) = self.detail.as_deref().or(Some(self.title.as_str())) {
            write!(f, ": {sentence}")?;
        }
        for rule in self.errors.iter().take(3) {
            write!(f, " [{} {} {}]", rule.path, rule.code, rule.message)?;
        }
        Ok(())
    }
}

/// An event with all its parts, for readers who show it.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub seq: u64,
    #[serde(default)]
    pub at: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default)]
    pub actor: Option<Actor>,
    pub kind: String,
    #[serde(default)]
    pub changes: Vec<Change>,
    #[serde(default)]
    pub data: Option<serde_json::Value>,
    #[serde(default)]
    pub undoes: Option<u64>,
    #[serde(default)]
    pub wide: bool,
}

/// Who did it; exactly one is named.
#[derive(Debug, Default, Deserialize)]
pub struct Actor {
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub token: Option<String>,
    #[serde(default)]
    pub job: Option<String>,
    #[serde(default)]
    pub form: Option<String>,
}

/// What happened to one item.
#[derive(Debug, Deserialize)]
pub struct Change {
    pub kind: String,
    pub list: ListId,
    pub item: ItemId,
    #[serde(default)]
    pub set: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub was: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    name: std::borrow::Cow<'a, str>,
}

impl<E: DeserializeOwned> Frame<E> {
    /// Reads one text frame.
    ///
    /// # Errors
    /// When it is no JSON object with a `type`, or one of a known type that lacks its fields.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        match type_of(text)?.as_ref() {
            "events" => serde_json::from_str(text).map(Self::Events),
            "ack" => serde_json::from_str(text).map(Self::Ack),
            "beat" => serde_json::from_str(text).map(Self::Beat),
            "welcome" => serde_json::from_str(text).map(Self::Welcome),
            "subscribed" => serde_json::from_str(text).map(Self::Subscribed),
            "reject" => serde_json::from_str(text).map(Self::Reject),
            "reset" => serde_json::from_str(text).map(Self::Reset),
            "access" => serde_json::from_str(text).map(Self::Access),
            "job" => serde_json::from_str(text).map(Self::Job),
            "drain" => serde_json::from_str(text).map(Self::Drain),
            "error" => serde_json::from_str(text).map(Self::Error),
            "pong" => Ok(Self::Pong),
            _ => Ok(Self::Other),
        }
    }
}

/// The name of a frame's type. Servers write `type` first, and then nothing else is read for it.
fn type_of(text: &str) -> Result<std::borrow::Cow<'_, str>, serde_json::Error> {
    let quick = text
        .strip_prefix(r#"{"type":""#)
        .and_then(|rest| rest.split_once('"'))
        .map(|(name, _)| name)
        .filter(|name| !name.contains('\\'));
    match quick {
        Some(name) => Ok(name.into()),
        None => serde_json::from_str::<Tag<'_>>(text).map(|tag| tag.name),
    }
}

/// An event exactly as it was sent, to print or to read further.
pub type RawEvent = Box<RawValue>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_wherever_it_stands() {
        assert_eq!(type_of(r#"{"type":"ack","op":"x"}"#).unwrap(), "ack");
        assert_eq!(type_of(r#"{ "op":"x", "type" : "ack" }"#).unwrap(), "ack");
        assert!(type_of(r#"{"op":"x"}"#).is_err());
        assert!(type_of("[1]").is_err());
    }

    #[test]
    fn unknown_frames_and_fields_do_not_break_a_reader() {
        assert!(matches!(
            Frame::<Event>::parse(r#"{"type":"fireworks","n":1}"#).unwrap(),
            Frame::Other
        ));
        let ack = Frame::<Event>::parse(
            r#"{"type":"ack","op":"0190f7c4-5a4e-7000-8000-000000000001","seq":7,"new":true,
                "items":[{"id":"0190f7c4-5a4e-7000-8000-000000000002","version":3,"x":{}}]}"#,
        );
        let Ok(Frame::Ack(ack)) = ack else {
            panic!("{ack:?}")
        };
        assert_eq!((ack.seq, ack.items[0].version), (7, 3));
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        assert!(Frame::<Event>::parse(r#"{"type":"events","after":1,"through":"#).is_err());
        assert!(Frame::<Event>::parse(r#"{"type":"events","after":1}"#).is_err());
    }

    #[test]
    fn frames_go_out_as_the_contract_writes_them() {
        let id = Uuid::from_u128(1);
        let position = Position {
            seq: 4,
            mark: "00000000000000aa".into(),
            audience: Some("m1".into()),
        };
        assert_eq!(
            serde_json::to_string(&Subscribe {
                id: 1,
                workspace: id.into(),
                lists: "all",
                since: Some(&position)
            })
            .unwrap(),
            format!(
                r#"{{"type":"subscribe","id":1,"workspace":"{id}","lists":"all","since":{{"seq":4,"mark":"00000000000000aa","audience":"m1"}}}}"#
            )
        );
        let items = [ItemEdit {
            id: id.into(),
            values: serde_json::json!({"City": "Davis"}),
        }];
        assert_eq!(
            serde_json::to_string(&Edit {
                op: id,
                workspace: id.into(),
                list: id.into(),
                items: &items
            })
            .unwrap(),
            format!(
                r#"{{"type":"edit","op":"{id}","workspace":"{id}","list":"{id}","items":[{{"id":"{id}","values":{{"City":"Davis"}}}}]}}"#
            )
        );
    }
}

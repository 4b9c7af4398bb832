//! The frames of the websocket, both ways. A frame is read in two steps, its `type` first: values
//! stay as their exact text, so a number is judged as it was written. (That is why `type` stands in
//! each frame again: a tagged enum would buffer the values, and with them lose their text.)

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::edit::{RawValues, Versions};
use crate::domain::roles::Role;
use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

/// Bytes of a frame from a client at most.
pub const MAX_FRAME: usize = 64 * 1024;
/// Items in one frame at most; larger writes go over REST.
pub const MAX_FRAME_ITEMS: usize = 100;

#[derive(Debug, Deserialize)]
pub struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: std::borrow::Cow<'a, str>,
}

/// A frame from a client.
#[derive(Debug)]
pub enum ClientFrame {
    Hello(Hello),
    Auth(Auth),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Edit(Edit),
    Create(Create),
    Delete(Delete),
    Ping(Option<Box<RawValue>>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub token: String,
    #[serde(default)]
    pub client: Option<Uuid>,
    #[serde(default)]
    pub resume: Vec<Resume>,
}

/// A position from an earlier socket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    pub workspace: WorkspaceId,
    pub seq: i64,
    pub mark: String,
    #[serde(default)]
    pub audience: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub seq: i64,
    pub mark: String,
    #[serde(default)]
    pub audience: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub token: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub id: u64,
    pub workspace: WorkspaceId,
    #[serde(default)]
    pub lists: Option<WantedLists>,
    #[serde(default)]
    pub query: Option<Box<RawValue>>,
    #[serde(default)]
    pub since: Option<Position>,
}

/// `"all"` or ids.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum WantedLists {
    Word(String),
    Ids(Vec<ListId>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub op: Uuid,
    pub workspace: WorkspaceId,
    pub list: ListId,
    pub items: Vec<PatchIn>,
}

/// A change of an item, in a frame and in a REST batch.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchIn {
    #[schema(value_type = Uuid)]
    pub id: ItemId,
    #[schema(value_type = Object)]
    pub values: RawValues,
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub if_version: Option<Versions>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub if_values: Option<RawValues>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub op: Uuid,
    pub workspace: WorkspaceId,
    pub list: ListId,
    pub items: Vec<NewItemIn>,
}

/// A new item, in a frame and in a REST batch.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItemIn {
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub id: Option<ItemId>,
    #[schema(value_type = Object)]
    pub values: RawValues,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub op: Uuid,
    pub workspace: WorkspaceId,
    pub list: ListId,
    pub ids: Vec<ItemId>,
}

/// Why a frame was not understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("not a JSON object with a type")]
    NoType,
    #[error("unknown frame type {0:?}")]
    UnknownType(String),
    #[error("{kind}: {reason}")]
    Malformed { kind: String, reason: String },
}

impl ClientFrame {
    /// Reads a frame.
    pub fn parse(text: &str) -> Result<ClientFrame, FrameError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Ping {
            #[serde(rename = "type")]
            _type: IgnoredAny,
            #[serde(default)]
            t: Option<Box<RawValue>>,
        }
        fn body<'a, T: Deserialize<'a>>(kind: &str, text: &'a str) -> Result<T, FrameError> {
            serde_json::from_str(text).map_err(|error| FrameError::Malformed {
                kind: kind.to_owned(),
                reason: error.to_string(),
            })
        }
        let kind = serde_json::from_str::<Kind<'_>>(text)
            .map_err(|_| FrameError::NoType)?
            .kind;
        Ok(match kind.as_ref() {
            "hello" => ClientFrame::Hello(body("hello", text)?),
            "auth" => ClientFrame::Auth(body("auth", text)?),
            "subscribe" => ClientFrame::Subscribe(body("subscribe", text)?),
            "unsubscribe" => ClientFrame::Unsubscribe(body("unsubscribe", text)?),
            "edit" => ClientFrame::Edit(body("edit", text)?),
            "create" => ClientFrame::Create(body("create", text)?),
            "delete" => ClientFrame::Delete(body("delete", text)?),
            "ping" => ClientFrame::Ping(body::<Ping>("ping", text)?.t),
            other => return Err(FrameError::UnknownType(other.to_owned())),
        })
    }
}

/// Small frames from the server. `events` is written by the hub, `ack` by splicing an answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    Welcome {
        session: Uuid,
        user: UserId,
        server_time: String,
        heartbeat_ms: u64,
        limits: Limits,
    },
    Subscribed {
        id: u64,
        workspace: WorkspaceId,
        seq: i64,
        mark: &'a str,
        audience: &'a str,
    },
    Beat {
        workspace: WorkspaceId,
        through: i64,
        mark: &'a str,
    },
    Reset {
        workspace: WorkspaceId,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        reason: &'a str,
        seq: i64,
        mark: &'a str,
    },
    Access {
        workspace: WorkspaceId,
        role: Option<Role>,
    },
    Drain {
        after_ms: u64,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        t: Option<&'a RawValue>,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        problem: &'a RawValue,
    },
    Reject {
        op: Uuid,
        problem: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        current: Option<&'a RawValue>,
    },
}

/// What a socket may do.
#[derive(Debug, Serialize)]
pub struct Limits {
    pub frame_bytes: usize,
    pub frame_items: usize,
    pub subscriptions: usize,
}

impl ServerFrame<'_> {
    /// The frame as text; made of plain text and numbers, so it can't fail.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An `ack`, from the remembered or fresh answer `{"seq","items"}`.
pub fn ack(op: Uuid, answer: &RawValue) -> String {
    let rest = answer.get().strip_prefix('{').unwrap_or("}");
    format!(r#"{{"type":"ack","op":"{op}",{rest}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_its_numbers_as_they_were_written() {
        let text = r#"{"op":"0190a5a0-0000-7000-8000-000000000001","type":"edit",
            "workspace":"0190a5a0-0000-7000-8000-000000000002","list":"0190a5a0-0000-7000-8000-000000000003",
            "items":[{"id":"0190a5a0-0000-7000-8000-000000000004","values":{"ListPrice":1.10000000000000000001}}]}"#;
        let ClientFrame::Edit(edit) = ClientFrame::parse(text).unwrap() else {
            panic!()
        };
        assert_eq!(edit.items[0].values.0[0].1.get(), "1.10000000000000000001");
    }

    #[test]
    fn an_ack_carries_the_answer() {
        let answer = RawValue::from_string(r#"{"seq":7,"items":[]}"#.into()).unwrap();
        let op = Uuid::nil();
        let ack: serde_json::Value = serde_json::from_str(&ack(op, &answer)).unwrap();
        assert_eq!(ack["seq"], 7);
        assert_eq!(ack["type"], "ack");
    }

    #[test]
    fn a_field_that_nobody_knows_is_refused() {
        let id = Uuid::nil();
        let known = [
            r#"{"type":"hello","token":"t","client":"ID","resume":[{"workspace":"ID","seq":1,"mark":"m"}]}"#,
            r#"{"type":"auth","token":"t"}"#,
            r#"{"type":"subscribe","id":1,"workspace":"ID","lists":"all","since":{"seq":1,"mark":"m","audience":"a"}}"#,
            r#"{"type":"unsubscribe","id":1}"#,
            r#"{"type":"edit","op":"ID","workspace":"ID","list":"ID","items":[{"id":"ID","values":{},"if_version":1}]}"#,
            r#"{"type":"create","op":"ID","workspace":"ID","list":"ID","items":[{"values":{}}]}"#,
            r#"{"type":"delete","op":"ID","workspace":"ID","list":"ID","ids":["ID"]}"#,
            r#"{"type":"ping","t":1}"#,
        ];
        for text in known.map(|text| text.replace("ID", &id.to_string())) {
            ClientFrame::parse(&text).unwrap();
            let ends = text
                .match_indices('}')
                .filter(|(at, _)| !text[..*at].ends_with('{'));
            for (at, _) in ends {
                let more = format!(r#"{},"more":1{}"#, &text[..at], &text[at..]);
                assert!(
                    matches!(ClientFrame::parse(&more), Err(FrameError::Malformed { .. })),
                    "{more}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        assert!(matches!(ClientFrame::parse("[]"), Err(FrameError::NoType)));
        assert!(matches!(ClientFrame::parse("{}"), Err(FrameError::NoType)));
        assert!(matches!(
            ClientFrame::parse(r#"{"type":"dance"}"#),
            Err(FrameError::UnknownType(_))
        ));
        assert!(matches!(
            ClientFrame::parse(r#"{"type":"edit"}"#),
            Err(FrameError::Malformed { .. })
        ));
    }
}

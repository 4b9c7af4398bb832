//! The frames of the websocket, both ways. A frame is read in two steps, its `type` first: values
//! stay as their exact text, so a number is judged as it was written. (That is why `type` stands in
//! each frame again: a tagged enum would buffer the values, and with them lose their text.)

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use uuid::Uuid;

use super::object::{Object, objects};
use crate::domain::edit::{RawValues, Versions};
use crate::domain::roles::Role;
use crate::error::Problem;
use crate::ids::{ItemId, JobId, ListId, UserId, WorkspaceId};

/// Bytes of a frame from a client at most.
pub const MAX_FRAME: usize = 64 * 1024;
/// Items in one frame at most; larger writes go over REST.
pub const MAX_FRAME_ITEMS: usize = 100;
/// Subscriptions of one socket at most.
pub const MAX_SUBSCRIPTIONS: usize = 100;

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
    Presence(Presence),
    Ping(Option<Box<RawValue>>),
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    pub token: String,
    #[serde(default)]
    pub client: Option<Uuid>,
    /// The default `since` of later subscriptions, by workspace.
    #[serde(default, deserialize_with = "objects")]
    pub resume: Vec<Resume>,
}

/// A position from an earlier socket.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    pub seq: i64,
    pub mark: String,
    #[serde(default)]
    pub audience: Option<String>,
}

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub seq: i64,
    /// The first 8 bytes, in hex, of the log's hash at `seq`.
    pub mark: String,
    /// What the position was good for; another one now is answered by a reset.
    #[serde(default)]
    pub audience: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    pub token: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    pub id: u64,
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    #[serde(default)]
    #[schema(schema_with = wanted_lists)]
    pub lists: Option<WantedLists>,
    #[serde(default)]
    #[schema(ignore)]
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

fn wanted_lists() -> Schema {
    let all = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["all"]));
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    let ids = ArrayBuilder::new().items(id);
    OneOfBuilder::new().item(all).item(ids).into()
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    pub id: u64,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    /// UUIDv7: it takes effect at most once, whatever is sent again.
    pub op: Uuid,
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    #[schema(value_type = Uuid)]
    pub list: ListId,
    #[schema(max_items = 100)]
    #[serde(deserialize_with = "objects")]
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

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    /// UUIDv7: it takes effect at most once, whatever is sent again.
    pub op: Uuid,
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    #[schema(value_type = Uuid)]
    pub list: ListId,
    #[schema(max_items = 100)]
    #[serde(deserialize_with = "objects")]
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

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    /// UUIDv7: it takes effect at most once, whatever is sent again.
    pub op: Uuid,
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    #[schema(value_type = Uuid)]
    pub list: ListId,
    #[schema(value_type = Vec<Uuid>, max_items = 100)]
    pub ids: Vec<ItemId>,
}

/// What somebody looks at or works on. Told to the others, never kept.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    #[schema(value_type = Uuid)]
    pub list: ListId,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub item: Option<ItemId>,
    /// A column's key.
    #[serde(default)]
    pub column: Option<String>,
    pub state: PresenceState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    Viewing,
    Editing,
}

/// The same as the others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresentState {
    Viewing,
    Editing,
    /// That socket is gone, or follows the workspace no more; told once.
    Left,
}

/// Asks for a `pong`; `t` comes back as it is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    #[serde(rename = "type")]
    #[schema(ignore)]
    _type: IgnoredAny,
    #[serde(default)]
    #[schema(value_type = serde_json::Value)]
    t: Option<Box<RawValue>>,
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

/// Of a command no more than its operation.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, rename = "type")]
    kind: std::borrow::Cow<'a, str>,
    op: Uuid,
}

impl ClientFrame {
    /// The operation of a frame that is a command, without reading what it says.
    pub fn glance(text: &str) -> Option<Uuid> {
        let Object(glance) = serde_json::from_str::<Object<Glance<'_>>>(text).ok()?;
        let commands = ["edit", "create", "delete"];
        commands
            .contains(&glance.kind.as_ref())
            .then_some(glance.op)
    }

    /// Reads a frame.
    pub fn parse(text: &str) -> Result<ClientFrame, FrameError> {
        fn body<'a, T: Deserialize<'a>>(kind: &str, text: &'a str) -> Result<T, FrameError> {
            let read = serde_json::from_str::<Object<T>>(text);
            read.map(|Object(body)| body)
                .map_err(|error| FrameError::Malformed {
                    kind: kind.to_owned(),
                    reason: error.to_string(),
                })
        }
        let Object(Kind { kind }) = serde_json::from_str(text).map_err(|_| FrameError::NoType)?;
        Ok(match kind.as_ref() {
            "hello" => ClientFrame::Hello(body("hello", text)?),
            "auth" => ClientFrame::Auth(body("auth", text)?),
            "subscribe" => ClientFrame::Subscribe(body("subscribe", text)?),
            "unsubscribe" => ClientFrame::Unsubscribe(body("unsubscribe", text)?),
            "edit" => ClientFrame::Edit(body("edit", text)?),
            "create" => ClientFrame::Create(body("create", text)?),
            "delete" => ClientFrame::Delete(body("delete", text)?),
            "presence" => ClientFrame::Presence(body("presence", text)?),
            "ping" => ClientFrame::Ping(body::<Ping>("ping", text)?.t),
            other => return Err(FrameError::UnknownType(other.to_owned())),
        })
    }
}

/// Small frames from the server. `events` is written by the hub, `ack` by splicing an answer;
/// `wire::events` describes those.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    Welcome {
        session: Uuid,
        #[schema(value_type = Uuid)]
        user: UserId,
        server_time: String,
        heartbeat_ms: u64,
        limits: Limits,
    },
    Subscribed {
        id: u64,
        #[schema(value_type = Uuid)]
        workspace: WorkspaceId,
        seq: i64,
        mark: &'a str,
        /// An opaque name of what this socket may see.
        audience: &'a str,
    },
    Beat {
        #[schema(value_type = Uuid)]
        workspace: WorkspaceId,
        through: i64,
        mark: &'a str,
    },
    Reset {
        #[schema(value_type = Uuid)]
        workspace: WorkspaceId,
        /// The subscription that it answers; absent when something changed on the way.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        id: Option<u64>,
        /// `foreign_mark`, `future_seq`, `changed_audience`, `too_far` or `too_old`.
        reason: &'a str,
        seq: i64,
        mark: &'a str,
    },
    Access {
        #[schema(value_type = Uuid)]
        workspace: WorkspaceId,
        /// `null`: no longer a member.
        #[schema(required)]
        role: Option<Role>,
    },
    Presence {
        #[schema(value_type = Uuid)]
        workspace: WorkspaceId,
        /// The position at which access was checked.
        seq: i64,
        users: &'a [Present<'a>],
        /// Everybody, not just what has changed.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        #[schema(required = false)]
        full: bool,
    },
    Job {
        #[schema(value_type = Uuid)]
        workspace: WorkspaceId,
        #[schema(value_type = Uuid)]
        job: JobId,
        state: &'a str,
        /// Bytes of the file.
        done: u64,
        total: u64,
        /// Rows.
        read: u64,
        created: u64,
        failed: u64,
        /// The position at which access was checked.
        seq: i64,
    },
    Drain {
        /// How long to wait before the reconnect.
        after_ms: u64,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = serde_json::Value, required = false)]
        t: Option<&'a RawValue>,
    },
    Error {
        /// The subscription that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        id: Option<u64>,
        #[schema(value_type = Problem)]
        problem: &'a Problem<'a>,
    },
    Reject {
        op: Uuid,
        #[schema(value_type = Problem)]
        problem: &'a Problem<'a>,
        /// What stands, when the edit's condition did not hold.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = serde_json::Value, required = false)]
        current: Option<&'a RawValue>,
    },
}

/// Somebody at work in a workspace, at one socket.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Present<'a> {
    #[schema(value_type = Uuid)]
    pub user: UserId,
    pub session: Uuid,
    pub name: &'a str,
    #[schema(value_type = Uuid)]
    pub list: ListId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    pub item: Option<ItemId>,
    /// A column's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub column: Option<&'a str>,
    pub state: PresentState,
}

/// What a socket may do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
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

//! The table of the socket's messages, of its close codes and of its promises: what the AsyncAPI
//! document is made from. A frame without a row here is not part of the contract.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::events::{Ack, Events};
use super::frames::{
    Auth, Create, Delete, Edit, Hello, Ping, Presence, ServerFrame, Subscribe, Unsubscribe,
};

/// The subprotocol to offer.
pub const SUBPROTOCOL: &str = "estatebase.v1";
/// The path of the socket, below the API's.
pub const PATH: &str = "/ws";

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// One type of frame.
pub struct Message {
    /// Its `type`.
    pub name: &'static str,
    pub from: Sender,
    pub summary: &'static str,
    body: Body,
}

enum Body {
    /// A type of its own, and the types that it is made of.
    Own(fn() -> RefOr<Schema>, Parts),
    /// A variant of [`ServerFrame`].
    Small,
}

type Parts = fn(&mut Vec<(String, RefOr<Schema>)>);

const fn client<T: ToSchema>(name: &'static str, summary: &'static str) -> Message {
    let body = Body::Own(T::schema, T::schemas);
    Message {
        name,
        from: Sender::Client,
        summary,
        body,
    }
}

const fn large<T: ToSchema>(name: &'static str, summary: &'static str) -> Message {
    let body = Body::Own(T::schema, T::schemas);
    Message {
        name,
        from: Sender::Server,
        summary,
        body,
    }
}

const fn small(name: &'static str, summary: &'static str) -> Message {
    Message {
        name,
        from: Sender::Server,
        summary,
        body: Body::Small,
    }
}

/// The table.
pub const MESSAGES: &[Message] = &[
    client::<Hello>(
        "hello",
        "The first frame, within 5 s: who speaks. Never a token in the URL",
    ),
    client::<Auth>("auth", "A newer token of the same person"),
    client::<Subscribe>(
        "subscribe",
        "Follow lists of a workspace, from now or from a position on; one position a socket and workspace",
    ),
    client::<Unsubscribe>("unsubscribe", "End a subscription"),
    client::<Edit>("edit", "Change items, all or none"),
    client::<Create>("create", "Make items, all or none"),
    client::<Delete>("delete", "Put items into the trash, all or none"),
    client::<Presence>("presence", "Where the person is; lossy, never in the log"),
    client::<Ping>("ping", "Answered by pong"),
    small("welcome", "The answer to hello"),
    small(
        "subscribed",
        "The position: events from seq + 1 on follow; from an older one when since was good",
    ),
    large::<Events>(
        "events",
        "All that this socket may see of (after, through], in order",
    ),
    small("beat", "After 5 s of silence: the position"),
    large::<Ack>(
        "ack",
        "An edit is committed: data, event and audit in one transaction",
    ),
    small("reject", "An edit had no effect, and why"),
    small(
        "reset",
        "The past can't be replayed: read again what is shown, from seq on",
    ),
    small("access", "The role has changed or was taken away"),
    small(
        "presence",
        "Who is where: all after subscribe, then what changes",
    ),
    small(
        "job",
        "Progress of a job, to whoever started it and to admins, at most 4 a second",
    ),
    small("drain", "This server goes away: reconnect after the delay"),
    small(
        "error",
        "A frame or a subscription was refused; the 10th bad frame closes",
    ),
    small("pong", "The answer to ping"),
];

impl Message {
    /// The name of its schema, e.g. `ClientHello`.
    pub fn schema_name(&self) -> String {
        let side = match self.from {
            Sender::Client => "Client",
            Sender::Server => "Server",
        };
        let mut rest = self.name.chars();
        let first = rest.next().map(|first| first.to_ascii_uppercase());
        side.chars().chain(first).chain(rest).collect()
    }

    /// Its schema, `type` included, and those that it is made of, by name.
    pub fn schemas(&self) -> Vec<(String, Value)> {
        let mut parts = Vec::new();
        let own = match self.body {
            Body::Own(schema, of) => {
                of(&mut parts);
                value_of(&schema())
            }
            Body::Small => {
                <ServerFrame<'_> as ToSchema>::schemas(&mut parts);
                small_frame(self.name)
            }
        };
        let mut all = vec![(self.schema_name(), self.typed(own))];
        all.extend(
            parts
                .iter()
                .map(|(name, schema)| (name.clone(), value_of(schema))),
        );
        all
    }

    /// The schema with the frame's `type`, which stands outside the types that are read.
    fn typed(&self, mut schema: Value) -> Value {
        let Some(object) = schema.as_object_mut() else {
            return schema;
        };
        object.insert("description".into(), self.summary.into());
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            let tag = json!({"type": "string", "const": self.name});
            properties.insert("type".into(), tag);
        }
        let required = object.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.retain(|name| name != "type");
            required.insert(0, "type".into());
        }
        schema
    }
}

/// The types of the small frames that the code can send.
pub fn small_frames() -> Vec<String> {
    variants()
        .iter()
        .filter_map(|variant| Some(tag_of(variant)?.to_owned()))
        .collect()
}

fn small_frame(name: &str) -> Value {
    variants()
        .into_iter()
        .find(|variant| tag_of(variant) == Some(name))
        .unwrap_or(Value::Bool(false))
}

fn variants() -> Vec<Value> {
    let mut frames = value_of(&<ServerFrame<'_> as PartialSchema>::schema());
    match frames.get_mut("oneOf").map(Value::take) {
        Some(Value::Array(variants)) => variants,
        _ => Vec::new(),
    }
}

fn tag_of(variant: &Value) -> Option<&str> {
    variant.pointer("/properties/type/enum/0")?.as_str()
}

fn value_of(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// Why a socket was closed, beside the codes of RFC 6455.
#[derive(Debug, Serialize)]
pub struct CloseCode {
    pub code: u16,
    pub name: &'static str,
    pub meaning: &'static str,
    /// Whether to come back, by full-jitter back-off between 0.2 and 15 s.
    pub reconnect: bool,
}

const fn close(code: u16, name: &'static str, reconnect: bool, meaning: &'static str) -> CloseCode {
    CloseCode {
        code,
        name,
        meaning,
        reconnect,
    }
}

/// The table of close codes.
pub const CLOSE_CODES: &[CloseCode] = &[
    close(
        4000,
        "drain",
        true,
        "this server goes away, or heard no answer to its pings",
    ),
    close(4001, "token_expired", true, "come back with a new token"),
    close(
        4008,
        "too_slow",
        true,
        "the client did not read; it resumes from its position",
    ),
    close(4009, "limit", true, "too much at once"),
    close(
        4400,
        "protocol",
        false,
        "too many frames that could not be read",
    ),
    close(
        4401,
        "signed_out",
        false,
        "no hello in time, or a token that is not good",
    ),
    close(
        4403,
        "forbidden",
        false,
        "no longer a member, or another person's token",
    ),
    close(4404, "gone", false, "the workspace is not there"),
    close(4426, "outdated", false, "the client is too old"),
];

/// What the socket promises.
pub const PROMISES: &[&str] = &[
    "An ack means: committed in Postgres, data, event and audit in one transaction.",
    "One command is one seq is one event. seq is per workspace, without gaps, in the order of commits.",
    "A socket's position in a workspace is (seq, mark); mark is the log's hash at seq. Every events frame \
     covers (after, through]. after that differs from the client's position means a hole. A socket sees \
     each event that it may see exactly once and in order, or an explicit reset; never a silent hole, \
     also after a backup was restored (another mark).",
    "An op takes effect at most once, whatever is sent again. It shares its table with the REST API's \
     Idempotency-Key, per person, and is kept for 30 days.",
    "No event with a higher seq than a removal's reaches the removed member.",
    "A slow socket costs at most 1 MiB and never delays the others. An event over 64 KiB goes out without \
     values (wide): clients read again what they show.",
    "Pages read after subscribed may be newer than the events that follow: apply a change only if its \
     version is above the local one, and send X-Min-Seq with the position when reading.",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_small_frame_of_the_code_has_a_row_and_every_row_a_frame() {
        let rows: BTreeSet<String> = MESSAGES
            .iter()
            .filter(|message| matches!(message.body, Body::Small))
            .map(|message| message.name.to_owned())
            .collect();
        assert_eq!(rows, small_frames().into_iter().collect());
    }

    #[test]
    fn a_client_s_frame_has_no_room_for_what_nobody_knows() {
        for message in MESSAGES.iter().filter(|one| one.from == Sender::Client) {
            let (_, schema) = message.schemas().remove(0);
            assert_eq!(schema["additionalProperties"], false, "{}", message.name);
        }
    }
}

//! The AsyncAPI document of the websocket, made from the table of messages and the types that the
//! socket reads and writes.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use super::routes::BASE;
use crate::wire::frames::{MAX_FRAME, MAX_FRAME_ITEMS, MAX_SUBSCRIPTIONS};
use crate::wire::messages::{CLOSE_CODES, MESSAGES, Message, PATH, PROMISES, SUBPROTOCOL, Sender};

/// `GET /asyncapi.json`.
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().json(build())
}

/// The document, by AsyncAPI 3.0.
pub fn build() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Estatebase, live",
            "version": env!("CARGO_PKG_VERSION"),
            "description": description(),
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": "{host}",
                "pathname": BASE,
                "protocol": "wss",
                "description": "The server that serves this document; ws where it serves without TLS.",
                "variables": { "host": { "default": "localhost:8080" } },
            },
        },
        "channels": { "socket": channel() },
        "operations": {
            "fromClient": operation("receive", Sender::Client),
            "fromServer": operation("send", Sender::Server),
        },
        "components": { "messages": messages(), "schemas": schemas() },
        "x-limits": {
            "frame_bytes": MAX_FRAME,
            "frame_items": MAX_FRAME_ITEMS,
            "subscriptions": MAX_SUBSCRIPTIONS,
            "hello_within_ms": 5_000,
        },
        "x-close-codes": CLOSE_CODES,
    })
}

fn description() -> String {
    let promises = PROMISES
        .iter()
        .enumerate()
        .map(|(index, promise)| format!("{}. {promise}\n", index + 1));
    let codes = CLOSE_CODES.iter().map(|close| {
        let then = if close.reconnect {
            "reconnect"
        } else {
            "stay away"
        };
        format!("- {}: {} ({then})\n", close.code, close.meaning)
    });
    format!(
        "The log in Postgres is the truth; a socket is a cursor into it. Frames are JSON, one a text message, \
         from clients at most {MAX_FRAME} bytes and {MAX_FRAME_ITEMS} items; larger writes go over REST. A \
         client leaves alone what it does not know; the server refuses what it does not know.\n\n\
         ## Promises\n\n{}\n## Close codes\n\n{}\nTo reconnect: full-jitter back-off between 0.2 and 15 s.\n",
        promises.collect::<String>(),
        codes.collect::<String>(),
    )
}

fn channel() -> Value {
    let messages: Map<String, Value> = MESSAGES
        .iter()
        .map(|message| (key(message), json!({ "$ref": reference(message) })))
        .collect();
    let subprotocol = json!({"type": "string", "const": SUBPROTOCOL});
    json!({
        "address": PATH,
        "messages": messages,
        "bindings": { "ws": {
            "method": "GET",
            "headers": { "type": "object", "properties": { "Sec-WebSocket-Protocol": subprotocol } },
            "bindingVersion": "0.1.0",
        } },
    })
}

fn operation(action: &str, from: Sender) -> Value {
    let messages: Vec<Value> = MESSAGES
        .iter()
        .filter(|message| message.from == from)
        .map(|message| json!({ "$ref": format!("#/channels/socket/messages/{}", key(message)) }))
        .collect();
    json!({
        "action": action,
        "channel": { "$ref": "#/channels/socket" },
        "messages": messages,
    })
}

fn messages() -> Map<String, Value> {
    MESSAGES
        .iter()
        .map(|message| {
            let payload = format!("#/components/schemas/{}", message.schema_name());
            let described = json!({
                "name": message.name,
                "summary": message.summary,
                "payload": { "$ref": payload },
            });
            (key(message), described)
        })
        .collect()
}

fn schemas() -> Map<String, Value> {
    MESSAGES.iter().flat_map(Message::schemas).collect()
}

/// A message's key; both sides have a `presence`.
fn key(message: &Message) -> String {
    let side = match message.from {
        Sender::Client => "client",
        Sender::Server => "server",
    };
    format!("{side}.{}", message.name)
}

fn reference(message: &Message) -> String {
    format!("#/components/messages/{}", key(message))
}

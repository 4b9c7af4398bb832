//! A server of the public contracts in a few hundred lines of memory, for the tests of the tools:
//! one workspace, one log, honest by default and, on demand, at fault in one chosen way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use url::Url;
use uuid::Uuid;

/// What the server does wrong, at its tenth edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mischief {
    #[default]
    None,
    /// Acknowledges without committing.
    LosesAnEdit,
    /// Commits it a second time.
    DoublesAnEdit,
    /// Leaves the event out for one socket, and goes on as if it had been told.
    HidesAnEvent,
    /// Tells one socket the same event twice.
    RepeatsAnEvent,
    /// Stores another value than the log says.
    StoresAnotherValue,
    /// Commits, then drops every connection before anybody hears of it. (No fault: a client must
    /// recover from this without a trace.)
    DropsEveryone,
    /// Refuses the edit with a reason. (No fault either.)
    RefusesAnEdit,
}

/// A running server.
pub struct Server {
    pub url: Url,
    world: Arc<Mutex<World>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct World {
    seq: u64,
    log: Vec<Value>,
    items: BTreeMap<(String, String), (u64, Map<String, Value>)>,
    answers: HashMap<String, (u64, u64)>,
    sockets: Vec<Listener>,
    edits: u64,
    mischief: Mischief,
}

struct Listener {
    out: mpsc::UnboundedSender<Out>,
    subscribed: bool,
}

enum Out {
    Frame(Value),
    Close(u16),
}

impl Server {
    /// An honest one.
    pub async fn start() -> Self {
        Self::with(Mischief::None).await
    }

    /// One with a fault.
    pub async fn with(mischief: Mischief) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World {
            mischief,
            ..World::default()
        }));
        let shared = Arc::clone(&world);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self {
            url: url.parse().unwrap(),
            world,
            task,
        }
    }

    /// Appends an event of someone else's.
    pub fn happen(&self, kind: &str) -> u64 {
        let mut world = self.world.lock().unwrap();
        let event = json!({ "kind": kind, "data": { "name": "Deals" } });
        world.append(event)
    }

    /// The lists that have items.
    pub fn lists(&self) -> Vec<crate::ids::ListId> {
        let world = self.world.lock().unwrap();
        let mut lists: Vec<_> = world
            .items
            .keys()
            .map(|(list, _)| list.parse().unwrap())
            .collect();
        lists.dedup();
        lists
    }

    /// Drops every connection.
    pub fn cut(&self) {
        self.world.lock().unwrap().cut();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    fn append(&mut self, mut event: Value) -> u64 {
        self.seq += 1;
        event["seq"] = self.seq.into();
        event["at"] = "2026-03-01T10:00:00Z".into();
        event["actor"] = json!({ "user": Uuid::nil() });
        self.log.push(event.clone());
        let frame = events_frame(self.seq - 1, self.seq, vec![event]);
        let hides = self.mischief == Mischief::HidesAnEvent && self.edits == 10;
        let repeats = self.mischief == Mischief::RepeatsAnEvent && self.edits == 10;
        for (at, socket) in self.sockets.iter().filter(|s| s.subscribed).enumerate() {
            let frame = if hides && at == 0 {
                events_frame(self.seq - 1, self.seq, Vec::new())
            } else {
                frame.clone()
            };
            if repeats && at == 0 {
                let _ = socket.out.send(Out::Frame(frame.clone()));
            }
            let _ = socket.out.send(Out::Frame(frame));
        }
        self.seq
    }

    fn cut(&mut self) {
        for socket in self.sockets.drain(..) {
            let _ = socket.out.send(Out::Close(4000));
        }
    }

    /// Returns (seq, version), or a reason against it.
    fn edit(
        &mut self,
        list: &str,
        id: &str,
        values: &Map<String, Value>,
        op: &str,
    ) -> Result<(u64, u64), Value> {
        if let Some(answer) = self.answers.get(op) {
            return Ok(*answer);
        }
        self.edits += 1;
        let tenth = self.edits == 10;
        let key = (list.to_owned(), id.to_owned());
        let stored = self.items.entry(key.clone()).or_default();
        match self.mischief {
            Mischief::LosesAnEdit if tenth => return Ok((self.seq + 1, stored.0 + 1)),
            Mischief::RefusesAnEdit if tenth => {
                return Err(json!({ "code": "conflict", "status": 409, "title": "no" }));
            }
            _ => {}
        }
        stored.0 += 1;
        stored.1.extend(values.clone());
        let version = stored.0;
        if tenth && self.mischief == Mischief::StoresAnotherValue {
            stored.1.insert("LoadMarker".into(), 5.into());
        }
        let change = json!({ "kind": "updated", "list": list, "item": id, "version": version,
                             "set": values, "was": {} });
        let event = json!({ "kind": "items.changed", "op": op, "changes": [change] });
        let seq = self.append(event.clone());
        self.answers.insert(op.to_owned(), (seq, version));
        if tenth && self.mischief == Mischief::DoublesAnEdit {
            let mut again = event;
            again["changes"][0]["version"] = (version + 1).into();
            self.items.get_mut(&key).unwrap().0 += 1;
            self.append(again);
        }
        if tenth && self.mischief == Mischief::DropsEveryone {
            self.cut();
        }
        Ok((seq, version))
    }

    fn answer(&mut self, method: &str, path: &str, headers: &str, body: &Value) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').collect();
        match (method, parts.as_slice()) {
            ("POST", ["workspaces"]) => (201, json!({ "id": Uuid::from_u128(1), "name": "W" })),
            ("GET", ["workspaces", id]) => (200, json!({ "id": id, "name": "W" })),
            ("GET", ["workspaces", _, "lists"]) => {
                (200, json!({ "data": [], "next_cursor": null }))
            }
            ("POST", ["workspaces", _, "lists"]) => {
                self.append(json!({ "kind": "list.created" }));
                (201, json!({ "id": Uuid::new_v4(), "name": body["name"] }))
            }
            ("GET", ["workspaces", _, "lists", _, "columns"]) => (
                200,
                json!({ "data": [{ "key": "LoadMarker", "name": "x", "type": "number" }] }),
            ),
            ("POST", ["workspaces", _, "lists", list, "items"]) => (201, self.create(list, body)),
            ("GET", ["workspaces", _, "lists", list, "items"]) => {
                let of_list = self.items.iter().filter(|((l, _), _)| l == list);
                let data: Vec<Value> = of_list
                    .map(|((_, id), (version, values))| {
                        json!({ "id": id, "version": version, "seq": 0, "values": values })
                    })
                    .collect();
                (200, json!({ "data": data, "next_cursor": null }))
            }
            ("PATCH", ["workspaces", _, "lists", list, "items", id]) => {
                let op = header(headers, "idempotency-key").to_owned();
                match self.edit(list, id, body["values"].as_object().unwrap(), &op) {
                    Ok((seq, version)) => (
                        200,
                        json!({ "id": id, "version": version, "seq": seq, "values": body["values"] }),
                    ),
                    Err(problem) => (409, problem),
                }
            }
            ("GET", ["workspaces", _, "events"]) => {
                let after: u64 = parameter(query, "after_seq").parse().unwrap();
                let limit: usize = parameter(query, "limit").parse().unwrap();
                let data: Vec<Value> = self.after(after).take(limit).cloned().collect();
                let last = data.last().map(|event| event["seq"].as_u64().unwrap());
                (
                    200,
                    json!({ "data": data, "through": last.unwrap_or(self.seq), "mark": mark(self.seq) }),
                )
            }
            _ => (404, json!({ "code": "not_found" })),
        }
    }

    fn create(&mut self, list: &str, body: &Value) -> Value {
        let mut made = Vec::new();
        for item in body["items"].as_array().unwrap() {
            let id = Uuid::now_v7().to_string();
            let values = item["values"].as_object().unwrap().clone();
            self.items
                .insert((list.to_owned(), id.clone()), (1, values));
            made.push(json!({ "id": id, "version": 1 }));
        }
        let changes: Vec<Value> = made
            .iter()
            .map(|item| {
                json!({ "kind": "created", "list": list, "item": item["id"], "version": 1, "set": {} })
            })
            .collect();
        self.append(json!({ "kind": "items.changed", "changes": changes }));
        json!({ "data": made })
    }

    fn after(&self, seq: u64) -> impl Iterator<Item = &Value> {
        self.log
            .iter()
            .filter(move |event| event["seq"].as_u64().unwrap() > seq)
    }
}

async fn serve(mut stream: TcpStream, world: Arc<Mutex<World>>) {
    let mut peeked = [0; 64];
    let n = stream.peek(&mut peeked).await.unwrap_or(0);
    if peeked[..n].starts_with(b"GET /api/v1/ws ") {
        return serve_socket(stream, world).await;
    }
    while let Some((head, body)) = read_request(&mut stream).await {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer, seq) = {
            let mut world = world.lock().unwrap();
            let (status, answer) = world.answer(method, path, &head, &body);
            (status, answer.to_string(), world.seq)
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nx-workspace-seq: {seq}\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length: usize = header(&head, "content-length").parse().unwrap_or(0);
    let mut body = bytes[head_end + 4..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

#[expect(
    clippy::result_large_err,
    reason = "the library says how a handshake is answered"
)]
pub(super) fn with_protocol(
    _: &Request,
    mut response: Response,
) -> Result<Response, ErrorResponse> {
    let protocol = super::frames::SUBPROTOCOL.parse().unwrap();
    response
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    Ok(response)
}

async fn serve_socket(stream: TcpStream, world: Arc<Mutex<World>>) {
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, with_protocol).await else {
        return;
    };
    let (mut sink, mut frames) = socket.split();
    let (out, mut outgoing) = mpsc::unbounded_channel();
    let writing = tokio::spawn(async move {
        while let Some(next) = outgoing.recv().await {
            let message = match next {
                Out::Frame(frame) => Message::text(frame.to_string()),
                Out::Close(code) => Message::Close(Some(CloseFrame {
                    code: CloseCode::from(code),
                    reason: "".into(),
                })),
            };
            let is_last = message.is_close();
            if sink.send(message).await.is_err() || is_last {
                return;
            }
        }
    });
    while !writing.is_finished()
        && let Some(Ok(message)) = frames.next().await
    {
        let Message::Text(text) = message else {
            continue;
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if world.lock().unwrap().take(&frame, &out).is_err() {
            break;
        }
    }
}

impl World {
    fn take(&mut self, frame: &Value, out: &mpsc::UnboundedSender<Out>) -> Result<(), ()> {
        let reply = |frame| out.send(Out::Frame(frame)).map_err(|_| ());
        match frame["type"].as_str().unwrap() {
            "hello" if frame["token"] == "bad" => out.send(Out::Close(4401)).map_err(|_| ()),
            "hello" => {
                self.sockets.push(Listener {
                    out: out.clone(),
                    subscribed: false,
                });
                reply(json!({ "type": "welcome", "session": "s", "heartbeat_ms": 25000 }))
            }
            "subscribe" => {
                let since = frame["since"]["seq"].as_u64().unwrap_or(self.seq);
                reply(
                    json!({ "type": "subscribed", "id": frame["id"], "workspace": frame["workspace"],
                              "seq": since, "mark": mark(since), "audience": "all" }),
                )?;
                let missed: Vec<Value> = self.after(since).cloned().collect();
                if !missed.is_empty() {
                    reply(events_frame(since, self.seq, missed))?;
                }
                for socket in self.sockets.iter_mut().filter(|s| s.out.same_channel(out)) {
                    socket.subscribed = true;
                }
                Ok(())
            }
            "edit" => {
                let op = frame["op"].as_str().unwrap();
                let item = &frame["items"][0];
                let (list, id) = (
                    frame["list"].as_str().unwrap(),
                    item["id"].as_str().unwrap(),
                );
                let edited = self.edit(list, id, item["values"].as_object().unwrap(), op);
                reply(match edited {
                    Ok((seq, version)) => json!({ "type": "ack", "op": op, "seq": seq,
                                                  "items": [{ "id": id, "version": version }] }),
                    Err(problem) => json!({ "type": "reject", "op": op, "problem": problem }),
                })
            }
            other => panic!("a frame {other:?}"),
        }
    }
}

fn events_frame(after: u64, through: u64, events: Vec<Value>) -> Value {
    json!({ "type": "events", "workspace": Uuid::from_u128(1), "after": after, "through": through,
            "mark": mark(through), "events": events })
}

fn mark(seq: u64) -> String {
    format!("{seq:016x}")
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}

fn parameter<'a>(query: &'a str, name: &str) -> &'a str {
    let found = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or("0")
}

//! A client as the contract describes it: a copy of a workspace's items that is read once and then
//! kept true by events alone, over any number of sockets, one after the other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::caller::Caller;

/// How long it tries before that counts as a fault of the server.
const INSISTENCE: Duration = Duration::from_secs(30);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A row, the deleted too: its version outlives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) version: i64,
    pub(crate) values: BTreeMap<String, Value>,
    deleted: bool,
}

/// By list and item.
pub(crate) type Rows = BTreeMap<(String, String), Row>;

pub(crate) struct Replica {
    pub(crate) caller: Caller,
    workspace: String,
    /// The lists that it keeps, as paths.
    lists: Vec<String>,
    rows: Rows,
    /// The position that the pages of a list had told.
    read_at: BTreeMap<String, i64>,
    /// `{"seq","mark","audience"}`; nothing before the first subscription.
    since: Option<Value>,
    stream: Option<Stream>,
    /// Answers to edits that came over the socket, by operation.
    answers: BTreeMap<String, Value>,
    /// How often it had to read everything again.
    pub(crate) resets: usize,
    /// How often it came back and went on where it had stood.
    pub(crate) resumed: usize,
}

/// The socket is gone, or this was the last that it said.
pub(crate) struct Gone(String);

impl std::fmt::Debug for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the socket is gone: {}", self.0)
    }
}

impl Replica {
    pub(crate) fn new(caller: Caller, workspace: &str, lists: &[String]) -> Replica {
        Replica {
            caller,
            workspace: workspace.to_owned(),
            lists: lists.to_vec(),
            rows: Rows::new(),
            read_at: BTreeMap::new(),
            since: None,
            stream: None,
            answers: BTreeMap::new(),
            resets: 0,
            resumed: 0,
        }
    }

    fn workspace_id(&self) -> &str {
        self.workspace.rsplit('/').next().unwrap()
    }

    pub(crate) fn position(&self) -> i64 {
        self.since
            .as_ref()
            .map_or(0, |since| since["seq"].as_i64().unwrap())
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// What it holds, without what is in the trash.
    pub(crate) fn living(&self) -> Rows {
        let living = self.rows.iter().filter(|(_, row)| !row.deleted);
        living.map(|(at, row)| (at.clone(), row.clone())).collect()
    }

    /// The items that it knows of, the deleted too.
    pub(crate) fn known(&self) -> Vec<(String, String)> {
        self.rows.keys().cloned().collect()
    }

    /// Falls silent without a word.
    pub(crate) fn drop_socket(&mut self) {
        self.stream = None;
    }

    /// Connects and follows on from where it stands. `pages` answer what must be read.
    pub(crate) async fn connect(&mut self, socket: &str, pages: &[String]) -> Result<(), Gone> {
        let mut request = format!("ws://{socket}/api/v1/ws")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "estatebase.v1".parse().unwrap());
        let connecting = tokio_tungstenite::connect_async(request);
        let connected = tokio::time::timeout(Duration::from_secs(10), connecting).await;
        let (stream, _) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(self.lost(error)),
            Err(late) => return Err(self.lost(late)),
        };
        self.stream = Some(stream);
        self.say(json!({"type": "hello", "token": self.caller.token}))
            .await?;
        let mut subscribe = json!({"type": "subscribe", "id": 1,
            "workspace": self.workspace_id(), "lists": "all"});
        if let Some(since) = &self.since {
            subscribe["since"] = since.clone();
        }
        self.say(subscribe).await?;
        loop {
            if self.hear(pages).await? == "subscribed" {
                return Ok(());
            }
        }
    }

    pub(crate) async fn say(&mut self, frame: Value) -> Result<(), Gone> {
        let stream = self.stream.as_mut().ok_or(Gone(String::new()))?;
        match stream.send(Message::text(frame.to_string())).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.lost(error)),
        }
    }

    fn lost(&mut self, why: impl ToString) -> Gone {
        self.stream = None;
        Gone(why.to_string())
    }

    /// Takes in the next frame; its type.
    pub(crate) async fn hear(&mut self, pages: &[String]) -> Result<String, Gone> {
        let frame = self.next().await?;
        self.take_in(&frame, pages).await?;
        Ok(frame["type"].as_str().unwrap().to_owned())
    }

    /// Takes in the next frame, if one comes that soon. One that came is taken in to its end: what is read
    /// for it must not be left half-way.
    pub(crate) async fn listen(&mut self, moment: Duration, pages: &[String]) -> Result<(), Gone> {
        match tokio::time::timeout(moment, self.next()).await {
            Ok(frame) => self.take_in(&frame?, pages).await,
            Err(_) => Ok(()),
        }
    }

    async fn next(&mut self) -> Result<Value, Gone> {
        loop {
            let stream = self.stream.as_mut().ok_or(Gone(String::new()))?;
            match stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return Err(self.lost(format!("{other:?}"))),
            }
        }
    }

    /// Connects, again and again if it must, as a client does.
    pub(crate) async fn insist(&mut self, socket: &str, pages: &[String]) {
        let begun = Instant::now();
        while !self.is_connected() {
            if let Err(gone) = self.connect(socket, pages).await {
                assert!(begun.elapsed() < INSISTENCE, "{gone:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Stands at `seq`, however often it must connect for it.
    pub(crate) async fn settle(&mut self, seq: i64, socket: &str, pages: &[String]) {
        let begun = Instant::now();
        loop {
            self.insist(socket, pages).await;
            match self.reach(seq, pages).await {
                Ok(()) => return,
                Err(gone) => assert!(begun.elapsed() < INSISTENCE, "{gone:?}"),
            }
        }
    }

    /// Takes in frames until it stands at `seq`.
    pub(crate) async fn reach(&mut self, seq: i64, pages: &[String]) -> Result<(), Gone> {
        while self.position() < seq {
            let heard = tokio::time::timeout(Duration::from_secs(12), self.hear(pages)).await;
            heard.map_err(|late| self.lost(late))??;
        }
        Ok(())
    }

    /// Does an operation over the socket and waits for its answer: an `ack` or a `reject`.
    pub(crate) async fn operate(
        &mut self,
        op: &str,
        frame: Value,
        pages: &[String],
    ) -> Result<Value, Gone> {
        self.say(frame).await?;
        loop {
            if let Some(answer) = self.answers.remove(op) {
                return Ok(answer);
            }
            self.hear(pages).await?;
        }
    }

    async fn take_in(&mut self, frame: &Value, pages: &[String]) -> Result<(), Gone> {
        match frame["type"].as_str().unwrap() {
            "subscribed" => {
                if self.since.is_none() {
                    self.stand_at(frame);
                    self.read_all(pages).await;
                } else if frame["seq"] == self.position() {
                    self.resumed += 1;
                    self.stand_at(frame);
                }
                // Otherwise a reset follows. Until then it stands where it stood: whoever takes the
                // new position for their own has missed what lies between.
            }
            "reset" => {
                self.resets += 1;
                self.stand_at(frame);
                self.read_all(pages).await;
            }
            "events" => self.events(frame, pages).await,
            "beat" => {
                let through = frame["through"].as_i64().unwrap();
                assert!(through >= self.position(), "back in time: {frame}");
                self.move_to(through, &frame["mark"]);
            }
            "ack" | "reject" => {
                let op = frame["op"].as_str().unwrap().to_owned();
                self.answers.insert(op, frame.clone());
            }
            "access" if frame["role"].is_null() => return Err(self.lost(frame)),
            "drain" => return Err(self.lost(frame)),
            // The workspace can't be followed just now: as if the socket were gone.
            "error" if frame["problem"]["status"].as_i64() >= Some(500) => {
                return Err(self.lost(frame));
            }
            "error" => panic!("{frame}"),
            _ => {}
        }
        Ok(())
    }

    fn stand_at(&mut self, frame: &Value) {
        let mut since = self.since.take().unwrap_or_else(|| json!({}));
        for part in ["seq", "mark", "audience"] {
            if !frame[part].is_null() {
                since[part] = frame[part].clone();
            }
        }
        // A reset names no audience: the next subscription shall not be reset for the old one.
        if frame["type"] == "reset" && frame["reason"] == "changed_audience" {
            since.as_object_mut().unwrap().remove("audience");
        }
        self.since = Some(since);
    }

    fn move_to(&mut self, seq: i64, mark: &Value) {
        let since = self.since.as_mut().unwrap();
        since["seq"] = json!(seq);
        since["mark"] = mark.clone();
    }

    async fn events(&mut self, frame: &Value, pages: &[String]) {
        assert_eq!(frame["after"], self.position(), "a hole: {frame}");
        let mut last = self.position();
        let mut wide = false;
        for event in frame["events"].as_array().unwrap() {
            let seq = event["seq"].as_i64().unwrap();
            assert!(seq > last, "out of order: {frame}");
            last = seq;
            self.event(event);
            // What is computed anew is told of, and not told.
            let computed =
                event["kind"] == "items.computed" || !event["data"]["computed"].is_null();
            wide |= computed || event["wide"] == true;
        }
        let through = frame["through"].as_i64().unwrap();
        assert!(through >= last, "{frame}");
        self.move_to(through, &frame["mark"]);
        if wide {
            self.read_all(pages).await;
        }
    }

    fn event(&mut self, event: &Value) {
        for change in event["changes"].as_array().into_iter().flatten() {
            self.change(change);
        }
        if event["kind"] == "column.deleted" {
            let key = event["data"]["key"].as_str().unwrap();
            let list = event["data"]["list"].as_str().unwrap();
            // A page that knew of it may show a newer column of the same key.
            if event["seq"].as_i64() <= self.read_at.get(list).copied() {
                return;
            }
            // A link column goes with its inverse.
            let inverse = &event["data"]["inverse"];
            let gone = [(list, key)]
                .into_iter()
                .chain(inverse["list"].as_str().zip(inverse["key"].as_str()));
            for (list, key) in gone {
                for (_, row) in self.rows.iter_mut().filter(|((of, _), _)| of == list) {
                    row.values.remove(key);
                    row.values.remove(&format!("{key}__count"));
                }
            }
        }
    }

    fn change(&mut self, change: &Value) {
        let text = |part: &str| change[part].as_str().unwrap().to_owned();
        let row = self.rows.entry((text("list"), text("item"))).or_default();
        let version = change["version"].as_i64().unwrap();
        // A page that was read after the subscription may know more.
        if version <= row.version {
            return;
        }
        row.version = version;
        let kind = change["kind"].as_str().unwrap();
        row.deleted = kind == "deleted";
        if kind == "created" || kind == "restored" {
            row.values.clear();
        }
        for (key, value) in change["set"].as_object().into_iter().flatten() {
            match value {
                Value::Null => row.values.remove(key),
                value => row.values.insert(key.clone(), value.clone()),
            };
        }
    }

    /// Reads every list anew, as it stands at its position or later.
    async fn read_all(&mut self, pages: &[String]) {
        self.rows.clear();
        for list in &self.lists {
            let id = list.rsplit('/').next().unwrap();
            let (items, as_of) = self.caller.items_since(pages, list, self.position()).await;
            self.read_at.insert(id.to_owned(), as_of);
            for item in items {
                let at = (id.to_owned(), item["id"].as_str().unwrap().to_owned());
                self.rows.insert(at, row(&item));
            }
        }
    }
}

/// A page's item.
fn row(item: &Value) -> Row {
    let values = item["values"].as_object().unwrap().iter();
    Row {
        version: item["version"].as_i64().unwrap(),
        values: values
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), untitled(value)))
            .collect(),
        deleted: false,
    }
}

/// A cell of links without titles: those are as of each reading, and no event tells of them.
fn untitled(value: &Value) -> Value {
    let mut value = value.clone();
    for link in value.as_array_mut().into_iter().flatten() {
        if let Some(link) = link
            .as_object_mut()
            .filter(|link| link.contains_key("title"))
        {
            link.remove("title");
        }
    }
    value
}

/// A list's items, as pages tell them.
pub(crate) fn rows(items: &[Value]) -> Rows {
    let place = |item: &Value, part: &str| item[part].as_str().unwrap().to_owned();
    items
        .iter()
        .map(|item| ((place(item, "list_id"), place(item, "id")), row(item)))
        .collect()
}

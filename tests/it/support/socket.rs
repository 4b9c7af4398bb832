//! A websocket client that trusts nobody: it holds every frame to the AsyncAPI document, and checks
//! that its position has no hole.

use std::collections::HashMap;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use estatebase::wire::messages::Sender;

use super::app::{Person, TestApp};
use super::contract;

/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Where it stands in each workspace.
    pub(crate) positions: HashMap<String, i64>,
    /// Every event it saw, in order.
    pub(crate) events: Vec<Value>,
}

/// What came instead of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed(pub(crate) Option<u16>);

impl Socket {
    /// Connects without a word.
    pub(crate) async fn silent(app: &TestApp) -> Socket {
        Socket::at(&app.url("")).await
    }

    /// The same at the server of that URL.
    pub(crate) async fn at(server: &str) -> Socket {
        let url = format!("{}/api/v1/ws", server.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "estatebase.v1".parse().unwrap());
        let (stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        Socket {
            stream,
            positions: HashMap::new(),
            events: Vec::new(),
        }
    }

    /// Connects and is welcomed.
    pub(crate) async fn open(app: &TestApp, person: &Person) -> Socket {
        let mut socket = Socket::silent(app).await;
        socket
            .send(json!({"type": "hello", "token": person.token}))
            .await;
        socket.next("welcome").await;
        socket
    }

    /// Follows a workspace from now on.
    pub(crate) async fn follow(&mut self, workspace: &str, since: Option<Value>) -> Value {
        let id = workspace.rsplit('/').next().unwrap();
        let mut frame = json!({"type": "subscribe", "id": 1, "workspace": id, "lists": "all"});
        if let Some(since) = since {
            frame["since"] = since;
        }
        self.send(frame).await;
        self.next("subscribed").await
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.raw(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn raw(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The next frame of a type; others are taken in on the way.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await.unwrap();
            if frame["type"] == kind {
                return frame;
            }
            assert_ne!(frame["type"], "error", "waiting for {kind}: {frame}");
        }
    }

    /// The next frame, or how the socket was closed. Presence comes whenever it likes, and is left
    /// to those who ask for it.
    pub(crate) async fn frame(&mut self) -> Result<Value, Closed> {
        loop {
            let frame = self.any().await?;
            if frame["type"] != "presence" {
                return Ok(frame);
            }
        }
    }

    /// The same, presence too.
    pub(crate) async fn any(&mut self) -> Result<Value, Closed> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match next.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    contract::check(Sender::Server, &frame).unwrap();
                    self.take_in(&frame);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    return Err(Closed(close.map(|frame| frame.code.into())));
                }
                None | Some(Err(_)) => return Err(Closed(None)),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads until it is closed; the code.
    pub(crate) async fn closing(&mut self) -> Option<u16> {
        loop {
            if let Err(Closed(code)) = self.frame().await {
                return code;
            }
        }
    }

    /// Waits until it stands at `seq` or beyond.
    pub(crate) async fn reach(&mut self, workspace: &str, seq: i64) {
        let id = workspace.rsplit('/').next().unwrap().to_owned();
        while self.positions.get(&id).copied().unwrap_or(0) < seq {
            self.frame().await.unwrap();
        }
    }

    /// Positions never leave a hole and never go back.
    fn take_in(&mut self, frame: &Value) {
        let workspace = || frame["workspace"].as_str().unwrap().to_owned();
        match frame["type"].as_str().unwrap() {
            "subscribed" => {
                self.positions
                    .insert(workspace(), frame["seq"].as_i64().unwrap());
            }
            "events" => {
                let known = self.positions[&workspace()];
                assert_eq!(frame["after"].as_i64().unwrap(), known, "a hole: {frame}");
                let mut last = known;
                for event in frame["events"].as_array().unwrap() {
                    let seq = event["seq"].as_i64().unwrap();
                    assert!(seq > last, "out of order: {frame}");
                    last = seq;
                    self.events.push(event.clone());
                }
                let through = frame["through"].as_i64().unwrap();
                assert!(through >= last);
                self.positions.insert(workspace(), through);
            }
            "reset" => {
                let position = frame["seq"].as_i64().unwrap();
                self.positions.insert(workspace(), position);
            }
            "beat" => {
                let through = frame["through"].as_i64().unwrap();
                assert!(through >= self.positions[&workspace()]);
                self.positions.insert(workspace(), through);
            }
            _ => {}
        }
    }
}

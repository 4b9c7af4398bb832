//! The websocket half of the client: one connection from hello to close. It reads and writes
//! frames and knows no workspace's state; whoever holds it keeps positions and reconnects.

use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use url::Url;
use uuid::Uuid;

use super::frames::{Frame, Hello, Problem, RawEvent, SUBPROTOCOL, Subscribe, Subscribed};
use super::position::Position;
use super::{reconnect, rest};
use crate::ids::WorkspaceId;

/// How long the server may take to open the socket, to welcome, or to confirm a subscription.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Enough for a burst of events; hundreds of sockets share one machine with the server.
const BUFFER_BYTES: usize = 32 * 1024;

/// Why a socket can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("the server closed the socket: {code} {reason}")]
    Closed { code: u16, reason: String },
    #[error("the connection broke: {0}")]
    Broken(#[from] Box<tungstenite::Error>),
    #[error("a frame that is not in the contract: {source} in {excerpt}")]
    Frame {
        source: serde_json::Error,
        excerpt: String,
    },
    #[error("refused: {0}")]
    Refused(Problem),
    #[error("no answer within {PATIENCE:?}")]
    Silence,
    #[error("not a server's address: {0}")]
    Address(Url),
}

impl SocketError {
    /// Whether to connect again.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Closed { code, .. } => reconnect::may_retry(*code),
            Self::Broken(error) => match error.as_ref() {
                tungstenite::Error::Http(response) => {
                    let status = response.status();
                    status.is_server_error() || status.as_u16() == 429
                }
                tungstenite::Error::Url(_) | tungstenite::Error::HttpFormat(_) => false,
                _ => true,
            },
            Self::Silence => true,
            Self::Frame { .. } | Self::Refused(_) | Self::Address(_) => false,
        }
    }
}

impl From<tungstenite::Error> for SocketError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Broken(Box::new(error))
    }
}

/// An open, welcomed connection.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The half of a socket that sends.
pub struct Sending(SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>);

/// The half that hears. Pings are answered while it does.
pub struct Hearing(SplitStream<WebSocketStream<MaybeTlsStream<TcpStream>>>);

impl Socket {
    /// Connects, says hello and waits for the welcome.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn open(server: &Url, token: &str, client: Uuid) -> Result<Self, SocketError> {
        rest::install_tls();
        let opening = async {
            let mut socket = Self::connect(server).await?;
            socket.send(&Hello { token, client }).await?;
            loop {
                match socket.next_frame::<RawEvent>().await? {
                    Frame::Welcome(_) => return Ok(socket),
                    Frame::Error(refusal) => return Err(SocketError::Refused(refusal.problem)),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, opening)
            .await
            .unwrap_or(Err(SocketError::Silence))
    }

    /// Subscribes to all lists of a workspace from now on, and waits until that is confirmed.
    /// Frames of other kinds that arrive meanwhile are dropped, so subscribe first.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn subscribe(&mut self, workspace: WorkspaceId) -> Result<Subscribed, SocketError> {
        self.ask_for(workspace, None).await?;
        let confirmation = async {
            loop {
                match self.next_frame::<RawEvent>().await? {
                    Frame::Subscribed(subscribed) => return Ok(subscribed),
                    Frame::Error(refusal) => return Err(SocketError::Refused(refusal.problem)),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, confirmation)
            .await
            .unwrap_or(Err(SocketError::Silence))
    }

    /// Asks for all that happened after `since`. The confirmation, the replay or a reset come as
    /// frames; see [`Position::confirm`].
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn resume(
        &mut self,
        workspace: WorkspaceId,
        since: &Position,
    ) -> Result<(), SocketError> {
        self.ask_for(workspace, Some(since)).await
    }

    async fn ask_for(
        &mut self,
        workspace: WorkspaceId,
        since: Option<&Position>,
    ) -> Result<(), SocketError> {
        self.send(&Subscribe {
            id: 1,
            workspace,
            lists: "all",
            since,
        })
        .await
    }

    /// Sends a frame now.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn send(&mut self, frame: &impl Serialize) -> Result<(), SocketError> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Puts a frame into the buffer, to go out with the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn feed(&mut self, frame: &impl Serialize) -> Result<(), SocketError> {
        Ok(self.stream.feed(message(frame)?).await?)
    }

    /// Writes out what is in the buffer.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        Ok(self.stream.flush().await?)
    }

    /// The next text frame, as it came. Cancel-safe; pings are answered on the way.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn next(&mut self) -> Result<Utf8Bytes, SocketError> {
        next_text(&mut self.stream).await
    }

    /// A text frame that has already arrived, if there is one.
    pub fn next_if_ready(&mut self) -> Option<Result<Utf8Bytes, SocketError>> {
        self.next().now_or_never()
    }

    /// Both halves, for whoever must hear while it can't send.
    pub fn split(self) -> (Sending, Hearing) {
        let (sending, hearing) = self.stream.split();
        (Sending(sending), Hearing(hearing))
    }

    /// Says good-bye, without waiting for the answer.
    pub async fn close(mut self) {
        // A server that is gone already has nothing left to be told.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }

    async fn next_frame<E: serde::de::DeserializeOwned>(
        &mut self,
    ) -> Result<Frame<E>, SocketError> {
        let text = self.next().await?;
        parse(&text)
    }

    async fn connect(server: &Url) -> Result<Self, SocketError> {
        let request = handshake(&socket_address(server)?)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES);
        let no_nagle = true;
        let (stream, _) = connect_async_with_config(request, Some(config), no_nagle).await?;
        Ok(Self { stream })
    }
}

impl Sending {
    /// Puts a frame into the buffer, to go out with the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn feed(&mut self, frame: &impl Serialize) -> Result<(), SocketError> {
        Ok(self.0.feed(message(frame)?).await?)
    }

    /// Writes out what is in the buffer.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        Ok(self.0.flush().await?)
    }
}

impl Hearing {
    /// The next text frame, as it came. Cancel-safe.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn next(&mut self) -> Result<Utf8Bytes, SocketError> {
        next_text(&mut self.0).await
    }
}

fn message(frame: &impl Serialize) -> Result<Message, SocketError> {
    let text = serde_json::to_string(frame).map_err(|source| SocketError::Frame {
        source,
        excerpt: "a frame of our own".into(),
    })?;
    Ok(Message::text(text))
}

async fn next_text(
    stream: &mut (impl futures::Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
) -> Result<Utf8Bytes, SocketError> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(close))) => return Err(closed(close)),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(closed(None)),
        }
    }
}

/// Reads one frame, keeping an excerpt of what can't be read.
///
/// # Errors
/// [`SocketError::Frame`].
pub fn parse<E: serde::de::DeserializeOwned>(text: &str) -> Result<Frame<E>, SocketError> {
    Frame::parse(text).map_err(|source| SocketError::Frame {
        source,
        excerpt: text.chars().take(200).collect(),
    })
}

/// The request that opens a socket at its address.
pub(super) fn handshake(address: &Url) -> Result<Request, SocketError> {
    let mut request = address.as_str().into_client_request()?;
    request.headers_mut().insert(
        "sec-websocket-protocol",
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(request)
}

/// `https://host/` → `wss://host/api/v1/ws`.
pub(super) fn socket_address(server: &Url) -> Result<Url, SocketError> {
    let mut address = server.clone();
    let scheme = match server.scheme() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return Err(SocketError::Address(server.clone())),
    };
    address
        .set_scheme(scheme)
        .map_err(|()| SocketError::Address(server.clone()))?;
    let path = format!("{}/api/v1/ws", server.path().trim_end_matches('/'));
    address.set_path(&path);
    Ok(address)
}

pub(super) fn closed(frame: Option<tungstenite::protocol::CloseFrame>) -> SocketError {
    match frame {
        Some(frame) => SocketError::Closed {
            code: frame.code.into(),
            reason: frame.reason.to_string(),
        },
        // 1006 is what RFC 6455 calls a connection that ended without a word.
        None => SocketError::Closed {
            code: 1006,
            reason: "without a word".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_address_is_below_the_servers() {
        let of = |server: &str| {
            socket_address(&server.parse().unwrap()).map(|address| address.to_string())
        };
        assert_eq!(
            of("http://127.0.0.1:8080").unwrap(),
            "ws://127.0.0.1:8080/api/v1/ws"
        );
        assert_eq!(
            of("https://crm.example.com/").unwrap(),
            "wss://crm.example.com/api/v1/ws"
        );
        assert!(of("ftp://x").is_err());
    }

    #[tokio::test]
    async fn a_refused_hello_is_an_error_that_is_not_retried() {
        let server = super::super::fake::Server::start().await;
        let error = Socket::open(&server.url, "bad", Uuid::nil()).await;
        let error = error.err().unwrap();
        assert!(
            matches!(error, SocketError::Closed { code: 4401, .. }),
            "{error}"
        );
        assert!(!error.may_retry());
    }
}

//! A socket that mostly listens, so cheap that one process holds ten thousand: nothing is kept for
//! it while nothing arrives, and frames are lent to the caller as text, neither copied nor parsed.
//! The rules of RFC 6455 for a client without extensions; without TLS, for it is used to measure.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde::Serialize;
use serde::de::Error as _;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use url::Url;
use uuid::Uuid;

use super::frames::{Frame, Hello, RawEvent, Subscribe};
use super::position::Position;
use super::socket::{PATIENCE, SocketError, closed, handshake, parse, socket_address};
use crate::ids::WorkspaceId;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// First octet: the last frame of its message, no extension (5.2).
const WHOLE: u8 = 0x80;
const OPCODE: u8 = 0x0F;
/// Second octet: a mask follows.
const MASKED: u8 = 0x80;
/// A mask defends proxies from what a page may send (10.3); this one leaves all as it is.
const MASK: [u8; 4] = [0; 4];

const CHUNK_BYTES: usize = 64 * 1024;

thread_local! {
    /// What every socket of a thread reads into.
    static CHUNK: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK_BYTES]);
}

/// An open, welcomed connection.
pub struct LeanSocket {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come.
    begun: Vec<u8>,
    unsent: Vec<u8>,
}

/// A frame, and what stands behind it.
struct Split<'a> {
    opcode: u8,
    payload: &'a [u8],
    rest: &'a [u8],
}

impl LeanSocket {
    /// Connects, says hello and waits for the welcome.
    ///
    /// # Errors
    /// See [`SocketError`]; an address that wants TLS is refused.
    pub async fn open(server: &Url, token: &str, client: Uuid) -> Result<Self, SocketError> {
        let opening = async {
            let mut socket = Self::connect(server).await?;
            socket.send(&Hello { token, client }).await?;
            let mut welcomed = false;
            while !welcomed {
                let welcome = |text: &str| match parse::<RawEvent>(text)? {
                    Frame::Error(refusal) => Err(SocketError::Refused(refusal.problem)),
                    frame => {
                        welcomed |= matches!(frame, Frame::Welcome(_));
                        Ok(())
                    }
                };
                socket.hear(welcome).await?;
            }
            Ok(socket)
        };
        tokio::time::timeout(PATIENCE, opening)
            .await
            .unwrap_or(Err(SocketError::Silence))
    }

    /// Asks for all lists of a workspace, from now on or from `since`. What comes of it is heard.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn subscribe(
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

    /// Waits until something arrives, and lends each whole text frame of it to `take`, which must
    /// not read sockets itself. Cancel-safe; pings are answered on the way.
    ///
    /// # Errors
    /// See [`SocketError`], and those of `take`.
    pub async fn hear(
        &mut self,
        mut take: impl FnMut(&str) -> Result<(), SocketError>,
    ) -> Result<(), SocketError> {
        self.flush().await?;
        poll_fn(|cx| self.poll_hear(cx, &mut take)).await?;
        self.flush().await
    }

    async fn connect(server: &Url) -> Result<Self, SocketError> {
        let address = socket_address(server)?;
        if address.scheme() != "ws" {
            return Err(SocketError::Address(address));
        }
        let hosts = address.socket_addrs(|| None).map_err(broken)?;
        let stream = TcpStream::connect(hosts.as_slice()).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        // The server speaks when it has been spoken to: nothing lies in the buffer that goes.
        let (shaken, _) = tokio_tungstenite::client_async(handshake(&address)?, stream).await?;
        Ok(Self {
            stream: shaken.into_inner(),
            begun: Vec::new(),
            unsent: Vec::new(),
        })
    }

    async fn send(&mut self, frame: &impl Serialize) -> Result<(), SocketError> {
        let text = serde_json::to_vec(frame).map_err(|source| SocketError::Frame {
            source,
            excerpt: "a frame of our own".into(),
        })?;
        write_frame(&mut self.unsent, TEXT, &text);
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), SocketError> {
        while !self.unsent.is_empty() {
            let written = self.stream.write(&self.unsent).await.map_err(broken)?;
            self.unsent.drain(..written);
        }
        Ok(())
    }

    fn poll_hear(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&str) -> Result<(), SocketError>,
    ) -> Poll<Result<(), SocketError>> {
        CHUNK.with_borrow_mut(|chunk| {
            let mut read = ReadBuf::new(chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)).map_err(broken)?;
            Poll::Ready(match read.filled() {
                [] => Err(closed(None)),
                arrived => self.take_in(arrived, take),
            })
        })
    }

    fn take_in(
        &mut self,
        arrived: &[u8],
        take: &mut impl FnMut(&str) -> Result<(), SocketError>,
    ) -> Result<(), SocketError> {
        let mut begun = std::mem::take(&mut self.begun);
        if begun.is_empty() {
            let rest = self.take_frames(arrived, take)?;
            self.begun = rest.to_vec();
            return Ok(());
        }
        begun.extend_from_slice(arrived);
        let rest = self.take_frames(&begun, take)?.len();
        begun.drain(..begun.len() - rest);
        self.begun = begun;
        Ok(())
    }

    /// Takes what is whole, and gives the rest back.
    fn take_frames<'a>(
        &mut self,
        mut octets: &'a [u8],
        take: &mut impl FnMut(&str) -> Result<(), SocketError>,
    ) -> Result<&'a [u8], SocketError> {
        while let Some(frame) = split_frame(octets)? {
            match frame.opcode {
                TEXT => {
                    let text = std::str::from_utf8(frame.payload);
                    take(text.map_err(|_| against_the_rules("text that is not UTF-8"))?)?;
                }
                PING => write_frame(&mut self.unsent, PONG, frame.payload),
                CLOSE => return Err(closing(frame.payload)),
                _ => {}
            }
            octets = frame.rest;
        }
        Ok(octets)
    }
}

/// The first frame of what arrived; `None` while its end has not come.
fn split_frame(octets: &[u8]) -> Result<Option<Split<'_>>, SocketError> {
    let Some((&[first, second], after)) = octets.split_first_chunk::<2>() else {
        return Ok(None);
    };
    if first & !OPCODE != WHOLE || second & MASKED != 0 {
        return Err(against_the_rules("a frame in pieces, extended or masked"));
    }
    let Some((length, after)) = (match second {
        126 => after
            .split_first_chunk()
            .map(|(length, after)| (u64::from(u16::from_be_bytes(*length)), after)),
        127 => after
            .split_first_chunk()
            .map(|(length, after)| (u64::from_be_bytes(*length), after)),
        short => Some((u64::from(short), after)),
    }) else {
        return Ok(None);
    };
    let length = usize::try_from(length).map_err(|_| against_the_rules("an endless frame"))?;
    Ok(after.split_at_checked(length).map(|(payload, rest)| Split {
        opcode: first & OPCODE,
        payload,
        rest,
    }))
}

fn write_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(WHOLE | opcode);
    if let Ok(short @ ..126) = u8::try_from(payload.len()) {
        out.push(MASKED | short);
    } else if let Ok(length) = u16::try_from(payload.len()) {
        out.push(MASKED | 126);
        out.extend(length.to_be_bytes());
    } else {
        out.push(MASKED | 127);
        out.extend(
            u64::try_from(payload.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
    }
    out.extend(MASK);
    out.extend_from_slice(payload);
}

fn closing(payload: &[u8]) -> SocketError {
    match payload.split_first_chunk() {
        Some((code, reason)) => SocketError::Closed {
            code: u16::from_be_bytes(*code),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        None => closed(None),
    }
}

fn broken(error: std::io::Error) -> SocketError {
    tungstenite::Error::Io(error).into()
}

fn against_the_rules(how: &str) -> SocketError {
    SocketError::Frame {
        source: serde_json::Error::custom(how),
        excerpt: "what the server sent".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{SinkExt, StreamExt};
    use proptest::prelude::*;
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    /// A socket of ours, and a library's at the other end.
    async fn pair() -> (LeanSocket, tokio_tungstenite::WebSocketStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_hdr_async(stream, super::super::fake::with_protocol)
                .await
                .unwrap()
        };
        let url = url.parse().unwrap();
        let (ours, theirs) = tokio::join!(LeanSocket::connect(&url), accept);
        (ours.unwrap(), theirs)
    }

    #[tokio::test]
    async fn texts_of_every_length_arrive_whole_and_in_order_between_pings() {
        let (mut ours, mut theirs) = pair().await;
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000, 3];
        let sending = async {
            for length in lengths {
                theirs.feed(Message::Ping(vec![7; 8].into())).await.unwrap();
                theirs
                    .feed(Message::text("é".repeat(length)))
                    .await
                    .unwrap();
            }
            theirs.flush().await.unwrap();
            let mut pongs = 0;
            while pongs < lengths.len() {
                let pong = theirs.next().await.unwrap().unwrap();
                assert_eq!(pong, Message::Pong(vec![7; 8].into()));
                pongs += 1;
            }
            theirs.close(None).await.unwrap();
        };
        let hearing = async {
            let mut heard = Vec::new();
            let end = loop {
                let take = |text: &str| {
                    assert!(text.chars().all(|c| c == 'é'));
                    heard.push(text.chars().count());
                    Ok(())
                };
                if let Err(end) = ours.hear(take).await {
                    break end;
                }
            };
            assert!(matches!(end, SocketError::Closed { .. }), "{end}");
            assert_eq!(heard, lengths);
        };
        tokio::time::timeout(Duration::from_secs(20), async {
            tokio::join!(sending, hearing)
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn hello_and_its_refusal_are_those_of_the_contract() {
        let server = super::super::fake::Server::start().await;
        assert!(
            LeanSocket::open(&server.url, "t", Uuid::nil())
                .await
                .is_ok()
        );
        let refused = LeanSocket::open(&server.url, "bad", Uuid::nil()).await;
        let refused = refused.err().unwrap();
        assert!(
            matches!(refused, SocketError::Closed { code: 4401, .. }),
            "{refused}"
        );
    }

    proptest! {
        #[test]
        fn a_frame_cut_anywhere_waits_for_its_end(length in 0_usize..70_000, cut: prop::sample::Index) {
            let payload = vec![b'x'; length];
            let mut frame = Vec::new();
            write_frame(&mut frame, TEXT, &payload);
            // As a server writes it: without the mask.
            frame[1] &= !MASKED;
            let head = frame.len() - length - MASK.len();
            frame.drain(head..head + MASK.len());
            let at = cut.index(frame.len());
            prop_assert!(split_frame(&frame[..at]).unwrap().is_none());
            frame.extend_from_slice(b"next");
            let split = split_frame(&frame).unwrap().unwrap();
            prop_assert_eq!((split.opcode, split.payload.len(), split.rest), (TEXT, length, &b"next"[..]));
        }

        #[test]
        fn no_octets_break_it(octets: Vec<u8>) {
            let _ = split_frame(&octets);
        }
    }
}

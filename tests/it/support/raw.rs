//! A websocket client that writes each octet itself, also the wrong ones (RFC 6455). It knows no
//! library, and it believes nothing: whatever the server writes is checked.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::app::{Person, TestApp};

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;
/// The bit of a last frame, to be added to its opcode.
pub(crate) const FIN: u8 = 0x80;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A whole or partial message's frame, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = head(first, payload.len(), true);
    octets.extend(KEY);
    octets.extend(payload.iter().zip(KEY.iter().cycle()).map(|(o, k)| o ^ k));
    octets
}

/// The same without a mask.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = head(first, payload.len(), false);
    octets.extend(payload);
    octets
}

pub(crate) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | TEXT, payload.as_ref())
}

/// A text in frames of so many octets.
pub(crate) fn fragmented(payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size).max(1);
    let parts = payload.chunks(size).enumerate();
    parts
        .map(|(index, part)| {
            let opcode = if index == 0 { TEXT } else { CONTINUATION };
            let last = if index + 1 == count { FIN } else { 0 };
            frame(last | opcode, part)
        })
        .collect()
}

fn head(first: u8, length: usize, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut octets = vec![first];
    match length {
        short @ 0..126 => octets.push(mask | u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            octets.push(mask | 126);
            octets.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            octets.push(mask | 127);
            octets.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    octets
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    /// The connection ended.
    End,
}

pub(crate) struct RawSocket {
    stream: TcpStream,
    octets: BytesMut,
}

/// The answer to a request that asks for a websocket, or does not.
pub(crate) struct Handshake {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    socket: RawSocket,
}

/// The lines of a good handshake.
pub(crate) const UPGRADE: &[&str] = &[
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Asks with these lines beside `Host`.
pub(crate) async fn ask(app: &TestApp, lines: &[&str]) -> Handshake {
    ask_at(&app.address.to_string(), lines).await
}

/// The same at the server of that address.
async fn ask_at(address: &str, lines: &[&str]) -> Handshake {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = format!("GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut socket = RawSocket {
        stream,
        octets: BytesMut::new(),
    };
    let head = loop {
        let end = socket
            .octets
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = socket.octets.split_to(end + 4);
            break String::from_utf8(head.to_vec()).unwrap().to_lowercase();
        }
        assert!(socket.read().await, "an answer");
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while socket.octets.len() < length {
        assert!(socket.read().await, "a body");
    }
    let body = socket.octets.split_to(length);
    Handshake {
        status,
        head,
        body: String::from_utf8(body.to_vec()).unwrap(),
        socket,
    }
}

impl Handshake {
    pub(crate) fn socket(self) -> RawSocket {
        assert_eq!(self.status, 101, "{}{}", self.head, self.body);
        // RFC 6455, 1.3: the example's answer to the example's key, but for the case.
        let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
        assert!(self.head.contains(accept), "{}", self.head);
        self.socket
    }
}

impl RawSocket {
    /// Connects without a word.
    pub(crate) async fn silent(app: &TestApp) -> RawSocket {
        ask(app, UPGRADE).await.socket()
    }

    /// Connects and is welcomed.
    pub(crate) async fn open(app: &TestApp, person: &Person) -> RawSocket {
        let token = person.token.as_deref().unwrap();
        RawSocket::at(&app.address.to_string(), token).await
    }

    /// The same at the server of that address.
    pub(crate) async fn at(address: &str, token: &str) -> RawSocket {
        let mut socket = ask_at(address, UPGRADE).await.socket();
        socket.say(json!({"type": "hello", "token": token})).await;
        match socket.next().await {
            Heard::Text(text) if text.contains("welcome") => socket,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.write(&text(frame.to_string())).await;
    }

    /// Writes octets; that the server has ended the connection already is no fault here.
    pub(crate) async fn write(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets).await;
    }

    /// The next that the server says, but for its own pings.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let heard = self.hear().await;
            if !matches!(heard, Heard::Ping(_)) {
                return heard;
            }
        }
    }

    /// Hears until the end: how it was closed. What was said before is lost.
    pub(crate) async fn closing(&mut self) -> Option<u16> {
        loop {
            match self.hear().await {
                Heard::Close(code) => return code,
                Heard::End => panic!("the connection ended without a close"),
                _ => {}
            }
        }
    }

    /// Says goodbye and waits until the server ends the connection.
    pub(crate) async fn end(mut self) {
        self.write(&frame(FIN | CLOSE, &1000_u16.to_be_bytes()))
            .await;
        let _ = self.stream.shutdown().await;
        while self.read().await {}
    }

    /// The next that the server says.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.parse() {
                return heard;
            }
            if !self.read().await {
                assert!(self.octets.is_empty(), "cut off: {:?}", self.octets);
                return Heard::End;
            }
        }
    }

    async fn read(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.octets);
        let read = tokio::time::timeout(PATIENCE, reading).await;
        // A reset is an end: what came before it was read.
        read.expect("something in time")
            .is_ok_and(|count| count > 0)
    }

    fn parse(&mut self) -> Option<Heard> {
        let octets = &self.octets;
        let (first, second) = (*octets.first()?, *octets.get(1)?);
        assert_eq!(first & 0xF0, FIN, "the server fragments nothing");
        assert_eq!(second & 0x80, 0, "the server masks nothing");
        let (length, before) = match second {
            126 => (u64::from(octets.get(2..4)?.get_u16()), 4),
            127 => (octets.get(2..10)?.get_u64(), 10),
            short => (u64::from(short), 2),
        };
        let length = usize::try_from(length).unwrap();
        if octets.len() < before + length {
            return None;
        }
        self.octets.advance(before);
        let payload = self.octets.split_to(length).to_vec();
        Some(match first & 0x0F {
            TEXT => Heard::Text(String::from_utf8(payload).unwrap()),
            PING => Heard::Ping(payload),
            PONG => Heard::Pong(payload),
            CLOSE if payload.is_empty() => Heard::Close(None),
            CLOSE => {
                std::str::from_utf8(&payload[2..]).unwrap();
                assert!(payload.len() <= 125);
                Heard::Close(Some(payload.as_slice().get_u16()))
            }
            other => panic!("opcode {other}"),
        })
    }
}

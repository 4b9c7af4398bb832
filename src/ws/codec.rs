//! From a client's bytes to whole messages, by the rules of RFC 6455 for a server that negotiates no
//! extension and wants text alone. Pure. What breaks a rule is told by the first octet that shows it:
//! a length before its payload is awaited, bad UTF-8 before its frame or message ends. So a peer can
//! make us keep one message of [`MAX_FRAME`] octets and no more.

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::frames::MAX_FRAME;

/// Fragments of one message at most: empty ones cost nothing in size, and something each.
const MAX_FRAGMENTS: u32 = 16 * 1024;
/// Octets of a control frame at most (5.5).
const MAX_CONTROL: usize = 125;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Ping(Bytes),
    Pong(Bytes),
    /// The code that it closed with, if it gave one.
    Close(Option<u16>),
}

/// A broken rule, as the close code that says so (7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

const fn protocol(reason: &'static str) -> Broken {
    Broken { code: 1002, reason }
}

const BINARY: Broken = Broken {
    code: 1003,
    reason: "frames are text",
};
const NOT_UTF8: Broken = Broken {
    code: 1007,
    reason: "not UTF-8",
};
const TOO_LARGE: Broken = Broken {
    code: 1009,
    reason: "at most 64 KiB a message",
};

/// Reads one connection.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    message: Option<Unfinished>,
    payload: Option<Payload>,
}

/// A message of which the last frame has not come.
#[derive(Debug, Default)]
struct Unfinished {
    text: Vec<u8>,
    /// How much of it is known to be UTF-8: all but a character that is cut off.
    valid: usize,
    fragments: u32,
}

/// The payload of a data frame, as far as it has not come.
#[derive(Debug)]
struct Payload {
    left: usize,
    mask: Mask,
    last: bool,
}

/// The key of a frame (5.3), turned to the next octet.
#[derive(Clone, Copy, Debug)]
struct Mask([u8; 4]);

impl Mask {
    fn apply(&mut self, octets: &mut [u8]) {
        for (octet, key) in octets.iter_mut().zip(self.0.into_iter().cycle()) {
            *octet ^= key;
        }
        self.0.rotate_left(octets.len() % 4);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

impl Kind {
    fn of(opcode: u8) -> Result<Kind, Broken> {
        match opcode {
            0x0 => Ok(Kind::Continuation),
            0x1 => Ok(Kind::Text),
            0x2 => Err(BINARY),
            0x8 => Ok(Kind::Close),
            0x9 => Ok(Kind::Ping),
            0xA => Ok(Kind::Pong),
            _ => Err(protocol("a reserved opcode")),
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Kind::Close | Kind::Ping | Kind::Pong)
    }
}

/// What stands before a payload (5.2).
struct Header {
    octets: usize,
    last: bool,
    kind: Kind,
    length: usize,
    mask: Mask,
}

impl Header {
    /// Reads it without taking it; `None` until enough of it is there.
    fn read(mut octets: &[u8]) -> Result<Option<Header>, Broken> {
        let before = octets.len();
        let (Ok(first), Ok(second)) = (octets.try_get_u8(), octets.try_get_u8()) else {
            return Ok(None);
        };
        let last = first & 0x80 != 0;
        if first & 0x70 != 0 {
            return Err(protocol("a reserved bit"));
        }
        let kind = Kind::of(first & 0x0F)?;
        if second & 0x80 == 0 {
            return Err(protocol("a frame without a mask"));
        }
        let short = second & 0x7F;
        if kind.is_control() && (!last || usize::from(short) > MAX_CONTROL) {
            return Err(protocol("a control frame is whole and short"));
        }
        let length = match short {
            126 => octets.try_get_u16().map(u64::from),
            127 => octets.try_get_u64(),
            short => Ok(u64::from(short)),
        };
        let Ok(length) = length else {
            return Ok(None);
        };
        if length > i64::MAX.unsigned_abs() {
            return Err(protocol("a length beyond 63 bits"));
        }
        let length = usize::try_from(length).map_err(|_| TOO_LARGE)?;
        if length > MAX_FRAME {
            return Err(TOO_LARGE);
        }
        let mut mask = [0; 4];
        if octets.try_copy_to_slice(&mut mask).is_err() {
            return Ok(None);
        }
        Ok(Some(Header {
            octets: before - octets.len(),
            last,
            kind,
            length,
            mask: Mask(mask),
        }))
    }
}

impl Decoder {
    /// The next message of what has come; takes what it reads out of `octets`.
    pub(super) fn next(&mut self, octets: &mut BytesMut) -> Result<Option<Message>, Broken> {
        loop {
            if self.payload.is_some() {
                match self.read_payload(octets)? {
                    Progress::Waits => return Ok(None),
                    Progress::More => continue,
                    Progress::Whole(text) => return Ok(Some(Message::Text(text))),
                }
            }
            let Some(header) = Header::read(octets)? else {
                return Ok(None);
            };
            if header.kind.is_control() {
                return control(&header, octets);
            }
            octets.advance(header.octets);
            self.begin(&header)?;
        }
    }

    fn begin(&mut self, header: &Header) -> Result<(), Broken> {
        match (header.kind, &self.message) {
            (Kind::Continuation, None) => return Err(protocol("nothing to continue")),
            (Kind::Text, Some(_)) => return Err(protocol("a message within another")),
            _ => {}
        }
        let message = self.message.get_or_insert_default();
        message.fragments += 1;
        if message.text.len() + header.length > MAX_FRAME || message.fragments > MAX_FRAGMENTS {
            return Err(TOO_LARGE);
        }
        self.payload = Some(Payload {
            left: header.length,
            mask: header.mask,
            last: header.last,
        });
        Ok(())
    }

    fn read_payload(&mut self, octets: &mut BytesMut) -> Result<Progress, Broken> {
        let (Some(payload), Some(message)) = (&mut self.payload, &mut self.message) else {
            return Ok(Progress::More);
        };
        let mut part = octets.split_to(payload.left.min(octets.len()));
        payload.mask.apply(&mut part);
        payload.left -= part.len();
        message.take(&part)?;
        if payload.left > 0 {
            return Ok(Progress::Waits);
        }
        let last = payload.last;
        self.payload = None;
        if !last {
            return Ok(Progress::More);
        }
        let whole = self.message.take().unwrap_or_default();
        String::from_utf8(whole.text)
            .map(Progress::Whole)
            .map_err(|_| NOT_UTF8)
    }
}

enum Progress {
    /// The payload is not all there.
    Waits,
    /// On with the next frame.
    More,
    Whole(String),
}

impl Unfinished {
    /// Adds octets; an end within a character may still become one.
    fn take(&mut self, part: &[u8]) -> Result<(), Broken> {
        self.text.extend_from_slice(part);
        let unknown = self.text.get(self.valid..).unwrap_or_default();
        match std::str::from_utf8(unknown) {
            Ok(known) => self.valid += known.len(),
            Err(error) if error.error_len().is_some() => return Err(NOT_UTF8),
            Err(error) => self.valid += error.valid_up_to(),
        }
        Ok(())
    }
}

fn control(header: &Header, octets: &mut BytesMut) -> Result<Option<Message>, Broken> {
    if octets.len() < header.octets + header.length {
        return Ok(None);
    }
    octets.advance(header.octets);
    let mut payload = octets.split_to(header.length);
    let mut mask = header.mask;
    mask.apply(&mut payload);
    match header.kind {
        Kind::Ping => Ok(Some(Message::Ping(payload.freeze()))),
        Kind::Pong => Ok(Some(Message::Pong(payload.freeze()))),
        _ => close_code(&payload).map(|code| Some(Message::Close(code))),
    }
}

/// The code of a close frame (5.5.1, 7.4), if what it says may be said.
fn close_code(mut payload: &[u8]) -> Result<Option<u16>, Broken> {
    if payload.is_empty() {
        return Ok(None);
    }
    let code = payload
        .try_get_u16()
        .map_err(|_| protocol("half a close code"))?;
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(protocol("a close code that is never sent"));
    }
    match std::str::from_utf8(payload) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(NOT_UTF8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client writes it.
    fn frame(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        let mut octets = vec![first];
        match payload.len() {
            short @ 0..126 => octets.push(0x80 | u8::try_from(short).unwrap()),
            middle @ 126..65_536 => {
                octets.push(0x80 | 126);
                octets.extend(u16::try_from(middle).unwrap().to_be_bytes());
            }
            long => {
                octets.push(0x80 | 127);
                octets.extend(u64::try_from(long).unwrap().to_be_bytes());
            }
        }
        octets.extend(key);
        octets.extend(payload.iter().zip(key.iter().cycle()).map(|(o, k)| o ^ k));
        octets
    }

    /// All that comes of these pieces: messages, then perhaps a broken rule.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Message>, Option<Broken>) {
        let (mut decoder, mut octets) = (Decoder::default(), BytesMut::new());
        let mut messages = Vec::new();
        for piece in pieces {
            octets.extend_from_slice(piece);
            loop {
                match decoder.next(&mut octets) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(broken) => return (messages, Some(broken)),
                }
            }
        }
        (messages, None)
    }

    fn code(octets: &[u8]) -> Option<u16> {
        read([octets]).1.map(|broken| broken.code)
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_however_it_is_cut(
            text in "\\PC{0,200}",
            fragments in proptest::collection::vec(0..200_usize, 0..6),
            chop in 1..40_usize,
            key in any::<[u8; 4]>(),
        ) {
            let mut cuts: Vec<usize> = fragments.into_iter().map(|at| at.min(text.len())).collect();
            cuts.sort_unstable();
            cuts.push(text.len());
            let (mut wire, mut from) = (Vec::new(), 0);
            for (index, cut) in cuts.iter().enumerate() {
                let opcode = if index == 0 { 1 } else { 0 };
                let last = if index + 1 == cuts.len() { 0x80 } else { 0 };
                wire.extend(frame(last | opcode, &text.as_bytes()[from..*cut], key));
                wire.extend(frame(0x89, b"between", key));
                from = *cut;
            }
            let (messages, broken) = read(wire.chunks(chop));
            prop_assert_eq!(broken, None);
            let texts: Vec<_> = messages.iter().filter(|m| matches!(m, Message::Text(_))).collect();
            let said = Message::Text(text);
            prop_assert_eq!(texts, vec![&said]);
            prop_assert_eq!(messages.len(), cuts.len() + 1);
        }

        #[test]
        fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let whole = read([octets.as_slice()]);
            prop_assert_eq!(whole, read(octets.chunks(1)));
        }

        #[test]
        fn utf8_is_judged_as_the_standard_library_does(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let broken = code(&frame(0x81, &octets, [1, 2, 3, 4]));
            prop_assert_eq!(broken.is_none(), std::str::from_utf8(&octets).is_ok());
        }
    }

    #[test]
    fn a_length_is_judged_before_its_payload_comes() {
        let header = frame(0x81, &[b'x'; MAX_FRAME + 1], [0; 4]);
        assert_eq!(code(&header[..10]), Some(1009));
        assert_eq!(code(&frame(0x81, &[b'x'; MAX_FRAME], [7; 4])), None);
        assert_eq!(code(&[0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]), Some(1002));
        assert_eq!(code(&[0x89, 0x80 | 126]), Some(1002));
    }

    #[test]
    fn bad_text_is_told_before_its_frame_ends() {
        let whole = frame(0x01, b"\xCE\xBA\xFF and much more", [9, 8, 7, 6]);
        assert_eq!(code(&whole[..8]), None, "a character may still follow");
        assert_eq!(code(&whole[..9]), Some(1007));
    }

    #[test]
    fn the_fragments_of_a_message_are_counted_and_measured_together() {
        let mut wire = frame(0x01, b"", [0; 4]);
        for _ in 0..MAX_FRAGMENTS {
            wire.extend(frame(0x00, b"", [0; 4]));
        }
        assert_eq!(code(&wire), Some(1009));
        let mut wire = frame(0x01, &[b'x'; MAX_FRAME], [0; 4]);
        wire.extend(frame(0x80, b"x", [0; 4]));
        assert_eq!(code(&wire), Some(1009));
    }
}

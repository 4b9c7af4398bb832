//! Which characters the bytes of a text stand for. UTF-8 where it can be; UTF-16 by its mark;
//! Windows-1252 (which all of Latin-1 is) where nothing in the file speaks against it; anything else
//! a person must say. A byte that stands for nothing is a fault, never a question mark.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use encoding_rs::{DecoderResult, Encoding, UTF_8, WINDOWS_1252};
use tempfile::TempPath;

use super::Scratch;
use crate::actors::import::reader::{ReadError, place};
use crate::domain::import::Refusal;

const CHUNK: usize = 256 * 1024;

/// Finds the encoding of a file, or takes the one that was said. Refuses `bad_value` (no encoding of
/// that name), `wrong_encoding`, `unknown_encoding`.
pub(super) fn find(path: &Path, said: Option<&str>) -> Result<&'static Encoding, ReadError> {
    if let Some(label) = said {
        let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            Refusal::at(
                "/encoding",
                "bad_value",
                format!("`{label}` names no encoding of text"),
            )
        })?;
        // Any other is found out when it is decoded.
        if encoding == UTF_8
            && let Some(offset) = Signs::of(path)?.invalid
        {
            let (line, column) = place(path, offset)?;
            let told = format!("The file is not UTF-8: line {line}, column {column}");
            return Err(Refusal::at("/encoding", "wrong_encoding", told).into());
        }
        return Ok(encoding);
    }
    let mut start = [0; 4];
    let read = File::open(path)?.read(&mut start)?;
    let start = start.get(..read).unwrap_or_default();
    if start == b"\xFF\xFE\0\0" || start == b"\0\0\xFE\xFF" {
        return Err(Refusal::at(
            "/encoding",
            "unknown_encoding",
            "The file is UTF-32; save it as UTF-8 and send it again",
        )
        .into());
    }
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return Ok(encoding);
    }
    let signs = Signs::of(path)?;
    match signs {
        Signs { invalid: None, .. } => Ok(UTF_8),
        Signs {
            characters: 0,
            controls: false,
            ..
        } => Ok(WINDOWS_1252),
        Signs {
            invalid: Some(offset),
            ..
        } => {
            let (line, column) = place(path, offset)?;
            Err(Refusal::at(
                "/encoding",
                "unknown_encoding",
                format!(
                    "The file is not UTF-8: line {line}, column {column}; say what it is with `encoding`"
                ),
            )
            .into())
        }
    }
}

/// What the bytes tell.
#[derive(Debug, Default)]
struct Signs {
    /// Characters of several bytes, as UTF-8 writes them: hardly ever there by chance.
    characters: u64,
    /// The first byte that is no UTF-8.
    invalid: Option<u64>,
    /// Bytes that Windows-1252 has no character for.
    controls: bool,
}

impl Signs {
    fn of(path: &Path) -> std::io::Result<Signs> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; CHUNK];
        let mut signs = Signs::default();
        let (mut kept, mut offset) = (0, 0);
        loop {
            let read = file.read(buffer.get_mut(kept..).unwrap_or_default())?;
            let filled = kept + read;
            let bytes = buffer.get(..filled).unwrap_or_default();
            let used = signs.look(bytes, offset, read == 0);
            if read == 0 {
                return Ok(signs);
            }
            offset += u64::try_from(used).unwrap_or(0);
            buffer.copy_within(used..filled, 0);
            kept = filled - used;
        }
    }

    /// Looks at bytes from `offset` on; answers how many, but for an unfinished character at the end.
    fn look(&mut self, bytes: &[u8], offset: u64, last: bool) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (valid, bad) = match std::str::from_utf8(rest) {
                Ok(_) => (rest.len(), None),
                Err(error) => (error.valid_up_to(), Some(error.error_len())),
            };
            let plain = rest.get(..valid).unwrap_or_default();
            if !plain.is_ascii() {
                self.characters +=
                    u64::try_from(plain.iter().filter(|byte| **byte >= 0xC0).count()).unwrap_or(0);
            }
            at += valid;
            match bad {
                None => return at,
                Some(None) if !last => return at,
                Some(length) => {
                    let place = offset + u64::try_from(at).unwrap_or(0);
                    self.invalid.get_or_insert(place);
                    let end = at + length.unwrap_or(1);
                    self.controls |= bytes
                        .get(at..end)
                        .unwrap_or_default()
                        .iter()
                        .any(|byte| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D));
                    at = end;
                }
            }
        }
        at
    }
}

/// The file in UTF-8; None: it is that already.
pub(super) fn to_utf8(
    path: &Path,
    encoding: &'static Encoding,
    scratch: &Scratch,
) -> Result<Option<TempPath>, ReadError> {
    if encoding == UTF_8 {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let mut out = scratch.file()?;
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut bytes = vec![0; CHUNK];
    let mut text = vec![0; CHUNK * 4];
    let mut read_before = 0_u64;
    loop {
        let count = file.read(&mut bytes)?;
        let mut chunk = bytes.get(..count).unwrap_or_default();
        loop {
            let (result, used, written) =
                decoder.decode_to_utf8_without_replacement(chunk, &mut text, count == 0);
            out.write_all(text.get(..written).unwrap_or_default())?;
            chunk = chunk.get(used..).unwrap_or_default();
            read_before += u64::try_from(used).unwrap_or(0);
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    return Err(Refusal::at(
                        "/encoding",
                        "wrong_encoding",
                        format!(
                            "The file is not {}: byte {read_before} stands for no character",
                            encoding.name()
                        ),
                    )
                    .into());
                }
            }
        }
        if count == 0 {
            return Ok(Some(out.finish()?));
        }
    }
}

//! Strictness of a delimited file, byte by byte: what a lenient reader would pass over in silence
//! (an unclosed quote, text after a closing one, NUL, bytes that are not UTF-8, a line end of another
//! kind, a record without an end) is a fault here. It splits nothing: the `csv` crate does that, and
//! both agree on what a quote means: special at the start of a field, plain text inside one.

use super::dialect::{Dialect, LineEnd};
use super::{MAX_RECORD_BYTES, Refusal};

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    NotUtf8,
    NulByte,
    /// Something other than a delimiter or a line end after a closing quote.
    StrayQuote,
    /// The file ends inside a quoted field.
    UnclosedQuote,
    /// A lone CR in a file of LF or CRLF lines, or an LF in a file of CR lines: an end or a cell?
    MixedLineEnds,
    RecordTooLong,
}

/// A fault and where in the file it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?} at byte {offset}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Bytes from the start of the file.
    pub offset: u64,
}

impl Fault {
    /// The refusal for people; line and column count from 1.
    pub fn refusal(self, line: u64, column: u64) -> Refusal {
        let at = format!("line {line}, column {column}");
        let (code, message) = match self.kind {
            FaultKind::NotUtf8 => ("not_utf8", format!("The file is not UTF-8: {at}")),
            FaultKind::NulByte => ("nul_byte", format!("The file holds a NUL character: {at}")),
            FaultKind::StrayQuote => ("stray_quote", format!("Text follows a closing quote: {at}")),
            FaultKind::UnclosedQuote => (
                "unclosed_quote",
                format!("The quote opened at {at} is never closed"),
            ),
            FaultKind::MixedLineEnds => (
                "mixed_line_ends",
                format!("The lines of the file end in different ways: {at}"),
            ),
            FaultKind::RecordTooLong => (
                "record_too_long",
                format!("The row that starts at {at} is longer than {MAX_RECORD_BYTES} bytes"),
            ),
        };
        Refusal::file(code, message)
    }
}

/// Checks a file that is fed to it in chunks of any size, from the start of a record on.
#[derive(Clone, Debug)]
pub struct Strict {
    dialect: Dialect,
    /// What each byte means outside quotes.
    special: [bool; 256],
    state: State,
    /// Absolute offset of the next byte.
    offset: u64,
    /// Absolute offset of the first byte of the record.
    record_start: u64,
    /// The next byte starts a field.
    at_field_start: bool,
    utf8: Utf8Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outside,
    /// Inside a quoted field opened at that offset.
    Quoted(u64),
    /// Right after a quote inside a quoted field: its end, or half of a doubled one.
    Closing(u64),
    /// Right after a CR outside quotes.
    AfterCr,
}

impl Strict {
    /// A check that starts at a record's start, `offset` bytes into the file.
    pub fn new(dialect: Dialect, offset: u64) -> Self {
        let mut special = [false; 256];
        for byte in [Some(0), Some(b'\n'), Some(b'\r'), dialect.quote]
            .into_iter()
            .flatten()
        {
            if let Some(entry) = special.get_mut(usize::from(byte)) {
                *entry = true;
            }
        }
        Self {
            dialect,
            special,
            state: State::Outside,
            offset,
            record_start: offset,
            at_field_start: true,
            utf8: Utf8Tail::default(),
        }
    }

    /// Checks the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        self.utf8.feed(chunk, self.offset)?;
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.state {
                State::Outside => self.outside(rest)?,
                State::Quoted(opened) => self.quoted(rest, opened)?,
                State::Closing(opened) => {
                    self.closing(byte, opened)?;
                    after
                }
                State::AfterCr => self.after_cr(rest)?,
            };
            if self.offset - self.record_start > MAX_RECORD_BYTES {
                return Err(Fault {
                    kind: FaultKind::RecordTooLong,
                    offset: self.record_start,
                });
            }
        }
        Ok(())
    }

    /// Checks that the file may end here.
    pub fn finish(&self) -> Result<(), Fault> {
        self.utf8.finish(self.offset)?;
        match self.state {
            State::Quoted(offset) => Err(Fault {
                kind: FaultKind::UnclosedQuote,
                offset,
            }),
            State::AfterCr if self.dialect.line_end != LineEnd::Cr => Err(Fault {
                kind: FaultKind::MixedLineEnds,
                offset: self.offset - 1,
            }),
            _ => Ok(()),
        }
    }

    /// Runs over plain bytes to the next special one and takes that; returns what is left.
    fn outside<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
        let plain = bytes
            .iter()
            .position(|byte| {
                self.special
                    .get(usize::from(*byte))
                    .is_some_and(|special| *special)
            })
            .unwrap_or(bytes.len());
        let (run, rest) = bytes.split_at_checked(plain).unwrap_or((bytes, &[]));
        if let Some(last) = run.last() {
            self.at_field_start = *last == self.dialect.delimiter;
        }
        self.offset += length(run);
        let Some((&byte, after)) = rest.split_first() else {
            return Ok(rest);
        };
        match byte {
            0 => {
                return Err(Fault {
                    kind: FaultKind::NulByte,
                    offset: self.offset,
                });
            }
            b'\n' if self.dialect.line_end == LineEnd::Cr => {
                return Err(Fault {
                    kind: FaultKind::MixedLineEnds,
                    offset: self.offset,
                });
            }
            b'\n' => self.end_record(),
            b'\r' => self.state = State::AfterCr,
            _ if self.at_field_start => self.state = State::Quoted(self.offset),
            _ => {}
        }
        self.offset += 1;
        if byte == b'\n' {
            self.record_start = self.offset;
        }
        Ok(after)
    }

    /// Runs to the next quote (or NUL) inside a quoted field.
    fn quoted<'a>(&mut self, bytes: &'a [u8], opened: u64) -> Result<&'a [u8], Fault> {
        let plain = bytes
            .iter()
            .position(|byte| Some(*byte) == self.dialect.quote || *byte == 0)
            .unwrap_or(bytes.len());
        let (run, rest) = bytes.split_at_checked(plain).unwrap_or((bytes, &[]));
        self.offset += length(run);
        let Some((&byte, after)) = rest.split_first() else {
            return Ok(rest);
        };
        if byte == 0 {
            return Err(Fault {
                kind: FaultKind::NulByte,
                offset: self.offset,
            });
        }
        self.offset += 1;
        self.state = State::Closing(opened);
        Ok(after)
    }

    fn closing(&mut self, byte: u8, opened: u64) -> Result<(), Fault> {
        match byte {
            _ if Some(byte) == self.dialect.quote => self.state = State::Quoted(opened),
            _ if byte == self.dialect.delimiter => {
                self.state = State::Outside;
                self.at_field_start = true;
            }
            b'\r' => self.state = State::AfterCr,
            b'\n' if self.dialect.line_end == LineEnd::Cr => {
                return Err(Fault {
                    kind: FaultKind::MixedLineEnds,
                    offset: self.offset,
                });
            }
            b'\n' => self.end_record(),
            _ => {
                return Err(Fault {
                    kind: FaultKind::StrayQuote,
                    offset: self.offset,
                });
            }
        }
        self.offset += 1;
        if byte == b'\n' {
            self.record_start = self.offset;
        }
        Ok(())
    }

    fn after_cr<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
        let lone = bytes.first() != Some(&b'\n');
        if lone != (self.dialect.line_end == LineEnd::Cr) {
            let offset = if lone { self.offset - 1 } else { self.offset };
            return Err(Fault {
                kind: FaultKind::MixedLineEnds,
                offset,
            });
        }
        self.end_record();
        if lone {
            self.record_start = self.offset;
            return Ok(bytes);
        }
        self.offset += 1;
        self.record_start = self.offset;
        Ok(bytes.split_first().map_or(&[], |(_, after)| after))
    }

    fn end_record(&mut self) {
        self.state = State::Outside;
        self.at_field_start = true;
    }
}

/// UTF-8 across chunks: at most three bytes of an unfinished character are kept.
#[derive(Clone, Debug, Default)]
struct Utf8Tail {
    kept: Vec<u8>,
}

impl Utf8Tail {
    fn feed(&mut self, chunk: &[u8], offset: u64) -> Result<(), Fault> {
        let mut chunk = chunk;
        let mut offset = offset;
        while !self.kept.is_empty() {
            let Some((&byte, after)) = chunk.split_first() else {
                return Ok(());
            };
            let start = offset - length(&self.kept);
            self.kept.push(byte);
            chunk = after;
            offset += 1;
            match std::str::from_utf8(&self.kept) {
                Ok(_) => self.kept.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    return Err(Fault {
                        kind: FaultKind::NotUtf8,
                        offset: start,
                    });
                }
            }
        }
        let Err(error) = std::str::from_utf8(chunk) else {
            return Ok(());
        };
        let (valid, rest) = chunk
            .split_at_checked(error.valid_up_to())
            .unwrap_or((chunk, &[]));
        if error.error_len().is_some() {
            return Err(Fault {
                kind: FaultKind::NotUtf8,
                offset: offset + length(valid),
            });
        }
        self.kept.extend_from_slice(rest);
        Ok(())
    }

    fn finish(&self, offset: u64) -> Result<(), Fault> {
        if self.kept.is_empty() {
            return Ok(());
        }
        Err(Fault {
            kind: FaultKind::NotUtf8,
            offset: offset - length(&self.kept),
        })
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dialect(line_end: LineEnd) -> Dialect {
        Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            line_end,
            start: 0,
        }
    }

    fn check(text: &[u8], line_end: LineEnd, chunk: usize) -> Result<(), Fault> {
        let mut strict = Strict::new(dialect(line_end), 0);
        for part in text.chunks(chunk.max(1)) {
            strict.feed(part)?;
        }
        strict.finish()
    }

    fn fault(text: &str, line_end: LineEnd) -> Option<(FaultKind, u64)> {
        check(text.as_bytes(), line_end, 4096)
            .err()
            .map(|fault| (fault.kind, fault.offset))
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        use FaultKind::*;
        use LineEnd::*;
        assert_eq!(fault("a,b\n1,\"2\n3", Lf), Some((UnclosedQuote, 6)));
        assert_eq!(fault("a,b\n1,\"2\"x\n", Lf), Some((StrayQuote, 9)));
        assert_eq!(fault("a,b\n\0,2\n", Lf), Some((NulByte, 4)));
        assert_eq!(fault("a,b\n\"x\0\",2\n", Lf), Some((NulByte, 6)));
        assert_eq!(fault("a,b\n1\r2,3\n", Lf), Some((MixedLineEnds, 5)));
        assert_eq!(fault("a,b\r1,2\n", Cr), Some((MixedLineEnds, 7)));
        assert_eq!(fault("a,b\r1,2\r\n", Cr), Some((MixedLineEnds, 8)));
        assert_eq!(
            check(b"a\n4,\xa9", Lf, 100).unwrap_err(),
            Fault {
                kind: NotUtf8,
                offset: 4
            }
        );
        assert_eq!(
            check(b"a\n4,\xca", Lf, 1).unwrap_err(),
            Fault {
                kind: NotUtf8,
                offset: 4
            }
        );
    }

    #[test]
    fn quotes_inside_a_plain_field_and_line_ends_inside_a_quoted_one_are_text() {
        assert_eq!(
            fault("a,b\n37.8\"N,2\"\n\"x\r\ny\rz\",\"\"\"\"\n", LineEnd::Lf),
            None
        );
        assert_eq!(fault("a\r\n1\r\n2\n", LineEnd::CrLf), None);
    }

    #[test]
    fn a_record_without_an_end_is_refused() {
        let mut text = b"a,b\n\"".to_vec();
        text.resize(2 * 1024 * 1024, b'x');
        let fault = check(&text, LineEnd::Lf, 65536).unwrap_err();
        assert_eq!(
            fault,
            Fault {
                kind: FaultKind::RecordTooLong,
                offset: 4
            }
        );
    }

    /// RFC 4180 as simply as it can be said; blank lines left out.
    fn plainly_read(text: &str, line_end: LineEnd) -> Vec<Vec<String>> {
        let line_end = if line_end == LineEnd::Cr { '\r' } else { '\n' };
        let mut records = Vec::new();
        let mut record = vec![String::new()];
        let (mut quoted, mut start, mut blank) = (false, true, true);
        let ended = format!("{text}{line_end}");
        let mut chars = ended.chars().peekable();
        while let Some(char) = chars.next() {
            let field = record.last_mut().unwrap();
            match char {
                '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
                '"' if quoted => quoted = false,
                _ if quoted => field.push(char),
                '"' if start => quoted = true,
                ',' => record.push(String::new()),
                '\r' if chars.peek() == Some(&'\n') => continue,
                _ if char == line_end => {
                    let record = std::mem::replace(&mut record, vec![String::new()]);
                    records.extend((!blank).then_some(record));
                }
                _ => field.push(char),
            }
            start = !quoted && (char == ',' || char == line_end);
            blank = !quoted && char == line_end;
        }
        records
    }

    proptest! {
        #[test]
        fn how_the_file_is_cut_into_chunks_makes_no_difference(
            text in proptest::collection::vec(prop_oneof![
                Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'a'), Just(0xC3), Just(0xA9), Just(0),
            ], 0..60),
            chunk in 1usize..8,
            line_end in prop_oneof![Just(LineEnd::Lf), Just(LineEnd::CrLf), Just(LineEnd::Cr)],
        ) {
            // Within one chunk the encoding is looked at first, so only the verdict is compared.
            prop_assert_eq!(check(&text, line_end, chunk).is_ok(), check(&text, line_end, 1000).is_ok());
        }

        #[test]
        fn what_a_writer_of_the_csv_crate_makes_is_never_at_fault(
            rows in proptest::collection::vec(proptest::collection::vec("[a-z\",\r\né]{0,6}", 3), 1..8),
        ) {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            prop_assert_eq!(check(&text, LineEnd::Lf, 7), Ok(()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_without_fault_has_one_reading(
            text in "[a\",\n\ré]{0,40}",
            line_end in prop_oneof![Just(LineEnd::Lf), Just(LineEnd::CrLf), Just(LineEnd::Cr)],
        ) {
            if check(text.as_bytes(), line_end, 1000).is_err() {
                return Ok(());
            }
            let mut reader = dialect(line_end).reader().from_reader(text.as_bytes());
            let records: Vec<Vec<String>> =
                reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
            prop_assert_eq!(records, plainly_read(&text, line_end));
        }
    }
}

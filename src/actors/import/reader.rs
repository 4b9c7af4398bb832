//! The records of a file on disk, one after the other, in constant memory, from any checkpoint on.
//! Knows where it is and refuses what `domain::import::strict` calls a fault; what the fields mean
//! is not its business. Blocking: call it on the blocking pool.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::domain::import::dialect::Dialect;
use crate::domain::import::item_id::MAX_ROWS;
use crate::domain::import::strict::{Fault, FaultKind, Strict};
use crate::domain::import::{Refusal, SAMPLE_BYTES};

/// A place between two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Bytes from the start of the file.
    pub bytes: u64,
    /// Data rows before it; blank lines are none.
    pub record: u64,
}

/// Why no next row can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the uploaded file can't be read")]
    Io(#[from] io::Error),
}

/// The rows of a file.
pub struct Rows {
    path: PathBuf,
    reader: csv::Reader<Checked<File>>,
    record: StringRecord,
    /// Where the reader began: its own positions count from there.
    base: u64,
    row: u64,
}

impl Rows {
    /// Opens the file at a checkpoint (the first: the end of the header).
    pub fn open(path: &Path, dialect: Dialect, from: Checkpoint) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from.bytes))?;
        let checked = Checked {
            inner: file,
            strict: Strict::new(dialect, from.bytes),
        };
        Ok(Self {
            path: path.to_owned(),
            reader: dialect
                .reader()
                .buffer_capacity(SAMPLE_BYTES)
                .from_reader(checked),
            record: StringRecord::new(),
            base: from.bytes,
            row: from.record,
        })
    }

    /// The next row with as many cells as it has, or None at the end of the file. Refuses
    /// `too_many_rows` and every fault of the bytes, by line and column.
    pub fn next_row(&mut self) -> Result<Option<&StringRecord>, ReadError> {
        let start = self.base + self.reader.position().byte();
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(self.explain(error, start)),
        }
        if self.row == MAX_ROWS {
            return Err(
                Refusal::file("too_many_rows", format!("A file may have {MAX_ROWS} rows")).into(),
            );
        }
        self.row += 1;
        Ok(Some(&self.record))
    }

    /// The place after the last row read.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            bytes: self.base + self.reader.position().byte(),
            record: self.row,
        }
    }

    fn explain(&self, error: csv::Error, start: u64) -> ReadError {
        let fault = match error.into_kind() {
            csv::ErrorKind::Io(error) => match error.downcast::<Fault>() {
                Ok(fault) => fault,
                Err(error) => return ReadError::Io(error),
            },
            // The bytes were checked before; if the crate disagrees, its place is as good.
            csv::ErrorKind::Utf8 { .. } => Fault {
                kind: FaultKind::NotUtf8,
                offset: start,
            },
            _ => return ReadError::Io(io::ErrorKind::InvalidData.into()),
        };
        match place(&self.path, fault.offset) {
            Ok((line, column)) => fault.refusal(line, column).into(),
            Err(error) => ReadError::Io(error),
        }
    }
}

/// Passes bytes on once they are found to be without fault.
struct Checked<R> {
    inner: R,
    strict: Strict,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let verdict = match buffer.get(..count) {
            Some(&[]) if !buffer.is_empty() => self.strict.finish(),
            Some(chunk) => self.strict.feed(chunk),
            None => Ok(()),
        };
        verdict.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        Ok(count)
    }
}

/// Line and column (in characters), both from 1, of a byte of the file. Reads the file anew: only for
/// the sentence about a fault.
pub(super) fn place(path: &Path, offset: u64) -> io::Result<(u64, u64)> {
    let mut line = 1;
    let mut column = 1;
    let mut at = 0;
    let mut after_cr = false;
    let mut reader = BufReader::new(File::open(path)?);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((line, column));
        }
        for &byte in buffer {
            let ends_line = matches!(byte, b'\r' | b'\n');
            if at >= offset {
                return Ok((line, column));
            }
            if ends_line && !(byte == b'\n' && after_cr) {
                line += 1;
                column = 1;
            } else if !ends_line && byte & 0xC0 != 0x80 {
                column += 1;
            }
            after_cr = byte == b'\r';
            at += 1;
        }
        let read = buffer.len();
        reader.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::import::dialect::LineEnd;

    fn dialect(line_end: LineEnd) -> Dialect {
        Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            line_end,
            start: 0,
        }
    }

    fn read(
        path: &Path,
        line_end: LineEnd,
        from: Checkpoint,
    ) -> Result<Vec<(Vec<String>, Checkpoint)>, ReadError> {
        let mut rows = Rows::open(path, dialect(line_end), from)?;
        let mut all = Vec::new();
        while let Some(record) = rows.next_row()? {
            let fields = record.iter().map(str::to_owned).collect();
            all.push((fields, rows.checkpoint()));
        }
        Ok(all)
    }

    fn refusal(text: &[u8], line_end: LineEnd) -> (&'static str, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        match read(file.path(), line_end, Checkpoint::default()) {
            Err(ReadError::Refused(refusal)) => (refusal.code, refusal.message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fault_is_named_by_line_and_column() {
        for (text, code, place) in [
            (
                &b"a,b\n\xC3\xA9,\"x\n"[..],
                "unclosed_quote",
                "line 2, column 3",
            ),
            (b"a,b\n\xC3\xA9,\"x\"y\n", "stray_quote", "line 2, column 6"),
            (b"a,b\n\"\n\",\0\n", "nul_byte", "line 3, column 3"),
            (b"a,b\n\n1,\xA9\n", "not_utf8", "line 3, column 3"),
        ] {
            let (found, message) = refusal(text, LineEnd::Lf);
            assert_eq!(found, code);
            assert!(message.contains(place), "{message}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_refused_before_it_is_held() {
        let mut text = b"a,b\n1,\"".to_vec();
        text.resize(8 << 20, b'x');
        assert_eq!(refusal(&text, LineEnd::Lf).0, "record_too_long");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn from_every_checkpoint_on_the_same_rows_follow(
            rows in proptest::collection::vec(proptest::collection::vec("[a-z\",\r\né]{0,5}", 2), 0..12),
            line_end in prop_oneof![Just(LineEnd::Lf), Just(LineEnd::CrLf), Just(LineEnd::Cr)],
        ) {
            let terminator = match line_end {
                LineEnd::Lf => csv::Terminator::Any(b'\n'),
                LineEnd::CrLf => csv::Terminator::CRLF,
                LineEnd::Cr => csv::Terminator::Any(b'\r'),
            };
            let mut writer = csv::WriterBuilder::new().terminator(terminator).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), writer.into_inner().unwrap()).unwrap();
            let all = read(file.path(), line_end, Checkpoint::default()).unwrap();
            prop_assert_eq!(&all.iter().map(|(fields, _)| fields.clone()).collect::<Vec<_>>(), &rows);
            for (index, (_, checkpoint)) in all.iter().enumerate() {
                prop_assert_eq!(checkpoint.record, u64::try_from(index + 1).unwrap());
                prop_assert_eq!(&read(file.path(), line_end, *checkpoint).unwrap(), &all[index + 1..]);
            }
        }
    }
}

//! How a delimited file is written: delimiter, quote, line ends, found in its first bytes (which are
//! UTF-8 by now). Two readings that are equally good are refused, not chosen between.

use serde::{Deserialize, Serialize};

use super::options::Quote;
use super::{MAX_FIELDS, Refusal};

/// How the lines of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// LF, also with some CRLF among them.
    Lf,
    CrLf,
    /// A bare CR.
    Cr,
}

/// How a delimited file is written (after RFC 4180, with the delimiter and line ends free).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// One of `, ; | TAB`.
    pub delimiter: u8,
    /// None: quote marks are plain text.
    pub quote: Option<u8>,
    pub line_end: LineEnd,
    /// Bytes before the first record: a UTF-8 byte order mark, or 0.
    pub start: u64,
}

impl Dialect {
    /// A reader of the `csv` crate for this dialect: every record with the fields it has, nothing
    /// trimmed, nothing taken as a header.
    pub fn reader(&self) -> csv::ReaderBuilder {
        let mut builder = csv::ReaderBuilder::new();
        builder
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.quote.is_some())
            .quote(self.quote.unwrap_or(b'"'))
            .double_quote(true)
            .trim(csv::Trim::None);
        builder
    }
}

/// The delimiters that are looked for.
pub const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Share of records, in percent, that must have as many fields as the first for a delimiter to be
/// called regular.
const REGULAR_PERCENT: usize = 90;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Finds the dialect of a file from its first bytes. `whole`: the sample is all of the file.
/// Refuses `empty_file`, `ambiguous_delimiter`.
pub fn detect(
    sample: &[u8],
    whole: bool,
    delimiter: Option<u8>,
    quote: Quote,
) -> Result<Dialect, Refusal> {
    let quote = match quote {
        Quote::Double => Some(b'"'),
        Quote::None => None,
    };
    let (text, start) = match sample.strip_prefix(BOM) {
        Some(text) => (text, 3),
        None => (sample, 0),
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::file("empty_file", "There is nothing in the file"));
    }
    let with = |delimiter| Dialect {
        delimiter,
        quote,
        line_end: line_end(text, delimiter, quote),
        start,
    };
    match delimiter {
        Some(delimiter) => Ok(with(delimiter)),
        None => Ok(with(find_delimiter(text, whole, quote)?)),
    }
}

/// The line end that comes first outside quotes; LF when there is none.
fn line_end(text: &[u8], delimiter: u8, quote: Option<u8>) -> LineEnd {
    let mut quoted = false;
    let mut before = b'\n';
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted => quoted = false,
            // Also the second half of a doubled quote re-opens here.
            b'"' if quote.is_some()
                && (before == b'"' || before == delimiter || matches!(before, b'\n' | b'\r')) =>
            {
                quoted = true
            }
            b'\n' if !quoted => return LineEnd::Lf,
            b'\r' if !quoted && bytes.peek() == Some(&b'\n') => return LineEnd::CrLf,
            b'\r' if !quoted => return LineEnd::Cr,
            _ => {}
        }
        before = byte;
    }
    LineEnd::Lf
}

/// What a delimiter would make of the sample.
#[derive(Clone, Copy, Debug)]
struct Reading {
    delimiter: u8,
    /// Fields of the first record.
    fields: usize,
    /// Percent of the records that have as many.
    regular: usize,
}

fn find_delimiter(text: &[u8], whole: bool, quote: Option<u8>) -> Result<u8, Refusal> {
    let mut readings: Vec<Reading> = DELIMITERS
        .into_iter()
        .filter_map(|delimiter| read_with(text, whole, delimiter, quote))
        .filter(|reading| reading.fields > 1)
        .collect();
    if readings
        .iter()
        .any(|reading| reading.regular >= REGULAR_PERCENT)
    {
        readings.retain(|reading| reading.regular >= REGULAR_PERCENT);
    }
    readings.sort_by_key(|reading| std::cmp::Reverse((reading.fields, reading.regular)));
    match readings.as_slice() {
        // One column: any delimiter that does not occur will do.
        [] => Ok(b','),
        [only] => Ok(only.delimiter),
        // A second delimiter inside a cell of every row ("a|b") splits off few fields.
        [best, second, ..]
            if best.regular >= REGULAR_PERCENT
                && best.fields >= second.fields.saturating_mul(3) =>
        {
            Ok(best.delimiter)
        }
        [best, second, ..] => Err(Refusal::file(
            "ambiguous_delimiter",
            format!(
                "The columns may be separated by {} or by {}; say which with `delimiter`",
                name(best.delimiter),
                name(second.delimiter)
            ),
        )),
    }
}

fn read_with(text: &[u8], whole: bool, delimiter: u8, quote: Option<u8>) -> Option<Reading> {
    let dialect = Dialect {
        delimiter,
        quote,
        line_end: LineEnd::Lf,
        start: 0,
    };
    let mut reader = dialect.reader().from_reader(text);
    let mut widths = Vec::new();
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).is_ok_and(|more| more) {
        widths.push(record.len());
    }
    if !whole && widths.len() > 1 {
        // The sample may end in the middle of its last record.
        widths.pop();
    }
    let fields = *widths.first()?;
    let same = widths.iter().filter(|width| **width == fields).count();
    Some(Reading {
        delimiter,
        fields: fields.min(MAX_FIELDS + 1),
        regular: same.saturating_mul(100).checked_div(widths.len())?,
    })
}

/// A delimiter's name for people.
pub fn name(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "comma",
        b';' => "semicolon",
        b'\t' => "tab",
        b'|' => "pipe",
        _ => "another character",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(text: &str) -> Result<char, &'static str> {
        match detect(text.as_bytes(), true, None, Quote::Double) {
            Ok(dialect) => Ok(char::from(dialect.delimiter)),
            Err(refusal) => Err(refusal.code),
        }
    }

    #[test]
    fn the_delimiter_is_the_one_that_splits_evenly() {
        assert_eq!(delimiter("a,b,c\n1,2,3\n"), Ok(','));
        assert_eq!(delimiter("a;b;c\n1,5;2,5;3\n"), Ok(';'));
        assert_eq!(delimiter("a\tb\n1, 2\t3\n"), Ok('\t'));
        assert_eq!(delimiter("a|b\n\"1|2\"|x\n"), Ok('|'));
        assert_eq!(
            delimiter("a,b,c\n1,27,,x\n,y\n0,z,17\n"),
            Ok(','),
            "ragged, and still commas"
        );
        assert_eq!(delimiter("a\n1;2\n"), Ok(','), "one column");
    }

    #[test]
    fn two_good_readings_are_for_a_person() {
        assert_eq!(delimiter("a,b;c\n1,2;3\n"), Err("ambiguous_delimiter"));
        assert_eq!(
            detect(b"a,b;c\n1,2;3\n", true, Some(b';'), Quote::Double)
                .unwrap()
                .delimiter,
            b';'
        );
        assert_eq!(
            delimiter("a,b,c,d,e,f|g\n1,2,3,4,5,6|7\n"),
            Ok(','),
            "tags in one cell are no columns"
        );
    }

    #[test]
    fn a_quote_mark_may_mean_itself() {
        let plain = detect(b"a|b\n5\" pipe|\"x\n", true, None, Quote::None).unwrap();
        assert_eq!((plain.delimiter, plain.quote), (b'|', None));
    }

    #[test]
    fn line_ends_are_read_outside_quotes() {
        let end = |text: &str| {
            detect(text.as_bytes(), true, None, Quote::Double)
                .unwrap()
                .line_end
        };
        assert_eq!(end("a,b\n\"1\r\n\",2\n"), LineEnd::Lf);
        assert_eq!(end("\"a\n\"\"x\",b\r1,2\r"), LineEnd::Cr);
        assert_eq!(end("a\r\nb\r\n"), LineEnd::CrLf);
    }

    #[test]
    fn a_file_of_nothing_is_refused() {
        let code = |bytes: &[u8]| detect(bytes, true, None, Quote::Double).unwrap_err().code;
        assert_eq!(code(b"\n \r\n"), "empty_file");
        assert_eq!(code(b""), "empty_file");
        assert_eq!(
            detect(b"\xEF\xBB\xBFa,b\n1,2", true, None, Quote::Double)
                .unwrap()
                .start,
            3
        );
    }
}

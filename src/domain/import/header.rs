//! The header row: the names of a file's columns, and where its data begin. A file whose header is
//! missing, not first, or unclear is refused, unless the person said which row it is.

use std::collections::HashMap;

use csv::StringRecord;

use super::dialect::Dialect;
use super::{MAX_FIELDS, Refusal, infer};

/// The names and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// As written, white space around them removed; unique, none empty.
    pub names: Vec<String>,
    /// Which record of the file it is, from 1, blank lines counted; 0: the file has none.
    pub record: u32,
    /// Bytes from the file's start to the end of the header: the data begin here.
    pub data_start: u64,
}

/// Longest name of a column, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Reads the header from the first bytes of the file (`sample`, byte order mark included).
/// `row`: which record the person says it is, from 1; 0 says that there is none (the columns are
/// then called "Column 1" and so on); None looks for it in the first record that is no blank line.
///
/// Refuses `empty_file`, `no_header`, `header_not_first`, `empty_header`, `bad_header`,
/// `header_too_long`, `duplicate_header`, `too_many_columns`.
pub fn read(
    sample: &[u8],
    whole: bool,
    dialect: &Dialect,
    row: Option<u32>,
) -> Result<Header, Refusal> {
    let record = find(sample, whole, dialect, row)?;
    if record.fields.len() > MAX_FIELDS {
        return Err(Refusal::file(
            "too_many_columns",
            format!(
                "The header has {} columns; at most {MAX_FIELDS} are taken",
                record.fields.len()
            ),
        ));
    }
    if row == Some(0) {
        let names = (1..=record.fields.len())
            .map(|number| format!("Column {number}"))
            .collect();
        return Ok(Header {
            names,
            record: 0,
            data_start: record.start,
        });
    }
    if row.is_none() {
        refuse_titles(&record)?;
        refuse_data(&record)?;
    }
    Ok(Header {
        names: names(&record)?,
        record: record.number,
        data_start: record.end,
    })
}

struct Found {
    fields: StringRecord,
    number: u32,
    start: u64,
    end: u64,
}

fn find(sample: &[u8], whole: bool, dialect: &Dialect, row: Option<u32>) -> Result<Found, Refusal> {
    let skipped = usize::try_from(dialect.start).unwrap_or(0);
    let text = sample.get(skipped..).unwrap_or_default();
    let wanted = row.unwrap_or(0);
    let mut reader = dialect.reader().from_reader(text);
    let mut record = csv::ByteRecord::new();
    let mut number = 0;
    loop {
        let start = reader.position().byte();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) if number == 0 => {
                return Err(Refusal::file("empty_file", "There is nothing in the file"));
            }
            Ok(false) | Err(_) => {
                return Err(Refusal::at(
                    "/header_row",
                    "no_header",
                    format!("There is no row {wanted} at the start of the file"),
                ));
            }
        }
        number += blank_lines(text, start) + 1;
        if number < wanted {
            continue;
        }
        if wanted != 0 && number > wanted {
            return Err(Refusal::at(
                "/header_row",
                "empty_header",
                format!("Row {wanted} is blank"),
            ));
        }
        let end = reader.position().byte();
        if !whole && usize::try_from(end).is_ok_and(|end| end >= text.len()) {
            return Err(Refusal::file(
                "header_too_long",
                "The header does not end where one should",
            ));
        }
        let fields = StringRecord::from_byte_record(record).map_err(|_| {
            Refusal::file("not_utf8", format!("The file is not UTF-8: line {number}"))
        })?;
        return Ok(Found {
            fields,
            number,
            start: start + dialect.start,
            end: end + dialect.start,
        });
    }
}

/// Blank lines from `start` on, which a CSV reader passes over.
fn blank_lines(text: &[u8], start: u64) -> u32 {
    let start = usize::try_from(start).unwrap_or(text.len());
    let (before, rest) = text.split_at_checked(start).unwrap_or((text, &[]));
    let mut previous = before.last().copied();
    let mut count = 0;
    for byte in rest
        .iter()
        .copied()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
    {
        // The LF of a CRLF ends no line of its own.
        if !(byte == b'\n' && previous == Some(b'\r')) {
            count += 1;
        }
        previous = Some(byte);
    }
    count
}

fn refuse_titles(record: &Found) -> Result<(), Refusal> {
    let filled = record
        .fields
        .iter()
        .filter(|name| !name.trim().is_empty())
        .count();
    if filled == 0 || (filled == 1 && record.fields.len() > 2) {
        return Err(Refusal::file(
            "header_not_first",
            format!(
                "Line {} is not a header: {filled} of its {} cells are filled; say with `header_row` where it is",
                record.number,
                record.fields.len()
            ),
        ));
    }
    Ok(())
}

fn refuse_data(record: &Found) -> Result<(), Refusal> {
    match record
        .fields
        .iter()
        .find(|name| infer::looks_like_data(name))
    {
        None => Ok(()),
        Some(value) => Err(Refusal::file(
            "no_header",
            format!(
                "\"{value}\" in line {} looks like data, not like the name of a column; say with `header_row` where the header is (0: there is none)",
                record.number
            ),
        )),
    }
}

fn names(record: &Found) -> Result<Vec<String>, Refusal> {
    let mut seen = HashMap::new();
    let mut names = Vec::with_capacity(record.fields.len());
    for (index, written) in record.fields.iter().enumerate() {
        let position = index + 1;
        let name = written.trim();
        let place = format!("line {}, column {position}", record.number);
        if name.is_empty() {
            return Err(Refusal::file(
                "empty_header",
                format!("A column has no name: {place}"),
            ));
        }
        // White space that people can't see is theirs to remove.
        if written.chars().any(char::is_control) {
            return Err(Refusal::file(
                "bad_header",
                format!(
                    "The name of a column holds a line break or another control character: {place}"
                ),
            ));
        }
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(Refusal::file(
                "header_too_long",
                format!("The name of a column is longer than {MAX_NAME_CHARS} characters: {place}"),
            ));
        }
        if let Some(first) = seen.insert(name.to_lowercase(), position) {
            return Err(Refusal::file(
                "duplicate_header",
                format!("Columns {first} and {position} are both called \"{name}\""),
            ));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::*;

    fn header(text: &str, row: Option<u32>) -> Result<Header, &'static str> {
        let dialect = dialect::detect(text.as_bytes(), true, None).unwrap();
        read(text.as_bytes(), true, &dialect, row).map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_first_record_names_the_columns() {
        let text = "\n\r\n a ,\"b, c\"\r\n1,2\r\n";
        let found = header(text, None).unwrap();
        assert_eq!(found.names, ["a", "b, c"]);
        assert_eq!(found.record, 3);
        assert_eq!(
            text[usize::try_from(found.data_start).unwrap()..].trim(),
            "1,2"
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        let found = header("\u{FEFF}foo,bar\n1,2\n", None).unwrap();
        assert_eq!((found.names[0].as_str(), found.data_start), ("foo", 11));
    }

    #[test]
    fn what_a_person_should_decide_is_refused() {
        assert_eq!(header("1,2,3\n4,5,6\n", None), Err("no_header"));
        assert_eq!(header("x,ann@example.com\n", None), Err("no_header"));
        assert_eq!(
            header("Students by State,,\na,b,c\n", None),
            Err("header_not_first")
        );
        assert_eq!(header(",,\na,b,c\n", None), Err("header_not_first"));
        assert_eq!(header("a,,c\n1,2,3\n", None), Err("empty_header"));
        assert_eq!(header("a,b, A\n1,2,3\n", None), Err("duplicate_header"));
        assert_eq!(header("\"a\nx\",b\n1,2\n", None), Err("bad_header"));
        assert_eq!(
            header(&format!("{}b\n", "a,".repeat(500)), None),
            Err("too_many_columns")
        );
        assert_eq!(
            header(&format!("{},b\n", "a".repeat(201)), None),
            Err("header_too_long")
        );
    }

    #[test]
    fn the_person_may_say_where_the_header_is() {
        let text = "Students by State,,\n\na,b,2010\n1,2,3\n";
        let found = header(text, Some(3)).unwrap();
        assert_eq!(found.names, ["a", "b", "2010"]);
        assert_eq!(
            &text[usize::try_from(found.data_start).unwrap()..],
            "1,2,3\n"
        );
        assert_eq!(header(text, Some(2)), Err("empty_header"));
        assert_eq!(header(text, Some(9)), Err("no_header"));
        let found = header("1,2\n3,4\n", Some(0)).unwrap();
        assert_eq!((found.names[1].as_str(), found.data_start), ("Column 2", 0));
    }
}

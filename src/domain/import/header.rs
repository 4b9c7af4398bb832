//! The header row: the names of a file's columns, and where its data begin. A file whose header is
//! missing, not first, or unclear is refused, unless the person said which row it is. Names that
//! can't stand as they are (none, two alike, with line breaks) are made good, and it is said.

use std::collections::HashMap;

use csv::StringRecord;

use super::dialect::Dialect;
use super::{MAX_FIELDS, Refusal, Warning, infer};

/// How a table tells the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One of its rows is the header. `width`: the cells of its widest row, where rows are only as
    /// long as they are filled (sheets).
    Headed { width: Option<usize> },
    /// They are no row of it (objects, cards).
    Named(Vec<String>),
}

impl Default for Shape {
    fn default() -> Self {
        Shape::Headed { width: None }
    }
}

/// The names and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// White space around them removed; unique, none empty.
    pub names: Vec<String>,
    /// Which columns, from 0, have no name of their own.
    pub unnamed: Vec<usize>,
    pub warnings: Vec<Warning>,
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
/// Refuses `empty_file`, `no_header`, `header_not_first`, `empty_header` (the row that was said is
/// blank), `header_too_long`, `too_many_columns`.
pub fn read(
    sample: &[u8],
    whole: bool,
    dialect: &Dialect,
    row: Option<u32>,
    shape: &Shape,
) -> Result<Header, Refusal> {
    let width = match shape {
        Shape::Named(names) => {
            let written = names.iter().map(String::as_str).collect();
            return named(written, 0, 0);
        }
        Shape::Headed { width } => *width,
    };
    let record = find(sample, whole, dialect, row)?;
    let mut written: Vec<&str> = record.fields.iter().collect();
    while written.len() < width.unwrap_or(0) {
        written.push("");
    }
    if row == Some(0) {
        let blank = vec![""; written.len()];
        let header = named(blank, 0, record.start)?;
        return Ok(Header {
            unnamed: Vec::new(),
            ..header
        });
    }
    if row.is_none() {
        refuse_titles(&record, width)?;
        refuse_data(&record)?;
    }
    named(written, record.number, record.end)
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

fn refuse_titles(record: &Found, width: Option<usize>) -> Result<(), Refusal> {
    let filled = record
        .fields
        .iter()
        .filter(|name| !name.trim().is_empty())
        .count();
    let cells = width.unwrap_or(0).max(record.fields.len());
    let titles = match width {
        None => filled == 1 && cells > 2,
        // A sheet that does not begin at its top, or whose first row is mostly empty.
        Some(_) => record.number > 1 || filled.saturating_mul(2) < cells,
    };
    if filled == 0 || titles {
        return Err(Refusal::at(
            "/header_row",
            "header_not_first",
            format!(
                "Line {} is hardly the header ({filled} of {cells} cells are filled); say with `header_row` where it is (0: there is none)",
                record.number
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
        Some(value) => Err(Refusal::at(
            "/header_row",
            "no_header",
            format!(
                "\"{value}\" in line {} looks like data, not like the name of a column; say with `header_row` where the header is (0: there is none)",
                record.number
            ),
        )),
    }
}

/// Makes names of what is written.
fn named(written: Vec<&str>, record: u32, data_start: u64) -> Result<Header, Refusal> {
    if written.len() > MAX_FIELDS {
        return Err(Refusal::file(
            "too_many_columns",
            format!(
                "The header has {} columns; at most {MAX_FIELDS} are taken",
                written.len()
            ),
        ));
    }
    let mut header = Header {
        names: Vec::with_capacity(written.len()),
        unnamed: Vec::new(),
        warnings: Vec::new(),
        record,
        data_start,
    };
    let mut seen = HashMap::new();
    for (index, written) in written.into_iter().enumerate() {
        let position = index + 1;
        let mut name = cleaned(written);
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(Refusal::at(
                "/header_row",
                "header_too_long",
                format!("The name of column {position} is longer than {MAX_NAME_CHARS} characters"),
            ));
        }
        if name != written.trim() {
            header.warnings.push(Warning::new(
                "header_cleaned",
                format!(
                    "The name of column {position} holds line breaks; it is read as \"{name}\""
                ),
            ));
        }
        if name.is_empty() {
            header.unnamed.push(index);
            name = format!("Column {position}");
        }
        let mut unique = name.clone();
        let mut number = 1;
        while let Some(first) = seen.get(&unique.to_lowercase()) {
            if number == 1 {
                header.warnings.push(Warning::new(
                    "duplicate_header",
                    format!("Columns {first} and {position} are both called \"{name}\"; the second gets a number"),
                ));
            }
            number += 1;
            unique = format!("{name} ({number})");
        }
        seen.insert(unique.to_lowercase(), position);
        header.names.push(unique);
    }
    Ok(header)
}

/// Line breaks and other characters that people can't see are spaces in a name.
fn cleaned(written: &str) -> String {
    let name = written.trim();
    if !name.chars().any(char::is_control) {
        return name.to_owned();
    }
    let words: Vec<&str> = name
        .split(|char: char| char.is_whitespace() || char.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::super::options::Quote;
    use super::*;

    fn header(text: &str, row: Option<u32>) -> Result<Header, &'static str> {
        let dialect = dialect::detect(text.as_bytes(), true, None, Quote::Double).unwrap();
        read(text.as_bytes(), true, &dialect, row, &Shape::default())
            .map_err(|refusal| refusal.code)
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

    #[test]
    fn a_name_that_can_not_stand_is_made_good_and_it_is_said() {
        let found = header("a,,\"b\n c\", A,a\n1,2,3,4,5\n", None).unwrap();
        assert_eq!(found.names, ["a", "Column 2", "b c", "A (2)", "a (3)"]);
        assert_eq!(found.unnamed, [1]);
        let codes: Vec<&str> = found.warnings.iter().map(|one| one.code.as_ref()).collect();
        assert_eq!(
            codes,
            ["header_cleaned", "duplicate_header", "duplicate_header"]
        );
    }

    #[test]
    fn the_header_of_a_sheet_is_its_first_row_if_that_is_filled() {
        let sheet = |text: &str, width| {
            let dialect =
                dialect::detect(text.as_bytes(), true, Some(b','), Quote::Double).unwrap();
            let shape = Shape::Headed { width: Some(width) };
            read(text.as_bytes(), true, &dialect, None, &shape).map_err(|refusal| refusal.code)
        };
        assert_eq!(
            sheet("a,b\n1,2,3\n", 3).unwrap().names,
            ["a", "b", "Column 3"]
        );
        assert_eq!(sheet("Sales of May\na,b,c\n", 3), Err("header_not_first"));
        assert_eq!(sheet("\na,b,c\n", 3), Err("header_not_first"));
    }
}

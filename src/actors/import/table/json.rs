//! JSON as a table: an array of objects, or objects one after the other. The file is cut into its
//! objects by a scan of its brackets, so that memory holds one of them at a time and a file that
//! breaks off is known to the line where it does.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::rewrite::Rows;
use super::{Scratch, Table, UTF_8, WRITTEN};
use crate::actors::import::reader::{ReadError, place};
use crate::domain::import::flatten::{self, flatten};
use crate::domain::import::format::Format;
use crate::domain::import::header::Shape;
use crate::domain::import::options::Nested;
use crate::domain::import::{MAX_RECORD_BYTES, Refusal};

/// Writes the objects of a file as rows. Refuses `bad_json`, `not_objects`, `record_too_long`,
/// `nested_too_deep`, `too_many_columns`; `nested_objects` when `nested` is not said and there are.
pub(super) fn read(
    path: &Path,
    nested: Option<Nested>,
    scratch: &Scratch,
) -> Result<Table, ReadError> {
    let mut rows = Rows::new(scratch.file()?);
    let mut scan = Scan::default();
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut count = 0_u64;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        let length = chunk.len();
        let mut rest = chunk;
        while !rest.is_empty() {
            let (used, ended) = scan.feed(rest).map_err(|fault| fault.explain(path))?;
            rest = rest.get(used..).unwrap_or_default();
            if ended {
                count += 1;
                row(&mut rows, &scan, nested, path)?;
            }
        }
        reader.consume(length);
    }
    scan.finish().map_err(|fault| fault.explain(path))?;
    if count == 0 {
        return Err(Refusal::file("empty_file", "There is no object in the file").into());
    }
    let (file, names) = rows.finish()?;
    Ok(Table {
        format: Format::Json,
        encoding: UTF_8,
        dialect: WRITTEN,
        shape: Shape::Named(names),
        warnings: Vec::new(),
        rewritten: Some(file),
    })
}

fn row(rows: &mut Rows, scan: &Scan, nested: Option<Nested>, path: &Path) -> Result<(), ReadError> {
    let at = |code, text: &str| -> ReadError {
        match place(path, scan.start) {
            Ok((line, column)) => {
                Refusal::file(code, format!("{text}: line {line}, column {column}")).into()
            }
            Err(error) => error.into(),
        }
    };
    let text =
        std::str::from_utf8(&scan.object).map_err(|_| at("bad_json", "The object is not UTF-8"))?;
    let mut refused = None;
    let found = flatten(text, nested == Some(Nested::Flatten), &mut |path, text| {
        if let Err(refusal) = rows.set(path, text) {
            refused.get_or_insert(refusal);
        }
    });
    if let Some(refusal) = refused {
        return Err(refusal.into());
    }
    match found {
        Ok(true) if nested.is_none() => Err(Refusal::at(
            "/nested",
            "nested_objects",
            "Objects in the file hold other objects; say with `nested` whether they become columns by their path (`flatten`) or stay as JSON text (`json`)",
        )
        .into()),
        Ok(_) => rows.end_row(),
        Err(flatten::Fault::TooDeep) => Err(at(
            "nested_too_deep",
            "An object holds objects deeper than 16",
        )),
        Err(flatten::Fault::Broken(why)) => Err(at(
            "bad_json",
            &format!("This object is not JSON ({why})"),
        )),
    }
}

/// Cuts a text into its objects.
#[derive(Debug, Default)]
struct Scan {
    /// The bytes of the object.
    object: Vec<u8>,
    /// Where it begins in the file.
    start: u64,
    offset: u64,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Inside the array around the objects.
    in_array: bool,
    array_ended: bool,
    any: bool,
    /// A comma came since the last object.
    comma: bool,
}

#[derive(Debug)]
struct Fault {
    offset: u64,
    code: &'static str,
    text: &'static str,
}

impl Fault {
    fn explain(self, path: &Path) -> ReadError {
        match place(path, self.offset) {
            Ok((line, column)) => Refusal::file(
                self.code,
                format!("{}: line {line}, column {column}", self.text),
            )
            .into(),
            Err(error) => error.into(),
        }
    }
}

impl Scan {
    /// Takes bytes up to the end of an object: how many, and whether it ended.
    fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        if self.depth == 0 {
            return self.between(bytes);
        }
        for (index, byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.take(bytes.get(..=index).unwrap_or_default())?;
                        return Ok((index + 1, true));
                    }
                }
                _ => {}
            }
        }
        self.take(bytes)?;
        Ok((bytes.len(), false))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.object.extend_from_slice(bytes);
        self.offset += u64::try_from(bytes.len()).unwrap_or(0);
        if self.offset - self.start > MAX_RECORD_BYTES {
            return Err(Fault {
                offset: self.start,
                code: "record_too_long",
                text: "An object is longer than 1 MiB",
            });
        }
        Ok(())
    }

    /// What stands between objects.
    fn between(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        for (index, byte) in bytes.iter().enumerate() {
            let fault = |text| Fault {
                offset: self.offset,
                code: "bad_json",
                text,
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                0xEF | 0xBB | 0xBF if self.offset < 3 => {}
                b'[' if !self.any && !self.in_array && !self.array_ended => self.in_array = true,
                b']' if self.in_array && !(self.any && self.comma) => {
                    self.in_array = false;
                    self.array_ended = true;
                }
                b',' if self.in_array && self.any && !self.comma => self.comma = true,
                b'{' if self.array_ended => return Err(fault("Something follows the array")),
                b'{' if self.in_array && self.any && !self.comma => {
                    return Err(fault("A comma is missing between two objects"));
                }
                b'{' => {
                    self.any = true;
                    self.comma = false;
                    self.start = self.offset;
                    self.depth = 1;
                    self.object.clear();
                    self.object.push(b'{');
                    self.offset += 1;
                    return Ok((index + 1, false));
                }
                b'0'..=b'9' | b'"' | b'[' | b't' | b'f' | b'n' | b'-' => {
                    return Err(Fault {
                        code: "not_objects",
                        ..fault("The rows of the file must be objects")
                    });
                }
                _ => return Err(fault("This is not JSON")),
            }
            self.offset += 1;
        }
        Ok((bytes.len(), false))
    }

    /// The file may end here.
    fn finish(&self) -> Result<(), Fault> {
        let cut = |offset, text| {
            Err(Fault {
                offset,
                code: "bad_json",
                text,
            })
        };
        if self.depth > 0 {
            return cut(self.start, "The file breaks off inside this object");
        }
        if self.in_array {
            return cut(
                self.offset,
                "The file breaks off before the end of its array",
            );
        }
        Ok(())
    }
}

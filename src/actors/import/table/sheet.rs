//! Workbooks as a table: one sheet, row by row as it stands there, each value as people would write
//! it (dates in ISO 8601, numbers with every digit that is stored). An XLSX sheet is streamed; its
//! parts are unpacked once beforehand, for no workbook says truly how large it is. Formulas are
//! never evaluated: what counts is the result that was saved.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{
    Data, DataRef, ExcelDateTime, Ods, Reader, SheetType, SheetVisible, Xls, Xlsx, XlsxError,
};
use memchr::memmem;
use tempfile::TempPath;

use super::archive::{allowance, copy_bounded, expands_too_far, open_zip};
use super::rewrite::{Rewrite, write_row};
use super::{Scratch, Table, UTF_8, WRITTEN};
use crate::actors::import::reader::ReadError;
use crate::domain::import::format::Format;
use crate::domain::import::header::Shape;
use crate::domain::import::{MAX_FIELDS, Refusal, Warning};

/// Memory that the texts which the cells of an XLSX workbook share may take.
const MAX_SHARED: u64 = 256 << 20;
/// Unpacked bytes of any other part that is held whole.
const MAX_PART: u64 = 32 << 20;
/// Bytes of an XLS workbook, and of the content of an ODS one: they are held whole.
const MAX_HELD: u64 = 96 << 20;
/// Cells of an ODS workbook, with those that it only repeats.
const MAX_ODS_CELLS: u64 = 4_000_000;

/// Writes a sheet as rows. Refuses `broken_workbook`, `password_protected`, `workbook_too_large`,
/// `expands_too_far`, `empty_file`, `unknown_sheet`, `ambiguous_sheet`, `too_many_columns`.
pub(super) fn read(
    path: &Path,
    format: Format,
    wanted: Option<&str>,
    scratch: &Scratch,
) -> Result<Table, ReadError> {
    // A library that reads what it knows nothing of may stumble over it.
    catch_unwind(AssertUnwindSafe(|| {
        read_sheet(path, format, wanted, scratch)
    }))
    .unwrap_or_else(|_| Err(broken("it makes no sense").into()))
}

fn read_sheet(
    path: &Path,
    format: Format,
    wanted: Option<&str>,
    scratch: &Scratch,
) -> Result<Table, ReadError> {
    let mut grid = Grid::new(scratch.file()?);
    let mut warnings = Vec::new();
    let file = || Ok::<_, std::io::Error>(BufReader::with_capacity(64 * 1024, File::open(path)?));
    match format {
        Format::Xlsx => {
            let merged = check_xlsx(path)?;
            let mut book = Xlsx::new(file()?).map_err(|error| refused(&error))?;
            let name = choose(&mut book, wanted, |book, name| {
                let mut cells = book.worksheet_cells_reader(name)?;
                while let Some(cell) = cells.next_cell()? {
                    if !Value::from(cell.get_value()).is_empty() {
                        return Ok::<_, XlsxError>(true);
                    }
                }
                Ok(false)
            })?;
            let mut cells = book
                .worksheet_cells_reader(&name)
                .map_err(|error| refused(&error))?;
            while let Some(cell) = cells.next_cell().map_err(|error| refused(&error))? {
                let (row, column) = cell.get_position();
                grid.put(row, column, Value::from(cell.get_value()))?;
            }
            if merged {
                warnings.push(merged_cells());
            }
        }
        Format::Ods => {
            let merged = check_ods(path)?;
            let book = Ods::new(file()?).map_err(|error| refused(&error))?;
            if merged {
                warnings.push(merged_cells());
            }
            held(book, wanted, &mut grid)?;
        }
        _ => {
            if path.metadata()?.len() > MAX_HELD {
                return Err(too_large().into());
            }
            // What is encrypted is an OLE file too, whatever it holds.
            if let Err(error @ XlsxError::Password) = Xlsx::new(file()?) {
                return Err(refused(&error).into());
            }
            held(
                Xls::new(file()?).map_err(|error| refused(&error))?,
                wanted,
                &mut grid,
            )?;
        }
    }
    let sheet = grid.finish()?;
    if let Some((first, count)) = sheet.errors {
        warnings.push(Warning::new(
            "error_cells",
            format!("{count} cells hold an error instead of a value and are left empty; the first is {first}"),
        ));
    }
    Ok(Table {
        format,
        encoding: UTF_8,
        dialect: WRITTEN,
        shape: Shape::Headed {
            width: Some(sheet.width),
        },
        warnings,
        rewritten: Some(sheet.rows),
    })
}

/// A workbook that is held in memory as a whole.
fn held<R>(mut book: R, wanted: Option<&str>, grid: &mut Grid) -> Result<(), ReadError>
where
    R: Reader<BufReader<File>>,
    R::Error: std::fmt::Display,
{
    let name = choose(&mut book, wanted, |book, name| {
        let range = book.worksheet_range(name)?;
        Ok::<_, R::Error>(
            range
                .used_cells()
                .any(|(_, _, cell)| !Value::from(cell).is_empty()),
        )
    })?;
    let range = book
        .worksheet_range(&name)
        .map_err(|error| refused(&error))?;
    let (top, left) = range.start().unwrap_or_default();
    for (row, cells) in (top..).zip(range.rows()) {
        for (column, cell) in (left..).zip(cells) {
            grid.put(row, column, Value::from(cell))?;
        }
    }
    Ok(())
}

/// The sheet that was named, or the only one with anything in it.
fn choose<B, E: std::fmt::Display>(
    book: &mut B,
    wanted: Option<&str>,
    mut filled: impl FnMut(&mut B, &str) -> Result<bool, E>,
) -> Result<String, Refusal>
where
    B: Reader<BufReader<File>>,
{
    let sheets = book.sheets_metadata().to_vec();
    let mut found = Vec::new();
    for sheet in sheets
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
    {
        if wanted.is_none() && filled(book, &sheet.name).map_err(|error| refused(&error))? {
            found.push(sheet);
        }
        if wanted == Some(sheet.name.as_str()) {
            return Ok(sheet.name.clone());
        }
    }
    let listed = |sheets: &[&calamine::Sheet]| {
        let names: Vec<String> = sheets
            .iter()
            .take(20)
            .map(|sheet| match sheet.visible {
                SheetVisible::Visible => sheet.name.clone(),
                _ => format!("{} (hidden)", sheet.name),
            })
            .collect();
        names.join(", ")
    };
    match (wanted, found.as_slice()) {
        (Some(wanted), _) => Err(Refusal::at(
            "/sheet",
            "unknown_sheet",
            format!(
                "The workbook has no sheet \"{wanted}\", but {}",
                listed(&sheets.iter().collect::<Vec<_>>())
            ),
        )),
        (None, []) => Err(Refusal::file(
            "empty_file",
            "There is nothing in the workbook",
        )),
        (None, [only]) => Ok(only.name.clone()),
        (None, several) => Err(Refusal::at(
            "/sheet",
            "ambiguous_sheet",
            format!(
                "{} sheets hold something; say which with `sheet`: {}",
                several.len(),
                listed(several)
            ),
        )),
    }
}

fn merged_cells() -> Warning {
    Warning::new(
        "merged_cells",
        "Some cells are merged: their value is taken for the first of them, the others are empty",
    )
}

fn refused(error: &impl std::fmt::Display) -> Refusal {
    let told = error.to_string();
    if told.to_lowercase().contains("password") {
        return Refusal::file(
            "password_protected",
            "The workbook is protected by a password; take it off and send the file again",
        );
    }
    if told.contains("limit exceeded") {
        return too_large();
    }
    broken(&told)
}

fn broken(why: &str) -> Refusal {
    Refusal::file(
        "broken_workbook",
        format!("The workbook can't be read: {why}"),
    )
}

fn too_large() -> Refusal {
    Refusal::file(
        "workbook_too_large",
        "The workbook takes more memory than there is for one; save the sheet as CSV and send that",
    )
}

/// Unpacks every part once, into nothing: none may be larger than there is room for. Whether cells
/// are merged.
fn check_xlsx(path: &Path) -> Result<bool, ReadError> {
    let mut archive = open_zip(path)?;
    let mut left = allowance(path.metadata()?.len());
    let mut merged = false;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| refused(&error))?;
        let name = entry
            .name()
            .map_err(|error| refused(&error))?
            .to_ascii_lowercase();
        let (mut bytes, mut marks) = (0_u64, 0_usize);
        let sheet = name.contains("worksheets/");
        copy_bounded(entry, std::io::sink(), &mut left, |chunk| {
            bytes += u64::try_from(chunk.len()).unwrap_or(0);
            if sheet {
                merged |= memmem::find(chunk, b"mergeCell ").is_some();
            } else {
                marks += memchr::memchr_iter(b'<', chunk).count();
            }
        })?;
        // 24 bytes for each text beside its letters; two tags, at least, make one.
        let held = bytes.saturating_add(u64::try_from(marks).unwrap_or(0).saturating_mul(12));
        let text = name.ends_with(".xml") || name.ends_with(".rels");
        let room = if name.ends_with("sharedstrings.xml") {
            MAX_SHARED
        } else {
            MAX_PART
        };
        if text && !sheet && held > room {
            return Err(too_large().into());
        }
    }
    Ok(merged)
}

/// The same for ODS; its rows and cells may be repeated as often as they say.
fn check_ods(path: &Path) -> Result<bool, ReadError> {
    let mut archive = open_zip(path)?;
    let mut left = allowance(path.metadata()?.len());
    let mut content = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| refused(&error))?;
        let name = entry.name().map_err(|error| refused(&error))?.into_owned();
        if name == "content.xml" {
            let mut room = left.min(MAX_HELD);
            let copied = copy_bounded(entry, &mut content, &mut room, |_| {});
            if matches!(&copied, Err(ReadError::Refused(refusal)) if *refusal == expands_too_far())
            {
                return Err(too_large().into());
            }
            copied?;
        } else {
            copy_bounded(entry, std::io::sink(), &mut left, |_| {})?;
        }
    }
    if ods_cells(&content).is_none_or(|cells| cells > MAX_ODS_CELLS) {
        return Err(too_large().into());
    }
    let marks: [&[u8]; 2] = [b"number-columns-spanned", b"number-rows-spanned"];
    Ok(marks
        .iter()
        .any(|mark| memmem::find(&content, mark).is_some()))
}

/// Cells of the content, repeated ones counted as often: an upper bound. None: beyond all numbers.
fn ods_cells(content: &[u8]) -> Option<u64> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(content);
    let (mut rows, mut columns, mut filled) = (1_u64, 0_u64, 0_u64);
    let (mut all_rows, mut widest, mut gap) = (0_u64, 0_u64, 0_u64);
    let (mut before, mut cells) = (0_u64, 0_u64);
    loop {
        // What is no XML (an encrypted content) is for the reader to name.
        let event = reader.read_event().unwrap_or(Event::Eof);
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                let repeated = |name: &[u8]| -> Option<u64> {
                    let found = tag
                        .attributes()
                        .with_checks(false)
                        .flatten()
                        .find(|attribute| attribute.key.local_name().as_ref() == name);
                    match found {
                        None => Some(1),
                        Some(found) => std::str::from_utf8(&found.value).ok()?.parse().ok(),
                    }
                };
                match tag.local_name().as_ref() {
                    b"table" => {
                        before = before.checked_add(cells)?;
                        (all_rows, widest, gap, cells) = (0, 0, 0, 0);
                    }
                    b"table-row" => {
                        rows = repeated(b"number-rows-repeated")?;
                        (columns, filled) = (0, 0);
                    }
                    b"table-cell" | b"covered-table-cell" => {
                        columns = columns.checked_add(repeated(b"number-columns-repeated")?)?;
                        if matches!(event, Event::Start(_)) {
                            filled = columns;
                        }
                    }
                    _ => {}
                }
            }
            Event::End(ref tag) if tag.local_name().as_ref() == b"table-row" => {
                if filled == 0 {
                    gap = gap.checked_add(rows)?;
                    continue;
                }
                widest = widest.max(filled);
                all_rows = all_rows.checked_add(gap)?.checked_add(rows)?;
                gap = 0;
                cells = all_rows.checked_mul(widest)?;
            }
            Event::Eof => return before.checked_add(cells),
            _ => {}
        }
    }
}

/// A cell's value, whichever reader it comes from.
enum Value<'a> {
    Text(&'a str),
    Whole(i64),
    Number(f64),
    Truth(bool),
    Time(&'a ExcelDateTime),
    /// ISO 8601, as it is stored.
    Iso(&'a str),
    Span(&'a str),
    Error,
    Empty,
}

impl Value<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Value::Empty | Value::Text(""))
    }
}

impl<'a> From<&'a DataRef<'a>> for Value<'a> {
    fn from(cell: &'a DataRef<'a>) -> Self {
        match cell {
            DataRef::Int(number) => Value::Whole(*number),
            DataRef::Float(number) => Value::Number(*number),
            DataRef::String(text) => Value::Text(text),
            DataRef::SharedString(text) => Value::Text(text),
            DataRef::Bool(truth) => Value::Truth(*truth),
            DataRef::DateTime(time) => Value::Time(time),
            DataRef::DateTimeIso(text) => Value::Iso(text),
            DataRef::DurationIso(text) => Value::Span(text),
            DataRef::Error(_) => Value::Error,
            DataRef::Empty => Value::Empty,
        }
    }
}

impl<'a> From<&'a Data> for Value<'a> {
    fn from(cell: &'a Data) -> Self {
        match cell {
            Data::Int(number) => Value::Whole(*number),
            Data::Float(number) => Value::Number(*number),
            Data::String(text) => Value::Text(text),
            Data::Bool(truth) => Value::Truth(*truth),
            Data::DateTime(time) => Value::Time(time),
            Data::DateTimeIso(text) => Value::Iso(text),
            Data::DurationIso(text) => Value::Span(text),
            Data::Error(_) => Value::Error,
            Data::Empty => Value::Empty,
        }
    }
}

/// The rows of a sheet on their way out; blank rows become blank lines, so that a row keeps its
/// number.
struct Grid {
    out: Rewrite,
    row: Vec<String>,
    filled: usize,
    /// Number of the row that is being made, from 0.
    at: u32,
    width: usize,
    /// The first cell that holds an error, and how many do.
    errors: Option<(String, u64)>,
}

impl Grid {
    fn new(out: Rewrite) -> Self {
        Self {
            out,
            row: Vec::new(),
            filled: 0,
            at: 0,
            width: 0,
            errors: None,
        }
    }

    fn put(&mut self, row: u32, column: u32, value: Value<'_>) -> Result<(), ReadError> {
        if value.is_empty() {
            return Ok(());
        }
        if row < self.at {
            return Err(broken("its rows are not in order").into());
        }
        while self.at < row {
            self.end_row()?;
        }
        let index = usize::try_from(column).unwrap_or(usize::MAX);
        if index >= MAX_FIELDS {
            return Err(Refusal::file(
                "too_many_columns",
                format!(
                    "The cell {} lies beyond {MAX_FIELDS} columns; no more are taken",
                    place(row, index)
                ),
            )
            .into());
        }
        while self.row.len() <= index {
            self.row.push(String::new());
        }
        let Some(cell) = self.row.get_mut(index) else {
            return Ok(());
        };
        cell.clear();
        if matches!(value, Value::Error) {
            let errors = self.errors.get_or_insert_with(|| (place(row, index), 0));
            errors.1 += 1;
        }
        write_value(&value, cell);
        if !cell.is_empty() {
            self.filled = self.filled.max(index + 1);
        }
        Ok(())
    }

    fn end_row(&mut self) -> std::io::Result<()> {
        match self.row.get(..self.filled).unwrap_or_default() {
            [] => self.out.write_all(b"\n")?,
            row => write_row(&mut self.out, row)?,
        }
        self.width = self.width.max(self.filled);
        for cell in self.row.iter_mut().take(self.filled) {
            cell.clear();
        }
        self.filled = 0;
        self.at += 1;
        Ok(())
    }

    /// The rows on disk, with the last of them.
    fn finish(mut self) -> Result<Sheet, ReadError> {
        self.end_row()?;
        Ok(Sheet {
            rows: self.out.finish()?,
            width: self.width,
            errors: self.errors,
        })
    }
}

/// A sheet that is written out.
struct Sheet {
    rows: TempPath,
    width: usize,
    /// As in [`Grid`].
    errors: Option<(String, u64)>,
}

fn write_value(value: &Value<'_>, cell: &mut String) {
    // Writing to a String can't fail.
    let _ = match value {
        Value::Text(text) => cell.write_str(text),
        // Midnight is how a date is stored.
        Value::Iso(text) => cell.write_str(text.strip_suffix("T00:00:00").unwrap_or(text)),
        Value::Whole(number) => write!(cell, "{number}"),
        Value::Number(number) => write!(cell, "{number}"),
        Value::Truth(truth) => write!(cell, "{truth}"),
        Value::Time(time) => write_time(time, cell),
        Value::Span(text) => match span(text) {
            Some(seconds) => write_span(seconds.floor(), cell),
            None => cell.write_str(text),
        },
        Value::Error | Value::Empty => Ok(()),
    };
}

fn write_time(time: &ExcelDateTime, cell: &mut String) -> std::fmt::Result {
    if time.is_duration() {
        return write_span((time.as_f64() * 86_400.0).round(), cell);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let midnight = (hour, minute, second) == (0, 0, 0);
    // A time of day has no day.
    if (0.0..1.0).contains(&time.as_f64()) {
        return write!(cell, "{hour:02}:{minute:02}:{second:02}");
    }
    write!(cell, "{year:04}-{month:02}-{day:02}")?;
    if midnight {
        return Ok(());
    }
    write!(cell, "T{hour:02}:{minute:02}:{second:02}")
}

/// `PT10H10M10S` (ISO 8601) in seconds.
fn span(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix("PT")?;
    let mut seconds = 0.0;
    for (unit, worth) in [('H', 3600.0), ('M', 60.0), ('S', 1.0)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds += number.parse::<f64>().ok()? * worth;
            rest = after;
        }
    }
    rest.is_empty().then_some(seconds)
}

fn write_span(seconds: f64, cell: &mut String) -> std::fmt::Result {
    let minutes = (seconds / 60.0).floor();
    let hours = (minutes / 60.0).floor();
    write!(
        cell,
        "{:02}:{:02}:{:02}",
        hours,
        minutes - hours * 60.0,
        seconds - minutes * 60.0
    )
}

/// `A1` of a cell, by row and column from 0.
fn place(row: u32, column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        letters.push(char::from(
            b'A' + u8::try_from((rest - 1) % 26).unwrap_or(0),
        ));
        rest = (rest - 1) / 26;
    }
    let letters: String = letters.into_iter().rev().collect();
    format!("{letters}{}", row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_named_as_people_name_them() {
        for (row, column, name) in [
            (0, 0, "A1"),
            (9, 25, "Z10"),
            (0, 26, "AA1"),
            (1, 701, "ZZ2"),
        ] {
            assert_eq!(place(row, column), name);
        }
    }

    #[test]
    fn spans_of_time_are_hours_minutes_and_seconds() {
        let mut cell = String::new();
        write_value(&Value::Span("PT255H10M10S"), &mut cell);
        assert_eq!(cell, "255:10:10");
    }

    #[test]
    fn what_an_ods_only_repeats_is_counted() {
        let one = br#"<t><table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row></t>"#;
        assert_eq!(ods_cells(one), Some(1_048_576 * 16_384));
        let trailing = br#"<t><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16384"/></table:table-row><table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"/></table:table-row></t>"#;
        assert_eq!(ods_cells(trailing), Some(1));
    }
}

//! Items into a file, in each form that an export has: delimited text (RFC 4180), a workbook, JSON, JSON
//! Lines, cards. Memory does not grow with the file. Which items and columns is not its business.
//! Blocking: call it on the blocking pool.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use rust_xlsxwriter::{Format as CellFormat, Workbook, XlsxError};
use serde_json::value::RawValue;

use crate::actors::import::accept;
use crate::domain::cell::Cell;
use crate::domain::columns::Column;
use crate::domain::export::{Format, LinksAs, titles, write_card};
use crate::domain::item::Item;
use crate::domain::schema::List;
use crate::domain::written::{Names, guarded, written};
use crate::error::AppError;
use crate::ids::UserId;

/// Rows of a sheet below its header, and UTF-16 units of a cell: what Excel takes.
const SHEET_ROWS: u32 = 1_048_575;
const SHEET_CELL: usize = 32_767;

/// A file being written.
pub struct Writer {
    out: Out,
    shown: Arc<List>,
    links: LinksAs,
    people: Arc<HashMap<UserId, String>>,
}

enum Out {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Sheet(Box<Sheet>),
    Json(BufWriter<File>, bool),
    Lines(BufWriter<File>),
    Cards(BufWriter<File>),
}

impl Writer {
    /// Begins a file at `path`. `shown`: the list with the file's columns; `people`: e-mail addresses of
    /// members.
    pub fn create(
        path: &Path,
        format: Format,
        links: LinksAs,
        shown: Arc<List>,
        people: Arc<HashMap<UserId, String>>,
    ) -> Result<Writer, AppError> {
        let file = || File::create(path).map(BufWriter::new);
        let columns: Vec<&Column> = shown.columns.iter().collect();
        let titles = titles(&shown.columns, &columns);
        let out = match format {
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(file().map_err(accept::failed)?);
                let titles = titles.iter().map(|title| guarded(title));
                csv.write_record(titles.map(|title| title.into_owned()))
                    .map_err(csv_failed)?;
                Out::Csv(Box::new(csv))
            }
            Format::Xlsx => Out::Sheet(Box::new(Sheet::new(path, &titles)?)),
            Format::Json => {
                let mut file = file().map_err(accept::failed)?;
                file.write_all(b"[").map_err(accept::failed)?;
                Out::Json(file, true)
            }
            Format::Ndjson => Out::Lines(file().map_err(accept::failed)?),
            Format::Vcard => Out::Cards(file().map_err(accept::failed)?),
        };
        Ok(Writer {
            out,
            shown,
            links,
            people,
        })
    }

    /// Writes items, in their order.
    pub fn write(&mut self, items: &[Item]) -> Result<(), AppError> {
        let people = Arc::clone(&self.people);
        let user = |user: UserId| people.get(&user).map(String::as_str);
        let names = Names {
            user: &user,
            links_as_ids: self.links == LinksAs::Ids,
        };
        let shown = Arc::clone(&self.shown);
        let mut text = String::new();
        for item in items {
            let cells = shown
                .columns
                .iter()
                .map(|column| (column, item.cell(column)));
            text.clear();
            match &mut self.out {
                Out::Csv(csv) => {
                    for (column, cell) in cells {
                        match cell.as_deref() {
                            None => csv.write_field(b""),
                            Some(cell) => {
                                let text = written(column, cell, &names);
                                match cell {
                                    Cell::Number(_) => csv.write_field(text.as_bytes()),
                                    _ => csv.write_field(guarded(&text).as_bytes()),
                                }
                            }
                        }
                        .map_err(csv_failed)?;
                    }
                    csv.write_record(None::<&[u8]>).map_err(csv_failed)?;
                }
                Out::Sheet(sheet) => {
                    sheet.begin_row()?;
                    for (at, (column, cell)) in (0..).zip(cells) {
                        if let Some(cell) = cell {
                            sheet.cell(at, column, &cell, &names)?;
                        }
                    }
                }
                Out::Json(file, first) => {
                    if !std::mem::take(first) {
                        text.push(',');
                    }
                    text.push('\n');
                    write_object(cells, &names, &mut text);
                    file.write_all(text.as_bytes()).map_err(accept::failed)?;
                }
                Out::Lines(file) => {
                    write_object(cells, &names, &mut text);
                    text.push('\n');
                    file.write_all(text.as_bytes()).map_err(accept::failed)?;
                }
                Out::Cards(file) => {
                    let cells: Vec<(&Column, String)> = cells
                        .filter_map(|(column, cell)| {
                            Some((column, written(column, cell?.as_ref(), &names).into_owned()))
                        })
                        .collect();
                    let cells: Vec<(&Column, &str)> = cells
                        .iter()
                        .map(|(column, text)| (*column, text.as_str()))
                        .collect();
                    write_card(&cells, item.title(&shown), &mut text);
                    file.write_all(text.as_bytes()).map_err(accept::failed)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the file; it is on disk then. Its bytes.
    pub fn finish(self) -> Result<u64, AppError> {
        let end = |file: BufWriter<File>, last: &[u8]| -> io::Result<u64> {
            let mut file = file;
            file.write_all(last)?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        };
        match self.out {
            Out::Csv(csv) => match csv.into_inner() {
                Ok(file) => end(file, b"").map_err(accept::failed),
                Err(error) => Err(accept::failed(error.into_error())),
            },
            Out::Json(file, _) => end(file, b"\n]\n").map_err(accept::failed),
            Out::Lines(file) | Out::Cards(file) => end(file, b"").map_err(accept::failed),
            Out::Sheet(sheet) => sheet.finish(),
        }
    }
}

/// An object with the cells that are not empty: numbers and truths as they are, all else as text.
fn write_object<'c>(
    cells: impl Iterator<Item = (&'c Column, Option<std::borrow::Cow<'c, Cell>>)>,
    names: &Names<'_>,
    out: &mut String,
) {
    out.push('{');
    let mut first = true;
    for (column, cell) in cells {
        let Some(cell) = cell else { continue };
        let text = written(column, &cell, names);
        let value = match cell.as_ref() {
            Cell::Number(_) | Cell::Bool(_) => RawValue::from_string(text.into_owned()),
            _ => serde_json::value::to_raw_value(&text),
        };
        // A text is always JSON, and a number is written as one.
        let (Ok(key), Ok(value)) = (serde_json::to_string(&column.key), value) else {
            continue;
        };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.push_str(&key);
        out.push(':');
        out.push_str(value.get());
    }
    out.push('}');
}

/// A workbook that goes to the disk row by row; what does not fit one sheet goes on in the next.
struct Sheet {
    book: Workbook,
    path: PathBuf,
    titles: Vec<String>,
    sheets: usize,
    /// The row being written, from 1: the header is 0.
    row: u32,
    date: CellFormat,
    time: CellFormat,
}

impl Sheet {
    fn new(path: &Path, titles: &[&str]) -> Result<Sheet, AppError> {
        let mut sheet = Sheet {
            book: Workbook::new(),
            path: path.to_owned(),
            titles: titles.iter().map(|title| (*title).to_owned()).collect(),
            sheets: 0,
            row: 0,
            date: CellFormat::new().set_num_format("yyyy-mm-dd"),
            time: CellFormat::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
        };
        if let Some(folder) = path.parent() {
            sheet.book.set_tempdir(folder).map_err(sheet_failed)?;
        }
        sheet.begin_sheet()?;
        Ok(sheet)
    }

    fn begin_sheet(&mut self) -> Result<(), AppError> {
        let sheet = self
            .book
            .add_worksheet_with_constant_memory()
            .map_err(sheet_failed)?;
        let bold = CellFormat::new().set_bold();
        for (at, title) in (0..).zip(&self.titles) {
            sheet
                .write_string_with_format(0, at, title, &bold)
                .map_err(sheet_failed)?;
        }
        sheet.set_freeze_panes(1, 0).map_err(sheet_failed)?;
        self.sheets += 1;
        self.row = 0;
        Ok(())
    }

    fn begin_row(&mut self) -> Result<(), AppError> {
        if self.row == SHEET_ROWS {
            self.begin_sheet()?;
        }
        self.row += 1;
        Ok(())
    }

    fn cell(
        &mut self,
        at: u16,
        column: &Column,
        cell: &Cell,
        names: &Names<'_>,
    ) -> Result<(), AppError> {
        let row = self.row;
        let sheet = self
            .book
            .worksheet_from_index(self.sheets.saturating_sub(1))
            .map_err(sheet_failed)?;
        let done = match cell {
            Cell::Number(number) => {
                let number: Result<f64, _> = number.to_string().parse();
                sheet.write_number(row, at, number.unwrap_or_default())
            }
            Cell::Bool(bool) => sheet.write_boolean(row, at, *bool),
            Cell::Date(date) if is_of_excel(*date) => {
                let days = serial(date.and_time(chrono::NaiveTime::MIN));
                sheet.write_number_with_format(row, at, days, &self.date)
            }
            Cell::DateTime(time)
                if is_of_excel(time.date_naive()) && time.timestamp_subsec_nanos() == 0 =>
            {
                let days = serial(time.naive_utc());
                sheet.write_number_with_format(row, at, days, &self.time)
            }
            cell => {
                let text = written(column, cell, names);
                if text.encode_utf16().count() > SHEET_CELL {
                    let detail = format!(
                        "Row {row}: the text in \"{}\" is longer than a cell of a workbook takes ({SHEET_CELL} characters); export another format",
                        column.name
                    );
                    return Err(AppError::field("/format", "too_long", detail));
                }
                sheet.write_string(row, at, text.as_ref())
            }
        };
        done.map(drop).map_err(sheet_failed)
    }

    fn finish(mut self) -> Result<u64, AppError> {
        self.book.save(&self.path).map_err(sheet_failed)?;
        let file = File::open(&self.path).map_err(accept::failed)?;
        file.sync_all().map_err(accept::failed)?;
        Ok(file.metadata().map_err(accept::failed)?.len())
    }
}

/// Excel's calendar is right from March 1900 on.
fn is_of_excel(date: NaiveDate) -> bool {
    NaiveDate::from_ymd_opt(1900, 3, 1).is_some_and(|first| date >= first)
}

/// Days since the end of 1899.
fn serial(time: NaiveDateTime) -> f64 {
    let epoch = DateTime::UNIX_EPOCH.naive_utc();
    let seconds = (time - epoch).num_seconds() + 25_569 * 86_400;
    // Whole seconds of four-digit years: far below 2^53.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let seconds = seconds as f64;
    seconds / 86_400.0
}

fn csv_failed(error: csv::Error) -> AppError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => accept::failed(error),
        other => AppError::internal(anyhow::anyhow!("{other:?}")),
    }
}

fn sheet_failed(error: XlsxError) -> AppError {
    match error {
        XlsxError::IoError(error) => accept::failed(error),
        other => AppError::internal(other),
    }
}

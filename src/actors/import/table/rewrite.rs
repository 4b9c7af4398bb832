//! A file that is written while another is read: bounded, told to the disk as it grows, removed
//! unless it is kept; and the rows of a table in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::TempPath;
use uuid::Uuid;

use super::super::accept::SYNC_EVERY;
use super::super::reader::ReadError;
use crate::domain::import::{MAX_FIELDS, Refusal};

/// Bytes that a rewritten file may have.
const MAX_BYTES: u64 = 8 << 30;

/// The file.
pub(in super::super) struct Rewrite {
    file: BufWriter<File>,
    path: TempPath,
    size: u64,
    unsynced: u64,
}

impl Rewrite {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(Uuid::now_v7().to_string());
        let file = File::create_new(&path)?;
        Ok(Self {
            file: BufWriter::with_capacity(256 * 1024, file),
            path: TempPath::try_from_path(path)?,
            size: 0,
            unsynced: 0,
        })
    }

    /// Whole, on disk for good.
    pub(super) fn finish(mut self) -> io::Result<TempPath> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.path)
    }
}

impl Write for Rewrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let count = u64::try_from(written).unwrap_or(0);
        self.size += count;
        self.unsynced += count;
        if self.size > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.flush()?;
            self.file.get_ref().sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Rows of a table whose columns are found as they come: a row is as long as its last filled cell.
pub(super) struct Rows {
    out: Rewrite,
    columns: HashMap<String, usize>,
    pub names: Vec<String>,
    row: Vec<String>,
    filled: usize,
}

impl Rows {
    pub(super) fn new(out: Rewrite) -> Self {
        Self {
            out,
            columns: HashMap::new(),
            names: Vec::new(),
            row: Vec::new(),
            filled: 0,
        }
    }

    /// Sets a cell of the row that is being made. Refuses `too_many_columns`.
    pub(super) fn set(&mut self, column: &str, text: &str) -> Result<(), Refusal> {
        let index = match self.columns.get(column) {
            Some(index) => *index,
            None => {
                if self.names.len() == MAX_FIELDS {
                    return Err(Refusal::file(
                        "too_many_columns",
                        format!("The file has more than {MAX_FIELDS} columns"),
                    ));
                }
                let index = self.names.len();
                self.columns.insert(column.to_owned(), index);
                self.names.push(column.to_owned());
                self.row.push(String::new());
                index
            }
        };
        if let Some(cell) = self.row.get_mut(index) {
            cell.clear();
            cell.push_str(text);
            self.filled = self.filled.max(index + 1);
        }
        Ok(())
    }

    /// Writes the row and begins the next. A row of nothing is a row all the same: `""`.
    pub(super) fn end_row(&mut self) -> Result<(), ReadError> {
        let row = self.row.get(..self.filled.max(1)).unwrap_or_default();
        write_row(&mut self.out, row)?;
        for cell in &mut self.row {
            cell.clear();
        }
        self.filled = 0;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(TempPath, Vec<String>), ReadError> {
        Ok((self.out.finish()?, self.names))
    }
}

/// Writes a record as RFC 4180 has it; one of nothing is `""`, for a blank line is no record. (Not by
/// the `csv` crate: its writer can't leave a line blank between records, as sheets need it.)
pub(super) fn write_row(out: &mut Rewrite, cells: &[String]) -> io::Result<()> {
    if cells.iter().all(String::is_empty) && cells.len() <= 1 {
        return out.write_all(b"\"\"\n");
    }
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        let quoted = cell
            .bytes()
            .any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'));
        if quoted {
            out.write_all(b"\"")?;
            out.write_all(cell.replace('"', "\"\"").as_bytes())?;
            out.write_all(b"\"")?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

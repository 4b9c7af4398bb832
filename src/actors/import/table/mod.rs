//! From any file to one table: whatever comes in (packed, in another encoding, a workbook, JSON,
//! cards) is written out once as rows of delimited UTF-8 text, and everything after that (types,
//! checkpoints, batches) knows that one form alone. A file that is in that form already is not
//! written again. What its columns mean is not its business. Blocking: call it on the blocking pool.

mod archive;
mod encoding;
mod json;
mod rewrite;
mod sheet;
mod vcard;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::reader::ReadError;
use crate::domain::import::dialect::{self, Dialect, LineEnd};
use crate::domain::import::format::{self, Format, Kind};
use crate::domain::import::header::Shape;
use crate::domain::import::options::Options;
use crate::domain::import::{Refusal, SAMPLE_BYTES, Warning};

/// A table on disk.
#[derive(Debug)]
pub struct Table {
    pub format: Format,
    /// Of the text as it came, by its label in the WHATWG Encoding Standard.
    pub encoding: &'static str,
    pub dialect: Dialect,
    pub shape: Shape,
    /// What a person should know about what was read.
    pub warnings: Vec<Warning>,
    /// The rows, where they had to be written anew; None: the file itself holds them.
    pub rewritten: Option<TempPath>,
}

/// The encoding and the form that tables are written in.
const UTF_8: &str = "UTF-8";
const WRITTEN: Dialect = Dialect {
    delimiter: b',',
    quote: Some(b'"'),
    line_end: LineEnd::Lf,
    start: 0,
};

/// Opens a file of any format. Refuses with the codes of `domain::import`, of each format, and what a
/// person should decide about: `ambiguous_sheet`, `ambiguous_entry`, `nested_objects`,
/// `unknown_encoding`.
pub fn open(path: &Path, options: &Options) -> Result<Table, ReadError> {
    let scratch = Scratch::beside(path);
    let (unpacked, name) = match content(path)? {
        Content::Zip => archive::unzip(path, options.entry.as_deref(), &scratch)?,
        Content::Gzip => (archive::gunzip(path, &scratch)?, String::new()),
        Content::Workbook(format) => return sheet(path, format, options, &scratch),
        Content::Text => return text(path, options, &scratch),
    };
    match content(&unpacked)? {
        Content::Zip | Content::Gzip => Err(Refusal::file(
            "nested_archive",
            format!("The archive holds another archive {name}; unpack it and send the file in it"),
        )
        .into()),
        Content::Workbook(format) => sheet(&unpacked, format, options, &scratch),
        Content::Text => {
            let mut table = text(&unpacked, options, &scratch)?;
            table.rewritten = table.rewritten.or(Some(unpacked));
            Ok(table)
        }
    }
}

/// What a file is, as far as it must be known to open it.
enum Content {
    Zip,
    Gzip,
    Workbook(Format),
    Text,
}

fn content(path: &Path) -> Result<Content, ReadError> {
    Ok(match format::recognise(&sample(path)?.0)? {
        Kind::Zip => archive::workbook(path)?.map_or(Content::Zip, Content::Workbook),
        Kind::Gzip => Content::Gzip,
        Kind::Compound => Content::Workbook(Format::Xls),
        Kind::Text => Content::Text,
    })
}

fn sheet(
    path: &Path,
    format: Format,
    options: &Options,
    scratch: &Scratch,
) -> Result<Table, ReadError> {
    // An encrypted XLSX is the kind of file that an XLS is: it is refused as what it is.
    let declared = options
        .declared
        .filter(|declared| !(format == Format::Xls && *declared == Format::Xlsx));
    format.agrees_with(declared)?;
    sheet::read(path, format, options.sheet.as_deref(), scratch)
}

fn text(path: &Path, options: &Options, scratch: &Scratch) -> Result<Table, ReadError> {
    let found = encoding::find(path, options.encoding.as_deref())?;
    let decoded = encoding::to_utf8(path, found, scratch)?;
    let here = decoded.as_deref().unwrap_or(path);
    let (start, whole) = sample(here)?;
    let format = format::text_format(&start, options.declared);
    if start.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::file("empty_file", "There is nothing in the file").into());
    }
    format.agrees_with(options.declared)?;
    let mut table = match format {
        Format::Json => json::read(here, options.nested, scratch)?,
        Format::Vcard => vcard::read(here, scratch)?,
        _ => Table {
            format,
            encoding: UTF_8,
            dialect: dialect::detect(&start, whole, options.delimiter, options.quote)?,
            shape: Shape::default(),
            warnings: Vec::new(),
            rewritten: decoded,
        },
    };
    table.encoding = found.name();
    Ok(table)
}

/// The first bytes, and whether they are all.
pub(super) fn sample(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let mut sample = Vec::new();
    Read::by_ref(&mut file)
        .take(u64::try_from(SAMPLE_BYTES).unwrap_or(u64::MAX))
        .read_to_end(&mut sample)?;
    let whole = file.read(&mut [0])? == 0;
    Ok((sample, whole))
}

/// Where files of this import may be written: named as uploads are, so that what a crash leaves is
/// swept as uploads are.
pub(super) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn beside(path: &Path) -> Self {
        Self {
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
        }
    }

    fn file(&self) -> io::Result<rewrite::Rewrite> {
        rewrite::Rewrite::create(&self.folder)
    }
}

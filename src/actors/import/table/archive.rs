//! Packed files, without trust: what comes out of one is bounded by what went in, its entries are
//! counted before anything of them is held, and nothing is ever written under a name of its own.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use memchr::memmem;
use tempfile::TempPath;
use zip::ZipArchive;

use super::Scratch;
use crate::actors::import::reader::ReadError;
use crate::domain::import::Refusal;
use crate::domain::import::format::Format;

/// Unpacked bytes that are always allowed.
const FLOOR: u64 = 64 << 20;
/// And as many for each packed byte; tables of text shrink to a tenth or a thirtieth.
const RATIO: u64 = 200;
/// Entries of an archive.
const MAX_ENTRIES: usize = 10_000;

/// What a file of that many packed bytes may become.
pub(super) fn allowance(packed: u64) -> u64 {
    FLOOR.saturating_add(packed.saturating_mul(RATIO))
}

pub(super) fn expands_too_far() -> Refusal {
    Refusal::file(
        "expands_too_far",
        "The file unpacks to far more than a table of its size would",
    )
}

/// Copies what is unpacked, up to the allowance; hands each chunk to `look` first.
pub(super) fn copy_bounded(
    mut from: impl Read,
    mut into: impl Write,
    left: &mut u64,
    mut look: impl FnMut(&[u8]),
) -> Result<(), ReadError> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(broken().into()),
        };
        let bytes = u64::try_from(count).unwrap_or(u64::MAX);
        *left = left.checked_sub(bytes).ok_or_else(expands_too_far)?;
        let chunk = buffer.get(..count).unwrap_or_default();
        look(chunk);
        into.write_all(chunk)?;
    }
}

fn broken() -> Refusal {
    Refusal::file(
        "broken_archive",
        "The file is damaged: it can't be unpacked to its end",
    )
}

pub(super) fn gunzip(path: &Path, scratch: &Scratch) -> Result<TempPath, ReadError> {
    let file = File::open(path)?;
    let mut left = allowance(file.metadata()?.len());
    let mut out = scratch.file()?;
    copy_bounded(
        MultiGzDecoder::new(BufReader::with_capacity(256 * 1024, file)),
        &mut out,
        &mut left,
        |_| {},
    )?;
    Ok(out.finish()?)
}

/// Opens an archive once its entries are counted: each takes memory.
pub(super) fn open_zip(path: &Path) -> Result<ZipArchive<BufReader<File>>, ReadError> {
    if entries(path)? > MAX_ENTRIES {
        return Err(Refusal::file(
            "too_many_entries",
            format!("The archive has more than {MAX_ENTRIES} entries"),
        )
        .into());
    }
    ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|_| broken().into())
}

/// Headers of entries in the central directory (APPNOTE 4.3.12), wherever in the file: what the
/// archive says of their number is not believed.
fn entries(path: &Path) -> io::Result<usize> {
    const MARK: &[u8] = b"PK\x01\x02";
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut kept = 0;
    let mut count = 0;
    loop {
        let read = file.read(buffer.get_mut(kept..).unwrap_or_default())?;
        if read == 0 {
            return Ok(count);
        }
        let filled = kept + read;
        let bytes = buffer.get(..filled).unwrap_or_default();
        count += memmem::find_iter(bytes, MARK).count();
        kept = (MARK.len() - 1).min(filled);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

/// The workbook that an archive is, if it is one.
pub(super) fn workbook(path: &Path) -> Result<Option<Format>, ReadError> {
    let mut archive = open_zip(path)?;
    if archive.index_for_name("xl/workbook.xml").is_some()
        || archive.index_for_name("[Content_Types].xml").is_some()
    {
        return Ok(Some(Format::Xlsx));
    }
    let Ok(entry) = archive.by_name("mimetype") else {
        return Ok(None);
    };
    let mut text = String::new();
    let told = entry.take(200).read_to_string(&mut text).is_ok();
    Ok((told && text.contains("opendocument.spreadsheet")).then_some(Format::Ods))
}

/// The one file in an archive, or the one that is named. Refuses `empty_archive`,
/// `ambiguous_entry`, `unknown_entry`, `password_protected`.
pub(super) fn unzip(
    path: &Path,
    wanted: Option<&str>,
    scratch: &Scratch,
) -> Result<(TempPath, String), ReadError> {
    let mut archive = open_zip(path)?;
    let mut names: Vec<(usize, String)> = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| broken())?;
        let name = entry.name().map_err(|_| broken())?.into_owned();
        let last = name.rsplit('/').next().unwrap_or_default();
        if entry.is_file() && !last.starts_with('.') && !name.starts_with("__MACOSX/") {
            names.push((index, name));
        }
    }
    if let Some(wanted) = wanted {
        names.retain(|(_, name)| name == wanted);
    }
    let (index, name) = match names.as_slice() {
        [(index, name)] => (*index, name.clone()),
        [] => {
            return Err(match wanted {
                None => Refusal::file("empty_archive", "There is no file in the archive"),
                Some(wanted) => Refusal::at(
                    "/entry",
                    "unknown_entry",
                    format!("The archive holds no file \"{wanted}\""),
                ),
            }
            .into());
        }
        several => {
            let listed: Vec<&str> = several
                .iter()
                .take(10)
                .map(|(_, name)| name.as_str())
                .collect();
            return Err(Refusal::at(
                "/entry",
                "ambiguous_entry",
                format!(
                    "The archive holds {} files; say which with `entry`: {}",
                    several.len(),
                    listed.join(", ")
                ),
            )
            .into());
        }
    };
    let mut left = allowance(path.metadata()?.len());
    let entry = archive.by_index(index).map_err(|error| match error {
        zip::result::ZipError::UnsupportedArchive(_) => Refusal::file(
            "password_protected",
            "The archive is encrypted or packed in a way that can't be read",
        ),
        _ => broken(),
    })?;
    let mut out = scratch.file()?;
    copy_bounded(entry, &mut out, &mut left, |_| {})?;
    Ok((out.finish()?, name))
}

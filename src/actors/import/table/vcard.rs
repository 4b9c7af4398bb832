//! Address cards as a table of contacts, card by card.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::rewrite::Rows;
use super::{Scratch, Table, UTF_8, WRITTEN};
use crate::actors::import::reader::ReadError;
use crate::domain::import::format::Format;
use crate::domain::import::header::Shape;
use crate::domain::import::vcard::{Card, Cards};
use crate::domain::import::{MAX_RECORD_BYTES, Refusal, Warning};

/// Writes the cards of a file as rows. Refuses `record_too_long`, `too_many_columns`.
pub(super) fn read(path: &Path, scratch: &Scratch) -> Result<Table, ReadError> {
    let mut rows = Rows::new(scratch.file()?);
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut cards = Cards::default();
    let mut line = Vec::new();
    let mut number = 0_u64;
    let mut found = 0_u64;
    loop {
        line.clear();
        let read = Read::by_ref(&mut reader)
            .take(MAX_RECORD_BYTES)
            .read_until(b'\n', &mut line)?;
        number += 1;
        if read == 0 {
            break;
        }
        if !line.ends_with(b"\n") && u64::try_from(read).is_ok_and(|read| read >= MAX_RECORD_BYTES)
        {
            return Err(Refusal::file(
                "record_too_long",
                format!("Line {number} is longer than {MAX_RECORD_BYTES} bytes"),
            )
            .into());
        }
        // It was found to be UTF-8, or made so, before.
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        if let Some(card) = cards.line(text) {
            found += 1;
            write(&mut rows, card)?;
        }
    }
    if let Some(card) = cards.end() {
        found += 1;
        write(&mut rows, card)?;
    }
    if found == 0 {
        return Err(Refusal::file("empty_file", "There is no card in the file").into());
    }
    let mut warnings = Vec::new();
    if cards.unfinished > 0 {
        warnings.push(Warning::new(
            "unfinished_card",
            "The last card has no end; what there is of it was taken",
        ));
    }
    if !cards.left_out.is_empty() {
        let names: Vec<&str> = cards.left_out.iter().map(String::as_str).collect();
        warnings.push(Warning::new(
            "left_out",
            format!(
                "Pictures, sounds and keys of the cards are left out: {}",
                names.join(", ")
            ),
        ));
    }
    let (file, names) = rows.finish()?;
    Ok(Table {
        format: Format::Vcard,
        encoding: UTF_8,
        dialect: WRITTEN,
        shape: Shape::Named(names),
        warnings,
        rewritten: Some(file),
    })
}

fn write(rows: &mut Rows, card: Card) -> Result<(), ReadError> {
    for (column, text) in card {
        // NUL can't be stored, and says nothing in a card.
        rows.set(&column, &text.replace('\0', ""))?;
    }
    rows.end_row()
}

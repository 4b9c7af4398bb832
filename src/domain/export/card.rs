//! An item as a vCard 4.0 (RFC 6350). Columns find their properties by the keys that the template of
//! contacts has and that an import of cards fills, the others by their type; what is none of both is
//! left out.

use crate::domain::columns::{Column, ColumnType};
use crate::domain::import::vcard::{ADDRESS, COMPANY, NAME};

/// Writes the card of an item: its columns with their texts, and how the item is called.
pub fn write_card(cells: &[(&Column, &str)], title: Option<&str>, out: &mut String) {
    out.push_str("BEGIN:VCARD\r\nVERSION:4.0\r\n");
    let of = |key: &str| {
        cells
            .iter()
            .find(|(column, _)| column.key == key)
            .map(|(_, text)| *text)
    };
    let names: Vec<&str> = NAME.iter().map(|key| of(key).unwrap_or_default()).collect();
    let spoken = [names.get(1), names.get(2), names.first()];
    let spoken: Vec<&str> = spoken
        .into_iter()
        .flatten()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    let full = of("FullName")
        .map(str::to_owned)
        .filter(|full| !full.is_empty());
    let full = full.or_else(|| (!spoken.is_empty()).then(|| spoken.join(" ")));
    let full = full.unwrap_or_else(|| title.unwrap_or_default().to_owned());
    // It must be there, and once at least.
    property("FN", &escaped(&full), out);
    compound("N", &names, out);
    for (name, keys) in [("ADR", ADDRESS.as_slice()), ("ORG", COMPANY.as_slice())] {
        let parts: Vec<&str> = keys.iter().map(|key| of(key).unwrap_or_default()).collect();
        compound(name, &parts, out);
    }
    for (column, text) in cells.iter().filter(|(_, text)| !text.is_empty()) {
        if let Some(name) = named(column) {
            property(name, &escaped(text), out);
        }
    }
    out.push_str("END:VCARD\r\n");
}

fn named(column: &Column) -> Option<&'static str> {
    match column.key.as_str() {
        "JobTitle" => return Some("TITLE"),
        "Notes" => return Some("NOTE"),
        "Birthday" => return Some("BDAY"),
        "NickName" => return Some("NICKNAME"),
        "MobilePhone" => return Some("TEL;TYPE=cell"),
        "HomePhone" => return Some("TEL;TYPE=home"),
        "OfficePhone" => return Some("TEL;TYPE=work"),
        "Fax" => return Some("TEL;TYPE=fax"),
        "Pager" => return Some("TEL;TYPE=pager"),
        _ => {}
    }
    match column.ty {
        ColumnType::Email => Some("EMAIL"),
        ColumnType::Phone => Some("TEL"),
        ColumnType::Url => Some("URL"),
        _ => None,
    }
}

fn compound(name: &str, parts: &[&str], out: &mut String) {
    if parts.iter().all(|part| part.is_empty()) {
        return;
    }
    let parts = parts.iter().map(|part| escaped(part));
    property(name, &parts.collect::<Vec<_>>().join(";"), out);
}

/// RFC 6350, section 3.4.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' | ',' | ';' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            char if char.is_control() => {}
            char => out.push(char),
        }
    }
    out
}

/// One line, folded after 75 octets (RFC 6350, section 3.2) without splitting a character.
fn property(name: &str, value: &str, out: &mut String) {
    const OCTETS: usize = 75;
    let mut width = 0;
    for char in name.chars().chain([':']).chain(value.chars()) {
        if width + char.len_utf8() > OCTETS {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(char);
        width += char.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::columns::testing::column;
    use crate::domain::import::vcard::Cards;

    #[test]
    fn a_card_is_read_back_as_it_was_written() {
        let text = |key: &str| (column(ColumnType::Text, "null"), key.to_owned());
        let long = format!("Line; one,\nand \\ {}", "é".repeat(100));
        let cells = [
            (text("FirstName"), "José"),
            (text("LastName"), "O'Hara; Jr"),
            (text("City"), "Rye"),
            (text("Notes"), long.as_str()),
            (
                (column(ColumnType::Email, "null"), "Email".to_owned()),
                "jo@example.com",
            ),
        ];
        let columns: Vec<Column> = cells
            .iter()
            .map(|((column, key), _)| Column {
                key: key.clone(),
                ..column.clone()
            })
            .collect();
        let cells: Vec<(&Column, &str)> = columns
            .iter()
            .zip(cells.iter().map(|(_, text)| *text))
            .collect();
        let mut out = String::new();
        write_card(&cells, None, &mut out);
        assert!(out.split("\r\n").all(|line| line.len() <= 75));
        let mut cards = Cards::default();
        let read: Vec<_> = out
            .split("\r\n")
            .filter_map(|line| cards.line(line))
            .collect();
        let card = read.into_iter().chain(cards.end()).next().unwrap();
        let of = |name: &str| {
            card.iter()
                .find(|(key, _)| key == name)
                .map(|(_, text)| text.as_str())
        };
        assert_eq!(of("FullName"), Some("José O'Hara; Jr"));
        assert_eq!(of("LastName"), Some("O'Hara; Jr"));
        assert_eq!(of("Email"), Some("jo@example.com"));
        assert_eq!(of("Notes"), Some(long.as_str()));
    }
}

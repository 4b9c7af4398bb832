//! Cells as they are compared: letters without case and accents, words without order, the abbreviations of
//! addresses written out, titles of persons left out.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnType};
use crate::domain::fold::fold;

/// Words of a cell that are looked at, and letters of a word.
const MAX_WORDS: usize = 16;
const MAX_LETTERS: usize = 32;

/// The words of a text or an address, none empty, in their order.
pub(super) fn words(cell: &Cell) -> Vec<String> {
    match cell {
        Cell::Text(text) => {
            let all = split(text);
            let named: Vec<String> = all.iter().filter(|word| !is_title(word)).cloned().collect();
            if named.is_empty() { all } else { named }
        }
        Cell::Address(address) => {
            let lines = address.named();
            let street = lines.iter().filter(|(name, _)| name.starts_with("line"));
            let place = lines.iter().filter(|(name, _)| !name.starts_with("line"));
            let street = street.flat_map(|(_, line)| split(line)).map(written_out);
            let mut words: Vec<String> = street.collect();
            words.extend(place.flat_map(|(_, line)| split(line)));
            words.truncate(MAX_WORDS);
            words
        }
        _ => Vec::new(),
    }
}

/// What must be the same for two cells to be; `None` of a cell that says nothing.
pub(super) fn key(column: &Column, cell: &Cell) -> Option<String> {
    let key = match cell {
        Cell::Text(text) if column.ty == ColumnType::Email => {
            text.trim().chars().map(fold).collect()
        }
        Cell::Text(text) if [ColumnType::Phone, ColumnType::Url].contains(&column.ty) => {
            text.trim().trim_end_matches('/').to_lowercase()
        }
        Cell::Text(_) | Cell::Address(_) => {
            let mut words = words(cell);
            words.sort_unstable();
            words.join(" ")
        }
        Cell::Fault(_) => String::new(),
        other => {
            let mut stored = String::new();
            other.write_stored(&mut stored);
            stored
        }
    };
    (!key.is_empty()).then_some(key)
}

/// Letters and digits; whatever else stands between words ends them, but for apostrophes and points within.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            '\'' | '\u{2019}' | '`' => {}
            c if c.is_alphanumeric() => push_plain(fold(c), &mut word),
            _ => take(&mut word, &mut words),
        }
        if words.len() >= MAX_WORDS {
            return words;
        }
    }
    take(&mut word, &mut words);
    words
}

fn take(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// Letters that are no letter and an accent, as they are commonly written without them.
fn push_plain(c: char, word: &mut String) {
    if word.len() >= MAX_LETTERS {
        return;
    }
    match c {
        'ß' => word.push_str("ss"),
        'æ' => word.push_str("ae"),
        'œ' => word.push_str("oe"),
        'þ' => word.push_str("th"),
        'ø' => word.push('o'),
        'ł' => word.push('l'),
        'đ' | 'ð' => word.push('d'),
        'ħ' => word.push('h'),
        'ı' => word.push('i'),
        c => word.push(c),
    }
}

fn is_title(word: &str) -> bool {
    ["mr", "mrs", "ms", "miss", "dr", "prof"].contains(&word)
}

/// A word of a street, where it is abbreviated (USPS Publication 28, the most frequent ones).
fn written_out(word: String) -> String {
    let long = match word.as_str() {
        "st" | "str" => "street",
        "ave" | "av" => "avenue",
        "rd" => "road",
        "dr" => "drive",
        "ln" => "lane",
        "blvd" => "boulevard",
        "ct" => "court",
        "pl" => "place",
        "sq" => "square",
        "ter" | "terr" => "terrace",
        "cir" => "circle",
        "pkwy" => "parkway",
        "hwy" => "highway",
        "apt" => "apartment",
        "ste" => "suite",
        "fl" => "floor",
        "n" => "north",
        "s" => "south",
        "e" => "east",
        "w" => "west",
        "ne" => "northeast",
        "nw" => "northwest",
        "se" => "southeast",
        "sw" => "southwest",
        _ => return word,
    };
    long.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cell::{Address, AddressLines};

    fn words_of(text: &str) -> Vec<String> {
        words(&Cell::Text(text.into()))
    }

    #[test]
    fn letters_lose_case_and_accents_and_titles_go() {
        assert_eq!(
            words_of("Dr. José O’Brien-Łukasz"),
            ["jose", "obrien", "lukasz"]
        );
        assert_eq!(words_of("STRAẞE, Şahin Đặng"), ["strasse", "sahin", "dang"]);
        assert_eq!(words_of("J. S. Bach"), ["j", "s", "bach"]);
        assert_eq!(words_of("Mr"), ["mr"], "better than nothing");
        assert!(words_of("…—").is_empty());
    }

    #[test]
    fn streets_are_written_out_and_initials_are_not() {
        let lines = AddressLines {
            line1: "12 N. Oak St".into(),
            line2: "Apt 4".into(),
            city: "St. Louis".into(),
            ..AddressLines::default()
        };
        let address = Cell::Address(Address::new(lines).unwrap());
        let expected = [
            "12",
            "north",
            "oak",
            "street",
            "apartment",
            "4",
            "st",
            "louis",
        ];
        assert_eq!(words(&address), expected);
    }

    #[test]
    fn nothing_makes_a_cell_large() {
        let words = words_of(&"very ".repeat(1_000));
        assert_eq!(words.len(), MAX_WORDS);
        assert!(words_of(&"x".repeat(5_000))[0].len() <= MAX_LETTERS);
    }
}

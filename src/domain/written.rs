//! A cell as people write it: what a change of type reads, what stands in an exported file. Whatever is
//! written of a cell that people may write is read back by `Column::parse_text` as the same cell.

use std::borrow::Cow;

use super::cell::{Cell, Linked, Links};
use super::columns::{Column, TextHints};
use crate::ids::UserId;

/// How those who are named in a cell are written.
pub struct Names<'a> {
    /// A member's e-mail address; None: the id.
    pub user: &'a dyn Fn(UserId) -> Option<&'a str>,
    /// Links by id, not by title.
    pub links_as_ids: bool,
}

impl Names<'_> {
    /// Everybody by id.
    pub const IDS: Names<'static> = Names {
        user: &|_| None,
        links_as_ids: true,
    };
}

/// The text of a cell; empty where there is nothing to say.
pub fn written<'c>(column: &Column, cell: &'c Cell, names: &Names<'_>) -> Cow<'c, str> {
    Cow::Owned(match cell {
        Cell::Text(text) => return Cow::Borrowed(text),
        Cell::Number(number) => number.to_string(),
        Cell::Bool(bool) => bool.to_string(),
        Cell::Choice(id) => match column.options.choices.by_id(*id) {
            Some(choice) => choice.name.clone(),
            None => String::new(),
        },
        Cell::Choices(_) => choices(column, cell),
        Cell::Address(address) => {
            let lines = address.named().into_iter().map(|(_, line)| line);
            let filled: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            read_back(column, cell, filled.join(", "))
        }
        Cell::Location(place) => format!("{}, {}", place.lat(), place.lon()),
        Cell::Users(users) => {
            let named = users
                .iter()
                .map(|user| (names.user)(*user).map_or_else(|| user.to_string(), str::to_owned));
            named.collect::<Vec<_>>().join(", ")
        }
        Cell::Links(links) => linked(links, names),
        Cell::List(members) => {
            let members = members.iter().map(|member| written(column, member, names));
            members.collect::<Vec<_>>().join("; ")
        }
        Cell::Fault(_) => String::new(),
        Cell::Date(_) | Cell::DateTime(_) => {
            let mut wire = String::new();
            cell.write_stored(&mut wire);
            wire.trim_matches('"').to_owned()
        }
    })
}

/// Names separated by commas or semicolons, or a JSON array of them where a name would be split.
fn choices(column: &Column, cell: &Cell) -> String {
    let Cell::Choices(ids) = cell else {
        return String::new();
    };
    let choices = &column.options.choices;
    let names = ids.iter().filter_map(|id| choices.by_id(*id));
    let names: Vec<&str> = names.map(|choice| choice.name.as_str()).collect();
    let plain = [names.join(", "), names.join("; ")];
    let plain = plain.into_iter().find(|text| same(column, cell, text));
    plain.unwrap_or_else(|| serde_json::to_string(&names).unwrap_or_default())
}

/// The text, or else the JSON of the cell where the text says less.
fn read_back(column: &Column, cell: &Cell, text: String) -> String {
    if same(column, cell, &text) {
        return text;
    }
    let mut wire = String::new();
    column.write_wire_cell(cell, &mut wire);
    wire
}

fn same(column: &Column, cell: &Cell, text: &str) -> bool {
    let read = column.parse_text(text, &TextHints::default());
    read.is_ok_and(|read| read.as_ref() == Some(cell))
}

fn linked(links: &Links, names: &Names<'_>) -> String {
    let name = |link: &Linked| match &link.title {
        Some(title) if !names.links_as_ids => title.to_string(),
        _ => link.id.to_string(),
    };
    let shown: Vec<String> = links.first.iter().map(name).collect();
    shown.join("; ")
}

/// A text that a spreadsheet would run as a formula gets an apostrophe before it, which it takes for the
/// sign of a text (OWASP, "CSV Injection"). What looks guarded gets one more, so that [`unguarded`]
/// brings every text back.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_formula(text.trim_start_matches('\'')) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text without its guard.
pub fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => text,
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_formula_is_guarded_and_nothing_else_is() {
        for (text, safe) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("'=1", "''=1"),
            ("'tis", "'tis"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), safe);
            assert_eq!(unguarded(safe), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back_from_behind_its_guard(text in "['=+@a\\t-]{0,5}.{0,5}") {
            let safe = guarded(&text);
            prop_assert!(!is_formula(&safe));
            prop_assert_eq!(unguarded(&safe), &text);
        }
    }
}

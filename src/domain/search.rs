//! Search: the contract's `q`, and with a filter the [`Selection`] of a list's items. Whatever else
//! searches (SQL, an index) must agree with [`Search::matches`].
//!
//! # Meaning
//! `q` is words, separated by white space. Each must be a part of some cell of the item, not all of
//! the same; folded as [`fold`](super::fold) says. Cells that are searched are texts (text, long_text,
//! email, url, phone as E.164), the lines of addresses, the names of choices, and the members of lists,
//! whatever they are. Numbers, dates and people are asked for by a filter.

use std::borrow::Cow;

use chrono::NaiveDate;

use super::cell::{Cell, list_key};
use super::columns::{Column, ColumnSet, ColumnType};
use super::filter::Filter;
use super::fold::folded;
use super::item::Item;
use crate::error::FieldError;
use crate::ids::UserId;

/// The most characters of a search.
pub const MAX_LENGTH: usize = 1_000;
/// The most words of a search.
pub const MAX_WORDS: usize = 20;

/// Words that are looked for. Its `Debug` form says all that it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Folded, without white space, each once; at least one.
    words: Vec<String>,
}

/// Which living items of a list are asked for: those that pass both. Its `Debug` form says all that
/// it asks, so that two with the same form are the same question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub filter: Option<Filter>,
    pub search: Option<Search>,
}

impl Selection {
    /// What a filter (JSON) and words ask for; what is wrong with either is added to `errors`. `me`: whom
    /// the filter means by it.
    pub fn parse(
        filter: Option<&str>,
        q: Option<&str>,
        columns: &ColumnSet,
        me: UserId,
        today: NaiveDate,
        errors: &mut Vec<FieldError>,
    ) -> Selection {
        let mut selection = Selection::default();
        let filter = filter.map(|json| Filter::parse(json, columns, me, today));
        match filter.transpose() {
            Ok(filter) => selection.filter = filter,
            Err(wrong) => errors.extend(wrong),
        }
        match Search::parse(q.unwrap_or_default()) {
            Ok(search) => selection.search = search,
            Err(wrong) => errors.push(wrong),
        }
        selection
    }

    /// Whether every item is asked for.
    pub fn is_all(&self) -> bool {
        self.filter.is_none() && self.search.is_none()
    }

    /// Whether an item is asked for. `columns` are those of its list.
    pub fn matches(&self, columns: &ColumnSet, item: &Item) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.matches(columns, item))
            && self
                .search
                .as_ref()
                .is_none_or(|search| search.matches(columns, item))
    }
}

impl Search {
    /// Reads words; `None` where there are none, which asks for everything. The path of an error is
    /// `/q`, its code `too_long`, `too_many` or `bad_text`.
    pub fn parse(text: &str) -> Result<Option<Search>, FieldError> {
        if text.chars().count() > MAX_LENGTH {
            return Err(error(
                "too_long",
                format!("more than {MAX_LENGTH} characters"),
            ));
        }
        if text.contains('\0') {
            return Err(error("bad_text", "a text can't hold U+0000".to_owned()));
        }
        let mut words: Vec<String> = Vec::new();
        for word in text.split_whitespace().map(folded) {
            if !words.iter().any(|known| *known == word) {
                words.push(word.into_owned());
            }
        }
        if words.len() > MAX_WORDS {
            return Err(error("too_many", format!("more than {MAX_WORDS} words")));
        }
        Ok((!words.is_empty()).then_some(Search { words }))
    }

    /// The words, folded.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether every word is a part of some cell.
    pub fn matches(&self, columns: &ColumnSet, item: &Item) -> bool {
        let texts: Vec<String> = searched(columns)
            .filter_map(|column| Some(texts(column, &*item.cell(column)?)))
            .flatten()
            .collect();
        self.words
            .iter()
            .all(|word| texts.iter().any(|text| text.contains(word)))
    }
}

/// The columns whose cells are searched.
pub fn searched(columns: &ColumnSet) -> impl Iterator<Item = &Column> {
    columns.iter().filter(|column| {
        column.ty.is_text()
            || column.ty.is_select()
            || matches!(column.ty, ColumnType::Address | ColumnType::List)
    })
}

/// The texts of a cell, folded.
fn texts(column: &Column, cell: &Cell) -> Vec<String> {
    let folded = |text: &str| folded(text).into_owned();
    let name = |id| {
        let choice = column.options.choices.by_id(id)?;
        Some(folded(&choice.name))
    };
    match cell {
        Cell::Text(text) => vec![folded(text)],
        Cell::Address(address) => vec![folded(&address.sort_key())],
        Cell::Choice(id) => name(*id).into_iter().collect(),
        Cell::Choices(ids) => ids.iter().filter_map(|id| name(*id)).collect(),
        Cell::List(cells) => list_key(cells),
        _ => Vec::new(),
    }
}

fn error(code: &'static str, message: String) -> FieldError {
    FieldError {
        path: "/q".to_owned(),
        code: Cow::Borrowed(code),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let search = Search::parse(text).unwrap();
        search.map_or_else(Vec::new, |search| search.words)
    }

    #[test]
    fn words_are_folded_and_stand_once() {
        assert_eq!(
            words(" Oak\tOAK  ΣΊΣΥΦΟΣ\u{a0}St. "),
            ["oak", "σίσυφοσ", "st."]
        );
        assert_eq!(words(" \n\u{3000}"), [""; 0]);
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let code = |text: &str| Search::parse(text).unwrap_err().code;
        assert_eq!(code(&"é".repeat(MAX_LENGTH + 1)), "too_long");
        assert_eq!(code("a\0b"), "bad_text");
        let many = |count: usize| (0..count).map(|at| format!("w{at} ")).collect::<String>();
        assert_eq!(code(&many(MAX_WORDS + 1)), "too_many");
        assert_eq!(words(&many(MAX_WORDS)).len(), MAX_WORDS);
        assert_eq!(words(&"é".repeat(MAX_LENGTH)).len(), 1);
    }
}

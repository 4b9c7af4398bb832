//! Columns: what each type accepts, from JSON exactly and from text as people write it. One file a
//! family of types; this one holds the column, the columns of a list, and the doors `parse_json` and
//! `parse_text`. Pure: who is a member comes in as a question.

mod checkbox;
mod choices;
mod computed;
mod contact;
mod date;
pub(super) mod json;
mod kind;
mod link;
mod number;
mod operand;
mod options;
mod pattern;
mod phone;
mod place;
mod select;
pub(super) mod stored;
mod text;
mod user;
pub(super) mod wire;

#[cfg(test)]
pub(crate) mod properties;
#[cfg(test)]
pub(crate) mod testing;

use std::cmp::Ordering;
use std::collections::HashMap;

pub use choices::{Choice, Choices, MAX_CHOICES};
pub use computed::{Computed, Rule, RuleKind};
pub use date::DateOrder;
pub use kind::ColumnType;
pub(super) use link::use_link_paths;
pub use link::{LinkOptions, OnDelete, SHOWN_LINKS};
pub use operand::parse_needle;
pub use options::Options;
pub use pattern::Pattern;
pub use stored::read_stored;
pub use wire::{Stamps, write_wire, write_wire_stamped};

use super::cell::{Cell, ColumnId, Values};
use crate::ids::UserId;

/// The most columns that a list may have.
pub const MAX_COLUMNS: usize = 500;
/// The most characters that a text may have.
pub const MAX_TEXT: usize = 100_000;

/// One column of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub id: ColumnId,
    /// Its name on the wire: unique in the list, never changed (see [`check_key`]).
    pub key: String,
    /// Its name for people.
    pub name: String,
    pub ty: ColumnType,
    pub options: Options,
    pub required: bool,
    /// Whether no two living items hold the same value.
    pub unique: bool,
    /// What a new item gets when nothing is said.
    pub default: Option<Cell>,
    /// Columns stand in this order, older ones first where it is the same.
    pub position: i32,
    pub deleted: bool,
    /// Another took its place by a change of type (see `retype`): it comes back by undoing that alone.
    pub replaced: bool,
}

/// What [`Column::parse_json`] must ask its caller.
#[derive(Clone, Copy)]
pub struct ParseContext<'a> {
    /// Whether this user is a member of the workspace.
    pub members: &'a dyn Fn(UserId) -> bool,
}

/// What [`Column::parse_text`] must be told about the text's origin.
#[derive(Clone, Copy)]
pub struct TextHints<'a> {
    pub date_order: DateOrder,
    /// `1.234,5` rather than `1,234.5`. Where the text itself decides, this is not asked.
    pub decimal_comma: bool,
    /// The member whom a text names: by id, by e-mail address, as the caller sees fit.
    pub find_user: &'a dyn Fn(&str) -> Option<UserId>,
}

impl Default for TextHints<'_> {
    /// Month first, decimal point, nobody known.
    fn default() -> Self {
        TextHints {
            date_order: DateOrder::Mdy,
            decimal_comma: false,
            find_user: &|_| None,
        }
    }
}

/// Why a value can't stand in a cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CellError {
    /// One of `not_text not_a_number too_precise too_small too_large too_long too_deep too_many
    /// wrong_pattern not_a_date not_a_time not_a_choice not_an_email not_a_phone not_a_url
    /// not_an_address not_a_location not_a_member not_a_bool not_links duplicate use_link_paths bad_text
    /// read_only`.
    pub code: &'static str,
    /// A sentence for people. Never repeats more than a choice's name of the input.
    pub message: String,
}

impl CellError {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        CellError {
            code,
            message: message.into(),
        }
    }
}

type Parsed = Result<Option<Cell>, CellError>;

impl Column {
    /// The name of its type on the wire: of a computed column how it is computed, not what comes of it.
    pub fn type_name(&self) -> &'static str {
        match &self.options.computed {
            Some(computed) => computed.rule.kind().as_str(),
            None => self.ty.as_str(),
        }
    }

    /// Its options as clients see them.
    pub fn options_json(&self) -> serde_json::Value {
        match &self.options.computed {
            Some(computed) => computed.to_json(self.ty),
            None => self.options.to_json(),
        }
    }

    /// Whether people can't write its cells.
    pub fn is_read_only(&self) -> bool {
        self.ty.is_read_only() || self.options.computed.is_some()
    }

    /// Whether a text of a file can be read as a cell of it.
    pub fn is_read_from_text(&self) -> bool {
        !self.is_read_only() && self.ty != ColumnType::Link
    }

    /// Whether it is the same, computed through or not.
    pub fn stands_as(&self, other: &Column) -> bool {
        let settled = |column: &Column| {
            let mut column = column.clone();
            if let Some(computed) = &mut column.options.computed {
                computed.settled = true;
            }
            column
        };
        self == other || (self.options.computed.is_some() && settled(self) == settled(other))
    }

    /// Reads a value from its JSON, exactly as it was sent: nothing is guessed, rounded or cut.
    /// `null`, an empty string and an empty array clear the cell (`None`).
    pub fn parse_json(&self, raw: &str, ctx: &ParseContext<'_>) -> Parsed {
        self.check_writable()?;
        let token = json::token(raw);
        if matches!(token, json::Token::Null) {
            return Ok(None);
        }
        match self.ty {
            ColumnType::Text | ColumnType::LongText => text::from_json(token, &self.options),
            ColumnType::Number
            | ColumnType::Currency
            | ColumnType::Percent
            | ColumnType::Rating => number::from_json(token, self),
            ColumnType::Checkbox => checkbox::from_json(&token),
            ColumnType::Date => date::date_from_json(token),
            ColumnType::DateTime => date::time_from_json(token),
            ColumnType::SingleSelect => select::one_from_json(token, &self.options.choices),
            ColumnType::MultiSelect => select::many_from_json(token, &self.options.choices),
            ColumnType::Email => contact::email_from_json(token),
            ColumnType::Phone => phone::from_json(token, self.options.region.as_deref()),
            ColumnType::Url => contact::url_from_json(token),
            ColumnType::Address => place::address_from_json(token),
            ColumnType::Location => place::location_from_json(token),
            ColumnType::User => user::from_json(token, self.options.multiple, ctx),
            ColumnType::Link => link::from_json(token),
            ColumnType::List
            | ColumnType::AutoNumber
            | ColumnType::CreatedAt
            | ColumnType::CreatedBy
            | ColumnType::UpdatedAt
            | ColumnType::UpdatedBy => Err(read_only()),
        }
    }

    /// The names in a text that a column of choices has not.
    pub fn missing_choices(&self, text: &str) -> Vec<String> {
        match self.ty {
            ColumnType::SingleSelect => select::missing(text, false, &self.options.choices),
            ColumnType::MultiSelect => select::missing(text, true, &self.options.choices),
            _ => Vec::new(),
        }
    }

    /// Reads a value as people and other programs write it (`"$1,250,000"`, `"3/4/2026"`, `"Yes"`).
    /// Text columns take every text as it stands. In the others a text that only says that there is
    /// no value (`""`, `"N/A"`, `"-"`, `"null"`) gives `None`, unless the column knows it as a value.
    pub fn parse_text(&self, text: &str, hints: &TextHints<'_>) -> Parsed {
        self.check_writable()?;
        if text.is_empty() {
            return Ok(None);
        }
        if matches!(self.ty, ColumnType::Text | ColumnType::LongText) {
            return text::from_text(text, &self.options);
        }
        let trimmed = text.trim();
        match self.parse_trimmed(trimmed, hints) {
            Err(_) if says_nothing(trimmed) => Ok(None),
            other => other,
        }
    }

    fn parse_trimmed(&self, text: &str, hints: &TextHints<'_>) -> Parsed {
        match self.ty {
            ColumnType::Text | ColumnType::LongText => text::from_text(text, &self.options),
            ColumnType::Number
            | ColumnType::Currency
            | ColumnType::Percent
            | ColumnType::Rating => number::from_text(text, self, hints.decimal_comma),
            ColumnType::Checkbox => checkbox::from_text(text),
            ColumnType::Date => date::date_from_text(text, hints.date_order),
            ColumnType::DateTime => date::time_from_text(text, hints.date_order),
            ColumnType::SingleSelect => select::one_from_text(text, &self.options.choices),
            ColumnType::MultiSelect => select::many_from_text(text, &self.options.choices),
            ColumnType::Email => contact::email_from_text(text),
            ColumnType::Phone => phone::from_text(text, self.options.region.as_deref()),
            ColumnType::Url => contact::url_from_text(text),
            ColumnType::Address => place::address_from_text(text),
            ColumnType::Location => place::location_from_text(text),
            ColumnType::User => user::from_text(text, self.options.multiple, hints),
            ColumnType::Link => Err(CellError::new(
                "not_links",
                "links are an array of items' ids",
            )),
            ColumnType::List
            | ColumnType::AutoNumber
            | ColumnType::CreatedAt
            | ColumnType::CreatedBy
            | ColumnType::UpdatedAt
            | ColumnType::UpdatedBy => Err(read_only()),
        }
    }

    fn check_writable(&self) -> Result<(), CellError> {
        if self.is_read_only() {
            Err(read_only())
        } else {
            Ok(())
        }
    }

    /// The order of two cells of this column: as [`Cell::compare`], but choices in the order in
    /// which the options list them (choices no longer listed last, by age).
    pub fn compare(&self, a: &Cell, b: &Cell) -> Ordering {
        let place = |id| (self.options.choices.position(id).unwrap_or(usize::MAX), id);
        match (a, b) {
            (Cell::Choice(a), Cell::Choice(b)) => place(*a).cmp(&place(*b)),
            (Cell::Choices(a), Cell::Choices(b)) => a
                .iter()
                .map(|id| place(*id))
                .cmp(b.iter().map(|id| place(*id))),
            _ => a.compare(b),
        }
    }
}

fn read_only() -> CellError {
    CellError::new("read_only", "the server fills this column")
}

/// Whether a text only says that nothing is known.
fn says_nothing(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "n/a",
        "na",
        "#n/a",
        "n.a.",
        "null",
        "nil",
        "none",
        "nan",
        "(blank)",
        "\\n",
        "undefined",
    ];
    text.chars().all(|c| matches!(c, '-' | '–' | '—'))
        || WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Checks a column's key: `[A-Za-z][A-Za-z0-9_]{0,62}`, without `__`, which computed keys use.
pub fn check_key(key: &str) -> Result<(), CellError> {
    let letters = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && key.len() <= 63;
    if !letters {
        return Err(CellError::new(
            "bad_key",
            "a key is a letter followed by at most 62 letters, digits and underscores",
        ));
    }
    if key.contains("__") {
        return Err(CellError::new(
            "bad_key",
            "two underscores in a row are reserved in keys",
        ));
    }
    Ok(())
}

/// Checks a name for people (of a list, a column, a choice, a view): 1 to 200 characters, none of
/// them a control character, and not only blanks.
pub fn check_name(name: &str) -> Result<(), CellError> {
    if name.trim().is_empty() {
        Err(CellError::new(
            "bad_name",
            "a name needs at least one visible character",
        ))
    } else if name.chars().count() > 200 {
        Err(CellError::new(
            "too_long",
            "a name has at most 200 characters",
        ))
    } else if name.chars().any(char::is_control) {
        Err(CellError::new(
            "bad_text",
            "a name can't hold control characters",
        ))
    } else {
        Ok(())
    }
}

/// The columns of one list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnSet {
    /// In order: by position, then by age.
    columns: Vec<Column>,
    /// Every column's place in `columns`, by id.
    by_id: Vec<(ColumnId, usize)>,
    /// The place of each column that is not deleted.
    by_key: HashMap<String, usize>,
}

impl ColumnSet {
    /// Puts columns in order. Ids must be unique, and keys among those not deleted; of two alike the
    /// one that stands later is found.
    pub fn new(mut columns: Vec<Column>) -> ColumnSet {
        columns.sort_by_key(|column| (column.position, column.id));
        let mut by_id: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| (column.id, at))
            .collect();
        by_id.sort_unstable();
        let by_key = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| !column.deleted)
            .map(|(at, column)| (column.key.clone(), at))
            .collect();
        ColumnSet {
            columns,
            by_id,
            by_key,
        }
    }

    /// The columns that are not deleted, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.deleted)
    }

    /// All columns, deleted ones too, in order.
    pub fn iter_all(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter()
    }

    /// The column of that key, unless deleted.
    pub fn by_key(&self, key: &str) -> Option<&Column> {
        self.columns.get(*self.by_key.get(key)?)
    }

    /// The column of that id, deleted or not.
    pub fn by_id(&self, id: &ColumnId) -> Option<&Column> {
        let at = self.by_id.binary_search_by_key(id, |(id, _)| *id).ok()?;
        self.columns.get(self.by_id.get(at)?.1)
    }

    /// How many columns are not deleted.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The required columns that have no cell among `values`.
    pub fn missing<'a>(&'a self, values: &'a Values) -> impl Iterator<Item = &'a Column> {
        self.iter().filter(|column| {
            column.required && column.ty.is_stored() && !values.contains_key(&column.id)
        })
    }

    /// The id for the next column; `None` when all 46 656 have been used. A list whose columns are
    /// ever erased for good must keep its own counter instead.
    pub fn next_id(&self) -> Option<ColumnId> {
        match self.by_id.last() {
            Some((last, _)) => ColumnId::nth(last.number() + 1),
            None => ColumnId::nth(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn read_only_columns_take_nothing() {
        for ty in ColumnType::ALL.into_iter().filter(|ty| ty.is_read_only()) {
            let column = column(ty, "null");
            check_json(&column, &[], &[("1", "read_only"), ("null", "read_only")]);
            check_text(
                &column,
                &hints(),
                &[],
                &[("1", "read_only"), ("", "read_only")],
            );
        }
    }

    #[test]
    fn null_clears_every_writable_cell_and_so_does_an_empty_text() {
        for ty in ColumnType::ALL.into_iter().filter(|ty| !ty.is_read_only()) {
            let column = column(ty, "null");
            check_json(&column, &[("null", "null"), (" null\n", "null")], &[]);
            check_text(&column, &hints(), &[("", "null")], &[]);
        }
    }

    #[test]
    fn words_for_nothing_clear_all_but_texts() {
        for ty in ColumnType::ALL.into_iter().filter(|ty| !ty.is_read_only()) {
            let column = column(ty, "null");
            for nothing in ["N/A", "n/a", "#N/A", "-", "--", "—", "null", "  "] {
                let wanted = match ty {
                    ColumnType::Text | ColumnType::LongText => Ok(format!("\"{nothing}\"")),
                    // What is no part of an address can still be one line of it.
                    ColumnType::Address if !nothing.trim().is_empty() => continue,
                    _ => Ok("null".to_owned()),
                };
                assert_eq!(
                    shown(&column, column.parse_text(nothing, &hints())),
                    wanted,
                    "{ty:?} {nothing:?}"
                );
            }
        }
    }

    #[test]
    fn keys_have_one_shape() {
        for good in ["a", "ListPrice", "x_1", &"k".repeat(63)] {
            assert_eq!(check_key(good), Ok(()));
        }
        for bad in ["", "1a", "_a", "a-b", "a__b", "é", "a b", &"k".repeat(64)] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_visible_and_short() {
        assert_eq!(check_name("Näme & Co. 🏠"), Ok(()));
        assert_eq!(check_name(&"n".repeat(200)), Ok(()));
        for bad in ["", "  ", "a\nb", "a\0", &"n".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    fn numbered(number: u32, key: &str, position: i32, deleted: bool) -> Column {
        Column {
            id: ColumnId::nth(number).unwrap(),
            key: key.to_owned(),
            position,
            deleted,
            ..column(ColumnType::Text, "null")
        }
    }

    #[test]
    fn a_set_finds_what_lives_by_key_and_everything_by_id() {
        let columns = vec![
            numbered(40, "b", 1, false),
            numbered(2, "a", 1, false),
            numbered(1, "c", 0, true),
            numbered(3, "c", 2, false),
        ];
        let set = ColumnSet::new(columns);
        assert_eq!(
            set.iter()
                .map(|column| column.key.as_str())
                .collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(set.by_key("c").unwrap().id, ColumnId::nth(3).unwrap());
        assert!(set.by_id(&ColumnId::nth(1).unwrap()).unwrap().deleted);
        assert_eq!(set.by_id(&ColumnId::nth(4).unwrap()), None);
        assert_eq!(set.next_id(), ColumnId::nth(41));
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn required_cells_are_missed() {
        let required = Column {
            required: true,
            ..numbered(1, "a", 0, false)
        };
        let set = ColumnSet::new(vec![required, numbered(2, "b", 1, false)]);
        assert_eq!(
            set.missing(&Values::new())
                .map(|column| column.key.as_str())
                .collect::<Vec<_>>(),
            ["a"]
        );
        let values = Values::from([(ColumnId::nth(1).unwrap(), Cell::Text("x".to_owned()))]);
        assert_eq!(set.missing(&values).count(), 0);
    }

    #[test]
    fn choices_compare_as_people_put_them() {
        let column = column(
            ColumnType::SingleSelect,
            r#"{"choices":[{"name":"Low"},{"name":"High"}]}"#,
        );
        let swapped = serde_json::json!({"choices": [{"name": "High"}, {"name": "Low"}]});
        let options = Options::from_json(column.ty, &swapped, Some(&column.options)).unwrap();
        let cells = ["\"Low\"", "\"High\""].map(|raw| parse_json(&column, raw).unwrap().unwrap());
        assert_eq!(column.compare(&cells[0], &cells[1]), Ordering::Less);
        assert_eq!(
            Column { options, ..column }.compare(&cells[0], &cells[1]),
            Ordering::Greater
        );
    }
}

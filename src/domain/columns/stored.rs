//! Reading an item's cells as they are stored in Postgres: a JSON object keyed by column id. What was
//! stored had been checked on its way in, so nothing is judged again: an unknown id or a cell of
//! another kind (a column's earlier type) is left out.

use std::fmt;

use chrono::DateTime;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{self, Token};
use super::{Column, ColumnSet, ColumnType, date, number, place, user};
use crate::domain::cell::{Cell, ChoiceId, ColumnId, Values};
use crate::domain::formula::Fault;

/// Reads stored cells. Those of deleted columns are read too: they come back with the column.
pub fn read_stored(columns: &ColumnSet, json: &str) -> Values {
    struct Cells<'c>(&'c ColumnSet);

    impl<'de> Visitor<'de> for Cells<'_> {
        type Value = Values;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of cells")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
            let mut values = Values::new();
            while let Some(id) = map.next_key_seed(Id)? {
                let raw: &RawValue = map.next_value()?;
                let column = id.and_then(|id| self.0.by_id(&id));
                if let Some((column, cell)) =
                    column.and_then(|c| Some((c, c.read_stored_cell(raw.get())?)))
                {
                    values.insert(column.id, cell);
                }
            }
            Ok(values)
        }
    }

    serde_json::Deserializer::from_str(json)
        .deserialize_map(Cells(columns))
        .unwrap_or_default()
}

/// A key of the stored object.
struct Id;

impl<'de> DeserializeSeed<'de> for Id {
    type Value = Option<ColumnId>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Id {
    type Value = Option<ColumnId>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column id")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(ColumnId::parse(text))
    }
}

impl Column {
    /// Reads one stored cell; `None` when it is of another kind than the column.
    pub fn read_stored_cell(&self, raw: &str) -> Option<Cell> {
        let token = json::token(raw);
        if self.options.computed.is_some()
            && let Token::Object(raw) = &token
            && let Ok(faulty) = serde_json::from_str::<Faulty<'_>>(raw)
        {
            return Fault::from_code(faulty.error).map(Cell::Fault);
        }
        match (self.ty, token) {
            (
                ColumnType::Text
                | ColumnType::LongText
                | ColumnType::Email
                | ColumnType::Phone
                | ColumnType::Url,
                Token::Text(text),
            ) => (!text.is_empty()).then(|| Cell::Text(text.into_owned())),
            (ty, Token::Number(raw)) if ty.is_number() => number::read(raw).ok().map(Cell::Number),
            (ColumnType::Checkbox, Token::Bool(bool)) => Some(Cell::Bool(bool)),
            (ColumnType::Date, Token::Text(text)) => date::iso_date(&text).map(Cell::Date),
            (
                ColumnType::DateTime | ColumnType::CreatedAt | ColumnType::UpdatedAt,
                Token::Text(text),
            ) => DateTime::parse_from_rfc3339(&text)
                .ok()
                .map(|time| Cell::DateTime(time.to_utc())),
            (ColumnType::SingleSelect, Token::Text(text)) => {
                ChoiceId::parse(&text).map(Cell::Choice)
            }
            (ColumnType::MultiSelect, Token::Array(raw)) => {
                let mut ids = Vec::new();
                json::each_text(raw, |text| {
                    ids.extend(ChoiceId::parse(text));
                    true
                })
                .ok()?;
                (!ids.is_empty()).then_some(Cell::Choices(ids))
            }
            (ColumnType::Address, Token::Object(raw)) => {
                place::read_address(raw).ok().flatten().map(Cell::Address)
            }
            (ColumnType::Location, Token::Object(raw)) => {
                place::read_location(raw).map(Cell::Location)
            }
            (
                ColumnType::User | ColumnType::CreatedBy | ColumnType::UpdatedBy,
                Token::Array(raw),
            ) => {
                let mut users = Vec::new();
                json::each_text(raw, |text| {
                    users.extend(user::read(text));
                    true
                })
                .ok()?;
                (!users.is_empty()).then_some(Cell::Users(users))
            }
            (ColumnType::List, Token::Array(raw)) => {
                let members: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
                let cells: Vec<Cell> = members.into_iter().filter_map(member).collect();
                (!cells.is_empty()).then_some(Cell::List(cells))
            }
            _ => None,
        }
    }
}

/// A cell without a value, as it is stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faulty<'a> {
    error: &'a str,
}

/// A member of a list. A date is as good as its text: they are stored and compared alike.
fn member(raw: &RawValue) -> Option<Cell> {
    match json::token(raw.get()) {
        Token::Text(text) => Some(Cell::Text(text.into_owned())),
        Token::Number(raw) => number::read(raw).ok().map(Cell::Number),
        Token::Bool(bool) => Some(Cell::Bool(bool)),
        _ => None,
    }
}

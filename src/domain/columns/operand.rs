//! What a filter may compare a column with, read from JSON. It looks like a cell of the column but
//! is not judged by the column's options: one may ask for numbers, texts and people that the column
//! would refuse.

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::json::Token;
use super::text::check_length;
use super::{
    CellError, Column, ColumnType, MAX_TEXT, Parsed, checkbox, date, json, number, phone, place,
    select, user,
};
use crate::domain::cell::{Cell, Links};
use crate::ids::{ItemId, UserId};

/// `{"me": true}`: whoever asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Me {
    me: bool,
}

impl Column {
    /// Reads a value that cells of this column are compared with. Phone numbers are read like cells,
    /// so that they are found however they were written; users may be `{"me": true}`.
    /// `null` and what is empty are refused as `missing_value`: `is_empty` asks for empty cells.
    pub fn parse_operand(&self, raw: &str, me: UserId) -> Result<Cell, CellError> {
        self.read_operand(raw, me)?.ok_or_else(missing)
    }

    fn read_operand(&self, raw: &str, me: UserId) -> Parsed {
        let token = json::token(raw);
        if token == Token::Null {
            return Ok(None);
        }
        match self.ty {
            ColumnType::Text | ColumnType::LongText | ColumnType::Email | ColumnType::Url => {
                Ok(text(token)?.map(Cell::Text))
            }
            ColumnType::Phone => phone::from_json(token, self.options.region.as_deref()),
            ColumnType::Number
            | ColumnType::Currency
            | ColumnType::Percent
            | ColumnType::Rating
            | ColumnType::AutoNumber => match token {
                Token::Number(raw) => Ok(Some(Cell::Number(number::read(raw)?))),
                other => Err(other.unwanted("not_a_number", "a number")),
            },
            ColumnType::Checkbox => checkbox::from_json(&token),
            ColumnType::Date => date::date_from_json(token),
            ColumnType::DateTime | ColumnType::CreatedAt | ColumnType::UpdatedAt => {
                date::time_from_json(token)
            }
            ColumnType::SingleSelect => select::one_from_json(token, &self.options.choices),
            ColumnType::MultiSelect => select::many_from_json(token, &self.options.choices),
            ColumnType::Address => place::address_from_json(token),
            ColumnType::Location => place::location_from_json(token),
            ColumnType::User | ColumnType::CreatedBy | ColumnType::UpdatedBy => users(token, me),
            ColumnType::Link => items(token),
            ColumnType::List => members(token),
        }
    }
}

/// Reads the text that `contains` and `starts_with` look for.
pub fn parse_needle(raw: &str) -> Result<String, CellError> {
    text(json::token(raw))?.ok_or_else(missing)
}

fn text(token: Token<'_>) -> Result<Option<String>, CellError> {
    let text = token.into_text("not_text", "a text")?;
    check_length(&text, MAX_TEXT)?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

/// One item or an array of them.
fn items(token: Token<'_>) -> Parsed {
    let wrong = || CellError::new("not_links", "an item's id or an array of them");
    let ids: Vec<Uuid> = match &token {
        Token::Text(text) => vec![Uuid::try_parse(text).map_err(|_| wrong())?],
        Token::Array(raw) => serde_json::from_str(raw).map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    let ids: Vec<ItemId> = ids.into_iter().map(ItemId).collect();
    Ok((!ids.is_empty()).then(|| Cell::Links(Links::of(ids))))
}

/// One value or an array of them: texts, numbers, bools.
fn members(token: Token<'_>) -> Parsed {
    let one = |token: Token<'_>| match token {
        Token::Number(raw) => Ok(Cell::Number(number::read(raw)?)),
        Token::Bool(bool) => Ok(Cell::Bool(bool)),
        other => match text(other)? {
            Some(text) => Ok(Cell::Text(text)),
            None => Err(missing()),
        },
    };
    let Token::Array(raw) = token else {
        return Ok(Some(Cell::List(vec![one(token)?])));
    };
    let wrong = |_| CellError::new("not_values", "a value or an array of them");
    let sent: Vec<&RawValue> = serde_json::from_str(raw).map_err(wrong)?;
    let cells: Result<Vec<Cell>, CellError> =
        sent.iter().map(|raw| one(json::token(raw.get()))).collect();
    let cells = cells?;
    Ok((!cells.is_empty()).then_some(Cell::List(cells)))
}

/// One user or an array of them, each once.
fn users(token: Token<'_>, me: UserId) -> Parsed {
    let Token::Array(raw) = token else {
        return Ok(Some(Cell::Users(vec![one_user(token, me)?])));
    };
    let members: Vec<&RawValue> =
        serde_json::from_str(raw).map_err(|_| not_a_user(&Token::Broken))?;
    let mut users = Vec::new();
    for member in members {
        let user = one_user(json::token(member.get()), me)?;
        if !users.contains(&user) {
            users.push(user);
        }
    }
    Ok((!users.is_empty()).then_some(Cell::Users(users)))
}

fn one_user(token: Token<'_>, me: UserId) -> Result<UserId, CellError> {
    match &token {
        Token::Text(text) => user::read(text),
        Token::Object(raw) => serde_json::from_str::<Me>(raw)
            .ok()
            .and_then(|asked| asked.me.then_some(me)),
        _ => None,
    }
    .ok_or_else(|| not_a_user(&token))
}

fn not_a_user(token: &Token<'_>) -> CellError {
    token.unwanted("not_a_member", "a user's id or {\"me\": true}")
}

fn missing() -> CellError {
    CellError::new(
        "missing_value",
        "a value is needed; is_empty asks for empty cells",
    )
}

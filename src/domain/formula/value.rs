//! Values and their kinds.

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use rust_decimal::{Decimal, RoundingStrategy};

use super::Fault;
use crate::domain::cell::Cell;
use crate::domain::columns::MAX_TEXT;
use crate::domain::fold;

/// Significant digits of a number in a cell.
const DIGITS: u32 = 15;
/// The most members of a list.
pub(super) const MAX_MEMBERS: usize = 10_000;

/// A kind of single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    Number,
    Text,
    Bool,
    Date,
    Time,
}

/// A kind of values: single ones or lists of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    pub scalar: Scalar,
    pub list: bool,
}

/// A value. Members of lists are single values.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(Decimal),
    Text(String),
    Bool(bool),
    Date(NaiveDate),
    Time(DateTime<Utc>),
    List(Vec<Value>),
}

impl Scalar {
    pub const ALL: [Scalar; 5] = [
        Scalar::Number,
        Scalar::Text,
        Scalar::Bool,
        Scalar::Date,
        Scalar::Time,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Scalar::Number => "number",
            Scalar::Text => "text",
            Scalar::Bool => "bool",
            Scalar::Date => "date",
            Scalar::Time => "time",
        }
    }

    pub fn from_name(name: &str) -> Option<Scalar> {
        Scalar::ALL
            .into_iter()
            .find(|scalar| scalar.as_str() == name)
    }
}

impl Kind {
    pub fn one(scalar: Scalar) -> Kind {
        Kind {
            scalar,
            list: false,
        }
    }

    pub fn list(scalar: Scalar) -> Kind {
        Kind { scalar, list: true }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            true => write!(f, "list of {}", self.scalar.as_str()),
            false => f.write_str(self.scalar.as_str()),
        }
    }
}

impl Value {
    pub fn kind(&self) -> Kind {
        match self {
            Value::Number(_) => Kind::one(Scalar::Number),
            Value::Text(_) => Kind::one(Scalar::Text),
            Value::Bool(_) => Kind::one(Scalar::Bool),
            Value::Date(_) => Kind::one(Scalar::Date),
            Value::Time(_) => Kind::one(Scalar::Time),
            Value::List(members) => Kind {
                list: true,
                ..members.first().map_or(Kind::one(Scalar::Text), Value::kind)
            },
        }
    }

    /// As cells hold it: numbers of 15 digits, texts and dates within their bounds.
    pub(super) fn finished(self) -> Result<Value, Fault> {
        Ok(match self {
            Value::Number(number) => Value::Number(rounded(number)?),
            Value::Text(text) => Value::Text(short(text)?),
            Value::Date(date) => Value::Date(in_calendar(date)?),
            Value::Time(time) => {
                in_calendar(time.date_naive())?;
                Value::Time(time)
            }
            Value::List(members) if members.len() > MAX_MEMBERS => return Err(Fault::TooLong),
            Value::List(members) => {
                let members: Result<Vec<Value>, Fault> =
                    members.into_iter().map(Value::finished).collect();
                Value::List(members?)
            }
            Value::Bool(bool) => Value::Bool(bool),
        })
    }

    /// The order of two values of one kind.
    pub(super) fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => fold::folded(a).cmp(&fold::folded(b)),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => {
                let mut pairs = a.iter().zip(b).map(|(a, b)| a.compare(b));
                let first = pairs.find(|order| order.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => Ordering::Equal,
        }
    }

    /// As people read it.
    pub(super) fn text(&self) -> Result<String, Fault> {
        let cell = match self {
            Value::Text(text) => return Ok(text.clone()),
            Value::List(members) => return joined(members, ", "),
            Value::Number(number) => return Ok(rounded(*number)?.to_string()),
            Value::Bool(bool) => Cell::Bool(*bool),
            Value::Date(date) => Cell::Date(*date),
            Value::Time(time) => Cell::DateTime(*time),
        };
        let mut text = String::new();
        cell.write_stored(&mut text);
        Ok(text.trim_matches('"').to_owned())
    }
}

/// Texts one behind the other, as long as a text may be.
pub(super) fn joined(members: &[Value], between: &str) -> Result<String, Fault> {
    let mut out = String::new();
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        out.push_str(&member.text()?);
        if out.len() > MAX_TEXT * 4 {
            return Err(Fault::TooLong);
        }
    }
    short(out)
}

/// A text, if it is no longer than a text may be.
pub(super) fn short(text: String) -> Result<String, Fault> {
    match text.len() <= MAX_TEXT || text.chars().count() <= MAX_TEXT {
        true => Ok(text),
        false => Err(Fault::TooLong),
    }
}

pub(super) fn rounded(number: Decimal) -> Result<Decimal, Fault> {
    let rounded = number.round_sf_with_strategy(DIGITS, RoundingStrategy::MidpointNearestEven);
    rounded
        .map(|number| number.normalize())
        .ok_or(Fault::OutOfRange)
}

/// Years 1 to 9999, as cells hold them.
pub(super) fn in_calendar(date: NaiveDate) -> Result<NaiveDate, Fault> {
    match date.year() {
        1..=9999 => Ok(date),
        _ => Err(Fault::OutOfRange),
    }
}

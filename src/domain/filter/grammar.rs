//! The contract's grammar of filters, read from JSON against a list's columns.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveTime};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::area::{Area, Circle};
use super::span;
use super::{Comparison, Condition, Filter, MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, Test};
use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnSet, ColumnType, parse_needle};
use crate::domain::fold;
use crate::error::FieldError;
use crate::ids::UserId;

/// Reads a filter; its length is already judged.
pub(super) fn read(
    json: &str,
    columns: &ColumnSet,
    me: UserId,
    today: NaiveDate,
) -> Result<Filter, Vec<FieldError>> {
    let mut reader = Reader {
        columns,
        me,
        today,
        conditions: 0,
        values: 0,
    };
    reader
        .filter(json, "/filter", 1)
        .map_err(|wrong| vec![wrong])
}

/// An object of the grammar: a group or a condition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node<'a> {
    #[serde(borrow)]
    and: Option<&'a RawValue>,
    #[serde(borrow)]
    or: Option<&'a RawValue>,
    #[serde(borrow)]
    not: Option<&'a RawValue>,
    #[serde(borrow)]
    column: Option<Cow<'a, str>>,
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// The operators of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Order(Comparison),
    In,
    Contains,
    StartsWith,
    Empty,
    HasAny,
    HasAll,
    LinkedTo,
    Within,
    WithinBox,
    WithinKm,
}

impl Op {
    /// The operator of that name, and whether it is negated.
    pub(super) fn of(name: &str) -> Option<(Op, bool)> {
        Some(match name {
            "eq" => (Op::Equal, false),
            "ne" => (Op::Equal, true),
            "lt" => (Op::Order(Comparison::Less), false),
            "lte" => (Op::Order(Comparison::AtMost), false),
            "gt" => (Op::Order(Comparison::Greater), false),
            "gte" => (Op::Order(Comparison::AtLeast), false),
            "in" => (Op::In, false),
            "not_in" => (Op::In, true),
            "contains" => (Op::Contains, false),
            "not_contains" => (Op::Contains, true),
            "starts_with" => (Op::StartsWith, false),
            "is_empty" => (Op::Empty, false),
            "not_empty" => (Op::Empty, true),
            "has_any" => (Op::HasAny, false),
            "has_all" => (Op::HasAll, false),
            "linked_to" => (Op::LinkedTo, false),
            "within" => (Op::Within, false),
            "within_box" => (Op::WithinBox, false),
            "within_km" => (Op::WithinKm, false),
            _ => return None,
        })
    }

    /// Whether cells of that type can be asked this.
    pub(super) fn suits(self, ty: ColumnType) -> bool {
        let place = matches!(ty, ColumnType::Address | ColumnType::Location);
        if ty == ColumnType::Link {
            return matches!(self, Op::Empty | Op::LinkedTo);
        }
        match self {
            Op::LinkedTo => false,
            Op::Equal | Op::Empty => true,
            Op::In => !place,
            Op::Order(_) => !place && !is_set(ty) && ty != ColumnType::Checkbox,
            Op::Contains => ty.is_text() || matches!(ty, ColumnType::Address | ColumnType::List),
            Op::StartsWith => ty.is_text() || ty == ColumnType::Address,
            Op::HasAny | Op::HasAll => is_set(ty),
            Op::Within => ty.is_moment(),
            Op::WithinBox | Op::WithinKm => ty == ColumnType::Location,
        }
    }
}

/// Whether cells hold several of something.
pub(super) fn is_set(ty: ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::MultiSelect
            | ColumnType::List
            | ColumnType::User
            | ColumnType::CreatedBy
            | ColumnType::UpdatedBy
    )
}

/// Reads the grammar and counts what it has read. Never goes deeper than [`MAX_DEPTH`].
struct Reader<'a> {
    columns: &'a ColumnSet,
    me: UserId,
    today: NaiveDate,
    conditions: usize,
    values: usize,
}

impl Reader<'_> {
    fn filter(&mut self, json: &str, path: &str, depth: usize) -> Result<Filter, FieldError> {
        let malformed = |message: String| error(path.to_owned(), "malformed", message);
        let node: Node<'_> = serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
        if depth > MAX_DEPTH && node.column.is_none() {
            let message = format!("and, or and not nest deeper than {MAX_DEPTH}");
            return Err(error(path.to_owned(), "too_deep", message));
        }
        match node {
            Node {
                and: Some(members),
                or: None,
                not: None,
                column: None,
                op: None,
                value: None,
            } => Ok(Filter::All(self.members(
                members,
                &format!("{path}/and"),
                depth,
            )?)),
            Node {
                and: None,
                or: Some(members),
                not: None,
                column: None,
                op: None,
                value: None,
            } => Ok(Filter::Any(self.members(
                members,
                &format!("{path}/or"),
                depth,
            )?)),
            Node {
                and: None,
                or: None,
                not: Some(inner),
                column: None,
                op: None,
                value: None,
            } => {
                let inner = self.filter(inner.get(), &format!("{path}/not"), depth + 1)?;
                Ok(Filter::Not(Box::new(inner)))
            }
            Node {
                and: None,
                or: None,
                not: None,
                column: Some(key),
                op: Some(op),
                value,
            } => self.condition(&key, &op, value.map(RawValue::get), path),
            _ => Err(malformed(
                "either and, or, not, or a condition of column, op and value".to_owned(),
            )),
        }
    }

    fn members(
        &mut self,
        json: &RawValue,
        path: &str,
        depth: usize,
    ) -> Result<Vec<Filter>, FieldError> {
        let members = array(json.get(), path)?;
        if members.is_empty() {
            self.count_condition(path)?;
        }
        members
            .iter()
            .enumerate()
            .map(|(at, member)| self.filter(member.get(), &format!("{path}/{at}"), depth + 1))
            .collect()
    }

    fn condition(
        &mut self,
        key: &str,
        name: &str,
        value: Option<&str>,
        path: &str,
    ) -> Result<Filter, FieldError> {
        self.count_condition(path)?;
        let column = self.columns.by_key(key).ok_or_else(|| {
            error(
                format!("{path}/column"),
                "unknown_column",
                format!("no column {key:?}"),
            )
        })?;
        let at_op = |code, message| error(format!("{path}/op"), code, message);
        let Some((op, negated)) = Op::of(name) else {
            return Err(at_op("unknown_op", format!("there is no op {name:?}")));
        };
        if !op.suits(column.ty) {
            let ty = column.ty.as_str();
            return Err(at_op(
                "bad_op",
                format!("a column of type {ty} can't be asked {name}"),
            ));
        }
        let path = format!("{path}/value");
        if op == Op::Within {
            return self.within(column, value.unwrap_or("null"), path);
        }
        let test = self.test(op, column, value, &path)?;
        Ok(Filter::Is(Condition {
            column: column.id,
            negated,
            test,
        }))
    }

    /// From the first day, before the one after the last.
    fn within(&self, column: &Column, json: &str, path: String) -> Result<Filter, FieldError> {
        let (from, to) = span::read(json, self.today).map_err(|wrong| match wrong {
            span::Wrong::Malformed => {
                let message = "one of last_days, next_days, this, last, next";
                error(path.clone(), "malformed", message.to_owned())
            }
            span::Wrong::OutOfRange => {
                let message = "1 to 36 500 days, within the calendar";
                error(path.clone(), "out_of_range", message.to_owned())
            }
        })?;
        let day = |day: NaiveDate| match column.ty {
            ColumnType::Date => Cell::Date(day),
            _ => Cell::DateTime(day.and_time(NaiveTime::MIN).and_utc()),
        };
        let bound = |how, cell| {
            Filter::Is(Condition {
                column: column.id,
                negated: false,
                test: Test::Compare(how, cell),
            })
        };
        Ok(Filter::All(vec![
            bound(Comparison::AtLeast, day(from)),
            bound(Comparison::Less, day(to)),
        ]))
    }

    fn test(
        &mut self,
        op: Op,
        column: &Column,
        value: Option<&str>,
        path: &str,
    ) -> Result<Test, FieldError> {
        if op == Op::Empty {
            return match value {
                None => Ok(Test::Empty),
                Some(_) => Err(error(
                    path.to_owned(),
                    "malformed",
                    "takes no value".to_owned(),
                )),
            };
        }
        let value = value.unwrap_or("null");
        let area =
            |wrong: (&'static str, &str)| error(path.to_owned(), wrong.0, wrong.1.to_owned());
        Ok(match op {
            Op::Empty | Op::Within => Test::Empty,
            Op::WithinBox => Test::WithinBox(Area::read(value).map_err(area)?),
            Op::WithinKm => Test::WithinKm(Circle::read(value).map_err(area)?),
            Op::Equal if is_set(column.ty) => Test::Same(self.operand(column, value, path)?),
            Op::Equal => Test::OneOf(vec![self.operand(column, value, path)?]),
            Op::Order(how) => Test::Compare(how, self.operand(column, value, path)?),
            Op::Contains => Test::Contains(self.needle(value, path)?),
            Op::StartsWith => Test::StartsWith(self.needle(value, path)?),
            Op::In if !is_set(column.ty) => Test::OneOf(self.operands(column, value, path)?),
            Op::In | Op::HasAny => Test::HasAny(self.set(column, value, path)?),
            Op::HasAll => Test::HasAll(self.set(column, value, path)?),
            Op::LinkedTo => {
                if let Ok(several) = array(value, path) {
                    self.count_values(several.len(), path)?;
                }
                Test::LinkedTo(self.operand(column, value, path)?)
            }
        })
    }

    fn operand(&mut self, column: &Column, json: &str, path: &str) -> Result<Cell, FieldError> {
        self.count_values(1, path)?;
        column
            .parse_operand(json, self.me)
            .map_err(|wrong| error(path.to_owned(), wrong.code, wrong.message))
    }

    fn operands(
        &mut self,
        column: &Column,
        json: &str,
        path: &str,
    ) -> Result<Vec<Cell>, FieldError> {
        array(json, path)?
            .iter()
            .enumerate()
            .map(|(at, member)| self.operand(column, member.get(), &format!("{path}/{at}")))
            .collect()
    }

    fn set(&mut self, column: &Column, json: &str, path: &str) -> Result<Cell, FieldError> {
        self.count_values(array(json, path)?.len(), path)?;
        self.operand(column, json, path)
    }

    fn needle(&mut self, json: &str, path: &str) -> Result<String, FieldError> {
        parse_needle(json)
            .map(|text| fold::folded(&text).into_owned())
            .map_err(|wrong| error(path.to_owned(), wrong.code, wrong.message))
    }

    fn count_condition(&mut self, path: &str) -> Result<(), FieldError> {
        self.conditions += 1;
        let message = || format!("more than {MAX_CONDITIONS} conditions");
        within(self.conditions, MAX_CONDITIONS)
            .ok_or_else(|| error(path.to_owned(), "too_many", message()))
    }

    fn count_values(&mut self, more: usize, path: &str) -> Result<(), FieldError> {
        self.values = self.values.saturating_add(more);
        let message = || format!("more than {MAX_VALUES} values in one filter");
        within(self.values, MAX_VALUES).ok_or_else(|| error(path.to_owned(), "too_many", message()))
    }
}

fn within(count: usize, most: usize) -> Option<()> {
    (count <= most).then_some(())
}

fn array<'j>(json: &'j str, path: &str) -> Result<Vec<&'j RawValue>, FieldError> {
    serde_json::from_str(json).map_err(|_| {
        error(
            path.to_owned(),
            "not_an_array",
            "expected an array".to_owned(),
        )
    })
}

pub(super) fn error(path: String, code: &'static str, message: String) -> FieldError {
    FieldError {
        path,
        code: Cow::Borrowed(code),
        message,
    }
}

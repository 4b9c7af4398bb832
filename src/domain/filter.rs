//! Filters: the contract's grammar read from JSON against a list's columns, and what a filter means.
//! [`Filter::matches`] is the meaning; whatever else answers filters (SQL, an index) must agree.
//!
//! # Meaning
//! Every condition is either true or false. Of an empty cell only `is_empty` is true and, being the
//! plain opposites of `eq`, `in` and `contains`, `ne`, `not_in` and `not_contains`. Texts compare as
//! [`fold`](super::fold) says without its tie-break: `Oak` is `eq`, `lte` and `gte` to `oak`. The
//! text of an address is its [sort key](super::cell::Address::sort_key). Choices are ordered as
//! people put them; one that the column no longer has is not there. Of a cell that may hold several
//! choices or users `eq` asks for the same ones in any order, `in` and `has_any` for at least one,
//! `has_all` for all.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::cell::{Cell, ColumnId};
use super::columns::{Column, ColumnSet, ColumnType, parse_needle};
use super::fold;
use super::item::Item;
use crate::error::FieldError;
use crate::ids::UserId;

/// The most conditions in a filter; a group without members counts as one.
pub const MAX_CONDITIONS: usize = 100;
/// How deep `and`, `or` and `not` may nest.
pub const MAX_DEPTH: usize = 5;
/// The most values in all lists of a filter together.
pub const MAX_VALUES: usize = 5_000;
/// The longest filter, in bytes of its JSON.
pub const MAX_LENGTH: usize = 1 << 20;

/// Which items of a list are asked for. Its `Debug` form says all that it asks, so that two filters
/// with the same form are the same question.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these; of none: everything.
    All(Vec<Filter>),
    /// At least one of these; of none: nothing.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(Condition),
}

/// A test of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub column: ColumnId,
    /// Whether the test must fail.
    pub negated: bool,
    pub test: Test,
}

/// What a cell is asked. The cells in it are of the kind that the column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Empty,
    /// Equal to at least one.
    OneOf(Vec<Cell>),
    /// Before or after this one, in the column's order.
    Compare(Comparison, Cell),
    /// The folded text is a part of the folded cell.
    Contains(String),
    /// The folded cell begins with the folded text.
    StartsWith(String),
    /// The same choices or users.
    Same(Cell),
    /// At least one of these choices or users.
    HasAny(Cell),
    /// All of these choices or users.
    HasAll(Cell),
}

/// A comparison by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Filter {
    /// Reads a filter. `me` is whom `{"me": true}` means. Paths of errors begin with `/filter`; their
    /// codes are `malformed too_long too_deep too_many unknown_column unknown_op bad_op not_built
    /// missing_value` and those of cells.
    pub fn parse(json: &str, columns: &ColumnSet, me: UserId) -> Result<Filter, Vec<FieldError>> {
        if json.len() > MAX_LENGTH {
            let message = format!("longer than {MAX_LENGTH} bytes");
            return Err(vec![error("/filter".to_owned(), "too_long", message)]);
        }
        let mut reader = Reader {
            columns,
            me,
            conditions: 0,
            values: 0,
        };
        reader
            .filter(json, "/filter", 1)
            .map_err(|wrong| vec![wrong])
    }

    /// Whether an item is asked for. `columns` are those of its list.
    pub fn matches(&self, columns: &ColumnSet, item: &Item) -> bool {
        match self {
            Filter::All(members) => members.iter().all(|member| member.matches(columns, item)),
            Filter::Any(members) => members.iter().any(|member| member.matches(columns, item)),
            Filter::Not(inner) => !inner.matches(columns, item),
            Filter::Is(condition) => columns
                .by_id(&condition.column)
                .is_some_and(|column| condition.matches(column, item.cell(column).as_deref())),
        }
    }
}

impl Condition {
    fn matches(&self, column: &Column, cell: Option<&Cell>) -> bool {
        let holds = match cell {
            None => self.test == Test::Empty,
            Some(cell) => self.test.holds(column, cell),
        };
        holds != self.negated
    }
}

impl Test {
    fn holds(&self, column: &Column, cell: &Cell) -> bool {
        match self {
            Test::Empty => false,
            Test::OneOf(cells) => cells.iter().any(|other| equal(cell, other)),
            Test::Compare(comparison, other) => comparison.accepts(order(column, cell, other)),
            Test::Contains(needle) => text(cell).is_some_and(|text| text.contains(needle)),
            Test::StartsWith(needle) => text(cell).is_some_and(|text| text.starts_with(needle)),
            Test::Same(others) => has_all(cell, others) && has_all(others, cell),
            Test::HasAny(others) => has_any(cell, others),
            Test::HasAll(others) => has_all(cell, others),
        }
    }
}

impl Comparison {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        }
    }
}

fn equal(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => fold::same(a, b),
        (Cell::Address(a), Cell::Address(b)) => fold::same(&a.sort_key(), &b.sort_key()),
        _ => a == b,
    }
}

fn order(column: &Column, a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => fold::compare_chars(a.chars(), b.chars()),
        _ => column.compare(a, b),
    }
}

/// The folded text in which is searched.
fn text(cell: &Cell) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Text(text) => Some(fold::folded(text)),
        Cell::Address(address) => Some(Cow::Owned(fold::folded(&address.sort_key()).into_owned())),
        _ => None,
    }
}

fn has_any(cell: &Cell, others: &Cell) -> bool {
    match (cell, others) {
        (Cell::Choices(all), Cell::Choices(some)) => some.iter().any(|one| all.contains(one)),
        (Cell::Users(all), Cell::Users(some)) => some.iter().any(|one| all.contains(one)),
        _ => false,
    }
}

fn has_all(cell: &Cell, others: &Cell) -> bool {
    match (cell, others) {
        (Cell::Choices(all), Cell::Choices(some)) => some.iter().all(|one| all.contains(one)),
        (Cell::Users(all), Cell::Users(some)) => some.iter().all(|one| all.contains(one)),
        _ => false,
    }
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
enum Op {
    Equal,
    Order(Comparison),
    In,
    Contains,
    StartsWith,
    Empty,
    HasAny,
    HasAll,
}

/// Operators of the contract that are still to come.
const NOT_BUILT: [&str; 4] = ["within", "linked_to", "within_box", "within_km"];

impl Op {
    /// The operator of that name, and whether it is negated.
    fn of(name: &str) -> Option<(Op, bool)> {
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
            _ => return None,
        })
    }

    /// Whether cells of that type can be asked this.
    fn suits(self, ty: ColumnType) -> bool {
        let place = matches!(ty, ColumnType::Address | ColumnType::Location);
        match self {
            Op::Equal | Op::Empty => true,
            Op::In => !place,
            Op::Order(_) => !place && !is_set(ty) && ty != ColumnType::Checkbox,
            Op::Contains | Op::StartsWith => ty.is_text() || ty == ColumnType::Address,
            Op::HasAny | Op::HasAll => is_set(ty),
        }
    }
}

/// Whether cells hold several of something.
fn is_set(ty: ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::MultiSelect | ColumnType::User | ColumnType::CreatedBy | ColumnType::UpdatedBy
    )
}

/// Reads the grammar and counts what it has read. Never goes deeper than [`MAX_DEPTH`].
struct Reader<'a> {
    columns: &'a ColumnSet,
    me: UserId,
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
            } => self
                .condition(&key, &op, value.map(RawValue::get), path)
                .map(Filter::Is),
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
    ) -> Result<Condition, FieldError> {
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
            return Err(if NOT_BUILT.contains(&name) {
                at_op("not_built", format!("{name} is not built yet"))
            } else {
                at_op("unknown_op", format!("there is no op {name:?}"))
            });
        };
        if !op.suits(column.ty) {
            let ty = column.ty.as_str();
            return Err(at_op(
                "bad_op",
                format!("a column of type {ty} can't be asked {name}"),
            ));
        }
        let test = self.test(op, column, value, &format!("{path}/value"))?;
        Ok(Condition {
            column: column.id,
            negated,
            test,
        })
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
        Ok(match op {
            Op::Empty => Test::Empty,
            Op::Equal if is_set(column.ty) => Test::Same(self.operand(column, value, path)?),
            Op::Equal => Test::OneOf(vec![self.operand(column, value, path)?]),
            Op::Order(how) => Test::Compare(how, self.operand(column, value, path)?),
            Op::Contains => Test::Contains(self.needle(value, path)?),
            Op::StartsWith => Test::StartsWith(self.needle(value, path)?),
            Op::In if !is_set(column.ty) => Test::OneOf(self.operands(column, value, path)?),
            Op::In | Op::HasAny => Test::HasAny(self.set(column, value, path)?),
            Op::HasAll => Test::HasAll(self.set(column, value, path)?),
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

fn error(path: String, code: &'static str, message: String) -> FieldError {
    FieldError {
        path,
        code: Cow::Borrowed(code),
        message,
    }
}

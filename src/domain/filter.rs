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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::domain::cell::Values;
    use crate::domain::columns::{Options, ParseContext};
    use crate::ids::ItemId;

    const ME: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));

    /// One column of each type, its key the type's name; selects may hold `New`, `Old` and `Gone`.
    fn columns() -> ColumnSet {
        let choices = json!({"choices": [{"name": "New"}, {"name": "Old"}, {"name": "Gone"}]});
        let column = |(at, ty): (u32, ColumnType)| Column {
            id: ColumnId::nth(at).unwrap(),
            key: ty.as_str().to_owned(),
            name: ty.as_str().to_owned(),
            ty,
            options: match ty {
                _ if ty.is_select() => Options::from_json(ty, &choices, None).unwrap(),
                ColumnType::Phone => {
                    Options::from_json(ty, &json!({"region": "US"}), None).unwrap()
                }
                ColumnType::User => {
                    Options::from_json(ty, &json!({"multiple": true}), None).unwrap()
                }
                _ => Options::default(),
            },
            required: false,
            default: None,
            position: 0,
            deleted: false,
        };
        ColumnSet::new((0..).zip(ColumnType::ALL).map(column).collect())
    }

    fn item(columns: &ColumnSet, values: Value) -> Item {
        let cells = values
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(key, value)| {
                let column = columns.by_key(key).unwrap();
                let cell =
                    column.parse_json(&value.to_string(), &ParseContext { members: &|_| true });
                Some((column.id, cell.unwrap()?))
            });
        Item {
            id: ItemId(Uuid::nil()),
            version: 1,
            seq: 1,
            values: cells.collect::<Values>(),
            created_at: DateTime::parse_from_rfc3339("2026-02-15T10:00:00Z")
                .unwrap()
                .to_utc(),
            created_by: ME,
            updated_at: DateTime::UNIX_EPOCH,
            updated_by: OTHER,
            deleted_at: None,
        }
    }

    fn filled(columns: &ColumnSet) -> Item {
        let values = json!({
            "text": "Straße in OAKLAND", "number": 10, "checkbox": false, "date": "2026-02-15",
            "date_time": "2026-02-15T10:00:00.5Z", "single_select": "Old",
            "multi_select": ["Old", "New"], "phone": "(415) 555-0132", "user": [ME, OTHER],
            "address": {"line1": "1 Main St", "city": "Sacramento"},
            "location": {"lat": 38.5, "lon": -121.4},
        });
        item(columns, values)
    }

    fn wrong(json: &str) -> (String, String) {
        let error = Filter::parse(json, &columns(), ME)
            .expect_err(json)
            .remove(0);
        (error.path, error.code.into_owned())
    }

    #[test]
    fn conditions_hold_of_filled_cells() {
        let columns = columns();
        let item = filled(&columns);
        let cases = [
            ("text", "eq", json!("STRAßE IN oakland"), true),
            ("text", "eq", json!("strasse in oakland"), false),
            ("text", "lte", json!("straße in oakland"), true),
            ("text", "lt", json!("straße in oakland"), false),
            ("text", "gt", json!("S"), true),
            ("text", "contains", json!("oak"), true),
            ("text", "not_contains", json!("oak"), false),
            ("text", "starts_with", json!("STRAẞ"), true),
            ("text", "in", json!(["x", "sTRAßE in oakland"]), true),
            ("text", "not_in", json!([]), true),
            ("number", "gt", json!(9.5), true),
            ("number", "eq", json!(10.0), true),
            ("number", "ne", json!(10), false),
            ("number", "in", json!([1, 10]), true),
            ("checkbox", "eq", json!(false), true),
            ("date", "gte", json!("2026-02-15"), true),
            (
                "date_time",
                "lt",
                json!("2026-02-15T11:00:00.6+01:00"),
                true,
            ),
            ("created_at", "eq", json!("2026-02-15T10:00:00Z"), true),
            ("single_select", "gt", json!("New"), true),
            ("single_select", "lt", json!("Gone"), true),
            ("multi_select", "eq", json!(["New", "Old"]), true),
            ("multi_select", "eq", json!(["Old"]), false),
            ("multi_select", "has_any", json!(["Gone", "Old"]), true),
            ("multi_select", "has_all", json!(["Gone", "Old"]), false),
            ("multi_select", "not_in", json!(["Gone"]), true),
            ("phone", "eq", json!("+1 415 555 0132"), true),
            ("phone", "starts_with", json!("+1415"), true),
            ("user", "has_any", json!([{"me": true}]), true),
            ("user", "eq", json!({"me": true}), false),
            ("user", "eq", json!([OTHER, {"me": true}]), true),
            ("created_by", "eq", json!({"me": true}), true),
            ("updated_by", "in", json!([{"me": true}]), false),
            ("address", "contains", json!("main st"), true),
            (
                "address",
                "eq",
                json!({"line1": "1 MAIN st", "city": "sacramento"}),
                true,
            ),
            ("location", "eq", json!({"lat": 38.5, "lon": -121.4}), true),
        ];
        for (key, op, value, holds) in cases {
            let json = json!({"column": key, "op": op, "value": value}).to_string();
            let filter = Filter::parse(&json, &columns, ME).expect(&json);
            assert_eq!(filter.matches(&columns, &item), holds, "{json}");
        }
    }

    #[test]
    fn of_empty_cells_only_emptiness_and_opposites_hold() {
        let columns = columns();
        let (empty, filled) = (item(&columns, json!({})), filled(&columns));
        let cases = [
            ("is_empty", None, true),
            ("not_empty", None, false),
            ("eq", Some("oak"), false),
            ("ne", Some("oak"), true),
            ("lt", Some("oak"), false),
            ("gte", Some("oak"), false),
            ("contains", Some("oak"), false),
            ("not_contains", Some("oak"), true),
            ("starts_with", Some("oak"), false),
        ];
        for (op, value, holds) in cases {
            let json = json!({"column": "text", "op": op, "value": value}).to_string();
            let filter = Filter::parse(&json, &columns, ME).expect(&json);
            assert_eq!(filter.matches(&columns, &empty), holds, "{json}");
            let json = format!(r#"{{"not":{json}}}"#);
            let filter = Filter::parse(&json, &columns, ME).expect(&json);
            assert_eq!(filter.matches(&columns, &empty), !holds, "{json}");
        }
        let is_empty = r#"{"column":"text","op":"is_empty"}"#;
        assert!(
            !Filter::parse(is_empty, &columns, ME)
                .unwrap()
                .matches(&columns, &filled)
        );
    }

    #[test]
    fn groups_without_members_are_everything_and_nothing() {
        let columns = columns();
        let item = item(&columns, json!({}));
        let holds = |json| {
            Filter::parse(json, &columns, ME)
                .unwrap()
                .matches(&columns, &item)
        };
        assert!(holds(r#"{"and":[]}"#));
        assert!(!holds(r#"{"or":[]}"#));
        assert!(holds(r#"{"or":[{"or":[]},{"not":{"or":[]}}]}"#));
    }

    #[test]
    fn a_choice_that_is_gone_is_an_empty_cell() {
        let before = columns();
        let item = item(
            &before,
            json!({"single_select": "Gone", "multi_select": ["Gone", "Old"]}),
        );
        let fewer = json!({"choices": [{"name": "New"}, {"name": "Old"}]});
        let after = ColumnSet::new(
            before
                .iter()
                .cloned()
                .map(|mut column| {
                    if column.ty.is_select() {
                        let options = Options::from_json(column.ty, &fewer, Some(&column.options));
                        column.options = options.unwrap();
                    }
                    column
                })
                .collect(),
        );
        let holds = |json| {
            Filter::parse(json, &after, ME)
                .unwrap()
                .matches(&after, &item)
        };
        assert!(holds(r#"{"column":"single_select","op":"is_empty"}"#));
        assert!(holds(
            r#"{"column":"multi_select","op":"eq","value":["Old"]}"#
        ));
    }

    #[test]
    fn a_broken_rule_is_named_by_its_place() {
        let condition = |op: &str, value: &str| {
            format!(
                r#"{{"and":[{{"column":"text","op":"eq","value":"a"}},{{"not":{{"column":"number","op":"{op}","value":{value}}}}}]}}"#
            )
        };
        let at = |path: &str, code: &str| (path.to_owned(), code.to_owned());
        for (json, path, code) in [
            ("[]", "/filter", "malformed"),
            ("{}", "/filter", "malformed"),
            (r#"{"and":[],"or":[]}"#, "/filter", "malformed"),
            (r#"{"and":[],"and":[]}"#, "/filter", "malformed"),
            (r#"{"column":"text","value":1}"#, "/filter", "malformed"),
            (r#"{"nor":[]}"#, "/filter", "malformed"),
            (r#"{"and":{}}"#, "/filter/and", "not_an_array"),
            (r#"{"and":[3]}"#, "/filter/and/0", "malformed"),
            (
                r#"{"column":"Nowhere","op":"eq","value":1}"#,
                "/filter/column",
                "unknown_column",
            ),
            (
                r#"{"column":"text","op":"like","value":"a"}"#,
                "/filter/op",
                "unknown_op",
            ),
            (
                r#"{"column":"text","op":"is_empty","value":1}"#,
                "/filter/value",
                "malformed",
            ),
            (
                r#"{"column":"text","op":"eq"}"#,
                "/filter/value",
                "missing_value",
            ),
            (
                r#"{"column":"text","op":"eq","value":null}"#,
                "/filter/value",
                "missing_value",
            ),
            (
                r#"{"column":"text","op":"contains","value":""}"#,
                "/filter/value",
                "missing_value",
            ),
            (
                r#"{"column":"text","op":"eq","value":"a\u0000"}"#,
                "/filter/value",
                "bad_text",
            ),
            (
                r#"{"column":"text","op":"eq","value":{"me":true}}"#,
                "/filter/value",
                "not_text",
            ),
            (
                r#"{"column":"user","op":"eq","value":{"me":false}}"#,
                "/filter/value",
                "not_a_member",
            ),
            (
                r#"{"column":"user","op":"in","value":{"me":true}}"#,
                "/filter/value",
                "not_an_array",
            ),
            (
                r#"{"column":"single_select","op":"eq","value":"new"}"#,
                "/filter/value",
                "not_a_choice",
            ),
            (
                r#"{"column":"date","op":"in","value":["2026-02-15","soon"]}"#,
                "/filter/value/1",
                "not_a_date",
            ),
        ] {
            assert_eq!(wrong(json), at(path, code), "{json}");
        }
        assert_eq!(
            wrong(&condition("lt", "\"1\"")),
            at("/filter/and/1/not/value", "not_a_number")
        );
        assert_eq!(
            wrong(&condition("contains", "1")),
            at("/filter/and/1/not/op", "bad_op")
        );
        for op in NOT_BUILT {
            assert_eq!(
                wrong(&condition(op, "1")),
                at("/filter/and/1/not/op", "not_built")
            );
        }
    }

    #[test]
    fn every_type_knows_its_ops() {
        let all = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let names = "eq ne lt lte gt gte in not_in contains not_contains starts_with is_empty not_empty has_any has_all";
        for ty in ColumnType::ALL {
            let suits: Vec<_> = all(names)
                .into_iter()
                .filter(|name| Op::of(name).unwrap().0.suits(ty))
                .collect();
            let expected = match ty {
                ColumnType::Checkbox => "eq ne in not_in is_empty not_empty",
                ColumnType::Address => "eq ne contains not_contains starts_with is_empty not_empty",
                ColumnType::Location => "eq ne is_empty not_empty",
                _ if is_set(ty) => "eq ne in not_in is_empty not_empty has_any has_all",
                _ if ty.is_text() => {
                    "eq ne lt lte gt gte in not_in contains not_contains starts_with is_empty not_empty"
                }
                _ => "eq ne lt lte gt gte in not_in is_empty not_empty",
            };
            assert_eq!(suits, all(expected), "{ty:?}");
        }
    }

    #[test]
    fn limits_stand_exactly() {
        let columns = columns();
        let one = r#"{"column":"text","op":"is_empty"}"#;
        let nested =
            |depth: usize| format!("{}{one}{}", r#"{"not":"#.repeat(depth), "}".repeat(depth));
        assert!(Filter::parse(&nested(MAX_DEPTH), &columns, ME).is_ok());
        let inside = "/not".repeat(MAX_DEPTH);
        assert_eq!(
            wrong(&nested(MAX_DEPTH + 1)),
            (format!("/filter{inside}"), "too_deep".to_owned())
        );
        assert_eq!(wrong(&nested(10_000)).1, "too_deep");

        let many = |count: usize| format!(r#"{{"or":[{}]}}"#, vec![one; count].join(","));
        assert!(Filter::parse(&many(MAX_CONDITIONS), &columns, ME).is_ok());
        assert_eq!(
            wrong(&many(MAX_CONDITIONS + 1)),
            ("/filter/or/100".to_owned(), "too_many".to_owned())
        );
        let empty_groups = format!(r#"{{"or":[{}]}}"#, vec![r#"{"and":[]}"#; 101].join(","));
        assert_eq!(wrong(&empty_groups).1, "too_many");

        let values = |count: usize| {
            format!(
                r#"{{"column":"number","op":"in","value":[{}]}}"#,
                vec!["1"; count].join(",")
            )
        };
        assert!(Filter::parse(&values(MAX_VALUES), &columns, ME).is_ok());
        assert_eq!(wrong(&values(MAX_VALUES + 1)).1, "too_many");
        assert_eq!(wrong(&" ".repeat(MAX_LENGTH + 1)).1, "too_long");
    }

    /// Any JSON, with a liking for the words of the grammar.
    fn any_json() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("and"),
            Just("or"),
            Just("not"),
            Just("column"),
            Just("op"),
            Just("value"),
            Just("eq"),
            Just("in"),
            Just("has_any"),
            Just("contains"),
            Just("me"),
            Just("text"),
            Just("number"),
            Just("user"),
            Just("multi_select"),
            Just("location"),
            Just("New"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
        ];
        let key = prop_oneof![4 => word.prop_map(str::to_owned), 1 => any::<String>()];
        leaf.prop_recursive(8, 64, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_it_panic(json in any_json()) {
            let columns = columns();
            for json in [json.to_string(), json!({"and": [json.clone()]}).to_string()] {
                if let Ok(filter) = Filter::parse(&json, &columns, ME) {
                    filter.matches(&columns, &filled(&columns));
                }
            }
        }

        #[test]
        fn no_value_makes_it_panic(value in any_json(), at in 0_usize..22, op in 0_usize..15) {
            let columns = columns();
            let ops = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains",
                "not_contains", "starts_with", "is_empty", "not_empty", "has_any", "has_all"];
            let json = json!({"column": ColumnType::ALL[at].as_str(), "op": ops[op], "value": value});
            if let Ok(filter) = Filter::parse(&json.to_string(), &columns, ME) {
                filter.matches(&columns, &filled(&columns));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = Filter::parse(&text, &columns(), ME);
        }
    }
}

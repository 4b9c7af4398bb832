//! What a filter means, item by item.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Comparison, Condition, Filter, Test};
use crate::domain::cell::{Cell, Location, list_key};
use crate::domain::columns::{Column, ColumnSet};
use crate::domain::fold;
use crate::domain::item::Item;

impl Filter {
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
            Test::Contains(needle) => contains(cell, needle),
            Test::StartsWith(needle) => text(cell).is_some_and(|text| text.starts_with(needle)),
            Test::Same(others) => has_all(cell, others) && has_all(others, cell),
            Test::HasAny(others) | Test::LinkedTo(others) => has_any(cell, others),
            Test::HasAll(others) => has_all(cell, others),
            Test::WithinBox(area) => place(cell).is_some_and(|place| area.holds(place)),
            Test::WithinKm(circle) => place(cell).is_some_and(|place| circle.holds(place)),
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

/// Whether the needle stands in the cell; of a list, in one of its members.
fn contains(cell: &Cell, needle: &str) -> bool {
    match cell {
        Cell::List(cells) => list_key(cells).iter().any(|text| text.contains(needle)),
        cell => text(cell).is_some_and(|text| text.contains(needle)),
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

fn place(cell: &Cell) -> Option<Location> {
    match cell {
        Cell::Location(place) => Some(*place),
        _ => None,
    }
}

fn has_any(cell: &Cell, others: &Cell) -> bool {
    match (cell, others) {
        (Cell::Choices(all), Cell::Choices(some)) => some.iter().any(|one| all.contains(one)),
        (Cell::Users(all), Cell::Users(some)) => some.iter().any(|one| all.contains(one)),
        (Cell::List(all), Cell::List(some)) => {
            let all = list_key(all);
            list_key(some).iter().any(|one| all.contains(one))
        }
        (Cell::Links(all), Cell::Links(some)) => {
            some.ids().any(|one| all.ids().any(|id| id == one))
        }
        _ => false,
    }
}

fn has_all(cell: &Cell, others: &Cell) -> bool {
    match (cell, others) {
        (Cell::Choices(all), Cell::Choices(some)) => some.iter().all(|one| all.contains(one)),
        (Cell::Users(all), Cell::Users(some)) => some.iter().all(|one| all.contains(one)),
        (Cell::List(all), Cell::List(some)) => {
            let all = list_key(all);
            list_key(some).iter().all(|one| all.contains(one))
        }
        _ => false,
    }
}

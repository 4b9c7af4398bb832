//! What figures come out of items, one by one.

use std::cmp::Ordering;

use chrono::{Datelike, Days, NaiveDate};

use super::{Bucket, Exact, Figure, Figures, Group, Level, Metric, Op, average, median};
use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnSet};
use crate::domain::fold::folded;
use crate::domain::item::Item;
use crate::domain::sort::SORTED_TEXT;

/// An item's place among the groups: by level what makes two the same, and how it is spelled.
type Key = Vec<Option<(Cell, Cell)>>;

impl Figures {
    /// The groups of these items, in order. `columns` are those of their list.
    pub fn of(&self, columns: &ColumnSet, items: &[Item]) -> Vec<Group> {
        let mut keyed: Vec<(Key, &Item)> = items
            .iter()
            .map(|item| (self.key(columns, item), item))
            .collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(columns, a, b));
        if self.group_by.is_empty() && keyed.is_empty() {
            return vec![self.group(columns, &[])];
        }
        keyed
            .chunk_by(|(a, _), (b, _)| self.compare(columns, a, b).is_eq())
            .map(|group| self.group(columns, group))
            .collect()
    }

    fn key(&self, columns: &ColumnSet, item: &Item) -> Key {
        let levels = self.group_by.iter();
        levels.map(|level| level.key(columns, item)).collect()
    }

    fn compare(&self, columns: &ColumnSet, a: &Key, b: &Key) -> Ordering {
        self.group_by
            .iter()
            .zip(a.iter().zip(b))
            .map(
                |(level, cells)| match (columns.by_id(&level.column), cells) {
                    (Some(column), (Some((a, _)), Some((b, _)))) => column.compare(a, b),
                    (_, (a, b)) => a.is_none().cmp(&b.is_none()),
                },
            )
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn group(&self, columns: &ColumnSet, keyed: &[(Key, &Item)]) -> Group {
        let items: Vec<&Item> = keyed.iter().map(|(_, item)| *item).collect();
        let spelled = |at: usize| {
            let cells = keyed.iter().filter_map(|(key, _)| key.get(at)?.as_ref());
            cells.map(|(_, cell)| cell).min_by(|a, b| match (a, b) {
                (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
                _ => Ordering::Equal,
            })
        };
        Group {
            group: (0..self.group_by.len())
                .map(|at| spelled(at).cloned())
                .collect(),
            figures: self
                .wanted
                .iter()
                .map(|metric| metric.of(columns, &items))
                .collect(),
        }
    }
}

impl Level {
    fn key(&self, columns: &ColumnSet, item: &Item) -> Option<(Cell, Cell)> {
        let column = columns.by_id(&self.column)?;
        let cell = item.cell(column)?.into_owned();
        let cell = match (self.bucket, cell) {
            (Some(bucket), Cell::Date(date)) => Cell::Date(bucket.first_day(date)?),
            (Some(bucket), Cell::DateTime(time)) => {
                Cell::Date(bucket.first_day(time.date_naive())?)
            }
            (_, Cell::Text(text)) => Cell::Text(text.chars().take(SORTED_TEXT).collect()),
            (_, cell) => in_order(column, cell),
        };
        Some((alike(column, cell.clone()), cell))
    }
}

impl Bucket {
    /// The first day of the span in which a day lies.
    pub fn first_day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Bucket::Day => Some(day),
            Bucket::Week => {
                let since = u64::from(day.weekday().num_days_from_monday());
                day.checked_sub_days(Days::new(since))
            }
            Bucket::Month => day.with_day(1),
            Bucket::Quarter => day.with_day(1)?.with_month(day.month0() / 3 * 3 + 1),
            Bucket::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        }
    }
}

impl Metric {
    fn of(&self, columns: &ColumnSet, items: &[&Item]) -> Figure {
        let (op, id) = match self {
            Metric::Count => return Figure::Count(count(items.len())),
            Metric::Of(op, id) => (*op, id),
        };
        let column = columns.by_id(id);
        let mut cells: Vec<Cell> = column
            .into_iter()
            .flat_map(|column| items.iter().filter_map(|item| item.cell(column)))
            .map(std::borrow::Cow::into_owned)
            .collect();
        let order =
            |a: &Cell, b: &Cell| column.map_or(Ordering::Equal, |column| column.compare(a, b));
        match op {
            Op::Filled => Figure::Count(count(cells.len())),
            Op::Empty => Figure::Count(count(items.len() - cells.len())),
            Op::Distinct => {
                let alike = |cell| match column {
                    Some(column) => alike(column, cell),
                    None => cell,
                };
                let mut alike: Vec<Cell> = cells.into_iter().map(alike).collect();
                alike.sort_by(order);
                alike.dedup_by(|a, b| order(a, b).is_eq());
                Figure::Count(count(alike.len()))
            }
            Op::Min => Figure::Cell(cells.into_iter().min_by(order)),
            Op::Max => Figure::Cell(cells.into_iter().max_by(order)),
            Op::Sum => Figure::Number(Some(sum(&cells))),
            Op::Avg => Figure::Number(average(sum(&cells), count(cells.len()))),
            Op::Median => {
                cells.sort_by(order);
                let middle = |cell: Option<&Cell>| cell.and_then(number);
                let lower = middle(cells.get(cells.len().saturating_sub(1) / 2));
                let upper = middle(cells.get(cells.len() / 2));
                Figure::Number(lower.zip(upper).and_then(|(a, b)| median(a, b)))
            }
        }
    }
}

/// Cells that are `eq` become the same.
fn alike(column: &Column, cell: Cell) -> Cell {
    match cell {
        Cell::Text(text) => Cell::Text(folded(&text).into_owned()),
        Cell::Address(address) => Cell::Text(folded(&address.sort_key()).into_owned()),
        cell => in_order(column, cell),
    }
}

/// Several choices in the order of the column, several people by their ids.
fn in_order(column: &Column, cell: Cell) -> Cell {
    match cell {
        Cell::Choices(mut ids) => {
            ids.sort_by_key(|id| column.options.choices.position(*id));
            Cell::Choices(ids)
        }
        Cell::Users(mut users) => {
            users.sort_unstable();
            Cell::Users(users)
        }
        cell => cell,
    }
}

fn sum(cells: &[Cell]) -> Exact {
    let numbers = cells.iter().filter_map(number);
    numbers.fold(Exact::default(), Exact::plus)
}

fn number(cell: &Cell) -> Option<Exact> {
    match cell {
        Cell::Number(number) => Some((*number).into()),
        _ => None,
    }
}

fn count(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}

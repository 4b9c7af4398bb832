//! Between cells and the values of formulas.

use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnType};
use crate::domain::formula::{Fault, Kind, Scalar, Value};

/// What a column's cells are in a formula; `None` where they are nothing that one reckons with.
pub fn kind_of(column: &Column) -> Option<Kind> {
    let one = |scalar| Kind {
        scalar,
        list: false,
    };
    Some(match column.ty {
        ty if ty.is_text() => one(Scalar::Text),
        ty if ty.is_number() => one(Scalar::Number),
        ColumnType::SingleSelect | ColumnType::Address => one(Scalar::Text),
        ColumnType::Checkbox => one(Scalar::Bool),
        ColumnType::Date => one(Scalar::Date),
        ColumnType::DateTime | ColumnType::CreatedAt => one(Scalar::Time),
        ColumnType::MultiSelect => Kind {
            scalar: Scalar::Text,
            list: true,
        },
        ColumnType::List => Kind {
            scalar: column.options.computed.as_ref()?.of?,
            list: true,
        },
        _ => return None,
    })
}

/// The type of a column whose cells are of that kind, and what its lists hold.
pub(super) fn type_of(kind: Kind) -> (ColumnType, Option<Scalar>) {
    if kind.list {
        return (ColumnType::List, Some(kind.scalar));
    }
    let ty = match kind.scalar {
        Scalar::Number => ColumnType::Number,
        Scalar::Text => ColumnType::Text,
        Scalar::Bool => ColumnType::Checkbox,
        Scalar::Date => ColumnType::Date,
        Scalar::Time => ColumnType::DateTime,
    };
    (ty, None)
}

/// A cell as a formula sees it.
pub(super) fn value_of(column: &Column, cell: &Cell) -> Result<Option<Value>, Fault> {
    let name = |id| {
        let choice = column.options.choices.by_id(id);
        choice.map(|choice| Value::Text(choice.name.clone()))
    };
    Ok(match cell {
        Cell::Fault(fault) => return Err(*fault),
        Cell::Text(text) => Some(Value::Text(text.clone())),
        Cell::Number(number) => Some(Value::Number(*number)),
        Cell::Bool(bool) => Some(Value::Bool(*bool)),
        Cell::Date(date) => Some(Value::Date(*date)),
        Cell::DateTime(time) => Some(Value::Time(*time)),
        Cell::Choice(id) => name(*id),
        Cell::Choices(ids) => {
            let names: Vec<Value> = ids.iter().filter_map(|id| name(*id)).collect();
            (!names.is_empty()).then_some(Value::List(names))
        }
        Cell::Address(address) => {
            let lines = address.named().into_iter().map(|(_, line)| line);
            let filled: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            Some(Value::Text(filled.join(", ")))
        }
        Cell::List(cells) => {
            let scalar = column.options.computed.as_ref().and_then(|c| c.of);
            let members = cells.iter().filter_map(|cell| member(scalar?, cell));
            Some(Value::List(members.collect()))
        }
        Cell::Location(_) | Cell::Users(_) | Cell::Links(_) => None,
    })
}

/// A member of a list, which is stored as its text where it is a date or a time.
fn member(scalar: Scalar, cell: &Cell) -> Option<Value> {
    match (scalar, cell) {
        (Scalar::Number, Cell::Number(number)) => Some(Value::Number(*number)),
        (Scalar::Bool, Cell::Bool(bool)) => Some(Value::Bool(*bool)),
        (Scalar::Text, Cell::Text(text)) => Some(Value::Text(text.clone())),
        (Scalar::Date, Cell::Text(text)) => text.parse().ok().map(Value::Date),
        (Scalar::Time, Cell::Text(text)) => chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Value::Time(time.to_utc())),
        (Scalar::Date, Cell::Date(date)) => Some(Value::Date(*date)),
        (Scalar::Time, Cell::DateTime(time)) => Some(Value::Time(*time)),
        _ => None,
    }
}

/// A result as a cell. What says nothing is no cell.
pub(super) fn cell_of(value: Value) -> Option<Cell> {
    match value {
        Value::Text(text) if text.is_empty() => None,
        Value::List(members) => {
            let cells: Vec<Cell> = members.into_iter().filter_map(listed).collect();
            (!cells.is_empty()).then_some(Cell::List(cells))
        }
        value => scalar(value),
    }
}

fn scalar(value: Value) -> Option<Cell> {
    Some(match value {
        Value::Text(text) => Cell::Text(text),
        Value::Number(number) => Cell::Number(number),
        Value::Bool(bool) => Cell::Bool(bool),
        Value::Date(date) => Cell::Date(date),
        Value::Time(time) => Cell::DateTime(time),
        Value::List(_) => return None,
    })
}

/// A member as it is kept: what is read back of a date is its text, and equal must stay equal.
fn listed(value: Value) -> Option<Cell> {
    match cell_of(value)? {
        cell @ (Cell::Date(_) | Cell::DateTime(_)) => {
            let mut stored = String::new();
            cell.write_stored(&mut stored);
            Some(Cell::Text(stored.trim_matches('"').to_owned()))
        }
        Cell::List(_) => None,
        cell => Some(cell),
    }
}

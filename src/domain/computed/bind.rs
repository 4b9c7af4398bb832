//! A rule bound to the columns that it names: whether they are there, and what comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::{kind_of, type_of};
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::columns::{Column, ColumnType, Rule};
use crate::domain::formula::{self, Fault, Fold, Formula, Kind, Named, Scalar};
use crate::domain::links::End;
use crate::domain::schema::List;
use crate::error::FieldError;
use crate::ids::ListId;

/// How the cells of a node are computed.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// From cells of the same item.
    Beside(Formula),
    /// From the items at the other end of its links.
    Across(End, What),
    /// The linked list is in the trash: what that comes to.
    Resting(Option<Cell>),
    Faulty(Fault),
}

/// What is made of linked items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Count,
    /// What stands in this column; of several items a list.
    Values(ColumnId, bool),
    Folded(ColumnId, Fold),
}

/// A rule and what comes of it.
#[derive(Clone, Debug)]
pub struct Bound {
    pub how: How,
    pub ty: ColumnType,
    /// What the members of its lists are.
    pub of: Option<Scalar>,
}

/// Why a rule can't be bound.
#[derive(Clone, Debug)]
pub enum Missing {
    /// A rule was broken by whoever made it, or a column was taken away since.
    Wrong(FieldError),
    /// The linked list is in the trash.
    Resting,
}

impl Missing {
    /// What cells show when that befalls a rule that was good once.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Missing::Resting => None,
            Missing::Wrong(wrong) if wrong.code == "unknown_column" => Some(Fault::MissingColumn),
            Missing::Wrong(_) => Some(Fault::WrongType),
        }
    }
}

/// Binds a rule of a column of `list`. Paths of errors begin with `/options`.
pub fn resolve(
    lists: &BTreeMap<ListId, Arc<List>>,
    ends: &[End],
    list: &List,
    rule: &Rule,
) -> Result<Bound, Missing> {
    match rule {
        Rule::Formula { expression } => in_item(list, expression),
        Rule::Count { link } => {
            let end = end_of(lists, ends, list, link)?;
            Ok(Bound {
                how: How::Across(end, What::Count),
                ty: ColumnType::Number,
                of: None,
            })
        }
        Rule::Lookup { link, column } => {
            let end = end_of(lists, ends, list, link)?;
            let source = source_of(lists, &end, column)?;
            let (ty, of) = looked_up(source, end.single)?;
            Ok(Bound {
                how: How::Across(end, What::Values(source.id, !end.single)),
                ty,
                of,
            })
        }
        Rule::Rollup { link, column, op } => {
            let end = end_of(lists, ends, list, link)?;
            let source = source_of(lists, &end, column)?;
            let kind = kind_of(source).ok_or_else(|| unsupported("column", source))?;
            let result = op.kind_of(kind.scalar).ok_or_else(|| {
                let message = format!("a {} has no {}", source.type_name(), op.as_str());
                wrong("op", "wrong_type", message)
            })?;
            let (ty, of) = type_of(result);
            Ok(Bound {
                how: How::Across(end, What::Folded(source.id, *op)),
                ty,
                of,
            })
        }
    }
}

fn in_item(list: &List, expression: &str) -> Result<Bound, Missing> {
    let named = |key: &str| match list.columns.by_key(key) {
        None => Named::Unknown,
        Some(column) => match kind_of(column) {
            Some(kind) => Named::Column(column.id, kind),
            None => Named::Unsupported(column.type_name()),
        },
    };
    let formula = formula::compile(expression, &named).map_err(|error| {
        let message = format!("{} (at character {})", error.message, error.at + 1);
        wrong("expression", error.code, message)
    })?;
    let (ty, of) = type_of(formula.kind());
    Ok(Bound {
        how: How::Beside(formula),
        ty,
        of,
    })
}

fn end_of(
    lists: &BTreeMap<ListId, Arc<List>>,
    ends: &[End],
    list: &List,
    key: &str,
) -> Result<End, Missing> {
    let unknown = || {
        let message = format!("the list has no link column {key:?}");
        wrong("link", "unknown_column", message)
    };
    let column = list.columns.by_key(key).ok_or_else(unknown)?;
    let link = column.options.link.as_ref().ok_or_else(unknown)?;
    let end = ends.iter().find(|end| end.column == Some(column.id));
    let target = lists.get(&link.list);
    match end {
        Some(end) => Ok(*end),
        None if target.is_some_and(|target| target.deleted_at.is_some()) => Err(Missing::Resting),
        None => Err(unknown()),
    }
}

fn source_of<'a>(
    lists: &'a BTreeMap<ListId, Arc<List>>,
    end: &End,
    key: &str,
) -> Result<&'a Column, Missing> {
    let list = lists.get(&end.other_list);
    let column = list.and_then(|list| list.columns.by_key(key));
    column.ok_or_else(|| {
        let message = format!("the linked list has no column {key:?}");
        wrong("column", "unknown_column", message)
    })
}

/// The type of what is looked up: of one item as it stands there, of several a list.
fn looked_up(source: &Column, single: bool) -> Result<(ColumnType, Option<Scalar>), Missing> {
    let copied = source.ty.is_text()
        || source.ty.is_number()
        || matches!(
            source.ty,
            ColumnType::Checkbox
                | ColumnType::Date
                | ColumnType::DateTime
                | ColumnType::Address
                | ColumnType::Location
                | ColumnType::User
        );
    match (single, source.ty) {
        (true, ColumnType::AutoNumber) => Ok((ColumnType::Number, None)),
        (true, ty) if copied => Ok((ty, None)),
        (true, ColumnType::CreatedBy) => Ok((ColumnType::User, None)),
        (_, _) => {
            let kind = kind_of(source).ok_or_else(|| unsupported("column", source))?;
            Ok(type_of(Kind {
                list: kind.list || !single,
                ..kind
            }))
        }
    }
}

fn unsupported(option: &str, column: &Column) -> Missing {
    let message = format!("nothing is computed from a {}", column.type_name());
    wrong(option, "unsupported_column", message)
}

fn wrong(option: &str, code: &'static str, message: String) -> Missing {
    Missing::Wrong(FieldError {
        path: format!("/options/{option}"),
        code: code.into(),
        message,
    })
}

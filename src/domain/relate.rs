//! Relations between lists: a link column and, in the other list, its inverse come, go and come back in
//! one change. Pure. Which items are linked is `links`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::cell::ColumnId;
use super::columns::{Column, ColumnSet, ColumnType, LinkOptions, MAX_COLUMNS, OnDelete, Options};
use super::links::Relation;
use super::schema::List;
use crate::error::AppError;
use crate::ids::ListId;

/// A list whose columns changed, and how those stand that did.
#[derive(Clone, Debug)]
pub struct Touched {
    pub list: List,
    pub columns: Vec<Column>,
}

/// Completes new link columns of a list: the lists that they point to are there, and their inverses are
/// made. Gives the list, and where inverses were made: in others, or in itself. `path` says where a column stands in the request.
pub fn relate(
    lists: &BTreeMap<ListId, Arc<List>>,
    list: List,
    keys: &[&str],
    path: impl Fn(usize) -> String,
    now: DateTime<Utc>,
) -> Result<(List, Vec<Touched>), AppError> {
    let mut own = list;
    let mut others: BTreeMap<ListId, Touched> = BTreeMap::new();
    let mut own_inverses = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let Some(column) = own.columns.by_key(key).cloned() else {
            continue;
        };
        let Some(link) = column.options.link.clone() else {
            continue;
        };
        let at = |option: &str, code: &'static str, message: &str| {
            AppError::field(format!("{}/options/{option}", path(index)), code, message)
        };
        let itself = link.list == own.id;
        let known = others.get(&link.list).map(|touched| &touched.list);
        let target = match known.or_else(|| lists.get(&link.list).map(Arc::as_ref)) {
            _ if itself => own.clone(),
            Some(target) if target.deleted_at.is_none() => target.clone(),
            _ => return Err(at("list_id", "unknown_list", "there is no such list")),
        };
        let Some(inverse_key) = &link.inverse_key else {
            continue;
        };
        if target.columns.by_key(inverse_key).is_some() {
            let message = "the other list has a column of this key";
            return Err(at("inverse_key", "taken", message));
        }
        if target.columns.len() >= MAX_COLUMNS {
            let message = "the other list has as many columns as it may have";
            return Err(at("inverse_key", "too_many", message));
        }
        let id = target.columns.next_id();
        let id = id.ok_or_else(|| AppError::too_large("The list has used up its columns"))?;
        let inverse = inverse_of(&own, &column, &link, id, &target);
        let this = Column {
            options: Options {
                link: Some(LinkOptions {
                    inverse: Some(id),
                    ..link
                }),
                ..column.options.clone()
            },
            ..column
        };
        if itself {
            own = with(&with(&own, this, now), inverse.clone(), now);
            own_inverses.push(inverse);
        } else {
            let changed = with(&target, inverse.clone(), now);
            let touched = others.entry(target.id).or_insert_with(|| Touched {
                list: target,
                columns: Vec::new(),
            });
            touched.list = changed;
            touched.columns.push(inverse);
            own = with(&own, this, now);
        }
    }
    let mut touched: Vec<Touched> = others.into_values().collect();
    if !own_inverses.is_empty() {
        touched.push(Touched {
            list: own.clone(),
            columns: own_inverses,
        });
    }
    Ok((own, touched))
}

/// The other end's column: called as the list that links, behind the others.
fn inverse_of(
    list: &List,
    column: &Column,
    link: &LinkOptions,
    id: ColumnId,
    target: &List,
) -> Column {
    let last = target.columns.iter().map(|column| column.position).max();
    Column {
        id,
        key: link.inverse_key.clone().unwrap_or_default(),
        name: list.name.clone(),
        ty: ColumnType::Link,
        options: Options {
            multiple: link.inverse_multiple,
            link: Some(LinkOptions {
                list: list.id,
                inverse_key: Some(column.key.clone()),
                inverse: Some(column.id),
                inverse_multiple: column.options.multiple,
                on_delete: OnDelete::Unlink,
                backward: true,
            }),
            ..Options::default()
        },
        required: false,
        unique: false,
        default: None,
        position: last.map_or(0, |last| last.saturating_add(1)),
        deleted: false,
        replaced: false,
    }
}

/// The list with a column new or changed.
pub fn with(list: &List, column: Column, now: DateTime<Utc>) -> List {
    let others = list
        .columns
        .iter_all()
        .filter(|other| other.id != column.id);
    let mut columns: Vec<Column> = others.cloned().collect();
    columns.push(column);
    List {
        columns: ColumnSet::new(columns),
        updated_at: now,
        ..list.clone()
    }
}

/// The relation that a link column shows.
pub fn relation_of(list: ListId, column: &Column) -> Option<Relation> {
    let link = column.options.link.as_ref()?;
    match (link.backward, link.inverse) {
        (true, inverse) => Some(Relation {
            list: link.list,
            column: inverse?,
        }),
        (false, _) => Some(Relation {
            list,
            column: column.id,
        }),
    }
}

/// The column at the other end, deleted or not, with its list.
pub fn inverse<'a>(
    lists: &'a BTreeMap<ListId, Arc<List>>,
    column: &Column,
) -> Option<(&'a Arc<List>, &'a Column)> {
    let link = column.options.link.as_ref()?;
    let list = lists.get(&link.list)?;
    Some((list, list.columns.by_id(&link.inverse?)?))
}

/// The column that was taken away last under this key, once more. 404 when there is none, 409 when the
/// key, or that of its inverse, has been taken since.
pub fn restore_column(
    lists: &BTreeMap<ListId, Arc<List>>,
    list: &List,
    key: &str,
) -> Result<(Column, Option<(ListId, Column)>), AppError> {
    let gone = list
        .columns
        .iter_all()
        .filter(|column| column.deleted && !column.replaced && column.key == key)
        .max_by_key(|column| column.id);
    if list.columns.by_key(key).is_some() {
        return Err(AppError::conflict("The list has a column of this key").at("/key", "taken"));
    }
    let gone = gone.ok_or_else(AppError::not_found)?;
    if list.columns.len() >= MAX_COLUMNS {
        return Err(AppError::too_large(format!(
            "A list has at most {MAX_COLUMNS} columns"
        )));
    }
    let again = |column: &Column| Column {
        deleted: false,
        ..column.clone()
    };
    let other = match inverse(lists, gone) {
        None => None,
        Some((other, column)) if other.columns.by_key(&column.key).is_none() => {
            Some((other.id, again(column)))
        }
        Some(_) => {
            let detail = "The other list has a column of its inverse's key";
            return Err(AppError::conflict(detail).at("/options/inverse_key", "taken"));
        }
    };
    Ok((again(gone), other))
}

//! Computed columns that are made or changed: what they are computed from must be there, and none may need
//! itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::bind::{Missing, resolve};
use super::graph::cycle;
use crate::domain::columns::{Column, ColumnType, Computed, Options};
use crate::domain::formula::Scalar;
use crate::domain::links::ends_of;
use crate::domain::relate::with;
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::ListId;

/// Completes new computed columns of a list, which may need each other in any order: their types follow
/// from what they are computed from. `others` are the lists as they stand with it; `path` says where a
/// column stands in the request.
///
/// Errors: 422 with the path of what is wrong, and `cycle`, which names the way.
pub fn complete(
    others: &BTreeMap<ListId, Arc<List>>,
    list: List,
    keys: &[&str],
    path: impl Fn(usize) -> String,
    now: DateTime<Utc>,
) -> Result<List, AppError> {
    let is_computed = |list: &List, key: &str| {
        let column = list.columns.by_key(key);
        column.is_some_and(|column| column.options.computed.is_some())
    };
    if !keys.iter().any(|key| is_computed(&list, key)) {
        return Ok(list);
    }
    let mut list = list;
    let mut lists = others.clone();
    // One may stand before what it needs: as often as there are columns at most.
    for pass in 0..=keys.len() {
        lists.insert(list.id, Arc::new(list.clone()));
        let ends = ends_of(&lists);
        let ends = ends.get(&list.id).map_or(&[] as &[_], Vec::as_slice);
        let (mut completed, mut wrong) = (list.clone(), None);
        for (index, key) in keys.iter().enumerate() {
            let column = completed.columns.by_key(key).cloned();
            let Some(column) = column else { continue };
            let Some(computed) = &column.options.computed else {
                continue;
            };
            match resolve(&lists, ends, &completed, &computed.rule) {
                Ok(bound) => {
                    let column = typed(&column, computed, bound.ty, bound.of);
                    completed = with(&completed, column, now);
                }
                Err(missing) => {
                    wrong.get_or_insert_with(|| refused(missing, &path(index)));
                }
            }
        }
        let stands = completed.columns == list.columns;
        list = completed;
        match wrong {
            None if stands => break,
            Some(wrong) if stands || pass == keys.len() => return Err(wrong),
            _ => {}
        }
    }
    lists.insert(list.id, Arc::new(list.clone()));
    match cycle(&lists, &ends_of(&lists)) {
        None => Ok(list),
        Some(way) => {
            let message = format!("it would need itself: {}", way.join(" → "));
            let index = keys.iter().position(|key| is_computed(&list, key));
            let path = format!("{}/options", path(index.unwrap_or(0)));
            Err(AppError::field(path, "cycle", message))
        }
    }
}

fn typed(column: &Column, computed: &Computed, ty: ColumnType, of: Option<Scalar>) -> Column {
    Column {
        ty,
        options: Options {
            computed: Some(Computed {
                of,
                ..computed.clone()
            }),
            ..column.options.clone()
        },
        ..column.clone()
    }
}

fn refused(missing: Missing, path: &str) -> AppError {
    match missing {
        Missing::Wrong(mut wrong) => {
            wrong.path.insert_str(0, path);
            AppError::fields(vec![wrong])
        }
        Missing::Resting => {
            let message = "the linked list is in the trash";
            AppError::field(format!("{path}/options/link"), "deleted_list", message)
        }
    }
}

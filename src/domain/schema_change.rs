//! Changes of lists and columns: judged against the list as it stands. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::cell::{Cell, ColumnId};
use super::columns::{
    Column, ColumnSet, ColumnType, Computed, MAX_COLUMNS, Options, ParseContext, Rule, RuleKind,
    check_key, check_name,
};
use super::relate::relate;
use super::retype::OnLoss;
use super::schema::List;
use super::template::{LinkTemplate, ListTemplate};
use crate::error::{AppError, FieldError};
use crate::ids::{ListId, UserId};

/// Lists of one workspace at most.
pub const MAX_LISTS: usize = 200;

/// A column to be made.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// `[A-Za-z][A-Za-z0-9_]{0,62}`; never changes.
    pub key: String,
    /// 1–200 characters.
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub ty: String,
    /// Of a link: `{"list_id","inverse_key"?,"multiple"?,"inverse_multiple"?,"on_delete"?}`. With
    /// `inverse_key` the other list gets a column that shows the same links from there, in the same
    /// change. `multiple` (false when not said) and `inverse_multiple` (true) say whether a cell here, or
    /// there, holds several. `on_delete`: `unlink`, or `restrict`, which keeps a linked item from the trash.
    /// Of what is computed (see FORMULAS.md): a `formula` `{"expression"}`, a `lookup` `{"link","column"}`, a
    /// `rollup` `{"link","column","op"}`, a `count` `{"link"}`; `result` is the type that comes of it.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Value>,
    #[serde(default)]
    pub required: bool,
    /// No two items outside the trash hold the same value, text compared without regard to case. Of types that
    /// hold one value; without a default.
    #[serde(default)]
    pub unique: bool,
    #[schema(value_type = Option<Object>)]
    pub default: Option<Box<RawValue>>,
}

/// A change of a column; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnPatch {
    pub name: Option<String>,
    /// Another type: values are read as imports read them. Refused with 422 `lossy` and a sample where some can't
    /// be, unless `on_loss` says otherwise; with 422 `no_conversion` where the types have nothing in common.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// Beside another `type`: what happens to values that it can't hold.
    pub on_loss: Option<OnLoss>,
    /// Only choices may be added, renamed (`"was"`) and reordered beside other options.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Value>,
    pub required: Option<bool>,
    /// `true` is refused with a sample, 409 `not_unique`, where values stand more than once.
    pub unique: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub default: Option<Box<RawValue>>,
    /// Where it stands among the list's columns, from 0.
    pub position: Option<i32>,
}

/// Tells `null` (clear it) from absent (leave it).
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(d).map(Some)
}

/// A new list with its columns.
pub fn new_list(
    id: ListId,
    name: &str,
    specs: &[ColumnSpec],
    position: i32,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<List, AppError> {
    check_name(name).map_err(|error| AppError::field("/name", error.code, error.message))?;
    let empty = List {
        id,
        name: name.trim().to_owned(),
        position,
        columns: ColumnSet::new(Vec::new()),
        created_at: now,
        created_by: by,
        updated_at: now,
        deleted_at: None,
    };
    add_columns(&empty, specs, |index| format!("/columns/{index}"), now)
}

/// A list of a template. Templates are part of the product: a test holds that each can be made.
pub fn from_template(
    id: ListId,
    template: &ListTemplate,
    position: i32,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<List, AppError> {
    let specs: Vec<ColumnSpec> = template
        .columns
        .iter()
        .map(|column| ColumnSpec {
            key: column.key.to_owned(),
            name: Some(column.name.to_owned()),
            ty: column.ty.as_str().to_owned(),
            options: Some(column.options.clone()),
            required: column.required,
            unique: false,
            default: None,
        })
        .collect();
    new_list(id, template.name, &specs, position, by, now)
}

/// Links lists of a template with each other. Those that are missing stay unlinked.
pub fn link_templates(
    lists: Vec<List>,
    links: &[LinkTemplate],
    now: DateTime<Utc>,
) -> Result<Vec<List>, AppError> {
    let mut by_id: BTreeMap<ListId, Arc<List>> = BTreeMap::new();
    by_id.extend(lists.into_iter().map(|list| (list.id, Arc::new(list))));
    for link in links {
        let named = |name: &str| by_id.values().find(|list| list.name == name).cloned();
        let (Some(list), Some(to)) = (named(link.list), named(link.to)) else {
            continue;
        };
        let spec = ColumnSpec {
            key: link.key.to_owned(),
            name: Some(link.name.to_owned()),
            ty: ColumnType::Link.as_str().to_owned(),
            options: Some(link.options(to.id)),
            required: false,
            unique: false,
            default: None,
        };
        let changed = add_columns(&list, &[spec], |_| String::new(), now)?;
        let (changed, others) = relate(&by_id, changed, &[link.key], |_| String::new(), now)?;
        let others = others.into_iter().map(|touched| touched.list);
        let changed = others.chain([changed]);
        by_id.extend(changed.map(|list| (list.id, Arc::new(list))));
    }
    let mut lists: Vec<List> = by_id.into_values().map(Arc::unwrap_or_clone).collect();
    lists.sort_by_key(|list| list.position);
    Ok(lists)
}

/// The list with these columns behind its own.
pub fn add_columns(
    list: &List,
    specs: &[ColumnSpec],
    path: impl Fn(usize) -> String,
    now: DateTime<Utc>,
) -> Result<List, AppError> {
    let mut columns: Vec<Column> = list.columns.iter_all().cloned().collect();
    if list.columns.len() + specs.len() > MAX_COLUMNS {
        return Err(AppError::too_large(format!(
            "A list has at most {MAX_COLUMNS} columns"
        )));
    }
    let mut next = list.columns.next_id().map_or(0, ColumnId::number);
    let mut position = list
        .columns
        .iter()
        .map(|column| column.position)
        .max()
        .unwrap_or(-1);
    let mut errors = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        position += 1;
        let taken = columns
            .iter()
            .any(|column| !column.deleted && column.key == spec.key);
        let id = ColumnId::nth(next)
            .ok_or_else(|| AppError::too_large("The list has used up its columns"))?;
        match new_column(spec, id, position, taken) {
            Ok(column) => {
                next += 1;
                columns.push(column);
            }
            Err(found) => errors.extend(found.into_iter().map(|mut error| {
                error.path.insert_str(0, &path(index));
                error
            })),
        }
    }
    if !errors.is_empty() {
        return Err(AppError::fields(errors));
    }
    Ok(List {
        columns: ColumnSet::new(columns),
        updated_at: now,
        ..list.clone()
    })
}

fn new_column(
    spec: &ColumnSpec,
    id: ColumnId,
    position: i32,
    taken: bool,
) -> Result<Column, Vec<FieldError>> {
    let one = |path: &str, code: &'static str, message: String| {
        vec![FieldError {
            path: path.into(),
            code: code.into(),
            message,
        }]
    };
    check_key(&spec.key).map_err(|error| one("/key", error.code, error.message))?;
    if taken {
        return Err(one(
            "/key",
            "taken",
            "the list has a column of this key".into(),
        ));
    }
    let name = spec.name.as_deref().unwrap_or(&spec.key);
    check_name(name).map_err(|error| one("/name", error.code, error.message))?;
    let (ty, options) = kind_of(&spec.ty, spec.options.as_ref().unwrap_or(&Value::Null))?;
    let mut column = Column {
        id,
        key: spec.key.clone(),
        name: name.trim().to_owned(),
        ty,
        options,
        required: spec.required,
        unique: spec.unique,
        default: None,
        position,
        deleted: false,
        replaced: false,
    };
    if column.is_read_only() && (spec.required || spec.default.is_some()) {
        return Err(one(
            "/required",
            "read_only",
            "a computed column is never written".into(),
        ));
    }
    if ty == ColumnType::Link && (spec.required || spec.default.is_some()) {
        return Err(one(
            if spec.required {
                "/required"
            } else {
                "/default"
            },
            "not_built",
            "a link column is never required and has no default".into(),
        ));
    }
    column.default = default_of(&column, spec.default.as_deref())
        .map_err(|(code, message)| one("/default", code, message))?;
    check_unique(&column).map_err(|error| vec![error])?;
    Ok(column)
}

/// A type by its name, and its options. What a computed column holds is known once it is bound.
fn kind_of(name: &str, options: &Value) -> Result<(ColumnType, Options), Vec<FieldError>> {
    if let Some(kind) = RuleKind::from_name(name) {
        let computed = Some(Computed::new(Rule::from_json(kind, options)?));
        let options = Options {
            computed,
            ..Options::default()
        };
        return Ok((ColumnType::Text, options));
    }
    let ty = ColumnType::from_request(name).map_err(|error| vec![error])?;
    Ok((ty, Options::from_json(ty, options, None)?))
}

/// Whether the column may be unique, if it is.
fn check_unique(column: &Column) -> Result<(), FieldError> {
    let refused = |path: &str, code: &'static str, message: &str| {
        Err(FieldError {
            path: path.to_owned(),
            code: code.into(),
            message: message.to_owned(),
        })
    };
    match column.unique {
        true if column.options.computed.is_some() || !column.ty.may_be_unique() => {
            let message = "columns of this type can't be unique";
            refused("/unique", "cannot_be_unique", message)
        }
        true if column.default.is_some() => {
            let message = "a unique column has no default: a second item would hold it too";
            refused("/default", "unique_default", message)
        }
        _ => Ok(()),
    }
}

fn default_of(
    column: &Column,
    raw: Option<&RawValue>,
) -> Result<Option<Cell>, (&'static str, String)> {
    let Some(raw) = raw else { return Ok(None) };
    if matches!(column.ty, ColumnType::User | ColumnType::Link) {
        return Err((
            "not_built",
            "a default person or link is not built yet".into(),
        ));
    }
    column
        .parse_json(
            raw.get(),
            &ParseContext {
                members: &|_| false,
            },
        )
        .map_err(|error| (error.code, error.message))
}

/// The list with a changed column, and that column. Another type is `retype`'s to give.
pub fn change_column(
    list: &List,
    key: &str,
    patch: &ColumnPatch,
    now: DateTime<Utc>,
) -> Result<(List, Column), AppError> {
    let old = list.columns.by_key(key).ok_or_else(AppError::not_found)?;
    let mut column = Column::clone(old);
    if let Some(name) = &patch.name {
        check_name(name).map_err(|error| AppError::field("/name", error.code, error.message))?;
        column.name = name.trim().to_owned();
    }
    column.unique = patch.unique.unwrap_or(column.unique);
    if patch.on_loss.is_some() && patch.ty.is_none() {
        let message = "say which type the column should have";
        return Err(AppError::field("/on_loss", "needs_type", message));
    }
    // Another rule is `retype`'s to give.
    if let Some(options) = patch
        .options
        .as_ref()
        .filter(|_| old.options.computed.is_none())
    {
        let options =
            Options::from_json(column.ty, options, Some(&old.options)).map_err(AppError::fields)?;
        let dropped = old
            .options
            .choices
            .iter()
            .find(|choice| !options.choices.iter().any(|kept| kept.id == choice.id));
        if let Some(choice) = dropped {
            let message = format!("taking the choice {:?} away is not built yet", choice.name);
            return Err(AppError::field("/options/choices", "not_built", message));
        }
        column.options = options;
    }
    if let Some(required) = patch.required {
        if required && column.is_read_only() {
            return Err(AppError::field(
                "/required",
                "read_only",
                "a computed column is never written",
            ));
        }
        if required && column.ty == ColumnType::Link {
            return Err(AppError::field(
                "/required",
                "not_built",
                "a link column is never required",
            ));
        }
        column.required = required;
    }
    if let Some(default) = &patch.default {
        column.default = default_of(&column, Some(default))
            .map_err(|(code, message)| AppError::field("/default", code, message))?;
    }
    check_unique(&column).map_err(|error| AppError::fields(vec![error]))?;
    let mut columns: Vec<Column> = list.columns.iter_all().cloned().collect();
    if let Some(slot) = columns.iter_mut().find(|other| other.id == column.id) {
        *slot = column.clone();
    }
    if let Some(position) = patch.position {
        move_to(&mut columns, &column.id, position);
    }
    let list = List {
        columns: ColumnSet::new(columns),
        updated_at: now,
        ..list.clone()
    };
    let column = list
        .columns
        .by_id(&column.id)
        .cloned()
        .ok_or_else(AppError::not_found)?;
    Ok((list, column))
}

/// Numbers the living columns anew with `id` at `position`.
fn move_to(columns: &mut [Column], id: &ColumnId, position: i32) {
    let mut order: Vec<ColumnId> = {
        let mut living: Vec<&Column> = columns.iter().filter(|column| !column.deleted).collect();
        living.sort_by_key(|column| column.position);
        living
            .into_iter()
            .filter(|column| column.id != *id)
            .map(|column| column.id)
            .collect()
    };
    let index = usize::try_from(position).unwrap_or(0).min(order.len());
    order.insert(index, *id);
    for (position, id) in (0..).zip(order) {
        if let Some(column) = columns.iter_mut().find(|column| column.id == id) {
            column.position = position;
        }
    }
}

/// The list without a column; its cells stay stored and unseen.
pub fn drop_column(list: &List, key: &str, now: DateTime<Utc>) -> Result<(List, Column), AppError> {
    let old = list.columns.by_key(key).ok_or_else(AppError::not_found)?;
    let dropped = Column {
        deleted: true,
        ..Column::clone(old)
    };
    let columns = list
        .columns
        .iter_all()
        .map(|column| {
            if column.id == dropped.id {
                dropped.clone()
            } else {
                column.clone()
            }
        })
        .collect();
    Ok((
        List {
            columns: ColumnSet::new(columns),
            updated_at: now,
            ..list.clone()
        },
        dropped,
    ))
}

/// The list renamed or moved.
pub fn change_list(
    list: &Arc<List>,
    name: Option<&str>,
    position: Option<i32>,
    now: DateTime<Utc>,
) -> Result<List, AppError> {
    let mut changed = List::clone(list);
    if let Some(name) = name {
        check_name(name).map_err(|error| AppError::field("/name", error.code, error.message))?;
        changed.name = name.trim().to_owned();
    }
    changed.position = position.unwrap_or(changed.position);
    changed.updated_at = now;
    Ok(changed)
}

//! Items: single ones, batches, the trash, and an item's history. Pages of living items are
//! `items_query`'s.

use std::fmt::Write;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use uuid::Uuid;

use super::cursor::{self, cut, page_size};
use super::extract::{Access, Body, Caller, access, if_match, path_id, query, remember, state};
use super::past;
use super::problem::{json_at, version_at};
use super::settled::{is_settled, settled};
use super::submit;
use crate::actors::workspace::Shape;
use crate::domain::cell::ColumnId;
use crate::domain::columns::ColumnType;
use crate::domain::edit::{ItemCommand, ItemPatch, Merge, NewItem, RawValues, Versions, list_of};
use crate::domain::item::{Item, time};
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::ItemId;
use crate::store::items::Shelf;
use crate::store::past::last_changes;
use crate::store::{self, Purpose, Tx, links};
use crate::wire::frames::{NewItemIn, PatchIn};
use crate::wire::object::{objects, some_objects};

/// One new item or many.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemsIn {
    #[serde(default, deserialize_with = "some_objects")]
    items: Option<Vec<NewItemIn>>,
    #[schema(value_type = Option<Uuid>)]
    id: Option<ItemId>,
    #[schema(value_type = Option<Object>)]
    values: Option<RawValues>,
}

/// Changes of many items: all or nothing.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchesIn {
    #[serde(deserialize_with = "objects")]
    items: Vec<PatchIn>,
}

/// A change of one item.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemPatchIn {
    #[schema(value_type = Object)]
    values: RawValues,
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    if_version: Option<Versions>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    if_values: Option<RawValues>,
}

/// Items for the trash.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdsIn {
    #[schema(value_type = Vec<Uuid>)]
    ids: Vec<ItemId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    #[serde(default)]
    typecast: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    expand: Option<String>,
    as_of: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrashQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    columns: Option<String>,
    count: Option<String>,
}

/// The list of the path at the door of its workspace.
pub(super) async fn at_list(
    request: &HttpRequest,
    caller: &Caller,
    action: Action,
) -> Result<(Access, Arc<List>), AppError> {
    let access = access(request, caller, action).await?;
    let list = Arc::clone(list_of(
        path_id(request, "list_id")?,
        &access.snapshot.schema,
    )?);
    Ok((access, list))
}

/// The items in the trash, by id.
pub async fn trash(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: TrashQuery = query(&request)?;
    settled(async || trash_once(&request, &caller, &asked).await).await
}

async fn trash_once(
    request: &HttpRequest,
    caller: &Caller,
    asked: &TrashQuery,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let state = state(request)?;
    let shown = match &asked.columns {
        None => Arc::clone(&list),
        Some(keys) => Arc::new(only(&list, keys.split(',').map(str::trim))?),
    };
    let limit = page_size(asked.limit)?;
    let counting = Counting::read(asked.count.as_deref())?;
    let question = format!("trash {} {}", access.snapshot.id, list.id);
    let cursor = asked.cursor.as_deref();
    let after = cursor::after(&state.settings, &question, cursor, item_position)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Page).await?;
    let mut items = store::items::page(
        &mut tx,
        access.snapshot.id,
        &list,
        Shelf::Trash,
        after,
        limit + 1,
    )
    .await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    let (workspace, shelf) = (access.snapshot.id, Shelf::Trash);
    let count = match counting {
        None => None,
        Some(Counting::Exact) => {
            Some(store::items::count(&mut tx, workspace, list.id, shelf).await?)
        }
        Some(Counting::Estimated) => {
            Some(store::items::estimate(&mut tx, workspace, list.id, shelf).await?)
        }
    };
    tx.commit().await?;
    let more = cut(&mut items, limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| cursor::seal(&state.settings, &question, last.id.uuid().as_bytes()));
    Ok(Some(json_at(
        access.snapshot.seq,
        page_body(&shown, &items, next.as_deref(), count),
    )))
}

/// How items are to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    Exact,
    Estimated,
}

impl Counting {
    /// Not at all unless asked.
    pub(super) fn read(asked: Option<&str>) -> Result<Option<Counting>, AppError> {
        match asked {
            None => Ok(None),
            Some("exact") => Ok(Some(Counting::Exact)),
            Some("estimated") => Ok(Some(Counting::Estimated)),
            Some(_) => Err(AppError::malformed("count: exact or estimated")),
        }
    }
}

fn item_position(bytes: &[u8]) -> Result<ItemId, AppError> {
    Uuid::from_slice(bytes)
        .map(ItemId)
        .map_err(|_| AppError::malformed("This cursor does not belong to this question"))
}

/// The list with these columns alone.
pub(super) fn only<'k>(list: &List, keys: impl Iterator<Item = &'k str>) -> Result<List, AppError> {
    let columns = keys
        .map(|key| {
            list.columns.by_key(key).cloned().ok_or_else(|| {
                AppError::field("/columns", "unknown_column", format!("no column {key:?}"))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(List {
        columns: crate::domain::columns::ColumnSet::new(columns),
        ..list.clone()
    })
}

/// The link columns of that list whose items are to be shown with them.
pub(super) fn expanded<'k>(
    list: &List,
    keys: impl Iterator<Item = &'k str>,
) -> Result<Vec<ColumnId>, AppError> {
    keys.map(|key| {
        let wrong = |code, message| Err(AppError::field("/expand", code, message));
        match list.columns.by_key(key) {
            None => wrong("unknown_column", format!("no column {key:?}")),
            Some(column) if column.ty != ColumnType::Link => {
                wrong("bad_column", format!("{key:?} is no link column"))
            }
            Some(column) => Ok(column.id),
        }
    })
    .collect()
}

pub(super) fn page_body(
    list: &List,
    items: &[Item],
    next: Option<&str>,
    count: Option<i64>,
) -> String {
    let mut out = String::with_capacity(items.len().saturating_mul(640).saturating_add(64));
    out.push_str(r#"{"data":["#);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item.write_wire(list, &mut out);
    }
    out.push(']');
    if let Some(count) = count {
        let _ = write!(out, r#","count":{count}"#);
    }
    match next {
        // A cursor is base64url: nothing to escape.
        Some(next) => drop(write!(out, r#","next_cursor":"{next}"}}"#)),
        None => out.push_str(r#","next_cursor":null}"#),
    }
    out
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: ShowQuery = query(&request)?;
    if let Some(seq) = asked.as_of {
        return settled(async || show_past(&request, &caller, &asked, seq).await).await;
    }
    let (access, list, item) = find_living(&request, &caller, asked.expand.as_deref()).await?;
    Ok(version_at(
        access.snapshot.seq,
        item.version,
        item.to_wire(&list),
    ))
}

/// The item as it stood: 410 where it was in the trash then, 404 where it had not been made.
async fn show_past(
    request: &HttpRequest,
    caller: &Caller,
    asked: &ShowQuery,
    seq: i64,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let id: ItemId = path_id(request, "item_id")?;
    let state = state(request)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Snapshot).await?;
    let past = past::open(&mut tx, &access, list.id, seq).await?;
    let keys = asked.expand.iter().flat_map(|keys| keys.split(','));
    let expanded = expanded(
        &past.list,
        keys.map(str::trim).filter(|key| !key.is_empty()),
    )?;
    let found = store::items::find(&mut tx, access.snapshot.id, &past.list, &[id]).await?;
    let made = found.iter().any(|item| item.seq <= seq);
    let mut stood = past::stood(&mut tx, &access, &past, &past.list, found).await?;
    past::expand(&mut tx, &access, &past, &expanded, &mut stood).await?;
    let last = last_changes(&mut tx, access.snapshot.id, &[(list.id, id)], seq).await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let Some(item) = stood.pop() else {
        return Err(match made || last.iter().any(Option::is_some) {
            true => AppError::gone("The item was in the trash"),
            false => AppError::not_found(),
        });
    };
    Ok(Some(version_at(
        access.snapshot.seq,
        item.version,
        item.to_wire(&past.list),
    )))
}

/// The item of the path, unless it is in the trash.
pub(super) async fn find_living(
    request: &HttpRequest,
    caller: &Caller,
    expand: Option<&str>,
) -> Result<(Access, Arc<List>, Item), AppError> {
    let found = find(request, caller, expand).await?;
    match found.2.deleted_at {
        Some(_) => Err(AppError::gone("The item is in the trash")),
        None => Ok(found),
    }
}

async fn find(
    request: &HttpRequest,
    caller: &Caller,
    expand: Option<&str>,
) -> Result<(Access, Arc<List>, Item), AppError> {
    settled(async || find_once(request, caller, expand).await).await
}

async fn find_once(
    request: &HttpRequest,
    caller: &Caller,
    expand: Option<&str>,
) -> Result<Option<(Access, Arc<List>, Item)>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let keys = expand.into_iter().flat_map(|keys| keys.split(','));
    let expanded = expanded(&list, keys.map(str::trim).filter(|key| !key.is_empty()))?;
    let id: ItemId = path_id(request, "item_id")?;
    let state = state(request)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let (workspace, schema) = (access.snapshot.id, &access.snapshot.schema);
    let mut found = store::items::find(&mut tx, workspace, &list, &[id]).await?;
    links::show(
        &mut tx,
        workspace,
        schema,
        &list,
        Some(&access.links),
        &mut found,
    )
    .await?;
    links::expand(&mut tx, workspace, schema, &list, &expanded, &mut found).await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let item = found.pop().ok_or_else(AppError::not_found)?;
    Ok(Some((access, list, item)))
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<ItemsIn>,
) -> Result<HttpResponse, AppError> {
    let asked: WriteQuery = query(&request)?;
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let location = request.path().to_owned();
    let (items, shape, single) = match body.value {
        ItemsIn {
            items: Some(items),
            id: None,
            values: None,
        } => (items, Shape::CreatedMany, false),
        ItemsIn {
            items: None,
            id,
            values: Some(values),
        } => (
            vec![NewItemIn { id, values }],
            Shape::CreatedOne { location },
            true,
        ),
        _ => {
            return Err(AppError::field(
                "",
                "malformed",
                "send either items or values",
            ));
        }
    };
    let items = items.into_iter().map(new_item).collect();
    let command = ItemCommand::Create {
        list: list.id,
        items,
        typecast: asked.typecast,
    };
    let result = submit::items(&access, &caller, remember, shape, command).await;
    result.map_err(|error| if single { plainly(error) } else { error })
}

/// An item to be made; without an id it gets one.
pub fn new_item(item: NewItemIn) -> NewItem {
    let fresh = item.id.is_none();
    NewItem {
        id: item.id.unwrap_or_else(|| ItemId(Uuid::now_v7())),
        fresh,
        values: item.values,
    }
}

/// The paths of an error about the only item: without its place in a batch.
pub(super) fn plainly(mut error: AppError) -> AppError {
    for field in &mut error.fields {
        if let Some(path) = field.path.strip_prefix("/items/0") {
            field.path = path.to_owned();
        }
    }
    if let Some(first) = error.fields.first() {
        error.detail = format!("{}: {}", first.path, first.message).into();
    }
    error
}

pub async fn update_many(
    request: HttpRequest,
    caller: Caller,
    body: Body<PatchesIn>,
) -> Result<HttpResponse, AppError> {
    let asked: WriteQuery = query(&request)?;
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let items = body.value.items.into_iter().map(patch).collect();
    let command = ItemCommand::Update {
        list: list.id,
        items,
        typecast: asked.typecast,
    };
    submit::items(&access, &caller, remember, Shape::Many, command).await
}

/// A change of one of several items.
pub fn patch(item: PatchIn) -> ItemPatch {
    ItemPatch {
        id: item.id,
        values: item.values,
        if_version: item.if_version,
        if_values: item.if_values,
    }
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<ItemPatchIn>,
) -> Result<HttpResponse, AppError> {
    let asked: WriteQuery = query(&request)?;
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let patch = ItemPatch {
        id: path_id(&request, "item_id")?,
        values: body.value.values,
        if_version: Versions::both(if_match(request.headers())?, body.value.if_version),
        if_values: body.value.if_values,
    };
    let command = ItemCommand::Update {
        list: list.id,
        items: vec![patch],
        typecast: asked.typecast,
    };
    submit::items(&access, &caller, remember, Shape::One, command)
        .await
        .map_err(plainly)
}

pub async fn delete_many(
    request: HttpRequest,
    caller: Caller,
    body: Body<IdsIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let command = ItemCommand::Delete {
        list: list.id,
        ids: body.value.ids,
        if_version: None,
    };
    submit::items(&access, &caller, remember, Shape::Nothing, command).await
}

/// Items that become one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeIn {
    #[schema(value_type = Uuid)]
    keep: ItemId,
    /// 1 to 100; the first that has a value fills what is empty in the kept one.
    #[schema(value_type = Vec<Uuid>)]
    merge: Vec<ItemId>,
    /// Cells of the kept one, whatever stood there.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    values: RawValues,
}

pub async fn merge(
    request: HttpRequest,
    caller: Caller,
    body: Body<MergeIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let MergeIn {
        keep,
        merge,
        values,
    } = body.value;
    let command = ItemCommand::Merge {
        list: list.id,
        what: Box::new(Merge {
            keep,
            merge,
            values,
        }),
    };
    submit::items(&access, &caller, remember, Shape::One, command).await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let command = ItemCommand::Delete {
        list: list.id,
        ids: vec![path_id(&request, "item_id")?],
        if_version: if_match(request.headers())?,
    };
    submit::items(&access, &caller, remember, Shape::Nothing, command).await
}

pub async fn restore(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let ids = vec![path_id(&request, "item_id")?];
    let command = ItemCommand::Restore { list: list.id, ids };
    submit::items(&access, &caller, remember, Shape::One, command).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Every change of an item, newest first; of one in the trash too.
pub async fn history(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: HistoryQuery = query(&request)?;
    let (access, list, item) = find(&request, &caller, None).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let question = format!("history {} {} {}", access.snapshot.id, list.id, item.id);
    let below = super::log::below(&state.settings, &question, asked.cursor.as_deref())?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let workspace = access.snapshot.id;
    let mut entries =
        store::log::history(&mut tx, workspace, list.id, item.id, below, limit + 1).await?;
    tx.commit().await?;
    let more = cut(&mut entries, limit);
    let next = entries
        .last()
        .filter(|_| more)
        .map(|entry| cursor::seal(&state.settings, &question, &entry.seq.to_be_bytes()));
    let mut out = String::from(r#"{"data":["#);
    for (index, entry) in entries.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            out,
            r#"{comma}{{"seq":{},"at":"{}","actor":{{"{}":"{}"}},"kind":"{}","change":{}}}"#,
            entry.seq,
            time(entry.at),
            entry.actor.kind(),
            entry.actor.id(),
            entry.kind,
            entry.change.as_deref().unwrap_or("null"),
        );
    }
    let _ = write!(out, r#"],"next_cursor":{}}}"#, serde_json::json!(next));
    Ok(json_at(access.snapshot.seq, out))
}

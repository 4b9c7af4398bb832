//! Judges commands on items against the schema and the items as they stand: pure, in order, over
//! whatever the commands before it in the group have changed. A refused command changes nothing. What
//! follows of links at their other ends is `links`'s; what comes of it all is `verdict`'s.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::cell::{Cell, Values};
use super::columns::{Column, ColumnType, ParseContext, TextHints};
use super::item::{Item, Place};
use super::links::{Book, CellEdit, How};
use super::schema::{List, Schema};
use super::unique::Holders;
use crate::error::{AppError, ErrorCode, FieldError};
use crate::ids::{ItemId, ListId, UserId};

mod compensate;
mod merge;
mod settle;
mod verdict;

pub use compensate::{Act, Compensation, Relink, Step, has_moved, moved};
pub use merge::Merge;
use verdict::{Cells, Trial, all_cells, current};
pub use verdict::{Other, Verdict};

/// Items in one command at most.
pub const MAX_ITEMS: usize = 10_000;
/// Bytes of one item's stored values at most.
pub const MAX_ITEM_BYTES: usize = 1 << 20;

/// Cells as they were sent: by column key, each value as its exact JSON text.
#[derive(Clone, Debug, Default)]
pub struct RawValues(pub Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for RawValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = RawValues;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of values by column key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValues, A::Error> {
                let mut cells: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut seen = HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key {key:?} stands twice")));
                    }
                    cells.push((key, value));
                }
                Ok(RawValues(cells))
            }
        }
        deserializer.deserialize_map(Cells)
    }
}

/// An item to be made; its id was given by the client or made beside the command.
#[derive(Clone, Debug)]
pub struct NewItem {
    pub id: ItemId,
    /// The id was made for this command, so no item can have it yet.
    pub fresh: bool,
    pub values: RawValues,
}

/// The versions of an item of which the caller accepts each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "i64")]
pub struct Versions(Vec<i64>);

impl Versions {
    /// Of none: no item is at such a version.
    pub fn any_of(versions: Vec<i64>) -> Versions {
        Versions(versions)
    }

    /// Whether the caller means this version.
    pub fn accept(&self, version: i64) -> bool {
        self.0.contains(&version)
    }

    /// What both accept; what is not said accepts all.
    pub fn both(one: Option<Versions>, other: Option<Versions>) -> Option<Versions> {
        match (one, other) {
            (Some(Versions(mut one)), Some(Versions(other))) => {
                one.retain(|version| other.contains(version));
                Some(Versions(one))
            }
            (one, other) => one.or(other),
        }
    }
}

impl From<i64> for Versions {
    fn from(version: i64) -> Versions {
        Versions(vec![version])
    }
}

/// A change of one item.
#[derive(Clone, Debug)]
pub struct ItemPatch {
    pub id: ItemId,
    pub values: RawValues,
    /// Only if the item is at such a version, else 412.
    pub if_version: Option<Versions>,
    /// Only if these cells are as given, else 409.
    pub if_values: Option<RawValues>,
}

/// A command on the items of one list: all or nothing, one event.
#[derive(Clone, Debug)]
pub enum ItemCommand {
    Create {
        list: ListId,
        items: Vec<NewItem>,
        typecast: bool,
    },
    Update {
        list: ListId,
        items: Vec<ItemPatch>,
        typecast: bool,
    },
    Delete {
        list: ListId,
        ids: Vec<ItemId>,
        if_version: Option<Versions>,
    },
    Restore {
        list: ListId,
        ids: Vec<ItemId>,
    },
    /// The links of one cell.
    Links {
        list: ListId,
        item: ItemId,
        /// The column's key.
        column: String,
        how: How,
        ids: Vec<ItemId>,
        if_version: Option<Versions>,
    },
    /// Several items become one.
    Merge {
        list: ListId,
        what: Box<Merge>,
    },
    /// Items as they stood before.
    Compensate(Box<Compensation>),
}

impl ItemCommand {
    pub fn list(&self) -> ListId {
        match self {
            ItemCommand::Create { list, .. }
            | ItemCommand::Update { list, .. }
            | ItemCommand::Delete { list, .. }
            | ItemCommand::Restore { list, .. }
            | ItemCommand::Links { list, .. }
            | ItemCommand::Merge { list, .. } => *list,
            ItemCommand::Compensate(what) => what.list,
        }
    }

    /// The items that it names.
    pub fn places(&self) -> Vec<Place> {
        let list = self.list();
        match self {
            ItemCommand::Create { items, .. } => items.iter().map(|item| (list, item.id)).collect(),
            ItemCommand::Update { items, .. } => items.iter().map(|item| (list, item.id)).collect(),
            ItemCommand::Delete { ids, .. } | ItemCommand::Restore { ids, .. } => {
                ids.iter().map(|id| (list, *id)).collect()
            }
            ItemCommand::Links { item, .. } => vec![(list, *item)],
            ItemCommand::Merge { what, .. } => {
                let all = std::iter::once(&what.keep).chain(&what.merge);
                all.map(|id| (list, *id)).collect()
            }
            ItemCommand::Compensate(what) => {
                what.steps.iter().map(|step| (list, step.item)).collect()
            }
        }
    }

    /// Those of them that may exist already.
    pub fn known_places(&self) -> Vec<Place> {
        match self {
            ItemCommand::Create { list, items, .. } => items
                .iter()
                .filter(|item| !item.fresh)
                .map(|item| (*list, item.id))
                .collect(),
            _ => self.places(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            ItemCommand::Create { items, .. } => items.len(),
            ItemCommand::Update { items, .. } => items.len(),
            ItemCommand::Delete { ids, .. } | ItemCommand::Restore { ids, .. } => ids.len(),
            // The item itself is one of those that it touches.
            ItemCommand::Links { ids, .. } => ids.len() + 1,
            ItemCommand::Merge { what, .. } => what.merge.len() + 1,
            ItemCommand::Compensate(what) => what.steps.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it asks for a version or values that an item must have.
    pub fn is_conditional(&self) -> bool {
        match self {
            ItemCommand::Update { items, .. } => items
                .iter()
                .any(|item| item.if_version.is_some() || item.if_values.is_some()),
            ItemCommand::Delete { if_version, .. } | ItemCommand::Links { if_version, .. } => {
                if_version.is_some()
            }
            ItemCommand::Create { .. }
            | ItemCommand::Restore { .. }
            | ItemCommand::Merge { .. }
            | ItemCommand::Compensate(_) => false,
        }
    }
}

/// What the judge knows.
pub struct Bench<'a> {
    pub schema: &'a Schema,
    /// Every item that the command names, as the commands before it leave it; a missing one does
    /// not exist.
    pub items: &'a HashMap<Place, Arc<Item>>,
    pub members: &'a dyn Fn(UserId) -> bool,
    /// What is known of links, likewise.
    pub links: &'a Book,
    /// And of who holds which value of unique columns.
    pub holders: &'a Holders,
    /// Whether the command's items will be shown with their links.
    pub show: bool,
    /// The next automatic number of the command's list.
    pub next_number: i64,
    pub seq: i64,
    pub now: DateTime<Utc>,
    pub by: UserId,
}

/// Judges one command.
pub fn judge(command: &ItemCommand, bench: &Bench<'_>) -> Result<Verdict, AppError> {
    let list = list_of(command.list(), bench.schema)?;
    check_size(command)?;
    check_distinct(command)?;
    match command {
        ItemCommand::Create {
            items, typecast, ..
        } => create(list, items, *typecast, bench),
        ItemCommand::Update {
            items, typecast, ..
        } => update(list, items, *typecast, bench),
        ItemCommand::Delete {
            ids, if_version, ..
        } => delete(list, ids, if_version.as_ref(), bench),
        ItemCommand::Restore { ids, .. } => restore(list, ids, bench),
        ItemCommand::Links {
            item,
            column,
            how,
            ids,
            if_version,
            ..
        } => link(list, (*item, column, *how, ids), if_version.as_ref(), bench),
        ItemCommand::Merge { what, .. } => merge::merge(list, what, bench),
        ItemCommand::Compensate(what) => compensate::compensate(list, what, bench),
    }
}

/// The list, or why not: 404 when there is none, 410 when it is in the trash.
pub fn list_of(id: ListId, schema: &Schema) -> Result<&Arc<List>, AppError> {
    match schema.lists.get(&id) {
        None => Err(AppError::not_found()),
        Some(list) if list.deleted_at.is_some() => Err(AppError::gone("The list is in the trash")),
        Some(list) => Ok(list),
    }
}

fn check_size(command: &ItemCommand) -> Result<(), AppError> {
    if command.is_empty() {
        return Err(AppError::field("/items", "empty", "name at least one item"));
    }
    // A command on links counts its item as well.
    let most = match command {
        ItemCommand::Links { .. } => MAX_ITEMS + 1,
        _ => MAX_ITEMS,
    };
    if command.len() > most {
        return Err(AppError::too_large(format!(
            "At most {MAX_ITEMS} items in one request"
        )));
    }
    Ok(())
}

fn check_distinct(command: &ItemCommand) -> Result<(), AppError> {
    match command {
        ItemCommand::Links { ids, .. } => return check_distinct_links(ids),
        ItemCommand::Merge { what, .. } => return merge::check(what),
        _ => {}
    }
    let mut seen = HashSet::with_capacity(command.len());
    for (index, place) in command.places().into_iter().enumerate() {
        if !seen.insert(place) {
            return Err(AppError::field(
                format!("/items/{index}/id"),
                "duplicate",
                "the same item stands twice in this request",
            ));
        }
    }
    Ok(())
}

fn create(
    list: &Arc<List>,
    items: &[NewItem],
    typecast: bool,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let mut trial = Trial::new(list, bench, items.len());
    let mut errors = Errors::default();
    for (index, new) in items.iter().enumerate() {
        if new.id.uuid().is_nil() {
            // Pages begin behind it.
            let message = "an id is a UUID, and not the nil one";
            return Err(AppError::field(
                format!("/items/{index}/id"),
                "bad_id",
                message,
            ));
        }
        if bench.items.contains_key(&(list.id, new.id)) {
            return Err(AppError::conflict("An item of this id exists already")
                .at(format!("/items/{index}/id"), "taken"));
        }
        let path = |key: &str| format!("/items/{index}/values/{key}");
        let values = parse(list, &new.values, typecast, bench, path, &mut errors);
        trial.links.born(list.id, new.id);
        let mut cells = Values::new();
        for (column, cell) in values {
            if column.ty == ColumnType::Link {
                trial.links_of_values(new.id, column, cell, path, &mut errors);
            } else if let Some(cell) = cell {
                cells.insert(column.id, cell);
            }
        }
        trial.next_number = complete(list, &mut cells, trial.next_number);
        require(list, &cells, path, &mut errors);
        let item = Item {
            id: new.id,
            version: 1,
            seq: bench.seq,
            values: cells,
            created_at: bench.now,
            created_by: bench.by,
            updated_at: bench.now,
            updated_by: bench.by,
            deleted_at: None,
        };
        let set = all_cells(list, &item.values);
        trial.push("created", item, Some(set), None);
        errors.stop_if_many()?;
    }
    trial.finish(errors)
}

fn update(
    list: &Arc<List>,
    patches: &[ItemPatch],
    typecast: bool,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let mut trial = Trial::new(list, bench, patches.len());
    let mut errors = Errors::default();
    for (index, patch) in patches.iter().enumerate() {
        let before = live(list, patch.id, bench)?;
        check_version(list, before, patch.if_version.as_ref(), bench)?;
        if let Some(expected) = &patch.if_values {
            check_values(list, before, expected, index, typecast, bench)?;
        }
        let path = |key: &str| format!("/items/{index}/values/{key}");
        let cells = parse(list, &patch.values, typecast, bench, path, &mut errors);
        let mut item = Item::clone(before);
        let (mut set, mut was) = (Cells::default(), Cells::default());
        for (column, cell) in cells {
            if column.ty == ColumnType::Link {
                trial.links_of_values(item.id, column, cell, path, &mut errors);
                continue;
            }
            let old = match &cell {
                Some(cell) => item.values.insert(column.id, cell.clone()),
                None => item.values.remove(&column.id),
            };
            set.push(column, cell.as_ref());
            was.push(column, old.as_ref());
        }
        require(list, &item.values, path, &mut errors);
        item.touch(bench);
        trial.push("updated", item, Some(set), Some(was));
        errors.stop_if_many()?;
    }
    trial.finish(errors)
}

fn delete(
    list: &Arc<List>,
    ids: &[ItemId],
    if_version: Option<&Versions>,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let mut trial = Trial::new(list, bench, ids.len());
    for id in ids {
        let before = live(list, *id, bench)?;
        check_version(list, before, if_version, bench)?;
        let mut item = Item::clone(before);
        item.touch(bench);
        item.deleted_at = Some(bench.now);
        trial.push("deleted", item, None, None);
    }
    trial.links.trash(list.id, ids)?;
    trial.finish(Errors::default())
}

fn restore(list: &Arc<List>, ids: &[ItemId], bench: &Bench<'_>) -> Result<Verdict, AppError> {
    let mut trial = Trial::new(list, bench, ids.len());
    for id in ids {
        let before = bench
            .items
            .get(&(list.id, *id))
            .ok_or_else(AppError::not_found)?;
        if before.deleted_at.is_none() {
            return Err(AppError::conflict("The item is not in the trash"));
        }
        let mut item = Item::clone(before);
        item.touch(bench);
        item.deleted_at = None;
        let set = all_cells(list, &item.values);
        trial.push("restored", item, Some(set), None);
    }
    trial.links.restore(list.id, ids)?;
    trial.finish(Errors::default())
}

/// Changes the links of one cell.
fn link(
    list: &Arc<List>,
    (id, key, how, ids): (ItemId, &str, How, &[ItemId]),
    if_version: Option<&Versions>,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let column = list
        .columns
        .by_key(key)
        .filter(|c| c.ty == ColumnType::Link);
    let column = column.ok_or_else(AppError::not_found)?;
    let end = bench.schema.end_of(list.id, column.id);
    let end = *end.ok_or_else(|| AppError::gone("The linked list is in the trash"))?;
    if ids.is_empty() && how != How::Replace {
        return Err(AppError::field("/ids", "empty", "name at least one item"));
    }
    let before = live(list, id, bench)?;
    check_version(list, before, if_version, bench)?;
    let mut trial = Trial::new(list, bench, 1);
    trial.kind = super::event::LINKS_CHANGED;
    let mut item = Item::clone(before);
    item.touch(bench);
    trial.push(
        "updated",
        item,
        Some(Cells::default()),
        Some(Cells::default()),
    );
    trial.links.push(CellEdit {
        end,
        item: id,
        how,
        ids: ids.to_vec(),
        path: "/ids".to_owned(),
        short: false,
    });
    trial.finish(Errors::default())
}

fn check_distinct_links(ids: &[ItemId]) -> Result<(), AppError> {
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().position(|id| !seen.insert(*id)) {
        None => Ok(()),
        Some(index) => Err(AppError::field(
            format!("/ids/{index}"),
            "duplicate",
            "the same item stands twice in this request",
        )),
    }
}

impl Item {
    fn touch(&mut self, bench: &Bench<'_>) {
        self.version += 1;
        self.seq = bench.seq;
        self.updated_at = bench.now;
        self.updated_by = bench.by;
    }
}

fn live<'a>(list: &List, id: ItemId, bench: &'a Bench<'_>) -> Result<&'a Arc<Item>, AppError> {
    match bench.items.get(&(list.id, id)) {
        None => Err(AppError::not_found()),
        Some(item) if item.deleted_at.is_some() => Err(AppError::gone("The item is in the trash")),
        Some(item) => Ok(item),
    }
}

fn check_version(
    list: &Arc<List>,
    item: &Item,
    accepted: Option<&Versions>,
    bench: &Bench<'_>,
) -> Result<(), AppError> {
    match accepted {
        Some(Versions(versions)) if !versions.contains(&item.version) => Err(AppError::new(
            ErrorCode::PreconditionFailed,
            format!("The item is at version {}", item.version),
        )
        .with_current(current(list, item, bench))),
        _ => Ok(()),
    }
}

/// The compare of a compare-and-set per cell.
fn check_values(
    list: &Arc<List>,
    item: &Item,
    expected: &RawValues,
    index: usize,
    typecast: bool,
    bench: &Bench<'_>,
) -> Result<(), AppError> {
    let mut errors = Errors::default();
    let cells = parse(
        list,
        expected,
        typecast,
        bench,
        |path| format!("/items/{index}/if_values/{path}"),
        &mut errors,
    );
    errors.into_result()?;
    for (column, cell) in cells {
        let matches = match column.ty {
            ColumnType::Link => links_are(list, item, column, cell.as_ref(), bench),
            _ => item.values.get(&column.id) == cell.as_ref(),
        };
        if !matches {
            return Err(AppError::conflict("A cell is not as expected")
                .at(
                    format!("/items/{index}/if_values/{}", column.key),
                    "mismatch",
                )
                .with_current(current(list, item, bench)));
        }
    }
    Ok(())
}

/// Whether a cell holds these links and no others, in this order.
fn links_are(
    list: &List,
    item: &Item,
    column: &Column,
    expected: Option<&Cell>,
    bench: &Bench<'_>,
) -> bool {
    let expected: Vec<ItemId> = match expected {
        Some(Cell::Links(links)) => links.ids().collect(),
        _ => Vec::new(),
    };
    let Some(end) = bench.schema.end_of(list.id, column.id) else {
        return expected.is_empty();
    };
    let at = end.cell(item.id);
    bench.links.members(&at).eq(expected) && bench.links.is_whole(&at)
}

/// Reads the cells; what can't be read is noted under its path.
fn parse<'a>(
    list: &'a List,
    values: &RawValues,
    typecast: bool,
    bench: &Bench<'_>,
    path: impl Fn(&str) -> String,
    errors: &mut Errors,
) -> Vec<(&'a Column, Option<Cell>)> {
    let context = ParseContext {
        members: bench.members,
    };
    let mut cells = Vec::with_capacity(values.0.len());
    for (key, raw) in &values.0 {
        let Some(column) = list.columns.by_key(key) else {
            errors.note(
                path(&pointer(key)),
                "unknown_column",
                "the list has no such column",
            );
            continue;
        };
        match parse_cell(column, raw, typecast, &context) {
            Ok(cell) => cells.push((column, cell)),
            Err(error) => errors.note(path(key), error.code, error.message),
        }
    }
    cells
}

/// A cell that is read beside the others, if it can be and no member must be known for it.
pub(super) fn parse_alone(column: &Column, raw: &RawValue, typecast: bool) -> Option<Cell> {
    let nobody = ParseContext {
        members: &|_| false,
    };
    parse_cell(column, raw, typecast, &nobody).ok().flatten()
}

fn parse_cell(
    column: &Column,
    raw: &RawValue,
    typecast: bool,
    context: &ParseContext<'_>,
) -> Result<Option<Cell>, super::columns::CellError> {
    if typecast
        && raw.get().starts_with('"')
        && let Ok(text) = serde_json::from_str::<String>(raw.get())
    {
        return column.parse_text(&text, &TextHints::default());
    }
    column.parse_json(raw.get(), context)
}

/// Fills in defaults and automatic numbers of a new item; gives the next number.
fn complete(list: &List, cells: &mut Values, mut next_number: i64) -> i64 {
    let number = next_number;
    for column in list.columns.iter() {
        if column.ty == ColumnType::AutoNumber {
            cells.insert(column.id, Cell::Number(number.into()));
            next_number = number + 1;
        } else if let Some(default) = &column.default {
            cells.entry(column.id).or_insert_with(|| default.clone());
        }
    }
    next_number
}

fn require(list: &List, cells: &Values, path: impl Fn(&str) -> String, errors: &mut Errors) {
    for column in list.columns.missing(cells) {
        let message = "this column may not be empty";
        errors.note(path(&column.key), "required", message);
    }
}

fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The broken rules of one command, up to a hundred.
#[derive(Default)]
pub(super) struct Errors(Vec<FieldError>);

impl Errors {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, path: String, code: &'static str, message: impl Into<String>) {
        self.0.push(FieldError {
            path,
            code: code.into(),
            message: message.into(),
        });
    }

    pub(super) fn stop_if_many(&mut self) -> Result<(), AppError> {
        if self.0.len() < 100 {
            Ok(())
        } else {
            Err(AppError::fields(std::mem::take(&mut self.0)))
        }
    }

    fn into_result(self) -> Result<(), AppError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(AppError::fields(self.0))
        }
    }
}

//! Judges commands on items against the schema and the items as they stand: pure, in order, over
//! whatever the commands before it in the group have changed. A refused command changes nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::cell::{Cell, Values, write_stored};
use super::columns::{Column, ColumnType, ParseContext, TextHints};
use super::item::{Item, Place};
use super::schema::{List, Schema};
use crate::error::{AppError, ErrorCode, FieldError};
use crate::ids::{ItemId, ListId, UserId};

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
}

impl ItemCommand {
    pub fn list(&self) -> ListId {
        match self {
            ItemCommand::Create { list, .. }
            | ItemCommand::Update { list, .. }
            | ItemCommand::Delete { list, .. }
            | ItemCommand::Restore { list, .. } => *list,
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
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the judge knows.
pub struct Bench<'a> {
    pub schema: &'a Schema,
    /// Every item that the command names, as the commands before it leave it; a missing one does
    /// not exist.
    pub items: &'a HashMap<Place, Arc<Item>>,
    pub members: &'a dyn Fn(UserId) -> bool,
    /// The next automatic number of the command's list.
    pub next_number: i64,
    pub seq: i64,
    pub now: DateTime<Utc>,
    pub by: UserId,
}

/// A command that may take effect.
#[derive(Debug)]
pub struct Verdict {
    pub list: Arc<List>,
    /// The items as they stand after it, in the command's order.
    pub items: Vec<Arc<Item>>,
    /// What the log keeps of each item: a `changes` entry of the event, as JSON.
    pub changes: Vec<String>,
    /// The items' values as they are stored.
    pub stored: Vec<String>,
    pub next_number: i64,
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
    if command.len() > MAX_ITEMS {
        return Err(AppError::too_large(format!(
            "At most {MAX_ITEMS} items in one request"
        )));
    }
    Ok(())
}

fn check_distinct(command: &ItemCommand) -> Result<(), AppError> {
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
    let mut verdict = Verdict::of(list, items.len(), bench);
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
        let values = parse(
            list,
            &new.values,
            typecast,
            bench,
            |path| format!("/items/{index}/values/{path}"),
            &mut errors,
        );
        let mut cells: Values = values
            .into_iter()
            .filter_map(|(column, cell)| Some((column.id, cell?)))
            .collect();
        verdict.next_number = complete(list, &mut cells, verdict.next_number);
        require(list, &cells, index, &mut errors);
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
        let change = change("created", list, &item, Some(&set), None);
        verdict.push(item, change, index, &mut errors);
        errors.stop_if_many()?;
    }
    errors.into_result().map(|()| verdict)
}

fn update(
    list: &Arc<List>,
    patches: &[ItemPatch],
    typecast: bool,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let mut verdict = Verdict::of(list, patches.len(), bench);
    let mut errors = Errors::default();
    for (index, patch) in patches.iter().enumerate() {
        let before = live(list, patch.id, bench)?;
        check_version(list, before, patch.if_version.as_ref())?;
        if let Some(expected) = &patch.if_values {
            check_values(list, before, expected, index, typecast, bench)?;
        }
        let cells = parse(
            list,
            &patch.values,
            typecast,
            bench,
            |path| format!("/items/{index}/values/{path}"),
            &mut errors,
        );
        let mut item = Item::clone(before);
        let (mut set, mut was) = (Cells::default(), Cells::default());
        for (column, cell) in cells {
            let old = match &cell {
                Some(cell) => item.values.insert(column.id, cell.clone()),
                None => item.values.remove(&column.id),
            };
            set.push(column, cell.as_ref());
            was.push(column, old.as_ref());
        }
        require(list, &item.values, index, &mut errors);
        item.touch(bench);
        let change = change(
            "updated",
            list,
            &item,
            Some(&set.close()),
            Some(&was.close()),
        );
        verdict.push(item, change, index, &mut errors);
        errors.stop_if_many()?;
    }
    errors.into_result().map(|()| verdict)
}

fn delete(
    list: &Arc<List>,
    ids: &[ItemId],
    if_version: Option<&Versions>,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let mut verdict = Verdict::of(list, ids.len(), bench);
    let mut errors = Errors::default();
    for (index, id) in ids.iter().enumerate() {
        let before = live(list, *id, bench)?;
        check_version(list, before, if_version)?;
        let mut item = Item::clone(before);
        item.touch(bench);
        item.deleted_at = Some(bench.now);
        let change = change("deleted", list, &item, None, None);
        verdict.push(item, change, index, &mut errors);
    }
    errors.into_result().map(|()| verdict)
}

fn restore(list: &Arc<List>, ids: &[ItemId], bench: &Bench<'_>) -> Result<Verdict, AppError> {
    let mut verdict = Verdict::of(list, ids.len(), bench);
    let mut errors = Errors::default();
    for (index, id) in ids.iter().enumerate() {
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
        let change = change("restored", list, &item, Some(&set), None);
        verdict.push(item, change, index, &mut errors);
    }
    errors.into_result().map(|()| verdict)
}

impl Verdict {
    fn of(list: &Arc<List>, items: usize, bench: &Bench<'_>) -> Self {
        Verdict {
            list: Arc::clone(list),
            items: Vec::with_capacity(items),
            changes: Vec::with_capacity(items),
            stored: Vec::with_capacity(items),
            next_number: bench.next_number,
        }
    }

    fn push(&mut self, item: Item, change: String, index: usize, errors: &mut Errors) {
        let mut stored = String::with_capacity(change.len());
        write_stored(&item.values, &mut stored);
        if stored.len() > MAX_ITEM_BYTES {
            errors.note(
                format!("/items/{index}"),
                "too_large",
                "an item holds at most 1 MiB",
            );
        }
        self.stored.push(stored);
        self.changes.push(change);
        self.items.push(Arc::new(item));
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

fn check_version(list: &List, item: &Item, accepted: Option<&Versions>) -> Result<(), AppError> {
    match accepted {
        Some(Versions(versions)) if !versions.contains(&item.version) => Err(AppError::new(
            ErrorCode::PreconditionFailed,
            format!("The item is at version {}", item.version),
        )
        .with_current(item.to_wire(list))),
        _ => Ok(()),
    }
}

/// The compare of a compare-and-set per cell.
fn check_values(
    list: &List,
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
        if item.values.get(&column.id) != cell.as_ref() {
            return Err(AppError::conflict("A cell is not as expected")
                .at(
                    format!("/items/{index}/if_values/{}", column.key),
                    "mismatch",
                )
                .with_current(item.to_wire(list)));
        }
    }
    Ok(())
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

fn require(list: &List, cells: &Values, index: usize, errors: &mut Errors) {
    for column in list.columns.missing(cells) {
        errors.note(
            format!("/items/{index}/values/{}", column.key),
            "required",
            "this column may not be empty",
        );
    }
}

fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// JSON object of cells by key; an empty cell is null.
#[derive(Default)]
struct Cells(String);

impl Cells {
    fn push(&mut self, column: &Column, cell: Option<&Cell>) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = write!(self.0, r#""{}":"#, column.key);
        match cell {
            Some(cell) => column.write_wire_cell(cell, &mut self.0),
            None => self.0.push_str("null"),
        }
    }

    fn close(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

fn all_cells(list: &List, values: &Values) -> String {
    let mut cells = Cells::default();
    for column in list.columns.iter() {
        if let Some(cell) = values.get(&column.id) {
            cells.push(column, Some(cell));
        }
    }
    cells.close()
}

fn change(kind: &str, list: &List, item: &Item, set: Option<&str>, was: Option<&str>) -> String {
    let mut out = String::with_capacity(192 + set.map_or(0, str::len) + was.map_or(0, str::len));
    let _ = write!(
        out,
        r#"{{"kind":"{kind}","list":"{}","item":"{}","version":{}"#,
        list.id, item.id, item.version
    );
    if let Some(set) = set {
        let _ = write!(out, r#","set":{set}"#);
    }
    if let Some(was) = was {
        let _ = write!(out, r#","was":{was}"#);
    }
    out.push('}');
    out
}

/// The broken rules of one command, up to a hundred.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn note(&mut self, path: String, code: &'static str, message: impl Into<String>) {
        self.0.push(FieldError {
            path,
            code: code.into(),
            message: message.into(),
        });
    }

    fn stop_if_many(&mut self) -> Result<(), AppError> {
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

//! One batch of an import that finds its rows' items by key: rows become changes of the items that they
//! are, or new items, by the very rules of people's edits, so that history, undo and computed cells know
//! them; and the job's checkpoint, in one transaction. A row that can't be stored fails alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::command::{Command, Job, Request, Shape};
use super::core::Core;
use super::done::Done;
use super::durable::{Attempt, commit_in};
use super::group::Group;
use super::import::{advance, checked};
use super::{links, reach, unique};
use crate::actors::import::batch::{ImportBatch, Upsert, is_reported, row_error};
use crate::domain::cell::Values;
use crate::domain::edit::{ItemCommand, ItemPatch, NewItem, RawValues};
use crate::domain::import::item_id::row_of;
use crate::domain::import::row_key::{KeyIndex, RowKey};
use crate::domain::item::{Item, Place};
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::ItemId;
use crate::store::commit::PATIENCE;
use crate::store::jobs::{Amended, RowError};
use crate::store::{self, Db, Purpose, Tx};

/// Commits one batch.
pub(super) async fn commit(
    db: &Db,
    core: &mut Core,
    request: &Request,
    batch: &ImportBatch,
    upsert: &Upsert,
    done: &mut Done,
) -> Result<Amended, Attempt> {
    let list = checked(core, request, batch)?;
    let mut index = upsert.index.lock().await;
    let mut tx = Tx::begin(db, core.id, Purpose::Commit).await?;
    let catching_up = catch_up(&mut tx, core, &list, upsert, &mut index);
    db.in_time(PATIENCE, catching_up).await?;
    let mut rows = Rows::new(batch, &list, upsert);
    let candidates = rows.candidates(&index);
    let places = candidates.into_iter().map(|item| (list.id, item));
    let known = core.look_up(db, Some(&mut tx), places).await?;
    rows.resolve(&index, &known);
    loop {
        let jobs = rows.jobs(request);
        if jobs.is_empty() {
            break;
        }
        let (book, beyond) = links::read(db, Some(&mut tx), core, &jobs).await?;
        let mut book = book;
        let reached = reach::read(db, Some(&mut tx), core, &jobs, &mut book);
        let reached = reached.await.map_err(AppError::from)?;
        let named = rows
            .edits
            .iter()
            .filter_map(Edit::existing)
            .map(|item| (list.id, item));
        let places: Vec<Place> = named.chain(beyond).chain(reached).collect();
        let items = core.look_up(db, Some(&mut tx), places).await?;
        let holders = unique::read(db, Some(&mut tx), core, &jobs, &items).await?;
        let mut group = Group::new(core, items, book, holders);
        let mut refused = false;
        for job in jobs {
            let new = matches!(
                &job.request.command,
                Command::Items(ItemCommand::Create { .. })
            );
            if let Err(refusal) = group.take(core, job) {
                rows.refuse(refusal.1, new, batch.aborts)?;
                refused = true;
                break;
            }
        }
        if refused {
            continue;
        }
        let (amended, progress) = rows.settled(batch);
        let write = group.assemble(core);
        db.in_time(PATIENCE, advance(&mut tx, core, batch, &progress))
            .await?;
        commit_in(db, core, tx, &write, group.now).await?;
        group.apply(core, write, done);
        // Nobody waits for these.
        done.answers.clear();
        index.seq = core.seq;
        for edit in &rows.edits {
            index.add(edit.key, edit.item);
        }
        return Ok(amended);
    }
    let (amended, progress) = rows.settled(batch);
    advance(&mut tx, core, batch, &progress).await?;
    tx.commit().await?;
    Ok(amended)
}

/// The index learns what has happened since it was told last.
async fn catch_up(
    tx: &mut Tx,
    core: &Core,
    list: &List,
    upsert: &Upsert,
    index: &mut KeyIndex,
) -> Result<(), store::StoreError> {
    if index.seq >= core.seq {
        return Ok(());
    }
    let touched = store::row_keys::touched(tx, core.id, list, &upsert.columns, index.seq);
    for (item, values) in touched.await? {
        if let Some(key) = RowKey::of(list.id, &upsert.columns, &values) {
            index.add(key, item);
        }
    }
    index.seq = core.seq;
    Ok(())
}

/// The batch on its way: which item each row is.
struct Rows<'b> {
    rows: &'b [(ItemId, Values)],
    list: &'b List,
    upsert: &'b Upsert,
    /// In the order of the rows that came first for each.
    edits: Vec<Edit>,
    /// Rows that are the same as the item that stands.
    unchanged: u64,
    /// Rows without an item, where none are made.
    skipped: u64,
    errors: Vec<RowError>,
    failed: u64,
}

/// What the rows of one key come to.
struct Edit {
    key: RowKey,
    item: ItemId,
    /// As it stands; None: it is made.
    before: Option<Arc<Item>>,
    /// What changes.
    cells: Values,
    rows: Vec<ItemId>,
}

impl Edit {
    fn existing(&self) -> Option<ItemId> {
        self.before.as_ref().map(|item| item.id)
    }
}

impl<'b> Rows<'b> {
    fn new(batch: &'b ImportBatch, list: &'b List, upsert: &'b Upsert) -> Rows<'b> {
        Rows {
            rows: &batch.rows,
            list,
            upsert,
            edits: Vec::new(),
            unchanged: 0,
            skipped: 0,
            errors: Vec::new(),
            failed: 0,
        }
    }

    fn key(&self, values: &Values) -> Option<RowKey> {
        RowKey::of(self.list.id, &self.upsert.columns, values)
    }

    /// The items that the rows may be.
    fn candidates(&self, index: &KeyIndex) -> BTreeSet<ItemId> {
        let keys = self.rows.iter().filter_map(|(_, values)| self.key(values));
        keys.flat_map(|key| index.candidates(&key).to_vec())
            .collect()
    }

    /// Finds the item of each row; later rows of a key change what the earlier ones made of it.
    fn resolve(&mut self, index: &KeyIndex, known: &HashMap<Place, Arc<Item>>) {
        let mut edits: HashMap<RowKey, usize> = HashMap::new();
        for (row, values) in self.rows {
            let Some(key) = self.key(values) else {
                let message = "The row has nothing in a column of the key";
                self.fail(*row, None, "no_key", message);
                continue;
            };
            if let Some(edit) = edits.get(&key).and_then(|at| self.edits.get_mut(*at)) {
                edit.rows.push(*row);
                edit.cells.extend(values.clone());
                continue;
            }
            let named = index.candidates(&key).iter();
            let held: Vec<&Arc<Item>> = named
                .filter_map(|item| known.get(&(self.list.id, *item)))
                .filter(|item| item.deleted_at.is_none() && self.key(&item.values) == Some(key))
                .collect();
            let before = match held.as_slice() {
                [] if self.upsert.makes => None,
                [] => {
                    self.skipped += 1;
                    continue;
                }
                [one] => Some(Arc::clone(one)),
                _ => {
                    let message = format!("{} items have this key", held.len());
                    self.fail(*row, None, "ambiguous_key", &message);
                    continue;
                }
            };
            edits.insert(key, self.edits.len());
            self.edits.push(Edit {
                key,
                item: before.as_ref().map_or(*row, |item| item.id),
                before,
                cells: values.clone(),
                rows: vec![*row],
            });
        }
        let mut unchanged = 0;
        self.edits.retain_mut(|edit| {
            if let Some(before) = &edit.before {
                let key = &self.upsert.columns;
                edit.cells.retain(|column, cell| {
                    !key.contains(column) && before.values.get(column) != Some(cell)
                });
                if edit.cells.is_empty() {
                    unchanged += count(edit.rows.len());
                    return false;
                }
            }
            true
        });
        self.unchanged += unchanged;
    }

    /// The commands on the items that stand, and on new ones.
    fn jobs(&self, request: &Request) -> Vec<Job> {
        let values = |cells: &Values| {
            let cells = cells.iter().filter_map(|(column, cell)| {
                let column = self.list.columns.by_id(column)?;
                let mut wire = String::new();
                column.write_wire_cell(cell, &mut wire);
                Some((column.key.clone(), RawValue::from_string(wire).ok()?))
            });
            RawValues(cells.collect())
        };
        let list = self.list.id;
        let (typecast, mut patches, mut made) = (false, Vec::new(), Vec::new());
        for edit in &self.edits {
            let (id, values) = (edit.item, values(&edit.cells));
            match edit.before {
                Some(_) => patches.push(ItemPatch {
                    id,
                    values,
                    if_version: None,
                    if_values: None,
                }),
                None => made.push(NewItem {
                    id,
                    fresh: true,
                    values,
                }),
            }
        }
        let mut commands = Vec::new();
        if !patches.is_empty() {
            let items = patches;
            commands.push(ItemCommand::Update {
                list,
                items,
                typecast,
            });
        }
        if !made.is_empty() {
            let items = made;
            commands.push(ItemCommand::Create {
                list,
                items,
                typecast,
            });
        }
        let job = |command| Job::step(inner(request, command));
        commands.into_iter().map(job).collect()
    }

    /// The rows that an error is about fail; with none that it names, the batch does.
    fn refuse(&mut self, error: AppError, new: bool, aborts: bool) -> Result<(), AppError> {
        let mut told: BTreeMap<usize, (Option<String>, String, String)> = BTreeMap::new();
        for field in &error.fields {
            let mut steps = field
                .path
                .strip_prefix("/items/")
                .into_iter()
                .flat_map(|path| path.split('/'));
            let Some(at) = steps.next().and_then(|at| at.parse().ok()) else {
                continue;
            };
            let column = steps
                .nth(1)
                .map(|key| key.replace("~1", "/").replace("~0", "~"));
            let why = || (column, field.code.to_string(), field.message.clone());
            told.entry(at).or_insert_with(why);
        }
        if told.is_empty() {
            return Err(error);
        }
        if aborts {
            let detail = format!("A row can't be stored: {}", error.detail);
            return Err(AppError::new(error.code, detail).at("/file", "bad_rows"));
        }
        let kind = |edit: &Edit| edit.before.is_none() == new;
        let mut at = 0;
        let mut failed = Vec::new();
        for edit in std::mem::take(&mut self.edits) {
            let why = if kind(&edit) {
                at += 1;
                told.get(&(at - 1))
            } else {
                None
            };
            match why {
                Some(why) => failed.push((edit.rows, why)),
                None => self.edits.push(edit),
            }
        }
        // An error that is about none of them would come again for ever.
        if failed.is_empty() {
            return Err(error);
        }
        for (rows, (column, code, message)) in failed {
            for row in rows {
                self.fail(row, column.as_deref(), code, message);
            }
        }
        Ok(())
    }

    fn fail(&mut self, row: ItemId, column: Option<&str>, code: &str, message: &str) {
        self.failed += 1;
        let number = u64::from(row_of(row));
        let error = row_error(
            number,
            column.unwrap_or_default(),
            "",
            code,
            message.to_owned(),
        );
        self.errors.push(RowError {
            column_key: column.map(str::to_owned),
            ..error
        });
    }

    /// What has become of the rows, and how far the job is with it.
    fn settled(&self, batch: &ImportBatch) -> (Amended, store::jobs::JobProgress) {
        let (new, changed): (Vec<&Edit>, Vec<&Edit>) =
            self.edits.iter().partition(|edit| edit.before.is_none());
        // Of several rows of a new item the first makes it.
        let again: usize = new.iter().map(|edit| edit.rows.len() - 1).sum();
        let updated: usize = changed.iter().map(|edit| edit.rows.len()).sum();
        let amended = Amended {
            updated: count(updated + again),
            unchanged: self.unchanged,
            skipped: self.skipped,
            failed: self.failed,
        };
        let mut progress = batch.progress.clone();
        progress.amend(amended);
        if is_reported(&progress) {
            progress.errors.extend(self.errors.iter().cloned());
        }
        (amended, progress)
    }
}

fn inner(request: &Request, command: ItemCommand) -> Request {
    Request {
        user: request.user,
        actor: request.actor,
        op: None,
        remember: None,
        shape: Shape::Nothing,
        command: Command::Items(command),
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

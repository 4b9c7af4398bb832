//! What a judged change comes to: the parts that are written, the event that tells of them, the answer.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::command::Answer;
use super::super::core::Core;
use super::super::durable::Attempt;
use super::recompute::{self, Recomputed};
use crate::domain::cell::ColumnId;
use crate::domain::columns::Column;
use crate::domain::comment::Comment;
use crate::domain::item::Place;
use crate::domain::links::Relation;
use crate::domain::past::Before;
use crate::domain::retype::{OnLoss, Outlook};
use crate::domain::roles::Role;
use crate::domain::schema::{List, Schema};
use crate::domain::unique::NOT_UNIQUE;
use crate::domain::view::View;
use crate::error::{AppError, ErrorCode};
use crate::ids::{ItemId, JobId, ListId, UserId};
use crate::store::forms::FormLink;
use crate::store::invites::Invite;
use crate::store::jobs::{NewJob, RowError};
use crate::store::retype::Pair;
use crate::store::unique::Duplicate;
use crate::store::{self, StoreError, Tx};
use crate::wire::lists::{ColumnOut, OutlookOut};

/// What a judged change writes.
pub(super) enum Change {
    Workspace {
        name: String,
        deleted_at: Option<DateTime<Utc>>,
    },
    Member {
        user: UserId,
        role: Option<Role>,
    },
    NewInvite(Box<Invite>),
    Revoke(Box<Invite>),
    Accept(Box<Invite>, UserId),
    NewList(List),
    List(List),
    Columns(ListId, Vec<Column>),
    /// Whether an item has one link at most, at either end.
    Single(Relation, bool, bool),
    /// A column takes the values of the one behind it, as its type holds them.
    Fill {
        list: ListId,
        pair: Box<(Column, Column)>,
        on_loss: OnLoss,
    },
    /// A column is unique from here on.
    Claim(ListId, Column),
    /// It is so no more.
    Release(ListId, Column),
    /// A relation that rested is seen again.
    Awake(Relation),
    /// Cells are computed anew.
    Compute(Box<Recomputed>),
    QueueJob(Box<NewJob>),
    ReplanJob(Box<NewJob>),
    FinishJob(JobId, u64, u64),
    FailJob(JobId, Value, Vec<RowError>),
    CancelJob(JobId),
    RevertJob(JobId),
    NewComment(Box<Comment>),
    Comment(Box<Comment>),
    NewFormLink(Box<FormLink>),
    RevokeFormLink(Box<FormLink>),
    NewView(Box<View>),
    View(Box<View>),
}

/// What a judged change comes to.
pub(super) struct Effect {
    pub(super) kind: &'static str,
    pub(super) list: Option<ListId>,
    /// The item in whose history it stands.
    pub(super) item: Option<ItemId>,
    pub(super) data: Value,
    /// What the log keeps beside, so that it could rebuild the state, and shows to nobody.
    pub(super) unseen: Option<Value>,
    pub(super) changes: Vec<Change>,
    pub(super) answer: Answer,
    /// Whether what is cached of schema, members or workspace is old from here on.
    pub(super) reshapes: bool,
}

impl Effect {
    pub(super) fn new(kind: &'static str, data: Value, status: u16, body: Option<Value>) -> Effect {
        Effect {
            kind,
            list: None,
            item: None,
            data,
            unseen: None,
            changes: Vec::new(),
            answer: Answer::new(status, body.as_ref()),
            reshapes: true,
        }
    }

    pub(super) fn on(mut self, list: ListId) -> Effect {
        self.list = Some(list);
        self
    }

    /// It stands in the history of an item too.
    pub(super) fn about(mut self, (list, item): Place) -> Effect {
        self.item = Some(item);
        self.on(list)
    }

    pub(super) fn keeping(mut self, unseen: Option<Value>) -> Effect {
        self.unseen = unseen;
        self
    }

    /// The log keeps how the lists and columns stood that it changes.
    pub(super) fn keep_before(&mut self, schema: &Schema) {
        let mut before = Before::default();
        for change in &self.changes {
            match change {
                Change::NewList(list) => before.new_list(list.id),
                Change::List(list) => before.list(schema, list),
                Change::Columns(list, columns) => before.columns(schema, *list, columns),
                _ => {}
            }
        }
        if !before.is_empty() && self.unseen.is_none() {
            self.unseen = Some(json!(before));
        }
    }

    /// Columns that become unique, or stop being so, with how they stand after it: where one is deleted, its
    /// values are nobody's.
    pub(super) fn keep_unique(&mut self, schema: &Schema) {
        let mut after: BTreeMap<(ListId, ColumnId), &Column> = BTreeMap::new();
        for change in &self.changes {
            if let Change::Columns(list, columns) = change {
                after.extend(columns.iter().map(|column| ((*list, column.id), column)));
            }
        }
        let holds = |column: &Column| column.unique && !column.deleted;
        let held = |list: &ListId, id: &ColumnId| {
            let list = schema.lists.get(list);
            list.and_then(|list| list.columns.by_id(id))
                .is_some_and(holds)
        };
        let turned = after.into_iter().filter_map(|((list, id), column)| {
            match (held(&list, &id), holds(column)) {
                (false, true) => Some(Change::Claim(list, column.clone())),
                (true, false) => Some(Change::Release(list, column.clone())),
                _ => None,
            }
        });
        let turned: Vec<Change> = turned.collect();
        self.changes.extend(turned);
    }

    /// The version that the answer's `ETag` names.
    pub(super) fn at_version(mut self, version: i64) -> Effect {
        self.answer.etag = Some(version);
        self
    }

    pub(super) fn with(mut self, change: Change) -> Effect {
        self.changes.push(change);
        self
    }

    /// Its event says how columns of another list stand, or of the same: the inverses.
    pub(super) fn tells_of(&mut self, list: ListId, columns: Vec<Column>) {
        if columns.is_empty() {
            return;
        }
        let columns: Vec<ColumnOut> = columns.iter().map(ColumnOut::new).collect();
        let told = json!({"list": list, "columns": columns});
        let Some(data) = self.data.as_object_mut() else {
            return;
        };
        let inverse = data.entry("inverse").or_insert_with(|| json!([]));
        if let Some(all) = inverse.as_array_mut() {
            all.push(told);
        }
    }

    pub(super) fn keeps_shape(mut self) -> Effect {
        self.reshapes = false;
        self
    }

    /// Whether what is cached is old from here on.
    pub(super) fn shaping(mut self, reshapes: bool) -> Effect {
        self.reshapes = reshapes;
        self
    }

    pub(super) fn at(mut self, location: String) -> Effect {
        self.answer.location = Some(location);
        self
    }
}

/// Writes one part of it inside `tx`.
pub(super) async fn write(
    core: &Core,
    tx: &mut Tx,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), Attempt> {
    let id = core.id;
    let ended = || Attempt::Refused(AppError::conflict("The job has ended already"));
    let written: Result<(), StoreError> = match change {
        Change::QueueJob(job) => store::jobs::create(tx.conn(), id, job)
            .await
            .map_err(StoreError::from),
        Change::ReplanJob(job) => {
            let waits = store::jobs::replan(tx.conn(), id, job).await;
            if !waits.map_err(StoreError::from)? {
                let detail = "The job waits for nobody: it was run or ended before";
                return Err(Attempt::Refused(AppError::conflict(detail)));
            }
            Ok(())
        }
        Change::FinishJob(job, rows, bytes) => {
            let runs = store::jobs::finish(tx.conn(), id, *job, *rows, *bytes).await;
            if !runs.map_err(StoreError::from)? {
                return Err(ended());
            }
            Ok(())
        }
        Change::FailJob(job, error, errors) => {
            let done = store::jobs::fail(tx.conn(), id, *job, error, errors).await;
            if !done.map_err(StoreError::from)? {
                return Err(ended());
            }
            Ok(())
        }
        Change::RevertJob(job) => {
            if !store::jobs::revert(tx.conn(), id, *job)
                .await
                .map_err(StoreError::from)?
            {
                return Err(ended());
            }
            Ok(())
        }
        Change::CancelJob(job) => {
            if !store::jobs::cancel(tx.conn(), id, *job)
                .await
                .map_err(StoreError::from)?
            {
                return Err(ended());
            }
            Ok(())
        }
        Change::Workspace { name, deleted_at } => {
            store::workspaces::update(tx, id, name, *deleted_at, now).await
        }
        Change::Member {
            user,
            role: Some(role),
        } => store::members::upsert(tx, id, *user, *role, now).await,
        Change::Member { user, role: None } => store::members::delete(tx, id, *user).await,
        Change::NewInvite(invite) => store::invites::insert(tx, Invite::clone(invite)).await,
        Change::Revoke(invite) => {
            store::invites::mark_revoked(tx, Invite::clone(invite), now).await
        }
        Change::Accept(invite, by) => {
            store::invites::mark_accepted(tx, Invite::clone(invite), *by, now).await
        }
        Change::NewComment(comment) => store::comments::insert(tx, id, comment).await,
        Change::Comment(comment) => store::comments::update(tx, id, comment).await,
        Change::NewFormLink(link) => store::forms::insert(tx, FormLink::clone(link)).await,
        Change::RevokeFormLink(link) => {
            store::forms::mark_revoked(tx, FormLink::clone(link), now).await
        }
        Change::NewView(view) => store::views::insert(tx, id, view).await,
        Change::View(view) => store::views::update(tx, id, view).await,
        Change::NewList(list) => store::schema::insert_list(tx, id, list).await,
        Change::List(list) => store::schema::update_list(tx, id, list).await,
        Change::Columns(list, columns) => {
            store::schema::save_columns(tx, id, *list, columns, now).await
        }
        Change::Single(relation, from, to) => {
            match store::links::set_single(tx, id, *relation, *from, *to).await {
                Err(StoreError::Conflict { constraint }) if constraint.starts_with("links_") => {
                    let message = "some cells hold several links";
                    let lossy = AppError::field("/options/multiple", "lossy", message);
                    return Err(Attempt::Refused(lossy));
                }
                other => other,
            }
        }
        Change::Fill {
            list,
            pair,
            on_loss,
        } => {
            // Others take the head before they take items.
            store::log::head(tx, id, true).await?;
            let pair = Pair {
                list: *list,
                from: &pair.0,
                to: &pair.1,
                people: &store::members::named(tx, id).await?,
            };
            let may_lose = *on_loss == OnLoss::Clear;
            let outlook = store::retype::fill(tx, id, pair, may_lose).await?;
            if outlook.lost > 0 && !may_lose {
                return Err(Attempt::Refused(lossy(pair.from, &outlook)));
            }
            Ok(())
        }
        Change::Claim(list, column) => {
            let duplicates = store::unique::claim(tx, id, *list, column).await?;
            if !duplicates.is_empty() {
                return Err(Attempt::Refused(not_unique(column, &duplicates)));
            }
            Ok(())
        }
        Change::Release(list, column) => store::unique::release(tx, id, *list, column).await,
        Change::Awake(relation) => store::links::awake(tx, id, *relation).await,
        Change::Compute(recomputed) => recompute::write(core, tx, recomputed).await,
    };
    Ok(written?)
}

/// 422, with a sample of the values that would be lost: `current`.
fn lossy(from: &Column, outlook: &Outlook) -> AppError {
    let told = json!(OutlookOut::new(from, outlook)).to_string();
    let (lost, values) = (outlook.lost, outlook.values);
    let message = format!("{lost} of {values} values can't be of that type");
    AppError::field("/type", "lossy", message).with_current(told)
}

/// 409, with a sample of the values that stand more than once: `current.duplicates`.
fn not_unique(column: &Column, duplicates: &[Duplicate]) -> AppError {
    let told: Vec<Value> = duplicates
        .iter()
        .map(|duplicate| {
            let mut value = String::new();
            if let Some(cell) = column.read_stored_cell(&duplicate.stored) {
                column.write_wire_cell(&cell, &mut value);
            }
            let value: Value = serde_json::from_str(&value).unwrap_or_default();
            json!({"value": value, "count": duplicate.count, "items": duplicate.items})
        })
        .collect();
    let detail = format!("Some values of {} stand more than once", column.key);
    AppError::new(ErrorCode::NotUnique, detail)
        .at("/unique", NOT_UNIQUE)
        .with_current(json!({"duplicates": told}).to_string())
}

//! Computed columns that are computed anew, between what people do: a page at a time, each with an event of
//! its own, so that other servers and clients know; at the end the column says that it is settled. Begun
//! again wherever a server finds one that is not: cells that are right already are not written twice.

use std::collections::BTreeMap;

use chrono::{SubsecRound, Utc};
use serde_json::json;

use super::admin::settling;
use super::broadcast::{EncodedEvent, EventBatch};
use super::catch_up::{catch_up, hold};
use super::core::Core;
use super::done::Done;
use super::durable::{Attempt, Failure, commit_in};
use super::entry::{By, NewEvent, event, head_move, payload};
use crate::domain::cell::ColumnId;
use crate::domain::event::ITEMS_COMPUTED;
use crate::domain::log::{Actor, mark};
use crate::error::AppError;
use crate::ids::{ItemId, JobId, ListId};
use crate::store::commit::{GroupWrite, PATIENCE};
use crate::store::{self, Db, Purpose};
use crate::wire::lists::ColumnOut;

/// Items of a page.
const PAGE: i64 = 1_000;

/// How far a column has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    list: ListId,
    column: ColumnId,
    after: Option<ItemId>,
}

/// Takes the next page. What went wrong is tried again later.
pub(super) async fn step(db: &Db, core: &mut Core) -> Done {
    let mut done = Done::default();
    let Some(at) = next(core) else {
        return done;
    };
    if let Err(error) = page(db, core, at, &mut done).await {
        done.stumbled = true;
        tracing::warn!(workspace = %core.id, %error, "a computed column could not go on");
    }
    done
}

/// Whether there is anything to be computed.
pub(super) fn is_needed(core: &Core) -> bool {
    core.workspace.deleted_at.is_none() && core.schema.graph().unsettled().is_some()
}

/// Where to go on: where it stood, if that is still what is to be done.
fn next(core: &Core) -> Option<Progress> {
    let (_, node) = core.schema.graph().unsettled()?;
    let begun = Progress {
        list: node.list,
        column: node.column,
        after: None,
    };
    let same = |at: &Progress| (at.list, at.column) == (node.list, node.column);
    Some(core.refill.filter(same).unwrap_or(begun))
}

async fn page(db: &Db, core: &mut Core, at: Progress, done: &mut Done) -> Result<(), AppError> {
    let mut tx = hold(db, core, done, Purpose::Write).await?;
    // What another server wrote may have changed what is to be done.
    if next(core) != Some(at) {
        return Ok(tx.commit().await?);
    }
    let schema = core.schema.clone();
    let Some((_, node)) = schema.graph().unsettled() else {
        return Ok(tx.commit().await?);
    };
    let filled = store::computed::fill(&mut tx, core.id, &schema, node, at.after, PAGE);
    let filled = db.in_time(PATIENCE, filled).await?;
    let progress = Progress {
        after: filled.last,
        ..at
    };
    if filled.last.is_some() && filled.changed.is_empty() {
        core.refill = Some(progress);
        return Ok(tx.commit().await?);
    }
    let now = Utc::now().trunc_subsecs(6);
    let ends = filled.last.is_none();
    let list = schema.lists.get(&at.list).ok_or_else(AppError::not_found)?;
    let column = list.columns.by_id(&at.column);
    let column = settling(column.ok_or_else(AppError::not_found)?, ends);
    let data = json!({
        "list": at.list, "columns": [ColumnOut::new(&column)],
        "first": filled.changed.first(), "last": filled.changed.last(),
        "count": filled.changed.len(),
    });
    if ends {
        let columns = std::slice::from_ref(&column);
        store::schema::save_columns(&tx, core.id, at.list, columns, now).await?;
    }
    let text = data.to_string();
    let said = payload(Some(at.list), None, None, text.clone().into_bytes(), false);
    let mut hash = core.hash;
    let new = NewEvent {
        seq: core.seq + 1,
        at: now,
        kind: ITEMS_COMPUTED,
        // Nobody's: the list itself stands for whoever changed a rule, long ago perhaps.
        by: By::itself(Actor::Job(JobId(at.list.uuid()))),
        list: Some(at.list),
        payloads: vec![said],
    };
    let entry = event(core, &mut hash, new);
    let write = GroupWrite {
        head: head_move(core, hash, ends),
        items: Vec::new(),
        events: vec![entry.clone()],
        ops: Vec::new(),
        numbers: BTreeMap::new(),
        links: Vec::new(),
        keys: Vec::new(),
    };
    commit_in(db, core, tx, &write, now)
        .await
        .map_err(refusal)?;
    let after = core.seq;
    core.seq = write.head.seq;
    core.hash = write.head.hash;
    core.refill = Some(progress);
    for item in &filled.changed {
        core.forget_item(&(at.list, *item));
    }
    let event = EncodedEvent::new(&entry.header, &entry.hash, &[Some(&text)]);
    let mark = mark(&core.hash);
    done.batches.push(EventBatch::new(
        core.id,
        after,
        core.seq,
        &mark,
        vec![event],
    ));
    if ends {
        catch_up(db, core, done).await?;
    }
    Ok(())
}

fn refusal(failure: Failure) -> AppError {
    match Attempt::from(failure) {
        Attempt::Failed(Failure::Store(error)) => error.into(),
        _ => AppError::unavailable("The workspace is written elsewhere; try again"),
    }
}

//! A list brought back to how it stood, and a batch of an import taken back.

use std::sync::Arc;

use super::super::core::Core;
use super::Plan;
use super::plan_items::{changes, erased, timeline};
use crate::domain::edit::{Act, Compensation, MAX_ITEMS, Step, list_of};
use crate::domain::item::{Item, Place};
use crate::domain::log::Actor;
use crate::domain::past::{Entry, Rewound, Timeline, by_item, rewind};
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::undo::{Both, bring_back, by_people, changed_since, linked_places, refused};
use crate::error::AppError;
use crate::ids::{ItemId, JobId, ListId, UserId};
use crate::store::log::events_after;
use crate::store::past::{changed_in, entries_in, entries_of, last_changes};
use crate::store::{self, Db, Tx};

/// The list at `seq`, as one change of the items that differ: at most [`MAX_ITEMS`].
pub(super) async fn restore_to(
    db: &Db,
    core: &mut Core,
    tx: &mut Tx,
    by: UserId,
    list: ListId,
    seq: i64,
) -> Result<Plan, AppError> {
    core.authorize(by, Action::WriteItems)?;
    let list = Arc::clone(list_of(list, &core.schema)?);
    if seq > core.seq || seq < 1 {
        let message = "there is no such position yet";
        return Err(AppError::field("/seq", "out_of_range", message));
    }
    if seq < core.workspace.oldest_seq {
        return Err(AppError::gone("The log does not reach back to it any more"));
    }
    let changes = changes(core, tx, seq).await?;
    let timeline = timeline(core, &changes);
    let then = timeline.at(seq).lists.get(&list.id);
    if then.is_none_or(|then| then.deleted_at.is_some()) {
        let message = "the list was not there then";
        return Err(AppError::field("/seq", "out_of_range", message));
    }
    let most = i64::try_from(MAX_ITEMS).unwrap_or(i64::MAX);
    let ids = changed_in(tx, core.id, list.id, seq, most.saturating_add(1)).await?;
    if ids.len() > MAX_ITEMS {
        let detail = format!("More than {MAX_ITEMS} items have changed since");
        return Err(AppError::too_large(detail));
    }
    let entries = entries_in(tx, core.id, list.id, seq).await?.whole()?;
    let mut items = store::items::find(tx, core.id, &list, &ids).await?;
    let schema = Arc::clone(&core.schema);
    store::links::show(tx, core.id, &schema, &list, None, &mut items).await?;
    let both = rewound(core, tx, &list, items, &entries, &timeline, seq).await?;
    let places = linked_places(list.id, &both, &entries, &timeline, &schema);
    let known = core.look_up(db, Some(tx), places).await?;
    let lives = |place: Place| {
        known
            .get(&place)
            .is_some_and(|item| item.deleted_at.is_none())
    };
    let mut what = bring_back(&list, &schema, &both, &entries, &timeline, &lives)
        .map_err(|obstacles| refused(&obstacles))?;
    if what.steps.is_empty() {
        return Ok(Plan::Nothing);
    }
    what.after = core.seq;
    Ok(Plan::Items(Box::new(what)))
}

async fn rewound(
    core: &Core,
    tx: &mut Tx,
    list: &List,
    items: Vec<Item>,
    entries: &[Entry],
    timeline: &Timeline,
    seq: i64,
) -> Result<Vec<Both>, AppError> {
    let places: Vec<Place> = items.iter().map(|item| (list.id, item.id)).collect();
    let last = last_changes(tx, core.id, &places, seq).await?;
    let mut of_item = by_item(entries.iter().cloned());
    let both = items.into_iter().zip(last).map(|(now, last)| {
        let since = of_item.remove(&(list.id, now.id)).unwrap_or_default();
        let then = match last {
            Some(_) => rewind(&now, list.id, &since, last, timeline),
            None => Rewound::Unborn,
        };
        Both { now, then }
    });
    Ok(both.collect())
}

/// The rows of a batch go into the trash, but those that are there already; all of them, or none where one
/// has been changed since.
pub(super) async fn revert_batch(
    db: &Db,
    core: &mut Core,
    tx: &mut Tx,
    by: UserId,
    job: JobId,
    seq: i64,
    change: uuid::Uuid,
) -> Result<Plan, AppError> {
    core.authorize(by, Action::WriteItems)?;
    let event = events_after(tx, core.id, seq - 1, seq, 1, true)
        .await?
        .pop();
    let event = event.filter(|event| event.header.actor == Actor::Job(job));
    let event = event.ok_or_else(AppError::not_found)?;
    let list = event.header.list.ok_or_else(AppError::not_found)?;
    let list = Arc::clone(list_of(list, &core.schema)?);
    let packed = event.rows.get(1).and_then(|row| row.payload.as_deref());
    let ids = ids_of(packed.ok_or_else(erased)?)?;
    let places = ids.iter().map(|id| (list.id, *id));
    let items = core.look_up(db, Some(tx), places).await?;
    let stands = |item: &&Arc<Item>| item.deleted_at.is_none();
    let mut items: Vec<&Arc<Item>> = items.values().filter(stands).collect();
    items.sort_unstable_by_key(|item| item.id);
    let touched = items.iter().filter(|item| item.seq > seq);
    let touched: Vec<Place> = touched.map(|item| (list.id, item.id)).collect();
    let since = entries_of(tx, core.id, &touched, seq).await?;
    let obstacles = changed_since(by_people(since.whole()?, &core.schema), seq);
    if !obstacles.is_empty() {
        return Err(refused(&obstacles));
    }
    if items.is_empty() {
        return Ok(Plan::Nothing);
    }
    let step = |item: &&Arc<Item>| Step {
        item: item.id,
        act: Act::Trash,
        cells: Vec::new(),
    };
    Ok(Plan::Items(Box::new(Compensation {
        list: list.id,
        after: core.seq,
        undoes: Some(seq),
        merges: Vec::new(),
        change: Some(change),
        steps: items.iter().map(step).collect(),
        links: Vec::new(),
        revived: Vec::new(),
    })))
}

#[derive(serde::Deserialize)]
struct Row {
    item: ItemId,
}

/// The rows of a batch, from the lines that the log keeps packed.
fn ids_of(packed: &[u8]) -> Result<Vec<ItemId>, AppError> {
    let lines = zstd::decode_all(packed).map_err(AppError::internal)?;
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let rows = lines.map(|line| serde_json::from_slice::<Row>(line).map(|row| row.item));
    rows.collect::<Result<_, _>>().map_err(AppError::internal)
}

//! Reads as of a position of the log (`?as_of=`): items as they stood, under the columns that there were.
//! Titles of links are as of the reading, as everywhere. The log is read back from now: what a question costs
//! is what changed since, and where that is more than [`MAX_ENTRIES`](crate::domain::past::MAX_ENTRIES) entries it is refused with 413.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::extract::Access;
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::edit::list_of;
use crate::domain::item::{Item, Place};
use crate::domain::past::{Rewound, Timeline, by_item, rewind, too_reshaped};
use crate::domain::schema::{List, Schema};
use crate::error::AppError;
use crate::ids::{ItemId, ListId};
use crate::store::past::{entries_of, last_changes, reshapings, titles};
use crate::store::{self, Tx, links};

/// A list as it was.
pub(super) struct Past {
    pub(super) seq: i64,
    pub(super) schema: Arc<Schema>,
    pub(super) list: Arc<List>,
    pub(super) timeline: Timeline,
}

/// The list at that position: 422 for one that is yet to come, 410 for one that the log no longer reaches
/// or at which the list was in the trash, 404 where it had not been made.
pub(super) async fn open(
    tx: &mut Tx,
    access: &Access,
    list: ListId,
    seq: i64,
) -> Result<Past, AppError> {
    let snapshot = &access.snapshot;
    if seq < 1 || seq > snapshot.seq {
        let message = format!("a position of the log, from 1 to {}", snapshot.seq);
        return Err(AppError::field("/as_of", "out_of_range", message));
    }
    if seq < snapshot.oldest_seq {
        return Err(AppError::gone("The log does not reach back to it any more"));
    }
    let changes = reshapings(tx, snapshot.id, seq, i64::MAX).await?;
    let changes = changes.ok_or_else(too_reshaped)?;
    let before: Vec<_> = changes
        .into_iter()
        .map(|change| (change.seq, change.before))
        .collect();
    let timeline = Timeline::new(Arc::clone(&snapshot.schema), &before);
    let schema = Arc::clone(timeline.at(seq));
    let list = Arc::clone(list_of(list, &schema)?);
    Ok(Past {
        seq,
        schema,
        list,
        timeline,
    })
}

/// The rows that were read of `list`, as they stood: without those that had not been made or were in the
/// trash, in the same order.
pub(super) async fn stood(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    list: &List,
    mut items: Vec<Item>,
) -> Result<Vec<Item>, AppError> {
    let workspace = access.snapshot.id;
    links::show(
        tx,
        workspace,
        &past.schema,
        list,
        Some(&access.links),
        &mut items,
    )
    .await?;
    let changed = items.iter().filter(|item| item.seq > past.seq);
    let places: Vec<Place> = changed.map(|item| (list.id, item.id)).collect();
    if places.is_empty() {
        items.retain(|item| item.deleted_at.is_none());
        return Ok(items);
    }
    let entries = entries_of(tx, workspace, &places, past.seq).await?;
    let since = by_item(entries.whole()?);
    let last = last_changes(tx, workspace, &places, past.seq).await?;
    let last: HashMap<ItemId, _> = places.iter().map(|(_, id)| *id).zip(last).collect();
    let mut stood = Vec::with_capacity(items.len());
    for item in items {
        if item.seq <= past.seq {
            stood.extend(item.deleted_at.is_none().then_some(item));
            continue;
        }
        let Some(last) = last.get(&item.id).copied().flatten() else {
            continue;
        };
        let since = since
            .get(&(list.id, item.id))
            .map_or(&[][..], Vec::as_slice);
        if let Rewound::Stood(item) = rewind(&item, list.id, since, Some(last), &past.timeline)
            && item.deleted_at.is_none()
        {
            stood.push(item);
        }
    }
    name(tx, access, past, list, &mut stood).await?;
    Ok(stood)
}

/// Puts titles to the links that the log told of.
async fn name(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    list: &List,
    items: &mut [Item],
) -> Result<(), AppError> {
    let ends = past.schema.ends(list.id).iter();
    let titled = ends.filter_map(|end| Some((end.column?, (end.other_list, end.title?))));
    let titled: BTreeMap<ColumnId, (ListId, ColumnId)> = titled.collect();
    let mut unnamed = Vec::new();
    for (column, cell) in items.iter().flat_map(|item| &item.values) {
        if let (Cell::Links(links), Some((other, title))) = (cell, titled.get(column)) {
            let nameless = links.first.iter().filter(|link| link.title.is_none());
            unnamed.extend(nameless.map(|link| (*other, link.id, *title)));
        }
    }
    unnamed.sort_unstable();
    unnamed.dedup();
    let found = titles(tx, access.snapshot.id, &unnamed).await?;
    for (column, cell) in items.iter_mut().flat_map(|item| &mut item.values) {
        if let (Cell::Links(links), Some((other, _))) = (cell, titled.get(column)) {
            for link in links.first.iter_mut().filter(|link| link.title.is_none()) {
                link.title = found.get(&(*other, link.id)).cloned().map(Arc::from);
            }
        }
    }
    Ok(())
}

/// Puts the linked items, as they stood too, into the cells that are shown: one level.
pub(super) async fn expand(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    columns: &[ColumnId],
    shown: &mut [Item],
) -> Result<(), AppError> {
    for column in columns {
        let Some(end) = past.schema.end_of(past.list.id, *column) else {
            continue;
        };
        let Some(other) = past.schema.live(end.other_list).cloned() else {
            continue;
        };
        let cells = shown.iter().filter_map(|item| item.values.get(column));
        let mut ids: Vec<ItemId> = cells
            .flat_map(|cell| match cell {
                Cell::Links(links) => links.ids().collect(),
                _ => Vec::new(),
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let found = store::items::find(tx, access.snapshot.id, &other, &ids).await?;
        let stood = stood(tx, access, past, &other, found).await?;
        let texts: HashMap<ItemId, String> = stood
            .into_iter()
            .map(|mut item| {
                item.values
                    .retain(|_, cell| !matches!(cell, Cell::Links(_)));
                (item.id, item.to_wire(&other))
            })
            .collect();
        for item in shown.iter_mut() {
            if let Some(Cell::Links(links)) = item.values.get_mut(column) {
                for link in &mut links.first {
                    link.item = texts.get(&link.id).cloned();
                }
            }
        }
    }
    Ok(())
}

//! Pages of items as of a position of the log.
//!
//! # What it costs
//! A plain page reads rows by their key, the trash too, and rewinds those that changed since. It looks at
//! [`LOOKED_AT`] rows at most: where most of them had not been made, a page may hold fewer items than asked
//! for, or none, and its cursor goes on. A filter, a search or a sort is asked of the database for what has
//! not changed since, and of the items that have, rewound, one by one: so of at most [`MOST_CHANGED`] of them,
//! and 413 beyond.

use std::collections::{BTreeSet, HashMap};

use super::cursor::cut;
use super::extract::Access;
use super::items_query::Question;
use super::past::{Past, stood};
use crate::domain::cell::{Cell, ColumnId, Linked};
use crate::domain::filter::Filter;
use crate::domain::item::Item;
use crate::domain::links::{End, Pair};
use crate::domain::past::{Entry, MAX_ENTRIES, pairs_then};
use crate::domain::search::Selection;
use crate::domain::sort::{Position, Sort};
use crate::error::AppError;
use crate::ids::ItemId;
use crate::store::items_query::PageOf;
use crate::store::past::{entries_in, rows};
use crate::store::{self, Tx, links};

/// Rows that a plain page looks at.
const LOOKED_AT: usize = 20_000;
/// Rows read in one go.
const CHUNK: i64 = 1_001;
/// Items that a filter may have to be asked of one by one.
const MOST_CHANGED: usize = 10_000;

/// A page, whether there is more, and where the next begins.
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<Position>,
}

/// The page that a question asks for; with how many there are, where that is asked.
pub(super) async fn page(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    question: &Question,
) -> Result<(Page, Option<i64>), AppError> {
    if question.is_plain() {
        let after = question.after.as_ref().map(|position| position.item);
        return Ok((plain(tx, access, past, after, question.limit).await?, None));
    }
    asked(tx, access, past, question).await
}

/// By id, all that stood.
async fn plain(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Page, AppError> {
    let workspace = access.snapshot.id;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut page, mut after, mut looked) = (Vec::new(), after, 0);
    let at = |item| Position {
        cells: Vec::new(),
        item,
    };
    loop {
        let size = CHUNK.min(limit + 1);
        let read = rows(tx, workspace, &past.list, after, past.seq, size).await?;
        let exhausted = i64::try_from(read.len()).unwrap_or(i64::MAX) < size;
        looked += read.len();
        after = read.last().map(|item| item.id).or(after);
        page.extend(stood(tx, access, past, &past.list, read).await?);
        if page.len() > wanted {
            page.truncate(wanted);
            let next = page.last().map(|item| at(item.id));
            return Ok(Page { items: page, next });
        }
        if exhausted || looked >= LOOKED_AT {
            let next = after.filter(|_| !exhausted).map(at);
            return Ok(Page { items: page, next });
        }
    }
}

/// What a filter and a sort ask for.
async fn asked(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    question: &Question,
) -> Result<(Page, Option<i64>), AppError> {
    let workspace = access.snapshot.id;
    let columns = &past.list.columns;
    let (selection, sort) = (&question.selection, &question.sort);
    let (changed, entries) = changed(tx, access, past).await?;
    let linked = linked(tx, access, past, selection, &changed, &entries).await?;
    let matching: Vec<Item> = changed
        .into_iter()
        .filter(|item| match linked.get(&item.id) {
            Some(judged) => selection.matches(columns, judged),
            None => selection.matches(columns, item),
        })
        .collect();
    let until = Some(past.seq);
    let mut count = None;
    if question.counting.is_some() {
        let still = store::items_query::count(tx, workspace, &past.list, selection, until).await?;
        let rewound = i64::try_from(matching.len()).unwrap_or(i64::MAX);
        count = Some(still.saturating_add(rewound));
    }
    let page = PageOf {
        until,
        ..question.page()
    };
    let mut items = store::items_query::page(tx, workspace, &past.list, &page).await?;
    links::show(
        tx,
        workspace,
        &past.schema,
        &past.list,
        Some(&access.links),
        &mut items,
    )
    .await?;
    let behind = |item: &Item| {
        let position = sort.position(columns, item);
        let after = question.after.as_ref();
        after.is_none_or(|after| sort.compare(columns, after, &position).is_lt())
    };
    items.extend(matching.into_iter().filter(behind));
    items.sort_by_cached_key(|item| Placed {
        position: sort.position(columns, item),
        sort,
        past,
    });
    let more = cut(&mut items, question.limit);
    let next = items.last().filter(|_| more);
    let next = next.map(|last| sort.position(columns, last));
    Ok((Page { items, next }, count))
}

/// The items that changed since, as they stood.
async fn changed(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
) -> Result<(Vec<Item>, Vec<Entry>), AppError> {
    let workspace = access.snapshot.id;
    let entries = entries_in(tx, workspace, past.list.id, past.seq)
        .await?
        .whole()?;
    let ids: BTreeSet<ItemId> = entries.iter().map(|entry| entry.said.item).collect();
    if ids.len() > MOST_CHANGED {
        return Err(AppError::too_large(format!(
            "More than {MOST_CHANGED} items of the list have changed since: a page without filter and sort \
             is read whatever has"
        )));
    }
    let ids: Vec<ItemId> = ids.into_iter().collect();
    let found = store::items::find(tx, workspace, &past.list, &ids).await?;
    // One that only a comment was made on is the database's to answer.
    let changed = found.into_iter().filter(|item| item.seq > past.seq);
    let items = stood(tx, access, past, &past.list, changed.collect()).await?;
    Ok((items, entries))
}

/// Where a filter asks for linked items, more of a cell may be asked for than it shows: the items with those
/// links among the shown ones that the filter names.
async fn linked(
    tx: &mut Tx,
    access: &Access,
    past: &Past,
    selection: &Selection,
    items: &[Item],
    entries: &[Entry],
) -> Result<HashMap<ItemId, Item>, AppError> {
    let asked = selection
        .filter
        .as_ref()
        .map(Filter::linked)
        .unwrap_or_default();
    let ends = past.schema.ends(past.list.id);
    let mut named = Vec::new();
    for (column, other) in &asked {
        let end = ends.iter().find(|end| end.column == Some(*column));
        named.extend(end.map(|end| (*column, *other, end)));
    }
    if items.len().saturating_mul(named.len()) > MAX_ENTRIES {
        let detail = "Too many items have changed since for so many that are linked to";
        return Err(AppError::too_large(detail));
    }
    let pair = |item: &Item, (_, other, end): &(ColumnId, ItemId, &End)| end.pair(item.id, *other);
    let all = items
        .iter()
        .flat_map(|item| named.iter().map(move |named| pair(item, named)));
    let all: Vec<Pair> = all.collect();
    let now = links::pairs(tx, access.snapshot.id, &all).await?;
    let then = pairs_then(entries, &past.timeline);
    let mut judged = HashMap::new();
    for item in items.iter().filter(|_| !named.is_empty()) {
        let mut copy = item.clone();
        for asked in &named {
            let pair = pair(item, asked);
            let stands = now.get(&pair).is_some_and(|row| row.live);
            let stood = then.get(&pair).copied().unwrap_or(stands);
            if let Some(Cell::Links(links)) = copy.values.get_mut(&asked.0) {
                links.first.retain(|link| link.id != asked.1);
                links.first.extend(stood.then(|| bare(asked.1)));
            }
        }
        judged.insert(item.id, copy);
    }
    Ok(judged)
}

fn bare(id: ItemId) -> Linked {
    Linked {
        id,
        title: None,
        item: None,
    }
}

/// An item's place, in the order of a sort.
struct Placed<'a> {
    position: Position,
    sort: &'a Sort,
    past: &'a Past,
}

impl Ord for Placed<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let columns = &self.past.list.columns;
        self.sort.compare(columns, &self.position, &other.position)
    }
}

impl PartialOrd for Placed<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Placed<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Placed<'_> {}

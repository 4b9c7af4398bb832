//! What takes back a change of items and links, and what was changed since.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{MAX_OBSTACLES, Obstacle, fits, living_column};
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::columns::{Column, ColumnType, SHOWN_LINKS};
use crate::domain::edit::{Act, Compensation, Relink, Step};
use crate::domain::item::{Item, Place};
use crate::domain::links::Pair;
use crate::domain::log::Actor;
use crate::domain::past::{Entry, Said, SaidKind, Timeline, pairs_then};
use crate::domain::schema::{List, Schema};
use crate::ids::{ItemId, ListId};

/// A change that is to be taken back.
#[derive(Clone, Debug)]
pub struct Undone {
    pub seq: i64,
    pub actor: Actor,
    pub list: ListId,
    pub entries: Vec<Entry>,
}

/// What happened since to the items of a change, newest first, without what was undone.
pub type Since = HashMap<Place, Vec<Entry>>;

/// The entries that stand: what was undone since `seq`, and what undid it, is left out. Newest first.
pub fn standing(entries: Vec<Entry>, seq: i64) -> Vec<Entry> {
    let events: BTreeMap<i64, Option<i64>> = entries
        .iter()
        .map(|entry| (entry.seq, entry.undoes))
        .collect();
    let mut gone = BTreeSet::new();
    for (at, undoes) in events.iter().rev() {
        if let (false, Some(undone)) = (gone.contains(at), undoes)
            && *undone > seq
        {
            gone.extend([*at, *undone]);
        }
    }
    let mut left = entries;
    left.retain(|entry| !gone.contains(&entry.seq));
    left
}

/// The entries without those that tell of computed cells alone: nobody has written them.
pub fn by_people(mut entries: Vec<Entry>, schema: &Schema) -> Vec<Entry> {
    let is_computed = |list: ListId, key: &str| {
        let columns = schema.lists.get(&list).map(|list| &list.columns);
        let mut named = columns.into_iter().flat_map(|columns| columns.iter_all());
        named.any(|column| column.key == key && column.is_read_only())
    };
    entries.retain(|entry| {
        let said = &entry.said;
        let mut was = said.was.0.iter();
        let computed = !said.was.0.is_empty() && was.all(|(key, _)| is_computed(said.list, key));
        !(said.kind == SaidKind::Updated && said.links.is_empty() && computed)
    });
    entries
}

/// Who has changed these items since `seq`, some of it.
pub fn changed_since(entries: Vec<Entry>, seq: i64) -> Vec<Obstacle> {
    let obstacle = |entry: Entry| Obstacle {
        list: Some(entry.said.list),
        item: Some(entry.said.item),
        column: entry.said.was.0.first().map(|(key, _)| key.clone()),
        actor: entry.actor,
        seq: entry.seq,
    };
    let standing = standing(entries, seq).into_iter();
    standing.take(MAX_OBSTACLES).map(obstacle).collect()
}

/// Cells of links, by list, item and column.
type Relinks = BTreeMap<(ListId, ItemId, ColumnId), Relink>;

/// The links that a change made or took.
fn pairs_of(undone: &Undone, timeline: &Timeline) -> BTreeMap<Pair, bool> {
    pairs_then(&undone.entries, timeline)
}

/// What takes a change back, or all that stands in its way. `items` are those of its entries as they stand,
/// `gone` says by whom and when a column of the list was taken away.
pub fn take_back(
    undone: &Undone,
    since: &Since,
    items: &HashMap<Place, Arc<Item>>,
    list: &List,
    timeline: &Timeline,
    gone: &dyn Fn(ColumnId) -> Option<(Actor, i64)>,
) -> Result<Compensation, Vec<Obstacle>> {
    let of_list = |entry: &&Entry| entry.said.list == list.id;
    let own = undone.entries.iter().filter(of_list);
    let mut back = TakingBack {
        own: own.map(|entry| entry.said.item).collect(),
        lists: undone.entries.iter().map(|entry| entry.said.list).collect(),
        undone,
        since,
        items,
        list,
        timeline,
        gone,
        obstacles: Vec::new(),
    };
    let mut steps = Vec::new();
    for entry in &undone.entries {
        if entry.said.list == list.id {
            steps.push(back.step(entry));
        }
    }
    let (links, revived) = back.links();
    if !back.obstacles.is_empty() {
        return Err(back.obstacles);
    }
    Ok(Compensation {
        list: list.id,
        after: 0,
        undoes: Some(undone.seq),
        merges: Vec::new(),
        change: None,
        steps,
        links,
        revived,
    })
}

struct TakingBack<'a> {
    /// The items of the list itself, and the lists of all.
    own: BTreeSet<ItemId>,
    lists: BTreeSet<ListId>,
    undone: &'a Undone,
    since: &'a Since,
    items: &'a HashMap<Place, Arc<Item>>,
    list: &'a List,
    timeline: &'a Timeline,
    gone: &'a dyn Fn(ColumnId) -> Option<(Actor, i64)>,
    obstacles: Vec<Obstacle>,
}

impl TakingBack<'_> {
    fn since(&self, place: Place) -> &[Entry] {
        self.since.get(&place).map_or(&[], Vec::as_slice)
    }

    fn step(&mut self, entry: &Entry) -> Step {
        let said = &entry.said;
        let act = match said.kind {
            SaidKind::Updated => Act::Write,
            SaidKind::Created | SaidKind::Restored => Act::Trash,
            SaidKind::Deleted => Act::Restore,
        };
        let item = self.items.get(&said.place());
        let deleted = item.is_some_and(|item| item.deleted_at.is_some());
        let moved = deleted != (act == Act::Restore);
        if act == Act::Trash || moved || item.is_none() {
            // The whole item: whatever was done to it since.
            let newest = self.since(said.place()).first().cloned();
            if let Some(entry) = newest {
                self.blocked(&entry, None);
            } else if moved || item.is_none() {
                let entry = entry.clone();
                self.blocked(&entry, None);
            }
        }
        Step {
            item: said.item,
            act,
            cells: self.cells(said, entry.seq, act),
        }
    }

    /// The cells that were written, as they were before.
    fn cells(&mut self, said: &Said, seq: i64, act: Act) -> Vec<(ColumnId, Option<Cell>)> {
        let then = Arc::clone(self.timeline.at(seq));
        let Some(then) = then.lists.get(&said.list) else {
            return Vec::new();
        };
        let mut cells = Vec::with_capacity(said.was.0.len());
        for (key, raw) in &said.was.0 {
            let Some(column) = then.columns.by_key(key) else {
                continue;
            };
            if column.ty == ColumnType::Link || column.is_read_only() {
                continue;
            }
            let cell = column.read_wire_cell(raw.get());
            if let Some(cell) = self.fitting(said, column, cell) {
                cells.push((column.id, cell));
            }
            if act == Act::Write
                && let Some(entry) = self.written(said, column.id)
            {
                self.blocked(&entry, Some(key.clone()));
            }
        }
        cells
    }

    /// The cell as the column of today takes it; what does not fit any more stands in the way.
    fn fitting(&mut self, said: &Said, then: &Column, cell: Option<Cell>) -> Option<Option<Cell>> {
        let now = living_column(self.list, then.id);
        let fits = now.is_some_and(|now| fits(now, cell.as_ref()));
        if fits {
            return Some(cell);
        }
        let (actor, seq) = (self.gone)(then.id).unwrap_or((self.undone.actor, self.undone.seq));
        self.note(Obstacle {
            list: Some(said.list),
            item: Some(said.item),
            column: Some(then.key.clone()),
            actor,
            seq,
        });
        None
    }

    /// The newest change of a cell since.
    fn written(&self, said: &Said, column: ColumnId) -> Option<Entry> {
        let writes = |entry: &&Entry| {
            let schema = self.timeline.at(entry.seq);
            let list = schema.lists.get(&said.list);
            let key = list.and_then(|list| list.columns.by_id(&column));
            let was = entry.said.was.0.iter();
            key.is_some_and(|column| was.clone().any(|(key, _)| *key == column.key))
        };
        self.since(said.place()).iter().find(writes).cloned()
    }

    fn blocked(&mut self, entry: &Entry, column: Option<String>) {
        self.note(Obstacle {
            list: Some(entry.said.list),
            item: Some(entry.said.item),
            column,
            actor: entry.actor,
            seq: entry.seq,
        });
    }

    fn note(&mut self, obstacle: Obstacle) {
        let many = self.obstacles.len() >= MAX_OBSTACLES;
        if !many && !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    /// The links that were made go, those that were taken come back; those of items that come out of the
    /// trash come with them.
    fn links(&mut self) -> (Vec<Relink>, Vec<Pair>) {
        let whole: BTreeSet<ItemId> = self
            .undone
            .entries
            .iter()
            .filter(|entry| entry.said.kind != SaidKind::Updated)
            .map(|entry| entry.said.item)
            .collect();
        let (mut relinks, mut revived) = (BTreeMap::new(), Vec::new());
        for (pair, was_there) in pairs_of(self.undone, self.timeline) {
            if whole.contains(&pair.from) || whole.contains(&pair.to) {
                revived.extend(was_there.then_some(pair));
                continue;
            }
            if let Some((entry, key)) = self.relinked(&pair) {
                self.blocked(&entry, Some(key));
            }
            self.relink(&pair, was_there, &mut relinks);
        }
        self.reorder(&mut relinks);
        (relinks.into_values().collect(), revived)
    }

    fn relink(&mut self, pair: &Pair, was_there: bool, relinks: &mut Relinks) {
        let then = Arc::clone(self.timeline.at(self.undone.seq));
        let ends = then.ends(self.list.id);
        let seen = ends.iter().filter(|end| end.relation == pair.relation);
        let seen = seen.filter_map(|end| Some((end, end.column?)));
        let mut here = seen.map(|(end, column)| (pair.cell(end.side).item, end, column));
        let Some((item, end, column)) = here.find(|(item, ..)| self.own.contains(item)) else {
            return;
        };
        let at = (self.list.id, item, column);
        let relink = relinks.entry(at).or_insert_with(|| Relink::of(at));
        let other = pair.other(end.side);
        match was_there {
            true => relink.add.push(other),
            false => relink.remove.push(other),
        }
    }

    /// Who made or took the link since.
    fn relinked(&self, pair: &Pair) -> Option<(Entry, String)> {
        let ends = self.timeline.at(self.undone.seq);
        let of_it = |list: &ListId| {
            let ends = ends.ends(*list).iter();
            ends.filter(|end| end.relation == pair.relation)
                .map(|end| ((end.list, pair.cell(end.side).item), pair.other(end.side)))
                .collect::<Vec<_>>()
        };
        for (place, other) in self.lists.iter().flat_map(of_it) {
            for entry in self.since(place) {
                for (key, links) in &entry.said.links {
                    if links.added.contains(&other) || links.removed.contains(&other) {
                        return Some((entry.clone(), key.clone()));
                    }
                }
            }
        }
        None
    }

    /// The order of a cell that nobody has touched since comes back, where the log knows all of it.
    fn reorder(&mut self, relinks: &mut Relinks) {
        for entry in &self.undone.entries {
            let said = &entry.said;
            let then = self.timeline.at(entry.seq).lists.get(&said.list).cloned();
            for (key, links) in &said.links {
                let column = then.as_ref().and_then(|list| list.columns.by_key(key));
                let Some(column) = column.filter(|_| said.kind == SaidKind::Updated) else {
                    continue;
                };
                let untouched = |entry: &Entry| !entry.said.links.contains_key(key);
                let since = self.since(said.place());
                match since.iter().find(|entry| !untouched(entry)) {
                    None => {
                        let order = order_then(said, column, &links.was_order);
                        if let Some(order) = order {
                            let at = (said.list, said.item, column.id);
                            relinks.entry(at).or_insert_with(|| Relink::of(at)).order = Some(order);
                        }
                    }
                    Some(later) if !links.was_order.is_empty() => {
                        let later = later.clone();
                        self.blocked(&later, Some(key.clone()));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

/// All links of a cell as they stood before the entry, in order, where the entry knows them.
fn order_then(said: &Said, column: &Column, was_order: &[ItemId]) -> Option<Vec<ItemId>> {
    if !was_order.is_empty() {
        return Some(was_order.to_vec());
    }
    let (_, raw) = said.was.0.iter().find(|(key, _)| *key == column.key)?;
    let ids: Vec<ItemId> = match column.read_wire_cell(raw.get()) {
        Some(Cell::Links(links)) => links.ids().collect(),
        _ => Vec::new(),
    };
    // As many as are shown may be the first of more.
    (ids.len() < SHOWN_LINKS).then_some(ids)
}

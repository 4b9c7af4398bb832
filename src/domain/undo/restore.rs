//! A list brought back to an earlier position, in place: what differs is put back by one compensation. Its
//! columns stay as they are: what stood in one that is gone stays away, what stands in one that is newer goes.

use std::collections::{BTreeMap, BTreeSet};

use super::{MAX_OBSTACLES, Obstacle, fits};
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::columns::ColumnType;
use crate::domain::edit::{Act, Compensation, Relink, Step};
use crate::domain::item::{Item, Place};
use crate::domain::log::Actor;
use crate::domain::past::{Entry, Rewound, Timeline, pairs_then};
use crate::domain::schema::{List, Schema};
use crate::ids::{ItemId, ListId};

/// An item as it stands and as it stood.
#[derive(Debug)]
pub struct Both {
    pub now: Item,
    pub then: Rewound,
}

impl Both {
    fn stood(&self) -> Option<&Item> {
        match &self.then {
            Rewound::Stood(item) if item.deleted_at.is_none() => Some(item),
            _ => None,
        }
    }
}

/// What brings the items of a list back. `entries` are all about them since, newest first; `lives` says of
/// items of other lists whether they are out of the trash.
pub fn bring_back(
    list: &List,
    schema: &Schema,
    items: &[Both],
    entries: &[Entry],
    timeline: &Timeline,
    lives: &dyn Fn(Place) -> bool,
) -> Result<Compensation, Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    let mut steps = Vec::new();
    let mut standing: BTreeMap<ItemId, &Item> = BTreeMap::new();
    let mut gone: BTreeSet<ItemId> = BTreeSet::new();
    for both in items {
        let deleted = both.now.deleted_at.is_some();
        let (act, cells) = match both.stood() {
            None if deleted => continue,
            None => (Act::Trash, Vec::new()),
            Some(then) => {
                standing.insert(then.id, then);
                let cells = differing(list, &both.now, then, &mut obstacles);
                let act = if deleted { Act::Restore } else { Act::Write };
                (act, cells)
            }
        };
        if act == Act::Trash {
            gone.insert(both.now.id);
        }
        steps.push(Step {
            item: both.now.id,
            act,
            cells,
        });
    }
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let stands = |place: Place| match place.0 == list.id {
        true if standing.contains_key(&place.1) => true,
        true if gone.contains(&place.1) => false,
        _ => lives(place),
    };
    let mut links = relinks(list.id, schema, &standing, entries, timeline, &stands);
    // A cell of links that was changed and changed back stands as it stood.
    let living = items.iter().filter(|both| both.now.deleted_at.is_none());
    let now: BTreeMap<ItemId, &Item> = living.map(|both| (both.now.id, &both.now)).collect();
    links.retain(|relink| {
        let cell = now
            .get(&relink.item)
            .and_then(|item| all_links(item, relink.column));
        relink.order.is_none() || cell != relink.order
    });
    let changed: BTreeSet<ItemId> = links.iter().map(|relink| relink.item).collect();
    // An item that was changed and changed back stands as it stood.
    steps.retain(|step| {
        step.act != Act::Write || !step.cells.is_empty() || changed.contains(&step.item)
    });
    Ok(Compensation {
        merges: Vec::new(),
        list: list.id,
        after: 0,
        undoes: None,
        change: None,
        steps,
        links,
        revived: Vec::new(),
    })
}

fn differing(
    list: &List,
    now: &Item,
    then: &Item,
    obstacles: &mut Vec<Obstacle>,
) -> Vec<(ColumnId, Option<Cell>)> {
    let mut cells = Vec::new();
    for column in list.columns.iter() {
        if column.ty == ColumnType::Link || column.is_read_only() {
            continue;
        }
        let cell = then.values.get(&column.id);
        if now.values.get(&column.id) == cell {
            continue;
        }
        if fits(column, cell) {
            cells.push((column.id, cell.cloned()));
        } else if obstacles.len() < MAX_OBSTACLES {
            obstacles.push(Obstacle {
                list: Some(list.id),
                item: Some(now.id),
                column: Some(column.key.clone()),
                actor: Actor::User(now.updated_by),
                seq: now.seq,
            });
        }
    }
    cells
}

/// The cells of links that were touched since: where the whole cell is known, in its order; else link by link.
fn relinks(
    list: ListId,
    schema: &Schema,
    standing: &BTreeMap<ItemId, &Item>,
    entries: &[Entry],
    timeline: &Timeline,
    stands: &dyn Fn(Place) -> bool,
) -> Vec<Relink> {
    let mut relinks: BTreeMap<(ItemId, ColumnId), Relink> = BTreeMap::new();
    for (pair, was_there) in pairs_then(entries, timeline) {
        for end in schema
            .ends(list)
            .iter()
            .filter(|end| end.relation == pair.relation)
        {
            let (item, other) = (pair.cell(end.side).item, pair.other(end.side));
            let (Some(column), Some(then)) = (end.column, standing.get(&item)) else {
                continue;
            };
            let at = (list, item, column);
            let relink = relinks.entry((item, column)).or_insert_with(|| Relink {
                order: order(then, column, end.other_list, stands),
                ..Relink::of(at)
            });
            match was_there {
                true if stands((end.other_list, other)) => relink.add.push(other),
                true => {}
                false => relink.remove.push(other),
            }
        }
    }
    relinks.into_values().collect()
}

fn order(
    then: &Item,
    column: ColumnId,
    other_list: ListId,
    stands: &dyn Fn(Place) -> bool,
) -> Option<Vec<ItemId>> {
    let ids = all_links(then, column)?.into_iter();
    let living = ids.filter(|id| stands((other_list, *id)));
    Some(living.collect())
}

/// All links of a cell in their order, where as many are known as there are.
fn all_links(item: &Item, column: ColumnId) -> Option<Vec<ItemId>> {
    match item.values.get(&column) {
        None => Some(Vec::new()),
        Some(Cell::Links(links)) if links.count == links.first.len() => Some(links.ids().collect()),
        Some(_) => None,
    }
}

/// The items at other ends of links, now or then: whether they live must be known.
pub fn linked_places(
    list: ListId,
    items: &[Both],
    entries: &[Entry],
    timeline: &Timeline,
    schema: &Schema,
) -> Vec<Place> {
    let ends = schema.ends(list);
    let mut places = BTreeSet::new();
    for (pair, end) in pairs_then(entries, timeline)
        .keys()
        .flat_map(|pair| ends.iter().map(move |end| (*pair, end)))
        .filter(|(pair, end)| end.relation == pair.relation)
    {
        places.insert((end.other_list, pair.other(end.side)));
    }
    for item in items.iter().filter_map(Both::stood) {
        for end in ends {
            let cell = end.column.and_then(|column| item.values.get(&column));
            if let Some(Cell::Links(links)) = cell {
                places.extend(links.ids().map(|id| (end.other_list, id)));
            }
        }
    }
    places.into_iter().collect()
}

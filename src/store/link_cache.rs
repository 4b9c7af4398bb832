//! What pages show of links, as it was last read: the cells of items, and the titles of what they link to. A
//! page of a hundred items shows thousands, and each title is a way through an index. A cache of one
//! workspace, shared by whoever reads with the lane, which says after each commit what changed. Never asked
//! by whoever writes.
//!
//! A cell's links change with its item's `seq`, so a cell is good for as long as the item's row has the `seq`
//! that it was read with. A title is another item's: whoever reads takes a [`Look`] before the transaction
//! begins; what is then read may be older than a change that the lane has told of meanwhile, and such a title
//! is shown, and not kept. Where the schema changes, all is forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::domain::cell::ColumnId;
use crate::domain::item::{Item, Place};
use crate::ids::{ItemId, ListId};

/// Titles that are kept.
const MOST: usize = 20_000;
/// Changes that are remembered while somebody reads.
const MOST_CHANGES: usize = 4_096;
/// Longer ones are read each time.
const MAX_BYTES: usize = 500;
/// Links in cells that are kept; an empty cell weighs as much as one.
const MOST_LINKS: usize = 100_000;

/// Of an item without a title, or one that is not there: none.
pub type Title = Option<Arc<str>>;

/// A cell: how many links it has, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownLinks {
    pub count: usize,
    pub first: Arc<[ItemId]>,
}

/// The cells of one item, in the order of the columns that were asked for.
pub type ShownCells = Arc<[(ColumnId, ShownLinks)]>;

/// What is kept of one workspace.
#[derive(Debug, Default)]
pub struct LinkCache(Mutex<Kept>);

/// The cache as of the beginning of a reading.
#[derive(Clone, Debug)]
pub struct Look {
    cache: Arc<LinkCache>,
    since: u64,
}

#[derive(Debug)]
struct Kept {
    titles: LruCache<Place, Title>,
    /// With the `seq` of the item that they are of.
    cells: LruCache<Place, (i64, ShownCells)>,
    links: usize,
    /// Counts changes.
    clock: u64,
    /// When an item last changed; of those that are not there, before `whole_since`.
    changed: HashMap<Place, u64>,
    /// The same in their order.
    order: VecDeque<(u64, Place)>,
    whole_since: u64,
    /// When all was forgotten.
    began: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            // One with a bound of its own takes the memory of all that it may hold at once.
            titles: LruCache::unbounded(),
            cells: LruCache::unbounded(),
            links: 0,
            clock: 0,
            changed: HashMap::new(),
            order: VecDeque::new(),
            whole_since: 0,
            began: 0,
        }
    }
}

impl LinkCache {
    /// To be taken before the transaction that reads begins.
    pub fn look(self: &Arc<Self>) -> Look {
        Look {
            since: self.0.lock().clock,
            cache: Arc::clone(self),
        }
    }

    /// An item was changed, and has this title now; `None`: it is not known.
    pub fn changed(&self, place: Place, title: Option<Title>) {
        let mut kept = self.0.lock();
        kept.clock += 1;
        let now = kept.clock;
        kept.changed.insert(place, now);
        kept.order.push_back((now, place));
        if kept.order.len() > MOST_CHANGES
            && let Some((at, oldest)) = kept.order.pop_front()
        {
            kept.whole_since = at;
            if kept.changed.get(&oldest) == Some(&at) {
                kept.changed.remove(&oldest);
            }
        }
        if kept.titles.contains(&place) {
            match title {
                Some(title) => kept.put_title(place, title),
                None => drop(kept.titles.pop(&place)),
            }
        }
    }

    /// Anything may have changed.
    pub fn all_changed(&self) {
        let mut kept = self.0.lock();
        let clock = kept.clock + 1;
        *kept = Kept {
            clock,
            whole_since: clock,
            began: clock,
            ..Kept::default()
        };
    }
}

impl Look {
    /// Of each item the cells that are kept, if they are those of these columns.
    pub fn cells(
        &self,
        list: ListId,
        items: &[Item],
        columns: &[ColumnId],
    ) -> Vec<Option<ShownCells>> {
        let mut kept = self.cache.0.lock();
        let known = |item: &Item| {
            let (seq, cells) = kept.cells.get(&(list, item.id))?;
            let same = cells.iter().map(|(column, _)| column).eq(columns);
            (*seq == item.seq && same).then(|| Arc::clone(cells))
        };
        items.iter().map(known).collect()
    }

    /// Keeps the cells of an item that was read with that `seq`.
    pub fn learn_cells(&self, place: Place, seq: i64, cells: &ShownCells) {
        let mut kept = self.cache.0.lock();
        if self.since >= kept.began {
            kept.put_cells(place, seq, Arc::clone(cells));
        }
    }

    /// Those that are kept, in their order; an absent one has to be read.
    pub fn titles(&self, places: impl Iterator<Item = Place>) -> Vec<Option<Title>> {
        let mut kept = self.cache.0.lock();
        places
            .map(|place| kept.titles.get(&place).cloned())
            .collect()
    }

    /// Keeps titles that were read, but what may have changed since.
    pub fn learn_titles<'t>(&self, read: impl IntoIterator<Item = (&'t Place, &'t Title)>) {
        let mut kept = self.cache.0.lock();
        if self.since < kept.whole_since {
            return;
        }
        for (place, title) in read {
            let changed = kept.changed.get(place).is_some_and(|at| *at > self.since);
            if !changed {
                kept.put_title(*place, title.clone());
            }
        }
    }
}

impl Kept {
    fn put_title(&mut self, place: Place, title: Title) {
        if title.as_ref().is_some_and(|title| title.len() > MAX_BYTES) {
            self.titles.pop(&place);
            return;
        }
        self.titles.put(place, title);
        if self.titles.len() > MOST {
            self.titles.pop_lru();
        }
    }

    fn put_cells(&mut self, place: Place, seq: i64, cells: ShownCells) {
        self.links += weight(&cells);
        if let Some((_, (_, old))) = self.cells.push(place, (seq, cells)) {
            self.links = self.links.saturating_sub(weight(&old));
        }
        while self.links > MOST_LINKS
            && let Some((_, (_, oldest))) = self.cells.pop_lru()
        {
            self.links = self.links.saturating_sub(weight(&oldest));
        }
    }
}

fn weight(cells: &ShownCells) -> usize {
    cells.iter().map(|(_, cell)| 1 + cell.first.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ids::UserId;

    fn place(nr: u128) -> Place {
        (ListId(Uuid::nil()), ItemId(Uuid::from_u128(nr)))
    }

    fn title(of: u64) -> Title {
        Some(of.to_string().into())
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Committed, and told at once or later.
        Write(u128, bool),
        Begin,
        Read(u128),
        End,
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u128..4, any::<bool>()).prop_map(|(item, told)| Step::Write(item, told)),
            Just(Step::Begin),
            (0_u128..4).prop_map(Step::Read),
            Just(Step::End),
            Just(Step::Forget),
        ]
    }

    proptest! {
        /// A reader sees the database of its beginning. Whatever it learns: once all changes are told, no
        /// title that is kept is an old one.
        #[test]
        fn no_title_is_older_than_what_was_told(steps in prop::collection::vec(step(), 0..60)) {
            let titles = Arc::new(LinkCache::default());
            let mut stored: HashMap<u128, u64> = HashMap::new();
            let mut untold: Vec<u128> = Vec::new();
            let mut readers: Vec<(Look, HashMap<u128, u64>)> = Vec::new();
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Write(item, at_once) => {
                        next += 1;
                        stored.insert(item, next);
                        untold.push(item);
                        if at_once {
                            for item in untold.drain(..) {
                                let now = stored.get(&item).copied().unwrap_or(0);
                                titles.changed(place(item), Some(title(now)));
                            }
                        }
                    }
                    Step::Begin => readers.push((titles.look(), stored.clone())),
                    Step::Read(item) => {
                        if let Some((look, seen)) = readers.last() {
                            let read = title(seen.get(&item).copied().unwrap_or(0));
                            look.learn_titles([(&place(item), &read)]);
                        }
                    }
                    Step::End => drop(readers.pop()),
                    Step::Forget => titles.all_changed(),
                }
            }
            for item in untold {
                titles.changed(place(item), None);
            }
            let all: Vec<Place> = (0..4).map(place).collect();
            for (nr, known) in (0_u128..).zip(titles.look().titles(all.into_iter())) {
                let now = title(stored.get(&nr).copied().unwrap_or(0));
                prop_assert!(known.is_none_or(|known| known == now));
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let titles = Arc::new(LinkCache::default());
        let old = titles.look();
        for nr in 0..u128::try_from(MOST).unwrap() + 5 {
            titles.changed(place(nr), None);
            titles.look().learn_titles([(&place(nr), &title(1))]);
        }
        let kept = titles.0.lock();
        assert!(kept.titles.len() <= MOST);
        assert!(kept.changed.len() <= MOST_CHANGES && kept.order.len() <= MOST_CHANGES);
        drop(kept);
        // Changes are forgotten that were before: nothing is learned from so long ago.
        old.learn_titles([(&place(0), &title(0))]);
        assert!(titles.look().titles([place(0)].into_iter()) == [None]);
        let long: Title = Some("x".repeat(MAX_BYTES + 1).into());
        titles.look().learn_titles([(&place(1), &long)]);
        assert!(titles.look().titles([place(1)].into_iter()) == [None]);
    }

    fn item(nr: u128, seq: i64) -> Item {
        let (at, by) = (DateTime::UNIX_EPOCH, UserId(Uuid::nil()));
        Item {
            id: place(nr).1,
            version: 1,
            seq,
            values: BTreeMap::new(),
            created_at: at,
            created_by: by,
            updated_at: at,
            updated_by: by,
            deleted_at: None,
        }
    }

    #[test]
    fn a_cell_is_good_for_its_items_seq_and_columns_until_the_schema_changes() {
        let cache = Arc::new(LinkCache::default());
        let [a, b] = [1, 2].map(|nr| ColumnId::nth(nr).unwrap());
        let list = place(1).0;
        let cell = ShownLinks {
            count: 1,
            first: [place(9).1].into(),
        };
        let cells: ShownCells = [(a, cell)].into();
        let old = cache.look();
        old.learn_cells(place(1), 7, &cells);
        let kept = |seq: i64, columns: &[ColumnId]| {
            let cells = cache.look().cells(list, &[item(1, seq)], columns);
            cells.into_iter().flatten().next()
        };
        assert_eq!(kept(7, &[a]), Some(Arc::clone(&cells)));
        assert_eq!(
            (kept(8, &[a]), kept(7, &[b]), kept(7, &[a, b])),
            (None, None, None)
        );
        cache.all_changed();
        // Who began under the schema before teaches nothing.
        old.learn_cells(place(1), 7, &cells);
        assert_eq!(kept(7, &[a]), None);
        for nr in 0..u128::try_from(MOST_LINKS).unwrap() {
            cache.look().learn_cells(place(nr), 7, &cells);
        }
        let kept = cache.0.lock();
        assert!(kept.links <= MOST_LINKS && kept.cells.len() <= MOST_LINKS / 2);
    }
}

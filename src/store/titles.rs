//! The titles of linked items, as they were last read: pages show thousands, and each read alone is a way
//! through an index. A cache of one workspace, shared by whoever reads with the lane, which says after each
//! commit what changed. Never asked by whoever writes.
//!
//! Whoever reads takes a [`Look`] before the transaction begins. What is then read may be older than a change
//! that the lane has told of meanwhile: such a title is shown, and not kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::domain::item::Place;

/// Titles that are kept, and changes that are remembered while somebody reads.
const MOST: usize = 20_000;
/// Longer ones are read each time.
const MAX_BYTES: usize = 500;

/// Of an item without a title, or one that is not there: none.
pub type Title = Option<Arc<str>>;

/// The titles of one workspace.
#[derive(Debug, Default)]
pub struct Titles(Mutex<Kept>);

/// Titles as of the beginning of a reading, and no change since.
#[derive(Clone, Debug)]
pub struct Look {
    titles: Arc<Titles>,
    since: u64,
}

#[derive(Debug)]
struct Kept {
    titles: LruCache<Place, Title>,
    /// Counts changes.
    clock: u64,
    /// When an item last changed; of those that are not there, before `whole_since`.
    changed: HashMap<Place, u64>,
    /// The same in their order.
    order: VecDeque<(u64, Place)>,
    whole_since: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            // One with a bound of its own takes the memory of all that it may hold at once.
            titles: LruCache::unbounded(),
            clock: 0,
            changed: HashMap::new(),
            order: VecDeque::new(),
            whole_since: 0,
        }
    }
}

impl Titles {
    /// To be taken before the transaction that reads begins.
    pub fn look(self: &Arc<Self>) -> Look {
        Look {
            since: self.0.lock().clock,
            titles: Arc::clone(self),
        }
    }

    /// An item was changed, and has this title now; `None`: it is not known.
    pub fn changed(&self, place: Place, title: Option<Title>) {
        let mut kept = self.0.lock();
        kept.clock += 1;
        let now = kept.clock;
        kept.changed.insert(place, now);
        kept.order.push_back((now, place));
        if kept.order.len() > MOST
            && let Some((at, oldest)) = kept.order.pop_front()
        {
            kept.whole_since = at;
            if kept.changed.get(&oldest) == Some(&at) {
                kept.changed.remove(&oldest);
            }
        }
        if kept.titles.contains(&place) {
            match title {
                Some(title) => kept.put(place, title),
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
            ..Kept::default()
        };
    }
}

impl Look {
    /// Those that are kept.
    pub fn known(&self, places: &[Place]) -> HashMap<Place, Title> {
        let mut kept = self.titles.0.lock();
        let known = |place: &Place| Some((*place, kept.titles.get(place)?.clone()));
        places.iter().filter_map(known).collect()
    }

    /// Keeps what was read, but what may have changed since.
    pub fn learn<'t>(&self, read: impl IntoIterator<Item = (&'t Place, &'t Title)>) {
        let mut kept = self.titles.0.lock();
        if self.since < kept.whole_since {
            return;
        }
        for (place, title) in read {
            let changed = kept.changed.get(place).is_some_and(|at| *at > self.since);
            if !changed {
                kept.put(*place, title.clone());
            }
        }
    }
}

impl Kept {
    fn put(&mut self, place: Place, title: Title) {
        if title.as_ref().is_some_and(|title| title.len() > MAX_BYTES) {
            self.titles.pop(&place);
            return;
        }
        self.titles.put(place, title);
        if self.titles.len() > MOST {
            self.titles.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ids::{ItemId, ListId};

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
            let titles = Arc::new(Titles::default());
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
                            look.learn([(&place(item), &read)]);
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
            for (at, known) in titles.look().known(&all) {
                let nr = at.1.uuid().as_u128();
                prop_assert_eq!(known, title(stored.get(&nr).copied().unwrap_or(0)));
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let titles = Arc::new(Titles::default());
        let old = titles.look();
        for nr in 0..u128::try_from(MOST).unwrap() + 5 {
            titles.changed(place(nr), None);
            titles.look().learn([(&place(nr), &title(1))]);
        }
        let kept = titles.0.lock();
        assert!(
            kept.titles.len() <= MOST && kept.changed.len() <= MOST && kept.order.len() <= MOST
        );
        drop(kept);
        // Changes are forgotten that were before: nothing is learned from so long ago.
        old.learn([(&place(0), &title(0))]);
        assert!(titles.look().known(&[place(0)]).is_empty());
        let long: Title = Some("x".repeat(MAX_BYTES + 1).into());
        titles.look().learn([(&place(1), &long)]);
        assert!(titles.look().known(&[place(1)]).is_empty());
    }
}

//! One search: items are taken in one by one, then compared by each rule.

use std::sync::Arc;

use super::candidates::Candidates;
use super::groups::{Bond, Group, join};
use super::similar::{LEAST, alike};
use super::words::{Word, Words};
use super::{Likeness, Rule, is_spelled, most_items, normal, too_many};
use crate::domain::cell::Cell;
use crate::domain::columns::Column;
use crate::error::AppError;
use crate::ids::ItemId;

/// The mean of the cells that are compared by spelling must reach it.
const ENOUGH: f64 = 0.85;

/// A search under way.
pub struct Search {
    rules: Vec<Rule>,
    columns: Vec<Read>,
    items: Vec<ItemId>,
    keys: Words,
    words: Words,
}

/// A column's cells, item by item.
struct Read {
    column: Arc<Column>,
    /// Compared by spelling by some rule.
    spelled: bool,
    /// What must be the same.
    keys: Vec<Option<Word>>,
    /// Where it is compared by spelling: the words.
    words: Vec<Box<[Word]>>,
}

impl Search {
    pub fn new(rules: Vec<Rule>) -> Search {
        let mut columns: Vec<Read> = Vec::new();
        for rule in &rules {
            for column in &rule.columns {
                let spelled = rule.likeness == Likeness::Similar && is_spelled(column);
                match columns.iter_mut().find(|read| read.column.id == column.id) {
                    Some(read) => read.spelled |= spelled,
                    None => columns.push(Read {
                        column: Arc::clone(column),
                        spelled,
                        keys: Vec::new(),
                        words: Vec::new(),
                    }),
                }
            }
        }
        Search {
            rules,
            columns,
            items: Vec::new(),
            keys: Words::default(),
            words: Words::default(),
        }
    }

    /// The columns that it reads, in the order in which it takes their cells.
    pub fn columns(&self) -> Vec<Arc<Column>> {
        let columns = self.columns.iter();
        columns.map(|read| Arc::clone(&read.column)).collect()
    }

    /// An item with its cells. 413 where there are too many.
    pub fn take(&mut self, item: ItemId, cells: &[Option<Cell>]) -> Result<(), AppError> {
        let most = most_items(&self.rules);
        if self.items.len() >= most {
            return Err(too_many(most));
        }
        self.items.push(item);
        for (read, cell) in self.columns.iter_mut().zip(cells) {
            let key = cell
                .as_ref()
                .and_then(|cell| normal::key(&read.column, cell));
            read.keys.push(key.map(|key| self.keys.take(&key)));
            if read.spelled {
                let words = cell.as_ref().map(normal::words).unwrap_or_default();
                let words = words.iter().map(|word| self.words.take(word));
                read.words.push(words.collect());
            }
        }
        Ok(())
    }

    /// The groups, the surest first.
    pub fn find(self) -> Vec<Group> {
        let mut bonds = Vec::new();
        for (nr, rule) in self.rules.iter().enumerate() {
            match rule.is_fuzzy() {
                true => self.similar(nr, rule, &mut bonds),
                false => self.same(nr, rule, &mut bonds),
            }
        }
        join(bonds, &self.items)
    }

    fn read(&self, column: &Column) -> Option<&Read> {
        self.columns.iter().find(|read| read.column.id == column.id)
    }

    /// Each item with the first that has the same cells.
    fn same(&self, nr: usize, rule: &Rule, bonds: &mut Vec<Bond>) {
        let columns: Vec<&Read> = rule.columns.iter().filter_map(|of| self.read(of)).collect();
        let mut keyed = keyed(&columns, self.items.len());
        keyed.sort_unstable();
        for same in keyed.chunk_by(|a, b| a.0 == b.0) {
            let Some(((_, first), others)) = same.split_first() else {
                continue;
            };
            bonds.extend(others.iter().map(|(_, other)| Bond {
                a: *first,
                b: *other,
                score: 1.0,
                rule: nr,
            }));
        }
    }

    fn similar(&self, nr: usize, rule: &Rule, bonds: &mut Vec<Bond>) {
        let columns = rule.columns.iter().filter_map(|of| self.read(of));
        let (spelled, exact): (Vec<&Read>, Vec<&Read>) =
            columns.partition(|read| is_spelled(&read.column));
        let all: Vec<&Read> = spelled.iter().chain(&exact).copied().collect();
        let whole = keyed(&all, self.items.len());
        let mut candidates = Candidates::default();
        // Neighbours in a crowd are those whose words are: the order of the first cells.
        let mut order = vec![0; self.items.len()];
        let mut by_words: Vec<u32> = whole.iter().map(|(_, item)| *item).collect();
        by_words.sort_by_cached_key(|item| (self.sorted_words(&spelled, *item), *item));
        for (place, item) in (0_u32..).zip(&by_words) {
            if let Some(order) = at_mut(&mut order, *item) {
                *order = place;
            }
        }
        for (keys, item) in &whole {
            match exact.is_empty() {
                true => {
                    let cells: Vec<&[Word]> =
                        spelled.iter().map(|read| read.words(*item)).collect();
                    candidates.take(*item, &cells, &self.words);
                }
                false => candidates.take_by(*item, keys.get(spelled.len()..).unwrap_or_default()),
            }
        }
        let count = f64::from(u32::try_from(spelled.len()).unwrap_or(u32::MAX));
        candidates.each(&order, |a, b| {
            let mut sum = 0.0;
            for read in &spelled {
                let alike = match read.key(a) == read.key(b) {
                    true => 1.0,
                    false => alike(read.words(a), read.words(b), &self.words),
                };
                if alike < LEAST {
                    return;
                }
                sum += alike;
            }
            let score = sum / count;
            if score >= ENOUGH {
                let (a, b) = (a.min(b), a.max(b));
                bonds.push(Bond {
                    a,
                    b,
                    score,
                    rule: nr,
                });
            }
        });
        bonds.sort_unstable_by(|a, b| {
            (a.rule, a.a, a.b)
                .cmp(&(b.rule, b.a, b.b))
                .then(b.score.total_cmp(&a.score))
        });
        bonds.dedup_by_key(|bond| (bond.rule, bond.a, bond.b));
    }

    fn sorted_words(&self, spelled: &[&Read], item: u32) -> String {
        let of_cell = |read: &&Read| read.key(item).map(|key| self.keys.text(key));
        spelled
            .iter()
            .filter_map(of_cell)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Read {
    fn key(&self, item: u32) -> Option<Word> {
        *usize::try_from(item)
            .ok()
            .and_then(|at| self.keys.get(at))?
    }

    fn words(&self, item: u32) -> &[Word] {
        let at = usize::try_from(item).ok();
        at.and_then(|at| self.words.get(at))
            .map_or(&[], |words| words)
    }
}

/// The items of which no cell is empty, by number, with what of them must be the same.
fn keyed(columns: &[&Read], items: usize) -> Vec<(Vec<Word>, u32)> {
    let keys = |item: u32| {
        columns
            .iter()
            .map(|read| read.key(item))
            .collect::<Option<Vec<_>>>()
    };
    let numbers = (0_u32..).take(items);
    numbers
        .filter_map(|item| Some((keys(item)?, item)))
        .collect()
}

fn at_mut<T>(of: &mut [T], item: u32) -> Option<&mut T> {
    usize::try_from(item).ok().and_then(|at| of.get_mut(at))
}

//! Groups of items, from what binds two each: the strongest bonds first, so that a group's score is that of
//! the weakest bond that it needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::ItemId;

/// Two items, by their numbers, that a rule takes for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bond {
    pub a: u32,
    pub b: u32,
    /// Above 0, at most 1: all cells are the same.
    pub score: f64,
    /// Which of the rules.
    pub rule: usize,
}

/// Items that are probably one.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Of the weakest bond that holds it together.
    pub score: f64,
    /// The rules that it needs, by their places.
    pub rules: BTreeSet<usize>,
    /// By id.
    pub items: Vec<ItemId>,
}

/// The groups, the surest first, of equal ones the largest, then the one with the first id.
pub(super) fn join(mut bonds: Vec<Bond>, items: &[ItemId]) -> Vec<Group> {
    bonds.sort_unstable_by(|a, b| {
        let places = (a.rule, a.a, a.b).cmp(&(b.rule, b.a, b.b));
        b.score.total_cmp(&a.score).then(places)
    });
    let mut forest = Forest::new(items.len());
    let mut needed = Vec::new();
    for bond in bonds {
        if forest.join(bond.a, bond.b) {
            needed.push(bond);
        }
    }
    let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
    for bond in needed {
        let root = forest.root(bond.a);
        let group = groups.entry(root).or_insert_with(|| Group {
            score: bond.score,
            rules: BTreeSet::new(),
            items: Vec::new(),
        });
        group.score = group.score.min(bond.score);
        group.rules.insert(bond.rule);
    }
    for (number, id) in (0_u32..).zip(items) {
        if let Some(group) = groups.get_mut(&forest.root(number)) {
            group.items.push(*id);
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        group.items.sort_unstable();
    }
    groups.sort_by(|a, b| {
        let size = b.items.len().cmp(&a.items.len());
        let first = a.items.first().cmp(&b.items.first());
        b.score.total_cmp(&a.score).then(size).then(first)
    });
    groups
}

/// Who belongs together, as a forest of numbers that each point at another of their tree.
struct Forest(Vec<u32>);

impl Forest {
    fn new(count: usize) -> Forest {
        Forest((0_u32..).take(count).collect())
    }

    fn up(&self, number: u32) -> u32 {
        let at = usize::try_from(number).ok();
        at.and_then(|at| self.0.get(at)).copied().unwrap_or(number)
    }

    fn point(&mut self, number: u32, to: u32) {
        let at = usize::try_from(number).ok();
        if let Some(up) = at.and_then(|at| self.0.get_mut(at)) {
            *up = to;
        }
    }

    fn root(&mut self, number: u32) -> u32 {
        let mut at = number;
        loop {
            let up = self.up(at);
            if up == at {
                return at;
            }
            // The way is halved as it is gone.
            self.point(at, self.up(up));
            at = up;
        }
    }

    /// Whether they were apart until now.
    fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.point(a.max(b), a.min(b));
        a != b
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn bond(a: u32, b: u32, score: f64, rule: usize) -> Bond {
        Bond { a, b, score, rule }
    }

    #[test]
    fn a_group_is_as_sure_as_the_weakest_bond_that_it_needs() {
        let items: Vec<ItemId> = (1..=6).map(|nr| ItemId(Uuid::from_u128(nr))).collect();
        let bonds = vec![
            bond(0, 1, 0.85, 1),
            bond(1, 2, 1.0, 0),
            bond(0, 2, 0.9, 1),
            bond(4, 3, 1.0, 0),
        ];
        let mut turned = bonds.clone();
        turned.reverse();
        let groups = join(bonds, &items);
        assert_eq!(groups, join(turned, &items), "in whatever order they come");
        let told: Vec<(f64, usize)> = groups.iter().map(|g| (g.score, g.items.len())).collect();
        assert_eq!(told, [(1.0, 2), (0.9, 3)]);
        assert_eq!(groups[1].rules, BTreeSet::from([0, 1]));
    }
}

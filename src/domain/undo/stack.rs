//! A person's stack of changes, read from the log backwards.

use std::collections::BTreeSet;

use super::is_undoable;

/// A change of the person's, newest first.
#[derive(Clone, Debug)]
pub struct Own {
    pub seq: i64,
    pub kind: String,
    /// The change that it undoes.
    pub undoes: Option<i64>,
    /// That one undoes another in turn: this one redoes.
    pub redoes: bool,
    /// What it undoes was the person's own.
    pub of_own: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Undo,
    Redo,
}

/// What is known of the stack while it is read.
#[derive(Debug, Default)]
pub struct Reading {
    undone: BTreeSet<i64>,
}

/// The newest change that is meant, if `own` reaches that far. `Err`: there is none, whatever comes behind.
pub fn newest(
    wanted: Wanted,
    own: &[Own],
    reading: &mut Reading,
) -> Result<Option<i64>, NothingLeft> {
    for change in own {
        let undone = reading.undone.contains(&change.seq);
        match change.undoes {
            _ if undone => {}
            Some(undoes) => {
                reading.undone.insert(undoes);
                if wanted == Wanted::Redo && !change.redoes && change.of_own {
                    return Ok(Some(change.seq));
                }
            }
            None if !is_undoable(&change.kind) => {}
            None if wanted == Wanted::Undo => return Ok(Some(change.seq)),
            // A new change: there is nothing to be redone behind it.
            None => return Err(NothingLeft),
        }
    }
    Ok(None)
}

/// There is nothing to undo, or to redo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingLeft;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An editor's two stacks, as everybody knows them.
    #[derive(Default)]
    struct Model {
        log: Vec<Own>,
        undo: Vec<i64>,
        redo: Vec<i64>,
    }

    impl Model {
        fn push(&mut self, kind: &str, undoes: Option<(i64, bool)>) -> i64 {
            let seq = i64::try_from(self.log.len()).unwrap() + 1;
            self.log.insert(
                0,
                Own {
                    seq,
                    kind: kind.to_owned(),
                    undoes: undoes.map(|(seq, _)| seq),
                    redoes: undoes.is_some_and(|(_, redoes)| redoes),
                    of_own: true,
                },
            );
            seq
        }

        fn found(&self, wanted: Wanted, page: usize) -> Option<i64> {
            let mut reading = Reading::default();
            for own in self.log.chunks(page) {
                match newest(wanted, own, &mut reading) {
                    Ok(Some(seq)) => return Some(seq),
                    Ok(None) => {}
                    Err(NothingLeft) => return None,
                }
            }
            None
        }
    }

    proptest! {
        #[test]
        fn the_log_read_backwards_is_two_stacks(
            plan in proptest::collection::vec(0u8..5, 0..60), page in 1usize..9,
        ) {
            let mut model = Model::default();
            for step in plan {
                let (undo, redo) = (model.undo.last().copied(), model.redo.last().copied());
                prop_assert_eq!(model.found(Wanted::Undo, page), undo);
                prop_assert_eq!(model.found(Wanted::Redo, page), redo);
                match (step, undo, redo) {
                    (0 | 1, _, _) => {
                        let seq = model.push("items.changed", None);
                        model.undo.push(seq);
                        model.redo.clear();
                    }
                    (2, _, _) => drop(model.push("member.removed", None)),
                    (3, Some(change), _) => {
                        let seq = model.push("items.changed", Some((change, false)));
                        model.undo.pop();
                        model.redo.push(seq);
                    }
                    (4, _, Some(undoing)) => {
                        let seq = model.push("items.changed", Some((undoing, true)));
                        model.redo.pop();
                        let of = |seq: i64| model.log.iter().find(|own| own.seq == seq);
                        let change = of(undoing).and_then(|own| own.undoes);
                        model.undo.extend(change);
                        prop_assert!(seq > undoing);
                    }
                    _ => {}
                }
            }
        }
    }
}

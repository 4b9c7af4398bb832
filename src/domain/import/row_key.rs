//! By what rows find the items that they are: the values of some columns together. Texts are the same
//! without regard to case. Which items there are is told to the index, never asked.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::domain::cell::{ColumnId, Values};
use crate::domain::unique::Key;
use crate::ids::{ItemId, ListId};

/// The values of a row in the key's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowKey([u8; 16]);

impl RowKey {
    /// None if one of them is empty: then it is nobody's.
    pub fn of(list: ListId, columns: &[ColumnId], values: &Values) -> Option<RowKey> {
        let mut digest = Sha256::new();
        for column in columns {
            digest.update(Key::of(list, *column, values.get(column)?).hash);
        }
        digest.finalize().first_chunk().copied().map(RowKey)
    }
}

/// Which items may have which key, as of a position of the log; some 60 bytes an item. An item that had
/// a key once may still be named under it: look at the item.
#[derive(Debug, Default)]
pub struct KeyIndex {
    /// Everything up to here is told.
    pub seq: i64,
    holders: HashMap<RowKey, Holders>,
}

#[derive(Debug)]
enum Holders {
    One([ItemId; 1]),
    Several(Vec<ItemId>),
}

impl KeyIndex {
    /// Nothing is told yet, as of a position of the log.
    pub fn at(seq: i64) -> KeyIndex {
        KeyIndex {
            seq,
            ..KeyIndex::default()
        }
    }

    /// This item has that key.
    pub fn add(&mut self, key: RowKey, item: ItemId) {
        let holders = self.holders.entry(key).or_insert(Holders::One([item]));
        match holders {
            Holders::One([holder]) if *holder == item => {}
            Holders::One([holder]) => *holders = Holders::Several(vec![*holder, item]),
            Holders::Several(several) if several.contains(&item) => {}
            Holders::Several(several) => several.push(item),
        }
    }

    /// The items that may have it.
    pub fn candidates(&self, key: &RowKey) -> &[ItemId] {
        match self.holders.get(key) {
            None => &[],
            Some(Holders::One(one)) => one,
            Some(Holders::Several(several)) => several,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::cell::Cell;

    #[test]
    fn a_key_is_all_of_its_values_without_regard_to_case() {
        let list = ListId(Uuid::nil());
        let [a, b] = [0, 1].map(|nr| ColumnId::nth(nr).unwrap());
        let key = |one: &str, other: &str| {
            let cells = [(a, one), (b, other)]
                .into_iter()
                .filter(|(_, text)| !text.is_empty());
            let values = cells.map(|(column, text)| (column, Cell::Text(text.to_owned())));
            RowKey::of(list, &[a, b], &values.collect())
        };
        assert_eq!(key("Ann", "Rye"), key("ANN", "rye"));
        assert_ne!(key("Ann", "Rye"), key("Rye", "Ann"));
        assert_eq!(key("Ann", ""), None);
    }

    #[test]
    fn who_shares_a_key_is_named_once() {
        let key = RowKey([0; 16]);
        let [one, other] = [1, 2].map(|nr| ItemId(Uuid::from_u128(nr)));
        let mut index = KeyIndex::default();
        assert!(index.candidates(&key).is_empty());
        for item in [one, one, other, one, other] {
            index.add(key, item);
        }
        assert_eq!(index.candidates(&key), [one, other]);
    }
}

//! What the columns of a file are called: by their names, which people know; by their keys where a name
//! would lead back to another column.

use std::collections::HashMap;

use crate::domain::columns::{Column, ColumnSet};
use crate::domain::import::mapping::folded;

/// A title for each of the columns of a list, so that an import of the file into the list maps each to
/// where it came from.
pub fn titles<'c>(columns: &'c ColumnSet, shown: &[&'c Column]) -> Vec<&'c str> {
    let mut holders: HashMap<String, u32> = HashMap::new();
    for column in columns.iter() {
        let (key, name) = (folded(&column.key), folded(&column.name));
        let differs = key != name;
        *holders.entry(key).or_default() += 1;
        if differs {
            *holders.entry(name).or_default() += 1;
        }
    }
    let alone = |name: &str| holders.get(&folded(name)) == Some(&1) && !name.trim().is_empty();
    let title = |column: &&'c Column| match alone(&column.name) {
        true => column.name.as_str(),
        false => column.key.as_str(),
    };
    shown.iter().map(title).collect()
}

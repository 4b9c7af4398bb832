//! Which items of a list are probably one person or one thing: rules over columns, how cells agree, and the
//! groups that come of it. Pure; a search takes the items one by one and says at the end what it found.
//!
//! The same items in the same order give the same groups, whatever the machine. What a search holds is
//! bounded: [`MAX_ITEMS`] items, cells of at most [`MAX_CELL`] characters, words and values once each.

mod candidates;
mod groups;
mod normal;
mod search;
mod similar;
mod words;

use std::sync::Arc;

pub use groups::{Bond, Group};
pub use search::Search;

use super::columns::{Column, ColumnType};
use super::schema::List;
use crate::error::AppError;

/// Rules of one search.
pub const MAX_RULES: usize = 10;
/// Columns of one rule.
pub const MAX_COLUMNS: usize = 5;
/// Living items of a list that is searched; of one that is searched by likeness, [`MAX_COMPARED`].
pub const MAX_ITEMS: usize = 1_000_000;
pub const MAX_COMPARED: usize = 250_000;
/// Cells that take more characters, as they are stored, are not read: nobody's name is that long.
pub const MAX_CELL: i32 = 2_000;

/// When two items are taken for one: all these columns agree, and none of them is empty.
#[derive(Clone, Debug)]
pub struct Rule {
    pub columns: Vec<Arc<Column>>,
    pub likeness: Likeness,
}

/// How cells agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Without regard to case, accents, punctuation and the order of words.
    Same,
    /// Texts and addresses may differ by spelling; all else is the same.
    Similar,
}

impl Rule {
    /// Whether it compares spellings.
    fn is_fuzzy(&self) -> bool {
        self.likeness == Likeness::Similar && self.columns.iter().any(|column| is_spelled(column))
    }
}

/// How many items may be searched by these rules.
pub fn most_items(rules: &[Rule]) -> usize {
    match rules.iter().any(Rule::is_fuzzy) {
        true => MAX_COMPARED,
        false => MAX_ITEMS,
    }
}

/// 413.
pub fn too_many(most: usize) -> AppError {
    AppError::too_large(format!(
        "By these rules at most {most} items of a list are compared"
    ))
}

/// Whether cells of the column tell items apart.
pub fn is_comparable(column: &Column) -> bool {
    use ColumnType::{
        Address, Currency, Date, DateTime, Email, LongText, Number, Phone, SingleSelect, Text, Url,
    };
    let types = [
        Text,
        LongText,
        Email,
        Phone,
        Url,
        Address,
        Number,
        Currency,
        Date,
        DateTime,
        SingleSelect,
    ];
    types.contains(&column.ty)
}

/// The rules where none are sent: one for each e-mail column, and each phone column with the title.
pub fn usual_rules(list: &List) -> Vec<Rule> {
    let shared = |column: &Column| Arc::new(column.clone());
    let mut rules = Vec::new();
    for column in list.columns.iter() {
        let columns = match (column.ty, list.title_column()) {
            (ColumnType::Email, _) => vec![shared(column)],
            (ColumnType::Phone, Some(title)) => vec![shared(column), shared(title)],
            _ => continue,
        };
        rules.push(Rule {
            columns,
            likeness: Likeness::Same,
        });
    }
    rules.truncate(MAX_RULES);
    rules
}

/// Whether a column's cells are compared by their spelling where that is asked for.
fn is_spelled(column: &Column) -> bool {
    use ColumnType::{Address, LongText, Text};
    [Text, LongText, Address].contains(&column.ty)
}

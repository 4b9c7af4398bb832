//! Links between items: what a relation is and which ends of it a list holds (here), what is known of
//! links and what a group has changed (`book`), which of them commands will touch (`wanted`), and
//! whether an edit may be and what follows from it at both ends (`edits`). Pure: whatever must be
//! known is read beforehand.
//!
//! # A relation
//! is made with a link column and bears its list's and its id's name. Each link of it is one row with
//! two ends, `From` (the list of that column) and `To`; an inverse column shows the same rows from the
//! other end. A row has a position for either end, which orders the cell there. New ones stand last:
//! positions follow from the log's `seq`.
//!
//! # The trash
//! The links of an item in the trash are kept and not live: no cell shows them, until both ends are out
//! of the trash again. One whose place was taken meanwhile is dropped then.

mod book;
mod edits;
mod wanted;

pub use book::{Book, Diff, Drafted, PlacedRow, Row};
pub use edits::{CellEdit, Edits, How};
pub use wanted::{Asked, CellAsk, Wanted, linked_ids};

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::ColumnId;
use super::columns::OnDelete;
use super::schema::List;
use crate::ids::{ItemId, ListId};

/// Links of one cell at most.
pub const MAX_LINKS: usize = 100_000;

/// A relation, by the column with which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relation {
    pub list: ListId,
    pub column: ColumnId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    From,
    To,
}

/// An item's cell at one end of a relation, shown by a column or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellAt {
    pub relation: Relation,
    pub side: Side,
    pub item: ItemId,
}

/// One link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    pub relation: Relation,
    pub from: ItemId,
    pub to: ItemId,
}

/// What a list holds of a relation: one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub relation: Relation,
    pub side: Side,
    pub list: ListId,
    /// The column that shows it here; none where the relation is seen from the other end alone.
    pub column: Option<ColumnId>,
    pub other_list: ListId,
    pub other_column: Option<ColumnId>,
    /// An item here has one link at most.
    pub single: bool,
    /// An item there has one link at most.
    pub other_single: bool,
    /// An item here can't go into the trash while it is linked.
    pub held: bool,
    /// The column of the texts by which the items there are called.
    pub title: Option<ColumnId>,
}

impl End {
    pub fn cell(&self, item: ItemId) -> CellAt {
        CellAt {
            relation: self.relation,
            side: self.side,
            item,
        }
    }

    /// The cell of an item at the other end.
    pub fn other_cell(&self, item: ItemId) -> CellAt {
        let side = match self.side {
            Side::From => Side::To,
            Side::To => Side::From,
        };
        CellAt {
            side,
            ..self.cell(item)
        }
    }

    pub fn pair(&self, here: ItemId, there: ItemId) -> Pair {
        self.cell(here).pair(there)
    }
}

impl CellAt {
    /// The link of this cell to an item at the other end.
    pub fn pair(&self, other: ItemId) -> Pair {
        let (from, to) = match self.side {
            Side::From => (self.item, other),
            Side::To => (other, self.item),
        };
        Pair {
            relation: self.relation,
            from,
            to,
        }
    }
}

impl Pair {
    pub fn cell(&self, side: Side) -> CellAt {
        CellAt {
            relation: self.relation,
            side,
            item: match side {
                Side::From => self.from,
                Side::To => self.to,
            },
        }
    }

    /// The item at the other end of `side`.
    pub fn other(&self, side: Side) -> ItemId {
        match side {
            Side::From => self.to,
            Side::To => self.from,
        }
    }
}

/// The ends that each list holds. A relation of which a list is in the trash rests: nobody sees it.
pub fn ends_of(lists: &BTreeMap<ListId, Arc<List>>) -> BTreeMap<ListId, Vec<End>> {
    let mut ends: BTreeMap<ListId, Vec<End>> = BTreeMap::new();
    let living = |id: &ListId| lists.get(id).filter(|list| list.deleted_at.is_none());
    for list in lists.values().filter(|list| list.deleted_at.is_none()) {
        for column in list.columns.iter() {
            let Some(link) = column.options.link.as_ref().filter(|link| !link.backward) else {
                continue;
            };
            let Some(target) = living(&link.list) else {
                continue;
            };
            let inverse = link.inverse.and_then(|id| target.columns.by_id(&id));
            let relation = Relation {
                list: list.id,
                column: column.id,
            };
            let restricts = |options: Option<OnDelete>| options == Some(OnDelete::Restrict);
            let backward = inverse.and_then(|inverse| inverse.options.link.as_ref());
            let from = End {
                relation,
                side: Side::From,
                list: list.id,
                column: Some(column.id),
                other_list: target.id,
                other_column: inverse.map(|inverse| inverse.id),
                single: !column.options.multiple,
                other_single: inverse.is_some_and(|inverse| !inverse.options.multiple),
                held: restricts(backward.map(|back| back.on_delete)),
                title: target.title_column().map(|column| column.id),
            };
            let to = End {
                side: Side::To,
                list: target.id,
                column: from.other_column,
                other_list: list.id,
                other_column: from.column,
                single: from.other_single,
                other_single: from.single,
                held: restricts(Some(link.on_delete)),
                title: list.title_column().map(|column| column.id),
                ..from
            };
            ends.entry(list.id).or_default().push(from);
            ends.entry(target.id).or_default().push(to);
        }
    }
    ends
}

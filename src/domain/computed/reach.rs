//! What commands may reach: which cells of links and which items must be known so that all that follows
//! from them can be computed. Asks for one generation of cells after the other, each in one question
//! however many items there are. Asking for too much costs time; what is not asked for is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::{MAX_REACHED, MAX_ROLLED, NodeId};
use crate::domain::cell::ColumnId;
use crate::domain::columns::{Column, ColumnType};
use crate::domain::edit::{Act, Compensation, ItemCommand, RawValues, Relink};
use crate::domain::item::Place;
use crate::domain::links::{Book, CellAsk, CellAt, End, Pair, linked_ids};
use crate::domain::schema::{List, Schema};
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

/// What is still to be asked for a group of commands.
pub struct Reach<'s> {
    schema: &'s Schema,
    /// Cells that may have to be computed: by node, in order.
    dirty: BTreeMap<NodeId, BTreeSet<ItemId>>,
    reached: usize,
    /// Cells whose members' cells may follow, of the node at the other end or of all of its column.
    turns: Vec<Turn>,
    /// Cells over which is computed, with their ends.
    rolled: Vec<(CellAt, End)>,
    places: BTreeSet<Place>,
}

/// Who is linked at a cell is to be computed anew.
struct Turn {
    at: CellAt,
    /// The node there; none: whatever reads over the column at the other end.
    node: Option<NodeId>,
    end: End,
}

impl<'s> Reach<'s> {
    /// What these commands may change themselves.
    pub fn of<'c>(schema: &'s Schema, commands: impl Iterator<Item = &'c ItemCommand>) -> Self {
        let mut reach = Reach {
            schema,
            dirty: BTreeMap::new(),
            reached: 0,
            turns: Vec::new(),
            rolled: Vec::new(),
            places: BTreeSet::new(),
        };
        for command in commands {
            let list = schema.live(command.list());
            if let Some(list) = list.filter(|list| schema.graph().concerns(list.id)) {
                reach.command(list, command);
            }
        }
        reach
    }

    /// The next cells to be read into the book; none when all is known. What was read of those before
    /// is in the book.
    ///
    /// Errors: 422 `too_many_dependents`.
    pub fn next(&mut self, book: &Book) -> Result<Vec<CellAsk>, AppError> {
        loop {
            let asks = self.unread(book);
            if !asks.is_empty() {
                return Ok(asks);
            }
            self.turn(book)?;
            let Some((id, items)) = self.dirty.pop_first() else {
                return Ok(Vec::new());
            };
            self.follow(id, &items);
        }
    }

    /// The items that must be known.
    pub fn places(self) -> impl Iterator<Item = Place> {
        self.places.into_iter()
    }

    fn unread(&self, book: &Book) -> Vec<CellAsk> {
        let turns = self.turns.iter().map(|turn| (turn.at, turn.end));
        let mut asked = BTreeMap::new();
        for (at, end) in turns.chain(self.rolled.iter().copied()) {
            if !book.is_known(&at, MAX_ROLLED) {
                asked.insert(at, end);
            }
        }
        let ask = |(at, end)| CellAsk {
            at,
            end,
            most: Some(MAX_ROLLED + 1),
            titled: false,
        };
        asked.into_iter().map(ask).collect()
    }

    /// Takes up what has been read.
    fn turn(&mut self, book: &Book) -> Result<(), AppError> {
        for (at, end) in std::mem::take(&mut self.rolled) {
            if book.count(&at) <= MAX_ROLLED {
                let members = book.members(&at).chain(book.resting(&at));
                self.places
                    .extend(members.map(|member| (end.other_list, member)));
            }
        }
        for turn in std::mem::take(&mut self.turns) {
            if book.count(&turn.at) > MAX_ROLLED {
                return Err(too_many());
            }
            let members = book.members(&turn.at).chain(book.resting(&turn.at));
            let members: Vec<ItemId> = members.collect();
            match turn.node {
                Some(node) => members.iter().for_each(|item| self.mark(node, *item)),
                None => members
                    .iter()
                    .for_each(|item| self.relinked(&turn.end, *item)),
            }
            if self.reached > MAX_REACHED {
                return Err(too_many());
            }
        }
        Ok(())
    }

    /// What computing a node at these items needs, and what follows from it.
    fn follow(&mut self, id: NodeId, items: &BTreeSet<ItemId>) {
        let graph = self.schema.graph();
        let Some(node) = graph.node(id) else { return };
        self.places
            .extend(items.iter().map(|item| (node.list, *item)));
        if let Some(end) = node.end() {
            let cells = items.iter().map(|item| (end.cell(*item), *end));
            self.rolled.extend(cells);
        }
        for item in items {
            self.written(node.list, *item, node.column);
        }
    }

    /// A cell that is not of links may change.
    fn written(&mut self, list: ListId, item: ItemId, column: ColumnId) {
        let graph = self.schema.graph();
        for node in graph.beside(list, column) {
            self.mark(*node, item);
        }
        for (id, _, end) in graph.across(list, column) {
            let there = other_end(self.schema, end);
            self.turns.extend(there.map(|there| Turn {
                at: there.cell(item),
                node: Some(id),
                end: there,
            }));
        }
    }

    /// The links of an item that this end shows may change.
    fn relinked(&mut self, end: &End, item: ItemId) {
        let graph = self.schema.graph();
        let column = end.column.map(|column| graph.beside(end.list, column));
        for node in column.into_iter().flatten() {
            self.mark(*node, item);
        }
    }

    /// Links between an item and others, of which `ids` may be new.
    fn links(&mut self, end: &End, item: ItemId, ids: &[ItemId]) {
        self.relinked(end, item);
        let Some(there) = other_end(self.schema, end) else {
            return;
        };
        for id in ids {
            self.relinked(&there, *id);
        }
        self.all_linked(end, &there, item);
    }

    /// Whoever is linked with the item, if anything is computed there from that.
    fn all_linked(&mut self, end: &End, there: &End, item: ItemId) {
        let graph = self.schema.graph();
        let read = |column| !graph.beside(there.list, column).is_empty();
        if there.column.is_some_and(read) {
            self.turns.push(Turn {
                at: end.cell(item),
                node: None,
                end: *there,
            });
        }
    }

    fn mark(&mut self, node: NodeId, item: ItemId) {
        if self.dirty.entry(node).or_default().insert(item) {
            self.reached += 1;
        }
    }

    fn command(&mut self, list: &List, command: &ItemCommand) {
        match command {
            ItemCommand::Create { items, .. } => {
                for item in items {
                    self.whole(list, item.id);
                    self.values(list, item.id, &item.values);
                }
            }
            ItemCommand::Update { items, .. } => {
                for item in items {
                    self.values(list, item.id, &item.values);
                }
            }
            ItemCommand::Delete { ids, .. } => ids.iter().for_each(|id| self.gone(list, *id)),
            ItemCommand::Restore { ids, .. } => {
                for id in ids {
                    self.whole(list, *id);
                    self.gone(list, *id);
                }
            }
            ItemCommand::Links {
                item, column, ids, ..
            } => {
                let column = list.columns.by_key(column);
                let end = column.and_then(|column| self.schema.end_of(list.id, column.id));
                if let Some(end) = end {
                    self.links(end, *item, ids);
                }
            }
            ItemCommand::Merge { what, .. } => {
                self.values(list, what.keep, &what.values);
                for column in list.columns.iter() {
                    self.written(list.id, what.keep, column.id);
                }
                for end in self.schema.ends(list.id) {
                    self.links(end, what.keep, &[]);
                }
                what.merge.iter().for_each(|id| self.gone(list, *id));
            }
            ItemCommand::Compensate(what) => self.compensation(list, what),
        }
    }

    fn compensation(&mut self, list: &List, what: &Compensation) {
        for step in &what.steps {
            for (column, _) in &step.cells {
                self.written(list.id, step.item, *column);
            }
            if step.act == Act::Restore {
                self.whole(list, step.item);
            }
            if step.act != Act::Write {
                self.gone(list, step.item);
            }
        }
        for Relink {
            list,
            item,
            column,
            remove,
            add,
            order,
        } in &what.links
        {
            if let Some(end) = self.schema.end_of(*list, *column) {
                let order = order.iter().flatten();
                let ids: Vec<ItemId> = remove.iter().chain(add).chain(order).copied().collect();
                self.links(end, *item, &ids);
            }
        }
        for pair in &what.revived {
            self.revived(list, pair);
        }
    }

    fn revived(&mut self, list: &List, pair: &Pair) {
        let ends = self.schema.ends(list.id).iter();
        for end in ends.filter(|end| end.relation == pair.relation) {
            let item = pair.cell(end.side).item;
            self.links(end, item, &[pair.other(end.side)]);
        }
    }

    /// All that is computed of an item.
    fn whole(&mut self, list: &List, item: ItemId) {
        for node in self.schema.graph().of_list(list.id) {
            self.mark(*node, item);
        }
    }

    /// An item goes into the trash or comes out of it: its links with it.
    fn gone(&mut self, list: &List, item: ItemId) {
        for end in self.schema.ends(list.id) {
            if let Some(there) = other_end(self.schema, end) {
                self.all_linked(end, &there, item);
            }
        }
    }

    fn values(&mut self, list: &List, item: ItemId, values: &RawValues) {
        for (key, raw) in &values.0 {
            match list.columns.by_key(key) {
                Some(column @ Column { ty, .. }) if *ty == ColumnType::Link => {
                    if let Some(end) = self.schema.end_of(list.id, column.id) {
                        self.links(end, item, &linked_ids(column, raw.get()));
                    }
                }
                Some(column) => self.written(list.id, item, column.id),
                None => {}
            }
        }
    }
}

/// The same relation as its other list sees it.
fn other_end(schema: &Schema, end: &End) -> Option<End> {
    let mut ends = schema.ends(end.other_list).iter();
    let there = ends.find(|there| there.relation == end.relation && there.side != end.side);
    there.copied()
}

fn too_many() -> AppError {
    let message = format!(
        "more than {MAX_ROLLED} items, or {MAX_REACHED} cells, would be computed anew from this"
    );
    AppError::field("/items", "too_many_dependents", message)
}

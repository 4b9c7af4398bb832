//! The computed columns of a workspace in the order of what they need, and what a cell of each comes to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::MAX_ROLLED;
use super::bind::{Bound, How, What, resolve};
use super::value::{cell_of, value_of};
use chrono::{DateTime, Utc};

use crate::domain::cell::{Cell, ColumnId, Values};
use crate::domain::columns::{Choices, Column, ColumnType, MAX_TEXT, Rule};
use crate::domain::formula::{Fault, Value};
use crate::domain::item::{Item, Place};
use crate::domain::links::{CellAt, End};
use crate::domain::schema::{List, Schema};
use crate::error::AppError;
use crate::ids::{ItemId, ListId, UserId};

/// A column of the workspace.
pub type ColumnAt = (ListId, ColumnId);

/// A node's place in the order.
pub type NodeId = usize;

/// The computed columns of a workspace, each behind all that it needs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    of_list: HashMap<ListId, Vec<NodeId>>,
    /// Who reads a column of the same item, its links among them.
    beside: HashMap<ColumnAt, Vec<NodeId>>,
    /// Who reads a column of linked items.
    across: HashMap<ColumnAt, Vec<NodeId>>,
}

/// A computed column.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub list: ListId,
    pub column: ColumnId,
    pub settled: bool,
    how: How,
    /// How the columns stand that it reads.
    sources: Vec<Source>,
}

/// As much of a column as a result depends on.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    at: ColumnAt,
    ty: ColumnType,
    choices: Choices,
}

/// What is known of items and links while cells are computed.
pub trait Known {
    /// An item as it stands; none where it was not read.
    fn item(&self, place: Place) -> Option<&Item>;
    /// How many links a cell has, and which, in order, where there are at most [`MAX_ROLLED`].
    fn linked(&self, at: &CellAt) -> Result<(usize, Vec<ItemId>), AppError>;
}

impl Graph {
    /// The graph of these lists, in which `ends` are those of their links. A rule that can't be bound any
    /// more stands in it as a fault, and so does one that needs itself.
    pub fn new(lists: &BTreeMap<ListId, Arc<List>>, ends: &BTreeMap<ListId, Vec<End>>) -> Graph {
        let bound = bind_all(lists, ends);
        let (order, circular) = in_order(&bound);
        let mut graph = Graph::default();
        for at in order.into_iter().chain(circular.iter().copied()) {
            let Some(((list, column), how, settled)) = bound.get(at).cloned() else {
                continue;
            };
            let how = match circular.contains(&at) {
                true => How::Faulty(Fault::WrongType),
                false => how,
            };
            let sources = reads(list, &how);
            let source = |at: &ColumnAt| {
                let column = lists.get(&at.0)?.columns.by_id(&at.1)?;
                Some(Source {
                    at: *at,
                    ty: column.ty,
                    choices: column.options.choices.clone(),
                })
            };
            let (beside, across) = sources;
            let id = graph.nodes.len();
            for source in &beside {
                graph.beside.entry(*source).or_default().push(id);
            }
            for source in &across {
                graph.across.entry(*source).or_default().push(id);
            }
            graph.of_list.entry(list).or_default().push(id);
            graph.nodes.push(Node {
                list,
                column,
                settled,
                sources: beside.iter().chain(&across).filter_map(source).collect(),
                how,
            });
        }
        graph
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes of a list, in order.
    pub fn of_list(&self, list: ListId) -> &[NodeId] {
        self.of_list.get(&list).map_or(&[], Vec::as_slice)
    }

    /// The nodes that read a column of their own item.
    pub fn beside(&self, list: ListId, column: ColumnId) -> &[NodeId] {
        let readers = self.beside.get(&(list, column));
        readers.map_or(&[], Vec::as_slice)
    }

    /// The nodes that read a column of linked items, with the end of the links on their side.
    pub fn across(
        &self,
        list: ListId,
        column: ColumnId,
    ) -> impl Iterator<Item = (NodeId, &Node, &End)> {
        let readers = self.across.get(&(list, column));
        let readers = readers.into_iter().flatten();
        readers.filter_map(|id| {
            let node = self.nodes.get(*id)?;
            Some((*id, node, node.end()?))
        })
    }

    /// Whether anything is computed from a list's items or their links.
    pub fn concerns(&self, list: ListId) -> bool {
        !self.of_list(list).is_empty() || self.across.keys().any(|(of, _)| *of == list) || {
            let ends = self.nodes.iter().filter_map(Node::end);
            let mut others = ends.map(|end| end.other_list);
            others.any(|other| other == list)
        }
    }

    /// The first node whose cells have not all been computed.
    pub fn unsettled(&self) -> Option<(NodeId, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .find(|(_, node)| !node.settled)
    }

    /// A column that is nothing but a fault, and was none under `before`.
    pub fn spoiled_since(&self, before: &Graph) -> Option<ColumnAt> {
        let is_faulty = |node: &&Node| matches!(node.how, How::Faulty(_));
        let was_good = |node: &&Node| {
            let mut was = before.nodes.iter();
            was.any(|was| (was.list, was.column) == (node.list, node.column) && !is_faulty(&was))
        };
        let spoiled = self.nodes.iter().filter(is_faulty).find(was_good);
        spoiled.map(|node| (node.list, node.column))
    }

    /// The nodes whose cells may not be what they were under `before`, and those that follow from them.
    pub fn changed_since(&self, before: &Graph) -> BTreeSet<ColumnAt> {
        let mut changed = BTreeSet::new();
        for node in &self.nodes {
            let was = before
                .nodes
                .iter()
                .find(|was| (was.list, was.column) == (node.list, node.column));
            let same = was.is_some_and(|was| was.how == node.how && was.sources == node.sources);
            let follows = node
                .sources
                .iter()
                .any(|source| changed.contains(&source.at));
            if !same || follows {
                changed.insert((node.list, node.column));
            }
        }
        changed
    }
}

impl Node {
    /// The end of the links over which it reads.
    pub fn end(&self) -> Option<&End> {
        match &self.how {
            How::Across(end, _) => Some(end),
            _ => None,
        }
    }

    /// What its cell of an item comes to. `lists` are those of the schema.
    ///
    /// Errors: `internal` where something was not read that it needs.
    pub fn compute(
        &self,
        lists: &BTreeMap<ListId, Arc<List>>,
        item: &Item,
        known: &dyn Known,
    ) -> Result<Option<Cell>, AppError> {
        let result = match &self.how {
            How::Faulty(fault) => Err(*fault),
            How::Resting(cell) => Ok(cell.clone()),
            How::Beside(formula) => {
                let Some(list) = lists.get(&self.list) else {
                    return Ok(None);
                };
                let read = |id: ColumnId| {
                    let column = list.columns.by_id(&id).ok_or(Fault::MissingColumn)?;
                    value_in(column, item)
                };
                formula.value(&read).map(|value| value.and_then(cell_of))
            }
            How::Across(end, what) => {
                let (count, ids) = known.linked(&end.cell(item.id))?;
                match what {
                    What::Count => Ok(Some(Cell::Number(count.into()))),
                    _ if count > MAX_ROLLED => Err(Fault::TooManyLinks),
                    What::Values(column, several) => {
                        self.looked_up(lists, end, *column, *several, &ids, known)?
                    }
                    What::Folded(column, op) => {
                        match self.values(lists, end, *column, &ids, known)? {
                            Ok(values) => op.fold(values).map(|value| value.and_then(cell_of)),
                            Err(fault) => Err(fault),
                        }
                    }
                }
            }
        };
        Ok(result.unwrap_or_else(|fault| Some(Cell::Fault(fault))))
    }

    fn looked_up(
        &self,
        lists: &BTreeMap<ListId, Arc<List>>,
        end: &End,
        column: ColumnId,
        several: bool,
        ids: &[ItemId],
        known: &dyn Known,
    ) -> Result<Result<Option<Cell>, Fault>, AppError> {
        if several {
            let values = self.values(lists, end, column, ids, known)?;
            return Ok(values.and_then(|values| {
                let text = |value: &Value| match value {
                    Value::Text(text) => text.len(),
                    _ => 0,
                };
                match values.iter().map(text).sum::<usize>() {
                    0..=MAX_TEXT => Ok(cell_of(Value::List(values))),
                    _ => Err(Fault::TooLong),
                }
            }));
        }
        let source = lists.get(&end.other_list);
        let source = source.and_then(|list| list.columns.by_id(&column));
        let (Some(source), Some(id)) = (source, ids.first()) else {
            return Ok(Ok(None));
        };
        let place = (end.other_list, *id);
        let item = known.item(place).ok_or_else(unread)?;
        if source.ty.is_select() {
            return Ok(value_in(source, item).map(|value| value.and_then(cell_of)));
        }
        Ok(match item.values.get(&source.id) {
            Some(Cell::Fault(fault)) => Err(*fault),
            _ => Ok(item.cell(source).map(std::borrow::Cow::into_owned)),
        })
    }

    /// What stands in a column of linked items: none of the empty ones, and all members of lists.
    fn values(
        &self,
        lists: &BTreeMap<ListId, Arc<List>>,
        end: &End,
        column: ColumnId,
        ids: &[ItemId],
        known: &dyn Known,
    ) -> Result<Result<Vec<Value>, Fault>, AppError> {
        let source = lists.get(&end.other_list);
        let Some(source) = source.and_then(|list| list.columns.by_id(&column)) else {
            return Ok(Err(Fault::MissingColumn));
        };
        let mut values = Vec::with_capacity(ids.len());
        for id in ids {
            let item = known.item((end.other_list, *id)).ok_or_else(unread)?;
            match value_in(source, item) {
                Ok(Some(Value::List(members))) => values.extend(members),
                Ok(value) => values.extend(value),
                Err(fault) => return Ok(Err(fault)),
            }
            if values.len() > MAX_ROLLED {
                return Ok(Err(Fault::TooManyLinks));
            }
        }
        Ok(Ok(values))
    }
}

/// Computes what is computed of new items, which are linked with nothing. `made`: when and by whom.
pub fn compute_new(
    schema: &Schema,
    list: ListId,
    rows: &mut [(ItemId, Values)],
    (at, by): (DateTime<Utc>, UserId),
) {
    for (id, values) in rows {
        let mut item = Item {
            id: *id,
            version: 1,
            seq: 0,
            values: std::mem::take(values),
            created_at: at,
            created_by: by,
            updated_at: at,
            updated_by: by,
            deleted_at: None,
        };
        let graph = schema.graph();
        for node in graph.of_list(list).iter().filter_map(|id| graph.node(*id)) {
            if let Ok(Some(cell)) = node.compute(&schema.lists, &item, &Unlinked) {
                item.values.insert(node.column, cell);
            }
        }
        *values = item.values;
    }
}

struct Unlinked;

impl Known for Unlinked {
    fn item(&self, _: Place) -> Option<&Item> {
        None
    }

    fn linked(&self, _: &CellAt) -> Result<(usize, Vec<ItemId>), AppError> {
        Ok((0, Vec::new()))
    }
}

/// What a formula, or a rollup, reads in a column of an item.
fn value_in(column: &Column, item: &Item) -> Result<Option<Value>, Fault> {
    if let Some(Cell::Fault(fault)) = item.values.get(&column.id) {
        return Err(*fault);
    }
    match item.cell(column) {
        Some(cell) => value_of(column, &cell),
        None => Ok(None),
    }
}

pub(super) fn unread() -> AppError {
    AppError::internal(std::io::Error::other(
        "what a computed cell needs was not read",
    ))
}

type Bindings = Vec<(ColumnAt, How, bool)>;

fn bind_all(lists: &BTreeMap<ListId, Arc<List>>, ends: &BTreeMap<ListId, Vec<End>>) -> Bindings {
    let mut bound = Vec::new();
    for list in lists.values().filter(|list| list.deleted_at.is_none()) {
        let ends = ends.get(&list.id).map_or(&[] as &[End], Vec::as_slice);
        for column in list.columns.iter() {
            let Some(computed) = &column.options.computed else {
                continue;
            };
            let how = match resolve(lists, ends, list, &computed.rule) {
                Ok(Bound { how, ty, of }) if (ty, of) == (column.ty, computed.of) => how,
                Ok(_) => How::Faulty(Fault::WrongType),
                Err(missing) => match missing.fault() {
                    Some(fault) => How::Faulty(fault),
                    None => How::Resting(resting(&computed.rule)),
                },
            };
            bound.push(((list.id, column.id), how, computed.settled));
        }
    }
    bound
}

/// What a rule comes to while nothing of the other list is seen.
fn resting(rule: &Rule) -> Option<Cell> {
    match rule {
        Rule::Count { .. } => Some(Cell::Number(0.into())),
        Rule::Rollup { op, .. } => op.fold(Vec::new()).ok().flatten().and_then(cell_of),
        Rule::Lookup { .. } | Rule::Formula { .. } => None,
    }
}

/// The columns that a node reads: of its own item, and of linked ones.
fn reads(list: ListId, how: &How) -> (Vec<ColumnAt>, Vec<ColumnAt>) {
    match how {
        How::Beside(formula) => {
            let inputs = formula.inputs().iter();
            (inputs.map(|id| (list, *id)).collect(), Vec::new())
        }
        How::Across(end, what) => {
            let links = end.column.map(|column| (list, column));
            let source = match what {
                What::Count => None,
                What::Values(column, _) | What::Folded(column, _) => Some(*column),
            };
            let source = source.map(|column| (end.other_list, column));
            (links.into_iter().collect(), source.into_iter().collect())
        }
        How::Resting(_) | How::Faulty(_) => (Vec::new(), Vec::new()),
    }
}

/// An order in which each comes behind all that it needs (Kahn 1962), and those for which there is none.
fn in_order(bound: &Bindings) -> (Vec<usize>, BTreeSet<usize>) {
    let at: HashMap<ColumnAt, usize> = bound
        .iter()
        .enumerate()
        .map(|(index, (place, ..))| (*place, index))
        .collect();
    let needs = needs(bound, &at);
    let mut left: BTreeSet<usize> = (0..bound.len()).collect();
    let mut order = Vec::with_capacity(bound.len());
    loop {
        let free = |index: &usize| {
            let mut needed = needs.get(*index).into_iter().flatten();
            needed.all(|need| !left.contains(need))
        };
        let next: Vec<usize> = left.iter().copied().filter(free).collect();
        if next.is_empty() {
            return (order, left);
        }
        for index in next {
            left.remove(&index);
            order.push(index);
        }
    }
}

fn needs(bound: &Bindings, at: &HashMap<ColumnAt, usize>) -> Vec<Vec<usize>> {
    let needed = bound.iter().map(|((list, _), how, _)| {
        let (beside, across) = reads(*list, how);
        let all = beside.iter().chain(&across);
        all.filter_map(|place| at.get(place).copied()).collect()
    });
    needed.collect()
}

/// A way by which a computed column of these lists needs itself, if there is one: "Deals.Total",
/// "Deals.Fee", "Deals.Total".
pub fn cycle(
    lists: &BTreeMap<ListId, Arc<List>>,
    ends: &BTreeMap<ListId, Vec<End>>,
) -> Option<Vec<String>> {
    let bound = bind_all(lists, ends);
    let (_, circular) = in_order(&bound);
    let at: HashMap<ColumnAt, usize> = bound
        .iter()
        .enumerate()
        .map(|(index, (place, ..))| (*place, index))
        .collect();
    let needs = needs(&bound, &at);
    // Whatever stands on no order needs another one that does: the way comes back to where it was.
    let mut way: Vec<usize> = vec![*circular.first()?];
    loop {
        let last = way.last()?;
        let next = *needs
            .get(*last)?
            .iter()
            .find(|need| circular.contains(need))?;
        let begun = way.iter().position(|seen| *seen == next);
        way.push(next);
        if let Some(begun) = begun {
            let named = way.get(begun..)?.iter();
            return named
                .map(|index| {
                    let ((list, column), ..) = bound.get(*index)?;
                    let list = lists.get(list)?;
                    let column = list.columns.by_id(column)?;
                    Some(format!("{}.{}", list.name, column.key))
                })
                .collect();
        }
    }
}

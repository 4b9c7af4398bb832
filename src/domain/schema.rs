//! What a workspace holds: its lists and their columns, as of one `schema_version`. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::cell::ColumnId;
use super::columns::{Column, ColumnSet, ColumnType};
use super::computed::Graph;
use super::links::{self, End};
use crate::ids::{ListId, UserId};

/// The lists of a workspace, the deleted ones too.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub lists: BTreeMap<ListId, Arc<List>>,
    ends: BTreeMap<ListId, Vec<End>>,
    graph: Arc<Graph>,
}

/// A list and its columns.
#[derive(Clone, Debug)]
pub struct List {
    pub id: ListId,
    pub name: String,
    pub position: i32,
    pub columns: ColumnSet,
    pub created_at: DateTime<Utc>,
    pub created_by: UserId,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Schema {
    pub fn new(lists: BTreeMap<ListId, Arc<List>>) -> Schema {
        let ends = links::ends_of(&lists);
        let graph = Arc::new(Graph::new(&lists, &ends));
        Schema { lists, ends, graph }
    }

    /// What is computed from what.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The ends of relations that a list holds, by its own columns or others'.
    pub fn ends(&self, list: ListId) -> &[End] {
        self.ends.get(&list).map_or(&[], Vec::as_slice)
    }

    /// The end that a link column shows; none while the other list is in the trash.
    pub fn end_of(&self, list: ListId, column: ColumnId) -> Option<&End> {
        self.ends(list)
            .iter()
            .find(|end| end.column == Some(column))
    }

    /// The list, unless it is missing or in the trash.
    pub fn live(&self, list: ListId) -> Option<&Arc<List>> {
        self.lists
            .get(&list)
            .filter(|list| list.deleted_at.is_none())
    }

    /// The lists that are not in the trash, in their order.
    pub fn in_order(&self) -> Vec<&Arc<List>> {
        let mut lists: Vec<_> = self
            .lists
            .values()
            .filter(|list| list.deleted_at.is_none())
            .collect();
        lists.sort_by_key(|list| (list.position, list.id));
        lists
    }
}

impl List {
    /// The column by whose text its items are called: the first of type `text` that people write.
    pub fn title_column(&self) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.ty == ColumnType::Text && !column.is_read_only())
    }
}

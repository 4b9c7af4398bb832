//! A node: memory that may be old, in which groups of commands are judged one over the other, and
//! what becomes of the group. The rules are the product's; the lane around them is a model of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use estatebase::domain::edit::{Bench, ItemCommand, ItemPatch, NewItem, RawValues, judge};
use estatebase::domain::event::ITEMS_CHANGED;
use estatebase::domain::item::{Item, Place};
use estatebase::domain::links::Book;
use estatebase::domain::log::Hash;
use estatebase::domain::membership::{Members, judge_role};
use estatebase::domain::roles::{Action, Role};
use estatebase::domain::schema::{List, Schema};
use estatebase::domain::schema_change::{add_columns, drop_column};
use estatebase::domain::unique::Holders;
use estatebase::ids::{ItemId, ListId, UserId};
use serde_json::{Value, json};

use super::database::{Database, Event, Write, event, now};

/// A command with its key.
#[derive(Clone, Debug)]
pub struct Ask {
    pub key: String,
    pub by: UserId,
    pub what: Value,
}

/// What becomes of a group.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Commits,
    /// The transaction is rolled back.
    Fails,
    /// It is committed, and nobody is told.
    AnswerLost,
    /// The node ends between judging and writing.
    Dies,
}

pub struct Node {
    seq: i64,
    hash: Hash,
    schema_version: i64,
    schema: Schema,
    members: Members,
    next_number: i64,
    items: HashMap<Place, Arc<Item>>,
}

impl Node {
    pub fn read(database: &Database) -> Node {
        Node {
            seq: database.seq(),
            hash: database.hash(),
            schema_version: database.schema_version,
            schema: database.schema.clone(),
            members: database.members.clone(),
            next_number: database.next_number,
            items: HashMap::new(),
        }
    }

    /// Runs a group; the keys of those who got no answer. Commands that are not about items stand
    /// alone.
    pub fn work(&mut self, database: &mut Database, group: &[Ask], fate: Fate) -> HashSet<String> {
        let mut unanswered = HashSet::new();
        let mut rest = group;
        while let Some((first, others)) = rest.split_first() {
            let items = rest.iter().take_while(|ask| ask.is_about_items()).count();
            let part = if items == 0 {
                std::slice::from_ref(first)
            } else {
                &rest[..items]
            };
            rest = if items == 0 { others } else { &rest[items..] };
            // Another node was faster: read, and judge anew.
            while !self.attempt(database, part, fate, &mut unanswered) {
                *self = Node::read(database);
            }
        }
        unanswered
    }

    /// Whether the head of the log was as known.
    fn attempt(
        &mut self,
        database: &mut Database,
        part: &[Ask],
        fate: Fate,
        unanswered: &mut HashSet<String>,
    ) -> bool {
        let mut group = Group::over(self, database);
        let mut keys = HashSet::new();
        for ask in part {
            let op = (ask.by, ask.key.clone());
            // The same key twice in a group waits for the first; one that took effect is answered.
            if !keys.insert(op.clone()) || database.ops.contains_key(&op) {
                continue;
            }
            group.take(ask);
        }
        let (write, after) = group.close();
        if write.events.is_empty() {
            return true;
        }
        let silent = |unanswered: &mut HashSet<String>| {
            unanswered.extend(part.iter().map(|ask| ask.key.clone()));
            true
        };
        match fate {
            Fate::Fails | Fate::Dies => silent(unanswered),
            Fate::Commits | Fate::AnswerLost => {
                if !database.commit(write) {
                    return false;
                }
                // Memory follows only now.
                *self = after;
                match fate {
                    Fate::AnswerLost => silent(unanswered),
                    _ => true,
                }
            }
        }
    }
}

impl Ask {
    fn is_about_items(&self) -> bool {
        ["create", "update", "delete", "restore"]
            .iter()
            .any(|kind| self.what.get(kind).is_some())
    }

    fn items(&self, list: ListId) -> ItemCommand {
        let raw =
            |value: &Value| -> RawValues { serde_json::from_str(&value.to_string()).unwrap() };
        let id = |value: &Value| -> ItemId { value.as_str().unwrap().parse().unwrap() };
        let each = |kind: &str| self.what.get(kind).and_then(Value::as_array);
        let ids = |items: &Vec<Value>| items.iter().map(id).collect();
        if let Some(items) = each("create") {
            let items = items.iter().map(|item| NewItem {
                id: id(&item["id"]),
                fresh: false,
                values: raw(&item["values"]),
            });
            let (items, typecast) = (items.collect(), false);
            return ItemCommand::Create {
                list,
                items,
                typecast,
            };
        }
        if let Some(items) = each("update") {
            let items = items.iter().map(|item| ItemPatch {
                id: id(&item["id"]),
                values: raw(&item["values"]),
                if_version: item["if_version"].as_i64().map(Into::into),
                if_values: item.get("if_values").map(raw),
            });
            let (items, typecast) = (items.collect(), false);
            return ItemCommand::Update {
                list,
                items,
                typecast,
            };
        }
        if let Some(items) = each("delete") {
            let (ids, if_version) = (ids(items), None);
            return ItemCommand::Delete {
                list,
                ids,
                if_version,
            };
        }
        let ids = ids(each("restore").unwrap());
        ItemCommand::Restore { list, ids }
    }
}

/// A group under way, over a copy of what the node knows.
struct Group<'a> {
    node: Node,
    known: (i64, i64),
    database: &'a Database,
    rows: BTreeMap<Place, (i64, Arc<Item>)>,
    events: Vec<Event>,
    ops: Vec<((UserId, String), i64)>,
    schema: Option<Schema>,
    members: Option<Members>,
}

impl<'a> Group<'a> {
    fn over(node: &Node, database: &'a Database) -> Group<'a> {
        Group {
            node: Node {
                schema: node.schema.clone(),
                members: node.members.clone(),
                items: node.items.clone(),
                ..*node
            },
            known: (node.seq, node.schema_version),
            database,
            rows: BTreeMap::new(),
            events: Vec::new(),
            ops: Vec::new(),
            schema: None,
            members: None,
        }
    }

    /// Judges a command and takes it in, unless it is refused.
    fn take(&mut self, ask: &Ask) {
        let role = self.node.members.get(&ask.by).copied();
        let may = |action| role.is_some_and(|role: Role| role.may(action));
        let text = |part: &str| self.the(ask, part);
        if ask.is_about_items() {
            if may(Action::WriteItems) {
                self.take_items(ask);
            }
        } else if let Some(role) = text("role") {
            let new = Role::from_name(&role).unwrap();
            let whom: UserId = text("of").unwrap().parse().unwrap();
            if judge_role(&self.node.members, ask.by, whom, new).is_ok() {
                self.node.members.insert(whom, new);
                self.members = Some(self.node.members.clone());
                self.log(
                    ask,
                    "member.role_changed",
                    vec![json!({"user": whom, "role": new}).to_string()],
                );
            }
        } else if may(Action::WriteSchema) {
            let (list, at) = (self.list(), self.database.list);
            if let Some(key) = text("add_column") {
                let spec = serde_json::from_value(json!({"key": key, "type": "number"})).unwrap();
                let made = add_columns(&list, &[spec], |_| String::new(), now());
                self.take_schema(
                    ask,
                    "column.created",
                    made.ok(),
                    &json!({"list": at, "key": key}),
                );
            } else if let Some(key) = text("drop_column") {
                let changed = drop_column(&list, &key, now()).ok().map(|(list, _)| list);
                self.take_schema(
                    ask,
                    "column.deleted",
                    changed,
                    &json!({"list": at, "key": key}),
                );
            }
        }
    }

    fn the(&self, ask: &Ask, part: &str) -> Option<String> {
        Some(ask.what.get(part)?.as_str()?.to_owned())
    }

    fn list(&self) -> Arc<List> {
        Arc::clone(&self.node.schema.lists[&self.database.list])
    }

    fn take_schema(&mut self, ask: &Ask, kind: &str, list: Option<List>, data: &Value) {
        let Some(list) = list else { return };
        self.node.schema.lists.insert(list.id, Arc::new(list));
        self.schema = Some(self.node.schema.clone());
        self.log(ask, kind, vec![data.to_string()]);
    }

    fn take_items(&mut self, ask: &Ask) {
        let command = ask.items(self.database.list);
        for place in command.known_places() {
            // What memory lacks is read; it may be newer than the node knows of.
            if let Some(item) = self.database.items.get(&place) {
                self.node
                    .items
                    .entry(place)
                    .or_insert_with(|| Arc::clone(item));
            }
        }
        let members = |_: UserId| true;
        let bench = Bench {
            schema: &self.node.schema,
            items: &self.node.items,
            members: &members,
            holders: &Holders::default(),
            links: &Book::default(),
            show: false,
            next_number: self.node.next_number,
            seq: self.node.seq + 1,
            now: now(),
            by: ask.by,
        };
        let Ok(verdict) = judge(&command, &bench) else {
            return;
        };
        for item in &verdict.items {
            let place = (verdict.list.id, item.id);
            let before = self.node.items.insert(place, Arc::clone(item));
            let before = before.map_or(0, |item| item.version);
            // Folded to one row an item, which must stand as it stood before the group.
            let row = self.rows.entry(place).or_insert((before, Arc::clone(item)));
            row.1 = Arc::clone(item);
        }
        self.node.next_number = verdict.next_number;
        self.log(ask, ITEMS_CHANGED, verdict.changes);
    }

    fn log(&mut self, ask: &Ask, kind: &str, rows: Vec<String>) {
        self.node.seq += 1;
        let (workspace, seq) = (self.database.workspace, self.node.seq);
        let event = event(workspace, &mut self.node.hash, seq, ask.by, kind, rows);
        self.events.push(event);
        self.ops.push(((ask.by, ask.key.clone()), seq));
    }

    /// What is to be written, and the node as it is once that stands.
    fn close(mut self) -> (Write, Node) {
        if self.schema.is_some() || self.members.is_some() {
            self.node.schema_version += 1;
        }
        let write = Write {
            known_seq: self.known.0,
            known_schema_version: self.known.1,
            items: self.rows,
            events: self.events,
            ops: self.ops,
            next_number: self.node.next_number,
            schema: self.schema,
            members: self.members,
        };
        (write, self.node)
    }
}

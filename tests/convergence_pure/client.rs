//! A client: a copy that is read once and kept true by events alone.

use std::collections::BTreeMap;

use estatebase::domain::log::{GENESIS, mark};
use estatebase::ids::ItemId;
use serde_json::{Map, Value};

use super::database::{Database, Event};

#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    version: i64,
    values: Map<String, Value>,
    deleted: bool,
}

pub struct Client {
    pub connected: bool,
    seq: i64,
    mark: String,
    rows: BTreeMap<ItemId, Row>,
}

impl Client {
    /// From nothing, at the beginning of the log.
    pub fn empty() -> Client {
        Client {
            connected: true,
            seq: 0,
            mark: mark(&GENESIS),
            rows: BTreeMap::new(),
        }
    }

    /// Subscribes, and reads the pages.
    pub fn new(database: &Database) -> Client {
        Client {
            connected: true,
            seq: database.seq(),
            mark: mark(&database.hash()),
            rows: pages(database),
        }
    }

    pub fn known(&self) -> Vec<ItemId> {
        self.rows.keys().copied().collect()
    }

    /// Comes back: just what it missed follows, if its place in the log is the log's.
    pub fn resume(&mut self, database: &Database) {
        self.connected = true;
        let place = usize::try_from(self.seq).unwrap();
        let hash = match place {
            0 => GENESIS,
            place => database.log[place - 1].hash,
        };
        assert_eq!(self.mark, mark(&hash), "another history");
        database.log[place..]
            .iter()
            .for_each(|event| self.hear(event));
    }

    pub fn hear(&mut self, event: &Event) {
        assert_eq!(event.header.seq, self.seq + 1, "a hole");
        self.seq = event.header.seq;
        self.mark = mark(&event.hash);
        for change in event.seen["changes"].as_array().into_iter().flatten() {
            self.change(change);
        }
        if event.header.kind == "column.deleted" {
            let key = event.seen["data"]["key"].as_str().unwrap();
            self.rows.values_mut().for_each(|row| {
                row.values.remove(key);
            });
        }
    }

    fn change(&mut self, change: &Value) {
        let id: ItemId = change["item"].as_str().unwrap().parse().unwrap();
        let row = self.rows.entry(id).or_default();
        let version = change["version"].as_i64().unwrap();
        if version <= row.version {
            return;
        }
        row.version = version;
        let kind = change["kind"].as_str().unwrap();
        row.deleted = kind == "deleted";
        if kind == "created" || kind == "restored" {
            row.values.clear();
        }
        for (key, value) in change["set"].as_object().into_iter().flatten() {
            match value {
                Value::Null => row.values.remove(key),
                value => row.values.insert(key.clone(), value.clone()),
            };
        }
    }

    /// It holds what the database holds.
    pub fn check(&self, database: &Database) {
        assert_eq!(self.seq, database.seq());
        let living = |rows: &BTreeMap<ItemId, Row>| -> BTreeMap<ItemId, Row> {
            let living = rows.iter().filter(|(_, row)| !row.deleted);
            living.map(|(id, row)| (*id, row.clone())).collect()
        };
        assert_eq!(living(&self.rows), living(&pages(database)));
    }
}

/// The items as pages tell them.
fn pages(database: &Database) -> BTreeMap<ItemId, Row> {
    let items = database.items.iter();
    items
        .map(|((_, id), item)| {
            let wire: Value = serde_json::from_str(&item.to_wire(database.list())).unwrap();
            let values = wire["values"].as_object().unwrap().iter();
            let row = Row {
                version: item.version,
                values: values
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
                deleted: item.deleted_at.is_some(),
            };
            (*id, row)
        })
        .collect()
}

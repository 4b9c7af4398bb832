//! What Postgres keeps, as values: items, schema, members, the log with its chain, and the answers
//! that are remembered. It commits a group whole or not at all, and only behind a known head.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use estatebase::domain::event::write_event;
use estatebase::domain::item::{Item, Place};
use estatebase::domain::log::{Actor, EventHeader, GENESIS, Hash, digest, link, row_digest};
use estatebase::domain::membership::Members;
use estatebase::domain::roles::Role;
use estatebase::domain::schema::{List, Schema};
use estatebase::domain::schema_change::new_list;
use estatebase::ids::{ListId, UserId, WorkspaceId};
use serde_json::{Value, json};
use uuid::Uuid;

/// An event as it is kept, and as clients see it.
#[derive(Clone)]
pub struct Event {
    pub header: EventHeader,
    rows: Vec<String>,
    pub hash: Hash,
    pub seen: Arc<Value>,
}

pub struct Database {
    pub workspace: WorkspaceId,
    pub list: ListId,
    pub schema: Schema,
    pub schema_version: i64,
    pub members: Members,
    pub next_number: i64,
    pub items: HashMap<Place, Arc<Item>>,
    pub log: Vec<Event>,
    /// The operations that took effect, with their position.
    pub ops: BTreeMap<(UserId, String), i64>,
}

/// What one transaction writes.
pub struct Write {
    pub known_seq: i64,
    pub known_schema_version: i64,
    /// One row an item, with the version that it must still have.
    pub items: BTreeMap<Place, (i64, Arc<Item>)>,
    pub events: Vec<Event>,
    pub ops: Vec<((UserId, String), i64)>,
    pub next_number: i64,
    pub schema: Option<Schema>,
    pub members: Option<Members>,
}

impl Database {
    pub fn new(owner: UserId, id: Uuid) -> Database {
        let (workspace, list) = (WorkspaceId(id), ListId(Uuid::from_u128(7)));
        let columns = json!([{"key": "A", "type": "number"},
            {"key": "B", "type": "number"}, {"key": "No", "type": "auto_number"}]);
        let specs: Vec<_> = serde_json::from_value(columns).unwrap();
        let made = new_list(list, "L", &specs, 0, owner, now()).unwrap();
        Database {
            workspace,
            list,
            schema: Schema::new(BTreeMap::from([(list, Arc::new(made))])),
            schema_version: 1,
            members: Members::from([(owner, Role::Owner)]),
            next_number: 1,
            items: HashMap::new(),
            log: Vec::new(),
            ops: BTreeMap::new(),
        }
    }

    pub fn seq(&self) -> i64 {
        i64::try_from(self.log.len()).unwrap()
    }

    pub fn hash(&self) -> Hash {
        self.log.last().map_or(GENESIS, |event| event.hash)
    }

    pub fn list(&self) -> &Arc<List> {
        &self.schema.lists[&self.list]
    }

    /// Whether it was written: not when another was faster.
    pub fn commit(&mut self, write: Write) -> bool {
        let known = (write.known_seq, write.known_schema_version);
        let stale = |(place, (version, _)): (&Place, &(i64, Arc<Item>))| {
            self.items.get(place).map_or(0, |item| item.version) != *version
        };
        if known != (self.seq(), self.schema_version) || write.items.iter().any(stale) {
            return false;
        }
        for (op, seq) in write.ops {
            assert!(
                self.ops.insert(op, seq).is_none(),
                "an operation took effect twice"
            );
        }
        let rows = write.items.into_iter();
        self.items
            .extend(rows.map(|(place, (_, item))| (place, item)));
        self.log.extend(write.events);
        self.next_number = write.next_number;
        if write.schema.is_some() || write.members.is_some() {
            self.schema_version += 1;
        }
        self.schema = write.schema.unwrap_or_else(|| self.schema.clone());
        self.members = write.members.unwrap_or_else(|| self.members.clone());
        true
    }

    /// The log is whole, says of each item how often it changed, and each operation stands once.
    pub fn check(&self) {
        let (mut hash, mut versions) = (GENESIS, HashMap::new());
        for (n, event) in self.log.iter().enumerate() {
            assert_eq!(event.header.seq, i64::try_from(n).unwrap() + 1, "a gap");
            let digests: Vec<Hash> = event.rows.iter().map(|row| salted(row)).collect();
            hash = link(&hash, &event.header, &digest(&digests));
            assert_eq!(hash, event.hash, "the chain is broken");
            for change in event.seen["changes"].as_array().into_iter().flatten() {
                let version = versions.entry(change["item"].to_string()).or_insert(0);
                *version += 1;
                assert_eq!(change["version"], *version, "a change is missing");
            }
        }
        for ((_, id), item) in &self.items {
            assert_eq!(versions[&json!(id).to_string()], item.version);
        }
        assert_eq!(versions.len(), self.items.len());
        let places: HashSet<i64> = self.ops.values().copied().collect();
        assert_eq!(places.len(), self.log.len(), "an operation an event");
        assert!(self.members.values().any(|role| *role == Role::Owner));
    }
}

/// Links an event behind `hash` and moves it on.
pub fn event(
    workspace: WorkspaceId,
    hash: &mut Hash,
    seq: i64,
    by: UserId,
    kind: &str,
    rows: Vec<String>,
) -> Event {
    let header = EventHeader {
        workspace,
        seq,
        at: now(),
        kind: kind.to_owned(),
        actor: Actor::User(by),
        op: None,
        change: None,
        undoes: None,
        list: None,
        rows: i32::try_from(rows.len()).unwrap(),
    };
    let digests: Vec<Hash> = rows.iter().map(|row| salted(row)).collect();
    *hash = link(hash, &header, &digest(&digests));
    let mut seen = String::new();
    let shown: Vec<Option<&str>> = rows.iter().map(|row| Some(row.as_str())).collect();
    write_event(&header, &shown, &mut seen);
    Event {
        header,
        rows,
        hash: *hash,
        seen: Arc::new(serde_json::from_str(&seen).unwrap()),
    }
}

fn salted(row: &str) -> Hash {
    row_digest(b"salt", row.as_bytes())
}

/// Plans know no time.
pub fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

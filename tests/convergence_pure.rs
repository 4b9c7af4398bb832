//! Any plan, seed by seed, over the pure rules alone: commands are judged in groups by two nodes that
//! race, fail, forget and doubt, and clients hear, miss and resume. At every quiet point each client
//! holds what the database holds, the log is whole, and it alone can rebuild everything.
//!
//! `SEEDS` says how many plans, `SEED` repeats one that failed. The same promises over real sockets
//! are kept by `it/convergence.rs`.

#[path = "convergence_pure/client.rs"]
mod client;
#[path = "convergence_pure/database.rs"]
mod database;
#[path = "convergence_pure/node.rs"]
mod node;

use std::time::{Duration, Instant};

use estatebase::domain::roles::Role;
use estatebase::ids::{ItemId, UserId};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use uuid::Uuid;

use client::Client;
use database::Database;
use node::{Ask, Fate, Node};

const OPERATIONS: usize = 200;
const QUIET_EVERY: usize = 25;
const CLIENTS: usize = 4;
/// What the short form may take.
const MOMENT: Duration = Duration::from_secs(4);

#[test]
fn whatever_happens_in_whatever_order_all_converge() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let begun = Instant::now();
    if let Some(seed) = number("SEED") {
        return Plan::new(seed).run();
    }
    let wanted = number("SEEDS");
    let mut done = 0;
    while wanted.map_or(begun.elapsed() < MOMENT, |wanted| done < wanted) {
        let seed = done;
        let plan = std::panic::catch_unwind(|| Plan::new(seed).run());
        assert!(plan.is_ok(), "repeat it with SEED={seed}");
        done += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "CHAOS | convergence of the pure rules (plans of {OPERATIONS}) | {done} | all converged | {seconds:.1} s"
    );
}

struct Plan {
    chance: StdRng,
    database: Database,
    nodes: [Node; 2],
    clients: Vec<Client>,
    /// Who asks: an owner, and others whose roles change.
    people: Vec<UserId>,
    /// What waits for a node.
    asked: Vec<Ask>,
    /// What was answered, to be asked once more now and then.
    answered: Vec<Ask>,
    operations: usize,
}

impl Plan {
    fn new(seed: u64) -> Plan {
        let mut chance = StdRng::seed_from_u64(seed);
        let people: Vec<UserId> = (0..3).map(|_| UserId(id(&mut chance))).collect();
        let mut database = Database::new(people[0], id(&mut chance));
        for person in &people[1..] {
            database.members.insert(*person, Role::Editor);
        }
        let nodes = [Node::read(&database), Node::read(&database)];
        Plan {
            chance,
            nodes,
            clients: (0..CLIENTS).map(|_| Client::new(&database)).collect(),
            database,
            people,
            asked: Vec::new(),
            answered: Vec::new(),
            operations: 0,
        }
    }

    fn run(mut self) {
        for step in 1..=OPERATIONS {
            self.step();
            if step % QUIET_EVERY == 0 {
                self.quiet();
            }
        }
    }

    fn step(&mut self) {
        match self.chance.random_range(0..100) {
            0..70 => {
                let ask = self.ask();
                self.asked.push(ask);
            }
            70..76 if !self.answered.is_empty() => {
                let again = self.answered.choose(&mut self.chance).unwrap().clone();
                self.asked.push(again);
            }
            76..82 => {
                // Frames are lost: all that a client can know is that its socket is gone.
                let client = self.chance.random_range(0..CLIENTS);
                self.clients[client].connected = false;
            }
            82..88 => {
                let client = self.chance.random_range(0..CLIENTS);
                self.clients[client].resume(&self.database);
            }
            88..90 => {
                let client = self.chance.random_range(0..CLIENTS);
                self.clients[client] = Client::new(&self.database);
            }
            90..93 => {
                let node = self.chance.random_range(0..2);
                self.nodes[node] = Node::read(&self.database);
            }
            _ => self.work(),
        }
        if self.chance.random_bool(0.4) {
            self.work();
        }
    }

    /// A node takes what has queued, and its group has some fate.
    fn work(&mut self) {
        let few = self.chance.random_range(1..=6).min(self.asked.len());
        let group: Vec<Ask> = self.asked.drain(..few).collect();
        let fate = match self.chance.random_range(0..10) {
            0 => Fate::Fails,
            1 => Fate::AnswerLost,
            2 => Fate::Dies,
            _ => Fate::Commits,
        };
        let node = self.chance.random_range(0..2);
        let before = self.database.log.len();
        let unanswered = self.nodes[node].work(&mut self.database, &group, fate);
        if matches!(fate, Fate::Dies) {
            self.nodes[node] = Node::read(&self.database);
        }
        // Who got no answer asks again with the same key.
        for ask in group {
            match unanswered.contains(&ask.key) {
                true => self.asked.push(ask),
                false => self.answered.push(ask),
            }
        }
        for event in &self.database.log[before..] {
            for client in self.clients.iter_mut().filter(|client| client.connected) {
                client.hear(event);
            }
        }
    }

    fn quiet(&mut self) {
        while !self.asked.is_empty() {
            self.work();
        }
        self.database.check();
        for client in &mut self.clients {
            client.resume(&self.database);
            client.check(&self.database);
        }
        // The log alone is enough.
        let mut rebuilt = Client::empty();
        self.database
            .log
            .iter()
            .for_each(|event| rebuilt.hear(event));
        rebuilt.check(&self.database);
    }

    fn ask(&mut self) -> Ask {
        self.operations += 1;
        let by = *self.people.choose(&mut self.chance).unwrap();
        let what = match self.chance.random_range(0..100) {
            0..25 => json!({"create": (0..self.chance.random_range(1..=3)).map(|_| {
                json!({"id": self.new_id(), "values": self.values()})
            }).collect::<Vec<_>>()}),
            25..65 => self.update(),
            65..78 => json!({"delete": self.some_items()}),
            78..88 => json!({"restore": self.some_items()}),
            88..91 => json!({"add_column": self.key()}),
            91..94 => json!({"drop_column": self.key()}),
            _ => {
                let whom = self.people.choose(&mut self.chance).unwrap();
                let role = Role::ALL.choose(&mut self.chance).unwrap();
                json!({"role": role.as_str(), "of": whom.uuid()})
            }
        };
        Ask {
            key: format!("k{}", self.operations),
            by,
            what,
        }
    }

    fn update(&mut self) -> Value {
        let items: Vec<Value> = self
            .some_items()
            .into_iter()
            .map(|id| {
                let mut patch = json!({"id": id, "values": self.values()});
                match self.chance.random_range(0..4) {
                    0 => patch["if_version"] = json!(self.chance.random_range(1..4)),
                    1 => patch["if_values"] = self.values(),
                    _ => {}
                }
                patch
            })
            .collect();
        json!({ "update": items })
    }

    fn values(&mut self) -> Value {
        let mut values = json!({});
        for _ in 0..self.chance.random_range(0..3) {
            let key = self.key();
            values[key] = match self.chance.random_range(0..12) {
                0..4 => Value::Null,
                4 => json!("no number"),
                _ => json!(self.chance.random_range(0..5)),
            };
        }
        values
    }

    fn key(&mut self) -> String {
        let keys = ["A", "B", "X", "Y"];
        (*keys.choose(&mut self.chance).unwrap()).to_owned()
    }

    /// A new one as a rule, a taken one now and then.
    fn new_id(&mut self) -> Uuid {
        match self.chance.random_range(0..8) {
            0 => self.some_items()[0],
            _ => id(&mut self.chance),
        }
    }

    /// One to three that some client knows (the same twice, now and then), or one that is nowhere.
    fn some_items(&mut self) -> Vec<Uuid> {
        let known: Vec<ItemId> = self.clients[0].known();
        let count = self.chance.random_range(1..=3);
        let chosen = (0..count).filter_map(|_| known.choose(&mut self.chance));
        let mut chosen: Vec<Uuid> = chosen.map(|id| id.uuid()).collect();
        if chosen.is_empty() {
            chosen.push(id(&mut self.chance));
        }
        chosen
    }
}

fn id(chance: &mut StdRng) -> Uuid {
    Uuid::from_u128(chance.random())
}

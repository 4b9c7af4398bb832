//! Seeded plans over real sockets and HTTP: people edit, delete, restore, change columns and roles,
//! lose their connections and their server. At every quiet point each copy that is kept true by
//! events alone is what the database's pages say.
//!
//! `PLANS` says how many, `SEED` runs one again, `PLAN_FILE` one from the file that a failure left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::TestApp;
use crate::support::caller::Caller;
use crate::support::program::{report, rounds};
use crate::support::proxy::Proxy;
use crate::support::replica::{self, Replica};

/// What one person does; `pick` counts among the items that they know.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Act {
    Create {
        count: usize,
        value: i64,
    },
    Edit {
        pick: usize,
        key: String,
        value: Option<i64>,
    },
    EditMany {
        picks: Vec<usize>,
        key: String,
        value: i64,
    },
    Delete {
        picks: Vec<usize>,
    },
    Restore {
        pick: usize,
    },
    AddColumn {
        key: String,
    },
    DropColumn {
        key: String,
    },
    Role {
        of: usize,
        role: String,
    },
    /// Hangs up and comes back.
    Disconnect,
    /// The connection is reset with whatever is on its way.
    LoseFrames,
    /// Listens for a while.
    Listen,
}

/// Something that befalls everybody while they work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Fault {
    None,
    RestartServer(usize),
    ResetAll,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Round {
    /// What each person does, one after the other, all at once.
    acts: Vec<Vec<Act>>,
    fault: Fault,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    seed: u64,
    servers: usize,
    rounds: Vec<Round>,
}

const PEOPLE: usize = 4;
/// The last is no column at first.
const KEYS: [&str; 4] = ["A", "A", "B", "X"];

impl Plan {
    fn new(seed: u64) -> Plan {
        let mut chance = StdRng::seed_from_u64(seed);
        let servers = 1 + usize::try_from(seed % 2).unwrap();
        let rounds = (0..3)
            .map(|_| Round {
                acts: (0..PEOPLE)
                    .map(|_| (0..10).map(|_| act(&mut chance)).collect())
                    .collect(),
                fault: match chance.random_range(0..4) {
                    0 => Fault::RestartServer(chance.random_range(0..servers)),
                    1 => Fault::ResetAll,
                    _ => Fault::None,
                },
            })
            .collect();
        Plan {
            seed,
            servers,
            rounds,
        }
    }
}

fn act(chance: &mut StdRng) -> Act {
    let key = KEYS[chance.random_range(0..KEYS.len())].to_owned();
    let value = chance.random_range(0..100);
    let pick = chance.random_range(0..1_000);
    let picks = (0..chance.random_range(2..5))
        .map(|_| chance.random_range(0..1_000))
        .collect();
    match chance.random_range(0..100) {
        0..20 => Act::Create {
            count: chance.random_range(1..4),
            value,
        },
        20..50 => Act::Edit {
            pick,
            key,
            value: (value > 33).then_some(value),
        },
        50..60 => Act::EditMany { picks, key, value },
        60..68 => Act::Delete { picks },
        68..75 => Act::Restore { pick },
        75..79 => Act::AddColumn { key },
        79..83 => Act::DropColumn { key },
        83..87 => Act::Role {
            of: chance.random_range(1..PEOPLE),
            role: ["viewer", "editor", "admin"][chance.random_range(0..3)].to_owned(),
        },
        87..91 => Act::Disconnect,
        91..95 => Act::LoseFrames,
        _ => Act::Listen,
    }
}

/// Someone with a copy, behind a connection of their own that can be broken.
struct Client {
    replica: Replica,
    front: Proxy,
    url: String,
    workspace: String,
    list: String,
    people: Vec<Uuid>,
}

impl Client {
    fn socket(&self) -> String {
        self.front.address.to_string()
    }

    fn pages(&self) -> Vec<String> {
        vec![self.url.clone()]
    }

    async fn connected(&mut self) {
        let (socket, pages) = (self.socket(), self.pages());
        self.replica.insist(&socket, &pages).await;
    }

    async fn settle(&mut self, end: i64) {
        let (socket, pages) = (self.socket(), self.pages());
        self.replica.settle(end, &socket, &pages).await;
    }

    /// An item that they know, in whatever state.
    fn item(&self, pick: usize) -> Value {
        let known = self.replica.known();
        match known.len() {
            0 => json!(Uuid::nil()),
            count => json!(known[pick % count].1),
        }
    }

    fn items(&self, picks: &[usize]) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let items = picks.iter().map(|pick| self.item(*pick));
        items.filter(|item| seen.insert(item.to_string())).collect()
    }

    async fn act(&mut self, act: Act) {
        let list = self.list.clone();
        match act {
            Act::Create { count, value } => {
                let items: Vec<Value> = (0..count)
                    .map(|_| json!({"id": Uuid::now_v7(), "values": {"A": value}}))
                    .collect();
                self.over_the_socket("create", json!({ "items": items }))
                    .await;
            }
            Act::Edit { pick, key, value } => {
                let item = json!({"id": self.item(pick), "values": {key: value}});
                self.over_the_socket("edit", json!({ "items": [item] }))
                    .await;
            }
            Act::EditMany { picks, key, value } => {
                let change = |item: Value| json!({"id": item, "values": {&key: value}});
                let items: Vec<Value> = self.items(&picks).into_iter().map(change).collect();
                let path = format!("{list}/items");
                self.over_http("PATCH", &path, json!({ "items": items }))
                    .await;
            }
            Act::Delete { picks } => {
                let ids = json!({ "ids": self.items(&picks) });
                match picks.len() % 2 {
                    0 => self.over_the_socket("delete", ids).await,
                    _ => {
                        self.over_http("POST", &format!("{list}/items/delete"), ids)
                            .await
                    }
                }
            }
            Act::Restore { pick } => {
                let id = self.item(pick);
                let path = format!("{list}/items/{}/restore", id.as_str().unwrap());
                self.over_http("POST", &path, json!({})).await;
            }
            Act::AddColumn { key } => {
                let column = json!({"key": key, "type": "number"});
                self.over_http("POST", &format!("{list}/columns"), column)
                    .await;
            }
            Act::DropColumn { key } => {
                let path = format!("{list}/columns/{key}");
                self.over_http("DELETE", &path, json!({})).await;
            }
            Act::Role { of, role } => {
                let path = format!("{}/members/{}", self.workspace, self.people[of]);
                self.over_http("PATCH", &path, json!({ "role": role }))
                    .await;
            }
            Act::Disconnect => self.replica.drop_socket(),
            Act::LoseFrames => self.front.reset(),
            Act::Listen => {
                self.connected().await;
                let pages = self.pages();
                let moment = Duration::from_millis(20);
                let _ = self.replica.listen(moment, &pages).await;
            }
        }
    }

    /// Sends an operation until it is answered, as the same operation each time.
    async fn over_the_socket(&mut self, kind: &str, rest: Value) {
        let op = Uuid::now_v7().to_string();
        let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let mut frame = json!({"type": kind, "op": op,
            "workspace": id(&self.workspace), "list": id(&self.list)});
        frame
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        let begun = Instant::now();
        loop {
            self.connected().await;
            let pages = self.pages();
            let asked = self.replica.operate(&op, frame.clone(), &pages);
            let answer = tokio::time::timeout(Duration::from_secs(5), asked).await;
            match answer {
                Ok(Ok(answer)) if answer["type"] == "ack" => return,
                Ok(Ok(answer)) => {
                    let status = answer["problem"]["status"].as_i64().unwrap();
                    if status < 500 {
                        return accept(status, &answer);
                    }
                }
                Ok(Err(_)) => {}
                Err(_) => self.replica.drop_socket(),
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{frame}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn over_http(&mut self, method: &str, path: &str, body: Value) {
        let key = Uuid::now_v7().to_string();
        let caller = self.replica.caller.clone();
        let heard = caller
            .insist(&self.pages(), method, path, &key, &body)
            .await;
        accept(i64::from(heard.status), &heard.body);
    }
}

/// Done, or refused for a reason that the plan may have brought about.
fn accept(status: i64, answer: &Value) {
    let fine = [200, 201, 204, 403, 404, 409, 410, 412, 422];
    assert!(fine.contains(&status), "{answer}");
}

/// The servers of a plan, and everybody.
struct Scene {
    apps: Vec<TestApp>,
    clients: Vec<Client>,
    owner: Caller,
    workspace: String,
    list: String,
}

impl Scene {
    async fn new(servers: usize) -> Scene {
        let first = TestApp::new().await;
        let owner = first.person("owner").await;
        let workspace = owner.workspace().await;
        let list = owner
            .list(
                &workspace,
                &[("A", "number"), ("B", "number"), ("No", "auto_number")],
            )
            .await;
        let mut people = vec![owner.clone()];
        for n in 1..PEOPLE {
            let person = first.person(&format!("person{n}")).await;
            owner.bring(&workspace, &person, "editor").await;
            people.push(person);
        }
        let mut apps = vec![first];
        while apps.len() < servers {
            apps.push(apps[0].again());
        }
        let ids: Vec<Uuid> = people
            .iter()
            .map(|person| person.id.parse().unwrap())
            .collect();
        let mut clients = Vec::new();
        for (n, person) in people.iter().enumerate() {
            let front = Proxy::in_front_of(apps[n % servers].address).await;
            let caller = Caller::of(person);
            clients.push(Client {
                replica: Replica::new(caller, &workspace, std::slice::from_ref(&list)),
                url: format!("http://{}", front.address),
                front,
                workspace: workspace.clone(),
                list: list.clone(),
                people: ids.clone(),
            });
        }
        Scene {
            apps,
            clients,
            owner: Caller::of(&owner),
            workspace,
            list,
        }
    }

    async fn round(&mut self, round: &Round) {
        let fronts: Vec<_> = self
            .clients
            .iter()
            .map(|client| client.front.handle())
            .collect();
        let acting = self
            .clients
            .iter_mut()
            .zip(&round.acts)
            .map(|(client, acts)| async move {
                for act in acts {
                    client.act(act.clone()).await;
                }
            });
        let apps = &mut self.apps;
        let fault = async {
            match round.fault {
                Fault::None => {}
                Fault::ResetAll => fronts.iter().for_each(|front| front.reset()),
                Fault::RestartServer(n) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let servers = apps.len();
                    let next = apps[n].again();
                    for front in fronts.iter().skip(n).step_by(servers) {
                        front.lead_to(next.address);
                    }
                    let old = std::mem::replace(&mut apps[n], next);
                    tokio::task::block_in_place(|| drop(old));
                }
            }
        };
        tokio::join!(join_all(acting), fault);
    }

    /// Nobody does anything: all must hold the same.
    async fn quiet(&mut self) {
        let at = [format!("http://{}", self.apps[0].address)];
        let end = i64::try_from(self.owner.verify(&at, &self.workspace).await).unwrap();
        join_all(self.clients.iter_mut().map(|client| client.settle(end))).await;
        let (items, _) = self.owner.items_since(&at, &self.list, end).await;
        let pages = replica::rows(&items);
        for (n, client) in self.clients.iter().enumerate() {
            let held = client.replica.living();
            if held != pages {
                let now = self.owner.verify(&at, &self.workspace).await;
                panic!(
                    "at {end} of {now}, {n} at {} after {} resets and {} resumptions holds\n{held:?}\n\
                     but the pages say\n{pages:?}",
                    client.replica.position(),
                    client.replica.resets,
                    client.replica.resumed
                );
            }
        }
    }
}

async fn run(plan: Plan) {
    let mut scene = Scene::new(plan.servers).await;
    for round in &plan.rounds {
        scene.round(round).await;
        scene.quiet().await;
    }
    tokio::task::block_in_place(|| drop(scene));
}

/// Runs a plan; one that fails is left in a file.
async fn attempt(plan: Plan) {
    let (seed, json) = (plan.seed, serde_json::to_string_pretty(&plan).unwrap());
    if let Err(error) = tokio::spawn(run(plan)).await {
        let file = std::env::temp_dir().join(format!("estatebase-plan-{seed}.json"));
        std::fs::write(&file, json).unwrap();
        panic!("SEED={seed} (PLAN_FILE={}) failed: {error}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_people_do_and_whatever_breaks_all_copies_converge() {
    let begun = Instant::now();
    if let Some(file) = std::env::var_os("PLAN_FILE") {
        let plan = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        return attempt(plan).await;
    }
    if std::env::var_os("SEED").is_some() {
        let seed = u64::try_from(rounds("SEED", 0)).unwrap();
        return attempt(Plan::new(seed)).await;
    }
    let seeds = rounds("PLANS", 2);
    for seed in 0..seeds {
        attempt(Plan::new(seed as u64)).await;
    }
    report(
        "convergence over sockets and HTTP (plans)",
        seeds,
        "all copies equal the pages",
        begun,
    );
}

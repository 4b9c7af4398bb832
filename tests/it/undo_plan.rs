//! Plans of people who edit, delete, restore and link at random, seed by seed: every position of the log is
//! read again as it was, a list brought back to one stands as it stood, and whoever undoes all that was theirs
//! leaves what there would be without them.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};

/// Seeds tried; `SEED` repeats one.
fn seeds() -> Vec<u64> {
    match std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => vec![seed],
        None => (1..=3).collect(),
    }
}

/// One request of a plan, with the item ids that it was made with.
#[derive(Clone, Debug)]
struct Ask {
    who: usize,
    method: Method,
    path: String,
    body: Value,
}

struct World {
    _app: TestApp,
    people: Vec<Person>,
    workspace: String,
    homes: String,
    contacts: String,
}

impl World {
    async fn new(people: usize) -> World {
        let app = TestApp::new().await;
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let columns = [
            ("Price", "number"),
            ("Street", "text"),
            ("Sold", "checkbox"),
        ];
        let (homes, contacts) = owner.linked_lists(&workspace, &columns).await;
        let mut all = vec![owner.clone()];
        for nr in 1..people {
            let person = app.person(&format!("person{nr}")).await;
            owner.bring(&workspace, &person, "editor").await;
            all.push(person);
        }
        World {
            _app: app,
            people: all,
            workspace,
            homes,
            contacts,
        }
    }

    /// Asks, and says whether it took effect. `H` and `C` in a path are the two lists.
    async fn ask(&self, ask: &Ask) -> bool {
        let path = ask
            .path
            .replacen('H', &self.homes, 1)
            .replacen('C', &self.contacts, 1);
        let path = format!("/api/v1{path}");
        let person = &self.people[ask.who];
        let answer = person
            .send(ask.method.clone(), &path, Some(&ask.body), &[])
            .await;
        assert!(answer.status.as_u16() < 500, "{ask:?}: {}", answer.text);
        answer.status.is_success()
    }

    /// A list's items, without the titles of links: those are as of the reading.
    async fn read(&self, list: &str, as_of: Option<i64>) -> Vec<Value> {
        let as_of = as_of.map(|seq| format!("&as_of={seq}")).unwrap_or_default();
        let page = self.people[0]
            .get(&format!("{list}/items?limit=1000{as_of}"))
            .await;
        let mut items = page.is(200)["data"].as_array().unwrap().clone();
        for link in items.iter_mut().flat_map(links) {
            link.as_object_mut().unwrap().remove("title");
        }
        items
    }

    async fn both(&self, as_of: Option<i64>) -> [Vec<Value>; 2] {
        [
            self.read(&self.homes, as_of).await,
            self.read(&self.contacts, as_of).await,
        ]
    }

    async fn seq(&self) -> i64 {
        self.people[0].seq(&self.workspace).await
    }

    async fn undo(&self, who: usize, what: &str) -> bool {
        let path = format!("{}/{what}", self.workspace);
        let answer = self.people[who].post(&path, json!({})).await;
        if !answer.status.is_success() {
            assert_eq!(
                answer.is(409)["errors"][0]["code"],
                format!("nothing_to_{what}"),
                "{}",
                answer.text
            );
        }
        answer.status.is_success()
    }
}

fn links(item: &mut Value) -> impl Iterator<Item = &mut Value> {
    let values = item["values"].as_object_mut().unwrap().values_mut();
    values
        .filter_map(Value::as_array_mut)
        .flatten()
        .filter(|link| link.is_object())
}

/// What the items hold: without versions, times and people.
fn held(items: &[Value]) -> BTreeMap<String, Value> {
    let of = |item: &Value| {
        (
            item["id"].as_str().unwrap().to_owned(),
            item["values"].clone(),
        )
    };
    items.iter().map(of).collect()
}

/// The same with links in no order.
fn held_loosely(items: &[Value]) -> BTreeMap<String, Value> {
    let mut held = held(items);
    let cells = held
        .values_mut()
        .flat_map(|values| values.as_object_mut().unwrap().values_mut());
    for links in cells.filter_map(Value::as_array_mut) {
        links.sort_by_key(ToString::to_string);
    }
    held
}

fn id(random: &mut StdRng) -> String {
    uuid::Builder::from_random_bytes(random.random())
        .into_uuid()
        .to_string()
}

fn some(random: &mut StdRng, of: &[String], most: usize) -> Vec<String> {
    let count = random.random_range(1..=most.min(of.len()));
    of.choose_multiple(random, count).cloned().collect()
}

/// Anything, by anybody.
fn any(random: &mut StdRng, people: usize, homes: &mut Vec<String>, contacts: &[String]) -> Ask {
    let who = random.random_range(0..people);
    let ask = |method, path: String, body| Ask {
        who,
        method,
        path,
        body,
    };
    let home = homes.choose(random).cloned();
    match (random.random_range(0..10), home) {
        (0 | 1, _) | (_, None) => {
            let new: Vec<String> = (0..random.random_range(1..4)).map(|_| id(random)).collect();
            let items: Vec<Value> = new
                .iter()
                .map(|id| {
                    let owners = some(random, contacts, 2);
                    json!({"id": id, "values": {"Price": random.random_range(0..9), "Owners": owners}})
                })
                .collect();
            homes.extend(new);
            ask(Method::POST, "H/items".into(), json!({"items": items}))
        }
        (2..=4, _) => {
            let items: Vec<Value> = some(random, homes, 4)
                .iter()
                .map(|id| {
                    let street = ["", "Elm", "Oak"][random.random_range(0..3)];
                    let price = match random.random_bool(0.2) {
                        true => Value::Null,
                        false => json!(random.random_range(0..9)),
                    };
                    json!({"id": id, "values": {"Price": price, "Street": street}})
                })
                .collect();
            ask(Method::PATCH, "H/items".into(), json!({"items": items}))
        }
        (5, _) => ask(
            Method::POST,
            "H/items/delete".into(),
            json!({"ids": some(random, homes, 3)}),
        ),
        (6, Some(home)) => ask(Method::POST, format!("H/items/{home}/restore"), json!({})),
        (what, Some(home)) => {
            let method = [Method::POST, Method::PUT, Method::DELETE][what - 7].clone();
            let ids = some(random, contacts, 4);
            ask(
                method,
                format!("H/items/{home}/links/Owners"),
                json!({"ids": ids}),
            )
        }
    }
}

async fn contacts_of(world: &World, random: &mut StdRng) -> Vec<String> {
    let contacts: Vec<String> = (0..6).map(|_| id(random)).collect();
    let items: Vec<Value> = contacts
        .iter()
        .map(|id| json!({"id": id, "values": {"Name": id}}))
        .collect();
    let body = json!({"items": items});
    world.people[0]
        .post(&format!("{}/items", world.contacts), body)
        .await
        .is(201);
    contacts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_position_is_read_again_as_it_was_and_brought_back() {
    for seed in seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new(3).await;
        let contacts = contacts_of(&world, &mut random).await;
        let mut homes = Vec::new();
        let mut states: BTreeMap<i64, [Vec<Value>; 2]> = BTreeMap::new();
        for _ in 0..60 {
            let taken = match random.random_range(0..10) {
                0 | 1 => {
                    let who = random.random_range(0..3);
                    let what = ["undo", "redo"][random.random_range(0..2)];
                    let path = format!("{}/{what}", world.workspace);
                    let answer = world.people[who].post(&path, json!({})).await;
                    assert!(answer.status.as_u16() < 500, "seed {seed}: {}", answer.text);
                    answer.status.is_success()
                }
                _ => world.ask(&any(&mut random, 3, &mut homes, &contacts)).await,
            };
            if taken {
                let state = world.both(None).await;
                states.insert(world.seq().await, state);
            }
        }
        for (seq, state) in &states {
            assert_eq!(
                world.both(Some(*seq)).await,
                *state,
                "seed {seed}, as of {seq}"
            );
        }
        let positions: Vec<i64> = states.keys().copied().collect();
        assert!(positions.len() > 20, "seed {seed}: a plan of refusals");
        let mut brought = 0;
        for _ in 0..6 {
            let seq = *positions.choose(&mut random).unwrap();
            let before = world.both(None).await;
            let path = format!("{}/restore-to", world.homes);
            let answer = world.people[0].post(&path, json!({"seq": seq})).await;
            if !answer.status.is_success() {
                assert_eq!(answer.is(409)["errors"][0]["code"], "nothing_to_change");
                continue;
            }
            brought += 1;
            let after = world.read(&world.homes, None).await;
            assert_eq!(
                held(&after),
                held(&states[&seq][0]),
                "seed {seed}, back to {seq}"
            );
            assert!(world.undo(0, "undo").await);
            assert_eq!(
                held(&world.read(&world.homes, None).await),
                held(&before[0]),
                "seed {seed}"
            );
            assert!(world.undo(0, "redo").await);
        }
        assert!(brought > 0, "seed {seed}");
        world.people[0].verified(&world.workspace).await;
    }
}

/// Of two people who never touch the same cell or link: what each does, and on what.
fn apart(
    random: &mut StdRng,
    who: usize,
    shared: &[String],
    own: &mut Vec<String>,
    contacts: &[String],
) -> Ask {
    let ask = |method, path: String, body| Ask {
        who,
        method,
        path,
        body,
    };
    let column = ["Price", "Street"][who];
    let contacts = &contacts[who * 3..who * 3 + 3];
    let value = |random: &mut StdRng| match who {
        0 => json!(random.random_range(0..9)),
        _ => json!(["Elm", "Oak", "Fir"][random.random_range(0..3)]),
    };
    match random.random_range(0..7) {
        0 => {
            let new: Vec<String> = (0..random.random_range(1..3)).map(|_| id(random)).collect();
            let items: Vec<Value> = new
                .iter()
                .map(|id| json!({"id": id, "values": {column: value(random), "Owners": some(random, contacts, 2)}}))
                .collect();
            own.extend(new);
            ask(Method::POST, "H/items".into(), json!({"items": items}))
        }
        1 | 2 => {
            let items: Vec<Value> = some(random, shared, 3)
                .iter()
                .map(|id| json!({"id": id, "values": {column: value(random)}}))
                .collect();
            ask(Method::PATCH, "H/items".into(), json!({"items": items}))
        }
        3 if !own.is_empty() => ask(
            Method::POST,
            "H/items/delete".into(),
            json!({"ids": some(random, own, 2)}),
        ),
        4 if !own.is_empty() => {
            let path = format!("H/items/{}/restore", some(random, own, 1)[0]);
            ask(Method::POST, path, json!({}))
        }
        what => {
            let method = if what % 2 == 0 {
                Method::POST
            } else {
                Method::DELETE
            };
            let path = format!("H/items/{}/links/Owners", some(random, shared, 1)[0]);
            ask(method, path, json!({"ids": some(random, contacts, 2)}))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_undoes_all_leaves_what_there_would_be_without_them() {
    for seed in seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let contacts: Vec<String> = (0..6).map(|_| id(&mut random)).collect();
        let shared: Vec<String> = (0..5).map(|_| id(&mut random)).collect();
        let mut own = [Vec::new(), Vec::new()];
        let plan: Vec<Ask> = (0..40)
            .map(|_| {
                let who = random.random_range(0..2);
                apart(&mut random, who, &shared, &mut own[who], &contacts)
            })
            .collect();
        let mut left = Vec::new();
        for without in [false, true] {
            let world = World::new(3).await;
            let maker = &world.people[2];
            let items = |ids: &[String], key: &str, value: Value| -> Value {
                ids.iter()
                    .map(|id| json!({"id": id, "values": {key: value.clone()}}))
                    .collect()
            };
            let body = json!({"items": items(&contacts, "Name", json!("N"))});
            maker
                .post(&format!("{}/items", world.contacts), body)
                .await
                .is(201);
            let body = json!({"items": items(&shared, "Sold", json!(true))});
            maker
                .post(&format!("{}/items", world.homes), body)
                .await
                .is(201);
            let mut taken = 0;
            for ask in plan.iter().filter(|ask| !without || ask.who == 0) {
                taken += usize::from(world.ask(ask).await && ask.who == 1);
            }
            if !without {
                assert!(taken > 5, "seed {seed}: a plan of refusals");
                let whole = world.both(None).await;
                for _ in 0..taken {
                    assert!(world.undo(1, "undo").await, "seed {seed}");
                }
                assert!(!world.undo(1, "undo").await);
                let undone = world.both(None).await;
                for _ in 0..taken {
                    assert!(world.undo(1, "redo").await, "seed {seed}");
                }
                assert!(!world.undo(1, "redo").await);
                let redone = world.both(None).await;
                for (whole, redone) in whole.iter().zip(&redone) {
                    assert_eq!(
                        held_loosely(redone),
                        held_loosely(whole),
                        "seed {seed}: redone"
                    );
                }
                left.push(undone);
            } else {
                left.push(world.both(None).await);
            }
        }
        for (undone, without) in left[0].iter().zip(&left[1]) {
            assert_eq!(
                held_loosely(undone),
                held_loosely(without),
                "seed {seed}: undone"
            );
        }
    }
}

//! Plans of people who link, unlink, delete, restore and retarget at random, many at once, against a
//! model of one set of links: after each round both ends agree with each other, with the model of the
//! log, and with a copy that followed it.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, last};
use crate::support::caller::Caller;
use crate::support::replica::{self, Replica};

/// A cell's links in order, by the item that holds it.
type Cells = BTreeMap<String, Vec<String>>;

/// One relation, as whoever writes alone would keep it: pure.
#[derive(Default)]
struct Model {
    /// Each link with its two positions.
    links: BTreeMap<(String, String), (u64, u64)>,
    trash: BTreeSet<String>,
    clock: u64,
    single: [bool; 2],
    self_linked: bool,
}

impl Model {
    fn lives(&self, pair: &(String, String)) -> bool {
        !self.trash.contains(&pair.0) && !self.trash.contains(&pair.1)
    }

    fn pair(side: usize, here: &str, there: &str) -> (String, String) {
        match side {
            0 => (here.to_owned(), there.to_owned()),
            _ => (there.to_owned(), here.to_owned()),
        }
    }

    /// The links of a cell, in order.
    fn cell(&self, side: usize, item: &str) -> Vec<String> {
        let mut members: Vec<(u64, String)> = Vec::new();
        for (pair, at) in self.links.iter().filter(|(pair, _)| self.lives(pair)) {
            let (here, there, position) = match side {
                0 => (&pair.0, &pair.1, at.0),
                _ => (&pair.1, &pair.0, at.1),
            };
            if here == item {
                members.push((position, there.clone()));
            }
        }
        members.sort();
        members.into_iter().map(|(_, there)| there).collect()
    }

    /// Does what was asked, or says that it may not be.
    fn edit(&mut self, side: usize, item: &str, how: &str, ids: &[String]) -> bool {
        if self.trash.contains(item)
            || ids.iter().any(|id| self.trash.contains(id)) && how != "DELETE"
        {
            return false;
        }
        let before = (self.links.clone(), self.clock);
        let present = self.cell(side, item);
        for other in &present {
            let goes = match how {
                "PUT" => !ids.contains(other),
                "DELETE" => ids.contains(other),
                _ => false,
            };
            if goes {
                self.links.remove(&Model::pair(side, item, other));
            }
        }
        if how != "DELETE" {
            for other in ids.iter().filter(|id| !present.contains(id)) {
                let full = self.single[side] && !self.cell(side, item).is_empty();
                let taken = self.single[1 - side] && !self.cell(1 - side, other).is_empty();
                if full || taken || self.single[side] && ids.len() > 1 {
                    (self.links, self.clock) = before;
                    return false;
                }
                self.clock += 1;
                let pair = Model::pair(side, item, other);
                self.links.insert(pair, (self.clock, self.clock));
            }
            if self.single[side] && ids.len() > 1 {
                (self.links, self.clock) = before;
                return false;
            }
        }
        if how == "PUT" && self.cell(side, item) != ids {
            for other in ids {
                self.clock += 1;
                let at = self.links.get_mut(&Model::pair(side, item, other)).unwrap();
                match side {
                    0 => at.0 = self.clock,
                    _ => at.1 = self.clock,
                }
            }
        }
        true
    }

    fn restore(&mut self, item: &str) -> bool {
        if !self.trash.remove(item) {
            return false;
        }
        let resting: Vec<(String, String)> = self.links.keys().cloned().collect();
        self.trash.insert(item.to_owned());
        let mut revived: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        for side in [0, 1] {
            let mut of_side: Vec<_> = resting
                .iter()
                .filter(|pair| {
                    if side == 0 {
                        pair.0 == item
                    } else {
                        pair.1 == item
                    }
                })
                .cloned()
                .collect();
            of_side.sort_by_key(|pair| {
                let at = self.links.get(pair).map_or((0, 0), |at| *at);
                if side == 0 { at.0 } else { at.1 }
            });
            for pair in of_side {
                let other = if side == 0 { &pair.1 } else { &pair.0 };
                if other != item && self.trash.contains(other) || revived.contains_key(&pair) {
                    continue;
                }
                let here = revived.keys().any(|known| {
                    if side == 0 {
                        known.0 == item
                    } else {
                        known.1 == item
                    }
                });
                let there = !self.cell(1 - side, other).is_empty()
                    || revived.keys().any(|known| {
                        if side == 0 {
                            &known.1 == other
                        } else {
                            &known.0 == other
                        }
                    });
                if self.single[side] && here || self.single[1 - side] && there {
                    self.links.remove(&pair);
                } else {
                    revived.insert(pair.clone(), self.links[&pair]);
                }
            }
        }
        self.trash.remove(item);
        true
    }
}

/// A workspace with the relation of a plan.
struct Scene {
    owner: Person,
    workspace: String,
    lists: [String; 2],
    items: [Vec<String>; 2],
    model: Model,
}

const KEYS: [&str; 2] = ["There", "Back"];

impl Scene {
    async fn new(app: &TestApp, rng: &mut StdRng) -> Scene {
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let one = owner.list(&workspace, &[("Name", "text")]).await;
        let self_linked = rng.random_bool(0.3);
        let other = match self_linked {
            true => one.clone(),
            false => owner.list(&workspace, &[("Name", "text")]).await,
        };
        let single = [rng.random_bool(0.3), rng.random_bool(0.3)];
        let spec = json!({"key": KEYS[0], "type": "link", "options": {"list_id": last(&other),
            "inverse_key": KEYS[1], "multiple": !single[0], "inverse_multiple": !single[1]}});
        owner.post(&format!("{one}/columns"), spec).await.is(201);
        let lists = [one, other];
        let mut items = [Vec::new(), Vec::new()];
        for side in [0, 1] {
            if side == 1 && self_linked {
                items[1] = items[0].clone();
                continue;
            }
            for n in 0..7 {
                let name = json!({"Name": format!("{side}{n}")});
                items[side].push(owner.item(&lists[side], name).await);
            }
        }
        Scene {
            owner,
            workspace,
            lists,
            items,
            model: Model {
                single,
                self_linked,
                ..Model::default()
            },
        }
    }

    /// One thing that somebody does: the model does it, and the server must agree whether it may be.
    async fn step(&mut self, rng: &mut StdRng) {
        let side = rng.random_range(0..2);
        let item = self.items[side].choose(rng).unwrap().clone();
        let path = format!("{}/items/{item}", self.lists[side]);
        let mut ids: Vec<String> = Vec::new();
        for _ in 0..rng.random_range(0..4) {
            let id = self.items[1 - side].choose(rng).unwrap();
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let answer;
        let wanted;
        match rng.random_range(0..10) {
            0 => {
                wanted = self.model.trash.insert(item.clone());
                answer = self.owner.delete(&path).await;
            }
            1 | 2 => {
                let trashed: Vec<_> = self.model.trash.iter().cloned().collect();
                let item = trashed.choose(rng).cloned().unwrap_or(item);
                let side = usize::from(!self.items[0].contains(&item));
                let path = format!("{}/items/{item}/restore", self.lists[side]);
                wanted = self.model.restore(&item);
                answer = self.owner.post(&path, json!({})).await;
            }
            3 | 4 => {
                wanted = self.model.edit(side, &item, "PUT", &ids);
                let patch = json!({"values": {KEYS[side]: ids, "Name": "n"}});
                answer = self.owner.patch(&path, patch).await;
            }
            n => {
                let how = ["POST", "PUT", "DELETE"][n % 3];
                wanted =
                    (how == "PUT" || !ids.is_empty()) && self.model.edit(side, &item, how, &ids);
                let path = format!("/api/v1{path}/links/{}", KEYS[side]);
                let method = how.parse().unwrap();
                let body = json!({"ids": ids});
                answer = self.owner.send(method, &path, Some(&body), &[]).await;
            }
        }
        let done = answer.status.is_success();
        assert_eq!(done, wanted, "{}", answer.text);
    }

    /// The cells of a side, as the pages of its items show them.
    async fn cells(&self, side: usize) -> Cells {
        let page = self.owner.get(&format!("{}/items", self.lists[side])).await;
        let items = page.is(200)["data"].as_array().unwrap();
        let ids = |cell: &Value| -> Vec<String> {
            let links = cell.as_array().into_iter().flatten();
            links
                .map(|link| link["id"].as_str().unwrap().to_owned())
                .collect()
        };
        items
            .iter()
            .map(|item| {
                let cell = ids(&item["values"][KEYS[side]]);
                assert_eq!(
                    item["values"][format!("{}__count", KEYS[side])]
                        .as_u64()
                        .unwrap_or(0),
                    cell.len() as u64
                );
                (item["id"].as_str().unwrap().to_owned(), cell)
            })
            .collect()
    }

    async fn agrees(&self) {
        let (there, back) = (self.cells(0).await, self.cells(1).await);
        // Both ends are the same links.
        let pairs = |cells: &Cells, side: usize| -> BTreeSet<(String, String)> {
            let all = cells
                .iter()
                .flat_map(|(here, others)| others.iter().map(move |other| (here, other)));
            all.map(|(here, other)| Model::pair(side, here, other))
                .collect()
        };
        assert_eq!(pairs(&there, 0), pairs(&back, 1));
        for (side, cells) in [(0, &there), (1, &back)] {
            for (item, held) in cells {
                assert_eq!(held, &self.model.cell(side, item), "side {side} of {item}");
            }
        }
    }
}

async fn plan(seed: u64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let app = TestApp::new().await;
    let mut scene = Scene::new(&app, rng).await;
    let server = app.address.to_string();
    let pages = [format!("http://{server}")];
    let mut lists = scene.lists.to_vec();
    lists.dedup();
    let mut copy = Replica::new(Caller::of(&scene.owner), &scene.workspace, &lists);
    copy.insist(&server, &pages).await;
    for _ in 0..6 {
        for _ in 0..12 {
            scene.step(rng).await;
        }
        scene.agrees().await;
        let end = scene.owner.seq(&scene.workspace).await;
        copy.settle(end, &server, &pages).await;
        let mut held = replica::Rows::new();
        for list in &lists {
            let (items, _) = copy.caller.items_since(&pages, list, end).await;
            held.extend(replica::rows(&items));
        }
        assert_eq!(copy.living(), held);
    }
    let _ = scene.model.self_linked;
    scene.owner.verified(&scene.workspace).await;
    tokio::task::block_in_place(|| drop(app));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_linked_deleted_and_restored_both_ends_and_every_copy_agree() {
    let one = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(0..4, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let done = tokio::spawn(plan(seed)).await;
        if let Err(error) = done {
            panic!("SEED={seed} failed: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_on_the_same_links_are_as_if_one_after_the_other() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Name", "text")]).await;
    let spec = json!({"key": "To", "type": "link", "options": {"list_id": last(&list),
        "inverse_key": "From", "multiple": true, "inverse_multiple": false}});
    owner.post(&format!("{list}/columns"), spec).await.is(201);
    let mut items = Vec::new();
    for n in 0..8 {
        items.push(owner.item(&list, json!({"Name": n.to_string()})).await);
    }
    for round in 0..6 {
        // All want the same item at once, and it may be linked once.
        let target = &items[round % items.len()];
        let free = json!({"values": {"From": []}});
        owner
            .patch(&format!("{list}/items/{target}"), free)
            .await
            .is(200);
        let seq = owner.seq(&workspace).await;
        let tries = items.iter().map(|item| {
            let path = format!("{list}/items/{item}/links/To");
            let owner = &owner;
            async move { owner.post(&path, json!({"ids": [target]})).await }
        });
        let answers = futures::future::join_all(tries).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        let lost = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((won, lost), (1, items.len() - 1));
        assert_eq!(
            owner.seq(&workspace).await,
            seq + 1,
            "one command, one event"
        );
        // Linked, unlinked and put into the trash at once.
        let path = format!("{list}/items/{target}");
        let other = format!("{list}/items/{}/links/To", items[(round + 1) % items.len()]);
        let ids = json!({"ids": [target]});
        let (put, cleared, deleted) = tokio::join!(
            owner.put(&other, ids),
            owner.patch(&path, json!({"values": {"From": []}})),
            owner.delete(&path),
        );
        for answer in [&put, &cleared] {
            assert!(
                [200, 409, 410, 422].contains(&answer.status.as_u16()),
                "{}",
                answer.text
            );
        }
        deleted.is(204);
        owner
            .post(&format!("{path}/restore"), json!({}))
            .await
            .is(200);
        let page = owner.get(&format!("{list}/items")).await;
        let items = page.is(200)["data"].as_array().unwrap();
        let mut ends = [BTreeSet::new(), BTreeSet::new()];
        for item in items {
            for (side, key) in ["To", "From"].into_iter().enumerate() {
                for link in item["values"][key].as_array().into_iter().flatten() {
                    let (here, there) =
                        (item["id"].as_str().unwrap(), link["id"].as_str().unwrap());
                    ends[side].insert(Model::pair(side, here, there));
                }
            }
        }
        assert_eq!(ends[0], ends[1]);
    }
    owner.verified(&workspace).await;
}

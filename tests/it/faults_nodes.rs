//! Servers that are halted, replaced and set against each other: the others go on, and whoever was
//! told something was told the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::app::TestApp;
use crate::support::db::TestDb;
use crate::support::editors::{Acknowledged, Ground};
use crate::support::program::{Server, data_folder, report, rounds};
use crate::support::replica::{self, Replica};

/// A workspace's birth and its list's.
const BEFORE: u64 = 2;
/// How far apart clients come and write: it is the replacement that is tried, not how many frames a
/// debug build can write.
const ARRIVE_EVERY: Duration = Duration::from_millis(15);
const WRITE_EVERY: Duration = Duration::from_millis(50);
const ARRIVE_WITHIN: Duration = Duration::from_secs(120);
/// A server that is told to stop has ended by then.
const EXIT_WITHIN: Duration = Duration::from_secs(25);

/// Two servers on one database, their addresses, and what is written to.
async fn two_nodes(db: &TestDb, folders: &[TempDir; 2]) -> ([Server; 2], [String; 2], Ground) {
    let nodes = folders
        .each_ref()
        .map(|folder| Server::node(folder.path(), 0, &db.app_url(), None));
    let both = nodes.each_ref().map(|node| node.url.clone());
    let ground = Ground::new(&both).await;
    (nodes, both, ground)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_server_is_halted_the_other_serves() {
    let (begun, seconds) = (Instant::now(), rounds("HALT", 1));
    let db = TestDb::new().await;
    let folders = [data_folder(), data_folder()];
    let ([one, other], both, ground) = two_nodes(&db, &folders).await;
    let warm = ground.editors(&both, 10);
    warm.advance(20).await;
    let (mut told, _) = warm.finish().await;
    // With nothing of its own under way.
    one.freeze(true);
    let editors = ground.editors(&both[1..], 50);
    let over = Instant::now() + Duration::from_secs(seconds as u64);
    while Instant::now() < over {
        editors.advance(20).await;
    }
    one.freeze(false);
    let (more, longest) = editors.finish().await;
    let during = more.len();
    told.extend(more);
    assert!(longest < Duration::from_secs(3), "one waited {longest:?}");
    // It caught up: it writes behind what it slept through.
    let awake = ground.editors(&both[..1], 10);
    awake.advance(20).await;
    told.extend(awake.finish().await.0);
    ground.check(&both, &told, BEFORE).await;
    assert!(one.stop().success() && other.stop().success());
    let outcome = format!(
        "{during} writes elsewhere, {} ms at most",
        longest.as_millis()
    );
    report("node: SIGSTOP (seconds)", seconds, &outcome, begun);
}

/// Halted under load it holds, as like as not, an open transaction on the head of the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_halted_in_a_transaction_blocks_the_other_only_for_a_while() {
    let (begun, times) = (Instant::now(), rounds("HALTS_UNDER_LOAD", 1));
    let db = TestDb::new().await;
    let folders = [data_folder(), data_folder()];
    let ([one, other], both, ground) = two_nodes(&db, &folders).await;
    let mut told = Acknowledged::new();
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let editors = ground.editors(&both, 30);
        editors.advance(60).await;
        one.freeze(true);
        let halted = Instant::now();
        // Half of them wait at the other server; the rest come over when they lose patience.
        editors.advance(60).await;
        longest = longest.max(halted.elapsed());
        one.freeze(false);
        told.extend(editors.finish().await.0);
    }
    ground.check(&both, &told, BEFORE).await;
    assert!(longest < Duration::from_secs(12), "nothing for {longest:?}");
    assert!(one.stop().success() && other.stop().success());
    let outcome = format!(
        "{} writes, at a stand for {} ms at most",
        told.len(),
        longest.as_millis()
    );
    report(
        "node: SIGSTOP in the midst of writes",
        times,
        &outcome,
        begun,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_replaced_one_by_one_fail_nobody() {
    let (begun, clients) = (Instant::now(), rounds("CLIENTS", 50));
    let replaced = rounds("REPLACED", 1);
    let db = TestDb::new().await;
    let folders = [data_folder(), data_folder()];
    let mut nodes: Vec<Option<Server>> = folders
        .iter()
        .map(|folder| Some(Server::node(folder.path(), 0, &db.app_url(), None)))
        .collect();
    let urls: Vec<String> = nodes
        .iter()
        .flatten()
        .map(|node| node.url.clone())
        .collect();
    let ports: Vec<u16> = nodes.iter().flatten().map(Server::port).collect();
    let ground = Ground::new(&urls).await;
    let over = Arc::new(AtomicBool::new(false));
    let here = Arc::new(AtomicUsize::new(0));
    let mut following = JoinSet::new();
    for client in 0..clients {
        let mut replica = Replica::new(
            ground.owner.clone(),
            &ground.workspace,
            std::slice::from_ref(&ground.list),
        );
        let (mut urls, over) = (urls.clone(), Arc::clone(&over));
        let here = Arc::clone(&here);
        urls.rotate_left(client % 2);
        following.spawn(async move {
            tokio::time::sleep(ARRIVE_EVERY * client as u32).await;
            let mut sockets = urls
                .iter()
                .map(|url| url.trim_start_matches("http://"))
                .cycle();
            while !over.load(Ordering::SeqCst) {
                if replica
                    .connect(sockets.next().unwrap(), &urls)
                    .await
                    .is_err()
                {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                if replica.is_connected() && replica.resumed == 0 {
                    here.fetch_add(1, Ordering::SeqCst);
                }
                while !over.load(Ordering::SeqCst) && replica.is_connected() {
                    let moment = Duration::from_millis(500);
                    let _ = replica.listen(moment, &urls).await;
                }
            }
            replica
        });
    }
    // A write each now and then: it is the restarts that are tried, not the machine's speed.
    let mut writing = JoinSet::new();
    for client in 0..clients {
        let (owner, path) = (ground.owner.clone(), format!("{}/items", ground.list));
        let (mut urls, over) = (urls.clone(), Arc::clone(&over));
        urls.rotate_left(client % 2);
        writing.spawn(async move {
            let mut told = Acknowledged::new();
            let first = client as u64 * 1_000;
            for n in first.. {
                // The first at its own time, the next after everybody else's.
                let turn = if n == first { client } else { clients };
                tokio::time::sleep(WRITE_EVERY * turn as u32).await;
                if n > first && over.load(Ordering::SeqCst) {
                    break;
                }
                let body = json!({"values": {"N": n}});
                let made = owner
                    .insist(&urls, "POST", &path, &format!("n{n}"), &body)
                    .await
                    .is(201);
                told.insert(n, made["id"].as_str().unwrap().to_owned());
            }
            told
        });
    }
    while here.load(Ordering::SeqCst) < clients {
        assert!(
            begun.elapsed() < ARRIVE_WITHIN,
            "{here:?} clients of {clients} follow"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut longest = Duration::ZERO;
    for ((node, folder), port) in nodes.iter_mut().zip(&folders).zip(&ports).take(replaced) {
        let told = Instant::now();
        assert!(node.take().unwrap().stop().success());
        longest = longest.max(told.elapsed());
        *node = Some(Server::node(folder.path(), *port, &db.app_url(), None));
    }
    assert!(longest < EXIT_WITHIN, "it took {longest:?} to end");
    over.store(true, Ordering::SeqCst);
    let mut told = Acknowledged::new();
    while let Some(ended) = writing.join_next().await {
        told.extend(ended.unwrap());
    }
    ground.check(&urls, &told, BEFORE).await;
    let pages = replica::rows(&ground.owner.items(&urls, &ground.list).await);
    let end = BEFORE as i64 + told.len() as i64;
    let mut resumed = 0;
    let mut replicas = following.join_all().await;
    for (client, replica) in replicas.iter_mut().enumerate() {
        let socket = urls[client % 2].trim_start_matches("http://");
        replica.settle(end, socket, &urls).await;
        let living = replica.living();
        let missing: Vec<_> = pages
            .iter()
            .filter(|(at, row)| living.get(at) != Some(row))
            .collect();
        let strange: Vec<_> = living
            .iter()
            .filter(|(at, row)| pages.get(at) != Some(row))
            .collect();
        assert!(
            living == pages,
            "client {client}, at {:?} after {} resumptions and {} resets, misses {missing:?} and holds {strange:?}",
            replica.position(),
            replica.resumed,
            replica.resets,
        );
        resumed += replica.resumed;
    }
    drop(replicas);
    drop(nodes);
    let outcome = format!(
        "{} writes, 0 failed, {resumed} sockets resumed, exit in {} ms at most",
        told.len(),
        longest.as_millis()
    );
    let fault = format!("nodes: {replaced} of two replaced (clients)");
    report(&fault, clients, &outcome, begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_demote_each_other_leave_one() {
    let (begun, rounds) = (Instant::now(), rounds("DEMOTIONS", 24));
    let app = TestApp::new().await;
    let second = app.again();
    let one = app.person("one").await;
    let other = app.person("other").await;
    let workspace = one.workspace().await;
    one.bring(&workspace, &other, "admin").await;
    let of = |id: &str| format!("{workspace}/members/{id}");
    let role = |role: &str| json!({ "role": role });
    one.patch(&of(&other.id), role("owner")).await.is(200);
    let mut fell = [0, 0];
    for round in 0..rounds {
        // Each has either server as often, so that each may be the faster.
        let at = |first: bool| if first { &app } else { &second };
        let (one, other) = (one.at(at(round % 2 == 0)), other.at(at(round % 2 == 1)));
        let (theirs, ours) = (of(&other.id), of(&one.id));
        let (first, second) = tokio::join!(
            one.patch(&theirs, role("editor")),
            other.patch(&ours, role("editor")),
        );
        let members = one.get(&format!("{workspace}/members")).await;
        let owners: Vec<&str> = members.is(200)["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|member| member["role"] == "owner")
            .map(|member| member["user_id"].as_str().unwrap())
            .collect();
        assert_eq!(owners.len(), 1, "{} {}", first.text, second.text);
        assert_ne!(first.status == 200, second.status == 200);
        // The one who is left takes the other up again.
        let loser = usize::from(owners[0] == one.id);
        fell[loser] += 1;
        let path = [&ours, &theirs][loser];
        [&other, &one][loser]
            .patch(path, role("owner"))
            .await
            .is(200);
    }
    one.verified(&workspace).await;
    let outcome = format!("an owner always; {} to {}", fell[0], fell[1]);
    report(
        "two owners demote each other, on two nodes",
        rounds,
        &outcome,
        begun,
    );
}

/// A client drops the event of a version that it read in a page: so a page must show all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_all_of_the_versions_that_it_names() {
    let (begun, reads) = (Instant::now(), rounds("READS", 5));
    let app = TestApp::new().await;
    let second = app.again();
    let owner = app.person("owner").await;
    let there = owner.at(&second);
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("N", "number")]).await;
    let item = format!("{list}/items/{}", owner.item(&list, json!({"N": 1})).await);
    for n in 0..reads {
        let key = format!("C{n}");
        there.get(&item).await.is(200);
        // The other server hears of the new column within a second.
        let column = json!({"key": key, "type": "number"});
        owner.post(&format!("{list}/columns"), column).await.is(201);
        owner
            .patch(&item, json!({"values": {&key: 5}}))
            .await
            .is(200);
        let told = owner.get(&item).await;
        for path in [item.clone(), format!("{list}/items")] {
            let page = there.get(&path).await;
            let read = match page.is(200).get("data") {
                Some(items) => &items[0],
                None => &page.body,
            };
            assert!(
                read["version"] != told.body["version"] || read["values"] == told.body["values"],
                "{path}: {} of the item is not {}",
                read,
                told.body
            );
        }
    }
    let outcome = "each shows all of the version that it names";
    report(
        "pages beside another server's new columns",
        reads,
        outcome,
        begun,
    );
}

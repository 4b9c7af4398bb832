//! Two servers on one database that write one workspace at the same time: correct on both, whoever is
//! faster.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, last};
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_write_one_busy_workspace_and_refuse_nothing() {
    const WRITERS: usize = 8;
    const WRITES: usize = 12;
    let here = TestApp::new().await;
    let owner = here.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Price", "number"), ("No", "auto_number")])
        .await;
    let shared = owner.item(&list, json!({"Price": 0})).await;
    let elsewhere = here.again();
    let before = owner.seq(&workspace).await;

    let writers = (0..WRITERS).map(|writer| {
        let person = match writer % 2 {
            0 => owner.clone(),
            _ => owner.at(&elsewhere),
        };
        let (list, shared) = (list.clone(), shared.clone());
        tokio::spawn(async move {
            for n in 0..WRITES {
                person.item(&list, json!({"Price": n})).await;
                let edit = json!({"values": {"Price": writer * 100 + n}});
                person
                    .patch(&format!("{list}/items/{shared}"), edit)
                    .await
                    .is(200);
            }
        })
    });
    // The schema changes under them, on both.
    let admins = [owner.clone(), owner.at(&elsewhere)].map(|person| {
        let list = list.clone();
        tokio::spawn(async move {
            for n in 0..WRITES {
                let key = format!("Extra{n}{}", uuid::Uuid::new_v4().simple());
                let column = json!({"key": key, "name": key, "type": "text"});
                person
                    .post(&format!("{list}/columns"), column)
                    .await
                    .is(201);
            }
        })
    });
    for done in futures::future::join_all(writers.chain(admins)).await {
        done.unwrap();
    }

    let writes = WRITERS * WRITES * 2 + 2 * WRITES;
    let both = [owner.clone(), owner.at(&elsewhere)];
    for person in &both {
        // A position that was acknowledged anywhere can be asked for everywhere.
        let now = i64::try_from(writes).unwrap() + before;
        let (path, now_text) = (format!("/api/v1{list}/items?limit=1000"), now.to_string());
        let least = [("x-min-seq", now_text.as_str())];
        let page = person.send(Method::GET, &path, None, &least).await;
        let items = page.is(200)["data"].as_array().unwrap().clone();
        let numbers: BTreeSet<i64> = items
            .iter()
            .map(|item| item["values"]["No"].as_i64().unwrap())
            .collect();
        let made = i64::try_from(WRITERS * WRITES + 1).unwrap();
        assert_eq!(
            numbers,
            (1..=made).collect(),
            "each number once, none left out"
        );
        assert_eq!(person.seq(&workspace).await, now);
    }
    owner.verified(&workspace).await;
}

/// A client moves between servers faster than they hear of each other: that costs a moment, and not a
/// reading of everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_moves_to_a_server_that_is_behind_goes_on_where_it_stood() {
    let here = TestApp::new().await;
    let elsewhere = here.again();
    let owner = here.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    // Both know the workspace.
    owner.at(&elsewhere).get(&list).await.is(200);
    let mut socket = Socket::open(&here, &owner).await;
    socket.follow(&workspace, None).await;
    let mut at = &here;
    for (n, next) in [&elsewhere, &here, &elsewhere].into_iter().enumerate() {
        owner.at(at).item(&list, json!({"Price": n})).await;
        let seen = socket.next("events").await;
        let since = json!({"seq": seen["through"], "mark": seen["mark"]});
        socket = Socket::open(next, &owner).await;
        let subscribed = socket.follow(&workspace, Some(since)).await;
        assert_eq!(subscribed["seq"], seen["through"]);
        at = next;
    }
    owner.at(at).item(&list, json!({"Price": 9})).await;
    assert_eq!(
        socket.next("events").await["events"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// Without Redis: the other server has not heard of the newcomer when the newcomer is there.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_in_on_one_server_is_no_outsider_on_the_other() {
    let here = TestApp::new().await;
    let elsewhere = here.again();
    let owner = here.person("owner").await;
    let workspace = owner.workspace().await;
    for n in 0..5 {
        // It runs there, as of before.
        owner.at(&elsewhere).get(&workspace).await.is(200);
        let (guest, other) = (
            here.person(&format!("guest{n}")).await,
            here.person(&format!("other{n}")).await,
        );
        owner.bring(&workspace, &guest, "viewer").await;
        guest.at(&elsewhere).get(&workspace).await.is(200);
        owner.bring(&workspace, &other, "viewer").await;
        let other = other.at(&elsewhere);
        Socket::open(&elsewhere, &other)
            .await
            .follow(&workspace, None)
            .await;
    }
    let stranger = here.person("stranger").await.at(&elsewhere);
    stranger.get(&workspace).await.refuses(404, "not_found");
}

/// Titles of linked items are kept in memory; what was written elsewhere is heard of.
#[tokio::test(flavor = "multi_thread")]
async fn a_linked_item_that_is_renamed_shows_its_new_title_on_both_servers() {
    let here = TestApp::new().await;
    let owner = here.person("owner").await;
    let workspace = owner.workspace().await;
    let people = owner
        .list(&workspace, &[("Name", "text"), ("Nick", "text")])
        .await;
    let deals = owner.list(&workspace, &[("Name", "text")]).await;
    let options = json!({"list_id": last(&people), "inverse_key": "Deals"});
    let spec = json!({"key": "Agent", "type": "link", "options": options});
    owner.post(&format!("{deals}/columns"), spec).await.is(201);
    let agent = owner.item(&people, json!({"Name": "0", "Nick": "N"})).await;
    let deal = owner
        .item(&deals, json!({"Name": "D", "Agent": [agent]}))
        .await;
    let there = here.again();
    let there = owner.at(&there);
    let shown = async |person: &Person, seq: &Value| {
        let seq = seq.as_i64().unwrap().to_string();
        let path = format!("/api/v1{deals}/items/{deal}");
        let least = [("x-min-seq", seq.as_str())];
        let item = person.send(Method::GET, &path, None, &least).await;
        item.is(200)["values"]["Agent"][0]["title"].clone()
    };
    let path = format!("{people}/items/{agent}");
    let rename = async |person: &Person, name: &str| {
        let renamed = person.patch(&path, json!({"values": {"Name": name}})).await;
        renamed.is(200)["seq"].clone()
    };
    let both = [&owner, &there];
    for round in 0..6 {
        // Who writes changes, and both have read it before.
        let writer = both[round % 2];
        let name = round.to_string();
        let seq = rename(writer, &name).await;
        for person in both {
            assert_eq!(shown(person, &seq).await, name.as_str());
        }
        rename(writer, "X").await;
        let seq = writer.undo(&workspace).await["seq"].clone();
        for person in both {
            assert_eq!(shown(person, &seq).await, name.as_str());
        }
    }
    // Another column is the title.
    let name = format!("{people}/columns/Name");
    owner.delete(&name).await.is(204);
    let seq = json!(owner.seq(&workspace).await);
    for person in both {
        assert_eq!(shown(person, &seq).await, "N");
    }
}

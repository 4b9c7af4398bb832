//! Undo and redo: a person's own changes taken back by one compensating change, all or nothing, over items,
//! batches, links, the schema, views, comments and imports.

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, ground, last};

async fn values(person: &Person, list: &str, item: &str) -> Value {
    let path = format!("{list}/items/{item}");
    person.get(&path).await.is(200)["values"].clone()
}

/// The event at a position.
async fn event(person: &Person, workspace: &str, seq: &Value) -> Value {
    let after = seq.as_i64().unwrap() - 1;
    let path = format!("{workspace}/events?after_seq={after}&limit=1");
    person.get(&path).await.is(200)["data"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_undone_and_redone_by_events_that_say_so() {
    let (_app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let path = format!("{list}/items/{item}");
    owner
        .patch(&path, json!({"values": {"Price": 2}}))
        .await
        .is(200);
    let edited = owner.seq(&workspace).await;

    let undone = owner.undo(&workspace).await;
    assert_eq!(undone["undoes"], edited);
    assert_eq!(values(&owner, &list, &item).await, json!({"Price": 1}));
    let told = event(&owner, &workspace, &undone["seq"]).await;
    assert_eq!(
        (&told["kind"], &told["undoes"]),
        (&json!("items.changed"), &json!(edited))
    );
    assert_eq!(told["changes"][0]["set"], json!({"Price": 1}));

    let redone = owner.redo(&workspace).await;
    assert_eq!(redone["undoes"], undone["seq"]);
    assert_eq!(values(&owner, &list, &item).await, json!({"Price": 2}));

    // Undone again, and then the making of the item: its item is in the trash.
    owner.undo(&workspace).await;
    owner.undo(&workspace).await;
    owner.get(&path).await.refuses(410, "gone");
    owner.redo(&workspace).await;
    assert_eq!(values(&owner, &list, &item).await, json!({"Price": 1}));
    owner.redo(&workspace).await;
    assert_eq!(values(&owner, &list, &item).await, json!({"Price": 2}));
    let nothing = owner.post(&format!("{workspace}/redo"), json!({})).await;
    nothing.refuses(409, "conflict");
    assert_eq!(nothing.body["errors"][0]["code"], "nothing_to_redo");
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_change_ends_what_can_be_redone() {
    let (_app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let path = format!("{list}/items/{item}");
    owner
        .patch(&path, json!({"values": {"Price": 2}}))
        .await
        .is(200);
    owner.undo(&workspace).await;
    owner
        .patch(&path, json!({"values": {"Price": 3}}))
        .await
        .is(200);
    let answer = owner.post(&format!("{workspace}/redo"), json!({})).await;
    answer.refuses(409, "conflict");
    // The change that was undone is skipped.
    owner.undo(&workspace).await;
    assert_eq!(values(&owner, &list, &item).await, json!({"Price": 1}));
    owner.undo(&workspace).await;
    owner.get(&path).await.refuses(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_since_refuses_the_whole_and_is_listed() {
    let (app, owner, workspace, list) = ground().await;
    owner
        .post(
            &format!("{list}/columns"),
            json!({"key": "Note", "type": "text"}),
        )
        .await
        .is(201);
    let other = app.person("other").await;
    owner.bring(&workspace, &other, "editor").await;
    let mut items = Vec::new();
    for price in 0..3 {
        items.push(owner.item(&list, json!({"Price": price})).await);
    }
    let patches: Vec<Value> = items
        .iter()
        .map(|id| json!({"id": id, "values": {"Price": 9, "Note": "n"}}))
        .collect();
    owner
        .patch(&format!("{list}/items"), json!({"items": patches}))
        .await
        .is(200);
    let path = format!("{list}/items/{}", items[1]);
    other
        .patch(&path, json!({"values": {"Price": 10}}))
        .await
        .is(200);
    let seq = owner.seq(&workspace).await;

    let refused = owner.post(&format!("{workspace}/undo"), json!({})).await;
    refused.refuses(409, "conflict");
    assert_eq!(refused.body["errors"][0]["code"], "changed_since");
    let changed = refused.body["current"]["changed"].as_array().unwrap();
    assert_eq!(
        *changed,
        [
            json!({"list": last(&list), "item": items[1], "column": "Price",
                "actor": {"user": other.id}, "seq": seq})
        ]
    );
    assert_eq!(values(&owner, &list, &items[0]).await["Price"], 9);

    // What was undone by whoever did it does not stand in the way.
    other.undo(&workspace).await;
    owner.undo(&workspace).await;
    for (price, item) in items.iter().enumerate() {
        assert_eq!(values(&owner, &list, item).await, json!({"Price": price}));
    }
    // Another cell of the same items never did.
    owner.redo(&workspace).await;
    owner
        .patch(
            &format!("{list}/items/{}", items[0]),
            json!({"values": {"Note": "m"}}),
        )
        .await
        .is(200);
    let batch = owner.seq(&workspace).await - 1;
    let named = owner
        .post(&format!("{workspace}/undo"), json!({"seq": batch}))
        .await;
    named.refuses(409, "conflict");
    assert_eq!(named.body["errors"][0]["code"], "is_an_undoing");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_and_restorations_are_undone_in_batches() {
    let (_app, owner, workspace, list) = ground().await;
    let items: Vec<Value> = (0..50).map(|n| json!({"values": {"Price": n}})).collect();
    let made = owner
        .post(&format!("{list}/items"), json!({"items": items}))
        .await;
    let ids: Vec<Value> = made.is(201)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].clone())
        .collect();
    let count = async || {
        let page = owner.get(&format!("{list}/items?limit=1000")).await;
        page.is(200)["data"].as_array().unwrap().len()
    };
    owner
        .post(&format!("{list}/items/delete"), json!({"ids": ids}))
        .await
        .is(204);
    assert_eq!(count().await, 0);
    let undone = owner.undo(&workspace).await;
    assert_eq!((count().await, &undone["count"]), (50, &json!(50)));
    owner.undo(&workspace).await;
    assert_eq!(count().await, 0);
    owner.redo(&workspace).await;
    assert_eq!(count().await, 50);
    owner.redo(&workspace).await;
    assert_eq!(count().await, 0);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_undoes_ones_own_and_what_one_may_write() {
    let (app, owner, workspace, list) = ground().await;
    let editor = app.person("editor").await;
    owner.bring(&workspace, &editor, "editor").await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let seq = owner.seq(&workspace).await;
    let path = format!("{workspace}/undo");
    editor
        .post(&path, json!({"seq": seq}))
        .await
        .refuses(403, "forbidden");
    let nothing = editor.post(&path, json!({})).await;
    assert_eq!(nothing.is(409)["errors"][0]["code"], "nothing_to_undo");
    editor
        .patch(
            &format!("{list}/items/{item}"),
            json!({"values": {"Price": 2}}),
        )
        .await
        .is(200);
    let member = format!("{workspace}/members/{}", editor.id);
    owner
        .patch(&member, json!({"role": "commenter"}))
        .await
        .is(200);
    let demoted = owner.seq(&workspace).await;
    editor
        .post(&path, json!({}))
        .await
        .refuses(403, "forbidden");
    // A role is not undone: it is skipped, and refused where it is named.
    let named = owner.post(&path, json!({"seq": demoted})).await;
    assert_eq!(named.is(409)["errors"][0]["code"], "not_undoable");
    let blocked = owner.post(&path, json!({})).await;
    assert_eq!(
        blocked.is(409)["current"]["changed"][0]["seq"],
        json!(demoted - 1)
    );
    owner
        .post(&path, json!({"seq": 100_000}))
        .await
        .refuses(404, "not_found");
    owner
        .post(&path, json!({"sequence": 1}))
        .await
        .refuses(422, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_key_undoes_once() {
    let (_app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    for price in 2..5 {
        owner
            .patch(
                &format!("{list}/items/{item}"),
                json!({"values": {"Price": price}}),
            )
            .await
            .is(200);
    }
    let path = format!("{workspace}/undo");
    let first = owner.keyed(&path, "undo-1", json!({})).await;
    let again = owner.keyed(&path, "undo-1", json!({})).await;
    assert_eq!(first.is(200), again.is(200), "the same answer");
    assert_eq!(values(&owner, &list, &item).await, json!({"Price": 3}));
    let other = owner.keyed(&path, "undo-1", json!({"seq": 3})).await;
    other.refuses(422, "idempotency_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_undo_as_one() {
    let (app, owner, workspace, list) = ground().await;
    let beside = app.again();
    let there = owner.at(&beside);
    there.get(&workspace).await.is(200);
    let item = owner.item(&list, json!({"Price": 1})).await;
    for price in 2..8 {
        let person = if price % 2 == 0 { &owner } else { &there };
        person
            .patch(
                &format!("{list}/items/{item}"),
                json!({"values": {"Price": price}}),
            )
            .await
            .is(200);
    }
    for price in (1..7).rev() {
        let person = if price % 2 == 0 { &owner } else { &there };
        person.undo(&workspace).await;
        assert_eq!(values(person, &list, &item).await, json!({"Price": price}));
    }
    owner.verified(&workspace).await;
}

fn ids(cell: &Value) -> Vec<&str> {
    let links = cell.as_array().into_iter().flatten();
    links.map(|link| link["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_come_and_go_with_both_ends_in_their_order() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let (homes, contacts) = owner
        .linked_lists(&workspace, &[("Price", "number"), ("Street", "text")])
        .await;
    let mut people = Vec::new();
    for name in ["Ann", "Bob", "Cid"] {
        people.push(owner.item(&contacts, json!({"Name": name})).await);
    }
    let home = owner.item(&homes, json!({"Price": 1})).await;
    let cell = format!("{homes}/items/{home}/links/Owners");
    owner.post(&cell, json!({"ids": people})).await.is(200);
    let reversed: Vec<&String> = people.iter().rev().collect();
    owner.put(&cell, json!({"ids": reversed})).await.is(200);
    owner
        .delete_with(&cell, json!({"ids": [people[1]]}))
        .await
        .is(204);
    let owners = async || values(&owner, &homes, &home).await["Owners"].clone();
    assert_eq!(ids(&owners().await), [&people[2], &people[0]]);

    owner.undo(&workspace).await;
    assert_eq!(ids(&owners().await), [&people[2], &people[1], &people[0]]);
    owner.undo(&workspace).await;
    assert_eq!(ids(&owners().await), [&people[0], &people[1], &people[2]]);
    owner.undo(&workspace).await;
    assert!(ids(&owners().await).is_empty());
    assert!(values(&owner, &contacts, &people[0]).await["Homes"].is_null());
    for _ in 0..3 {
        owner.redo(&workspace).await;
    }
    assert_eq!(ids(&owners().await), [&people[2], &people[0]]);

    // Another links the same home meanwhile: that link stays.
    let other = app.person("other").await;
    owner.bring(&workspace, &other, "editor").await;
    let dee = other.item(&contacts, json!({"Name": "Dee"})).await;
    other.post(&cell, json!({"ids": [dee]})).await.is(200);
    owner.undo(&workspace).await;
    let mut now: Vec<String> = ids(&owners().await)
        .iter()
        .map(ToString::to_string)
        .collect();
    now.sort();
    let mut all = people.clone();
    all.push(dee);
    all.sort();
    assert_eq!(now, all);
    // One who is deleted and comes back brings the links along.
    other
        .delete(&format!("{contacts}/items/{}", people[0]))
        .await
        .is(204);
    let refused = owner.post(&format!("{workspace}/redo"), json!({})).await;
    assert_eq!(
        refused.status, 200,
        "the redo is of another link: {}",
        refused.text
    );
    other.undo(&workspace).await;
    assert!(ids(&owners().await).contains(&people[0].as_str()));
    owner.verified(&workspace).await;
}

/// A batch as large as one may be, back and forth: from the second time on the log is asked what has
/// happened to each of its items since.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_items_go_back_and_forth() {
    let (_app, owner, workspace, list) = ground().await;
    let path = format!("{list}/items");
    let items = vec![json!({"values": {"Price": 1}}); 5_000];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = owner.post(&path, json!({"items": items})).await;
        let made = made.is(201)["data"].as_array().unwrap().iter();
        ids.extend(made.map(|item| item["id"].clone()));
    }
    let patches: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "values": {"Price": 2}}))
        .collect();
    owner.patch(&path, json!({"items": patches})).await.is(200);
    for price in [1, 2, 1, 2] {
        let moved = match price {
            1 => owner.undo(&workspace).await,
            _ => owner.redo(&workspace).await,
        };
        assert_eq!(moved["count"], 10_000);
        let last = ids[9_999].as_str().unwrap();
        assert_eq!(values(&owner, &list, last).await["Price"], price);
    }
}

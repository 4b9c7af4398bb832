//! Several items become one by one change: cells, links, comments and history of all of them, and back.

use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, last};
use crate::support::socket::Socket;

/// People with deals: a deal has one agent and several buyers.
struct Ground {
    app: TestApp,
    owner: Person,
    workspace: String,
    people: String,
    deals: String,
}

impl Ground {
    async fn new() -> Ground {
        Ground::with("unlink").await
    }

    async fn with(on_delete: &str) -> Ground {
        let app = TestApp::new().await;
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let columns = [
            ("Name", "text"),
            ("Email", "email"),
            ("Phone", "phone"),
            ("Age", "number"),
        ];
        let people = owner.list(&workspace, &columns).await;
        let deals = owner.list(&workspace, &[("Name", "text")]).await;
        for (key, inverse, multiple) in [("Agent", "Sales", false), ("Buyers", "Deals", true)] {
            let options = json!({"list_id": last(&people), "inverse_key": inverse, "multiple": multiple,
                "on_delete": on_delete});
            let spec = json!({"key": key, "type": "link", "options": options});
            let path = format!("{deals}/columns");
            owner.post(&path, spec).await.is(201);
        }
        Ground {
            app,
            owner,
            workspace,
            people,
            deals,
        }
    }

    async fn person(&self, values: Value) -> String {
        self.owner.item(&self.people, values).await
    }

    async fn merge(&self, body: Value) -> Answer {
        self.owner
            .post(&format!("{}/merge", self.people), body)
            .await
    }

    async fn values(&self, list: &str, item: &str) -> Value {
        let answer = self.owner.get(&format!("{list}/items/{item}")).await;
        answer.is(200)["values"].clone()
    }

    async fn linked(&self, list: &str, item: &str, key: &str) -> Vec<String> {
        let values = self.values(list, item).await;
        let links = values[key].as_array().into_iter().flatten();
        links
            .map(|link| link["id"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn comments(&self, item: &str) -> Vec<String> {
        let path = format!("{}/items/{item}/comments", self.people);
        let page = self.owner.get(&path).await;
        let comments = page.is(200)["data"].as_array().unwrap();
        comments
            .iter()
            .map(|comment| comment["body"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn comment(&self, item: &str, body: &str) -> String {
        let path = format!("{}/items/{item}/comments", self.people);
        let made = self.owner.post(&path, json!({"body": body})).await;
        made.is(201)["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_of_several_is_of_one_and_can_be_taken_back() {
    let ground = Ground::new().await;
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let anne = ground
        .person(json!({"Name": "Anne", "Email": "ann@example.com", "Age": 30}))
        .await;
    let a = ground
        .person(json!({"Name": "A.", "Phone": "+14155550132", "Age": 31}))
        .await;
    let deal = async |values: Value| ground.owner.item(&ground.deals, values).await;
    let first = deal(json!({"Name": "1", "Agent": [anne], "Buyers": [ann, anne]})).await;
    let second = deal(json!({"Name": "2", "Agent": [a], "Buyers": [a]})).await;
    ground.comment(&ann, "one").await;
    let two = ground.comment(&anne, "two").await;
    let mut socket = Socket::open(&ground.app, &ground.owner).await;
    socket.follow(&ground.workspace, None).await;
    let before = ground.owner.seq(&ground.workspace).await;

    let merge = json!({"keep": ann, "merge": [anne, a], "values": {"Name": "Ann Oak"}});
    let merged = ground.merge(merge).await;

    assert_eq!(ground.owner.seq(&ground.workspace).await, before + 1);
    let values = &merged.is(200)["values"];
    assert_eq!(values["Name"], "Ann Oak");
    assert_eq!(
        (&values["Email"], &values["Age"]),
        (&json!("ann@example.com"), &json!(30))
    );
    assert_eq!(values["Phone"], "+14155550132");
    assert_eq!(
        ground.linked(&ground.people, &ann, "Deals").await,
        [first.as_str(), &second]
    );
    assert_eq!(
        ground.linked(&ground.people, &ann, "Sales").await,
        [first.as_str(), &second]
    );
    assert_eq!(
        ground.linked(&ground.deals, &first, "Buyers").await,
        [ann.as_str()]
    );
    assert_eq!(
        ground.linked(&ground.deals, &second, "Agent").await,
        [ann.as_str()]
    );
    for gone in [&anne, &a] {
        let path = format!("{}/items/{gone}", ground.people);
        ground.owner.get(&path).await.is(410);
        ground.owner.get(&format!("{path}/history")).await.is(200);
    }
    assert_eq!(ground.comments(&ann).await, ["one", "two"]);
    // A comment of the other is the kept one's to change.
    let path = format!("{}/items/{ann}/comments/{two}", ground.people);
    ground
        .owner
        .patch(&path, json!({"body": "2"}))
        .await
        .is(200);
    assert_eq!(ground.comments(&ann).await, ["one", "2"]);
    let history = ground
        .owner
        .get(&format!("{}/items/{ann}/history", ground.people))
        .await;
    let entries = history.is(200)["data"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry["kind"] == "items.merged")
        .unwrap();
    assert_eq!(entry["change"]["merged"], json!([anne, a]), "{entry}");
    let event = &socket.next("events").await["events"][0];
    assert_eq!(event["kind"], "items.merged");
    assert_eq!(event["changes"][0]["merged"], json!([anne, a]));
    assert_eq!(event["changes"][0]["was"]["Name"], "Ann");

    let undo = format!("{}/undo", ground.workspace);
    ground
        .owner
        .post(&undo, json!({"seq": before + 1}))
        .await
        .is(200);
    let values = ground.values(&ground.people, &ann).await;
    assert_eq!(
        (&values["Name"], values.get("Email"), values.get("Age")),
        (&json!("Ann"), None, None)
    );
    assert_eq!(
        ground.linked(&ground.people, &ann, "Deals").await,
        [first.as_str()]
    );
    assert_eq!(ground.linked(&ground.people, &ann, "Sales").await, [""; 0]);
    let buyers = ground.linked(&ground.deals, &first, "Buyers").await;
    assert_eq!(buyers.len(), 2);
    assert_eq!(
        ground.linked(&ground.deals, &first, "Agent").await,
        [anne.as_str()]
    );
    assert_eq!(
        ground.linked(&ground.deals, &second, "Agent").await,
        [a.as_str()]
    );
    assert_eq!(ground.comments(&ann).await, ["one"]);
    assert_eq!(ground.comments(&anne).await, ["2"]);
    ground.owner.redo(&ground.workspace).await;
    assert_eq!(
        ground.linked(&ground.people, &ann, "Deals").await,
        [first.as_str(), &second]
    );
    // It is a merge again, with all that is said of the others.
    assert_eq!(ground.comments(&ann).await, ["one", "2"]);
    let events = format!("{}/events?after_seq={}", ground.workspace, before + 1);
    let events = ground.owner.get(&events).await;
    let redone = events.is(200)["data"].as_array().unwrap().last().unwrap();
    assert_eq!(redone["kind"], "items.merged");
    assert_eq!(redone["changes"][0]["merged"], json!([anne, a]));
    let then = ground
        .owner
        .get(&format!("{}/items/{anne}?as_of={before}", ground.people))
        .await;
    assert_eq!(then.is(200)["values"]["Name"], "Anne");
    ground.owner.verified(&ground.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_makes_no_sense_changes_nothing() {
    let ground = Ground::new().await;
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let bob = ground.person(json!({"Name": "Bob"})).await;
    let gone = ground.person(json!({"Name": "Gone"})).await;
    ground
        .owner
        .delete(&format!("{}/items/{gone}", ground.people))
        .await
        .is(204);
    let deal = ground.owner.item(&ground.deals, json!({"Name": "D"})).await;
    let before = ground.owner.seq(&ground.workspace).await;
    for (body, status, path, code) in [
        (json!({"keep": ann, "merge": []}), 422, "/merge", "empty"),
        (
            json!({"keep": ann, "merge": [bob, ann]}),
            422,
            "/merge/1",
            "itself",
        ),
        (
            json!({"keep": ann, "merge": [bob, bob]}),
            422,
            "/merge/1",
            "duplicate",
        ),
        (
            json!({"keep": ann, "merge": vec![&bob; 101]}),
            422,
            "/merge",
            "too_many",
        ),
        (
            json!({"keep": ann, "merge": [bob], "values": {"Age": "x"}}),
            422,
            "/values/Age",
            "not_a_number",
        ),
        (
            json!({"keep": ann, "merge": [bob], "values": {"X": 1}}),
            422,
            "/values/X",
            "unknown_column",
        ),
    ] {
        let answer = ground.merge(body).await;
        let first = &answer.is(status)["errors"][0];
        assert_eq!(
            (&first["path"], &first["code"]),
            (&json!(path), &json!(code)),
            "{}",
            answer.text
        );
    }
    ground
        .merge(json!({"keep": ann, "merge": [gone]}))
        .await
        .is(410);
    ground
        .merge(json!({"keep": gone, "merge": [ann]}))
        .await
        .is(410);
    ground
        .merge(json!({"keep": ann, "merge": [deal]}))
        .await
        .is(404);
    assert_eq!(ground.owner.seq(&ground.workspace).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_goes_to_the_one_that_is_kept() {
    let ground = Ground::new().await;
    let email = format!("{}/columns/Email", ground.people);
    ground
        .owner
        .patch(&email, json!({"unique": true}))
        .await
        .is(200);
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let anne = ground
        .person(json!({"Name": "Anne", "Email": "ann@example.com"}))
        .await;
    let merge = json!({"keep": ann, "merge": [anne]});
    let merged = ground.merge(merge.clone()).await;
    assert_eq!(merged.is(200)["values"]["Email"], "ann@example.com");
    // Nobody else may have it now, and after the undoing its owner has it again.
    let path = format!("{}/items", ground.people);
    let taken = json!({"values": {"Email": "ANN@example.com"}});
    ground.owner.post(&path, taken.clone()).await.is(409);
    ground.owner.undo(&ground.workspace).await;
    assert_eq!(
        ground.values(&ground.people, &anne).await["Email"],
        "ann@example.com"
    );
    ground.owner.post(&path, taken).await.is(409);
    // Asked twice under one key, it is done once.
    let merges = format!("{}/merge", ground.people);
    let once = ground.owner.keyed(&merges, "k1", merge.clone()).await;
    let again = ground.owner.keyed(&merges, "k1", merge).await;
    assert_eq!(once.is(200), again.is(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_merged_twice_is_found_with_all() {
    let ground = Ground::new().await;
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let anne = ground.person(json!({"Name": "Anne"})).await;
    let anna = ground.person(json!({"Name": "Anna"})).await;
    for (item, body) in [(&ann, "1"), (&anne, "2"), (&anna, "3")] {
        ground.comment(item, body).await;
    }
    ground
        .merge(json!({"keep": anne, "merge": [anna]}))
        .await
        .is(200);
    ground
        .merge(json!({"keep": ann, "merge": [anne]}))
        .await
        .is(200);
    assert_eq!(ground.comments(&ann).await, ["1", "2", "3"]);
    // Whoever comes out of the trash takes its own along.
    let back = format!("{}/items/{anna}/restore", ground.people);
    ground.owner.post(&back, json!({})).await.is(200);
    assert_eq!(ground.comments(&ann).await, ["1", "2"]);
    assert_eq!(ground.comments(&anna).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_holds_an_item_goes_over_to_the_one_that_is_kept() {
    let ground = Ground::with("restrict").await;
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let anne = ground.person(json!({"Name": "Anne"})).await;
    let deal = json!({"Name": "D", "Agent": [anne]});
    let deal = ground.owner.item(&ground.deals, deal).await;
    let path = format!("{}/items/{anne}", ground.people);
    ground.owner.delete(&path).await.is(409);
    ground
        .merge(json!({"keep": ann, "merge": [anne]}))
        .await
        .is(200);
    assert_eq!(
        ground.linked(&ground.deals, &deal, "Agent").await,
        [ann.as_str()]
    );
    ground.owner.undo(&ground.workspace).await;
    assert_eq!(
        ground.linked(&ground.deals, &deal, "Agent").await,
        [anne.as_str()]
    );
    ground.owner.redo(&ground.workspace).await;
    assert_eq!(
        ground.linked(&ground.deals, &deal, "Agent").await,
        [ann.as_str()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_holds_an_item_is_never_left_behind() {
    let ground = Ground::new().await;
    let options = json!({"list_id": last(&ground.people), "inverse_key": "Key", "multiple": false,
        "inverse_multiple": false, "on_delete": "restrict"});
    let spec = json!({"key": "Holder", "type": "link", "options": options});
    let path = format!("{}/columns", ground.deals);
    ground.owner.post(&path, spec).await.is(201);
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let anne = ground.person(json!({"Name": "Anne"})).await;
    let anna = ground.person(json!({"Name": "Anna"})).await;
    for holder in [&ann, &anna] {
        let deal = json!({"Name": "D", "Holder": [holder]});
        ground.owner.item(&ground.deals, deal).await;
    }
    let before = ground.owner.seq(&ground.workspace).await;
    let refused = ground
        .merge(json!({"keep": ann, "merge": [anne, anna]}))
        .await;
    let error = &refused.is(409)["errors"][0];
    assert_eq!(
        (&error["path"], &error["code"]),
        (&json!("/merge/1"), &json!("restricted"))
    );
    assert_eq!(ground.owner.seq(&ground.workspace).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_merge_are_held_to_the_rules_of_any_others() {
    let ground = Ground::new().await;
    let friends = json!({"key": "Friends", "type": "link",
        "options": {"list_id": last(&ground.people), "inverse_key": "FriendOf"}});
    let path = format!("{}/columns", ground.people);
    ground.owner.post(&path, friends).await.is(201);
    let required = json!({"required": true});
    let name = format!("{}/columns/Name", ground.people);
    ground.owner.patch(&name, required).await.is(200);
    let ann = ground.person(json!({"Name": "Ann"})).await;
    let anne = ground.person(json!({"Name": "Anne"})).await;
    for (values, path, code) in [
        (
            json!({"Friends": [anne]}),
            "/values/Friends/0",
            "deleted_item",
        ),
        (json!({"Name": null}), "/values/Name", "required"),
    ] {
        let merge = json!({"keep": ann, "merge": [anne], "values": values});
        let refused = ground.merge(merge).await;
        let error = &refused.is(422)["errors"][0];
        assert_eq!(
            (&error["path"], &error["code"]),
            (&json!(path), &json!(code))
        );
    }
}

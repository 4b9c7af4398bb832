//! Lookups, rollups, counts and formulas: a committed edit and all that follows from it are one change.

use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, last};
use crate::support::socket::Socket;

/// Deals with their buyers: both lists have numbers, and columns computed from each other.
struct Ground {
    app: TestApp,
    owner: Person,
    workspace: String,
    deals: String,
    people: String,
}

impl Ground {
    async fn new() -> Ground {
        let app = TestApp::new().await;
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let columns = [("Name", "text"), ("Fee", "number"), ("Closed", "date")];
        let deals = owner.list(&workspace, &columns).await;
        let columns = [("Name", "text"), ("Age", "number"), ("Vip", "checkbox")];
        let people = owner.list(&workspace, &columns).await;
        let ground = Ground {
            app,
            owner,
            workspace,
            deals,
            people,
        };
        let options =
            json!({"list_id": last(&ground.people), "inverse_key": "Deals", "multiple": true});
        ground
            .column(&ground.deals, "Buyers", "link", options)
            .await
            .is(201);
        ground
    }

    async fn column(&self, list: &str, key: &str, ty: &str, options: Value) -> Answer {
        let spec = json!({"key": key, "type": ty, "options": options});
        self.owner.post(&format!("{list}/columns"), spec).await
    }

    async fn formula(&self, list: &str, key: &str, expression: &str) {
        let options = json!({"expression": expression});
        self.column(list, key, "formula", options).await.is(201);
    }

    /// Deals.Ages ← people's ages; Deals.Total ← Fee and Ages; People.Best ← their deals' totals.
    async fn chain(&self) {
        let options = json!({"link": "Buyers", "column": "Age", "op": "sum"});
        self.column(&self.deals, "Ages", "rollup", options)
            .await
            .is(201);
        self.formula(&self.deals, "Total", "COALESCE(Fee, 0) * 2 + Ages")
            .await;
        let options = json!({"link": "Deals", "column": "Total", "op": "max"});
        self.column(&self.people, "Best", "rollup", options)
            .await
            .is(201);
    }

    async fn values(&self, list: &str, item: &str) -> Value {
        let answer = self.owner.get(&format!("{list}/items/{item}")).await;
        answer.is(200)["values"].clone()
    }

    async fn write(&self, list: &str, item: &str, values: Value) {
        let path = format!("{list}/items/{item}");
        self.owner
            .patch(&path, json!({"values": values}))
            .await
            .is(200);
    }

    async fn buyers(&self, deal: &str, people: &[&str]) {
        let path = format!("{}/items/{deal}/links/Buyers", self.deals);
        self.owner.put(&path, json!({"ids": people})).await.is(200);
    }
}

#[track_caller]
fn breaks(answer: &Answer, path: &str, code: &str) {
    answer.is(422);
    let first = &answer.body["errors"][0];
    assert_eq!(
        (&first["path"], &first["code"]),
        (&json!(path), &json!(code)),
        "{}",
        answer.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_and_all_that_follows_from_it_are_one_change() {
    let ground = Ground::new().await;
    ground.chain().await;
    let ann = ground
        .owner
        .item(&ground.people, json!({"Name": "Ann", "Age": 30}))
        .await;
    let bob = ground
        .owner
        .item(&ground.people, json!({"Name": "Bob", "Age": 5}))
        .await;
    let deal = ground
        .owner
        .item(&ground.deals, json!({"Name": "D", "Fee": 10}))
        .await;
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 20);
    ground.buyers(&deal, &[&ann, &bob]).await;
    let mut socket = Socket::open(&ground.app, &ground.owner).await;
    socket.follow(&ground.workspace, None).await;
    let before = ground.owner.seq(&ground.workspace).await;

    ground.write(&ground.people, &bob, json!({"Age": 7})).await;

    assert_eq!(ground.owner.seq(&ground.workspace).await, before + 1);
    let values = ground.values(&ground.deals, &deal).await;
    assert_eq!(
        (&values["Ages"], &values["Total"]),
        (&json!(37), &json!(57))
    );
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], 57);
    let frame = socket.next("events").await;
    let changes = frame["events"][0]["changes"].as_array().unwrap();
    let set = |item: &str| {
        let change = changes
            .iter()
            .find(|change| change["item"] == item)
            .unwrap();
        (change["set"].clone(), change["was"].clone())
    };
    assert_eq!(
        set(&bob),
        (json!({"Age": 7, "Best": 57}), json!({"Age": 5, "Best": 55}))
    );
    assert_eq!(
        set(&deal),
        (
            json!({"Ages": 37, "Total": 57}),
            json!({"Ages": 35, "Total": 55})
        )
    );
    assert_eq!(set(&ann), (json!({"Best": 57}), json!({"Best": 55})));
    assert_eq!(changes.len(), 3);
    // What stays as it is, is not told.
    ground
        .write(&ground.people, &bob, json!({"Name": "Bobby"}))
        .await;
    let frame = socket.next("events").await;
    assert_eq!(frame["events"][0]["changes"].as_array().unwrap().len(), 1);
    ground.owner.verified(&ground.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_computed_is_asked_for_like_any_cell() {
    let ground = Ground::new().await;
    ground.chain().await;
    let options = json!({"link": "Buyers", "column": "Name"});
    ground
        .column(&ground.deals, "Names", "lookup", options)
        .await
        .is(201);
    ground
        .column(&ground.deals, "Many", "count", json!({"link": "Buyers"}))
        .await
        .is(201);
    ground.formula(&ground.deals, "Share", "100 / Fee").await;
    let ann = ground
        .owner
        .item(&ground.people, json!({"Name": "Ann", "Age": 30}))
        .await;
    let bob = ground
        .owner
        .item(&ground.people, json!({"Name": "bob", "Age": 5}))
        .await;
    let mut deals = Vec::new();
    for (fee, people) in [(1, vec![&ann]), (2, vec![&ann, &bob]), (0, vec![])] {
        let deal = ground.owner.item(&ground.deals, json!({"Fee": fee})).await;
        let people: Vec<&str> = people.iter().map(|id| id.as_str()).collect();
        ground.buyers(&deal, &people).await;
        deals.push(deal);
    }
    let values = ground.values(&ground.deals, &deals[1]).await;
    assert_eq!(values["Names"], json!(["Ann", "bob"]));
    assert_eq!((&values["Many"], &values["Share"]), (&json!(2), &json!(50)));
    let broken = ground.values(&ground.deals, &deals[2]).await;
    assert_eq!(broken["Share"], json!({"error": "division_by_zero"}));
    assert_eq!((&broken["Many"], broken.get("Names")), (&json!(0), None));
    let found = async |question: Value| {
        let path = format!("{}/items/query", ground.deals);
        let answer = ground.owner.post(&path, question).await;
        let page = answer.is(200)["data"].as_array().unwrap().clone();
        let at = |item: &Value| deals.iter().position(|deal| item["id"] == **deal).unwrap();
        page.iter().map(at).collect::<Vec<_>>()
    };
    let by = |column: &str, op: &str, value: Value| json!({"filter": {"column": column, "op": op, "value": value}});
    assert_eq!(found(by("Total", "gte", json!(32))).await, [0, 1]);
    assert_eq!(found(by("Names", "has_any", json!(["BOB"]))).await, [1]);
    assert_eq!(found(by("Names", "has_all", json!(["ann"]))).await, [0, 1]);
    assert_eq!(found(by("Names", "contains", json!("nn"))).await, [0, 1]);
    assert_eq!(
        found(json!({"filter": {"column": "Share", "op": "is_empty"}})).await,
        [2]
    );
    assert_eq!(found(json!({"sort": ["-Share"]})).await, [0, 1, 2]);
    assert_eq!(found(json!({"sort": ["Names"]})).await, [0, 1, 2]);
    assert_eq!(found(json!({"q": "bob"})).await, [1]);
    let metrics = json!({"metrics": [{"op": "sum", "column": "Total"}, {"op": "avg", "column": "Share"}],
        "group_by": [{"column": "Many"}]});
    let answer = ground
        .owner
        .post(&format!("{}/items/aggregate", ground.deals), metrics)
        .await;
    assert_eq!(
        answer.is(200)["data"].as_array().unwrap().len(),
        3,
        "{}",
        answer.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_what_is_computed() {
    let ground = Ground::new().await;
    ground.formula(&ground.deals, "Double", "Fee * 2").await;
    let deal = ground.owner.item(&ground.deals, json!({"Fee": 4})).await;
    let path = format!("{}/items/{deal}", ground.deals);
    let answer = ground
        .owner
        .patch(&path, json!({"values": {"Double": 1}}))
        .await;
    breaks(&answer, "/values/Double", "read_only");
    for (part, code) in [("required", "read_only"), ("unique", "cannot_be_unique")] {
        let mut spec = json!({"key": "X", "type": "formula", "options": {"expression": "Fee"}});
        spec[part] = json!(true);
        let answer = ground
            .owner
            .post(&format!("{}/columns", ground.deals), spec)
            .await;
        breaks(&answer, &format!("/{part}"), code);
    }
    let lists = ground.owner.get(&ground.deals).await;
    let columns = lists.is(200)["columns"].as_array().unwrap();
    let double = columns
        .iter()
        .find(|column| column["key"] == "Double")
        .unwrap();
    assert_eq!(
        (&double["type"], &double["read_only"]),
        (&json!("formula"), &json!(true))
    );
    assert_eq!(
        double["options"],
        json!({"expression": "Fee * 2", "result": "number"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_makes_no_sense_is_refused_with_its_reason() {
    let ground = Ground::new().await;
    ground.chain().await;
    for (list, ty, options, path, code) in [
        (
            &ground.deals,
            "formula",
            json!({}),
            "expression",
            "required",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "Rent"}),
            "expression",
            "unknown_column",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "Buyers"}),
            "expression",
            "unsupported_column",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "Name + 1"}),
            "expression",
            "wrong_type",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "1 +"}),
            "expression",
            "syntax",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "1+".repeat(5000)}),
            "expression",
            "too_long",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "(".repeat(1000)}),
            "expression",
            "too_deep",
        ),
        (
            &ground.deals,
            "formula",
            json!({"expression": "1", "link": "Buyers"}),
            "link",
            "unknown_option",
        ),
        (
            &ground.deals,
            "lookup",
            json!({"link": "Name", "column": "Age"}),
            "link",
            "unknown_column",
        ),
        (
            &ground.deals,
            "lookup",
            json!({"link": "Buyers", "column": "Rent"}),
            "column",
            "unknown_column",
        ),
        (
            &ground.deals,
            "lookup",
            json!({"link": "Buyers", "column": "Deals"}),
            "column",
            "unsupported_column",
        ),
        (
            &ground.deals,
            "rollup",
            json!({"link": "Buyers", "column": "Name", "op": "sum"}),
            "op",
            "wrong_type",
        ),
        (
            &ground.deals,
            "rollup",
            json!({"link": "Buyers", "column": "Age", "op": "best"}),
            "op",
            "unknown_op",
        ),
    ] {
        let answer = ground.column(list, "New", ty, options).await;
        breaks(&answer, &format!("/options/{path}"), code);
    }
    // Fee would follow from itself, over the other list and back.
    let path = format!("{}/columns/Total", ground.deals);
    let options = json!({"link": "Buyers", "column": "Best", "op": "sum"});
    ground
        .column(&ground.deals, "Bests", "rollup", options)
        .await
        .is(201);
    let patch = json!({"options": {"expression": "Ages + Bests"}});
    let answer = ground.owner.patch(&path, patch).await;
    breaks(&answer, "/options", "cycle");
    let message = answer.body["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.contains(".Total →") && message.contains(".Best →"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_goes_leaves_an_error_and_comes_back() {
    let ground = Ground::new().await;
    ground.chain().await;
    let ann = ground.owner.item(&ground.people, json!({"Age": 30})).await;
    let deal = ground.owner.item(&ground.deals, json!({"Fee": 1})).await;
    ground.buyers(&deal, &[&ann]).await;
    let age = format!("{}/columns/Age", ground.people);
    ground.owner.delete(&age).await.is(204);
    let missing = json!({"error": "missing_column"});
    let values = ground.values(&ground.deals, &deal).await;
    assert_eq!((&values["Ages"], &values["Total"]), (&missing, &missing));
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], missing);
    // What is not computed goes on.
    ground.write(&ground.deals, &deal, json!({"Fee": 2})).await;
    ground
        .owner
        .post(&format!("{age}/restore"), json!({}))
        .await
        .is(200);
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 34);
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], 34);
    // Another type that nothing could be computed from is refused.
    let answer = ground.owner.patch(&age, json!({"type": "text"})).await;
    breaks(&answer, "/options", "in_use");
    let one = json!({"options": {"multiple": false}});
    let link = format!("{}/columns/Buyers", ground.deals);
    ground.owner.patch(&link, one.clone()).await.is(200);
    let options = json!({"link": "Buyers", "column": "Age"});
    ground
        .column(&ground.deals, "Only", "lookup", options)
        .await
        .is(201);
    assert_eq!(ground.values(&ground.deals, &deal).await["Only"], 30);
    let many = json!({"options": {"multiple": true}});
    breaks(&ground.owner.patch(&link, many).await, "/options", "in_use");
    // A list in the trash shows nothing, and neither does what is computed from it.
    ground.owner.delete(&ground.people).await.is(204);
    let values = ground.values(&ground.deals, &deal).await;
    assert_eq!(
        (&values["Ages"], &values["Total"], values.get("Only")),
        (&json!(0), &json!(4), None)
    );
    ground
        .owner
        .post(&format!("{}/restore", ground.people), json!({}))
        .await
        .is(200);
    let values = ground.values(&ground.deals, &deal).await;
    assert_eq!(
        (&values["Total"], &values["Only"]),
        (&json!(34), &json!(30))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_takes_what_was_computed_along() {
    let ground = Ground::new().await;
    ground.chain().await;
    let ann = ground.owner.item(&ground.people, json!({"Age": 30})).await;
    let bob = ground.owner.item(&ground.people, json!({"Age": 5})).await;
    let deal = ground.owner.item(&ground.deals, json!({"Fee": 1})).await;
    ground.buyers(&deal, &[&ann, &bob]).await;
    ground
        .owner
        .delete(&format!("{}/items/{ann}", ground.people))
        .await
        .is(204);
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 7);
    assert_eq!(ground.values(&ground.people, &bob).await["Best"], 7);
    // Who lies in the trash hears of nothing, until out of it again.
    ground.write(&ground.deals, &deal, json!({"Fee": 10})).await;
    ground
        .owner
        .post(&format!("{}/items/{ann}/restore", ground.people), json!({}))
        .await
        .is(200);
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 55);
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], 55);
    // Taken back, it is all as before.
    ground.owner.undo(&ground.workspace).await;
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 25);
    ground.owner.verified(&ground.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_takes_back_what_people_did_and_the_rest_follows() {
    let ground = Ground::new().await;
    ground.chain().await;
    let ann = ground.owner.item(&ground.people, json!({"Age": 30})).await;
    let deal = ground.owner.item(&ground.deals, json!({"Fee": 1})).await;
    ground.buyers(&deal, &[&ann]).await;
    let before = ground.owner.seq(&ground.workspace).await;
    ground.write(&ground.people, &ann, json!({"Age": 40})).await;
    // A change by somebody else of what it was computed into is not in the way.
    let other = ground.app.person("other").await;
    ground
        .owner
        .bring(&ground.workspace, &other, "editor")
        .await;
    let path = format!("{}/items/{deal}", ground.deals);
    other
        .patch(&path, json!({"values": {"Fee": 3}}))
        .await
        .is(200);
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 46);
    let then = ground.owner.get(&format!("{path}?as_of={before}")).await;
    assert_eq!(then.is(200)["values"]["Total"], 32);
    let then = ground
        .owner
        .get(&format!("{}/items?as_of={before}", ground.deals))
        .await;
    assert_eq!(then.is(200)["data"][0]["values"]["Total"], 32);
    ground.owner.undo(&ground.workspace).await;
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 36);
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], 36);
    ground.owner.redo(&ground.workspace).await;
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], 46);
    let history = ground.owner.get(&format!("{path}/history")).await;
    assert!(history.is(200)["data"].as_array().unwrap().len() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_followed_from_others_is_no_change_of_mine() {
    let ground = Ground::new().await;
    ground.chain().await;
    let other = ground.app.person("other").await;
    ground
        .owner
        .bring(&ground.workspace, &other, "editor")
        .await;
    let ann = other.item(&ground.people, json!({"Age": 30})).await;
    let deal = json!({"values": {"Fee": 1, "Buyers": [ann]}});
    let deal = ground
        .owner
        .post(&format!("{}/items", ground.deals), deal)
        .await;
    let deal = deal.is(201)["id"].as_str().unwrap().to_owned();
    let path = format!("{}/items/{ann}", ground.people);
    other
        .patch(&path, json!({"values": {"Age": 31}}))
        .await
        .is(200);
    assert_eq!(ground.values(&ground.deals, &deal).await["Total"], 33);
    // The deal was computed anew since it was made, and can still be taken back.
    ground.owner.undo(&ground.workspace).await;
    ground
        .owner
        .get(&format!("{}/items/{deal}", ground.deals))
        .await
        .is(410);
    assert_eq!(ground.values(&ground.people, &ann).await.get("Best"), None);
    ground.owner.redo(&ground.workspace).await;
    assert_eq!(ground.values(&ground.people, &ann).await["Best"], 33);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_rule_computes_all_anew_and_can_be_taken_back() {
    let ground = Ground::new().await;
    ground.formula(&ground.deals, "Double", "Fee * 2").await;
    let deal = ground.owner.item(&ground.deals, json!({"Fee": 4})).await;
    let path = format!("{}/columns/Double", ground.deals);
    let patch = json!({"options": {"expression": "Fee & ' times two'"}});
    let changed = ground.owner.patch(&path, patch).await;
    assert_eq!(changed.is(200)["options"]["result"], "text");
    assert_eq!(
        ground.values(&ground.deals, &deal).await["Double"],
        "4 times two"
    );
    ground.write(&ground.deals, &deal, json!({"Fee": 5})).await;
    ground.owner.undo(&ground.workspace).await;
    ground.owner.undo(&ground.workspace).await;
    assert_eq!(ground.values(&ground.deals, &deal).await["Double"], 8);
    // Its values can stay when it is computed no more.
    ground
        .owner
        .patch(&path, json!({"type": "number"}))
        .await
        .is(200);
    ground.write(&ground.deals, &deal, json!({"Fee": 1})).await;
    assert_eq!(ground.values(&ground.deals, &deal).await["Double"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_made_with_all_that_is_computed_in_it() {
    let (_app, owner, workspace, people) = crate::support::app::ground().await;
    let spec = json!({"name": "Offers", "columns": [
        {"key": "Net", "type": "formula", "options": {"expression": "Gross - Tax"}},
        {"key": "Tax", "type": "formula", "options": {"expression": "Gross / 4"}},
        {"key": "Gross", "type": "number"},
        {"key": "Of", "type": "link", "options": {"list_id": last(&people)}},
        {"key": "Linked", "type": "count", "options": {"link": "Of"}}]});
    let made = owner.post(&format!("{workspace}/lists"), spec).await;
    let list = format!("{workspace}/lists/{}", made.is(201)["id"].as_str().unwrap());
    let item = owner.item(&list, json!({"Gross": 100})).await;
    let answer = owner.get(&format!("{list}/items/{item}")).await;
    assert_eq!(
        answer.is(200)["values"],
        json!({"Net": 75, "Tax": 25, "Gross": 100, "Linked": 0})
    );
    let circle = json!({"name": "Circle", "columns": [
        {"key": "A", "type": "formula", "options": {"expression": "B + 1"}},
        {"key": "B", "type": "formula", "options": {"expression": "A + 1"}}]});
    let answer = owner.post(&format!("{workspace}/lists"), circle).await;
    answer.is(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_compute_their_rows() {
    let ground = Ground::new().await;
    ground.chain().await;
    let file = b"Name,Fee\nA,1\nB,2\n".to_vec();
    let job = ground
        .owner
        .upload(&format!("{}/imports", ground.deals), "text/csv", file)
        .await;
    crate::imports::ended(&ground.owner, &ground.workspace, &job).await;
    let page = ground.owner.get(&format!("{}/items", ground.deals)).await;
    let data = page.is(200)["data"].as_array().unwrap();
    let totals: Vec<&Value> = data.iter().map(|item| &item["values"]["Total"]).collect();
    assert_eq!(totals, [&json!(2), &json!(4)]);
}

/// The column is computed beside people's edits, in pages, by whichever server finds it; nothing is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_formula_over_a_long_list_is_computed_while_people_edit() {
    let ground = Ground::new().await;
    let mut ids = Vec::new();
    for batch in 0..3 {
        let items: Vec<Value> = (0..1_000)
            .map(|n| json!({"values": {"Fee": batch * 1_000 + n}}))
            .collect();
        let made = ground
            .owner
            .post(&format!("{}/items", ground.deals), json!({"items": items}))
            .await;
        let made = made.is(201)["data"].as_array().unwrap().clone();
        ids.extend(
            made.iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
    }
    let options = json!({"expression": "Fee * 2"});
    let made = ground
        .column(&ground.deals, "Double", "formula", options)
        .await;
    assert_eq!(made.is(201)["options"]["settled"], false);
    for (index, id) in ids.iter().enumerate().step_by(250) {
        ground
            .write(&ground.deals, id, json!({"Fee": 10_000 + index}))
            .await;
    }
    let settled = async || {
        let list = ground.owner.get(&ground.deals).await;
        let columns = list.is(200)["columns"].as_array().unwrap().clone();
        let double = columns
            .into_iter()
            .find(|column| column["key"] == "Double")
            .unwrap();
        double["options"].get("settled").is_none()
    };
    while !settled().await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let wrong = json!({"filter": {"column": "Double", "op": "is_empty"}, "count": "exact"});
    let answer = ground
        .owner
        .post(&format!("{}/items/query", ground.deals), wrong)
        .await;
    assert_eq!(answer.is(200)["count"], 0);
    for (index, id) in ids.iter().enumerate().step_by(125) {
        let fee = if index % 250 == 0 {
            10_000 + index
        } else {
            index
        };
        assert_eq!(
            ground.values(&ground.deals, id).await["Double"],
            2 * fee,
            "{index}"
        );
    }
    ground.owner.verified(&ground.workspace).await;
}

//! Which items are probably one: by rules over columns, in groups with a score, and merged from there.

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, last};

struct Ground {
    _app: TestApp,
    owner: Person,
    workspace: String,
    people: String,
}

impl Ground {
    async fn new() -> Ground {
        let app = TestApp::new().await;
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let columns = [
            ("Name", "text"),
            ("Email", "email"),
            ("Phone", "phone"),
            ("Address", "address"),
            ("Tags", "multi_select"),
        ];
        let people = owner.list(&workspace, &columns).await;
        Ground {
            _app: app,
            owner,
            workspace,
            people,
        }
    }

    async fn person(&self, values: Value) -> String {
        self.owner.item(&self.people, values).await
    }

    async fn search(&self, body: Value) -> Value {
        let path = format!("{}/duplicates", self.people);
        self.owner.post(&path, body).await.is(200).clone()
    }
}

/// Of each group its items.
fn groups(found: &Value) -> Vec<Vec<&str>> {
    let groups = found["data"].as_array().unwrap().iter();
    groups
        .map(|group| {
            let items = group["items"].as_array().unwrap().iter();
            items.map(|item| item["id"].as_str().unwrap()).collect()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_address_or_the_same_phone_and_name_make_a_group() {
    let ground = Ground::new().await;
    let deals = ground
        .owner
        .list(&ground.workspace, &[("Name", "text")])
        .await;
    let options = json!({"list_id": last(&ground.people), "inverse_key": "Deals"});
    let spec = json!({"key": "Buyers", "type": "link", "options": options});
    let path = format!("{deals}/columns");
    ground.owner.post(&path, spec).await.is(201);
    let ann = json!({"Name": "Ann Lee", "Email": "ann@example.com", "Phone": "+19165550101"});
    let ann = ground.person(ann).await;
    let same = ground
        .person(json!({"Name": "A. Lee", "Email": "ANN@example.com"}))
        .await;
    let turned = ground
        .person(json!({"Name": "LEE, Ánn", "Phone": "+19165550101"}))
        .await;
    // A phone alone is a household's.
    ground
        .person(json!({"Name": "Bob Lee", "Phone": "+19165550101"}))
        .await;
    ground.person(json!({"Name": "Ann Lee"})).await;
    let gone = ground
        .person(json!({"Name": "X", "Email": "ann@example.com"}))
        .await;
    let path = format!("{}/items/{gone}", ground.people);
    ground.owner.delete(&path).await.is(204);
    let deal = ground
        .owner
        .item(&deals, json!({"Name": "D", "Buyers": [same]}))
        .await;

    let found = ground.search(json!({})).await;

    assert_eq!(found["count"], 1);
    assert_eq!(groups(&found), [[ann.as_str(), &same, &turned]]);
    let group = &found["data"][0];
    assert_eq!(
        (&group["score"], &group["rules"]),
        (&json!(1.0), &json!([0, 1]))
    );
    assert_eq!(group["count"], 3);
    assert_eq!(group["items"][1]["values"]["Deals"][0]["id"], deal.as_str());
    let merge = json!({"keep": ann, "merge": [same, turned]});
    let path = format!("{}/merge", ground.people);
    ground.owner.post(&path, merge).await.is(200);
    assert_eq!(ground.search(json!({})).await["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_are_compared_where_that_is_asked_for() {
    let ground = Ground::new().await;
    let at = |line1: &str| json!({"line1": line1, "city": "Davis"});
    let john = json!({"Name": "John Smith", "Address": at("12 N. Oak St")});
    let john = ground.person(john).await;
    let jon = json!({"Name": "Smith, Jon", "Address": at("12 North Oak Street")});
    let jon = ground.person(jon).await;
    for (name, street) in [("John Smith", "14 N Oak St"), ("Joan Smyth", "12 N Oak St")] {
        ground
            .person(json!({"Name": name, "Address": at(street)}))
            .await;
    }
    let rule = |how: &str| json!({"rule": [{"columns": ["Name", "Address"], "match": how}]});
    assert_eq!(ground.search(rule("same")).await["count"], 0);
    let found = ground.search(rule("similar")).await;
    assert_eq!(groups(&found), [[john.as_str(), &jon]]);
    let score = found["data"][0]["score"].as_f64().unwrap();
    assert!(score > 0.85 && score < 1.0, "{score}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_make_no_sense_are_refused() {
    let ground = Ground::new().await;
    let path = format!("{}/duplicates", ground.people);
    for (body, at, code) in [
        (
            json!({"rule": [{"columns": []}]}),
            "/rule/0/columns",
            "empty",
        ),
        (
            json!({"rule": [{"columns": ["X"]}]}),
            "/rule/0/columns/0",
            "unknown_column",
        ),
        (
            json!({"rule": [{"columns": ["Tags"]}]}),
            "/rule/0/columns/0",
            "bad_type",
        ),
        (
            json!({"rule": [{"columns": ["Name", "Name"]}]}),
            "/rule/0/columns/1",
            "duplicate",
        ),
        (
            json!({"rule": [{"columns": vec!["Name"; 6]}]}),
            "/rule/0/columns",
            "too_many",
        ),
        (
            json!({"rule": vec![json!({"columns": ["Name"]}); 11]}),
            "/rule",
            "too_many",
        ),
        (json!({"limit": 0}), "/limit", "out_of_range"),
        (json!({"limit": 201}), "/limit", "out_of_range"),
    ] {
        let answer = ground.owner.post(&path, body).await;
        let error = &answer.is(422)["errors"][0];
        assert_eq!((&error["path"], &error["code"]), (&json!(at), &json!(code)));
    }
    // A list that has nothing to tell by must be told what does.
    let plain = ground
        .owner
        .list(&ground.workspace, &[("Name", "text")])
        .await;
    let answer = ground
        .owner
        .post(&format!("{plain}/duplicates"), json!({}))
        .await;
    assert_eq!(answer.is(422)["errors"][0]["code"], "required");
    ground.owner.post(&path, json!({"rules": []})).await.is(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_counted_and_shown_in_part() {
    let ground = Ground::new().await;
    let office = json!({"Name": "Front desk", "Email": "office@example.com"});
    let items = vec![json!({"values": office}); 130];
    let path = format!("{}/items", ground.people);
    ground
        .owner
        .post(&path, json!({"items": items}))
        .await
        .is(201);
    ground
        .person(json!({"Name": "A", "Email": "a@example.com"}))
        .await;
    ground
        .person(json!({"Name": "B", "Email": "a@example.com"}))
        .await;
    let found = ground.search(json!({"limit": 1})).await;
    assert_eq!(found["count"], 2);
    assert_eq!(found["data"][0]["count"], 130);
    let sizes: Vec<usize> = groups(&found).iter().map(Vec::len).collect();
    assert_eq!(sizes, [100]);
}

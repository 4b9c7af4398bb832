//! Pages of items by filter and sort, as parameters of a GET and as the body of a POST.

use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::support::app::{Answer, Person, TestApp, last};
use crate::support::db::{execute, superuser};

const COLUMNS: [(&str, &str); 4] = [
    ("City", "text"),
    ("Price", "number"),
    ("Agent", "user"),
    ("MadeAt", "created_at"),
];

/// A list of six homes, two of them without a price.
async fn homes(owner: &Person, workspace: &str) -> String {
    let list = owner.list(workspace, &COLUMNS).await;
    for (city, price) in [
        ("Oakland", Some(500_000)),
        ("oakland", Some(90_000)),
        ("Sacramento", None),
        ("İzmir", Some(90_000)),
        ("straße", Some(1_200_000)),
        ("Davis", None),
    ] {
        let agent = (city == "Davis").then_some(&owner.id);
        owner
            .item(&list, json!({"City": city, "Price": price, "Agent": agent}))
            .await;
    }
    list
}

fn cities(answer: &Answer) -> Vec<&str> {
    let items = answer.is(200)["data"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["values"]["City"].as_str().unwrap())
        .collect()
}

fn encoded(value: &Value) -> String {
    byte_serialize(value.to_string().as_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_give_the_same_answer_to_a_viewer_too() {
    let app = TestApp::new().await;
    let (owner, viewer) = (app.person("owner").await, app.person("viewer").await);
    let workspace = owner.workspace().await;
    let list = homes(&owner, &workspace).await;
    owner.bring(&workspace, &viewer, "viewer").await;
    let filter = json!({"or": [
        {"column": "City", "op": "contains", "value": "OAK"},
        {"column": "Price", "op": "is_empty"},
    ]});
    let get = format!(
        "{list}/items?filter={}&sort=-Price&columns=City,Price&count=exact",
        encoded(&filter)
    );
    let body =
        json!({"filter": filter, "sort": "-Price", "columns": ["City", "Price"], "count": "exact"});
    for person in [&owner, &viewer] {
        let (get, post) = (
            person.get(&get).await,
            person
                .post(&format!("{list}/items/query"), body.clone())
                .await,
        );
        assert_eq!(cities(&get), ["Oakland", "oakland", "Sacramento", "Davis"]);
        assert_eq!(get.body, post.body);
        assert_eq!(get.body["count"], 4);
        assert_eq!(get.body["next_cursor"], Value::Null);
        assert!(get.headers.contains_key("x-workspace-seq"));
    }
    let mine = json!({"filter": {"column": "Agent", "op": "eq", "value": {"me": true}}});
    let path = format!("{list}/items/query");
    assert_eq!(cities(&owner.post(&path, mine.clone()).await), ["Davis"]);
    assert!(cities(&viewer.post(&path, mine).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_they_ended_though_items_change() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = homes(&owner, &workspace).await;
    for (sort, order) in [
        (
            "City",
            [
                "Davis",
                "Oakland",
                "oakland",
                "Sacramento",
                "straße",
                "İzmir",
            ],
        ),
        (
            "-City",
            [
                "İzmir",
                "straße",
                "Sacramento",
                "oakland",
                "Oakland",
                "Davis",
            ],
        ),
        (
            "-MadeAt",
            [
                "Davis",
                "straße",
                "İzmir",
                "Sacramento",
                "oakland",
                "Oakland",
            ],
        ),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = owner
                .get(&format!("{list}/items?sort={sort}&limit=1{cursor}"))
                .await;
            seen.extend(cities(&page).into_iter().map(str::to_owned));
            let Some(next) = page.body["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
            // The item at which the page ended goes to the end and comes back: nothing else moves.
            let id = page.body["data"][0]["id"].as_str().unwrap();
            let path = format!("{list}/items/{id}");
            owner
                .patch(&path, json!({"values": {"City": null}}))
                .await
                .is(200);
            let between = owner
                .get(&format!("{list}/items?sort={sort}&limit=1{cursor}"))
                .await;
            assert_eq!(cities(&between), [order[seen.len()]]);
            let back = json!({"values": {"City": seen.last()}});
            owner.patch(&path, back).await.is(200);
        }
        assert_eq!(seen, order, "{sort}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_equal_in_one_column_is_ordered_by_the_next() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = homes(&owner, &workspace).await;
    for (sort, order) in [
        (
            "Price,-City",
            "İzmir oakland Oakland straße Sacramento Davis",
        ),
        (
            "-Price,City",
            "straße Oakland oakland İzmir Davis Sacramento",
        ),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{list}/items?sort={sort}&limit=1{cursor}");
            let page = owner.get(&path).await;
            seen.extend(cities(&page).into_iter().map(str::to_owned));
            let Some(next) = page.body["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.join(" "), order);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_question_alone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let (list, other) = (
        homes(&owner, &workspace).await,
        homes(&owner, &workspace).await,
    );
    let filter = |city: &str| json!({"column": "City", "op": "ne", "value": city});
    let ask = async |list: &str, filter: Value, sort: &str, cursor: &Value| {
        let body = json!({"filter": filter, "sort": sort, "cursor": cursor, "limit": 2});
        owner.post(&format!("{list}/items/query"), body).await
    };
    let first = ask(&list, filter("x"), "City", &Value::Null).await;
    let cursor = &first.is(200)["next_cursor"];
    assert!(cursor.is_string());
    assert_eq!(
        cities(&ask(&list, filter("x"), "City", cursor).await),
        ["oakland", "Sacramento"]
    );
    for wrong in [
        ask(&other, filter("x"), "City", cursor).await,
        ask(&list, filter("y"), "City", cursor).await,
        ask(&list, Value::Null, "City", cursor).await,
        ask(&list, filter("x"), "-City", cursor).await,
        ask(&list, filter("x"), "", cursor).await,
        ask(
            &list,
            filter("x"),
            "City",
            &json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        )
        .await,
    ] {
        wrong.refuses(400, "validation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_wherever_they_stand() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = homes(&owner, &workspace).await;
    let found = async |q: &str| {
        let (q, body) = (
            byte_serialize(q.as_bytes()).collect::<String>(),
            json!({"q": q}),
        );
        let get = owner.get(&format!("{list}/items?q={q}&count=exact")).await;
        let post = owner.post(&format!("{list}/items/query"), body).await;
        assert_eq!(get.is(200)["data"], post.is(200)["data"]);
        assert_eq!(get.body["count"], cities(&get).len());
        cities(&get).join(" ")
    };
    assert_eq!(found("OAK").await, "Oakland oakland");
    assert_eq!(found(" land\tOA ").await, "Oakland oakland");
    assert_eq!(found("STRAẞE").await, "straße");
    assert_eq!(found("oak ento").await, "");
    assert_eq!(found("500000").await, "", "numbers are no texts");
    assert_eq!(
        found(" ").await.split(' ').count(),
        6,
        "no words ask for everything"
    );

    // A cursor goes on with its words alone.
    let first = owner.get(&format!("{list}/items?q=oak&limit=1")).await;
    let cursor = first.is(200)["next_cursor"].as_str().unwrap();
    let next = |q: &str| format!("{list}/items?{q}limit=1&cursor={cursor}");
    assert_eq!(cities(&owner.get(&next("q=+OAK&")).await), ["oakland"]);
    for other in ["", "q=land&", "q=oak+land&"] {
        owner.get(&next(other)).await.refuses(400, "validation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_asked_is_refused_by_its_place() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = homes(&owner, &workspace).await;
    let path = format!("{list}/items/query");
    for (body, place, code) in [
        (
            json!({"filter": {"and": [{"column": "Price", "op": "contains", "value": "1"}]}}),
            "/filter/and/0/op",
            "bad_op",
        ),
        (
            json!({"filter": {"column": "MadeAt", "op": "within", "value": {"this": "hour"}}}),
            "/filter/value",
            "malformed",
        ),
        (
            json!({"filter": {"column": "Price", "op": "in", "value": [1, "2"]}}),
            "/filter/value/1",
            "not_a_number",
        ),
        (json!({"sort": "Nowhere"}), "/sort", "unknown_column"),
        (json!({"sort": "City,-City"}), "/sort", "duplicate"),
        (
            json!({"columns": "City,Nowhere"}),
            "/columns",
            "unknown_column",
        ),
        (json!({"q": "o".repeat(1_001)}), "/q", "too_long"),
        (json!({"expand": ["City"]}), "/expand", "bad_column"),
        (json!({"at": -1}), "/at", "out_of_range"),
        (json!({"as_of": 1_000_000}), "/as_of", "out_of_range"),
    ] {
        let answer = owner.post(&path, body.clone()).await;
        answer.refuses(422, "validation");
        assert_eq!(answer.body["errors"][0]["path"], place, "{body}");
        assert_eq!(answer.body["errors"][0]["code"], code, "{body}");
    }
    owner
        .post(&path, json!({"where": {}}))
        .await
        .refuses(422, "validation");
    for (query, status) in [
        ("q=%00", 422),
        ("filter=%7B", 400),
        ("filter=%5B%5D", 422),
        ("limit=0", 400),
    ] {
        owner
            .get(&format!("{list}/items?{query}"))
            .await
            .refuses(status, "validation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_exact_for_small_lists_and_counts_no_large_one() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let columns = [("City", "text")];
    let small = owner.list(&workspace, &columns).await;
    let large = owner.list(&workspace, &columns).await;
    let mut database = superuser(&app).await;
    for (list, items) in [(&small, 3_000), (&large, 12_000)] {
        let insert = format!(
            "INSERT INTO estatebase.items
             SELECT workspace_id, id, gen_random_uuid(), 1, 1,
                 jsonb_build_object('0', CASE n % 4 WHEN 0 THEN 'Oslo' ELSE 'Bergen' END),
                 now(), created_by, now(), created_by
             FROM estatebase.lists, generate_series(1, {items}) n WHERE id = '{}'",
            list.rsplit('/').next().unwrap()
        );
        execute(&mut database, insert).await;
    }
    execute(&mut database, "ANALYZE estatebase.items".to_owned()).await;
    let estimate = async |list: &str, filter: Value| {
        let body = json!({"count": "estimated", "limit": 1, "filter": filter});
        let page = owner.post(&format!("{list}/items/query"), body).await;
        page.is(200)["count"].as_i64().unwrap()
    };
    let oslo = json!({"column": "City", "op": "eq", "value": "oslo"});
    assert_eq!(estimate(&small, Value::Null).await, 3_000);
    assert_eq!(estimate(&small, oslo.clone()).await, 750);
    let all = estimate(&large, Value::Null).await;
    assert!((10_001..14_000).contains(&all), "{all}");
    let some = estimate(&large, oslo).await;
    assert!((2_400..3_600).contains(&some), "{some}");
    let exact = owner
        .get(&format!("{large}/items?count=exact&limit=1"))
        .await;
    assert_eq!(exact.is(200)["count"], 12_000);
    // Statistics that say ten times as much are believed: nobody counts.
    let exaggerate = "UPDATE pg_class SET reltuples = reltuples * 10
        WHERE oid = 'estatebase.items'::regclass";
    execute(&mut database, exaggerate.to_owned()).await;
    let believed = estimate(&large, Value::Null).await;
    assert!(believed > 100_000, "{believed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_in_every_list_of_the_workspace_and_in_no_other() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let people = owner
        .list(&workspace, &[("Name", "text"), ("Email", "email")])
        .await;
    let homes = owner.list(&workspace, &[("Street", "text")]).await;
    let gone = owner.list(&workspace, &[("Name", "text")]).await;
    let ann = json!({"Name": "Ann Oak", "Email": "ann@example.com"});
    let ann = owner.item(&people, ann).await;
    owner.item(&people, json!({"Name": "Bob"})).await;
    let mut there = Vec::new();
    for nr in 1..=3 {
        there.push(
            owner
                .item(&homes, json!({"Street": format!("{nr} OAK Street")}))
                .await,
        );
    }
    owner.item(&gone, json!({"Name": "Oak"})).await;
    owner.delete(&gone).await.is(204);
    let elsewhere = owner.workspace().await;
    let other = owner.list(&elsewhere, &[("Name", "text")]).await;
    owner.item(&other, json!({"Name": "Oak"})).await;

    let found = owner
        .get(&format!("{workspace}/search?q=oak&limit=2"))
        .await;

    let found = found.is(200)["data"].as_array().unwrap();
    let told: Vec<(String, Vec<&str>, bool)> = found
        .iter()
        .map(|of| {
            let items = of["items"].as_array().unwrap().iter();
            let ids = items.map(|item| item["id"].as_str().unwrap()).collect();
            (
                of["list_id"].as_str().unwrap().to_owned(),
                ids,
                of["more"].as_bool().unwrap(),
            )
        })
        .collect();
    let first: Vec<&str> = there.iter().take(2).map(String::as_str).collect();
    assert_eq!(
        told,
        [
            (last(&people), vec![ann.as_str()], false),
            (last(&homes), first, true)
        ]
    );
    // All words in one item, wherever they stand in it.
    let both = owner.get(&format!("{workspace}/search?q=oak%20ann@")).await;
    assert_eq!(both.is(200)["data"].as_array().unwrap().len(), 1);
    for (query, path, code) in [
        ("", "/q", "required"),
        ("?q=%20", "/q", "required"),
        ("?q=a&limit=51", "/limit", "out_of_range"),
    ] {
        let refused = owner.get(&format!("{workspace}/search{query}")).await;
        let error = &refused.is(422)["errors"][0];
        assert_eq!(
            (&error["path"], &error["code"]),
            (&json!(path), &json!(code))
        );
    }
}

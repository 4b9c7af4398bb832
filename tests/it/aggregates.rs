//! Figures over a list's items, in groups, as a client asks for them.

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};
use crate::support::db::{execute, superuser};

const COLUMNS: [(&str, &str); 4] = [
    ("City", "text"),
    ("Price", "number"),
    ("Closed", "date"),
    ("Place", "location"),
];

/// Five sales, one of them without a city and a price.
async fn sales(owner: &Person, workspace: &str) -> String {
    let list = owner.list(workspace, &COLUMNS).await;
    for (city, price, closed) in [
        (json!("oakland"), json!(0.1), "2026-01-31"),
        (json!("Oakland"), json!(0.2), "2026-02-01"),
        (json!("OAKLAND"), json!(1), "2026-03-31"),
        (json!("Davis"), json!(999_999_999_999_999_i64), "2025-12-31"),
        (Value::Null, Value::Null, "2026-02-15"),
    ] {
        let values = json!({"City": city, "Price": price, "Closed": closed});
        owner.item(&list, values).await;
    }
    list
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_in_order_with_exact_figures() {
    let app = TestApp::new().await;
    let (owner, viewer) = (app.person("owner").await, app.person("viewer").await);
    let workspace = owner.workspace().await;
    let list = sales(&owner, &workspace).await;
    owner.bring(&workspace, &viewer, "viewer").await;
    let path = format!("{list}/items/aggregate");
    let ask = async |body: Value| {
        let answer = viewer.post(&path, body).await;
        assert!(answer.headers.contains_key("x-workspace-seq"));
        assert_eq!(answer.is(200)["next_cursor"], Value::Null);
        answer.body["data"].clone()
    };
    let of = |op: &str| json!({"op": op, "column": "Price"});
    assert_eq!(
        ask(json!({
            "group_by": [{"column": "City"}],
            "metrics": [{"op": "count"}, of("sum"), of("median"), of("min"), of("empty")],
        }))
        .await,
        json!([
            {"group": ["Davis"], "metrics": [1, 999_999_999_999_999_i64, 999_999_999_999_999_i64, 999_999_999_999_999_i64, 0]},
            {"group": ["OAKLAND"], "metrics": [3, 1.3, 0.2, 0.1, 0]},
            {"group": [null], "metrics": [1, 0, null, null, 1]},
        ])
    );
    assert_eq!(
        ask(json!({
            "filter": {"column": "City", "op": "not_empty"},
            "q": "LAND",
            "group_by": [{"column": "Closed", "bucket": "quarter"}, {"column": "City"}],
            "metrics": [{"op": "max", "column": "Closed"}],
        }))
        .await,
        json!([{"group": ["2026-01-01", "OAKLAND"], "metrics": ["2026-03-31"]}])
    );
    assert_eq!(
        ask(json!({"q": "nowhere", "metrics": [{"op": "count"}, of("avg")]})).await,
        json!([{"group": [], "metrics": [0, null]}]),
        "without levels there is one group of all items"
    );
    // More digits than a number of JavaScript holds are still in the text.
    let body = json!({"metrics": [of("sum"), of("avg")]});
    let text = viewer.post(&path, body).await.text;
    assert!(
        text.contains("[1000000000000000.3,250000000000000.075]"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_figure_is_refused_by_its_place() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = sales(&owner, &workspace).await;
    let path = format!("{list}/items/aggregate");
    let level = |column: &str| json!({"group_by": [{"column": column}], "metrics": []});
    let metric = |metric: Value| json!({"metrics": [{"op": "count"}, metric]});
    for (body, place, code) in [
        (level("Nowhere"), "/group_by/0/column", "unknown_column"),
        (level("Place"), "/group_by/0/column", "bad_column"),
        (
            json!({"group_by": [{"column": "City", "bucket": "day"}], "metrics": []}),
            "/group_by/0/bucket",
            "bad_bucket",
        ),
        (
            json!({"group_by": [{"column": "Closed", "bucket": "hour"}], "metrics": []}),
            "/group_by/0/bucket",
            "unknown_bucket",
        ),
        (
            json!({"group_by": vec![json!({"column": "City"}); 4], "metrics": []}),
            "/group_by",
            "too_many",
        ),
        (
            json!({"metrics": vec![json!({"op": "count"}); 21]}),
            "/metrics",
            "too_many",
        ),
        (
            metric(json!({"op": "sum", "column": "City"})),
            "/metrics/1/op",
            "bad_op",
        ),
        (
            metric(json!({"op": "mode", "column": "City"})),
            "/metrics/1/op",
            "unknown_op",
        ),
        (
            metric(json!({"op": "sum"})),
            "/metrics/1/column",
            "required",
        ),
        (
            metric(json!({"op": "count", "column": "City"})),
            "/metrics/1/column",
            "unwanted",
        ),
        (
            json!({"filter": {"column": "Nowhere", "op": "is_empty"}, "metrics": []}),
            "/filter/column",
            "unknown_column",
        ),
        (
            json!({"q": "x".repeat(1_001), "metrics": []}),
            "/q",
            "too_long",
        ),
    ] {
        let answer = owner.post(&path, body.clone()).await;
        answer.refuses(422, "validation");
        assert_eq!(answer.body["errors"][0]["path"], place, "{body}");
        assert_eq!(answer.body["errors"][0]["code"], code, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_groups_are_the_most() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Number", "number")]).await;
    let mut database = superuser(&app).await;
    let insert = format!(
        "INSERT INTO estatebase.items
         SELECT workspace_id, id, gen_random_uuid(), 1, 1, jsonb_build_object('0', n),
             now(), created_by, now(), created_by
         FROM estatebase.lists, generate_series(1, 10001) n WHERE id = '{}'",
        list.rsplit('/').next().unwrap()
    );
    execute(&mut database, insert).await;
    let ask = async |least: i64| {
        let body = json!({
            "filter": {"column": "Number", "op": "gte", "value": least},
            "group_by": [{"column": "Number"}],
            "metrics": [{"op": "count"}],
        });
        owner.post(&format!("{list}/items/aggregate"), body).await
    };
    let all = ask(2).await;
    assert_eq!(all.is(200)["data"].as_array().unwrap().len(), 10_000);
    let more = ask(1).await;
    more.refuses(422, "validation");
    assert_eq!(more.body["errors"][0]["path"], "/group_by");
    assert_eq!(more.body["errors"][0]["code"], "too_many");
}

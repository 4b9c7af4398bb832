//! Answers of every kind: problem documents, headers, the document of the API; nothing internal.

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_problem_document_with_the_callers_request_id() {
    let app = TestApp::new().await;
    let nobody = Person::nobody(&app);
    let path = "/api/v1/me";
    let answer = nobody
        .send(Method::GET, path, None, &[("x-request-id", "my-request-1")])
        .await;
    answer.refuses(401, "unauthenticated");
    assert_eq!(answer.body["request_id"], "my-request-1");
    assert_eq!(answer.headers["x-request-id"], "my-request-1");
    assert_eq!(answer.body["type"], "/problems/unauthenticated");
    let forged = nobody
        .send(Method::GET, path, None, &[("x-request-id", "a b\"c")])
        .await;
    assert_ne!(forged.body["request_id"], "a b\"c");
    let two = nobody
        .send(
            Method::GET,
            path,
            None,
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
        )
        .await;
    assert_eq!(two.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::new().await;
    let nobody = Person::nobody(&app);
    for path in [
        "/",
        "/healthz",
        "/api/v1/openapi.json",
        "/api/v1/me",
        "/api/v1/nowhere",
        "/nowhere",
    ] {
        let answer = nobody.send(Method::GET, path, None, &[]).await;
        for name in [
            "x-content-type-options",
            "referrer-policy",
            "content-security-policy",
            "x-request-id",
        ] {
            assert!(answer.headers.contains_key(name), "{path}: {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_can_not_be_read_is_400_and_one_that_breaks_a_rule_422() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let path = format!("{list}/items");
    let send = async |body: &str| {
        owner
            .upload(&path, "application/json", body.as_bytes().to_vec())
            .await
            .status
            .as_u16()
    };
    assert_eq!(send("{").await, 400);
    assert_eq!(send("\"\\ud800\"").await, 400);
    assert_eq!(
        send(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).await,
        400
    );
    assert_eq!(send("[]").await, 422);
    assert_eq!(
        send(r#"{"values":{"Price":1},"workspace_id":"x"}"#).await,
        422
    );
    assert_eq!(send(r#"{"values":{"Price":1,"Price":2}}"#).await, 422);
    assert_eq!(send(r#"{"values":{"Price":1e999}}"#).await, 422);
    assert_eq!(
        send(r#"{"values":{"Price":0.1234567890123456}}"#).await,
        422
    );
    assert_eq!(send(r#"{"values":{"__proto__":1}}"#).await, 422);
    assert_eq!(
        owner
            .upload(&path, "text/plain", b"{}".to_vec())
            .await
            .status,
        415
    );
    let unknown = owner.get(&format!("{path}?page=2")).await;
    unknown.refuses(422, "validation");
    owner
        .get(&format!("{path}?limit=0"))
        .await
        .refuses(400, "validation");
    owner
        .get(&format!("{path}?cursor=bm90aGluZw"))
        .await
        .refuses(400, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_question_alone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let one = owner.list(&workspace, &[("Price", "number")]).await;
    let other = owner.list(&workspace, &[("Price", "number")]).await;
    for n in 0..3 {
        owner.item(&one, json!({"Price": n})).await;
        owner.item(&other, json!({"Price": n})).await;
    }
    let page = owner.get(&format!("{one}/items?limit=2")).await;
    let cursor = page.is(200)["next_cursor"].as_str().unwrap().to_owned();
    let rest = owner
        .get(&format!("{one}/items?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(rest.is(200)["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["next_cursor"], Value::Null);
    owner
        .get(&format!("{other}/items?cursor={cursor}"))
        .await
        .refuses(400, "validation");
    owner
        .get(&format!("{one}/trash?cursor={cursor}"))
        .await
        .refuses(400, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_the_tables_routes_and_every_reference_leads_somewhere() {
    let app = TestApp::new().await;
    let document = Person::nobody(&app).get("/openapi.json").await;
    let document = document.is(200);
    let mut listed: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            listed.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let mut table: Vec<String> = estatebase::http::routes::table()
        .iter()
        .map(|route| format!("{} /api/v1{}", route.method, route.path))
        .collect();
    listed.sort();
    table.sort();
    assert_eq!(listed, table);
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let app = TestApp::limited().await;
    let owner = app.person("owner").await;
    let first = owner.get("/me").await;
    first.is(200);
    assert!(
        first.headers["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"user\";r=")
    );
    let asked = futures::stream::iter(0..2_000).map(|_| owner.get("/me"));
    let refused = asked.buffer_unordered(32).filter(|answer| {
        let refused = answer.status == 429;
        async move { refused }
    });
    let refused = std::pin::pin!(refused).next().await.expect("a limit");
    refused.refuses(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
}

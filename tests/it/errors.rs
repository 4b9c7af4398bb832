//! Answers of every kind: problem documents, headers, the document of the API; nothing internal.

use estatebase::http::routes::{Needs, table};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, ground, last};

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

/// What stands on every answer, whoever makes it.
#[track_caller]
fn carries_its_headers(answer: &Answer) {
    for name in [
        "x-content-type-options",
        "referrer-policy",
        "content-security-policy",
        "cache-control",
        "x-request-id",
    ] {
        assert!(answer.headers.contains_key(name), "{name}: {answer:?}");
    }
}

/// What stands on every answer where requests are counted.
#[track_caller]
fn says_what_is_left(answer: &Answer, policy: &str) {
    let left = answer.headers["ratelimit"].to_str().unwrap();
    assert!(left.starts_with(&format!("\"{policy}\";r=")), "{left}");
    let policies = answer.headers["ratelimit-policy"].to_str().unwrap();
    assert!(policies.starts_with(&format!("\"{policy}\";q=")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::limited().await;
    let nobody = Person::nobody(&app);
    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::HEAD, "/healthz", 200),
        (Method::GET, "/api/v1/openapi.json", 200),
        (Method::HEAD, "/api/v1/openapi.json", 200),
        (Method::OPTIONS, "/api/v1/me", 204),
        (Method::GET, "/api/v1/me", 401),
        (Method::HEAD, "/api/v1/me", 401),
        (Method::GET, "/api/v1/nowhere", 404),
        (Method::GET, "/assets/nothing.js", 404),
        (Method::GET, "/auth/v1/nowhere", 404),
        (Method::PUT, "/api/v1/me", 405),
        (Method::POST, "/healthz", 405),
        (Method::POST, "/problems/gone", 405),
        (Method::POST, "/nowhere", 405),
        (Method::DELETE, "/auth/v1/signup", 405),
        (Method::GET, "/api/v1/openapi.json?x=1", 422),
    ] {
        let answer = nobody.send(method.clone(), path, None, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        carries_its_headers(&answer);
        says_what_is_left(&answer, "address");
        assert_eq!(
            method == Method::HEAD,
            answer.text.is_empty() && status != 204,
            "{path}"
        );
        assert_eq!(
            answer.headers.contains_key("allow"),
            [405, 204].contains(&status),
            "{method} {path}"
        );
    }
    let wrong = nobody.send(Method::PUT, "/api/v1/me", None, &[]).await;
    wrong.refuses(405, "method_not_allowed");
    assert_eq!(wrong.headers["allow"], "GET, PATCH, HEAD, OPTIONS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_configured_origin_reads_refusals_too() {
    let app = TestApp::limited().await;
    let nobody = Person::nobody(&app);
    let from = |origin| [("origin", origin)];
    let asked = async |origin| {
        nobody
            .send(Method::GET, "/api/v1/me", None, &from(origin))
            .await
    };
    let refused = asked("https://app.example.com").await;
    refused.refuses(401, "unauthenticated");
    let allowed = "access-control-allow-origin";
    assert_eq!(refused.headers[allowed], "https://app.example.com");
    let exposed = refused.headers["access-control-expose-headers"].to_str();
    let exposed = exposed.unwrap().to_lowercase();
    for name in ["ratelimit", "retry-after", "x-request-id", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(
        !asked("https://elsewhere.example")
            .await
            .headers
            .contains_key(allowed)
    );
    let preflight = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "PATCH"),
        (
            "access-control-request-headers",
            "authorization, idempotency-key, if-match",
        ),
    ];
    let before = nobody
        .send(Method::OPTIONS, "/api/v1/me", None, &preflight)
        .await;
    before.is(200);
    assert_eq!(before.headers[allowed], "https://app.example.com");
    carries_its_headers(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_a_route_does_not_take_is_refused_wherever_it_is() {
    let app = TestApp::new().await;
    let (owner, nobody) = (app.person("owner").await, Person::nobody(&app));
    let workspace = owner.workspace().await;
    let workspace = workspace.rsplit('/').next().unwrap();
    for route in table() {
        let place = route.path.replace("{workspace_id}", workspace);
        let place = place.replace("{key}", "Price");
        let place = [
            "{list_id}",
            "{item_id}",
            "{job_id}",
            "{user_id}",
            "{invite_id}",
        ]
        .iter()
        .fold(place, |place, name| place.replace(name, workspace));
        let path = format!("/api/v1{place}?x%2Fy=1&as_of=3");
        let method: Method = route.method.as_str().parse().unwrap();
        let body = json!({});
        let answer = owner.send(method.clone(), &path, Some(&body), &[]).await;
        let name = format!("{method} {}", route.path);
        assert_eq!(answer.status, 422, "{name}: {}", answer.text);
        let errors = answer.body["errors"].as_array();
        let told: Vec<_> = errors
            .unwrap()
            .iter()
            .map(|error| {
                (
                    error["path"].as_str().unwrap(),
                    error["code"].as_str().unwrap(),
                )
            })
            .collect();
        let mut expected = vec![("/x~1y", "unknown_parameter")];
        if !route.query.contains(&"as_of") {
            expected.push(("/as_of", "not_built"));
        }
        assert_eq!(told, expected, "{name}");
        carries_its_headers(&answer);
        if route.needs != Needs::Nothing {
            let stranger = nobody.send(method, &path, Some(&body), &[]).await;
            stranger.refuses(401, "unauthenticated");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_a_route_would_not_heed_is_refused_wherever_it_is() {
    let (_app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let options = json!({"list_id": last(&list), "multiple": true});
    let related = json!({"key": "Related", "name": "Related", "type": "link", "options": options});
    let columns = format!("{list}/columns");
    owner.post(&columns, related).await.is(201);
    let comment = owner
        .post(
            &format!("{list}/items/{item}/comments"),
            json!({"body": "?"}),
        )
        .await;
    let view = owner
        .post(
            &format!("{list}/views"),
            json!({"name": "All", "kind": "grid"}),
        )
        .await;
    let (workspace, list) = (last(&workspace), last(&list));
    let told = |answer: &Answer| answer.is(201)["id"].as_str().unwrap().to_owned();
    let known = [
        ("{workspace_id}", workspace.clone()),
        ("{list_id}", list.clone()),
        ("{item_id}", item.clone()),
        ("{comment_id}", told(&comment)),
        ("{view_id}", told(&view)),
        ("{column}", "Related".to_owned()),
    ];
    for route in table() {
        let place = known
            .iter()
            .fold(route.path.to_owned(), |place, (name, id)| {
                place.replace(name, id)
            });
        let place = place.replace(['{', '}'], "");
        let method: Method = route.method.as_str().parse().unwrap();
        let stale = [("if-match", "\"7\"")];
        let body = match route.path.rsplit('/').next() {
            Some("{comment_id}") => json!({"body": "!"}),
            Some("{view_id}") => json!({"name": "Some"}),
            Some("{column}") => json!({"ids": [item]}),
            _ => json!({"values": {"Price": 2}}),
        };
        let answer = owner
            .send(method, &format!("/api/v1{place}"), Some(&body), &stale)
            .await;
        if route.takes_if_match() {
            assert_eq!(
                answer.status, 412,
                "{} {}: {}",
                route.method, route.path, answer.text
            );
            answer.refuses(412, "precondition_failed");
        } else {
            answer.refuses(422, "validation");
            assert_eq!(answer.body["errors"][0]["path"], "/If-Match");
        }
    }
    let untouched = format!("/workspaces/{workspace}/lists/{list}/items/{item}");
    assert_eq!(owner.get(&untouched).await.is(200)["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_stands_twice_is_refused() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let twice = owner.get("/workspaces?limit=1&limit=2").await;
    twice.refuses(422, "validation");
    assert_eq!(twice.body["errors"][0]["path"], "/limit");
    assert_eq!(twice.body["errors"][0]["code"], "duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_answered_though_it_is_still_being_sent() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let mut connection = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let size = 24 << 20;
    let head = format!(
        "POST /api/v1/workspaces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n",
        owner.token.as_deref().unwrap()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // A simple client: it reads nothing before it has sent everything.
    connection.write_all(&vec![b' '; size]).await.unwrap();
    connection.shutdown().await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("\"code\":\"too_large\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_not_there_is_refused_by_its_name() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let new = json!({"name": "Zoo", "template": "zoo"});
    let refused = owner.post("/workspaces", new).await;
    refused.refuses(422, "validation");
    assert_eq!(refused.body["errors"][0]["path"], "/template");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_can_not_be_read_is_400_and_one_that_breaks_a_rule_422() {
    let (_app, owner, _, list) = ground().await;
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
    // Refused before it asks the database for anything: faster than the limit refills.
    let asked = futures::stream::iter(0..2_000).map(|_| owner.get("/me?nothing=1"));
    let refused = asked.buffer_unordered(32).filter(|answer| {
        let refused = answer.status == 429;
        async move { refused }
    });
    let refused = std::pin::pin!(refused).next().await.expect("a limit");
    refused.refuses(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    carries_its_headers(&refused);
    says_what_is_left(&refused, "user");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_told_so_as_properly() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const REQUESTS: usize = 6_000;
    let app = TestApp::limited().await;
    // One connection, and no waiting between its requests: no client is faster.
    let connection = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let (mut answers, mut requests) = connection.into_split();
    let sending = tokio::spawn(async move {
        let request =
            "HEAD /healthz HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.com\r\n\r\n";
        // The rest is of no interest when the answer is found.
        let _ = requests
            .write_all(request.repeat(REQUESTS).as_bytes())
            .await;
    });
    let mut text = String::new();
    let refused = loop {
        let mut some = vec![0; 64 << 10];
        let read = answers.read(&mut some).await.unwrap();
        assert!(read > 0, "no limit");
        text.push_str(std::str::from_utf8(&some[..read]).unwrap());
        let whole = text.rfind("\r\n\r\n").map_or(0, |end| end + 4);
        let found = text[..whole].split_inclusive("\r\n\r\n");
        if let Some(refused) = found
            .into_iter()
            .find(|answer| answer.starts_with("HTTP/1.1 429 "))
        {
            break refused.to_lowercase();
        }
        text.drain(..whole);
    };
    sending.abort();
    for header in [
        "ratelimit: \"address\";r=0\r\n",
        "ratelimit-policy: \"address\";q=2000;",
        "retry-after: ",
        "x-request-id: ",
        "content-security-policy: ",
        "access-control-allow-origin: https://app.example.com\r\n",
        "content-type: application/problem+json\r\n",
    ] {
        assert!(refused.contains(header), "{header} in {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_of_the_versions_that_are_named_alone() {
    let (_app, owner, _, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 0})).await;
    let path = format!("/api/v1{list}/items/{item}");
    let change = async |tags: &str, body: Value| {
        let tags = [("if-match", tags)];
        owner.send(Method::PATCH, &path, Some(&body), &tags).await
    };
    let price = json!({"values": {"Price": 1}});
    change("\"7\", \"1\"", price.clone()).await.is(200);
    change("*", price.clone()).await.is(200);
    for stale in ["\"1\"", "\"1\", \"2\"", "W/\"3\"", "\"three\""] {
        let refused = change(stale, price.clone()).await;
        refused.refuses(412, "precondition_failed");
        assert_eq!(refused.body["current"]["version"], 3, "{stale}");
        assert_eq!(refused.headers["x-workspace-seq"], "5", "{stale}");
    }
    change("3", price.clone()).await.refuses(400, "validation");
    // The header and the body both count.
    let other = json!({"values": {"Price": 2}, "if_version": 2});
    change("\"3\"", other)
        .await
        .refuses(412, "precondition_failed");
    let both = json!({"values": {"Price": 2}, "if_version": 3});
    change("\"2\", \"3\"", both).await.is(200);
    let delete = async |tags: &str| {
        let tags = [("if-match", tags)];
        owner.send(Method::DELETE, &path, None, &tags).await
    };
    delete("\"3\"").await.refuses(412, "precondition_failed");
    delete("\"3\", \"4\"").await.is(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_or_list_that_no_page_could_show_is_refused() {
    let (_app, owner, workspace, list) = ground().await;
    let nil = uuid::Uuid::nil();
    let path = format!("{list}/items");
    let one = json!({"id": nil, "values": {"Price": 1}});
    let refused = owner.post(&path, one.clone()).await;
    refused.refuses(422, "validation");
    assert_eq!(refused.body["errors"][0]["path"], "/id");
    let refused = owner
        .post(&path, json!({"items": [{"values": {}}, one]}))
        .await;
    refused.refuses(422, "validation");
    assert_eq!(refused.body["errors"][0]["path"], "/items/1/id");
    let refused = owner
        .post(
            &format!("{workspace}/lists"),
            json!({"id": nil, "name": "List"}),
        )
        .await;
    refused.refuses(422, "validation");
    assert_eq!(refused.body["errors"][0]["path"], "/id");
    let last = json!({"id": uuid::Uuid::max(), "values": {"Price": 1}});
    owner.post(&path, last).await.is(201);
    let page = owner.get(&path).await;
    assert_eq!(page.is(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_never_stands_for_an_object() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Note", "text")]).await;
    let item = owner.item(&list, json!({"Note": "as it was"})).await;
    let seq = owner.seq(&workspace).await;
    let items = format!("{list}/items");
    for body in [
        json!([null, null, {"Note": "by position"}]),
        json!({"items": [[null, {"Note": "by position"}]]}),
        json!([[[null, {"Note": "by position"}]], null, null]),
        json!(null),
        json!("text"),
    ] {
        owner
            .post(&items, body.clone())
            .await
            .refuses(422, "validation");
    }
    for body in [
        json!([[]]),
        json!({"items": [[item, {"Note": "by position"}, null, null]]}),
    ] {
        let refused = owner.patch(&items, body).await;
        refused.refuses(422, "validation");
    }
    for (path, body) in [
        ("/workspaces".to_owned(), json!(["by position", null])),
        (format!("{workspace}/lists"), json!(["by position", []])),
        (
            format!("{workspace}/lists"),
            json!({"name": "Second", "columns": [["Key", "Name", "text", {}, false, null, null]]}),
        ),
    ] {
        let refused = owner.post(&path, body).await;
        refused.refuses(422, "validation");
        for internal in ["struct", "In with", "deserialize"] {
            assert!(!refused.text.contains(internal), "{}", refused.text);
        }
    }
    owner
        .patch(&workspace, json!(["by position"]))
        .await
        .refuses(422, "validation");
    let query = owner.get(&format!("{items}?limit=many")).await;
    assert!(query.status == 400 || query.status == 422);
    assert!(!query.text.contains("deserialize"), "{}", query.text);
    assert_eq!(owner.seq(&workspace).await, seq, "nothing was stored");
}

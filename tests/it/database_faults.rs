//! Between the server and its database: how often it is asked, what a lost answer means, and what
//! callers hear while it is away.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_costs_the_database_one_round_trip() {
    let (app, proxy) = TestApp::behind_a_proxy().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let path = format!(
        "{list}/items/{}",
        owner.item(&list, json!({"Price": 0})).await
    );
    owner
        .patch(&path, json!({"values": {"Price": 1}}))
        .await
        .is(200);
    let (asked, groups) = (proxy.in_transaction(), proxy.groups());
    let begun = Instant::now();
    for n in 0..100 {
        owner
            .patch(&path, json!({"values": {"Price": n}}))
            .await
            .is(200);
    }
    assert_eq!(proxy.groups() - groups, 100);
    // A look for other nodes' writes, once a second, is seen as well.
    let (asked, looks) = (
        proxy.in_transaction() - asked,
        begun.elapsed().as_secs() + 1,
    );
    assert!(
        asked <= 4 * usize::try_from(looks).unwrap(),
        "{asked} round trips beside 100 commits"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_looked_up_and_never_done_twice() {
    let (app, proxy) = TestApp::behind_a_proxy().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let path = format!("{list}/items");
    for n in 0..5 {
        proxy.lose_the_next_answer();
        let key = format!("lost-{n}");
        let body = json!({"values": {"Price": n}});
        let mut answer = owner.keyed(&path, &key, body.clone()).await;
        assert!(proxy.has_lost_it());
        // Another transaction's commit may have been the one that was hit: then nobody knows, and
        // the same key asks again.
        if answer.status != 201 {
            assert!(answer.status.is_server_error(), "{}", answer.text);
            answer = owner.keyed(&path, &key, body).await;
        }
        answer.is(201);
    }
    let page = owner.get(&format!("{path}?count=exact")).await;
    assert_eq!(page.is(200)["count"], 5);
    assert_eq!(owner.seq(&workspace).await, 2 + 5);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_callers_are_told_so_and_nothing_internal() {
    let (app, proxy) = TestApp::behind_a_proxy().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let path = format!("{list}/items");
    proxy.set_away(true);
    for _ in 0..3 {
        let read = owner.get(&path).await;
        read.refuses(503, "unavailable");
        assert!(read.headers.contains_key("retry-after"));
        let write = owner.post(&path, json!({"values": {"Price": 1}})).await;
        write.refuses(503, "unavailable");
        for text in [&read.text, &write.text] {
            for internal in [
                "SELECT",
                "INSERT",
                "sqlx",
                "postgres",
                "estatebase.",
                "127.0.0.1",
            ] {
                assert!(!text.contains(internal), "{internal} in {text}");
            }
        }
    }
    let alive = reqwest::get(app.url("/healthz")).await.unwrap();
    assert_eq!(alive.status(), 200);
    assert_eq!(
        reqwest::get(app.url("/readyz")).await.unwrap().status(),
        503
    );
    proxy.set_away(false);
    let begun = Instant::now();
    while owner
        .post(&path, json!({"values": {"Price": 2}}))
        .await
        .status
        != 201
    {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it recovers within 5 s"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

//! A retry gets the first answer, and there is one effect.

use estatebase::store::{Db, ops};
use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::app::{TestApp, ground, last};
use crate::support::db::execute;
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_copies_of_a_request_have_one_effect_and_one_answer() {
    let (_app, owner, _, list) = ground().await;
    let path = format!("{list}/items");
    let body = json!({"values": {"Price": 1}});
    let answers = join_all((0..100).map(|_| owner.keyed(&path, "once", body.clone()))).await;
    let first = answers[0].is(201);
    for answer in &answers {
        assert_eq!(answer.is(201), first);
        assert_eq!(answer.headers["etag"], answers[0].headers["etag"]);
        assert_eq!(answer.headers["location"], answers[0].headers["location"]);
    }
    assert_eq!(
        owner.get(&format!("{path}?count=exact")).await.is(200)["count"],
        1
    );
    let other = json!({"values": {"Price": 2}});
    owner
        .keyed(&path, "once", other)
        .await
        .refuses(422, "idempotency_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_remembered_beyond_a_restart_and_whatever_happened_since() {
    let (app, owner, workspace, list) = ground().await;
    let path = format!("{list}/items");
    let id = "01900000-0000-7000-8000-00000000000a";
    let body = json!({"id": id, "values": {"Price": 1}});
    let first = owner.keyed(&path, "kept", body.clone()).await;
    let item = format!("{path}/{id}");
    owner
        .patch(&item, json!({"values": {"Price": 2}}))
        .await
        .is(200);
    let restarted = app.again();
    let owner = owner.at(&restarted);
    let again = owner.keyed(&path, "kept", body).await;
    assert_eq!(first.is(201), again.is(201));
    assert_eq!(owner.get(&item).await.is(200)["values"]["Price"], 2);
    assert_eq!(owner.get(&workspace).await.is(200)["seq"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_when_its_time_is_over() {
    let (app, owner, _, list) = ground().await;
    let path = format!("{list}/items");
    let body = json!({"values": {"Price": 1}});
    let mut first = Vec::new();
    for key in ["old", "kept"] {
        let made = owner.keyed(&path, key, body.clone()).await;
        first.push(made.is(201)["id"].clone());
    }
    let mut database = PgConnection::connect(&app.db.owner_url()).await.unwrap();
    for (key, days) in [("old", 32), ("kept", 29)] {
        let age = format!(
            "UPDATE estatebase.ops SET at = now() - interval '{days} days' WHERE key = '{key}'"
        );
        execute(&mut database, age).await;
    }
    let server = Db::open(&app.db.app_url(), 1).unwrap();
    assert_eq!(ops::forget(&server).await.unwrap(), 1);
    assert_eq!(ops::forget(&server).await.unwrap(), 0);
    // Even the server's role can't ask for more than that.
    let mut role = PgConnection::connect(&app.db.app_url()).await.unwrap();
    let all = "SELECT estatebase.forget_ops(interval '0', 1000)";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(all)
            .fetch_one(&mut role)
            .await
            .unwrap(),
        0
    );
    // At a server that hasn't the first answer in memory.
    let later = app.again();
    let owner = owner.at(&later);
    let again = owner.keyed(&path, "old", body.clone()).await;
    assert_ne!(again.is(201)["id"], first[0]);
    let kept = owner.keyed(&path, "kept", body).await;
    assert_eq!(kept.is(201)["id"], first[1]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_success_is_remembered_and_only_for_who_may() {
    let app = TestApp::new().await;
    let (owner, guest) = (app.person("owner").await, app.person("guest").await);
    let workspace = owner.workspace().await;
    owner.bring(&workspace, &guest, "editor").await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let path = format!("{list}/items");
    guest
        .keyed(&path, "k", json!({"values": {"Price": "x"}}))
        .await
        .refuses(422, "validation");
    let body = json!({"values": {"Price": 1}});
    guest.keyed(&path, "k", body.clone()).await.is(201);
    // The same key of another person is another key.
    owner.keyed(&path, "k", body.clone()).await.is(201);
    owner
        .delete(&format!("{workspace}/members/{}", guest.id))
        .await
        .is(204);
    guest
        .keyed(&path, "k", body)
        .await
        .refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_made_once_a_key() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let body = json!({"name": "Once", "template": "real_estate"});
    let made = join_all((0..10).map(|_| owner.keyed("/workspaces", "w", body.clone()))).await;
    for answer in &made {
        assert_eq!(answer.is(201), made[0].is(201));
    }
    let mine = owner.get("/workspaces").await;
    assert_eq!(mine.is(200)["data"].as_array().unwrap().len(), 1);
    owner
        .keyed("/workspaces", "w", json!({"name": "Other"}))
        .await
        .refuses(422, "idempotency_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sockets_op_takes_effect_once_and_is_carried_by_its_event() {
    let (app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 0})).await;
    let mut socket = Socket::open(&app, &owner).await;
    socket.follow(&workspace, None).await;
    let op = uuid::Uuid::now_v7().to_string();
    let op = op.as_str();
    let edit = json!({"type": "edit", "op": op, "workspace": last(&workspace), "list": last(&list),
        "items": [{"id": item, "values": {"Price": 5}}]});
    socket.send(edit.clone()).await;
    let first = socket.next("ack").await;
    for _ in 0..5 {
        socket.send(edit.clone()).await;
        assert_eq!(socket.next("ack").await, first);
    }
    assert_eq!(first["items"][0]["version"], 2);
    socket
        .reach(&workspace, first["seq"].as_i64().unwrap())
        .await;
    assert_eq!(socket.events.len(), 1);
    assert_eq!(socket.events[0]["op"], op);
    // REST and sockets share one table of keys.
    let path = format!("{list}/items");
    let body = json!({"values": {"Price": 1}});
    owner
        .keyed(&path, op, body)
        .await
        .refuses(422, "idempotency_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_op_is_refused_once_nobody_remembers_what_it_did() {
    let (app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 0})).await;
    let mut socket = Socket::open(&app, &owner).await;
    for (op, code) in [
        ("01900000-0000-7000-8000-0000000000ff", "gone"),
        ("5f5b2f6e-7e4b-4d5c-9d5e-0f3d8a3b1c2d", "validation"),
    ] {
        let edit = json!({"type": "edit", "op": op, "workspace": last(&workspace),
            "list": last(&list), "items": [{"id": item, "values": {"Price": 5}}]});
        socket.send(edit).await;
        let refused = socket.next("reject").await;
        assert_eq!(refused["problem"]["code"], code, "{refused}");
    }
    let item = owner.get(&format!("{list}/items/{item}")).await;
    assert_eq!(item.is(200)["version"], 1);
}

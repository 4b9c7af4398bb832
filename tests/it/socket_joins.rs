//! What a socket follows, and what it is told when that is not what it was: joins that are taken
//! back, logs that turn back, workspaces that go, and operations that are sent again.

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio_tungstenite::tungstenite::Message;
use url::Url;
use uuid::Uuid;

use crate::support::app::{TestApp, ground, last};
use crate::support::db::{execute, server_url};
use crate::support::socket::{Closed, Socket};

/// The test's database as the superuser, behind the server's back.
async fn superuser(app: &TestApp) -> PgConnection {
    let mut url: Url = server_url();
    url.set_path(Url::parse(&app.db.owner_url()).unwrap().path());
    PgConnection::connect(url.as_str()).await.unwrap()
}

/// All that a backup of one moment holds of what changes here.
const TABLES: &[&str] = &["workspaces", "items", "events", "event_payloads", "ops"];

async fn back_up(database: &mut PgConnection, name: &str) {
    let statements = TABLES
        .iter()
        .map(|table| format!("CREATE TABLE public.{name}_{table} AS TABLE estatebase.{table};"));
    execute(database, statements.collect()).await;
}

async fn restore(database: &mut PgConnection, name: &str) {
    let statements = TABLES.iter().map(|table| {
        format!(
            "DELETE FROM estatebase.{table};
             INSERT INTO estatebase.{table} SELECT * FROM public.{name}_{table};"
        )
    });
    let all: String = statements.collect();
    let all = format!("BEGIN; SET LOCAL session_replication_role = replica; {all} COMMIT;");
    execute(database, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_told_by_a_reset() {
    let (app, owner, workspace, list) = ground().await;
    let mut database = superuser(&app).await;
    let id = last(&workspace);
    let price = async |n: i64| owner.item(&list, json!({"Price": n})).await;
    let mut socket = Socket::open(&app, &owner).await;
    socket.follow(&workspace, None).await;
    let start = owner.seq(&workspace).await;
    back_up(&mut database, "early").await;
    price(1).await;
    back_up(&mut database, "first").await;
    price(2).await;
    back_up(&mut database, "second").await;
    socket.reach(&workspace, start + 2).await;

    // The head goes back.
    restore(&mut database, "early").await;
    let reset = socket.next("reset").await;
    assert_eq!(reset["workspace"], id);
    assert_eq!(
        (&reset["seq"], &reset["reason"]),
        (&json!(start), &json!("foreign_mark"))
    );
    // What follows, follows from there.
    price(3).await;
    socket.reach(&workspace, start + 1).await;
    assert_eq!(socket.events.last().unwrap()["seq"], start + 1);

    // Another log with the same length, then a longer one that does not hold ours.
    for (backup, seq) in [("first", start + 1), ("second", start + 2)] {
        restore(&mut database, backup).await;
        let reset = socket.next("reset").await;
        assert_eq!(
            (&reset["seq"], &reset["reason"]),
            (&json!(seq), &json!("foreign_mark"))
        );
        if backup == "first" {
            price(4).await;
            socket.reach(&workspace, start + 2).await;
            restore(&mut database, "early").await;
            assert_eq!(socket.next("reset").await["seq"], start);
            price(5).await;
            socket.reach(&workspace, start + 1).await;
        }
    }
    let now = Socket::open(&app, &owner)
        .await
        .follow(&workspace, None)
        .await;
    assert_eq!(now["seq"], start + 2);
    price(6).await;
    socket.reach(&workspace, start + 3).await;
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_is_taken_back_and_made_again_happens_once() {
    let (app, owner, workspace, list) = ground().await;
    let mut database = superuser(&app).await;
    let mut socket = Socket::open(&app, &owner).await;
    let from = socket.follow(&workspace, None).await;
    drop(socket);
    for n in 0..6 {
        owner.item(&list, json!({"Price": n})).await;
    }
    let early = json!({"seq": from["seq"], "mark": from["mark"]});
    let seq = from["seq"].as_i64().unwrap();

    // A server that did not see it happen reads the past in the log.
    let app = app.again();
    let owner = owner.at(&app);
    assert_eq!(owner.seq(&workspace).await, seq + 6);
    let mut socket = Socket::open(&app, &owner).await;
    let subscribe = |id: i64, since: &Value| {
        json!({"type": "subscribe", "id": id, "workspace": last(&workspace), "lists": "all",
            "since": since})
    };
    // No join ends while nobody can read the log.
    let mut reading = database.begin().await.unwrap();
    sqlx::query("LOCK TABLE estatebase.events IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *reading)
        .await
        .unwrap();
    for id in 1..=5 {
        socket.send(subscribe(id, &early)).await;
        socket.send(json!({"type": "unsubscribe", "id": id})).await;
    }
    socket.send(subscribe(6, &early)).await;
    socket.send(json!({"type": "ping", "t": 1})).await;
    socket.next("pong").await;
    reading.rollback().await.unwrap();
    let joined = socket.frame().await.unwrap();
    assert_eq!(
        (&joined["type"], &joined["id"]),
        (&json!("subscribed"), &json!(6))
    );
    assert_eq!(joined["seq"], seq);
    // Each event once and in order, the past and what follows it.
    owner.item(&list, json!({"Price": 7})).await;
    socket.reach(&workspace, seq + 7).await;
    let seqs: Vec<i64> = socket
        .events
        .iter()
        .map(|e| e["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, (seq + 1..=seq + 7).collect::<Vec<_>>());

    // Ended for good, it hears nothing more.
    socket.send(json!({"type": "unsubscribe", "id": 6})).await;
    socket.send(json!({"type": "ping", "t": 2})).await;
    socket.next("pong").await;
    let heard = socket.events.len();
    owner.item(&list, json!({"Price": 8})).await;
    socket.send(json!({"type": "ping", "t": 3})).await;
    assert_eq!(socket.frame().await.unwrap()["type"], "pong");
    assert_eq!(socket.events.len(), heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_is_told_to_members_and_hidden_from_others() {
    let (app, owner, workspace, list) = ground().await;
    let stranger = app.person("stranger").await;
    let mut open = Socket::open(&app, &owner).await;
    open.follow(&workspace, None).await;
    owner.delete(&workspace).await.is(204);
    let gone = open.next("access").await;
    assert_eq!(gone["role"], Value::Null);
    assert_eq!(open.closing().await, Some(4404));
    let subscribe = |lists: Value| json!({"type": "subscribe", "id": 1, "workspace": last(&workspace), "lists": lists});
    for (person, code) in [(&owner, "gone"), (&stranger, "not_found")] {
        let mut socket = Socket::open(&app, person).await;
        for lists in [json!("all"), json!([last(&list)]), json!([Uuid::nil()])] {
            socket.send(subscribe(lists)).await;
            let error = socket.frame().await.unwrap();
            assert_eq!(error["id"], 1);
            assert_eq!(error["problem"]["code"], code, "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_nothing_of_what_is_there() {
    let (app, _, workspace, list) = ground().await;
    let stranger = app.person("stranger").await;
    let mut socket = Socket::open(&app, &stranger).await;
    let mut heard = Vec::new();
    for (workspace, list) in [
        (last(&workspace), last(&list)),
        (last(&workspace), Uuid::nil().to_string()),
        (Uuid::now_v7().to_string(), Uuid::nil().to_string()),
    ] {
        let since = json!({"seq": 0, "mark": "0000000000000000"});
        socket
            .send(json!({"type": "subscribe", "id": 1, "workspace": workspace,
                "lists": [list], "since": since}))
            .await;
        let mut error = socket.frame().await.unwrap();
        error["problem"]["request_id"] = Value::Null;
        heard.push(error);
    }
    assert_eq!(heard[0]["problem"]["code"], "not_found");
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_the_same_however_its_frame_is_written() {
    let (app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let (workspace, list, op) = (last(&workspace), last(&list), Uuid::now_v7());
    let mut socket = Socket::open(&app, &owner).await;
    let mut answer = async |frame: String| {
        socket.raw(Message::text(frame)).await;
        socket.frame().await.unwrap()
    };
    let first = answer(format!(
        r#"{{"type":"edit","op":"{op}","workspace":"{workspace}","list":"{list}","items":[{{"id":"{item}","values":{{"Price":2}}}}]}}"#
    ))
    .await;
    assert_eq!(first["type"], "ack");
    let again = answer(format!(
        r#" {{ "items" : [ {{ "values": {{ "\u0050rice" : 2 }}, "if_version": null, "id": "{}" }} ],
          "list":"{list}", "workspace":"{workspace}", "op":"{op}", "type":"edit" }} "#,
        item.to_uppercase()
    ))
    .await;
    assert_eq!(again, first);
    let other = answer(format!(
        r#"{{"type":"edit","op":"{op}","workspace":"{workspace}","list":"{list}","items":[{{"id":"{item}","values":{{"Price":3}}}}]}}"#
    ))
    .await;
    assert_eq!(other["problem"]["code"], "idempotency_mismatch");
    // A new item whose id the server makes is made once.
    let op = Uuid::now_v7();
    let create = json!({"type": "create", "op": op, "workspace": workspace, "list": list,
        "items": [{"values": {"Price": 4}}]});
    let made = answer(create.to_string()).await;
    assert_eq!(made["type"], "ack");
    assert_eq!(answer(create.to_string()).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_nobody_knows_is_an_error_and_counts_as_a_bad_frame() {
    let (app, owner, workspace, list) = ground().await;
    let mut socket = Socket::open(&app, &owner).await;
    let (workspace, list) = (last(&workspace), last(&list));
    let frames = [
        json!({"type": "subscribe", "id": 1, "workspace": workspace, "list": list}),
        json!({"type": "unsubscribe", "id": 1, "workspace": workspace}),
        json!({"type": "ping", "t": 1, "u": 2}),
        json!({"type": "auth", "token": "x", "user": "y"}),
        json!({"type": "create", "op": Uuid::now_v7(), "workspace": workspace, "list": list,
            "items": [], "typecast": true}),
        json!({"type": "delete", "op": Uuid::now_v7(), "workspace": workspace, "list": list,
            "ids": [], "if_version": 1}),
        json!({"type": "subscribe", "id": 1, "workspace": workspace,
            "since": {"seq": 1, "mark": "m", "at": 2}}),
        json!({"type": "presence", "workspace": workspace}),
        json!({"type": "hello", "token": "x", "version": 2}),
    ];
    for frame in frames {
        socket.send(frame).await;
        let error = socket.frame().await.unwrap();
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["problem"]["status"], 400, "{error}");
    }
    socket.send(json!({"type": "ping", "x": 1})).await;
    assert_eq!(socket.frame().await, Err(Closed(Some(4400))));
}

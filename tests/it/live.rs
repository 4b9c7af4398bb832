//! The websocket: positions without a hole, resume or an honest reset, and frames that harm nobody.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::app::{ground, last};
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_see_each_others_edits_in_one_order() {
    let (app, owner, workspace, list) = ground().await;
    let guest = app.person("guest").await;
    owner.bring(&workspace, &guest, "editor").await;
    let item = owner.item(&list, json!({"Price": 0})).await;
    let (mut one, mut two) = (
        Socket::open(&app, &owner).await,
        Socket::open(&app, &guest).await,
    );
    one.follow(&workspace, None).await;
    two.follow(&workspace, None).await;
    for n in 0..50 {
        for socket in [&mut one, &mut two] {
            let op = uuid::Uuid::now_v7();
            socket
                .send(json!({"type": "edit", "op": op, "workspace": last(&workspace), "list": last(&list),
                    "items": [{"id": item, "values": {"Price": n}}]}))
                .await;
        }
    }
    let through = 4 + 100;
    one.reach(&workspace, through).await;
    two.reach(&workspace, through).await;
    assert_eq!(one.events, two.events);
    assert_eq!(one.events.len(), 100);
    let stands = owner.get(&format!("{list}/items/{item}")).await;
    let last_change = &one.events.last().unwrap()["changes"][0];
    assert_eq!(stands.is(200)["values"], last_change["set"]);
    assert_eq!(stands.body["version"], last_change["version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_comes_back_gets_just_what_it_missed() {
    let (app, owner, workspace, list) = ground().await;
    let mut socket = Socket::open(&app, &owner).await;
    let from = socket.follow(&workspace, None).await;
    drop(socket);
    for n in 0..30 {
        owner.item(&list, json!({"Price": n})).await;
    }
    let position = json!({"seq": from["seq"], "mark": from["mark"], "audience": from["audience"]});
    let mut back = Socket::open(&app, &owner).await;
    assert_eq!(
        back.follow(&workspace, Some(position.clone())).await["seq"],
        from["seq"]
    );
    let now = owner.seq(&workspace).await;
    back.reach(&workspace, now).await;
    assert_eq!(back.events.len(), 30);
    // The same after a restart of the server.
    let restarted = app.again();
    let mut back = Socket::open(&restarted, &owner).await;
    back.follow(&workspace, Some(position)).await;
    back.reach(&workspace, now).await;
    assert_eq!(back.events.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_continued_is_reset_and_says_why() {
    let (app, owner, workspace, _) = ground().await;
    let mut socket = Socket::open(&app, &owner).await;
    let here = socket.follow(&workspace, None).await;
    let seq = here["seq"].as_i64().unwrap();
    let cases = [
        (
            json!({"seq": seq, "mark": "0123456789abcdef"}),
            "foreign_mark",
        ),
        (json!({"seq": seq + 5, "mark": here["mark"]}), "future_seq"),
        (json!({"seq": -1, "mark": here["mark"]}), "future_seq"),
        (
            json!({"seq": seq, "mark": here["mark"], "audience": "x9"}),
            "changed_audience",
        ),
    ];
    for (since, reason) in cases {
        let mut socket = Socket::open(&app, &owner).await;
        assert_eq!(socket.follow(&workspace, Some(since)).await["seq"], seq);
        let reset = socket.next("reset").await;
        assert_eq!(reset["reason"], reason, "{reset}");
        assert_eq!(reset["seq"], seq);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_edit_says_why_and_what_stands() {
    let (app, owner, workspace, list) = ground().await;
    let guest = app.person("guest").await;
    owner.bring(&workspace, &guest, "viewer").await;
    let item = owner.item(&list, json!({"Price": 7})).await;
    let edit = |values: Value, guard: (&str, Value)| {
        let mut change = json!({"id": item, "values": values});
        change[guard.0] = guard.1;
        json!({"type": "edit", "op": uuid::Uuid::now_v7(), "workspace": last(&workspace),
            "list": last(&list), "items": [change]})
    };
    let mut socket = Socket::open(&app, &owner).await;
    socket
        .send(edit(json!({"Price": "x"}), ("if_version", json!(1))))
        .await;
    let bad = socket.next("reject").await;
    assert_eq!(bad["problem"]["errors"][0]["path"], "/items/0/values/Price");
    socket
        .send(edit(json!({"Price": 8}), ("if_version", json!(9))))
        .await;
    let stale = socket.next("reject").await;
    assert_eq!(stale["problem"]["status"], 412);
    assert_eq!(stale["current"]["values"]["Price"], 7);
    socket
        .send(edit(
            json!({"Price": 8}),
            ("if_values", json!({"Price": 6})),
        ))
        .await;
    assert_eq!(socket.next("reject").await["problem"]["status"], 409);
    socket
        .send(edit(
            json!({"Price": 8}),
            ("if_values", json!({"Price": 7})),
        ))
        .await;
    socket.next("ack").await;
    let mut reader = Socket::open(&app, &guest).await;
    reader
        .send(edit(json!({"Price": 1}), ("if_version", json!(2))))
        .await;
    assert_eq!(reader.next("reject").await["problem"]["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_lies_is_let_go() {
    let (app, owner, _, _) = ground().await;
    let mut silent = Socket::silent(&app).await;
    assert_eq!(silent.closing().await, Some(4401));
    let mut liar = Socket::silent(&app).await;
    liar.send(json!({"type": "hello", "token": "nonsense"}))
        .await;
    assert_eq!(liar.closing().await, Some(4401));
    let mut early = Socket::silent(&app).await;
    early
        .send(json!({"type": "subscribe", "id": 1, "workspace": uuid::Uuid::nil(), "lists": "all"}))
        .await;
    assert_eq!(early.closing().await, Some(4401));
    let other = app.person("other").await;
    let mut changeling = Socket::open(&app, &owner).await;
    changeling
        .send(json!({"type": "auth", "token": other.token}))
        .await;
    assert_eq!(changeling.closing().await, Some(4403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_frame_is_answered_and_the_tenth_closes() {
    let (app, owner, _, _) = ground().await;
    let mut socket = Socket::open(&app, &owner).await;
    for frame in ["[]", "{", r#"{"type":"dance"}"#, r#"{"type":"edit"}"#] {
        socket.raw(Message::text(frame)).await;
        assert_eq!(
            socket.frame().await.unwrap()["problem"]["code"],
            "validation"
        );
    }
    socket.send(json!({"type": "ping", "t": 17})).await;
    assert_eq!(socket.next("pong").await["t"], 17);
    for _ in 0..6 {
        socket.raw(Message::text("{}")).await;
    }
    assert_eq!(socket.closing().await, Some(4400));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_closes_with_its_code() {
    let (app, owner, _, _) = ground().await;
    let mut large = Socket::open(&app, &owner).await;
    large.raw(Message::text("x".repeat(65 * 1024))).await;
    assert_eq!(large.closing().await, Some(1009));
    let mut binary = Socket::open(&app, &owner).await;
    binary.raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.closing().await, Some(1003));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_foreign_origin_can_not_connect() {
    let (app, _, _, _) = ground().await;
    let connect = async |origin: &str| {
        let mut request = format!("ws://{}/api/v1/ws", app.address)
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        tokio_tungstenite::connect_async(request).await.is_ok()
    };
    assert!(connect("https://app.example.com").await);
    assert!(connect(&format!("http://{}", app.address)).await);
    for evil in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "null",
    ] {
        assert!(!connect(evil).await, "{evil}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_by_a_beat() {
    let (app, owner, workspace, _) = ground().await;
    let mut socket = Socket::open(&app, &owner).await;
    let here = socket.follow(&workspace, None).await;
    let beat = tokio::time::timeout(Duration::from_secs(8), socket.next("beat"))
        .await
        .unwrap();
    assert_eq!(
        (&beat["through"], &beat["mark"]),
        (&here["seq"], &here["mark"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_database_behave_as_one() {
    let (app, owner, workspace, list) = ground().await;
    let second = app.again();
    let there = owner.at(&second);
    let mut socket = Socket::open(&second, &owner).await;
    socket.follow(&workspace, None).await;
    for n in 0..20 {
        let writer = if n % 2 == 0 { &owner } else { &there };
        writer.item(&list, json!({"Price": n})).await;
    }
    let now = there.seq(&workspace).await.max(owner.seq(&workspace).await);
    assert_eq!(now, 2 + 20);
    socket.reach(&workspace, now).await;
    assert_eq!(socket.events.len(), 20);
    owner.verified(&workspace).await;
}

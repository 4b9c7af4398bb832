//! What a socket may cost and how long it may last: floods, numbers of sockets and subscriptions,
//! tokens that end, and a server that goes away.

use std::time::{Duration, Instant};

use estatebase::auth::BuiltInKeys;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{Person, TestApp, last};
use crate::support::program::{Server, data_folder};
use crate::support::raw::{FIN, Heard, PING, PONG, RawSocket, UPGRADE, ask, frame, text};
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_or_frames_is_closed() {
    let app = TestApp::limited().await;
    let person = app.person("owner").await;
    let ping = json!({"type": "ping"}).to_string();
    for flood in [
        frame(FIN | PING, b"flood"),
        frame(FIN | PONG, b"flood"),
        text(ping),
    ] {
        let mut socket = RawSocket::open(&app, &person).await;
        socket.write(&flood.repeat(1_000)).await;
        assert_eq!(socket.closing().await, Some(4009));
    }
    // A burst that people make is none.
    let mut socket = RawSocket::open(&app, &person).await;
    socket.write(&frame(FIN | PING, b"burst").repeat(200)).await;
    for _ in 0..200 {
        assert_eq!(socket.next().await, Heard::Pong(b"burst".to_vec()));
    }
}

/// Without limits on frames, too: nobody makes the server hold more than its bound.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_acknowledges_nothing_is_closed() {
    let app = TestApp::new().await;
    let person = app.person("owner").await;
    let mut socket = RawSocket::open(&app, &person).await;
    let flood = frame(FIN | PING, &[b'x'; 125]).repeat(100);
    let mut closed = false;
    for _ in 0..100 {
        socket.write(&flood).await;
        // It reads the answers but never one of the server's pings.
        for _ in 0..100 {
            match socket.next().await {
                Heard::Pong(_) => {}
                Heard::Close(code) => {
                    assert_eq!(code, Some(4009));
                    closed = true;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        if closed {
            return;
        }
    }
    panic!("it went on answering");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acknowledges_nothing_is_too_slow_and_delays_nobody() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Notes", "long_text")]).await;
    let subscribe =
        json!({"type": "subscribe", "id": 1, "workspace": last(&workspace), "lists": "all"});
    let mut slow = RawSocket::open(&app, &owner).await;
    slow.say(subscribe).await;
    let mut reader = Socket::open(&app, &owner).await;
    let from = reader.follow(&workspace, None).await["seq"]
        .as_i64()
        .unwrap();
    for n in 1..=40 {
        owner
            .item(&list, json!({"Notes": "x".repeat(50_000)}))
            .await;
        reader.reach(&workspace, from + n).await;
    }
    let mut octets = 0;
    let code = loop {
        match slow.next().await {
            Heard::Text(text) => octets += text.len(),
            Heard::Close(code) => break code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Some(4008));
    assert!(octets < 1 << 20, "{octets} octets were on their way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_holds_twenty_sockets() {
    let app = TestApp::limited().await;
    let (one, two) = (app.person("one").await, app.person("two").await);
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(Socket::open(&app, &one).await);
    }
    let hello = json!({"type": "hello", "token": one.token});
    let mut beyond = Socket::silent(&app).await;
    beyond.send(hello.clone()).await;
    assert_eq!(beyond.closing().await, Some(4009));
    Socket::open(&app, &two).await;
    // One that goes makes room; when the server has seen it go is not ours to say.
    drop(held.pop());
    let begun = Instant::now();
    loop {
        let mut next = Socket::silent(&app).await;
        next.send(hello.clone()).await;
        if let Ok(frame) = next.frame().await {
            assert_eq!(frame["type"], "welcome");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "no room");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_holds_a_thousand_sockets() {
    let app = TestApp::limited().await;
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(RawSocket::silent(&app).await);
    }
    let refused = ask(&app, UPGRADE).await;
    assert_eq!(refused.status, 429);
    assert!(refused.head.contains("retry-after:"), "{}", refused.head);
    assert!(refused.body.contains("rate_limited"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_a_hundred_subscriptions() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let mut socket = Socket::open(&app, &owner).await;
    let subscribe = |id: i64| json!({"type": "subscribe", "id": id, "workspace": last(&workspace), "lists": "all"});
    for id in 1..=100 {
        socket.send(subscribe(id)).await;
        assert_eq!(socket.next("subscribed").await["id"], id);
    }
    socket.send(subscribe(101)).await;
    let error = socket.frame().await.unwrap();
    assert_eq!(error["id"], 101);
    assert_eq!(error["problem"]["code"], "rate_limited");
    socket.send(json!({"type": "unsubscribe", "id": 50})).await;
    socket.send(subscribe(101)).await;
    assert_eq!(socket.next("subscribed").await["id"], 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_another_and_a_second_hello_is_a_bad_frame() {
    let app = TestApp::new().await;
    let (one, two) = (app.person("one").await, app.person("two").await);
    for kind in ["hello", "auth"] {
        let mut socket = Socket::open(&app, &one).await;
        socket.send(json!({"type": kind, "token": two.token})).await;
        assert_eq!(socket.closing().await, Some(4403), "{kind}");
        let mut socket = Socket::open(&app, &one).await;
        socket
            .send(json!({"type": kind, "token": "nonsense"}))
            .await;
        assert_eq!(socket.closing().await, Some(4401), "{kind}");
    }
    let mut socket = Socket::open(&app, &one).await;
    socket
        .send(json!({"type": "hello", "token": one.token}))
        .await;
    assert_eq!(socket.frame().await.unwrap()["type"], "error");
    socket
        .send(json!({"type": "auth", "token": one.token}))
        .await;
    socket.send(json!({"type": "ping", "t": 1})).await;
    assert_eq!(socket.next("pong").await["t"], 1);
    // Nobody gets in by a refresh.
    let mut socket = Socket::silent(&app).await;
    socket
        .send(json!({"type": "auth", "token": one.token}))
        .await;
    assert_eq!(socket.closing().await, Some(4401));
}

/// A token of that person that ends so many seconds from now.
fn token(person: &Person, seconds: i64) -> String {
    let secret = SecretString::from("a key for tests, longer than 32 bytes");
    let url = "http://estatebase.example".parse().unwrap();
    let keys = BuiltInKeys::derive(&secret, &url).unwrap();
    let now = chrono::Utc::now().timestamp();
    let claims = json!({
        "iss": keys.issuer(), "sub": person.id, "aud": "authenticated", "role": "authenticated",
        "iat": now - 600, "exp": now + seconds, "email": person.email,
        "session_id": Uuid::now_v7(), "is_anonymous": false,
    });
    keys.sign(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_lasts_as_long_as_its_token_and_longer_with_a_fresh_one() {
    let app = TestApp::new().await;
    let person = app.person("owner").await;
    // A token is good for thirty seconds after its end.
    let nearly_over = || json!({"type": "hello", "token": token(&person, -28)});
    let mut ends = Socket::silent(&app).await;
    ends.send(nearly_over()).await;
    ends.next("welcome").await;
    let mut lasts = Socket::silent(&app).await;
    lasts.send(nearly_over()).await;
    lasts.next("welcome").await;
    lasts
        .send(json!({"type": "auth", "token": person.token}))
        .await;
    assert_eq!(ends.closing().await, Some(4001));
    lasts.send(json!({"type": "ping", "t": 1})).await;
    assert_eq!(lasts.next("pong").await["t"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_version_is_told_to_stay_away() {
    let app = TestApp::new().await;
    let offering = async |offer: &str| {
        let offer = format!("Sec-WebSocket-Protocol: {offer}");
        ask(&app, &[UPGRADE, &[&offer]].concat()).await
    };
    // A page hears a close of a socket whose subprotocol it offered, and of no other.
    for offer in ["estatebase.v0", "other, estatebase.v2"] {
        let taken = offering(offer).await;
        let version = offer.rsplit(' ').next().unwrap();
        let header = format!("sec-websocket-protocol: {version}\r\n");
        assert!(taken.head.contains(&header), "{}", taken.head);
        assert_eq!(taken.socket().closing().await, Some(4426), "{offer}");
    }
    let both = offering("estatebase.v2, estatebase.v1").await;
    assert!(
        both.head
            .contains("sec-websocket-protocol: estatebase.v1\r\n")
    );
    let mut both = both.socket();
    both.say(json!({"type": "ping", "t": 1})).await;
    assert!(matches!(both.next().await, Heard::Text(pong) if pong.contains("pong")));
    assert_eq!(offering("graphql-ws").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_says_so_to_every_socket() {
    let folder = data_folder();
    let server = Server::start(folder.path());
    let server_url = server.url.clone();
    let mut sockets = Vec::new();
    for _ in 0..50 {
        sockets.push(Socket::at(&server.url).await);
    }
    let status = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", server_url)).await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(status("/readyz").await, 200);
    let asked = Instant::now();
    let stopping = tokio::task::spawn_blocking(move || (server.stop(), asked.elapsed()));
    let mut delays = Vec::new();
    for (n, socket) in sockets.iter_mut().enumerate() {
        let drain: Value = socket.next("drain").await;
        if n == 0 {
            // From here on nobody new should be sent here, and whoever is here is served.
            assert_eq!(status("/readyz").await, 503);
            assert_eq!(status("/healthz").await, 200);
        }
        delays.push(drain["after_ms"].as_u64().unwrap());
    }
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), 50, "each at a time of its own");
    for socket in &mut sockets {
        assert_eq!(socket.closing().await, Some(4000));
    }
    let (status, took) = stopping.await.unwrap();
    assert!(status.success());
    assert!(took < Duration::from_secs(25), "{took:?}");
}

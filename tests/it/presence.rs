//! Presence: who is where, told to those who follow the workspace and to nobody else, a few times a
//! second, and never logged.

use std::collections::BTreeMap;
use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};
use crate::support::redis::Redis;
use crate::support::socket::Socket;

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// A server, its owner, somebody else in the owner's workspace, and a list.
struct Ground {
    app: TestApp,
    owner: Person,
    guest: Person,
    workspace: String,
    list: String,
}

impl Ground {
    async fn new() -> Ground {
        Ground::at(TestApp::new().await).await
    }

    async fn at(app: TestApp) -> Ground {
        let owner = app.person("owner").await;
        let guest = app.person("guest").await;
        for (person, name) in [(&owner, "Olga"), (&guest, "Gus")] {
            let named = person.patch("/me", json!({"display_name": name})).await;
            named.is(200);
        }
        let workspace = owner.workspace().await;
        let list = owner.list(&workspace, &[("Price", "number")]).await;
        owner.bring(&workspace, &guest, "viewer").await;
        Ground {
            app,
            owner,
            guest,
            workspace,
            list,
        }
    }

    /// A socket that follows the workspace, and has been told who is there.
    async fn follow(&self, app: &TestApp, person: &Person) -> Socket {
        let mut socket = Socket::open(app, person).await;
        socket.follow(&self.workspace, None).await;
        let first = heard(&mut socket).await;
        assert_eq!(first["full"], true, "{first}");
        socket
    }

    fn at_item(&self, item: u128, state: &str) -> Value {
        json!({"type": "presence", "workspace": last(&self.workspace), "list": last(&self.list),
            "item": uuid::Uuid::from_u128(item), "column": "Price", "state": state})
    }
}

/// The next frame of presence.
async fn heard(socket: &mut Socket) -> Value {
    loop {
        let frame = socket.any().await.unwrap();
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == "presence" {
            return frame;
        }
    }
}

/// Listens until somebody is told to be in that state.
async fn hear(socket: &mut Socket, person: &Person, state: &str) -> Value {
    loop {
        let frame = heard(socket).await;
        let mut users = frame["users"].as_array().unwrap().iter();
        if let Some(one) = users.find(|one| one["user"] == person.id.as_str())
            && one["state"] == state
        {
            return one.clone();
        }
    }
}

/// All that was sent to the server so far has been read, and what it was answered.
async fn settle(socket: &mut Socket) -> Vec<Value> {
    socket.send(json!({"type": "ping", "t": "settled"})).await;
    let mut seen = Vec::new();
    loop {
        let frame = socket.any().await.unwrap();
        if frame["type"] == "pong" {
            return seen;
        }
        seen.push(frame);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_see_where_the_other_is_and_nothing_is_logged() {
    let ground = Ground::new().await;
    let mut owner = ground.follow(&ground.app, &ground.owner).await;
    let mut guest = ground.follow(&ground.app, &ground.guest).await;
    let before = ground.owner.seq(&ground.workspace).await;
    owner.send(ground.at_item(1, "editing")).await;
    let seen = hear(&mut guest, &ground.owner, "editing").await;
    assert_eq!(seen["name"], "Olga");
    assert_eq!(seen["list"], last(&ground.list));
    assert_eq!(seen["item"], uuid::Uuid::from_u128(1).to_string());
    assert_eq!(seen["column"], "Price");
    // A viewer too.
    guest.send(ground.at_item(2, "viewing")).await;
    let seen = hear(&mut owner, &ground.guest, "viewing").await;
    assert_eq!(seen["name"], "Gus");
    assert_eq!(ground.owner.seq(&ground.workspace).await, before);
    // Who comes later is told of all at once.
    let mut late = Socket::open(&ground.app, &ground.guest).await;
    late.follow(&ground.workspace, None).await;
    let all = heard(&mut late).await;
    assert_eq!(all["full"], true);
    assert_eq!(all["seq"], before);
    assert_eq!(all["users"].as_array().unwrap().len(), 2, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_as_another_or_where_they_do_not_listen() {
    let ground = Ground::new().await;
    let mut owner = ground.follow(&ground.app, &ground.owner).await;
    let mut guest = ground.follow(&ground.app, &ground.guest).await;
    for (field, value) in [
        ("user", &ground.owner.id),
        ("session", &ground.owner.id),
        ("name", &"Olga".to_owned()),
    ] {
        let mut frame = ground.at_item(1, "editing");
        frame[field] = json!(value);
        guest.send(frame).await;
        let refused = guest.frame().await.unwrap();
        assert_eq!(refused["problem"]["status"], 400, "{refused}");
    }
    let outsider = ground.app.person("outsider").await;
    let mut elsewhere = Socket::open(&ground.app, &outsider).await;
    elsewhere.send(ground.at_item(1, "viewing")).await;
    let refused = elsewhere.frame().await.unwrap();
    assert_eq!(refused["type"], "error", "{refused}");
    for (field, value) in [("list", ground.owner.id.as_str()), ("column", "Rooms")] {
        let mut frame = ground.at_item(1, "viewing");
        frame[field] = json!(value);
        guest.send(frame).await;
        assert_eq!(guest.frame().await.unwrap()["type"], "error");
    }
    // The first that the owner hears is the first that was right.
    guest.send(ground.at_item(3, "viewing")).await;
    let first = heard(&mut owner).await;
    assert_eq!(first["users"].as_array().unwrap().len(), 1);
    assert_eq!(first["users"][0]["user"], ground.guest.id.as_str());
    assert_eq!(
        first["users"][0]["item"],
        uuid::Uuid::from_u128(3).to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_following_or_closes_is_told_to_have_left() {
    let ground = Ground::new().await;
    let mut owner = ground.follow(&ground.app, &ground.owner).await;
    let mut guest = ground.follow(&ground.app, &ground.guest).await;
    guest.send(ground.at_item(1, "viewing")).await;
    hear(&mut owner, &ground.guest, "viewing").await;
    guest.send(json!({"type": "unsubscribe", "id": 1})).await;
    settle(&mut guest).await;
    hear(&mut owner, &ground.guest, "left").await;
    // It hears no more itself.
    owner.send(ground.at_item(5, "viewing")).await;
    hear(&mut owner, &ground.owner, "viewing").await;
    assert_eq!(settle(&mut guest).await, Vec::<Value>::new());
    guest.send(ground.at_item(1, "viewing")).await;
    assert_eq!(guest.any().await.unwrap()["type"], "error");

    let mut again = ground.follow(&ground.app, &ground.guest).await;
    again.send(ground.at_item(2, "editing")).await;
    hear(&mut owner, &ground.guest, "editing").await;
    drop(again);
    hear(&mut owner, &ground.guest, "left").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_disappears_and_hears_nothing_more() {
    let ground = Ground::new().await;
    let other = ground.guest.workspace().await;
    let mut owner = ground.follow(&ground.app, &ground.owner).await;
    let mut guest = ground.follow(&ground.app, &ground.guest).await;
    // So that the socket stays open.
    guest
        .send(json!({"type": "subscribe", "id": 2, "workspace": last(&other), "lists": "all"}))
        .await;
    guest.next("subscribed").await;
    guest.send(ground.at_item(1, "viewing")).await;
    hear(&mut owner, &ground.guest, "viewing").await;
    let member = format!("{}/members/{}", ground.workspace, ground.guest.id);
    let path = format!("/api/v1{member}");
    let removed = ground.owner.send(Method::DELETE, &path, None, &[]).await;
    removed.is(204);
    hear(&mut owner, &ground.guest, "left").await;
    owner.send(ground.at_item(9, "editing")).await;
    hear(&mut owner, &ground.owner, "editing").await;
    let seen = settle(&mut guest).await;
    let gone = seen.iter().position(|it| it["type"] == "access").unwrap();
    let of_it = |it: &&Value| it["workspace"] == last(&ground.workspace);
    assert_eq!(seen[gone + 1..].iter().find(of_it), None);
    guest.send(ground.at_item(1, "viewing")).await;
    assert_eq!(guest.frame().await.unwrap()["problem"]["status"], 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restless_mouse_is_told_now_and_then_and_in_the_end() {
    let ground = Ground::new().await;
    let mut owner = ground.follow(&ground.app, &ground.owner).await;
    let mut guest = ground.follow(&ground.app, &ground.guest).await;
    let began = Instant::now();
    for item in 1..=300 {
        guest.send(ground.at_item(item, "viewing")).await;
    }
    let end = uuid::Uuid::from_u128(300).to_string();
    let mut frames = 0;
    loop {
        frames += 1;
        if heard(&mut owner).await["users"][0]["item"] == end {
            break;
        }
    }
    let quarters = began.elapsed().as_millis() / 250;
    assert!(frames <= quarters + 1, "{frames} in {quarters} quarters");
    // Nobody was disconnected, nor scolded.
    let answers = settle(&mut guest).await;
    assert!(answers.iter().all(|frame| frame["type"] == "presence"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_a_redis_show_each_others_people() {
    let Some(redis) = Redis::start() else {
        eprintln!("skipped: no redis-server on this machine");
        return;
    };
    let ground = Ground::at(TestApp::with_redis(&redis.url).await).await;
    let beside = ground.app.again();
    let mut here = ground.follow(&ground.app, &ground.owner).await;
    here.send(ground.at_item(1, "viewing")).await;
    hear(&mut here, &ground.owner, "viewing").await;
    // A server that starts on the workspace asks who is there.
    let mut there = ground.follow(&beside, &ground.guest).await;
    let mut item = 1;
    let moved = |item: u128| ground.at_item(item, "viewing");
    let seen: BTreeMap<String, Value> = loop {
        // Redis may not have taken both of them in yet.
        item += 1;
        here.send(moved(item)).await;
        let frame = tokio::time::timeout(std::time::Duration::from_millis(300), heard(&mut there));
        if let Ok(frame) = frame.await {
            let users = frame["users"].as_array().unwrap().iter();
            break users
                .map(|one| (one["user"].as_str().unwrap().to_owned(), one.clone()))
                .collect();
        }
    };
    assert_eq!(seen[&ground.owner.id]["name"], "Olga");
    there.send(ground.at_item(2, "editing")).await;
    hear(&mut here, &ground.guest, "editing").await;
    drop(here);
    hear(&mut there, &ground.owner, "left").await;
    // Who comes to a server that runs already is told of the other's people too.
    let mut late = Socket::open(&ground.app, &ground.owner).await;
    late.follow(&ground.workspace, None).await;
    let all = heard(&mut late).await;
    assert_eq!(all["users"][0]["user"], ground.guest.id.as_str(), "{all}");
    // A removal at one server counts at the other.
    let path = format!("/api/v1{}/members/{}", ground.workspace, ground.guest.id);
    let removed = ground.owner.send(Method::DELETE, &path, None, &[]).await;
    removed.is(204);
    hear(&mut late, &ground.guest, "left").await;
    assert_eq!(there.closing().await, Some(4403));
}

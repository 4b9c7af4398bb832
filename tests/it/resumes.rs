//! Sockets that come back, all at once: each sees what it missed, exactly once, and the database hears
//! little of it.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};
use crate::support::socket::Socket;

const MISSED: i64 = 300;
const SOCKETS: usize = 200;

/// A position: that of a `subscribed`, or the end of an `events` frame.
fn position(frame: &Value) -> Value {
    let seq = frame.get("through").unwrap_or(&frame["seq"]);
    json!({"seq": seq, "mark": frame["mark"]})
}

/// Edits in a workspace, and positions along the way; the last is the head.
async fn edits(app: &TestApp, owner: &Person, workspace: &str) -> Vec<Value> {
    let list = owner.list(workspace, &[("Price", "number")]).await;
    let mut watching = Socket::open(app, owner).await;
    let mut positions = vec![position(&watching.follow(workspace, None).await)];
    let (owner, path) = (owner.clone(), format!("{list}/items"));
    let writers = (0..10).map(|_| async {
        for n in 0..MISSED / 10 {
            let made = owner.post(&path, json!({"values": {"Price": n}})).await;
            made.is(201);
        }
    });
    let end = positions[0]["seq"].as_i64().unwrap() + MISSED;
    let watch = async {
        while positions.last().unwrap()["seq"] != end {
            positions.push(position(&watching.next("events").await));
        }
    };
    tokio::join!(join_all(writers), watch);
    positions
}

/// All come back at once, each from a position of its own; what each saw is all that it missed.
async fn storm(app: &TestApp, owner: &Person, workspace: &str, positions: &[Value]) {
    let head = positions.last().unwrap()["seq"].as_i64().unwrap();
    let from = positions.iter().cycle().take(SOCKETS);
    join_all(from.map(|since| async move {
        let mut socket = Socket::open(app, owner).await;
        let seq = since["seq"].as_i64().unwrap();
        assert_eq!(
            socket.follow(workspace, Some(since.clone())).await["seq"],
            seq
        );
        socket.reach(workspace, head).await;
        let seen = socket
            .events
            .iter()
            .map(|event| event["seq"].as_i64().unwrap());
        assert_eq!(
            seen.collect::<Vec<_>>(),
            (seq + 1..=head).collect::<Vec<_>>()
        );
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_resumes_costs_no_query_where_the_past_is_in_memory() {
    let (app, proxy) = TestApp::behind_a_proxy().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let positions = edits(&app, &owner, &workspace).await;
    // The workspace looks at its log each second; nobody else asks for anything.
    let before = proxy.in_transaction();
    let begun = tokio::time::Instant::now();
    storm(&app, &owner, &workspace, &positions).await;
    let looks = 4 * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 2);
    let asked = proxy.in_transaction() - before;
    assert!(asked <= looks, "{asked} round trips for {SOCKETS} sockets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_resumes_after_a_restart_reads_the_log_once() {
    let (app, owner, workspace, positions) = {
        let app = TestApp::new().await;
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let positions = edits(&app, &owner, &workspace).await;
        (app, owner, workspace, positions)
    };
    let (restarted, proxy) = app.again_behind_a_proxy().await;
    let owner = owner.at(&restarted);
    // The actor starts: that is not the sockets' doing.
    owner.seq(&workspace).await;
    let before = proxy.in_transaction();
    let begun = tokio::time::Instant::now();
    storm(&restarted, &owner, &workspace, &positions).await;
    let looks = 4 * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 2);
    let asked = proxy.in_transaction() - before;
    assert!(
        asked <= looks + 8,
        "{asked} round trips for {SOCKETS} sockets"
    );

    // Who knows another log is told so, in memory or not.
    let foreign = json!({"seq": positions[0]["seq"], "mark": "0123456789abcdef"});
    let mut socket = Socket::open(&restarted, &owner).await;
    socket.follow(&workspace, Some(foreign)).await;
    assert_eq!(socket.next("reset").await["reason"], "foreign_mark");
    assert!(socket.events.is_empty());
}

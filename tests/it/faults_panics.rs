//! A command that panics harms its own workspace alone. The panic is the compiler's: a log whose
//! position is the last number there is has no next one, and debug builds refuse to add.
#![cfg(debug_assertions)]

use std::time::Instant;

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::app::TestApp;
use crate::support::db::execute;
use crate::support::program::{report, rounds};
use crate::support::socket::Socket;

/// Lanes that end so often within a minute rest: `actors::registry`.
const RESTARTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_panics_harms_its_own_workspace_alone() {
    let (begun, panics) = (Instant::now(), rounds("PANICS", 20));
    let first = TestApp::new().await;
    let owner = first.person("owner").await;
    let (sick, well) = (owner.workspace().await, owner.workspace().await);
    let sick_list = owner.list(&sick, &[("N", "number")]).await;
    let well_list = owner.list(&well, &[("N", "number")]).await;
    let mut database = PgConnection::connect(&first.db.owner_url()).await.unwrap();
    let id = sick.rsplit('/').next().unwrap();
    let set = |seq: &str| format!("UPDATE estatebase.workspaces SET seq = {seq} WHERE id = '{id}'");
    execute(&mut database, set(&i64::MAX.to_string())).await;
    let app = first.again();
    drop(tokio::task::spawn_blocking(|| drop(first)).await);
    let owner = owner.at(&app);
    let mut socket = Socket::open(&app, &owner).await;
    socket.follow(&well, None).await;

    // Judging panics: that command alone is refused, and the lane goes on.
    for n in 0..panics {
        let body = json!({"values": {"N": n}});
        let (path, other) = (format!("{sick_list}/items"), format!("{well_list}/items"));
        let (bad, good) = tokio::join!(owner.post(&path, body.clone()), owner.post(&other, body));
        bad.refuses(500, "internal");
        good.is(201);
        owner.get(&path).await.is(200);
    }
    // The lane itself panics: it is replaced, and rests when that goes on.
    for n in 0..RESTARTS {
        let body = json!({"name": format!("Name {n}")});
        owner
            .patch(&sick, body.clone())
            .await
            .refuses(500, "internal");
        owner.get(&sick).await.is(200);
        owner.patch(&well, body).await.is(200);
    }
    owner
        .patch(&sick, json!({"name": "x"}))
        .await
        .refuses(500, "internal");
    owner.get(&sick).await.refuses(503, "unavailable");
    owner.get(&well).await.is(200);
    let heard = owner.seq(&well).await;
    assert_eq!(heard, 2 + (panics + RESTARTS) as i64);
    socket.reach(&well, heard).await;

    // With its position back it is as if nothing had been.
    execute(&mut database, set("2")).await;
    let after = app.again();
    let owner = owner.at(&after);
    owner.item(&sick_list, json!({"N": 1})).await;
    let log = owner.get(&format!("{sick}/audit/verify")).await;
    assert_eq!(
        (&log.is(200)["ok"], &log.body["events"]),
        (&json!(true), &json!(3))
    );
    let outcome = "its workspace alone refused, a lane that keeps ending rests";
    report(
        "a command or a lane panics",
        panics + RESTARTS + 1,
        outcome,
        begun,
    );
}

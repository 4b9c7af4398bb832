//! The database under a server that works: killed, cut off, silent, slow, dead on one side only.
//! What was acknowledged stays, nothing is there twice, and the server is well again soon after.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::{Person, TestApp};
use crate::support::cluster::Cluster;
use crate::support::db::TestDb;
use crate::support::editors::{Acknowledged, Ground};
use crate::support::program::{Server, data_folder, report, rounds};
use crate::support::proxy::Proxy;

/// A workspace's birth and its list's.
const BEFORE: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_killed_under_load_loses_and_doubles_nothing() {
    let (begun, kills) = (Instant::now(), rounds("PG_KILLS", 1));
    let mut cluster = Cluster::new().await;
    let folder = data_folder();
    let server = Server::node(folder.path(), 0, &cluster.app_url(), None);
    let at = [server.url.clone()];
    let ground = Ground::new(&at).await;
    let mut told = Acknowledged::new();
    for _ in 0..kills {
        let editors = ground.editors(&at, 50);
        editors.advance(60).await;
        cluster.kill().await;
        cluster.start().await;
        editors.advance(60).await;
        told.extend(editors.finish().await.0);
    }
    ground.check(&at, &told, BEFORE).await;
    assert!(server.stop().success());
    cluster.stop().await;
    let outcome = format!("{} writes, none lost, none doubled", told.len());
    report(
        "Postgres: kill -9 of the postmaster",
        kills,
        &outcome,
        begun,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_at_any_moment_lose_and_double_nothing() {
    let (begun, cuts) = (Instant::now(), rounds("CUTS", 6));
    let db = TestDb::new().await;
    let (proxy, url) = Proxy::before(&db.app_url()).await;
    let folder = data_folder();
    let server = Server::node(folder.path(), 0, &url, None);
    let at = [server.url.clone()];
    let ground = Ground::new(&at).await;
    let editors = ground.editors(&at, 20);
    for n in 0..cuts {
        editors.advance(10).await;
        match n % 3 {
            0 => proxy.reset(),
            1 => proxy.lose_the_next_answer(),
            _ => proxy.lose_the_next_question(),
        }
    }
    editors.advance(20).await;
    let (told, _) = editors.finish().await;
    ground.check(&at, &told, BEFORE).await;
    assert!(server.stop().success());
    let outcome = format!("{} writes, none lost, none doubled", told.len());
    report(
        "Postgres: connection reset, question or answer lost",
        cuts,
        &outcome,
        begun,
    );
}

async fn answers(app: &TestApp, path: &str) -> u16 {
    let answer = reqwest::get(app.url(path)).await.unwrap();
    answer.status().as_u16()
}

/// Writes until one is taken: how long that took.
async fn well_again(owner: &Person, path: &str, within: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let write = owner.post(path, json!({"values": {"N": 1}}));
        match tokio::time::timeout(within, write).await {
            Ok(answer) if answer.status == 201 => return begun.elapsed(),
            // Nobody knows of the commit that was under way, and of others that the database is away.
            Ok(answer) => assert!(answer.status.is_server_error(), "{}", answer.text),
            Err(_) => {}
        }
        assert!(begun.elapsed() < within, "not well after {within:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A server with a list, and the proxy before its database.
async fn ground() -> (TestApp, Proxy, Person, String) {
    let (app, proxy) = TestApp::behind_a_proxy().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("N", "number")]).await;
    (app, proxy, owner, format!("{list}/items"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_leaves_the_server_alive_and_well_after() {
    let (begun, seconds) = (Instant::now(), rounds("SILENCE", 2));
    let (app, proxy, owner, path) = ground().await;
    well_again(&owner, &path, Duration::from_secs(5)).await;
    proxy.set_silent(true);
    // More callers than connections, so that nobody can live off one that is left over.
    let (asking, from) = (owner.clone(), path.clone());
    let waiting: Vec<_> = (0..60)
        .map(|n| {
            let (owner, path) = (asking.clone(), from.clone());
            tokio::spawn(async move {
                match n % 2 {
                    0 => owner.get(&path).await.status.as_u16(),
                    _ => owner
                        .post(&path, json!({"values": {"N": n}}))
                        .await
                        .status
                        .as_u16(),
                }
            })
        })
        .collect();
    let over = Instant::now() + Duration::from_secs(seconds as u64);
    loop {
        assert_eq!(answers(&app, "/healthz").await, 200);
        assert_eq!(answers(&app, "/readyz").await, 503);
        if Instant::now() >= over {
            break;
        }
    }
    proxy.set_silent(false);
    for asked in waiting {
        let status = asked.await.unwrap();
        assert!([200, 201, 503].contains(&status), "{status}");
    }
    let took = well_again(&owner, &path, Duration::from_secs(5)).await;
    assert_eq!(answers(&app, "/readyz").await, 200);
    let outcome = format!("alive, not ready, well again after {} ms", took.as_millis());
    report("Postgres: silent (seconds)", seconds, &outcome, begun);
}

/// After a router or a pooler forgot them, connections look open and never answer.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_unnoticed_are_replaced() {
    let name = ("Postgres: half-open connections", "DEATHS");
    each_time_well_again(name, Duration::from_secs(15), async |proxy, _, _| {
        proxy.forget()
    })
    .await;
}

/// Whoever signs in, or asks for what belongs to no workspace, pays for no connection that died.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_turned_away_for_connections_that_died() {
    let (app, proxy, owner, _) = ground().await;
    let harms: [fn(&Proxy); 2] = [Proxy::reset, Proxy::forget];
    for harm in harms {
        let many = (0..8).map(|_| owner.get("/me"));
        for answer in futures::future::join_all(many).await {
            answer.is(200);
        }
        harm(&proxy);
        for newcomer in (0..4).map(|_| uuid::Uuid::new_v4()) {
            app.person(&format!("newcomer-{newcomer}")).await;
            owner.get("/me").await.is(200);
        }
    }
}

/// The server's end of a connection is gone, the database's is not, and a transaction is open on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_nobody_ends_blocks_its_workspace_only_for_a_while() {
    let name = ("Postgres: transactions left open", "STRANDED");
    each_time_well_again(name, Duration::from_secs(12), async |proxy, owner, path| {
        // What changes more than items holds the head of the log while it is written.
        proxy.strand_the_next_commit();
        let workspace = path.split("/lists").next().unwrap();
        let renamed = owner.patch(workspace, json!({"name": "W"}));
        let _ = tokio::time::timeout(Duration::from_secs(1), renamed).await;
        assert!(proxy.has_lost_it());
    })
    .await;
}

/// Harms the way to the database as often as the setting says: each time writes are taken again in time,
/// and in the end the server is ready.
async fn each_time_well_again(
    (what, setting): (&str, &str),
    within: Duration,
    harm: impl AsyncFn(&Proxy, &Person, &str),
) {
    let (begun, times) = (Instant::now(), rounds(setting, 1));
    let (app, proxy, owner, path) = ground().await;
    well_again(&owner, &path, Duration::from_secs(5)).await;
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        harm(&proxy, &owner, &path).await;
        longest = longest.max(well_again(&owner, &path, within).await);
    }
    assert_eq!(answers(&app, "/readyz").await, 200);
    let outcome = format!("well again after {} ms at most", longest.as_millis());
    report(what, times, &outcome, begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_slows_and_breaks_nothing() {
    let (begun, millis) = (Instant::now(), rounds("LATENCY_MS", 20));
    let db = TestDb::new().await;
    let (proxy, url) = Proxy::before(&db.app_url()).await;
    let folder = data_folder();
    let server = Server::node(folder.path(), 0, &url, None);
    let at = [server.url.clone()];
    let ground = Ground::new(&at).await;
    proxy.set_latency(Duration::from_millis(millis as u64));
    let editors = ground.editors(&at, 50);
    editors.advance(100).await;
    let (told, longest) = editors.finish().await;
    proxy.set_latency(Duration::ZERO);
    ground.check(&at, &told, BEFORE).await;
    assert!(server.stop().success());
    let outcome = format!("{} writes, {} ms at most", told.len(), longest.as_millis());
    report("Postgres: slow (ms each way)", millis, &outcome, begun);
}

//! The log: gapless, in order, tamper-evident, and never broken by one bad command.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::app::{Person, TestApp, ground};
use crate::support::db::{execute, superuser};
use crate::support::socket::Socket;

async fn events(person: &Person, workspace: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event["seq"].as_i64().unwrap());
        let page = person
            .get(&format!("{workspace}/events?after_seq={after}&limit=50"))
            .await;
        let data = page.is(200)["data"].as_array().unwrap();
        if data.is_empty() {
            return all;
        }
        all.extend(data.iter().cloned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_at_once_the_log_is_gapless_and_sockets_see_just_it() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Price", "number"), ("Name", "text")])
        .await;
    let item = owner.item(&list, json!({"Price": 0})).await;
    let mut socket = Socket::open(&app, &owner).await;
    let from = socket.follow(&workspace, None).await["seq"]
        .as_i64()
        .unwrap();
    let work = join_all((0..60).map(|n| {
        let (owner, list, item, workspace) = (&owner, &list, &item, &workspace);
        async move {
            match n % 6 {
                0 => {
                    owner
                        .patch(
                            &format!("{list}/items/{item}"),
                            json!({"values": {"Price": n}}),
                        )
                        .await
                }
                1 => {
                    owner
                        .post(&format!("{list}/items"), json!({"values": {"Price": n}}))
                        .await
                }
                2 => {
                    owner
                        .post(&format!("{list}/items"), json!({"values": {"Price": "no"}}))
                        .await
                }
                3 => {
                    owner
                        .post(&format!("{workspace}/lists"), json!({"name": "More"}))
                        .await
                }
                4 => {
                    owner
                        .patch(workspace, json!({"name": format!("Name {n}")}))
                        .await
                }
                _ => {
                    owner
                        .post(
                            &format!("{list}/columns"),
                            json!({"key": format!("C{n}"), "type": "text"}),
                        )
                        .await
                }
            }
        }
    }))
    .await;
    let done = work
        .iter()
        .filter(|answer| answer.status.is_success())
        .count();
    assert_eq!(done, 50, "all but the ten bad ones");
    let log = events(&owner, &workspace).await;
    let seqs: Vec<i64> = log
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    let through = *seqs.last().unwrap();
    assert_eq!(seqs, (1..=through).collect::<Vec<_>>());
    assert_eq!(through, from + 50);
    socket.reach(&workspace, through).await;
    let seen: Vec<Value> = log
        .into_iter()
        .filter(|event| event["seq"].as_i64().unwrap() > from)
        .collect();
    assert_eq!(socket.events, seen);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edits_of_one_cell_at_once_both_stand_in_the_log_and_the_later_in_the_list() {
    let (_app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 0})).await;
    let path = format!("{list}/items/{item}");
    let edits =
        join_all((1..=40).map(|n| owner.patch(&path, json!({"values": {"Price": n}})))).await;
    let mut versions: Vec<i64> = edits
        .iter()
        .map(|answer| answer.is(200)["version"].as_i64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=41).collect::<Vec<_>>());
    let log = events(&owner, &workspace).await;
    let changes: Vec<&Value> = log
        .iter()
        .flat_map(|e| e["changes"].as_array())
        .flatten()
        .collect();
    for pair in changes.windows(2) {
        assert_eq!(
            pair[0]["set"], pair[1]["was"],
            "each edit saw the one before it"
        );
    }
    let last = changes.last().unwrap();
    assert_eq!(owner.get(&path).await.is(200)["values"], last["set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_member_of_a_batch_undoes_the_batch_and_never_its_neighbours() {
    let (_app, owner, _, list) = ground().await;
    let path = format!("{list}/items");
    let answers = join_all((0..20).map(|n| {
        let bad = n == 7;
        let items: Vec<Value> = (0..5)
            .map(
                |m| json!({"values": {"Price": if bad && m == 3 { json!("x") } else { json!(n) }}}),
            )
            .collect();
        owner.post(&path, json!({"items": items}))
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        if n == 7 {
            answer.refuses(422, "validation");
            assert_eq!(answer.body["errors"][0]["path"], "/items/3/values/Price");
        } else {
            answer.is(201);
        }
    }
    let count = owner.get(&format!("{path}?count=exact&limit=1")).await;
    assert_eq!(count.is(200)["count"], 95);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_database_refuses_fails_alone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Name", "text")]).await;
    let poison =
        "ALTER TABLE estatebase.items ADD CONSTRAINT poison CHECK (\"values\"->>'0' <> 'poison')";
    execute(&mut superuser(&app).await, poison.to_owned()).await;
    let path = format!("{list}/items");
    let answers = join_all((0..30).map(|n| {
        let name = if n == 11 {
            "poison".to_owned()
        } else {
            format!("name {n}")
        };
        owner.post(&path, json!({"values": {"Name": name}}))
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        let status = if n == 11 { 409 } else { 201 };
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert!(
            !answer.text.contains("constraint"),
            "nothing internal leaks"
        );
    }
    let log = events(&owner, &workspace).await;
    assert_eq!(log.len(), 2 + 29);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_the_first_entry_that_is_not_as_it_was_written() {
    let (app, owner, workspace, list) = ground().await;
    for n in 0..8 {
        owner.item(&list, json!({"Price": n})).await;
    }
    let id = workspace.rsplit('/').next().unwrap();
    let verify = async |expected: Option<i64>| {
        let verdict = owner.get(&format!("{workspace}/audit/verify")).await;
        assert_eq!(
            verdict.is(200)["ok"],
            expected.is_none(),
            "{}",
            verdict.text
        );
        if let Some(seq) = expected {
            assert_eq!(verdict.body["first_bad"], seq, "{}", verdict.text);
        }
    };
    verify(None).await;
    let mut database = superuser(&app).await;
    // Each tampering is done behind the triggers' back, looked for, and undone.
    let tamperings = [
        (
            "UPDATE estatebase.event_payloads SET payload = payload || ' '::bytea WHERE seq = 5",
            5,
        ),
        (
            "UPDATE estatebase.event_payloads SET payload = 'x', salt = NULL WHERE seq = 5",
            5,
        ),
        (
            "UPDATE estatebase.event_payloads SET payload = NULL WHERE seq = 5",
            5,
        ),
        (
            "UPDATE estatebase.events SET actor_id = workspace_id WHERE seq = 4",
            4,
        ),
        ("DELETE FROM estatebase.events WHERE seq = 6", 6),
        (
            "UPDATE estatebase.events SET at = at + interval '1 second' WHERE seq = 3",
            3,
        ),
        ("DELETE FROM estatebase.event_payloads WHERE seq = 7", 7),
        ("DELETE FROM estatebase.events WHERE seq = 10", 10),
        // Twice, behind the original; and behind or before the log.
        (
            "INSERT INTO estatebase.events SELECT (jsonb_populate_record(e,
                 jsonb_build_object('at', at + interval '1 second'))).*
             FROM estatebase.events e WHERE seq = 8",
            8,
        ),
        (
            "INSERT INTO estatebase.events SELECT (jsonb_populate_record(e,
                 jsonb_build_object('seq', 12))).*
             FROM estatebase.events e WHERE seq = 8",
            12,
        ),
        (
            "INSERT INTO estatebase.event_payloads SELECT (jsonb_populate_record(p,
                 jsonb_build_object('seq', 0))).*
             FROM estatebase.event_payloads p WHERE seq = 8",
            0,
        ),
    ];
    for (tampering, first_bad) in tamperings {
        let backup = "CREATE TABLE public.e AS TABLE estatebase.events;
             CREATE TABLE public.p AS TABLE estatebase.event_payloads";
        execute(&mut database, backup.to_owned()).await;
        let behind = format!("SET session_replication_role = replica; {tampering}");
        execute(&mut database, behind).await;
        verify(Some(first_bad)).await;
        let restore = "DELETE FROM estatebase.events; DELETE FROM estatebase.event_payloads;
             INSERT INTO estatebase.events SELECT * FROM public.e;
             INSERT INTO estatebase.event_payloads SELECT * FROM public.p;
             DROP TABLE public.e, public.p; SET session_replication_role = origin";
        execute(&mut database, restore.to_owned()).await;
        verify(None).await;
    }
    // Erasing a value for good leaves the chain whole.
    let erase = format!(
        "UPDATE estatebase.event_payloads SET payload = NULL, salt = NULL WHERE seq = 5 AND workspace_id = '{id}'"
    );
    execute(&mut database, erase).await;
    verify(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_beyond_every_log_is_answered_with_the_log_s_end() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let last = i64::MAX;
    let feed = owner
        .get(&format!("{workspace}/events?after_seq={last}"))
        .await;
    assert_eq!(feed.is(200)["through"], owner.seq(&workspace).await);
    assert_eq!(feed.body["data"], json!([]));
    let audit = owner
        .get(&format!("{workspace}/audit?after_seq={last}"))
        .await;
    assert_eq!(audit.is(200)["data"], json!([]));
    owner
        .get(&format!("{workspace}/events?after_seq=9223372036854775808"))
        .await
        .refuses(422, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_rewrites_the_log() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    owner.workspace().await;
    for (url, who) in [
        (app.db.app_url(), "the server's role"),
        (app.db.owner_url(), "the owner"),
    ] {
        let mut database = PgConnection::connect(&url).await.unwrap();
        for statement in [
            "UPDATE estatebase.events SET kind = 'x'",
            "DELETE FROM estatebase.events",
            "TRUNCATE estatebase.events",
            "UPDATE estatebase.event_payloads SET payload = 'x'",
            "DELETE FROM estatebase.event_payloads",
            "TRUNCATE estatebase.event_payloads",
        ] {
            let done = sqlx::raw_sql(statement).execute(&mut database).await;
            let refused = done.is_err_and(|error| {
                error
                    .as_database_error()
                    .is_some_and(|error| error.code().as_deref() == Some("42501"))
            });
            // The owner sees its own rows; without one there is nothing to refuse.
            assert!(refused, "{who} could {statement}");
        }
    }
}

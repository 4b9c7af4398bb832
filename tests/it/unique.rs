//! Unique columns: one living item holds a value, whoever asks for it, however many at once, and by whatever
//! way it comes: edits, the trash, imports, undo.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};
use crate::support::db::unheld;

/// A list of people with a unique e-mail address; its workspace and its path.
async fn people(owner: &Person) -> (String, String) {
    let workspace = owner.workspace().await;
    let columns =
        json!([{"key": "Name", "type": "text"}, {"key": "Email", "type": "email", "unique": true}]);
    let body = json!({"name": "People", "columns": columns});
    let made = owner.post(&format!("{workspace}/lists"), body).await;
    let list = format!("{workspace}/lists/{}", made.is(201)["id"].as_str().unwrap());
    (workspace, list)
}

fn with_email(email: &str) -> Value {
    json!({"Email": email})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_held_once_and_whoever_comes_late_is_told_by_whom() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let (_, list) = people(&owner).await;
    let items = format!("{list}/items");
    let ann = owner.item(&list, with_email("ann@x.org")).await;
    let late = owner
        .post(
            &items,
            json!({"items": [{"values": with_email("bob@x.org")}, {"values": with_email("ANN@x.org")}]}),
        )
        .await;
    late.refuses(409, "not_unique");
    assert_eq!(late.body["errors"][0]["path"], "/items/1/values/Email");
    assert_eq!(late.body["errors"][0]["code"], "not_unique");
    let taken = json!([{"column": "Email", "item": ann}]);
    assert_eq!(late.body["current"]["taken"], taken);
    // All or nothing: bob is free, twice in one request is once too often, and empty cells are no value.
    let twice = json!({"items": [{"values": with_email("bob@x.org")}, {"values": with_email("bob@x.org")}]});
    owner.post(&items, twice).await.refuses(409, "not_unique");
    let bob = owner.item(&list, with_email("bob@x.org")).await;
    for _ in 0..2 {
        owner.item(&list, json!({"Name": "Nobody"})).await;
    }
    // Two swap in one request; one after the other they can't.
    let set = |id: &str, email: &str| json!({"id": id, "values": with_email(email)});
    let swap = json!({"items": [set(&ann, "bob@x.org"), set(&bob, "ann@x.org")]});
    owner
        .patch(
            &format!("{items}/{ann}"),
            json!({"values": with_email("bob@x.org")}),
        )
        .await
        .refuses(409, "not_unique");
    owner.patch(&items, swap).await.is(200);
    // Writing one's own value again is no collision.
    let same = json!({"values": with_email("bob@x.org")});
    owner.patch(&format!("{items}/{ann}"), same).await.is(200);
    assert_eq!(unheld(&app.db).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_lets_a_value_go_and_what_comes_back_must_find_it_free() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let (workspace, list) = people(&owner).await;
    let ann = owner.item(&list, with_email("ann@x.org")).await;
    let path = format!("{list}/items/{ann}");
    owner.delete(&path).await.is(204);
    let other = owner.item(&list, with_email("ann@x.org")).await;
    let back = owner.post(&format!("{path}/restore"), json!({})).await;
    back.refuses(409, "not_unique");
    assert_eq!(back.body["current"]["taken"][0]["item"], json!(other));
    // Nor does undo bring it back while another's item holds its value.
    let guest = app.person("guest").await;
    owner.bring(&workspace, &guest, "editor").await;
    let freed = json!({"values": {"Email": null}});
    let other = format!("{list}/items/{other}");
    owner.patch(&other, freed.clone()).await.is(200);
    owner
        .post(&format!("{path}/restore"), json!({}))
        .await
        .is(200);
    owner.delete(&path).await.is(204);
    guest
        .patch(&other, json!({"values": with_email("ann@x.org")}))
        .await
        .is(200);
    let undo = owner.post(&format!("{workspace}/undo"), json!({})).await;
    undo.refuses(409, "not_unique");
    guest.patch(&other, freed).await.is(200);
    owner.undo(&workspace).await;
    assert_eq!(
        owner.get(&path).await.is(200)["values"],
        with_email("ann@x.org")
    );
    assert_eq!(unheld(&app.db).await, 0);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_claim_one_value_at_once_on_two_servers_one_has_it() {
    const ROUNDS: usize = 6;
    const CLAIMS: usize = 8;
    let here = TestApp::new().await;
    let elsewhere = here.again();
    let owner = here.person("owner").await;
    let (workspace, list) = people(&owner).await;
    let both = [owner.clone(), owner.at(&elsewhere)];
    for round in 0..ROUNDS {
        let claims = (0..CLAIMS).map(|claim| {
            let (person, items) = (both[claim % 2].clone(), format!("{list}/items"));
            // Most want the same; one at each server wants something of its own, which is nobody's loss.
            let email = match claim / 2 {
                0 => format!("own{round}-{claim}@x.org"),
                _ => format!("wanted{round}@x.org"),
            };
            async move {
                let answer = person
                    .post(&items, json!({"values": with_email(&email)}))
                    .await;
                (claim / 2 == 0, answer)
            }
        });
        let answers = futures::future::join_all(claims).await;
        let (own, wanted): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(own, _)| *own);
        for (_, answer) in own {
            answer.is(201);
        }
        let won = wanted
            .iter()
            .filter(|(_, answer)| answer.status == 201)
            .count();
        assert_eq!(won, 1, "round {round}");
        for (_, answer) in wanted.iter().filter(|(_, answer)| answer.status != 201) {
            answer.refuses(409, "not_unique");
        }
    }
    assert_eq!(unheld(&here.db).await, 0);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_becomes_unique_unless_a_value_stands_twice() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Code", "text"), ("Done", "checkbox")])
        .await;
    let one = owner.item(&list, json!({"Code": "A-1"})).await;
    let two = owner.item(&list, json!({"Code": "a-1"})).await;
    owner.item(&list, json!({"Code": "B-1"})).await;
    let code = format!("{list}/columns/Code");
    let refused = owner.patch(&code, json!({"unique": true})).await;
    refused.refuses(409, "not_unique");
    let sample = json!([{"value": "A-1", "count": 2, "items": [one, two]}]);
    assert_eq!(refused.body["current"]["duplicates"], sample);
    let free = json!({"values": {"Code": "C-1"}});
    owner
        .patch(&format!("{list}/items/{two}"), free)
        .await
        .is(200);
    let changed = owner.patch(&code, json!({"unique": true})).await;
    assert_eq!(changed.is(200)["unique"], true);
    let third = json!({"values": {"Code": "b-1"}});
    let items = format!("{list}/items");
    owner
        .post(&items, third.clone())
        .await
        .refuses(409, "not_unique");
    // Undone and redone like any other change of a column.
    owner.undo(&workspace).await;
    assert_eq!(owner.get(&code).await.is(200)["unique"], false);
    assert_eq!(unheld(&app.db).await, 0);
    owner.redo(&workspace).await;
    owner
        .post(&items, third.clone())
        .await
        .refuses(409, "not_unique");
    // A column that is gone holds nothing; it comes back when its values are free.
    owner.delete(&code).await.is(204);
    assert_eq!(unheld(&app.db).await, 0);
    owner
        .post(&format!("{code}/restore"), json!({}))
        .await
        .is(200);
    owner.post(&items, third).await.refuses(409, "not_unique");
    assert_eq!(unheld(&app.db).await, 0);
    // What can't be.
    let done = format!("{list}/columns/Done");
    let answer = owner.patch(&done, json!({"unique": true})).await;
    assert_eq!(answer.is(422)["errors"][0]["code"], "cannot_be_unique");
    let answer = owner.patch(&code, json!({"default": "D-1"})).await;
    assert_eq!(answer.is(422)["errors"][0]["code"], "unique_default");
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_file_that_collide_fail_alone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let (workspace, list) = people(&owner).await;
    owner.item(&list, with_email("row7@x.org")).await;
    // More than one batch; each hundredth row repeats the first, and one is in the list already.
    const ROWS: usize = 2_345;
    let mut file = "Name,Email\n".to_owned();
    for row in 1..=ROWS {
        let email = if row % 100 == 0 { 1 } else { row };
        writeln!(file, "Person {row},Row{email}@x.org").unwrap();
    }
    let path = format!("{list}/imports");
    let queued = owner.upload(&path, "text/csv", file.into_bytes()).await;
    let job = format!(
        "{workspace}/jobs/{}",
        queued.is(202)["id"].as_str().unwrap()
    );
    let begun = Instant::now();
    let ended = loop {
        let state = owner.get(&job).await.is(200).clone();
        if !["queued", "running"].contains(&state["state"].as_str().unwrap()) {
            break state;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{state}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let failed = ROWS / 100 + 1;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let counts = &ended["counts"];
    assert_eq!(counts["read"], ROWS);
    assert_eq!(
        (&counts["created"], &counts["failed"]),
        (&json!(ROWS - failed), &json!(failed))
    );
    let errors = owner.get(&format!("{job}/errors?limit=1000")).await;
    let errors = errors.is(200)["data"].as_array().unwrap().clone();
    let rows: Vec<u64> = errors
        .iter()
        .map(|error| error["row"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = std::iter::once(7)
        .chain((1..=23).map(|nr| nr * 100))
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(errors[1]["code"], "not_unique", "{}", errors[1]);
    assert_eq!(errors[1]["column"], "Email", "{}", errors[1]);
    let page = owner
        .get(&format!("{list}/items?limit=1&count=exact"))
        .await;
    assert_eq!(page.is(200)["count"], json!(ROWS - failed + 1));
    assert_eq!(unheld(&app.db).await, 0);
    owner.verified(&workspace).await;
}

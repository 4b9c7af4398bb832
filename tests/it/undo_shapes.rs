//! Undo of what is not items: lists, columns, views, comments and imports.

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, ground};

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_renamed_reordered_and_dropped_both_ways() {
    let (_app, owner, workspace, list) = ground().await;
    let choices = json!({"choices": [{"name": "Open"}, {"name": "Sold"}]});
    let column = json!({"key": "Status", "type": "single_select", "options": choices});
    owner.post(&format!("{list}/columns"), column).await.is(201);
    let item = owner
        .item(&list, json!({"Price": 1, "Status": "Open"}))
        .await;
    let status = format!("{list}/columns/Status");
    let item_path = format!("{list}/items/{item}");
    let shown = async || {
        let columns = owner.get(&format!("{list}/columns")).await.is(200)["data"].clone();
        let values = owner.get(&item_path).await.is(200)["values"].clone();
        (columns, values)
    };
    let renamed = json!({"name": "State", "options": {"choices": [
        {"name": "Offered", "was": "Open"}, {"name": "Sold"}]}});
    let mut states = vec![shown().await];
    owner.patch(&status, renamed).await.is(200);
    states.push(shown().await);
    owner.patch(&status, json!({"position": 0})).await.is(200);
    states.push(shown().await);
    owner
        .patch(&status, json!({"required": true, "default": "Sold"}))
        .await
        .is(200);
    states.push(shown().await);
    owner.delete(&status).await.is(204);
    states.push(shown().await);
    assert_eq!(states[1].1["Status"], "Offered");
    for round in 0..2 {
        for before in states.iter().rev().skip(1) {
            owner.undo(&workspace).await;
            assert_eq!(shown().await, *before, "round {round}");
        }
        for after in states.iter().skip(1) {
            owner.redo(&workspace).await;
            assert_eq!(shown().await, *after, "round {round}");
        }
    }
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_and_go_and_have_their_names_back() {
    let (app, owner, workspace, list) = ground().await;
    owner.patch(&list, json!({"name": "Houses"})).await.is(200);
    owner.undo(&workspace).await;
    assert_eq!(owner.get(&list).await.is(200)["name"], "Homes");
    owner.redo(&workspace).await;
    assert_eq!(owner.get(&list).await.is(200)["name"], "Houses");
    owner.delete(&list).await.is(204);
    owner.undo(&workspace).await;
    owner.get(&list).await.is(200);
    // Another has renamed it since: what is in the way is told.
    let admin = app.person("admin").await;
    owner.bring(&workspace, &admin, "admin").await;
    admin.patch(&list, json!({"name": "Villas"})).await.is(200);
    let seq = owner.seq(&workspace).await;
    let refused = owner.post(&format!("{workspace}/undo"), json!({})).await;
    refused.refuses(409, "conflict");
    let told = &refused.body["current"]["changed"][0];
    assert_eq!(
        (&told["seq"], &told["actor"]["user"]),
        (&json!(seq), &json!(admin.id))
    );
    admin.undo(&workspace).await;
    owner.undo(&workspace).await;
    assert_eq!(owner.get(&list).await.is(200)["name"], "Homes");
    // The list itself was made by its owner.
    owner.undo(&workspace).await;
    owner.get(&list).await.refuses(410, "gone");
    owner.redo(&workspace).await;
    owner.get(&list).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn link_columns_come_back_with_their_inverse_and_their_links() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let (homes, contacts) = owner.linked_lists(&workspace, &[("Price", "number")]).await;
    let ann = owner.item(&contacts, json!({"Name": "Ann"})).await;
    let home = owner.item(&homes, json!({"Owners": [ann]})).await;
    owner
        .delete(&format!("{homes}/columns/Owners"))
        .await
        .is(204);
    let at_ann =
        async || owner.get(&format!("{contacts}/items/{ann}")).await.is(200)["values"].clone();
    assert_eq!(at_ann().await, json!({"Name": "Ann"}));
    owner.undo(&workspace).await;
    assert_eq!(at_ann().await["Homes"][0]["id"], json!(home));
    owner.redo(&workspace).await;
    owner.undo(&workspace).await;
    // Then the two items, and the column with its inverse.
    for _ in 0..3 {
        owner.undo(&workspace).await;
    }
    owner
        .get(&format!("{contacts}/columns/Homes"))
        .await
        .refuses(404, "not_found");
    for _ in 0..3 {
        owner.redo(&workspace).await;
    }
    assert_eq!(at_ann().await["Homes"][0]["id"], json!(home));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_comments_say_again_what_they_said() {
    let (app, owner, workspace, list) = ground().await;
    let views = format!("{list}/views");
    let config = json!({"sort": ["Price"]});
    let view = json!({"name": "All", "kind": "grid", "config": config, "shared": false});
    let made = owner.post(&views, view).await;
    let path = format!("{views}/{}", made.is(201)["id"].as_str().unwrap());
    let read = async || {
        let view = owner.get(&path).await.is(200).clone();
        json!([view["name"], view["config"], view["shared"]])
    };
    let mut states = vec![read().await];
    owner
        .patch(
            &path,
            json!({"name": "Dear", "config": {"sort": ["-Price"]}}),
        )
        .await
        .is(200);
    states.push(read().await);
    owner.patch(&path, json!({"shared": true})).await.is(200);
    states.push(read().await);
    owner.patch(&path, json!({"shared": false})).await.is(200);
    states.push(read().await);
    owner.delete(&path).await.is(204);
    for before in states.iter().rev() {
        owner.undo(&workspace).await;
        assert_eq!(read().await, *before);
    }
    for after in states.iter().skip(1) {
        owner.redo(&workspace).await;
        assert_eq!(read().await, *after);
    }
    owner.redo(&workspace).await;
    owner.get(&path).await.refuses(410, "gone");

    let commenter = app.person("commenter").await;
    owner.bring(&workspace, &commenter, "commenter").await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let comments = format!("{list}/items/{item}/comments");
    let said = json!({"body": "Nice", "mentions": [owner.id]});
    let made = commenter.post(&comments, said).await;
    let path = format!("{comments}/{}", made.is(201)["id"].as_str().unwrap());
    commenter
        .patch(&path, json!({"body": "Very nice"}))
        .await
        .is(200);
    commenter.delete(&path).await.is(204);
    let body = async || owner.get(&path).await.is(200)["body"].clone();
    commenter.undo(&workspace).await;
    assert_eq!(body().await, "Very nice");
    commenter.undo(&workspace).await;
    assert_eq!(body().await, "Nice");
    commenter.undo(&workspace).await;
    owner.get(&path).await.refuses(410, "gone");
    for _ in 0..2 {
        commenter.redo(&workspace).await;
    }
    assert_eq!(body().await, "Very nice");
    // An admin takes it away: what its author said before is not put over that.
    owner.delete(&path).await.is(204);
    commenter
        .post(&format!("{workspace}/undo"), json!({}))
        .await
        .refuses(409, "conflict");
    owner.verified(&workspace).await;
}

/// Waits for a job's end.
async fn ended(person: &Person, workspace: &str, id: &str) -> Value {
    for _ in 0..1_500 {
        let job = person
            .get(&format!("{workspace}/jobs/{id}"))
            .await
            .is(200)
            .clone();
        if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the job did not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_taken_back_unless_a_row_was_changed_since() {
    let (_app, owner, workspace, list) = ground().await;
    let kept = owner.item(&list, json!({"Price": 0})).await;
    let rows: String = (1..=3_000).map(|price| format!("{price}\n")).collect();
    let file = format!("Price\n{rows}").into_bytes();
    let queued = owner
        .upload(&format!("{list}/imports"), "text/csv", file)
        .await;
    let id = queued.is(202)["id"].as_str().unwrap().to_owned();
    assert_eq!(ended(&owner, &workspace, &id).await["state"], "succeeded");
    let revert = format!("{workspace}/jobs/{id}/revert");
    let page = owner.get(&format!("{list}/items?limit=5")).await;
    let row = page.is(200)["data"][3]["id"].as_str().unwrap().to_owned();
    let path = format!("{list}/items/{row}");
    owner
        .patch(&path, json!({"values": {"Price": 7}}))
        .await
        .is(200);
    let refused = owner.post(&revert, json!({})).await;
    refused.refuses(409, "conflict");
    assert_eq!(refused.body["current"]["changed"][0]["item"], json!(row));
    owner.undo(&workspace).await;

    let reverted = owner.keyed(&revert, "once", json!({})).await;
    assert_eq!(reverted.is(200)["state"], "reverted");
    let again = owner.keyed(&revert, "once", json!({})).await;
    assert_eq!(again.is(200), reverted.is(200));
    owner
        .post(&revert, json!({}))
        .await
        .refuses(409, "conflict");
    assert_eq!(ended(&owner, &workspace, &id).await["state"], "reverted");
    let page = owner.get(&format!("{list}/items?count=exact")).await;
    assert_eq!(
        (&page.is(200)["count"], &page.body["data"][0]["id"]),
        (&json!(1), &json!(kept))
    );
    let events = owner
        .get(&format!("{workspace}/events?after_seq=0&limit=1000"))
        .await;
    let events = events.is(200)["data"].as_array().unwrap();
    let steps: Vec<&Value> = events
        .iter()
        .filter(|event| event["change"] == json!(id))
        .collect();
    assert!(!steps.is_empty() && steps.iter().all(|event| event["undoes"].is_i64()));
    owner.verified(&workspace).await;
}

//! Imports over HTTP: real files exactly, everything else refused with nothing stored, and a server
//! that dies in the middle.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Waits for a job's end.
pub(crate) async fn ended(person: &Person, workspace: &str, queued: &Answer) -> Value {
    let id = queued.is(202)["id"].as_str().unwrap();
    let begun = Instant::now();
    loop {
        let job = person.get(&format!("{workspace}/jobs/{id}")).await;
        let job = job.is(200).clone();
        if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_sales_become_a_list_and_every_row_is_there() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let file = fixtures().join("listings-sacramento/Sacramentorealestatetransactions.csv");
    let path = format!("{workspace}/imports?list_name=Sales");
    let queued = owner
        .upload(&path, "text/csv", std::fs::read(file).unwrap())
        .await;
    let job = ended(&owner, &workspace, &queued).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["counts"]["read"], 985);
    assert_eq!(job["counts"]["created"], 985);
    let list = format!("{workspace}/lists/{}", job["list_id"].as_str().unwrap());
    let page = owner
        .get(&format!("{list}/items?limit=1000&count=exact"))
        .await;
    assert_eq!(page.is(200)["count"], 985);
    let first = &page.body["data"][0]["values"];
    assert_eq!(first["street"], "3526 HIGH ST");
    assert_eq!(first["price"], 59222);
    let last = &page.body["data"][984]["values"];
    assert_eq!(last["street"], "3882 YELLOWSTONE LN");
    // The log alone tells of each row.
    let id = page.body["data"][500]["id"].as_str().unwrap();
    let history = owner.get(&format!("{list}/items/{id}/history")).await;
    let entry = &history.is(200)["data"][0];
    assert_eq!(entry["kind"], "items.imported");
    assert_eq!(
        entry["change"]["set"]["street"],
        page.body["data"][500]["values"]["street"]
    );
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_file_is_imported_and_any_other_leaves_nothing_behind() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let folder = fixtures().join("messy-csv");
    let expected = std::fs::read(folder.join("EXPECT.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let mut imported = 0;
    for (name, expect) in expected["files"].as_object().unwrap() {
        // Behind all that the lane was doing: a job's end can be read a moment before its position.
        let renamed = owner.patch(&workspace, json!({"name": name}));
        renamed.await.is(200);
        let before = owner.seq(&workspace).await;
        let path = format!("{workspace}/imports?list_name=Messy");
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let answer = owner.upload(&path, "text/csv", bytes).await;
        let plain =
            ["utf-8", "ascii", "us-ascii"].contains(&expect["encoding"].as_str().unwrap_or(""));
        if expect["outcome"] == "clean" && plain && answer.status == 202 {
            let job = ended(&owner, &workspace, &answer).await;
            assert_eq!(job["state"], "succeeded", "{name}: {job}");
            assert_eq!(job["counts"]["failed"], 0, "{name}: {job}");
            let counts = &job["counts"];
            let stored = counts["created"].as_i64().unwrap() + counts["skipped"].as_i64().unwrap();
            assert_eq!(Some(stored), expect["data_rows"].as_i64(), "{name}: {job}");
            imported += 1;
        } else {
            assert!(
                !(plain && expect["outcome"] == "clean"),
                "{name}: {}",
                answer.text
            );
            assert!(answer.status.is_client_error(), "{name}: {}", answer.text);
            assert!(
                answer.body["errors"][0]["code"].is_string(),
                "{name}: {}",
                answer.text
            );
            assert_eq!(owner.seq(&workspace).await, before, "{name} left something");
        }
        println!("{name}: {}", answer.status);
    }
    assert!(imported > 20, "{imported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_is_reported_and_harms_no_other() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Price", "currency"), ("Name", "text")])
        .await;
    let file = "Name,Price\nOak,1\nElm,cheap\nAsh,\"$1,250,000\"\n";
    let queued = owner
        .upload(&format!("{list}/imports"), "text/csv", file.into())
        .await;
    let job = ended(&owner, &workspace, &queued).await;
    let counts = &job["counts"];
    assert_eq!(
        (&counts["created"], &counts["failed"]),
        (&json!(2), &json!(1)),
        "{job}"
    );
    let path = format!("{workspace}/jobs/{}/errors", job["id"].as_str().unwrap());
    let errors = owner.get(&path).await;
    let error = &errors.is(200)["data"][0];
    assert_eq!(
        (&error["row"], &error["column"], &error["value"]),
        (&json!(2), &json!("Price"), &json!("cheap"))
    );
    assert!(
        owner
            .get(&format!("{path}?format=csv"))
            .await
            .text
            .contains("2,Price,cheap,not_a_number")
    );
    // With `abort` the same file leaves nothing.
    let path = format!("{list}/imports?on_error=abort");
    let queued = owner.upload(&path, "text/csv", file.into()).await;
    let job = ended(&owner, &workspace, &queued).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(
        owner
            .get(&format!("{list}/items?count=exact"))
            .await
            .is(200)["count"],
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_replaced_in_mid_import_loses_and_doubles_no_row() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Number", "number")]).await;
    let mut file = String::from("Number\n");
    for n in 0..40_000 {
        let _ = writeln!(file, "{n}");
    }
    let queued = owner
        .upload(&format!("{list}/imports"), "text/csv", file.into())
        .await;
    let id = queued.is(202)["id"].as_str().unwrap().to_owned();
    while owner.get(&format!("{workspace}/jobs/{id}")).await.is(200)["counts"]["created"] == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = app.again();
    drop(app);
    let owner = owner.at(&second);
    let job = ended(&owner, &workspace, &queued).await;
    assert_eq!(job["counts"]["created"], 40_000, "{job}");
    let mut seen = HashSet::new();
    let mut cursor = String::new();
    loop {
        let page = owner.get(&format!("{list}/items?limit=1000{cursor}")).await;
        for item in page.is(200)["data"].as_array().unwrap() {
            assert!(seen.insert(item["values"]["Number"].as_i64().unwrap()));
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 40_000);
}

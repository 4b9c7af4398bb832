//! Exports over HTTP: what goes out is what was asked for, comes back in as it was, and is fetched by
//! nobody else.

use serde_json::{Value, json};

use crate::imports::ended;
use crate::support::app::{Person, TestApp, last};

/// The file of an export of the list.
async fn exported(person: &Person, list: &str, asked: Value) -> (String, String, Vec<u8>) {
    let workspace = list.split("/lists/").next().unwrap();
    let queued = person.post(&format!("{list}/exports"), asked).await;
    let job = ended(person, workspace, &queued).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["counts"]["read"], job["counts"]["unchanged"]);
    let path = format!("{workspace}/jobs/{}/result", job["id"].as_str().unwrap());
    let file = person.fetch(&path).await;
    assert_eq!(job["file_size"], file.2.len(), "{job}");
    file
}

async fn csv(person: &Person, list: &str, asked: Value) -> String {
    String::from_utf8(exported(person, list, asked).await.2).unwrap()
}

const COLUMNS: [(&str, &str); 8] = [
    ("Name", "text"),
    ("Price", "currency"),
    ("Share", "percent"),
    ("Sold", "checkbox"),
    ("Day", "date"),
    ("Seen", "date_time"),
    ("Phone", "phone"),
    ("Agent", "user"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_out_in_any_form_comes_back_as_it_was() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &COLUMNS).await;
    for (nr, name) in [
        "=1+1",
        "'=2",
        "a \"b\", c; d",
        "é, 🏠",
        "-5",
        "two\nlines",
        " x ",
    ]
    .iter()
    .enumerate()
    {
        let values = json!({
            "Name": name, "Price": -1250.5 * nr as f64, "Share": 0.125, "Sold": nr % 2 == 0,
            "Day": "2026-03-04", "Seen": "2026-03-04T05:06:07Z", "Phone": "+14155550132",
            "Agent": [owner.id],
        });
        owner.item(&list, values).await;
    }
    let before = owner.values(&list).await;
    assert_eq!(before.len(), 7);
    for (format, media) in [
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/json"),
        ("ndjson", "application/x-ndjson"),
        (
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
    ] {
        let (told, name, bytes) = exported(&owner, &list, json!({"format": format})).await;
        assert_eq!(told, media);
        assert!(name.contains(&format!("\"Homes.{format}\"")), "{name}");
        let copy = owner.list(&workspace, &COLUMNS).await;
        let queued = owner.upload(&format!("{copy}/imports"), &told, bytes).await;
        let job = ended(&owner, &workspace, &queued).await;
        assert_eq!(job["counts"]["created"], 7, "{format}: {job}");
        assert_eq!(owner.values(&copy).await, before, "{format}");
    }
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_what_was_asked_for_and_runs_no_formula() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let columns = [("Street", "text"), ("Price", "number")];
    let (homes, contacts) = owner.linked_lists(&workspace, &columns).await;
    let ann = owner.item(&contacts, json!({"Name": "Ann"})).await;
    let mut owners = vec![ann.clone()];
    for nr in 0..12 {
        owners.push(
            owner
                .item(&contacts, json!({"Name": format!("N{nr}")}))
                .await,
        );
    }
    for (street, price) in [("Oak", 3), ("@Elm", -2), ("=SUM(A1)", 1)] {
        owner
            .item(&homes, json!({"Street": street, "Price": price}))
            .await;
    }
    let page = owner.get(&format!("{homes}/items")).await;
    let oak = page.is(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let linked = format!("{homes}/items/{oak}/links/Owners");
    owner.put(&linked, json!({"ids": owners})).await.is(200);

    let asked = json!({"format": "csv", "columns": ["Price", "Street"], "sort": "Price"});
    assert_eq!(
        csv(&owner, &homes, asked).await,
        "Price,Street\n-2,'@Elm\n1,'=SUM(A1)\n3,Oak\n"
    );
    // All of its links, not the ten that a page shows.
    let filter = json!({"column": "Price", "op": "gt", "value": 1});
    let asked = json!({"format": "csv", "filter": filter, "columns": ["Owners"]});
    let titles: Vec<String> = (0..12).map(|nr| format!("N{nr}")).collect();
    let whole = csv(&owner, &homes, asked).await;
    assert_eq!(whole, format!("Owners\nAnn; {}\n", titles.join("; ")));
    let asked = json!({"format": "json", "q": "oak", "columns": "Owners", "links": "ids"});
    let text = csv(&owner, &homes, asked).await;
    let rows: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["Owners"], owners.join("; "));

    // A view's question, and the request before it.
    let config = json!({"filter": filter, "columns": ["Street"], "sort": ["-Price"]});
    let view = json!({"name": "Dear", "kind": "grid", "config": config});
    let view = owner.post(&format!("{homes}/views"), view).await;
    let view = view.is(201)["id"].clone();
    let asked = json!({"format": "csv", "view": view});
    assert_eq!(csv(&owner, &homes, asked).await, "Street\nOak\n");
    let asked = json!({"format": "ndjson", "view": view, "columns": "Price"});
    assert_eq!(csv(&owner, &homes, asked).await, "{\"Price\":3}\n");

    let cards = csv(&owner, &contacts, json!({"format": "vcard", "q": "Ann"})).await;
    assert!(
        cards.starts_with("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ann\r\n"),
        "{cards}"
    );

    for wrong in [
        json!({"format": "pdf"}),
        json!({"format": "csv", "columns": "Nothing"}),
        json!({"format": "csv", "sort": "Nothing"}),
        json!({"format": "csv", "filter": {"column": "Price", "op": "like", "value": 1}}),
        json!({"format": "csv", "view": last(&homes)}),
    ] {
        let refused = owner.post(&format!("{homes}/exports"), wrong.clone()).await;
        assert!(
            [400, 422].contains(&refused.status.as_u16()),
            "{wrong}: {}",
            refused.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_for_who_asked_and_admins_and_the_log_tells_who_took_what_out() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &COLUMNS).await;
    owner.item(&list, json!({"Name": "Oak"})).await;
    let (editor, other) = (app.person("editor").await, app.person("other").await);
    owner.bring(&workspace, &editor, "editor").await;
    owner.bring(&workspace, &other, "editor").await;
    let queued = editor
        .post(&format!("{list}/exports"), json!({"format": "csv"}))
        .await;
    let job = ended(&editor, &workspace, &queued).await;
    let result = format!("{workspace}/jobs/{}/result", job["id"].as_str().unwrap());
    other.get(&result).await.is(403);
    assert_eq!(owner.fetch(&result).await, editor.fetch(&result).await);
    let log = owner.get(&format!("{workspace}/audit?limit=1000")).await;
    let told = log.is(200)["data"].as_array().unwrap().clone();
    let kinds: Vec<&str> = told
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"export.queued") && kinds.contains(&"export.finished"),
        "{kinds:?}"
    );
    // Taken back is what an import did alone.
    let revert = format!("{workspace}/jobs/{}/revert", job["id"].as_str().unwrap());
    let refused = owner.post(&revert, json!(null)).await;
    assert!(refused.status.is_client_error(), "{}", refused.text);
    owner.verified(&workspace).await;
}

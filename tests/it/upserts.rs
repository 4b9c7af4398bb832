//! Imports that find their rows' items by key: what stands is changed, what is new is made, and nobody is
//! there twice, whoever else is at it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::imports::ended;
use crate::support::app::{Person, TestApp, last};

const COLUMNS: [(&str, &str); 4] = [
    ("Name", "text"),
    ("Email", "email"),
    ("City", "text"),
    ("Budget", "currency"),
];

async fn imported(person: &Person, list: &str, parameters: &str, file: &str) -> Value {
    let workspace = list.split("/lists/").next().unwrap();
    let path = format!("{list}/imports?{parameters}");
    let queued = person.upload(&path, "text/csv", file.into()).await;
    ended(person, workspace, &queued).await
}

/// Created, updated, unchanged, skipped, failed; they add up to what was read.
fn counts(job: &Value) -> [u64; 5] {
    assert_eq!(job["state"], "succeeded", "{job}");
    let names = ["created", "updated", "unchanged", "skipped", "failed"];
    let counts = names.map(|name| job["counts"][name].as_u64().unwrap());
    assert_eq!(job["counts"]["read"], counts.iter().sum::<u64>(), "{job}");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_change_the_items_that_they_are_and_make_the_others() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &COLUMNS).await;
    let ann = json!({"Name": "Ann", "Email": "ann@x.org", "City": "Rye", "Budget": 5});
    let ann_id = owner.item(&list, ann).await;
    for (name, email) in [
        ("Ben", "ben@x.org"),
        ("Twin", "twin@x.org"),
        ("Twin", "twin@x.org"),
    ] {
        let twin = json!({"Name": name, "Email": email});
        owner.item(&list, twin).await;
    }
    let gone = owner
        .item(&list, json!({"Name": "Gone", "Email": "gone@x.org"}))
        .await;
    owner.delete(&format!("{list}/items/{gone}")).await.is(204);

    let file = "Email,Name,City,Budget\n\
        ANN@x.org,Ann Lee,,$7\n\
        ben@x.org,Ben,,\n\
        cy@x.org,Cy,Reno,1\n\
        cy@x.org,Cyrus,,\n\
        twin@x.org,Which,,\n\
        ,Nobody,,\n\
        gone@x.org,Again,,\n\
        dee@x.org,Dee,,cheap\n";
    let tried = owner
        .upload(
            &format!("{list}/imports?mode=upsert&key=Email&dry_run=true"),
            "",
            file.into(),
        )
        .await;
    let tried = tried.is(202)["counts"].clone();
    assert_eq!(
        (&tried["created"], &tried["updated"], &tried["failed"]),
        (&json!(2), &json!(3), &json!(3))
    );

    let job = imported(&owner, &list, "mode=upsert&key=Email", file).await;
    assert_eq!(counts(&job), [2, 2, 1, 0, 3], "{job}");
    let stands = owner.values(&list).await;
    assert_eq!(
        stands[0],
        // What is empty in the file stays, and so does how the key is written.
        json!({"Name": "Ann Lee", "Email": "ann@x.org", "City": "Rye", "Budget": 7})
    );
    assert_eq!(stands.len(), 6, "{stands:?}");
    assert_eq!(
        stands[4],
        json!({"Name": "Cyrus", "Email": "cy@x.org", "City": "Reno", "Budget": 1})
    );
    assert_eq!(stands[5]["Name"], "Again");

    // Not as a whole yet: that is said, and nothing is marked as done that was not.
    let revert = format!("{workspace}/jobs/{}/revert", job["id"].as_str().unwrap());
    let refused = owner.post(&revert, json!(null)).await;
    assert_eq!(refused.is(409)["errors"][0]["code"], "not_built");

    let errors = format!("{workspace}/jobs/{}/errors", job["id"].as_str().unwrap());
    let errors = owner.get(&errors).await;
    let errors = errors.is(200)["data"].as_array().unwrap().clone();
    let told: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error["row"].as_u64().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(5, "ambiguous_key"), (6, "no_key"), (8, "not_a_number")]
    );

    // The log keeps what stood before, and whose doing it was.
    let history = owner.get(&format!("{list}/items/{ann_id}/history")).await;
    let entry = &history.is(200)["data"][0];
    assert_eq!(entry["actor"]["job"], job["id"], "{entry}");
    assert_eq!(
        entry["change"]["set"],
        json!({"Name": "Ann Lee", "Budget": 7})
    );
    assert_eq!(entry["change"]["was"], json!({"Name": "Ann", "Budget": 5}));

    // Once more nothing changes.
    let file = "Email,Name\nann@x.org,Ann Lee\nben@x.org,Ben\n";
    let again = imported(&owner, &list, "mode=upsert&key=Email", file).await;
    assert_eq!(counts(&again), [0, 0, 2, 0, 0]);
    let job = imported(
        &owner,
        &list,
        "mode=update&key=email,Name",
        "Email,Name,City\nann@x.org,Ann Lee,Bath\nann@x.org,Ann,Bath\n",
    )
    .await;
    assert_eq!(counts(&job), [0, 1, 0, 1, 0]);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_must_be_there_and_tell_rows_apart() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Name", "text"), ("Sold", "checkbox")])
        .await;
    for (parameters, code) in [
        ("mode=upsert", "required"),
        ("mode=upsert&key=Nothing", "unknown_key"),
        ("mode=update&key=Sold", "bad_key"),
        ("key=Name", "bad_value"),
        ("mode=replace", "bad_value"),
    ] {
        let path = format!("{list}/imports?{parameters}");
        let refused = owner
            .upload(&path, "text/csv", "Name,Sold\nOak,yes\n".into())
            .await;
        assert_eq!(refused.is(422)["errors"][0]["code"], code, "{parameters}");
    }
    // A unique column says it by itself; a row that takes another's value fails alone.
    let unique = json!({"key": "Mls", "type": "text", "unique": true});
    owner.post(&format!("{list}/columns"), unique).await.is(201);
    let file = "Mls,Name\n1,Oak\n2,Elm\n3,Ash\n";
    let job = imported(&owner, &list, "mode=upsert", file).await;
    assert_eq!(counts(&job), [3, 0, 0, 0, 0]);
    let file = "Name,Mls\nOak,1\nElm,1\nAsh,9\nFir,3\nYew,4\n";
    let job = imported(&owner, &list, "mode=upsert&key=Name", file).await;
    // Ash has let go of what Fir takes.
    assert_eq!(counts(&job), [2, 1, 1, 0, 1], "{job}");
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_there_twice_however_many_import_and_edit_at_once() {
    const ROWS: usize = 2_500;
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &COLUMNS).await;
    let file = |budget: usize| {
        let mut file = String::from("Email,Name,Budget\n");
        for nr in 0..ROWS {
            let _ = writeln!(file, "p{nr}@x.org,P{nr},{}", nr % 7 + budget);
        }
        file
    };
    let (one, other) = (file(1), file(2));
    let people = async {
        for nr in 0..40 {
            // Some are made by hand under keys that the files have, or get such a key.
            let email = format!("p{}@x.org", ROWS - 1 - nr * 3);
            let made = json!({"Name": "by hand", "Email": format!("h{nr}@x.org")});
            let id = owner.item(&list, made).await;
            let path = format!("{list}/items/{id}");
            owner
                .patch(&path, json!({"values": {"Email": email}}))
                .await
                .is(200);
        }
    };
    let (first, second, ()) = tokio::join!(
        imported(&owner, &list, "mode=upsert&key=Email", &one),
        imported(&owner, &list, "mode=upsert&key=Email", &other),
        people,
    );
    let (first, second) = (counts(&first), counts(&second));
    let page = owner
        .get(&format!("{list}/items?count=exact&limit=1"))
        .await;
    let stands = page.is(200)["count"].as_u64().unwrap();
    // Where a hand was slower than both files there are two of a key, by the hand's doing.
    let by_files = first[0] + second[0];
    assert_eq!(stands, by_files + 40, "{first:?} {second:?}");
    assert!(
        by_files <= ROWS as u64 && by_files >= ROWS as u64 - 40,
        "{first:?} {second:?}"
    );
    let filter = json!({"column": "Email", "op": "eq", "value": "p1@x.org"}).to_string();
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("filter", &filter)
        .finish();
    let found = owner.get(&format!("{list}/items?{query}")).await;
    assert!(
        found.is(200)["data"].as_array().unwrap().len() <= 2,
        "{}",
        last(&list)
    );
    owner.verified(&workspace).await;
}

//! A column of another type: what would be lost is told beforehand, the change is one, everybody sees it, and
//! taking it back brings every value back.

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp};
use crate::support::db::unheld;
use crate::support::socket::Socket;

/// A list of notes: its workspace, its path and its items.
async fn notes(owner: &Person, notes: &[&str]) -> (String, String, Vec<String>) {
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Note", "text"), ("Place", "location")])
        .await;
    let mut items = Vec::new();
    for note in notes {
        items.push(owner.item(&list, json!({"Note": note})).await);
    }
    (workspace, list, items)
}

async fn values(person: &Person, list: &str, query: &str) -> Vec<Value> {
    let page = person.get(&format!("{list}/items?limit=100{query}")).await;
    let items = page.is(200)["data"].as_array().unwrap().clone();
    items
        .into_iter()
        .map(|item| item["values"]["Note"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_is_told_and_what_was_lost_comes_back() {
    let app = TestApp::new().await;
    let elsewhere = app.again();
    let owner = app.person("owner").await;
    let (workspace, list, items) = notes(&owner, &["1,250", "later", "7"]).await;
    owner
        .delete(&format!("{list}/items/{}", items[2]))
        .await
        .is(204);
    let before = owner.seq(&workspace).await;
    let note = format!("{list}/columns/Note");
    let number = json!({"type": "number"});
    // The other server knows the items as they stood.
    let far = owner.at(&elsewhere);
    far.patch(&format!("{list}/items/{}", items[0]), json!({"values": {}}))
        .await
        .is(200);

    let preview = owner.post(&format!("{note}/preview"), number.clone()).await;
    let told = preview.is(200).clone();
    assert_eq!(
        (&told["values"], &told["lost"]),
        (&json!(3), &json!(1)),
        "the trash counts: {told}"
    );
    let sample = &told["samples"][0];
    assert_eq!(
        (&sample["item"], &sample["value"]),
        (&json!(items[1]), &json!("later"))
    );
    assert_eq!(sample["code"], "not_a_number");
    let refused = owner.patch(&note, number).await;
    assert_eq!(refused.is(422)["errors"][0]["code"], "lossy");
    assert_eq!(refused.body["current"], told);
    assert_eq!(values(&owner, &list, "").await, ["1,250", "later"]);

    let mut socket = Socket::open(&app, &owner).await;
    socket.follow(&workspace, None).await;
    let clear = json!({"type": "number", "on_loss": "clear", "name": "Price"});
    let changed = owner.patch(&note, clear).await.is(200).clone();
    assert_eq!(
        (&changed["type"], &changed["name"]),
        (&json!("number"), &json!("Price"))
    );
    // Behind the edit at the other server.
    let mut seen = Vec::new();
    while seen.last() != Some(&json!("column.updated")) {
        let events = socket.next("events").await["events"].clone();
        seen.extend(
            events
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["kind"].clone()),
        );
    }
    let read = [json!(1250), Value::Null];
    for person in [&owner, &far] {
        assert_eq!(values(person, &list, "").await, read);
    }
    // Who knew the items before writes beside what they became.
    let item = format!("{list}/items/{}", items[0]);
    far.patch(&item, json!({"values": {"Place": {"lat": 1, "lon": 2}}}))
        .await
        .is(200);
    assert_eq!(values(&owner, &list, "").await, read);
    let past = format!("&as_of={before}");
    assert_eq!(values(&owner, &list, &past).await, ["1,250", "later"]);
    owner
        .post(&format!("{list}/items/{}/restore", items[2]), json!({}))
        .await
        .is(200);
    assert_eq!(values(&owner, &list, "").await[2], 7);
    for _ in 0..2 {
        // The restore, the place, and the type.
        for _ in 0..3 {
            owner.undo(&workspace).await;
        }
        assert_eq!(values(&owner, &list, "").await, ["1,250", "later"]);
        let column = owner.get(&note).await.is(200).clone();
        assert_eq!(
            (&column["type"], &column["name"]),
            (&json!("text"), &json!("Note"))
        );
        for _ in 0..3 {
            owner.redo(&workspace).await;
        }
        assert_eq!(
            values(&owner, &list, "").await,
            [json!(1250), Value::Null, json!(7)]
        );
    }
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_written_since_stands_in_the_way_of_undoing_it() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let (workspace, list, items) = notes(&owner, &["1", "2"]).await;
    let note = format!("{list}/columns/Note");
    owner.patch(&note, json!({"type": "number"})).await.is(200);
    let guest = app.person("guest").await;
    owner.bring(&workspace, &guest, "editor").await;
    let item = format!("{list}/items/{}", items[1]);
    guest
        .patch(&item, json!({"values": {"Note": 3}}))
        .await
        .is(200);
    let refused = owner.post(&format!("{workspace}/undo"), json!({})).await;
    refused.refuses(409, "conflict");
    let told = &refused.body["current"]["changed"][0];
    assert_eq!(
        (&told["item"], &told["column"], &told["actor"]["user"]),
        (&json!(items[1]), &json!("Note"), &json!(guest.id))
    );
    guest.undo(&workspace).await;
    owner.undo(&workspace).await;
    assert_eq!(values(&owner, &list, "").await, ["1", "2"]);
    // The column that is deleted now is the one that comes back, not the one that stood in its place.
    owner.delete(&note).await.is(204);
    owner
        .post(&format!("{note}/restore"), json!({}))
        .await
        .is(200);
    assert_eq!(values(&owner, &list, "").await, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_in_common_is_refused_and_values_that_become_one_are_not_unique() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let (_, list, items) = notes(&owner, &["1.0", "1.00"]).await;
    let note = format!("{list}/columns/Note");
    let refusal = async |path: &str, body: Value| {
        let answer = owner.patch(path, body).await;
        answer.is(422)["errors"][0]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let place = format!("{list}/columns/Place");
    assert_eq!(
        refusal(&place, json!({"type": "number"})).await,
        "no_conversion"
    );
    assert_eq!(
        refusal(&note, json!({"type": "link"})).await,
        "no_conversion"
    );
    assert_eq!(
        refusal(&note, json!({"type": "auto_number"})).await,
        "no_conversion"
    );
    assert_eq!(
        refusal(&note, json!({"type": "rollup"})).await,
        "no_conversion"
    );
    assert_eq!(refusal(&note, json!({"type": "file"})).await, "not_built");
    assert_eq!(
        refusal(&note, json!({"on_loss": "clear"})).await,
        "needs_type"
    );
    owner.patch(&note, json!({"unique": true})).await.is(200);
    let one = owner.patch(&note, json!({"type": "number"})).await;
    one.refuses(409, "not_unique");
    assert_eq!(one.body["current"]["duplicates"][0]["items"], json!(items));
    assert_eq!(
        refusal(&note, json!({"type": "checkbox", "on_loss": "clear"})).await,
        "cannot_be_unique"
    );
    let other = json!({"values": {"Note": "2.0"}});
    owner
        .patch(&format!("{list}/items/{}", items[1]), other)
        .await
        .is(200);
    owner.patch(&note, json!({"type": "number"})).await.is(200);
    assert_eq!(unheld(&app.db).await, 0);
    let taken = owner
        .post(&format!("{list}/items"), json!({"values": {"Note": 2}}))
        .await;
    taken.refuses(409, "not_unique");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_names_the_choices_that_are_missing_and_with_them_nothing_is_lost() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Tags", "text")]).await;
    for tags in ["Hot, Cash", "cash; Relocating", "-", "Hot"] {
        owner.item(&list, json!({"Tags": tags})).await;
    }
    let column = format!("{list}/columns/Tags");
    let ty = json!({"type": "multi_select", "options": {"choices": [{"name": "Cash"}]}});

    let told = owner.post(&format!("{column}/preview"), ty).await;

    let missing = &told.is(200)["missing_choices"];
    assert_eq!(missing, &json!(["Hot", "Relocating"]));
    let choices: Vec<Value> = ["Cash", "Hot", "Relocating"]
        .map(|name| json!({"name": name}))
        .into();
    let ty = json!({"type": "multi_select", "options": {"choices": choices}, "on_loss": "clear"});
    let told = owner.post(&format!("{column}/preview"), ty.clone()).await;
    assert_eq!(
        (&told.is(200)["lost"], &told.is(200)["missing_choices"]),
        (&json!(1), &json!([]))
    );
    owner.patch(&column, ty).await.is(200);
    let page = owner.get(&format!("{list}/items")).await;
    let tags: Vec<&Value> = page.is(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["values"]["Tags"])
        .collect();
    assert_eq!(
        tags,
        [
            &json!(["Hot", "Cash"]),
            &json!(["Cash", "Relocating"]),
            &Value::Null,
            &json!(["Hot"])
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_their_addresses() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Agent", "text")]).await;
    let email = owner.email.to_uppercase();
    let own = owner.item(&list, json!({"Agent": email})).await;
    owner
        .item(&list, json!({"Agent": "nobody@example.com"}))
        .await;
    let column = format!("{list}/columns/Agent");
    let told = owner
        .post(&format!("{column}/preview"), json!({"type": "user"}))
        .await;
    assert_eq!(told.is(200)["lost"], 1);
    owner
        .patch(&column, json!({"type": "user", "on_loss": "clear"}))
        .await
        .is(200);
    let item = owner.get(&format!("{list}/items/{own}")).await;
    assert_eq!(item.is(200)["values"]["Agent"], owner.id.as_str());
}

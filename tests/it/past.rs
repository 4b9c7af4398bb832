//! The past: items and lists as of a position, and a list brought back to one.

use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, ground};

fn ids(page: &Value) -> Vec<&str> {
    let data = page["data"].as_array().unwrap().iter();
    data.map(|item| item["id"].as_str().unwrap()).collect()
}

async fn query(person: &Person, list: &str, body: Value) -> Answer {
    person.post(&format!("{list}/items/query"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_read_as_it_stood() {
    let (_app, owner, workspace, list) = ground().await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let path = format!("{list}/items/{item}");
    let made = owner.seq(&workspace).await;
    let first = owner.get(&path).await.is(200).clone();
    owner
        .patch(&path, json!({"values": {"Price": 2}}))
        .await
        .is(200);
    let second = owner.get(&path).await.is(200).clone();
    owner.delete(&path).await.is(204);
    let gone = owner.seq(&workspace).await;
    owner
        .post(&format!("{path}/restore"), json!({}))
        .await
        .is(200);

    let at = async |seq: i64| owner.get(&format!("{path}?as_of={seq}")).await;
    at(made - 1).await.refuses(404, "not_found");
    assert_eq!(*at(made).await.is(200), first);
    assert_eq!(at(made).await.headers["etag"], "\"1\"");
    assert_eq!(*at(made + 1).await.is(200), second);
    at(gone).await.refuses(410, "gone");
    assert_eq!(at(gone + 1).await.is(200)["version"], 4);
    let ahead = at(gone + 2).await;
    ahead.refuses(422, "validation");
    assert_eq!(ahead.body["errors"][0]["code"], "out_of_range");
    at(0).await.refuses(422, "validation");
    owner
        .get(&format!("{list}/trash?as_of=1"))
        .await
        .refuses(422, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_filters_and_sorts_are_answered_as_of_a_position() {
    let (_app, owner, workspace, list) = ground().await;
    let items: Vec<Value> = (0..30).map(|n| json!({"values": {"Price": n}})).collect();
    let made = owner
        .post(&format!("{list}/items"), json!({"items": items}))
        .await;
    let all: Vec<String> = ids(made.is(201)).iter().map(ToString::to_string).collect();
    let seq = owner.seq(&workspace).await;
    // Afterwards: some are changed, some go, some come.
    let patches: Vec<Value> = all
        .iter()
        .step_by(3)
        .map(|id| json!({"id": id, "values": {"Price": 99}}))
        .collect();
    owner
        .patch(&format!("{list}/items"), json!({"items": patches}))
        .await
        .is(200);
    let gone: Vec<&String> = all.iter().skip(1).step_by(3).collect();
    owner
        .post(&format!("{list}/items/delete"), json!({"ids": gone}))
        .await
        .is(204);
    for price in 0..5 {
        owner.item(&list, json!({"Price": price})).await;
    }

    for body in [
        json!({}),
        json!({"sort": "-Price"}),
        json!({"sort": "Price", "filter": {"column": "Price", "op": "lt", "value": 20}}),
    ] {
        let mut expected: Vec<&str> = all.iter().map(String::as_str).collect();
        if body["filter"].is_object() {
            expected.truncate(20);
        }
        if body["sort"] == "-Price" {
            expected.reverse();
        }
        let (mut seen, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut asked = body.clone();
            asked["as_of"] = json!(seq);
            asked["limit"] = json!(7);
            if cursor.is_string() {
                asked["cursor"] = cursor.clone();
            }
            let page = query(&owner, &list, asked).await;
            seen.extend(ids(page.is(200)).into_iter().map(str::to_owned));
            cursor = page.body["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen, expected, "{body}");
    }
    let counted = query(
        &owner,
        &list,
        json!({"as_of": seq, "count": "exact", "filter":
        {"column": "Price", "op": "gte", "value": 10}, "limit": 1}),
    )
    .await;
    assert_eq!(counted.is(200)["count"], 20);
    let before = query(&owner, &list, json!({"as_of": seq - 1})).await;
    assert!(ids(before.is(200)).is_empty());
    // A cursor of one position is none of another.
    let page = query(&owner, &list, json!({"as_of": seq, "limit": 3})).await;
    let cursor = page.is(200)["next_cursor"].clone();
    query(
        &owner,
        &list,
        json!({"as_of": seq + 1, "limit": 3, "cursor": cursor}),
    )
    .await
    .refuses(400, "validation");
    let page = owner
        .get(&format!("{list}/items?as_of={seq}&limit=1000"))
        .await;
    assert_eq!(ids(page.is(200)), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_begins_at_a_row_number() {
    let (_app, owner, _workspace, list) = ground().await;
    let items: Vec<Value> = (0..30).map(|n| json!({"values": {"Price": n}})).collect();
    let made = owner
        .post(&format!("{list}/items"), json!({"items": items}))
        .await;
    let all: Vec<String> = ids(made.is(201)).iter().map(ToString::to_string).collect();
    let page = query(&owner, &list, json!({"at": 10, "limit": 5})).await;
    assert_eq!(ids(page.is(200)), all[10..15]);
    let on = json!({"limit": 5, "cursor": page.body["next_cursor"]});
    assert_eq!(ids(query(&owner, &list, on).await.is(200)), all[15..20]);
    let filter = json!({"column": "Price", "op": "gte", "value": 4});
    let body = json!({"at": 24, "limit": 5, "sort": "-Price", "filter": filter});
    let page = query(&owner, &list, body).await;
    let (mut last, end) = (all[4..6].to_vec(), &page.is(200)["next_cursor"]);
    last.reverse();
    assert_eq!(
        (ids(&page.body), end),
        (last.iter().map(String::as_str).collect(), &Value::Null)
    );
    let beyond = query(&owner, &list, json!({"at": 100})).await;
    assert!(ids(beyond.is(200)).is_empty());
    query(&owner, &list, json!({"at": -1}))
        .await
        .refuses(422, "validation");
    query(&owner, &list, json!({"at": 1, "as_of": 3}))
        .await
        .refuses(422, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_has_the_columns_and_choices_that_there_were() {
    let (_app, owner, workspace, list) = ground().await;
    let choices = json!({"choices": [{"name": "Open"}, {"name": "Sold"}]});
    let column = json!({"key": "Status", "type": "single_select", "options": choices});
    owner.post(&format!("{list}/columns"), column).await.is(201);
    let item = owner
        .item(&list, json!({"Price": 1, "Status": "Open"}))
        .await;
    let path = format!("{list}/items/{item}");
    owner
        .patch(&path, json!({"values": {"Status": "Sold"}}))
        .await
        .is(200);
    let seq = owner.seq(&workspace).await;
    let renamed = json!({"options": {"choices": [{"name": "Offered", "was": "Open"}, {"name": "Gone", "was": "Sold"}]}});
    owner
        .patch(&format!("{list}/columns/Status"), renamed)
        .await
        .is(200);
    owner
        .patch(&path, json!({"values": {"Status": "Offered", "Price": 2}}))
        .await
        .is(200);
    owner
        .delete(&format!("{list}/columns/Status"))
        .await
        .is(204);
    owner
        .post(
            &format!("{list}/columns"),
            json!({"key": "Status", "type": "text"}),
        )
        .await
        .is(201);
    owner
        .patch(&path, json!({"values": {"Status": "text now"}}))
        .await
        .is(200);
    let at =
        async |seq: i64| owner.get(&format!("{path}?as_of={seq}")).await.is(200)["values"].clone();
    assert_eq!(at(seq - 1).await, json!({"Price": 1, "Status": "Open"}));
    assert_eq!(at(seq).await, json!({"Price": 1, "Status": "Sold"}));
    assert_eq!(at(seq + 1).await, json!({"Price": 1, "Status": "Gone"}));
    assert_eq!(at(seq + 2).await, json!({"Price": 2, "Status": "Offered"}));
    assert_eq!(at(seq + 3).await, json!({"Price": 2}));
    assert_eq!(at(seq + 5).await, json!({"Price": 2, "Status": "text now"}));
    let filter = json!({"column": "Status", "op": "eq", "value": "Sold"});
    let found = query(&owner, &list, json!({"as_of": seq, "filter": filter})).await;
    assert_eq!(ids(found.is(200)), [&item]);
    let page = query(&owner, &list, json!({"as_of": 2})).await;
    page.is(200);
    query(&owner, &list, json!({"as_of": 1}))
        .await
        .refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_brought_back_by_one_change_that_can_be_undone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let (homes, contacts) = owner.linked_lists(&workspace, &[("Price", "number")]).await;
    let ann = owner.item(&contacts, json!({"Name": "Ann"})).await;
    let bob = owner.item(&contacts, json!({"Name": "Bob"})).await;
    let one = owner
        .item(&homes, json!({"Price": 1, "Owners": [ann, bob]}))
        .await;
    let two = owner.item(&homes, json!({"Price": 2})).await;
    let seq = owner.seq(&workspace).await;
    let state = async |list: &str| {
        let page = owner.get(&format!("{list}/items")).await.is(200)["data"].clone();
        let items = page.as_array().unwrap().iter();
        items
            .map(|item| (item["id"].clone(), item["values"].clone()))
            .collect::<Vec<_>>()
    };
    let before = (state(&homes).await, state(&contacts).await);
    owner
        .patch(
            &format!("{homes}/items/{one}"),
            json!({"values": {"Price": 9, "Owners": [bob]}}),
        )
        .await
        .is(200);
    owner.delete(&format!("{homes}/items/{two}")).await.is(204);
    owner
        .item(&homes, json!({"Price": 3, "Owners": [ann]}))
        .await;
    let after = (state(&homes).await, state(&contacts).await);
    let linked = async |seq: Option<i64>, to: &str| {
        let filter = json!({"column": "Owners", "op": "linked_to", "value": to});
        let mut body = json!({"filter": filter});
        if let Some(seq) = seq {
            body["as_of"] = json!(seq);
        }
        let page = query(&owner, &homes, body).await;
        ids(page.is(200))
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_ne!(linked(None, &ann).await, std::slice::from_ref(&one));
    assert_eq!(linked(Some(seq), &ann).await, std::slice::from_ref(&one));
    assert_eq!(linked(Some(seq), &bob).await, std::slice::from_ref(&one));
    assert!(linked(Some(seq - 2), &bob).await.is_empty());

    let restore = format!("{homes}/restore-to");
    let restored = owner.post(&restore, json!({"seq": seq})).await;
    assert_eq!(restored.is(200)["count"], 3);
    assert_eq!(restored.body["seq"], seq + 4);
    assert_eq!((state(&homes).await, state(&contacts).await), before);
    let nothing = owner.post(&restore, json!({"seq": seq})).await;
    assert_eq!(nothing.is(409)["errors"][0]["code"], "nothing_to_change");
    owner.undo(&workspace).await;
    assert_eq!((state(&homes).await, state(&contacts).await), after);
    owner.redo(&workspace).await;
    assert_eq!((state(&homes).await, state(&contacts).await), before);
    owner
        .post(&restore, json!({"seq": 2}))
        .await
        .refuses(422, "validation");
    owner.verified(&workspace).await;
}

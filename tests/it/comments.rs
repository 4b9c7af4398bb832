//! Comments on items: who says and unsays what, who hears of it, and what stays of it.

use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, ground, last};
use crate::support::socket::Socket;

/// An item in a workspace with a commenter and a viewer; the item's path.
struct Ground {
    app: TestApp,
    owner: Person,
    commenter: Person,
    viewer: Person,
    workspace: String,
    item: String,
}

async fn item() -> Ground {
    let (app, owner, workspace, list) = ground().await;
    let (commenter, viewer) = (app.person("commenter").await, app.person("viewer").await);
    owner.bring(&workspace, &commenter, "commenter").await;
    owner.bring(&workspace, &viewer, "viewer").await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    Ground {
        item: format!("{list}/items/{item}"),
        app,
        owner,
        commenter,
        viewer,
        workspace,
    }
}

impl Ground {
    fn comments(&self) -> String {
        format!("{}/comments", self.item)
    }

    /// A comment of the commenter's; its path.
    async fn comment(&self, body: &str) -> String {
        let made = self
            .commenter
            .post(&self.comments(), json!({"body": body}))
            .await;
        format!(
            "{}/{}",
            self.comments(),
            made.is(201)["id"].as_str().unwrap()
        )
    }
}

fn bodies(page: &Value) -> Vec<&str> {
    let comments = page["data"].as_array().unwrap().iter();
    comments
        .map(|comment| comment["body"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commenters_say_and_unsay_their_own_and_admins_unsay_any() {
    let it = item().await;
    it.viewer
        .post(&it.comments(), json!({"body": "No"}))
        .await
        .refuses(403, "forbidden");
    let admin = it.app.person("admin").await;
    it.owner.bring(&it.workspace, &admin, "admin").await;
    let path = it.comment("First").await;
    assert_eq!(it.viewer.get(&path).await.is(200)["body"], "First");
    for person in [&admin, &it.owner] {
        person
            .patch(&path, json!({"body": "Forged"}))
            .await
            .refuses(403, "forbidden");
    }
    let other = it.app.person("other").await;
    it.owner.bring(&it.workspace, &other, "editor").await;
    other.delete(&path).await.refuses(403, "forbidden");
    let edited = it.commenter.patch(&path, json!({"body": "Second"})).await;
    assert_eq!(
        (&edited.is(200)["body"], &edited.body["version"]),
        (&json!("Second"), &json!(2))
    );
    admin.delete(&path).await.is(204);
    it.commenter.get(&path).await.refuses(410, "gone");
    it.commenter
        .patch(&path, json!({"body": "Third"}))
        .await
        .refuses(410, "gone");
    let own = it.comment("Mine").await;
    it.commenter.delete(&own).await.is(204);
    assert_eq!(
        it.viewer.get(&it.comments()).await.is(200)["data"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_said_is_named_by_path() {
    let it = item().await;
    let stranger = it.app.person("stranger").await;
    for (body, path, code) in [
        (json!({"body": " "}), "/body", "empty"),
        (json!({"body": "x".repeat(10_001)}), "/body", "too_long"),
        (json!({"body": "a\u{0}"}), "/body", "bad_text"),
        (
            json!({"body": "Hi", "mentions": [it.owner.id, stranger.id]}),
            "/mentions/1",
            "not_a_member",
        ),
        (json!({"body": "Hi", "more": 1}), "", "malformed"),
    ] {
        let refused = it.commenter.post(&it.comments(), body).await;
        refused.refuses(422, "validation");
        let error = &refused.body["errors"][0];
        assert_eq!(
            (&error["path"], &error["code"]),
            (&json!(path), &json!(code))
        );
    }
    let longest = json!({"body": "ä".repeat(10_000), "mentions": [it.owner.id, it.owner.id]});
    let said = it.commenter.post(&it.comments(), longest).await;
    assert_eq!(said.is(201)["mentions"], json!([it.owner.id]));
    let nowhere = it
        .item
        .replace(&last(&it.item), "01900000-0000-7000-8000-000000000000");
    let body = json!({"body": "Hi"});
    it.commenter
        .post(&format!("{nowhere}/comments"), body)
        .await
        .refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_live_and_stand_in_the_items_history_and_the_audit_log() {
    let it = item().await;
    let mut socket = Socket::open(&it.app, &it.viewer).await;
    socket.follow(&it.workspace, None).await;
    let path = it.comment("First").await;
    it.commenter
        .patch(&path, json!({"body": "Second"}))
        .await
        .is(200);
    it.commenter.delete(&path).await.is(204);
    socket
        .reach(&it.workspace, it.owner.seq(&it.workspace).await)
        .await;
    let said: Vec<(&Value, &Value)> = socket
        .events
        .iter()
        .map(|event| (&event["kind"], &event["data"]["comment"]["id"]))
        .collect();
    let id = json!(last(&path));
    let kinds = ["comment.created", "comment.updated", "comment.deleted"].map(|kind| json!(kind));
    assert_eq!(
        said,
        kinds.iter().map(|kind| (kind, &id)).collect::<Vec<_>>()
    );
    assert_eq!(socket.events[1]["data"]["was"]["body"], "First");

    let history = it.viewer.get(&format!("{}/history", it.item)).await;
    let entries = history.is(200)["data"].as_array().unwrap();
    let found: Vec<&Value> = entries.iter().map(|entry| &entry["kind"]).collect();
    let newest_first = [
        "comment.deleted",
        "comment.updated",
        "comment.created",
        "items.changed",
    ];
    assert_eq!(found, newest_first);
    assert_eq!(entries[2]["change"]["comment"]["body"], "First");
    let of_item = format!("{}/audit?item={}", it.workspace, last(&it.item));
    assert_eq!(
        it.owner.get(&of_item).await.is(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    it.owner.verified(&it.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_other_lists_hears_no_comment_and_has_no_hole() {
    let it = item().await;
    let elsewhere = it.owner.list(&it.workspace, &[("Price", "number")]).await;
    let mut socket = Socket::open(&it.app, &it.viewer).await;
    let id = last(&it.workspace);
    socket
        .send(json!({"type": "subscribe", "id": 1, "workspace": id, "lists": [last(&elsewhere)]}))
        .await;
    socket.next("subscribed").await;
    it.comment("First").await;
    it.owner.item(&elsewhere, json!({"Price": 1})).await;
    socket
        .reach(&it.workspace, it.owner.seq(&it.workspace).await)
        .await;
    assert_eq!(socket.events.len(), 1);
    assert_eq!(socket.events[0]["kind"], "items.changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_go_to_the_trash_with_their_item_and_come_back_with_it() {
    let it = item().await;
    let path = it.comment("First").await;
    it.owner.delete(&it.item).await.is(204);
    it.viewer.get(&it.comments()).await.refuses(410, "gone");
    it.viewer.get(&path).await.refuses(410, "gone");
    it.commenter
        .post(&it.comments(), json!({"body": "No"}))
        .await
        .refuses(410, "gone");
    it.commenter.delete(&path).await.refuses(410, "gone");
    it.owner
        .post(&format!("{}/restore", it.item), json!({}))
        .await
        .is(200);
    assert_eq!(
        bodies(it.viewer.get(&it.comments()).await.is(200)),
        ["First"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_paged_in_the_order_in_which_they_were_written() {
    let it = item().await;
    let said = ["One", "Two", "Three", "Four", "Five"];
    for body in said {
        it.comment(body).await;
    }
    let restarted = it.app.again();
    let viewer = it.viewer.at(&restarted);
    let (mut read, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = viewer
            .get(&format!("{}?limit=2{cursor}", it.comments()))
            .await;
        read.extend(bodies(page.is(200)).into_iter().map(str::to_owned));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(read, said);
    let other = it
        .owner
        .item(it.item.rsplit_once("/items/").unwrap().0, json!({}))
        .await;
    let other = it.item.replace(&last(&it.item), &other);
    // A cursor is good for its own question alone.
    let first = viewer.get(&format!("{}?limit=2", it.comments())).await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let crossed = format!("{other}/comments?cursor={cursor}");
    viewer.get(&crossed).await.refuses(400, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_said_once_by_key() {
    let it = item().await;
    let body = json!({"body": "Once"});
    let path = it.comments();
    let copies = (0..20).map(|_| it.commenter.keyed(&path, "said-1", body.clone()));
    let answers = futures::future::join_all(copies).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.is(201) == answers[0].is(201))
    );
    assert_eq!(
        bodies(it.viewer.get(&it.comments()).await.is(200)),
        ["Once"]
    );
    let other = json!({"body": "Another"});
    it.commenter
        .keyed(&it.comments(), "said-1", other)
        .await
        .refuses(422, "idempotency_mismatch");
}

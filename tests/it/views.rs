//! Saved views: who sees and changes them, over HTTP, in the log and on sockets; what they may be set
//! to; and what becomes of them when columns go.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, last};
use crate::support::socket::Socket;

/// A workspace with a list, and members of three roles beside its owner.
struct Ground {
    app: TestApp,
    owner: Person,
    admin: Person,
    editor: Person,
    viewer: Person,
    workspace: String,
    list: String,
}

async fn ground() -> Ground {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Price", "number"), ("Name", "text")])
        .await;
    let mut others = Vec::new();
    for role in ["admin", "editor", "viewer"] {
        let person = app.person(role).await;
        owner.bring(&workspace, &person, role).await;
        others.push(person);
    }
    let [admin, editor, viewer] = <[Person; 3]>::try_from(others).ok().unwrap();
    Ground {
        app,
        owner,
        admin,
        editor,
        viewer,
        workspace,
        list,
    }
}

impl Ground {
    /// A view of the editor's; its path.
    async fn view(&self, shared: bool) -> String {
        let view = json!({"name": "Secret plan", "kind": "grid", "shared": shared,
            "config": {"sort": "-Price", "columns": ["Price"]}});
        let made = self
            .editor
            .post(&format!("{}/views", self.list), view)
            .await;
        format!(
            "{}/views/{}",
            self.list,
            made.is(201)["id"].as_str().unwrap()
        )
    }

    async fn socket(&self, person: &Person) -> Socket {
        let mut socket = Socket::open(&self.app, person).await;
        socket.follow(&self.workspace, None).await;
        socket
    }
}

fn kinds(socket: &Socket) -> Vec<&str> {
    let kinds = socket.events.iter().map(|event| event["kind"].as_str());
    kinds.map(Option::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_private_view_is_not_there_whatever_ones_role() {
    let it = ground().await;
    let view = it.view(false).await;
    for person in [&it.owner, &it.admin, &it.viewer] {
        person.get(&view).await.refuses(404, "not_found");
        let listed = person.get(&format!("{}/views", it.list)).await;
        assert_eq!(listed.is(200)["data"], json!([]));
    }
    for person in [&it.owner, &it.admin] {
        let patch = json!({"name": "Mine"});
        person.patch(&view, patch).await.refuses(404, "not_found");
        person.delete(&view).await.refuses(404, "not_found");
    }
    assert_eq!(it.editor.get(&view).await.is(200)["name"], "Secret plan");
    // Neither the audit log nor the feed says what is in it.
    for path in ["audit", "events"] {
        let log = it.owner.get(&format!("{}/{path}", it.workspace)).await;
        log.is(200);
        assert!(!log.text.contains("Secret plan"), "{path}: {}", log.text);
    }
    let feed = it.editor.get(&format!("{}/events", it.workspace)).await;
    assert!(feed.is(200).to_string().contains("Secret plan"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_views_events_reach_its_owners_sockets_alone_and_nobody_has_a_hole() {
    let it = ground().await;
    let mut own = it.socket(&it.editor).await;
    let mut admins = it.socket(&it.admin).await;
    let mut viewers = it.socket(&it.viewer).await;
    let begun = it.owner.seq(&it.workspace).await;

    let view = it.view(false).await;
    let named = json!({"name": "Another secret"});
    it.editor.patch(&view, named).await.is(200);
    // An edit that all see stands between.
    it.owner.item(&it.list, json!({"Price": 1})).await;
    it.editor.delete(&view).await.is(204);
    it.owner.item(&it.list, json!({"Price": 2})).await;
    let end = begun + 5;

    own.reach(&it.workspace, end).await;
    let seen = [
        "view.created",
        "view.updated",
        "items.changed",
        "view.deleted",
        "items.changed",
    ];
    assert_eq!(kinds(&own), seen);
    assert_eq!(own.events[1]["data"]["was"]["name"], "Secret plan");
    for socket in [&mut admins, &mut viewers] {
        // `Socket` holds every frame to follow the one before: the positions have no hole.
        socket.reach(&it.workspace, end).await;
        assert_eq!(kinds(socket), ["items.changed", "items.changed"]);
    }
    it.owner.verified(&it.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_gets_the_own_private_views_and_nobody_elses() {
    let it = ground().await;
    let mut positions = Vec::new();
    for person in [&it.editor, &it.admin] {
        let mut socket = Socket::open(&it.app, person).await;
        positions.push(socket.follow(&it.workspace, None).await);
    }
    it.view(false).await;
    let end = it.owner.seq(&it.workspace).await;
    it.owner.item(&it.list, json!({"Price": 1})).await;
    for (person, position, seen) in [
        (&it.editor, &positions[0], 2),
        (&it.admin, &positions[1], 1),
    ] {
        let since = json!({"seq": position["seq"], "mark": position["mark"],
            "audience": position["audience"]});
        let mut socket = Socket::open(&it.app, person).await;
        socket.follow(&it.workspace, Some(since)).await;
        socket.reach(&it.workspace, end + 1).await;
        assert_eq!(socket.events.len(), seen, "{:?}", kinds(&socket));
    }
    // What one may see is not what another may: a position is not handed on.
    let since = json!({"seq": positions[0]["seq"], "mark": positions[0]["mark"],
        "audience": positions[0]["audience"]});
    let mut socket = Socket::open(&it.app, &it.viewer).await;
    socket.follow(&it.workspace, Some(since)).await;
    assert_eq!(socket.next("reset").await["reason"], "changed_audience");
}

#[tokio::test(flavor = "multi_thread")]
async fn sharing_shows_a_view_from_then_on_and_hiding_it_says_no_more_than_that() {
    let it = ground().await;
    let view = it.view(false).await;
    let mut viewers = it.socket(&it.viewer).await;
    let share = json!({"name": "Open plan", "shared": true});
    it.editor.patch(&view, share).await.is(200);
    assert_eq!(it.viewer.get(&view).await.is(200)["name"], "Open plan");
    let hide = json!({"name": "Hidden plan", "shared": false});
    // An admin changes what others share, and hides it from nobody.
    it.admin
        .patch(&view, json!({"shared": false}))
        .await
        .refuses(403, "forbidden");
    it.editor.patch(&view, hide).await.is(200);
    it.viewer.get(&view).await.refuses(404, "not_found");
    viewers
        .reach(&it.workspace, it.owner.seq(&it.workspace).await)
        .await;
    assert_eq!(kinds(&viewers), ["view.updated", "view.unshared"]);
    let said = json!(viewers.events).to_string();
    assert_eq!(viewers.events[0]["data"]["view"]["name"], "Open plan");
    assert!(
        !said.contains("Secret plan") && !said.contains("Hidden plan"),
        "{said}"
    );
    assert_eq!(
        viewers.events[1]["data"]["view"]["id"],
        last(&view).as_str()
    );
    it.owner.verified(&it.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn editors_write_their_own_views_and_admins_the_shared_ones_too() {
    let it = ground().await;
    let other = it.app.person("other").await;
    it.owner.bring(&it.workspace, &other, "editor").await;
    let view = it.view(true).await;
    other
        .patch(&view, json!({"name": "No"}))
        .await
        .refuses(403, "forbidden");
    other.delete(&view).await.refuses(403, "forbidden");
    it.viewer
        .patch(&view, json!({"name": "No"}))
        .await
        .refuses(403, "forbidden");
    let changed = it.admin.patch(&view, json!({"name": "Yes"})).await;
    assert_eq!(changed.is(200)["name"], "Yes");
    assert_eq!(changed.body["owner_id"], it.editor.id.as_str());
    it.admin.delete(&view).await.is(204);
    it.editor.get(&view).await.refuses(410, "gone");
    // A stranger's list, and a view of another list, are not there.
    let elsewhere = it.owner.list(&it.workspace, &[("Price", "number")]).await;
    let view = it.view(true).await;
    let crossed = format!("{elsewhere}/views/{}", last(&view));
    it.owner.get(&crossed).await.refuses(404, "not_found");
    it.owner
        .patch(&crossed, json!({"name": "No"}))
        .await
        .refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_changed_at_the_version_that_was_meant_and_once_by_key() {
    let it = ground().await;
    let views = format!("{}/views", it.list);
    let body = json!({"name": "Map", "kind": "grid"});
    let first = it.editor.keyed(&views, "key-1", body.clone()).await;
    let again = it.editor.keyed(&views, "key-1", body).await;
    assert_eq!(first.is(201), again.is(201));
    assert_eq!(first.headers["etag"], "\"1\"");
    let path = format!("{views}/{}", first.body["id"].as_str().unwrap());
    assert!(first.headers["location"].to_str().unwrap().ends_with(&path));
    assert_eq!(
        it.editor.get(&views).await.is(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    it.editor.patch(&path, json!({"name": "Two"})).await.is(200);
    let patch = json!({"name": "Three"});
    let send = async |version: &str| {
        let path = format!("/api/v1{path}");
        let headers = [("if-match", version)];
        it.editor
            .send(Method::PATCH, &path, Some(&patch), &headers)
            .await
    };
    let stale = send("\"1\"").await;
    stale.refuses(412, "precondition_failed");
    assert_eq!(stale.body["current"]["name"], "Two");
    assert_eq!(send("\"2\"").await.is(200)["version"], 3);
    let taken = json!({"id": first.body["id"], "name": "Again", "kind": "grid"});
    it.editor.post(&views, taken).await.refuses(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_can_not_be_set_to_is_named_by_path() {
    let it = ground().await;
    let views = format!("{}/views", it.list);
    for (body, path, code) in [
        (json!({"name": "", "kind": "grid"}), "/name", "bad_name"),
        (
            json!({"name": "V", "kind": "table"}),
            "/kind",
            "unknown_kind",
        ),
        (
            json!({"name": "V", "kind": "kanban"}),
            "/config/group_by",
            "required",
        ),
        (
            json!({"name": "V", "kind": "calendar", "config": {"date": "Price"}}),
            "/config/date",
            "bad_type",
        ),
        (
            json!({"name": "V", "kind": "grid", "config":
                {"filter": {"column": "Nope", "op": "eq", "value": 1}}}),
            "/config/filter/column",
            "unknown_column",
        ),
        (
            json!({"name": "V", "kind": "grid", "more": 1}),
            "",
            "malformed",
        ),
    ] {
        let refused = it.editor.post(&views, body).await;
        refused.refuses(422, "validation");
        let error = &refused.body["errors"][0];
        assert_eq!(
            (&error["path"], &error["code"]),
            (&json!(path), &json!(code))
        );
    }
    let list = it.editor.get(&views).await;
    assert_eq!(list.is(200)["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_column_leaves_is_flagged_when_the_view_is_read_by_any_server() {
    let it = ground().await;
    let view = it.view(true).await;
    it.owner
        .delete(&format!("{}/columns/Price", it.list))
        .await
        .is(204);
    let restarted = it.app.again();
    for person in [it.viewer.clone(), it.viewer.at(&restarted)] {
        let read = person.get(&view).await;
        let paths: Vec<&Value> = read.is(200)["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| &problem["path"])
            .collect();
        assert_eq!(paths, ["/config/columns/0", "/config/sort"]);
        assert_eq!(read.body["config"]["sort"], "-Price");
    }
    // It can still be renamed, and shared anew.
    it.editor
        .patch(&view, json!({"name": "Renamed"}))
        .await
        .is(200);
}

//! Who may call what: every route of the table, tried by everybody. A route without a row here
//! fails.

use estatebase::domain::roles::Action;
use estatebase::http::routes::{Needs, table};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Person, TestApp, last};
use crate::support::socket::Socket;

/// What a route answers to those who may call it, and the lowest of them.
struct Row {
    lowest: &'static str,
    status: u16,
    body: Option<Value>,
}

fn row(lowest: &'static str, status: u16) -> Option<Row> {
    Some(Row {
        lowest,
        status,
        body: None,
    })
}

fn with(lowest: &'static str, status: u16, body: Value) -> Option<Row> {
    Some(Row {
        lowest,
        status,
        body: Some(body),
    })
}

fn expected(method: &str, path: &str, place: &Place) -> Option<Row> {
    let path = path
        .strip_prefix("/workspaces/{workspace_id}")
        .map_or(path, |rest| if rest.is_empty() { "W" } else { rest });
    match (method, path) {
        ("GET", "/openapi.json" | "/asyncapi.json") => row("anybody", 200),
        ("GET", "/me" | "/workspaces") => row("person", 200),
        ("PATCH", "/me") => with("person", 200, json!({"display_name": "Name"})),
        ("POST", "/workspaces") => with("person", 201, json!({"name": "Another"})),
        ("POST", "/invites/accept") => with("person", 404, json!({"token": "esi_unknown"})),
        ("GET", "W") => row("viewer", 200),
        ("PATCH", "W") => with("admin", 200, json!({"name": "New name"})),
        ("DELETE", "W") => row("owner", 204),
        ("POST", "/restore") => row("owner", 409),
        ("GET", "/members") => row("viewer", 200),
        ("PATCH", "/members/{user_id}") => with("admin", 200, json!({"role": "commenter"})),
        ("DELETE", "/members/{user_id}") => row("admin", 204),
        ("GET", "/invites") => row("admin", 200),
        ("POST", "/invites") => with(
            "admin",
            201,
            json!({"email": "new@example.com", "role": "viewer"}),
        ),
        ("DELETE", "/invites/{invite_id}") => row("admin", 204),
        ("GET", "/lists" | "/trash") => row("viewer", 200),
        ("POST", "/lists") => with("admin", 201, json!({"name": "List"})),
        ("GET", "/lists/{list_id}") => row("viewer", 200),
        ("PATCH", "/lists/{list_id}") => with("admin", 200, json!({"name": "Renamed"})),
        ("DELETE", "/lists/{list_id}") => row("admin", 204),
        ("POST", "/lists/{list_id}/restore") => row("admin", 409),
        ("GET", "/lists/{list_id}/columns" | "/lists/{list_id}/columns/{key}") => {
            row("viewer", 200)
        }
        ("POST", "/lists/{list_id}/columns") => {
            with("admin", 201, json!({"key": "More", "type": "text"}))
        }
        ("PATCH", "/lists/{list_id}/columns/{key}") => with("admin", 200, json!({"name": "Named"})),
        ("DELETE", "/lists/{list_id}/columns/{key}") => row("admin", 204),
        ("POST", "/lists/{list_id}/columns/{key}/preview") => {
            with("admin", 200, json!({"type": "text"}))
        }
        ("POST", "/lists/{list_id}/columns/{key}/restore") => row("admin", 409),
        ("GET", "/lists/{list_id}/items" | "/lists/{list_id}/trash") => row("viewer", 200),
        ("POST", "/lists/{list_id}/items/query") => with("viewer", 200, json!({})),
        ("POST", "/lists/{list_id}/items/aggregate") => {
            with("viewer", 200, json!({"metrics": [{"op": "count"}]}))
        }
        ("POST", "/lists/{list_id}/items") => with("editor", 201, json!({"values": {"Price": 1}})),
        ("PATCH", "/lists/{list_id}/items") => {
            let items = json!([{"id": place.item, "values": {"Price": 2}}]);
            with("editor", 200, json!({"items": items}))
        }
        ("DELETE", "/lists/{list_id}/items") | ("POST", "/lists/{list_id}/items/delete") => {
            with("editor", 204, json!({"ids": [place.item]}))
        }
        ("POST", "/lists/{list_id}/duplicates") => {
            with("viewer", 200, json!({"rule": [{"columns": ["Price"]}]}))
        }
        // An item is not merged with itself.
        ("POST", "/lists/{list_id}/merge") => {
            let merge = json!({"keep": place.item, "merge": [place.item]});
            with("editor", 422, merge)
        }
        (
            "GET",
            "/lists/{list_id}/items/{item_id}" | "/lists/{list_id}/items/{item_id}/history",
        ) => row("viewer", 200),
        ("PATCH", "/lists/{list_id}/items/{item_id}") => {
            with("editor", 200, json!({"values": {"Price": 3}}))
        }
        ("DELETE", "/lists/{list_id}/items/{item_id}") => row("editor", 204),
        ("POST", "/lists/{list_id}/items/{item_id}/restore") => row("editor", 409),
        ("GET", "/lists/{list_id}/views" | "/lists/{list_id}/views/{view_id}") => {
            row("viewer", 200)
        }
        ("POST", "/lists/{list_id}/views") => {
            with("editor", 201, json!({"name": "View", "kind": "grid"}))
        }
        // The owner's, shared: an editor may not.
        ("PATCH", "/lists/{list_id}/views/{view_id}") => {
            with("admin", 200, json!({"name": "Named"}))
        }
        ("DELETE", "/lists/{list_id}/views/{view_id}") => row("admin", 204),
        (
            "GET",
            "/lists/{list_id}/items/{item_id}/comments"
            | "/lists/{list_id}/items/{item_id}/comments/{comment_id}",
        ) => row("viewer", 200),
        ("POST", "/lists/{list_id}/items/{item_id}/comments") => {
            with("commenter", 201, json!({"body": "Hello"}))
        }
        // The owner's: nobody else changes it.
        ("PATCH", "/lists/{list_id}/items/{item_id}/comments/{comment_id}") => {
            with("owner", 200, json!({"body": "Other"}))
        }
        ("DELETE", "/lists/{list_id}/items/{item_id}/comments/{comment_id}") => row("admin", 204),
        ("GET", "/lists/{list_id}/views/{view_id}/form-links") => row("admin", 200),
        ("POST", "/lists/{list_id}/views/{view_id}/form-links") => row("admin", 201),
        ("DELETE", "/lists/{list_id}/views/{view_id}/form-links/{link_id}") => row("admin", 204),
        ("GET", "/forms/{token}") => row("anybody", 200),
        ("POST", "/forms/{token}") => with("anybody", 201, json!({"values": {"Price": 1}})),
        ("GET", "/lists/{list_id}/items/{item_id}/links/{column}") => row("viewer", 200),
        ("POST" | "PUT", "/lists/{list_id}/items/{item_id}/links/{column}") => {
            with("editor", 200, json!({"ids": [place.item]}))
        }
        ("DELETE", "/lists/{list_id}/items/{item_id}/links/{column}") => {
            with("editor", 204, json!({"ids": [place.item]}))
        }
        // No body: refused for its type, behind the door.
        ("POST", "/lists/{list_id}/imports") => row("editor", 422),
        ("POST", "/imports") => row("admin", 422),
        ("GET", "/jobs" | "/events") => row("viewer", 200),
        // Without words there is nothing to look for.
        ("GET", "/search") => row("viewer", 422),
        ("GET", "/jobs/{job_id}" | "/jobs/{job_id}/errors") => row("viewer", 404),
        ("POST", "/jobs/{job_id}/run") => row("editor", 404),
        ("GET", "/jobs/{job_id}/result") => row("editor", 404),
        ("POST", "/lists/{list_id}/exports") => with("editor", 202, json!({"format": "csv"})),
        ("POST", "/jobs/{job_id}/cancel") => row("editor", 404),
        ("POST", "/jobs/{job_id}/revert") => row("editor", 404),
        ("POST", "/undo" | "/redo") => with("commenter", 404, json!({"seq": 999_999})),
        ("POST", "/lists/{list_id}/restore-to") => with("editor", 422, json!({"seq": 999_999})),
        ("GET", "/audit" | "/audit/verify") => row("admin", 200),
        _ => None,
    }
}

const ROLES: [&str; 5] = ["viewer", "commenter", "editor", "admin", "owner"];

/// Fresh things for one call.
struct Place {
    workspace: String,
    list: String,
    item: String,
    invite: String,
    view: String,
    comment: String,
    link: String,
    token: String,
    target: String,
}

impl Place {
    async fn new(owner: &Person, workspace: &str, target: &Person) -> Place {
        let list = owner.list(workspace, &[("Price", "number")]).await;
        let link = json!({"key": "Near", "type": "link", "options": {"list_id": last(&list)}});
        let columns = format!("{list}/columns");
        owner.post(&columns, link).await.is(201);
        let item = owner.item(&list, json!({"Price": 1})).await;
        let invite = owner
            .post(
                &format!("{workspace}/invites"),
                json!({"email": "x@example.com", "role": "viewer"}),
            )
            .await;
        let view = json!({"name": "Form", "kind": "form", "shared": true,
            "config": {"columns": ["Price"]}});
        let view = owner.post(&format!("{list}/views"), view).await;
        let comments = format!("{list}/items/{item}/comments");
        let comment = owner.post(&comments, json!({"body": "Hello"})).await;
        let links = format!(
            "{list}/views/{}/form-links",
            view.is(201)["id"].as_str().unwrap()
        );
        let link = owner.post(&links, json!({})).await;
        let members = owner.get(&format!("{workspace}/members")).await;
        let members = members.is(200)["data"].as_array().unwrap();
        if !members.iter().any(|member| member["user_id"] == target.id) {
            owner.bring(workspace, target, "viewer").await;
        }
        Place {
            workspace: last(workspace),
            list: last(&list),
            item,
            invite: invite.is(201)["id"].as_str().unwrap().to_owned(),
            view: view.is(201)["id"].as_str().unwrap().to_owned(),
            comment: comment.is(201)["id"].as_str().unwrap().to_owned(),
            link: link.is(201)["id"].as_str().unwrap().to_owned(),
            token: link.body["token"].as_str().unwrap().to_owned(),
            target: target.id.clone(),
        }
    }

    fn fill(&self, path: &str) -> String {
        path.replace("{workspace_id}", &self.workspace)
            .replace("{list_id}", &self.list)
            .replace("{item_id}", &self.item)
            .replace("{invite_id}", &self.invite)
            .replace("{view_id}", &self.view)
            .replace("{link_id}", &self.link)
            .replace("{token}", &self.token)
            .replace("{comment_id}", &self.comment)
            .replace("{user_id}", &self.target)
            .replace("{key}", "Price")
            .replace("{column}", "Near")
            .replace("{job_id}", "01900000-0000-7000-8000-000000000000")
    }
}

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap()
}

/// Everybody there is: by name, with the role they have (`None`: a stranger).
async fn cast(
    app: &TestApp,
    owner: &Person,
    workspace: &str,
) -> Vec<(Option<&'static str>, Person)> {
    let mut cast = Vec::new();
    for role in ["viewer", "commenter", "editor", "admin"] {
        let person = app.person(role).await;
        owner.bring(workspace, &person, role).await;
        cast.push((Some(role), person));
    }
    let removed = app.person("removed").await;
    owner.bring(workspace, &removed, "admin").await;
    owner
        .delete(&format!("{workspace}/members/{}", removed.id))
        .await
        .is(204);
    cast.push((None, removed));
    cast.push((None, app.person("outsider").await));
    cast.push((Some("owner"), owner.clone()));
    cast
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_everybody_as_their_role_allows() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let target = app.person("target").await;
    let workspace = owner.workspace().await;
    let cast = cast(&app, &owner, &workspace).await;
    let anonymous = Person::nobody(&app);
    let mut place = Place::new(&owner, &workspace, &target).await;
    for route in table() {
        let name = format!("{} {}", route.method, route.path);
        let row = expected(route.method.as_str(), route.path, &place);
        let row = row.unwrap_or_else(|| panic!("{name} has no row in the matrix"));
        let path = format!("/api/v1{}", place.fill(route.path));
        let body = row.body.as_ref();
        let unknown = anonymous
            .send(route.method.as_str().parse().unwrap(), &path, body, &[])
            .await;
        let status = if row.lowest == "anybody" {
            row.status
        } else {
            401
        };
        assert_eq!(
            unknown.status.as_u16(),
            status,
            "{name} by a stranger: {}",
            unknown.text
        );
        for (role, person) in &cast {
            let row = expected(route.method.as_str(), route.path, &place).unwrap();
            let path = format!("/api/v1{}", place.fill(route.path));
            let method: Method = route.method.as_str().parse().unwrap();
            let answer = person.send(method, &path, row.body.as_ref(), &[]).await;
            let status = match (row.lowest, role) {
                ("anybody" | "person", _) => row.status,
                (_, None) => 404,
                (lowest, Some(role)) if rank(role) < rank(lowest) => 403,
                _ => row.status,
            };
            assert_eq!(
                answer.status.as_u16(),
                status,
                "{name} by {role:?}: {}",
                answer.text
            );
            if route.method != "GET" && answer.status.is_success() {
                if route.path == "/workspaces/{workspace_id}" && route.method == "DELETE" {
                    owner
                        .post(&format!("{workspace}/restore"), json!({}))
                        .await
                        .is(200);
                }
                place = Place::new(&owner, &workspace, &target).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_in_the_trash_is_gone_for_its_members_whatever_their_role() {
    let app = TestApp::new().await;
    let (owner, viewer) = (app.person("owner").await, app.person("viewer").await);
    let outsider = app.person("outsider").await;
    let workspace = owner.workspace().await;
    owner.bring(&workspace, &viewer, "viewer").await;
    let place = Place::new(&owner, &workspace, &app.person("target").await).await;
    owner.delete(&workspace).await.is(204);
    for route in table() {
        let Needs::Member(action) = route.needs else {
            continue;
        };
        let name = format!("{} {}", route.method, route.path);
        let row = expected(route.method.as_str(), route.path, &place).unwrap();
        let path = format!("/api/v1{}", place.fill(route.path));
        let ask = async |person: &Person| {
            let method: Method = route.method.as_str().parse().unwrap();
            person.send(method, &path, row.body.as_ref(), &[]).await
        };
        ask(&outsider).await.refuses(404, "not_found");
        // What an owner may do is about the trash itself: there the role counts.
        if action == Action::Own {
            ask(&viewer).await.refuses(403, "forbidden");
            continue;
        }
        for person in [&viewer, &owner] {
            let answer = ask(person).await;
            assert_eq!(answer.status, 410, "{name}: {}", answer.text);
        }
    }
    let restore = format!("{workspace}/restore");
    owner.post(&restore, json!({})).await.is(200);
    viewer.get(&workspace).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_workspace_is_not_there() {
    let app = TestApp::new().await;
    let (one, other) = (app.person("one").await, app.person("other").await);
    let (own, foreign) = (one.workspace().await, other.workspace().await);
    let list = other.list(&foreign, &[("Price", "number")]).await;
    let item = other.item(&list, json!({"Price": 1})).await;
    let own_list = one.list(&own, &[("Price", "number")]).await;
    let crossed = format!("{own}/lists/{}", last(&list));
    one.get(&crossed).await.refuses(404, "not_found");
    one.get(&format!("{crossed}/items"))
        .await
        .refuses(404, "not_found");
    one.get(&format!("{own_list}/items/{item}"))
        .await
        .refuses(404, "not_found");
    one.get(&format!("{foreign}/events"))
        .await
        .refuses(404, "not_found");
    let patch = json!({"values": {"Price": 2}});
    one.patch(&format!("{own_list}/items/{item}"), patch.clone())
        .await
        .refuses(404, "not_found");
    one.patch(&format!("{list}/items/{item}"), patch)
        .await
        .refuses(404, "not_found");
    // One foreign id in a batch: the whole of it is refused, and nothing is done.
    let mine = one.item(&own_list, json!({"Price": 1})).await;
    let mixed = json!({"items": [{"id": mine, "values": {"Price": 9}}, {"id": item, "values": {"Price": 9}}]});
    one.patch(&format!("{own_list}/items"), mixed)
        .await
        .refuses(404, "not_found");
    assert_eq!(
        one.get(&format!("{own_list}/items/{mine}")).await.is(200)["values"]["Price"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_follows_only_where_its_person_belongs() {
    let app = TestApp::new().await;
    let (owner, outsider) = (app.person("owner").await, app.person("outsider").await);
    let workspace = owner.workspace().await;
    let mut socket = Socket::open(&app, &outsider).await;
    for id in [
        last(&workspace),
        "01900000-0000-7000-8000-000000000000".to_owned(),
    ] {
        socket
            .send(json!({"type": "subscribe", "id": 7, "workspace": id, "lists": "all"}))
            .await;
        let refused = socket.frame().await.unwrap();
        assert_eq!(refused["problem"]["code"], "not_found", "{refused}");
        assert_eq!(refused["id"], 7);
    }
}

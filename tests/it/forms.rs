//! Public forms: what a stranger with the link may do and see, and how the link is made and taken back.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, last};
use crate::support::socket::Socket;

/// A list of leads with a form, and its link.
struct Ground {
    app: TestApp,
    owner: Person,
    nobody: Person,
    workspace: String,
    list: String,
    /// The view's path.
    view: String,
    /// The link, as it was made.
    link: Value,
}

async fn on(app: TestApp) -> Ground {
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let columns = json!([
        {"key": "Name", "type": "text", "required": true},
        {"key": "Mail", "type": "email"},
        {"key": "Interest", "type": "single_select",
            "options": {"choices": [{"name": "Buying"}, {"name": "Selling"}]}},
        {"key": "Budget", "type": "number"},
        {"key": "Source", "type": "text", "default": "Web"},
    ]);
    let body = json!({"name": "Hidden leads", "columns": columns});
    let list = owner.post(&format!("{workspace}/lists"), body).await;
    let list = format!("{workspace}/lists/{}", list.is(201)["id"].as_str().unwrap());
    let config = json!({"columns": ["Name", "Interest", "Mail"], "required": ["Mail"],
        "title": "Talk to us", "description": "We call back"});
    let view = json!({"name": "Hidden name", "kind": "form", "shared": true, "config": config});
    let view = owner.post(&format!("{list}/views"), view).await;
    let view = format!("{list}/views/{}", view.is(201)["id"].as_str().unwrap());
    let link = owner.post(&format!("{view}/form-links"), json!({})).await;
    Ground {
        nobody: Person::nobody(&app),
        link: link.is(201).clone(),
        app,
        owner,
        workspace,
        list,
        view,
    }
}

impl Ground {
    fn path(&self) -> String {
        format!("/forms/{}", self.link["token"].as_str().unwrap())
    }

    fn link_path(&self) -> String {
        format!(
            "{}/form-links/{}",
            self.view,
            self.link["id"].as_str().unwrap()
        )
    }

    async fn send(&self, values: Value) -> Answer {
        self.nobody
            .post(&self.path(), json!({"values": values}))
            .await
    }

    async fn items(&self) -> Vec<Value> {
        let page = self.owner.get(&format!("{}/items", self.list)).await;
        page.is(200)["data"].as_array().unwrap().clone()
    }
}

async fn ground() -> Ground {
    on(TestApp::new().await).await
}

fn full() -> Value {
    json!({"Name": "Ada", "Mail": "ada@example.com", "Interest": "Buying"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sees_what_the_form_asks_for_and_nothing_of_its_workspace() {
    let it = ground().await;
    let form = it.nobody.get(&it.path()).await;
    let shown = form.is(200);
    assert_eq!(
        (&shown["title"], &shown["description"]),
        (&json!("Talk to us"), &json!("We call back"))
    );
    let asked: Vec<(&Value, &Value)> = shown["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (&column["key"], &column["required"]))
        .collect();
    let (yes, no) = (json!(true), json!(false));
    let keys = ["Name", "Interest", "Mail"].map(|key| json!(key));
    assert_eq!(asked, [(&keys[0], &yes), (&keys[1], &no), (&keys[2], &yes)]);
    assert_eq!(
        shown["columns"][1]["options"]["choices"][1]["name"],
        "Selling"
    );
    let sent = it.send(full()).await;
    sent.is(201);
    for answer in [&form, &sent] {
        assert!(!answer.headers.contains_key("x-workspace-seq"));
        for hidden in [
            "Hidden",
            "Budget",
            "Source",
            &last(&it.workspace),
            &last(&it.list),
            &it.owner.id,
        ] {
            assert!(!answer.text.contains(hidden), "{hidden} in {}", answer.text);
        }
    }
    for wrong in ["esf_unknown", "esf_"] {
        let path = format!("/forms/{wrong}");
        it.nobody.get(&path).await.refuses(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_form_brings_in_is_an_item_that_the_form_made() {
    let it = ground().await;
    let mut socket = Socket::open(&it.app, &it.owner).await;
    socket.follow(&it.workspace, None).await;
    let sent = it.send(full()).await;
    let items = it.items().await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["id"], sent.is(201)["id"]);
    assert_eq!(items[0]["values"]["Name"], "Ada");
    assert_eq!(items[0]["values"]["Source"], "Web");
    assert_eq!(items[0]["created_by"], it.link["id"]);
    socket
        .reach(&it.workspace, it.owner.seq(&it.workspace).await)
        .await;
    let event = &socket.events[0];
    assert_eq!(event["actor"], json!({"form": it.link["id"]}));
    let by_form = format!(
        "{}/audit?actor={}",
        it.workspace,
        it.link["id"].as_str().unwrap()
    );
    let audit = it.owner.get(&by_form).await;
    assert_eq!(
        audit.is(200)["data"][0]["actor"],
        json!({"form": it.link["id"]})
    );
    it.owner.verified(&it.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_takes_answers_to_its_own_questions_and_all_that_it_requires() {
    let it = ground().await;
    for (change, path, code) in [
        (json!({"Budget": 1}), "/values/Budget", "unknown_column"),
        (json!({"Source": "x"}), "/values/Source", "unknown_column"),
        (json!({"Nope": 1}), "/values/Nope", "unknown_column"),
        (json!({"Name": null}), "/values/Name", "required"),
        (json!({"Mail": ""}), "/values/Mail", "required"),
        (json!({"Mail": "nobody"}), "/values/Mail", "not_an_email"),
        (
            json!({"Interest": "Renting"}),
            "/values/Interest",
            "not_a_choice",
        ),
    ] {
        let mut values = full();
        values
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let refused = it.send(values).await;
        refused.refuses(422, "validation");
        let error = &refused.body["errors"][0];
        assert_eq!(
            (&error["path"], &error["code"]),
            (&json!(path), &json!(code)),
            "{}",
            refused.text
        );
    }
    for body in [
        json!({}),
        json!({"values": {}, "id": "01900000-0000-7000-8000-000000000000"}),
    ] {
        it.nobody
            .post(&it.path(), body)
            .await
            .refuses(422, "validation");
    }
    it.nobody
        .post(
            &format!("{}?typecast=true", it.path()),
            json!({"values": full()}),
        )
        .await
        .is(422);
    assert!(it.items().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_sent_again_by_its_key_is_one_item() {
    let it = ground().await;
    let body = json!({"values": full()});
    let path = it.path();
    let copies = (0..30).map(|_| it.nobody.keyed(&path, "sent-1", body.clone()));
    let answers = join_all(copies).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.is(201) == answers[0].is(201))
    );
    assert_eq!(it.items().await.len(), 1);
    let mut other = full();
    other["Name"] = json!("Bob");
    let other = json!({"values": other});
    it.nobody
        .keyed(&it.path(), "sent-1", other)
        .await
        .refuses(422, "idempotency_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_taken_back_or_whose_view_goes_lets_nothing_in_on_any_server() {
    let it = ground().await;
    let elsewhere = it.app.again();
    let there = it.nobody.at(&elsewhere);
    let body = json!({"values": full()});
    there.post(&it.path(), body.clone()).await.is(201);
    // Revoked while answers come in at both servers: nothing stands behind the revocation.
    let stream = async |person: &Person| {
        loop {
            let answer = person.post(&it.path(), body.clone()).await;
            // 503: the other server was faster again and again.
            if ![201, 503].contains(&answer.status.as_u16()) {
                answer.refuses(404, "not_found");
                return;
            }
        }
    };
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        it.owner.delete(&it.link_path()).await.is(204);
    };
    tokio::join!(stream(&it.nobody), stream(&there), revoke);
    it.nobody.get(&it.path()).await.refuses(404, "not_found");
    let log = it
        .owner
        .get(&format!("{}/audit?limit=1", it.workspace))
        .await;
    assert_eq!(log.is(200)["data"][0]["kind"], "view.link_revoked");
    it.owner.delete(&it.link_path()).await.refuses(410, "gone");

    let link = it
        .owner
        .post(&format!("{}/form-links", it.view), json!({}))
        .await;
    let path = format!("/forms/{}", link.is(201)["token"].as_str().unwrap());
    // A link made here a moment ago is good there.
    there.get(&path).await.is(200);
    it.owner.delete(&it.list).await.is(204);
    it.nobody.get(&path).await.refuses(410, "gone");
    it.nobody
        .post(&path, body.clone())
        .await
        .refuses(410, "gone");
    it.owner
        .post(&format!("{}/restore", it.list), json!({}))
        .await
        .is(200);
    it.nobody.get(&path).await.is(200);
    it.owner.delete(&it.view).await.is(204);
    for person in [&it.nobody, &there] {
        person.get(&path).await.refuses(404, "not_found");
        person
            .post(&path, body.clone())
            .await
            .refuses(404, "not_found");
    }
    it.owner.verified(&it.workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_follows_its_view_and_its_list_on_every_server() {
    let it = ground().await;
    let elsewhere = it.app.again();
    let there = it.nobody.at(&elsewhere);
    there.get(&it.path()).await.is(200);
    let config = json!({"columns": ["Name"]});
    it.owner
        .patch(&it.view, json!({"config": config}))
        .await
        .is(200);
    for person in [&it.nobody, &there] {
        let form = person.get(&it.path()).await;
        assert_eq!(form.is(200)["title"], "Hidden name");
        assert_eq!(form.body["columns"].as_array().unwrap().len(), 1);
        let body = json!({"values": full()});
        person
            .post(&it.path(), body)
            .await
            .refuses(422, "validation");
    }
    // A column that the list requires and the form does not ask for: nobody is told which.
    let column = json!({"key": "Secret", "type": "text", "required": true});
    it.owner
        .post(&format!("{}/columns", it.list), column)
        .await
        .is(201);
    let refused = it.send(json!({"Name": "Ada"})).await;
    refused.refuses(409, "conflict");
    assert!(!refused.text.contains("Secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_made_by_those_who_may_change_the_view_and_of_forms_alone() {
    let it = ground().await;
    let links = format!("{}/form-links", it.view);
    let editor = it.app.person("editor").await;
    it.owner.bring(&it.workspace, &editor, "editor").await;
    for answer in [
        editor.post(&links, json!({})).await,
        editor.get(&links).await,
    ] {
        answer.refuses(403, "forbidden");
    }
    editor
        .delete(&it.link_path())
        .await
        .refuses(403, "forbidden");
    let private = json!({"name": "Own", "kind": "form", "config": {"columns": ["Name"]}});
    let private = editor.post(&format!("{}/views", it.list), private).await;
    let private = format!(
        "{}/views/{}/form-links",
        it.list,
        private.is(201)["id"].as_str().unwrap()
    );
    let link = editor.post(&private, json!({})).await;
    let public = format!("/forms/{}", link.is(201)["token"].as_str().unwrap());
    it.nobody.get(&public).await.is(200);
    // Nobody else sees a private view: its form is open as long as its owner may write it.
    let member = format!("{}/members/{}", it.workspace, editor.id);
    for (role, status) in [("viewer", 404), ("editor", 200)] {
        it.owner.patch(&member, json!({"role": role})).await.is(200);
        it.nobody.get(&public).await.is(status);
        let sent = it
            .nobody
            .post(&public, json!({"values": {"Name": "Ada"}}))
            .await;
        sent.is(if status == 200 { 201 } else { 404 });
    }
    it.owner.get(&private).await.refuses(404, "not_found");
    it.owner
        .post(&private, json!({}))
        .await
        .refuses(404, "not_found");
    let grid = json!({"name": "Grid", "kind": "grid", "shared": true});
    let grid = it.owner.post(&format!("{}/views", it.list), grid).await;
    let grid = format!(
        "{}/views/{}/form-links",
        it.list,
        grid.is(201)["id"].as_str().unwrap()
    );
    it.owner
        .post(&grid, json!({}))
        .await
        .refuses(409, "conflict");
    let narrow = json!({"name": "Narrow", "kind": "form", "config": {"columns": ["Mail"]}});
    let narrow = it.owner.post(&format!("{}/views", it.list), narrow).await;
    let narrow = format!(
        "{}/views/{}/form-links",
        it.list,
        narrow.is(201)["id"].as_str().unwrap()
    );
    let refused = it.owner.post(&narrow, json!({})).await;
    refused.refuses(422, "validation");
    assert_eq!(refused.body["errors"][0]["path"], "/config/columns");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_links_token_is_stored_as_a_hash_and_the_same_key_shows_it_again() {
    let it = ground().await;
    let links = format!("{}/form-links", it.view);
    let first = it.owner.keyed(&links, "link-1", json!({})).await;
    let again = it.owner.keyed(&links, "link-1", json!({})).await;
    assert_eq!(first.is(201), again.is(201));
    let secret = first.body["token"].as_str().unwrap();
    assert_eq!(first.body["path"], format!("/api/v1/forms/{secret}"));
    let listed = it.owner.get(&links).await;
    assert_eq!(listed.is(200)["data"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(secret));
    it.app
        .db
        .never_stored(&["form_links", "ops", "event_payloads"], secret)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_can_not_flood_a_form() {
    let it = on(TestApp::limited().await).await;
    let body = json!({"values": full()});
    let path = it.path();
    let answers = join_all((0..40).map(|_| it.nobody.post(&path, body.clone()))).await;
    let (taken, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    // Some room comes back while a slow machine still sends.
    assert!((20..=30).contains(&taken.len()), "{}", taken.len());
    for answer in refused {
        answer.refuses(429, "rate_limited");
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert_eq!(it.items().await.len(), taken.len());
    // Another form of the same address is another matter.
    let link = it
        .owner
        .post(&format!("{}/form-links", it.view), json!({}))
        .await;
    let other = format!("/forms/{}", link.is(201)["token"].as_str().unwrap());
    it.nobody.post(&other, body).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_of_allowed_origins_alone_may_read_a_form() {
    let it = ground().await;
    let path = format!("/api/v1{}", it.path());
    let ask = async |origin: &str| {
        let headers = [("origin", origin)];
        it.nobody.send(Method::GET, &path, None, &headers).await
    };
    let allowed = ask("https://app.example.com").await;
    assert_eq!(
        allowed.headers["access-control-allow-origin"],
        "https://app.example.com"
    );
    let strange = ask("https://elsewhere.example.com").await;
    assert!(!strange.headers.contains_key("access-control-allow-origin"));
}

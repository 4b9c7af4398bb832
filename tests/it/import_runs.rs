//! Imports that a person looks at first: a dry run stores nothing and tells all, a file that must be
//! decided about waits, and either runs by its id.

use serde_json::{Value, json};

use crate::imports::{ended, fixtures};
use crate::support::app::{Answer, Person, TestApp};

async fn waiting(person: &Person, path: &str, bytes: &[u8]) -> Value {
    let job = person.upload(path, "", bytes.to_vec()).await;
    let job = job.is(202).clone();
    assert_eq!(job["state"], "needs_input", "{job}");
    job
}

async fn answer(person: &Person, workspace: &str, job: &Value, answers: &str) -> Answer {
    let id = job["id"].as_str().unwrap();
    let path = format!("{workspace}/jobs/{id}/run{answers}");
    person.post(&path, json!(null)).await
}

fn codes(questions: &Value) -> Vec<&str> {
    let questions = questions.as_array().unwrap().iter();
    questions.map(|one| one["code"].as_str().unwrap()).collect()
}

async fn count(person: &Person, list: &str) -> Value {
    let page = person.get(&format!("{list}/items?count=exact")).await;
    page.is(200)["count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_all_and_stores_nothing_and_the_same_plan_runs_by_its_id() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let columns = json!([
        {"key": "Name", "type": "text", "required": true}, {"key": "Beds", "type": "number"},
    ]);
    let body = json!({"name": "Homes", "columns": columns});
    let made = owner.post(&format!("{workspace}/lists"), body).await;
    let list = format!("{workspace}/lists/{}", made.is(201)["id"].as_str().unwrap());
    let file = b"name,beds,price\nOak,3,\"$1,500\"\nElm,many,$2\n,4,$3\nAsh,2,$4\n";

    // One column goes nowhere yet: that is a question, and the rest is tried out all the same.
    let path = format!("{list}/imports?dry_run=true");
    let job = waiting(&owner, &path, file).await;
    assert_eq!(codes(&job["questions"]), ["unmapped_column"]);
    assert_eq!(job["questions"][0]["path"], "/mapping/price");
    assert_eq!(job["plan"]["columns"][1]["key"], "Beds");
    assert_eq!(
        job["plan"]["columns"][0]["samples"],
        json!(["Oak", "Elm", "Ash"])
    );
    assert_eq!(job["plan"]["columns"][2]["key"], Value::Null);
    assert_eq!(
        (&job["counts"]["created"], &job["counts"]["failed"]),
        (&json!(2), &json!(2))
    );
    let id = job["id"].as_str().unwrap().to_owned();
    let errors = owner.get(&format!("{workspace}/jobs/{id}/errors")).await;
    let told = errors.is(200)["data"].as_array().unwrap().clone();
    let told: Vec<_> = told.iter().map(|one| (&one["row"], &one["code"])).collect();
    assert_eq!(
        told,
        [
            (&json!(2), &json!("not_a_number")),
            (&json!(3), &json!("required"))
        ]
    );
    assert_eq!(count(&owner, &list).await, 0);
    let unanswered = answer(&owner, &workspace, &job, "").await;
    assert_eq!(codes(&unanswered.is(422)["errors"]), ["unmapped_column"]);

    // An answer, tried out anew: the column will be made, and is not yet.
    let job = answer(
        &owner,
        &workspace,
        &job,
        "?create_columns=true&dry_run=true",
    )
    .await;
    let job = job.is(202).clone();
    assert_eq!(
        (&job["state"], &job["questions"]),
        (&json!("needs_input"), &json!([]))
    );
    assert_eq!(job["plan"]["columns"][2]["type"], "currency");
    assert_eq!(
        owner.get(&list).await.is(200)["columns"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    // The same plan by its id, once.
    let run = answer(&owner, &workspace, &job, "").await;
    let done = ended(&owner, &workspace, &run).await;
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!(done["id"], id.as_str());
    assert_eq!(done["counts"]["created"], 2);
    assert_eq!(done["counts"]["failed"], 2);
    assert_eq!(count(&owner, &list).await, 2);
    let errors = owner.get(&format!("{workspace}/jobs/{id}/errors")).await;
    assert_eq!(errors.is(200)["data"].as_array().unwrap().len(), 2);
    answer(&owner, &workspace, &job, "").await.is(409);
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_person_must_decide_about_waits_for_the_answer() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let path = format!("{workspace}/imports?list_name=Asked");
    let nested = br#"[{"name":"Oak","at":{"city":"Rye","zip":"10580"}}]"#;
    for (name, bytes, code, wrong, right, columns) in [
        (
            "days that may be months",
            b"day,n\n3/4/2026,1\n5/6/2026,2\n".to_vec(),
            "ambiguous_date_order",
            "?date_order=soon",
            "?date_order=dmy",
            2,
        ),
        (
            "objects in objects",
            nested.to_vec(),
            "nested_objects",
            "?nested=no",
            "?nested=flatten",
            3,
        ),
        (
            "a sheet without a header",
            std::fs::read(fixtures().join("messy-xlsx/calamine/any_sheets.xlsx")).unwrap(),
            "no_header",
            "?sheet=None",
            "",
            0,
        ),
    ] {
        if name == "days that may be months" {
            // A column made from the file keeps such days as text; one of dates has to know.
            let columns = [("day", "date"), ("n", "number")];
            let list = owner.list(&workspace, &columns).await;
            let job = waiting(&owner, &format!("{list}/imports"), &bytes).await;
            assert_eq!(codes(&job["questions"]), [code], "{name}");
            assert_eq!(job["plan"], Value::Null);
            answer(&owner, &workspace, &job, wrong).await.is(422);
            let run = answer(&owner, &workspace, &job, right).await;
            let done = ended(&owner, &workspace, &run).await;
            assert_eq!(done["counts"]["created"], 2, "{done}");
            let page = owner.get(&format!("{list}/items")).await;
            assert_eq!(page.is(200)["data"][0]["values"]["day"], "2026-04-03");
            continue;
        }
        let before = owner.get(&format!("{workspace}/lists")).await;
        let before = before.is(200)["data"].as_array().unwrap().len();
        let job = waiting(&owner, &path, &bytes).await;
        assert_eq!(codes(&job["questions"]), [code], "{name}");
        assert_eq!(job["list_id"], Value::Null, "{name}");
        answer(&owner, &workspace, &job, wrong).await.is(422);
        let lists = owner.get(&format!("{workspace}/lists")).await;
        assert_eq!(lists.is(200)["data"].as_array().unwrap().len(), before);
        if right.is_empty() {
            let id = job["id"].as_str().unwrap();
            let cancel = format!("{workspace}/jobs/{id}/cancel");
            owner.post(&cancel, json!(null)).await.is(200);
            answer(&owner, &workspace, &job, "").await.is(409);
            continue;
        }
        let run = answer(&owner, &workspace, &job, right).await;
        let done = ended(&owner, &workspace, &run).await;
        assert_eq!(done["state"], "succeeded", "{name}: {done}");
        let list = format!("{workspace}/lists/{}", done["list_id"].as_str().unwrap());
        let made = owner.get(&list).await;
        assert_eq!(made.is(200)["columns"].as_array().unwrap().len(), columns);
    }
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_started_an_import_and_admins_answer_it() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Name", "text")]).await;
    let editor = app.person("editor").await;
    owner.bring(&workspace, &editor, "editor").await;
    let path = format!("{list}/imports?dry_run=true");
    let job = waiting(&owner, &path, b"Name\nOak\n").await;
    answer(&editor, &workspace, &job, "").await.is(403);
    let own = waiting(&editor, &path, b"Name,More\nOak,1\n").await;
    // Columns are the admins' to make.
    let refused = answer(&editor, &workspace, &own, "?create_columns=true").await;
    refused.is(403);
    let run = answer(&editor, &workspace, &own, "?mapping={\"More\":null}").await;
    assert_eq!(
        ended(&editor, &workspace, &run).await["counts"]["created"],
        1
    );
}

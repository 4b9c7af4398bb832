//! Jobs in Postgres: claimed once, advanced by compare-and-set, walled off by tenant. Their files,
//! which stay for as long as they are needed, and their ends, which are told once.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use estatebase::actors::import::sweep::{YOUNG, sweep};
use estatebase::ids::{JobId, UserId, WorkspaceId};
use estatebase::store::Db;
use estatebase::store::jobs::{self, JobProgress, NewJob, RowError};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::support::app::{TestApp, ground};
use crate::support::db::TestDb;
use crate::support::program::eventually;
use crate::support::socket::Socket;

const LEASE: Duration = Duration::from_secs(30);

/// Connections of the app and of the owner.
async fn pools() -> (PgPool, PgPool, TestDb) {
    let db = TestDb::new().await;
    let connect = async |url: String| {
        PgPoolOptions::new()
            .max_connections(8)
            .connect(&url)
            .await
            .unwrap()
    };
    let (app, owner) = (connect(db.app_url()).await, connect(db.owner_url()).await);
    (app, owner, db)
}

async fn workspace(owner: &PgPool) -> WorkspaceId {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO estatebase.workspaces (id, name, seq, head_hash, created_at, created_by, updated_at)
         VALUES ($1, 'w', 0, sha256(''), now(), $1, now())",
    )
    .bind(id)
    .execute(owner)
    .await
    .unwrap();
    WorkspaceId(id)
}

async fn begin(app: &PgPool, workspace: WorkspaceId) -> Transaction<'static, Postgres> {
    let mut tx = app.begin().await.unwrap();
    sqlx::query("SELECT set_config('app.workspace_id', $1, true)")
        .bind(workspace.to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

async fn queue(app: &PgPool, workspace: WorkspaceId) -> JobId {
    let job = NewJob {
        id: JobId(Uuid::now_v7()),
        kind: "import",
        list: None,
        created_by: UserId(Uuid::now_v7()),
        params: json!({"rows": 3}),
        file_name: Some("a.csv".to_owned()),
        file_size: 100,
        sha256: [7; 32],
        total_bytes: 100,
        data_start: 10,
        tried: None,
    };
    let mut tx = begin(app, workspace).await;
    jobs::create(&mut tx, workspace, &job).await.unwrap();
    tx.commit().await.unwrap();
    job.id
}

/// Claims until nothing is due any more.
async fn claim(app: &PgPool, owner: &str) -> Vec<(WorkspaceId, JobId)> {
    let mut connection = app.acquire().await.unwrap();
    let mut all = Vec::new();
    loop {
        let some = jobs::claim(&mut connection, owner, LEASE, 3).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

#[tokio::test]
async fn a_job_runs_from_the_queue_to_its_end() {
    let (app, owner, _turn) = pools().await;
    let (mine, other) = (workspace(&owner).await, workspace(&owner).await);
    let queued: HashSet<_> = [queue(&app, mine).await, queue(&app, mine).await]
        .into_iter()
        .map(|job| (mine, job))
        .collect();

    // Two workers at once: each job goes to one of them.
    let (a, b) = tokio::join!(claim(&app, "a"), claim(&app, "b"));
    let claimed: Vec<_> = a
        .iter()
        .chain(&b)
        .filter(|(workspace, _)| *workspace == mine)
        .copied()
        .collect();
    assert_eq!(claimed.len(), 2);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), queued);

    let (_, job) = *queued.iter().next().unwrap();
    let mut tx = begin(&app, mine).await;
    let stored = jobs::get(&mut tx, mine, job).await.unwrap().unwrap();
    assert_eq!(
        (
            stored.state.as_str(),
            stored.attempts,
            stored.checkpoint_bytes
        ),
        ("running", 1, 10)
    );
    assert_eq!(
        (stored.total_bytes, stored.sha256, stored.params),
        (100, Some(vec![7; 32]), json!({"rows": 3}))
    );
    let leaseholder = stored.lease_owner.unwrap();
    assert!(
        jobs::renew(&mut tx, mine, job, &leaseholder, LEASE)
            .await
            .unwrap()
    );
    assert!(
        !jobs::renew(&mut tx, mine, job, "stranger", LEASE)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();

    // The other tenant sees nothing of it, even when it asks by name.
    let mut tx = begin(&app, other).await;
    assert!(jobs::get(&mut tx, mine, job).await.unwrap().is_none());
    assert!(!jobs::cancel(&mut tx, mine, job).await.unwrap());
    tx.commit().await.unwrap();

    let error = RowError {
        row: 2,
        ordinal: 0,
        column_key: Some("price".to_owned()),
        value: Some("cheap".to_owned()),
        code: "not_a_number".to_owned(),
        message: "not a number".to_owned(),
    };
    let progress = JobProgress {
        from_record: 0,
        read: 3,
        created: 1,
        failed: 1,
        skipped: 1,
        checkpoint_bytes: 60,
        checkpoint_record: 4,
        errors: vec![error.clone()],
        updated: 0,
        unchanged: 0,
    };
    let mut tx = begin(&app, mine).await;
    assert!(
        jobs::advance(&mut tx, mine, job, &progress, false)
            .await
            .unwrap()
    );
    assert!(
        !jobs::advance(&mut tx, mine, job, &progress, false)
            .await
            .unwrap(),
        "the same batch again is stale"
    );
    let last = JobProgress {
        from_record: 4,
        read: 4,
        created: 2,
        checkpoint_record: 5,
        errors: Vec::new(),
        ..progress
    };
    assert!(
        jobs::advance(&mut tx, mine, job, &last, true)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();

    let mut tx = begin(&app, mine).await;
    let stored = jobs::get(&mut tx, mine, job).await.unwrap().unwrap();
    assert_eq!(
        (
            stored.state.as_str(),
            stored.counts.read,
            stored.counts.created
        ),
        ("succeeded", 4, 2)
    );
    assert!(stored.finished_at.is_some() && stored.lease_owner.is_none());
    assert_eq!(
        jobs::errors(&mut tx, mine, job, None, 10).await.unwrap(),
        [error]
    );
    assert_eq!(
        jobs::errors(&mut tx, mine, job, Some((2, 0)), 10)
            .await
            .unwrap(),
        []
    );
    assert!(
        !jobs::cancel(&mut tx, mine, job).await.unwrap(),
        "it has ended"
    );
    assert!(
        !jobs::fail(&mut tx, mine, job, &json!({}), &[])
            .await
            .unwrap()
    );
    let page: Vec<_> = jobs::page(&mut tx, mine, None, 10).await.unwrap();
    assert!(page.windows(2).all(|pair| pair[0].id > pair[1].id) && page.len() == 2);
    assert_eq!(
        jobs::page(&mut tx, mine, Some(page[0].id), 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_dead_workers_job_is_taken_over_and_its_late_batch_is_stale() {
    let (app, owner, _turn) = pools().await;
    let mine = workspace(&owner).await;
    let job = queue(&app, mine).await;
    assert!(claim(&app, "hasty").await.contains(&(mine, job)));
    let mut tx = begin(&app, mine).await;
    assert!(!jobs::release(&mut tx, mine, job, "stranger").await.unwrap());
    assert!(jobs::release(&mut tx, mine, job, "hasty").await.unwrap());
    tx.commit().await.unwrap();
    assert!(claim(&app, "dead").await.contains(&(mine, job)));
    let mut tx = begin(&app, mine).await;
    assert!(
        jobs::renew(&mut tx, mine, job, "dead", Duration::ZERO)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let mut connection = app.acquire().await.unwrap();
    let taken = jobs::claim(&mut connection, "heir", LEASE, 100)
        .await
        .unwrap();
    assert!(taken.contains(&(mine, job)));

    let batch = |from, to| JobProgress {
        from_record: from,
        read: to,
        created: to,
        checkpoint_record: to,
        ..JobProgress::default()
    };
    let mut tx = begin(&app, mine).await;
    assert!(
        jobs::advance(&mut tx, mine, job, &batch(0, 5), false)
            .await
            .unwrap(),
        "the heir"
    );
    assert!(
        !jobs::advance(&mut tx, mine, job, &batch(0, 5), false)
            .await
            .unwrap(),
        "the dead one, late"
    );
    assert!(jobs::cancel(&mut tx, mine, job).await.unwrap());
    assert!(
        !jobs::advance(&mut tx, mine, job, &batch(5, 9), false)
            .await
            .unwrap(),
        "a cancelled job commits nothing"
    );
    let refused = sqlx::query("UPDATE estatebase.jobs SET read = 99 WHERE id = $1")
        .bind(job.uuid())
        .execute(&mut *tx)
        .await;
    assert!(refused.is_err(), "counts that do not add up");
}

#[tokio::test]
async fn the_app_may_not_forget_who_it_asks_for() {
    let (app, owner, _turn) = pools().await;
    let mine = workspace(&owner).await;
    let job = queue(&app, mine).await;
    let mut connection = app.acquire().await.unwrap();
    assert!(
        jobs::get(&mut connection, mine, job)
            .await
            .unwrap()
            .is_none(),
        "no context, no rows"
    );
    assert!(
        sqlx::query("DELETE FROM estatebase.jobs")
            .execute(&mut *connection)
            .await
            .is_err()
    );
}

/// A file of that name that was last written to so long ago.
fn file(uploads: &Path, name: &str, age: Duration) {
    fs::create_dir_all(uploads).unwrap();
    let file = File::create(uploads.join(name)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn names(uploads: &Path) -> HashSet<String> {
    let entries = fs::read_dir(uploads).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_file_stays_until_no_job_can_need_it() {
    let (app, owner, db) = pools().await;
    let mine = workspace(&owner).await;
    let (queued, over) = (queue(&app, mine).await, queue(&app, mine).await);
    let mut tx = begin(&app, mine).await;
    assert!(jobs::cancel(&mut tx, mine, over).await.unwrap());
    tx.commit().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let uploads = folder.path();
    let (orphan, upload) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let old = YOUNG + Duration::from_secs(1);
    for name in [&orphan, &queued.to_string(), &over.to_string(), "notes.txt"] {
        file(uploads, name, old);
    }
    file(uploads, &upload, YOUNG - Duration::from_secs(60));
    let db = Db::open(&db.app_url(), 2).unwrap();
    assert_eq!(sweep(&db, uploads).await.unwrap(), 2);
    let left = [queued.to_string(), upload, "notes.txt".to_owned()];
    assert_eq!(names(uploads), left.into_iter().collect());
    assert_eq!(sweep(&db, &uploads.join("none")).await.unwrap(), 0);
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_removed_at_the_next_start() {
    let app = TestApp::new().await;
    let orphan = Uuid::now_v7().to_string();
    file(&app.uploads(), &orphan, 2 * YOUNG);
    let again = app.again();
    eventually("the orphan is gone", || names(&again.uploads()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_job_is_told_once_and_its_file_goes() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let mut socket = Socket::open(&app, &owner).await;
    socket.follow(&workspace, None).await;
    let path = format!("{workspace}/imports?list_name=Sales");
    let file = b"Name,Price\nOak,1\nElm,2\n".to_vec();
    owner.upload(&path, "text/csv", file).await.is(202);
    let end = socket.next("job").await;
    assert_eq!(end["state"], "succeeded", "{end}");
    // Whatever is told of the job is told before its file goes.
    eventually("the file is gone", || names(&app.uploads()).is_empty());
    owner.list(&workspace, &[]).await;
    let through = owner.seq(&workspace).await;
    let id = workspace.rsplit('/').next().unwrap();
    while socket.positions[id] < through {
        let frame = socket.frame().await.unwrap();
        assert_ne!(frame["type"], "job", "{frame}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_errors_holds_all_of_them_and_runs_no_formula() {
    let (app, owner, workspace, list) = ground().await;
    let rows = "=1+cmd\n".repeat(2_500);
    let file = format!("Price\n{rows}").into_bytes();
    let path = format!("{list}/imports");
    let queued = owner.upload(&path, "text/csv", file).await;
    let job = queued.is(202)["id"].as_str().unwrap().to_owned();
    eventually("the file is gone", || names(&app.uploads()).is_empty());
    let errors = format!("{workspace}/jobs/{job}/errors");
    let all = owner.get(&format!("{errors}?format=csv")).await;
    all.is(200);
    let lines: Vec<&str> = all.text.lines().collect();
    assert_eq!(lines.len(), 1 + 2_500);
    assert!(
        lines[2_500].starts_with("2500,Price,'=1+cmd,not_a_number,"),
        "{}",
        lines[2_500]
    );
    assert!(all.headers.contains_key("x-workspace-seq"));
    let limited = format!("{errors}?format=csv&limit=10");
    owner.get(&limited).await.refuses(422, "validation");
    // The last page says so, be it full.
    let page = owner.get(&format!("{errors}?limit=1000")).await;
    let cursor = page.is(200)["next_cursor"].as_str().unwrap();
    let last = owner
        .get(&format!("{errors}?limit=1000&cursor={cursor}"))
        .await;
    let cursor = last.is(200)["next_cursor"].as_str().unwrap();
    let last = owner
        .get(&format!("{errors}?limit=500&cursor={cursor}"))
        .await;
    assert_eq!(last.is(200)["data"].as_array().unwrap().len(), 500);
    assert!(last.body["next_cursor"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_an_upload_make_one_list_and_one_job() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let url = app.url(&format!("/api/v1{workspace}/imports?list_name=Sales"));
    let copies = (0..6).map(|_| {
        let request = reqwest::Client::new().post(&url);
        let request = request.bearer_auth(owner.token.as_deref().unwrap());
        let request = request.header("content-type", "text/csv");
        let request = request.header("idempotency-key", "once");
        request.body("Name,Price\nOak,1\n").send()
    });
    let mut jobs = HashSet::new();
    for answer in futures::future::join_all(copies).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 202);
        jobs.insert(answer.text().await.unwrap());
    }
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let lists = owner.get(&format!("{workspace}/lists")).await;
    assert_eq!(lists.is(200)["data"].as_array().unwrap().len(), 1);
    eventually("no file is left", || names(&app.uploads()).is_empty());
}

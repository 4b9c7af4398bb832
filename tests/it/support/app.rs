//! The server inside the test's process, on a database and a port of its own, and people who use it.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use estatebase::app::{Application, Wiring};
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::db::TestDb;
use super::proxy::Proxy;

/// A running server. Dropped, it stops and its database goes.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) db: Arc<TestDb>,
    folder: Arc<TempDir>,
    redis_url: Option<String>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl TestApp {
    pub(crate) async fn new() -> TestApp {
        let db = Arc::new(TestDb::new().await);
        TestApp::on(db, Arc::new(tempfile::tempdir().unwrap()))
    }

    /// The same server once more, on the same database and folder: after a restart, or beside it.
    pub(crate) fn again(&self) -> TestApp {
        let url = self.db.app_url();
        let (db, folder) = (Arc::clone(&self.db), Arc::clone(&self.folder));
        TestApp::wired(db, folder, url, false, self.redis_url.clone())
    }

    /// That tells others beside it of itself through a Redis.
    pub(crate) async fn with_redis(url: &str) -> TestApp {
        let db = Arc::new(TestDb::new().await);
        let (folder, db_url) = (Arc::new(tempfile::tempdir().unwrap()), db.app_url());
        TestApp::wired(db, folder, db_url, false, Some(url.to_owned()))
    }

    /// The same, with a proxy before its database.
    pub(crate) async fn again_behind_a_proxy(&self) -> (TestApp, Proxy) {
        let (proxy, url) = Proxy::before(&self.db.app_url()).await;
        let (db, folder) = (Arc::clone(&self.db), Arc::clone(&self.folder));
        (TestApp::wired(db, folder, url, false, None), proxy)
    }

    fn on(db: Arc<TestDb>, folder: Arc<TempDir>) -> TestApp {
        let url = db.app_url();
        TestApp::wired(db, folder, url, false, None)
    }

    /// With the limits on, as in production.
    pub(crate) async fn limited() -> TestApp {
        let db = Arc::new(TestDb::new().await);
        let url = db.app_url();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        TestApp::wired(db, folder, url, true, None)
    }

    /// With a proxy between the server and its database.
    pub(crate) async fn behind_a_proxy() -> (TestApp, Proxy) {
        let db = Arc::new(TestDb::new().await);
        let (proxy, url) = Proxy::before(&db.app_url()).await;
        let folder = Arc::new(tempfile::tempdir().unwrap());
        (TestApp::wired(db, folder, url, false, None), proxy)
    }

    fn wired(
        db: Arc<TestDb>,
        folder: Arc<TempDir>,
        database_url: String,
        rate_limit: bool,
        redis_url: Option<String>,
    ) -> TestApp {
        let redis = redis_url.clone().map(SecretString::from);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let data_dir = folder.path().to_owned();
        // The same for all, so that a token is good at a second server too; the official client
        // wants the real one.
        let public_url = match rate_limit {
            true => format!("http://{address}"),
            false => "http://estatebase.example".to_owned(),
        };
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let application = Application::build(Wiring {
                    listener,
                    database_url: SecretString::from(database_url),
                    db_pool: 8,
                    public_url: public_url.parse().unwrap(),
                    secret_key: SecretString::from("a key for tests, longer than 32 bytes"),
                    supabase_url: None,
                    jwt_secret: None,
                    redis_url: redis,
                    rate_limit,
                    trusted_proxy_hops: 0,
                    metrics_token: None,
                    cors_origins: vec!["https://app.example.com".to_owned()],
                    data_dir,
                    metrics: Arc::new(String::new),
                })
                .unwrap();
                send.send(application.handle()).unwrap();
                application.run().await.unwrap();
            });
        });
        let handle = receive.recv().unwrap();
        TestApp {
            address,
            db,
            folder,
            redis_url,
            handle,
            thread: Some(thread),
        }
    }

    /// Where uploads wait for their jobs.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.folder.path().join("uploads")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A new person, signed up and in.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let nobody = Person::nobody(self);
        let body = json!({"email": email, "password": "correct horse battery"});
        let answer = nobody
            .send(Method::POST, "/auth/v1/signup", Some(&body), &[])
            .await;
        answer.is(200);
        Person {
            token: Some(answer.body["access_token"].as_str().unwrap().to_owned()),
            id: answer.body["user"]["id"].as_str().unwrap().to_owned(),
            email,
            ..nobody
        }
    }
}

/// A server, its owner, a workspace and a list of prices.
pub(crate) async fn ground() -> (TestApp, Person, String, String) {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    (app, owner, workspace, list)
}

/// The id at the end of a path.
pub(crate) fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// Somebody with (or without) a token.
#[derive(Clone)]
pub(crate) struct Person {
    base: String,
    pub(crate) token: Option<String>,
    pub(crate) id: String,
    pub(crate) email: String,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        &self.body
    }

    /// A refusal with that code.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        self.is(status);
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }
}

impl Person {
    pub(crate) fn nobody(app: &TestApp) -> Person {
        Person {
            base: app.url(""),
            token: None,
            id: String::new(),
            email: String::new(),
            http: reqwest::Client::new(),
        }
    }

    /// The same person at another server.
    pub(crate) fn at(&self, app: &TestApp) -> Person {
        Person {
            base: app.url(""),
            ..self.clone()
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, &api(path), None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, &api(path), Some(&body), &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, &api(path), Some(&body), &[]).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, &api(path), Some(&body), &[]).await
    }

    pub(crate) async fn delete_with(&self, path: &str, body: Value) -> Answer {
        self.send(Method::DELETE, &api(path), Some(&body), &[])
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, &api(path), None, &[]).await
    }

    pub(crate) async fn keyed(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(
            Method::POST,
            &api(path),
            Some(&body),
            &[("idempotency-key", key)],
        )
        .await
    }

    /// The bytes of a file, with what the answer's headers say of it: its type, and its name.
    pub(crate) async fn fetch(&self, path: &str) -> (String, String, Vec<u8>) {
        let request = self.http.get(format!("{}{}", self.base, api(path)));
        let token = self.token.as_deref().unwrap_or_default();
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let (media, name) = (header("content-type"), header("content-disposition"));
        (media, name, answer.bytes().await.unwrap().to_vec())
    }

    /// Sends raw bytes, e.g. a file.
    pub(crate) async fn upload(&self, path: &str, content_type: &str, bytes: Vec<u8>) -> Answer {
        let request = self
            .http
            .post(format!("{}{}", self.base, api(path)))
            .header("content-type", content_type)
            .bearer_auth(self.token.as_deref().unwrap_or_default())
            .body(bytes);
        read(request.send().await.unwrap()).await
    }

    /// A workspace of theirs; its path.
    pub(crate) async fn workspace(&self) -> String {
        let made = self
            .post("/workspaces", json!({"name": "Oak Street"}))
            .await;
        format!("/workspaces/{}", made.is(201)["id"].as_str().unwrap())
    }

    /// A list with these columns (key, type); its path.
    pub(crate) async fn list(&self, workspace: &str, columns: &[(&str, &str)]) -> String {
        let columns: Vec<Value> = columns
            .iter()
            .map(|(key, ty)| json!({"key": key, "type": ty}))
            .collect();
        let body = json!({"name": "Homes", "columns": columns});
        let made = self.post(&format!("{workspace}/lists"), body).await;
        format!("{workspace}/lists/{}", made.is(201)["id"].as_str().unwrap())
    }

    /// Two lists: homes with these columns and `Owners`, many contacts, of whom each has `Homes`; the paths of
    /// the homes and of the contacts.
    pub(crate) async fn linked_lists(
        &self,
        workspace: &str,
        columns: &[(&str, &str)],
    ) -> (String, String) {
        let contacts = self.list(workspace, &[("Name", "text")]).await;
        let homes = self.list(workspace, columns).await;
        let options = json!({"list_id": last(&contacts), "inverse_key": "Homes", "multiple": true});
        let column = json!({"key": "Owners", "type": "link", "options": options});
        let made = self.post(&format!("{homes}/columns"), column).await;
        made.is(201);
        (homes, contacts)
    }

    /// Takes the own last change back; what is answered.
    pub(crate) async fn undo(&self, workspace: &str) -> Value {
        let undone = self.post(&format!("{workspace}/undo"), json!({})).await;
        undone.is(200).clone()
    }

    /// Puts it back.
    pub(crate) async fn redo(&self, workspace: &str) -> Value {
        let redone = self.post(&format!("{workspace}/redo"), json!({})).await;
        redone.is(200).clone()
    }

    /// An item; its id.
    pub(crate) async fn item(&self, list: &str, values: Value) -> String {
        let made = self
            .post(&format!("{list}/items"), json!({"values": values}))
            .await;
        made.is(201)["id"].as_str().unwrap().to_owned()
    }

    /// Brings somebody into a workspace.
    /// The values of a list's items, in the order of their ids; a thousand at most.
    pub(crate) async fn values(&self, list: &str) -> Vec<Value> {
        let page = self.get(&format!("{list}/items?limit=1000")).await;
        let items = page.is(200)["data"].as_array().unwrap().iter();
        items.map(|item| item["values"].clone()).collect()
    }

    pub(crate) async fn bring(&self, workspace: &str, other: &Person, role: &str) {
        let path = format!("{workspace}/invites");
        let invite = self
            .post(&path, json!({"email": other.email, "role": role}))
            .await;
        let token = invite.is(201)["token"].as_str().unwrap().to_owned();
        other
            .post("/invites/accept", json!({"token": token}))
            .await
            .is(200);
    }

    /// Has the workspace's log verified: whole, gapless, as it was written.
    #[track_caller]
    pub(crate) fn verified(&self, workspace: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let verdict = self.get(&format!("{workspace}/audit/verify")).await;
            assert_eq!(verdict.is(200)["ok"], true, "{caller}: {}", verdict.text);
        }
    }

    /// The position of a workspace's log.
    pub(crate) async fn seq(&self, workspace: &str) -> i64 {
        self.get(workspace).await.is(200)["seq"].as_i64().unwrap()
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer {
        status,
        headers,
        text,
        body,
    }
}

fn api(path: &str) -> String {
    format!("/api/v1{path}")
}

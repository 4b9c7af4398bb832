//! The REST half of the client: one method a thing that a tool needs. Busy answers (429, 503) and
//! broken connections are tried again under the same `Idempotency-Key`, so that nothing happens
//! twice.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::frames::Problem;
use super::reconnect;
use crate::ids::{ItemId, JobId, ListId, WorkspaceId};

/// How often a request is sent before its failure is believed.
const ATTEMPTS: u32 = 8;

/// Why a request brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error("{method} {path}: {problem}")]
    Refused {
        method: Method,
        path: String,
        problem: Box<Problem>,
    },
    #[error("{method} {path}: {source}")]
    Transport {
        method: Method,
        path: String,
        source: reqwest::Error,
    },
    #[error("{method} {path}: the answer is not what the contract says: {source}")]
    Answer {
        method: Method,
        path: String,
        source: serde_json::Error,
    },
    #[error("not an address: {0}")]
    Address(#[from] url::ParseError),
}

impl RestError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem, .. } => Some(problem.status),
            _ => None,
        }
    }
}

/// A signed-in caller of one server. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    server: Url,
    token: String,
}

/// A page of a collection.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A page of the change feed: all that the caller may see up to `through`.
#[derive(Debug, Deserialize)]
pub struct EventPage<E> {
    pub data: Vec<E>,
    pub through: u64,
    #[serde(default)]
    pub mark: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct List {
    pub id: ListId,
    pub name: String,
}

/// A column of a list; the same shape is sent to make one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Column {
    pub key: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub options: Value,
}

/// An item; `V` is how much of its values the reader wants to know.
#[derive(Clone, Debug, Deserialize)]
pub struct Item<V = Value> {
    pub id: ItemId,
    pub version: u64,
    pub seq: u64,
    pub values: V,
}

/// An import or another long-running piece of work.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub state: String,
    /// What the server says beside: progress and counts.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

impl Job {
    /// Whether nothing more will happen by itself.
    pub fn is_over(&self) -> bool {
        matches!(
            self.state.as_str(),
            "succeeded" | "failed" | "cancelled" | "reverted" | "needs_input"
        )
    }

    /// A count of the job (`read`, `created`, …), wherever the server puts it.
    pub fn count(&self, name: &str) -> Option<u64> {
        let nested = ["counts", "progress"]
            .iter()
            .filter_map(|part| self.rest.get(*part))
            .find_map(|part| part.get(name));
        self.rest.get(name).or(nested)?.as_u64()
    }
}

/// A request before it is sent.
pub struct Call {
    method: Method,
    path: String,
    body: Body,
    headers: HeaderMap,
}

#[derive(Clone)]
enum Body {
    None,
    Json(Vec<u8>),
    File(std::path::PathBuf, &'static str),
}

/// What came back: the status, the headers, the bytes.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: bytes::Bytes,
}

impl Call {
    /// A request to `path` below the server's address.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Body::None,
            headers: HeaderMap::new(),
        }
    }

    /// With a JSON body.
    ///
    /// # Errors
    /// When `body` can't be written as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, RestError> {
        let bytes = serde_json::to_vec(body).map_err(|source| RestError::Answer {
            method: self.method.clone(),
            path: self.path.clone(),
            source,
        })?;
        self.body = Body::Json(bytes);
        Ok(self)
    }

    /// With a file as the body, streamed.
    pub fn file(mut self, file: impl Into<std::path::PathBuf>, content_type: &'static str) -> Self {
        self.body = Body::File(file.into(), content_type);
        self
    }

    /// Never an older state than `seq`.
    pub fn min_seq(mut self, seq: u64) -> Self {
        self.headers.insert("x-min-seq", seq.into());
        self
    }

    /// Under this key, whatever is retried, at most one effect.
    pub fn idempotency_key(mut self, key: Uuid) -> Self {
        if let Ok(value) = key.to_string().parse() {
            self.headers.insert("idempotency-key", value);
        }
        self
    }
}

impl Rest {
    /// A client of the server at `server` (its root, e.g. `http://127.0.0.1:8080`), bearing
    /// `token`; an empty token is none.
    ///
    /// # Errors
    /// When the machine's TLS can't be set up.
    pub fn new(server: Url, token: impl Into<String>) -> Result<Self, reqwest::Error> {
        install_tls();
        Ok(Self {
            http: reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(10))
                .tcp_nodelay(true)
                .build()?,
            server,
            token: token.into(),
        })
    }

    /// The same connections under another token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            ..self.clone()
        }
    }

    /// The server's root.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends a call until it is answered for good, and reads the answer's JSON.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, RestError> {
        let (method, path) = (call.method.clone(), call.path.clone());
        let answer = self.send(call).await?;
        serde_json::from_slice(&answer.body).map_err(|source| RestError::Answer {
            method,
            path,
            source,
        })
    }

    /// Sends a call until it is answered for good. Changes get an `Idempotency-Key` when they
    /// have none.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn send(&self, mut call: Call) -> Result<Answer, RestError> {
        if call.method != Method::GET && !call.headers.contains_key("idempotency-key") {
            call = call.idempotency_key(Uuid::now_v7());
        }
        let mut attempt = 0;
        loop {
            let outcome = self.once(&call).await;
            attempt += 1;
            match outcome {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if attempt < ATTEMPTS && is_busy(answer.status) => {
                    tokio::time::sleep(retry_after(&answer.headers)).await;
                }
                Ok(answer) => {
                    return Err(RestError::Refused {
                        problem: Box::new(problem(&answer)),
                        method: call.method,
                        path: without_query(call.path),
                    });
                }
                Err(source) if attempt < ATTEMPTS && !source.is_builder() => {
                    tracing::debug!(%source, path = call.path, "asking again");
                    reconnect::pause(attempt).await;
                }
                Err(source) => {
                    return Err(RestError::Transport {
                        method: call.method,
                        path: without_query(call.path),
                        source,
                    });
                }
            }
        }
    }

    /// Sends a call once and returns whatever came back.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn once(&self, call: &Call) -> Result<Answer, reqwest::Error> {
        let address = format!(
            "{}{}",
            self.server.as_str().trim_end_matches('/'),
            call.path
        );
        let mut request = self
            .http
            .request(call.method.clone(), address)
            .headers(call.headers.clone());
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        request = match &call.body {
            Body::None => request,
            Body::Json(bytes) => request
                .header("content-type", "application/json")
                .body(bytes.clone()),
            Body::File(path, content_type) => request
                .header("content-type", *content_type)
                .body(file_body(path)),
        };
        let response = request.send().await?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    /// Makes a workspace, empty or from a template.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn create_workspace(
        &self,
        name: &str,
        template: Option<&str>,
    ) -> Result<Workspace, RestError> {
        let mut body = json!({ "name": name });
        if let (Some(template), Some(fields)) = (template, body.as_object_mut()) {
            fields.insert("template".into(), template.into());
        }
        self.read(Call::new(Method::POST, "/api/v1/workspaces").json(&body)?)
            .await
    }

    /// The caller's workspaces.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, RestError> {
        self.all("/api/v1/workspaces".into()).await
    }

    /// The lists of a workspace.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn lists(&self, workspace: WorkspaceId) -> Result<Vec<List>, RestError> {
        self.all(format!("{}/lists", workspace_path(workspace)))
            .await
    }

    /// Makes a list with its columns.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn create_list(
        &self,
        workspace: WorkspaceId,
        name: &str,
        columns: &[Column],
    ) -> Result<List, RestError> {
        let path = format!("{}/lists", workspace_path(workspace));
        let body = json!({ "name": name, "columns": columns });
        self.read(Call::new(Method::POST, path).json(&body)?).await
    }

    /// The columns of a list.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn columns(
        &self,
        workspace: WorkspaceId,
        list: ListId,
    ) -> Result<Vec<Column>, RestError> {
        self.all(format!("{}/columns", list_path(workspace, list)))
            .await
    }

    /// Adds a column to a list.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn create_column(
        &self,
        workspace: WorkspaceId,
        list: ListId,
        column: &Column,
    ) -> Result<Column, RestError> {
        let path = format!("{}/columns", list_path(workspace, list));
        self.read(Call::new(Method::POST, path).json(column)?).await
    }

    /// Makes items, all or none; at most 10 000.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn create_items(
        &self,
        workspace: WorkspaceId,
        list: ListId,
        values: &[Value],
    ) -> Result<Vec<ItemId>, RestError> {
        #[derive(Deserialize)]
        struct Made {
            id: ItemId,
        }
        let path = format!("{}/items", list_path(workspace, list));
        let items: Vec<Value> = values.iter().map(|v| json!({ "values": v })).collect();
        let call = Call::new(Method::POST, path).json(&json!({ "items": items }))?;
        let page: Page<Made> = self.read(call).await?;
        Ok(page.data.into_iter().map(|made| made.id).collect())
    }

    /// Changes cells of one item under an idempotency key.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn patch_item<V: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        list: ListId,
        item: ItemId,
        values: &impl Serialize,
        key: Uuid,
    ) -> Result<Item<V>, RestError> {
        let path = format!("{}/items/{item}", list_path(workspace, list));
        let call = Call::new(Method::PATCH, path)
            .idempotency_key(key)
            .json(&Values { values })?;
        self.read(call).await
    }

    /// One page of a list in the order of its items' ids, no older than `min_seq`.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn items<V: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        list: ListId,
        limit: u32,
        cursor: Option<&str>,
        min_seq: Option<u64>,
    ) -> Result<Page<Item<V>>, RestError> {
        let path = format!("{}/items?limit={limit}", list_path(workspace, list));
        let mut call = Call::new(Method::GET, with_cursor(path, cursor));
        if let Some(seq) = min_seq {
            call = call.min_seq(seq);
        }
        self.read(call).await
    }

    /// One page by a filter or sort, as `L/items/query` takes it.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn query<V: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        list: ListId,
        query: &Value,
    ) -> Result<Page<Item<V>>, RestError> {
        let path = format!("{}/items/query", list_path(workspace, list));
        self.read(Call::new(Method::POST, path).json(query)?).await
    }

    /// The log after `after`, at most `limit` events.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn events<E: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        after: u64,
        limit: u32,
    ) -> Result<EventPage<E>, RestError> {
        let path = format!(
            "{}/events?after_seq={after}&limit={limit}",
            workspace_path(workspace)
        );
        self.read(Call::new(Method::GET, path)).await
    }

    /// A position at or before now: the head of the workspace's log as the server last knew it.
    ///
    /// # Errors
    /// See [`RestError`]; also when the answer bears no `X-Workspace-Seq`.
    pub async fn head(&self, workspace: WorkspaceId) -> Result<u64, RestError> {
        let path = workspace_path(workspace);
        let answer = self.send(Call::new(Method::GET, path.clone())).await?;
        answer
            .headers
            .get("x-workspace-seq")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or_else(|| RestError::Answer {
                method: Method::GET,
                path,
                source: serde::de::Error::missing_field("X-Workspace-Seq"),
            })
    }

    /// Sends a CSV file to be imported into a list, as one streamed request.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn import_csv(
        &self,
        workspace: WorkspaceId,
        list: ListId,
        file: &std::path::Path,
    ) -> Result<Job, RestError> {
        let path = format!("{}/imports?mode=create", list_path(workspace, list));
        self.read(Call::new(Method::POST, path).file(file, "text/csv"))
            .await
    }

    /// How a job stands.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn job(&self, workspace: WorkspaceId, job: JobId) -> Result<Job, RestError> {
        let path = format!("{}/jobs/{job}", workspace_path(workspace));
        self.read(Call::new(Method::GET, path)).await
    }

    /// Waits until a job is over, asking every `every`.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn wait_for_job(
        &self,
        workspace: WorkspaceId,
        job: JobId,
        every: Duration,
    ) -> Result<Job, RestError> {
        loop {
            let state = self.job(workspace, job).await?;
            if state.is_over() {
                return Ok(state);
            }
            tokio::time::sleep(every).await;
        }
    }

    /// A whole small collection, page after page.
    async fn all<T: DeserializeOwned>(&self, path: String) -> Result<Vec<T>, RestError> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let path = with_cursor(path.clone(), cursor.as_deref());
            let page: Page<T> = self.read(Call::new(Method::GET, path)).await?;
            found.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }
}

#[derive(Serialize)]
struct Values<'a, V> {
    values: &'a V,
}

/// `/api/v1/workspaces/{id}`.
pub fn workspace_path(workspace: WorkspaceId) -> String {
    format!("/api/v1/workspaces/{workspace}")
}

/// `/api/v1/workspaces/{id}/lists/{id}`.
pub fn list_path(workspace: WorkspaceId, list: ListId) -> String {
    format!("{}/lists/{list}", workspace_path(workspace))
}

/// Both halves of the client may speak TLS; the process says once with what.
pub fn install_tls() {
    // An error only means that somebody was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn with_cursor(path: String, cursor: Option<&str>) -> String {
    match cursor {
        None => path,
        Some(cursor) => {
            let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
            let sign = if path.contains('?') { '&' } else { '?' };
            format!("{path}{sign}cursor={cursor}")
        }
    }
}

/// What a message needs of a path: a query may be long, and is not what went wrong.
fn without_query(mut path: String) -> String {
    path.truncate(path.find('?').unwrap_or(path.len()));
    path
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(1);
    Duration::from_secs(seconds)
}

/// The problem document of a refusal, or what can be said without one.
fn problem(answer: &Answer) -> Problem {
    let mut problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    problem.status = answer.status.as_u16();
    if problem.title.is_empty() {
        problem.title = answer.status.to_string();
    }
    problem
}

fn file_body(path: &std::path::Path) -> reqwest::Body {
    let path = path.to_owned();
    let opened = futures::stream::once(tokio::fs::File::open(path));
    let chunks = futures::TryStreamExt::map_ok(opened, tokio_util::io::ReaderStream::new);
    reqwest::Body::wrap_stream(futures::TryStreamExt::try_flatten(chunks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::matchers::{body_string, header, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    async fn client(server: &MockServer) -> Rest {
        Rest::new(server.uri().parse().unwrap(), "tok").unwrap()
    }

    #[tokio::test]
    async fn a_busy_server_is_asked_again_under_the_same_key() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/api/v1/workspaces"))
            .respond_with(ResponseTemplate::new(503).insert_header("retry-after", "0"))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        let id = Uuid::from_u128(7);
        Mock::given(method("POST"))
            .and(path("/api/v1/workspaces"))
            .and(header("authorization", "Bearer tok"))
            .respond_with(ResponseTemplate::new(201).set_body_json(json!({"id": id, "name": "A"})))
            .mount(&server)
            .await;
        let made = client(&server)
            .await
            .create_workspace("A", None)
            .await
            .unwrap();
        assert_eq!(made.id.uuid(), id);
        let keys: Vec<_> = server
            .received_requests()
            .await
            .unwrap()
            .iter()
            .map(|request| request.headers["idempotency-key"].clone())
            .collect();
        assert_eq!(keys.len(), 3);
        assert!(keys.iter().all(|key| key == keys[0]));
    }

    #[tokio::test]
    async fn a_refusal_says_what_the_problem_document_says() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(404).set_body_json(json!({
                "code": "not_found", "title": "Not found", "detail": "No such workspace"
            })))
            .mount(&server)
            .await;
        let error = client(&server).await.workspaces().await.unwrap_err();
        assert_eq!(error.status(), Some(404));
        assert!(error.to_string().contains("not_found: No such workspace"));
    }

    #[tokio::test]
    async fn a_collection_is_read_to_its_last_page() {
        let server = MockServer::start().await;
        let column = |key: &str| json!({"key": key, "name": key, "type": "text", "position": 1});
        Mock::given(query_param("cursor", "a b/="))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"data": [column("B")], "next_cursor": null})),
            )
            .mount(&server)
            .await;
        Mock::given(wiremock::matchers::query_param_is_missing("cursor"))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"data": [column("A")], "next_cursor": "a b/="})),
            )
            .mount(&server)
            .await;
        let id = Uuid::from_u128(1);
        let columns = client(&server).await.columns(id.into(), id.into()).await;
        let keys: Vec<_> = columns.unwrap().into_iter().map(|c| c.key).collect();
        assert_eq!(keys, ["A", "B"]);
    }

    #[tokio::test]
    async fn an_import_is_the_bytes_of_the_file() {
        let server = MockServer::start().await;
        let id = Uuid::from_u128(1);
        Mock::given(method("POST"))
            .and(header("content-type", "text/csv"))
            .and(body_string("City\rDavis\r"))
            .respond_with(ResponseTemplate::new(202).set_body_json(json!({
                "id": id, "state": "queued", "counts": {"read": 1, "created": 0}
            })))
            .mount(&server)
            .await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "City\rDavis\r").unwrap();
        let job = client(&server)
            .await
            .import_csv(id.into(), id.into(), file.path())
            .await
            .unwrap();
        assert_eq!((job.is_over(), job.count("read")), (false, Some(1)));
    }
}

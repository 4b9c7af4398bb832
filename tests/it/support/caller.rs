//! Somebody who reaches servers over a network that fails: signs their own tokens, takes a broken
//! connection for no answer, and asks again with the same key, at whichever server answers.

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::app::Person;
use super::program::JWT_SECRET;

/// How long a write is asked for again before it counts as failed.
const INSISTENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) id: Uuid,
    pub(crate) token: String,
    http: reqwest::Client,
}

/// An answer that came: its status, and its body.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    /// The position that it speaks of, where it speaks of one.
    pub(crate) seq: Option<i64>,
    pub(crate) body: Value,
}

impl Heard {
    /// Whether asking again may give another answer. 408 too (RFC 9110, 15.5.9): a server that was halted
    /// while a request came in finds at its waking that it took too long; it read none of it.
    fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Caller {
    /// A person whom every server of these tests believes.
    pub(crate) fn new(name: &str) -> Caller {
        estatebase::auth::install_crypto();
        // Shorter than a fault, so that a silent server costs a moment.
        let timeout = Duration::from_secs(4);
        let http = reqwest::Client::builder().timeout(timeout).build();
        Caller::with(name, http.unwrap())
    }

    /// Somebody who signed in at a server of this process.
    pub(crate) fn of(person: &Person) -> Caller {
        let mut caller = Caller::new("");
        caller.id = person.id.parse().unwrap();
        caller.token = person.token.clone().unwrap();
        caller
    }

    fn with(name: &str, http: reqwest::Client) -> Caller {
        let id = Uuid::now_v7();
        let email = format!("{name}@example.com");
        let now = chrono::Utc::now().timestamp();
        let claims = json!({
            "iss": "tests", "sub": id, "aud": "authenticated", "role": "authenticated",
            "exp": now + 7200, "iat": now, "email": email, "phone": "",
            "app_metadata": {"provider": "email"}, "user_metadata": {}, "aal": "aal1",
            "amr": [], "session_id": Uuid::now_v7(), "is_anonymous": false,
        });
        let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        Caller { id, token, http }
    }

    /// Asks once; nothing when no answer came.
    pub(crate) async fn ask(
        &self,
        method: &str,
        url: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Heard> {
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Option<Heard> {
        let response = request.bearer_auth(&self.token).send().await.ok()?;
        let status = response.status().as_u16();
        let seq = response.headers().get("x-workspace-seq");
        let seq = seq.map(|seq| seq.to_str().unwrap().parse().unwrap());
        let text = response.text().await.ok()?;
        Some(Heard {
            status,
            seq,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        })
    }

    /// Asks these servers in turn, with the same key, until one answers for good.
    pub(crate) async fn insist(
        &self,
        servers: &[String],
        method: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Heard {
        let begun = Instant::now();
        let mut said = None;
        for server in servers.iter().cycle() {
            let url = format!("{server}/api/v1{path}");
            match self.ask(method, &url, Some(key), Some(body)).await {
                Some(heard) if !heard.may_pass() => return heard,
                other => said = other.or(said),
            }
            assert!(
                begun.elapsed() < INSISTENCE,
                "no answer to {key} within {INSISTENCE:?}; the last was {said:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("there is a server")
    }

    /// Reads, at the first of these servers that answers.
    pub(crate) async fn read(&self, servers: &[String], path: &str) -> Value {
        self.read_since(servers, path, 0).await.is(200)
    }

    /// Reads what stands at `seq` or later.
    async fn read_since(&self, servers: &[String], path: &str, seq: i64) -> Heard {
        let begun = Instant::now();
        for server in servers.iter().cycle() {
            let request = self.http.get(format!("{server}/api/v1{path}"));
            let request = request.header("x-min-seq", seq.to_string());
            match self.send(request).await {
                Some(heard) if !heard.may_pass() => return heard,
                other => assert!(begun.elapsed() < INSISTENCE, "{path}: {other:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("there is a server")
    }

    /// A workspace of theirs with a list of numbers `N`: their paths.
    pub(crate) async fn ground(&self, servers: &[String]) -> (String, String) {
        let key = || Uuid::now_v7().to_string();
        let made = self
            .insist(
                servers,
                "POST",
                "/workspaces",
                &key(),
                &json!({"name": "W"}),
            )
            .await
            .is(201);
        let workspace = format!("/workspaces/{}", made["id"].as_str().unwrap());
        let list = json!({"name": "L", "columns": [{"key": "N", "type": "number"}]});
        let path = format!("{workspace}/lists");
        let made = self
            .insist(servers, "POST", &path, &key(), &list)
            .await
            .is(201);
        let list = format!("{path}/{}", made["id"].as_str().unwrap());
        (workspace, list)
    }

    /// Every item of a list, page by page.
    pub(crate) async fn items(&self, servers: &[String], list: &str) -> Vec<Value> {
        self.items_since(servers, list, 0).await.0
    }

    /// The same as of `seq` or later, and the position of the first page.
    pub(crate) async fn items_since(
        &self,
        servers: &[String],
        list: &str,
        seq: i64,
    ) -> (Vec<Value>, i64) {
        let mut items = Vec::new();
        let mut cursor = String::new();
        let mut as_of = None;
        loop {
            let path = format!("{list}/items?limit=1000{cursor}");
            let heard = self.read_since(servers, &path, seq).await;
            let as_of = *as_of.get_or_insert(heard.seq.unwrap());
            let mut page = heard.is(200);
            items.append(page["data"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(text) => cursor = format!("&cursor={text}"),
                None => return (items, as_of),
            }
        }
    }

    /// That the log is whole, from its first event on; how long it is.
    pub(crate) async fn verify(&self, servers: &[String], workspace: &str) -> u64 {
        let verdict = self
            .read(servers, &format!("{workspace}/audit/verify"))
            .await;
        assert_eq!(verdict["ok"], true, "{verdict}");
        verdict["events"].as_u64().unwrap()
    }
}

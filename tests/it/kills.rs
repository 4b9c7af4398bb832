//! Kill -9 under fifty editors: what was acknowledged is there, nothing is there twice, and the log is whole.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::program::{Server, data_folder, report, rounds};

struct Caller {
    http: reqwest::Client,
    token: String,
}

impl Caller {
    async fn call(
        &self,
        method: &str,
        url: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.token);
        if method != "GET" {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.unwrap_or(Value::Null)))
    }
}

const EDITORS: u64 = 50;

/// What the built-in provider answers to whoever signs up or in.
async fn token(http: &reqwest::Client, server: &Server, way: &str, person: &Value) -> String {
    let asked = http.post(format!("{}/auth/v1/{way}", server.url));
    let answer = asked.json(person).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_forgets_nothing_that_it_acknowledged_and_doubles_nothing() {
    estatebase::auth::install_crypto();
    let (begun, kills) = (Instant::now(), rounds("KILLS", 3));
    let folder = data_folder();
    let mut server = Server::start(folder.path());
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let body = json!({"email": "owner@example.com", "password": "correct horse battery"});
    let mut caller = Caller {
        token: token(&http, &server, "signup", &body).await,
        http,
    };
    let api = |server: &Server, path: &str| format!("{}/api/v1{path}", server.url);
    let (_, made) = caller
        .call(
            "POST",
            &api(&server, "/workspaces"),
            None,
            &json!({"name": "W"}),
        )
        .await
        .unwrap();
    let workspace = format!("/workspaces/{}", made["id"].as_str().unwrap());
    let columns = json!({"name": "L", "columns": [{"key": "N", "type": "number"}]});
    let (_, made) = caller
        .call(
            "POST",
            &api(&server, &format!("{workspace}/lists")),
            None,
            &columns,
        )
        .await
        .unwrap();
    let items = format!("{workspace}/lists/{}/items", made["id"].as_str().unwrap());

    let mut acknowledged: HashMap<u64, String> = HashMap::new();
    let mut open: Vec<u64> = Vec::new();
    let mut next = 0;
    for round in 0..kills {
        let url = api(&server, &items);
        let until =
            tokio::time::Instant::now() + Duration::from_millis(300 + 170 * (round as u64 % 4));
        let writers = (0..EDITORS).map(|writer| {
            let (caller, url) = (&caller, &url);
            let from = next + writer * 10_000;
            async move {
                let mut told = Vec::new();
                for n in from.. {
                    let key = format!("n{n}");
                    let body = json!({"values": {"N": n}});
                    match caller.call("POST", url, Some(&key), &body).await {
                        Some((201, item)) => told.push((n, item["id"].as_str().map(str::to_owned))),
                        _ => {
                            told.push((n, None));
                            break;
                        }
                    }
                    if tokio::time::Instant::now() > until + Duration::from_secs(2) {
                        break;
                    }
                }
                told
            }
        });
        let (told, ()) = tokio::join!(futures::future::join_all(writers), async {
            tokio::time::sleep_until(until).await;
            server.kill();
        });
        for (n, id) in told.into_iter().flatten() {
            match id {
                Some(id) => drop(acknowledged.insert(n, id)),
                None => open.push(n),
            }
        }
        next += 1_000_000;
        server = Server::start(folder.path());
        // The tokens name the address that signed them: sign in anew.
        caller.token = token(&caller.http, &server, "token?grant_type=password", &body).await;
        // What nobody answered is asked again by its key: it takes effect exactly once.
        for n in open.drain(..) {
            let body = json!({"values": {"N": n}});
            let url = api(&server, &items);
            let key = format!("n{n}");
            let (status, item) = caller.call("POST", &url, Some(&key), &body).await.unwrap();
            assert_eq!(status, 201, "{item}");
            acknowledged.insert(n, item["id"].as_str().unwrap().to_owned());
        }
    }
    let mut found: HashMap<u64, String> = HashMap::new();
    let mut cursor = String::new();
    loop {
        let url = api(&server, &format!("{items}?limit=1000{cursor}"));
        let (status, page) = caller.call("GET", &url, None, &Value::Null).await.unwrap();
        assert_eq!(status, 200, "{page}");
        for item in page["data"].as_array().unwrap() {
            let n = item["values"]["N"].as_u64().unwrap();
            let doubled = found.insert(n, item["id"].as_str().unwrap().to_owned());
            assert!(doubled.is_none(), "{n} is there twice");
        }
        match page["next_cursor"].as_str() {
            Some(text) => cursor = format!("&cursor={text}"),
            None => break,
        }
    }
    assert_eq!(
        found, acknowledged,
        "what is there is what was acknowledged"
    );
    let verify = api(&server, &format!("{workspace}/audit/verify"));
    let (_, verdict) = caller
        .call("GET", &verify, None, &Value::Null)
        .await
        .unwrap();
    assert_eq!(verdict["ok"], true, "{verdict}");
    assert_eq!(verdict["events"].as_u64().unwrap(), 2 + found.len() as u64);
    let outcome = format!(
        "{} writes of {EDITORS} editors, none lost, none doubled",
        found.len()
    );
    report("server: kill -9", kills, &outcome, begun);
}

//! What the built-in identity provider promises over HTTP. Each function takes the base URL of a
//! running server (no slash at its end) and makes accounts of its own.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery";

/// An answer as far as these tests look at it.
#[derive(Debug)]
struct Answer {
    status: u16,
    code: Option<String>,
    version: Option<String>,
    retry_after: Option<u64>,
    cache_control: String,
    body: Value,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        Self {
            status: response.status().as_u16(),
            code: header("x-sb-error-code"),
            version: header("x-supabase-api-version"),
            retry_after: header("retry-after").map(|seconds| seconds.parse().unwrap()),
            cache_control: header("cache-control").unwrap_or_default(),
            body: if response.status() == StatusCode::NO_CONTENT {
                Value::Null
            } else {
                response.json().await.unwrap()
            },
        }
    }

    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.code.as_deref()),
            (status, Some(code)),
            "{self:?}"
        );
        assert_eq!(self.body["error_code"], code, "{self:?}");
        assert_eq!(self.cache_control, "no-store");
    }

    #[track_caller]
    fn session(&self) -> Session {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.cache_control, "no-store");
        Session {
            access: self.body["access_token"].as_str().unwrap().to_owned(),
            refresh: self.body["refresh_token"].as_str().unwrap().to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
struct Session {
    access: String,
    refresh: String,
}

fn request(base: &str, method: Method, path: &str) -> RequestBuilder {
    Client::new().request(method, format!("{base}/auth/v1{path}"))
}

async fn post(base: &str, path: &str, body: Value) -> Answer {
    Answer::of(request(base, Method::POST, path).json(&body)).await
}

async fn sign_up(base: &str, email: &str) -> Session {
    post(
        base,
        "/signup",
        json!({"email": email, "password": PASSWORD}),
    )
    .await
    .session()
}

async fn sign_in(base: &str, email: &str, password: &str) -> Answer {
    post(
        base,
        "/token?grant_type=password",
        json!({"email": email, "password": password}),
    )
    .await
}

async fn refresh(base: &str, token: &str) -> Answer {
    post(
        base,
        "/token?grant_type=refresh_token",
        json!({"refresh_token": token}),
    )
    .await
}

async fn user(base: &str, session: &Session) -> Answer {
    Answer::of(request(base, Method::GET, "/user").bearer_auth(&session.access)).await
}

async fn update(base: &str, session: &Session, change: Value) -> Answer {
    Answer::of(
        request(base, Method::PUT, "/user")
            .bearer_auth(&session.access)
            .json(&change),
    )
    .await
}

async fn sign_out(base: &str, session: &Session, scope: &str) -> Answer {
    let path = format!("/logout?scope={scope}");
    Answer::of(request(base, Method::POST, &path).bearer_auth(&session.access)).await
}

fn address(name: &str) -> String {
    format!("{name}.{}@example.com", Uuid::new_v4().simple())
}

pub async fn an_address_has_one_account_however_many_ask_at_once(base: &str) {
    let email = address("race");
    let spellings = [email.clone(), email.to_uppercase(), format!(" {email} ")];
    let tries = (0..6).map(|n| {
        post(
            base,
            "/signup",
            json!({"email": spellings[n % 3], "password": PASSWORD}),
        )
    });
    let answers = join_all(tries).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1, "{answers:?}");
    lost.iter()
        .for_each(|answer| answer.refused(422, "user_already_exists"));
    assert_eq!(won[0].body["user"]["email"], email);
}

pub async fn refreshing_at_once_from_many_tabs_gives_all_the_same_token(base: &str) {
    let session = sign_up(base, &address("tabs")).await;
    let answers = join_all((0..8).map(|_| refresh(base, &session.refresh))).await;
    let first = answers[0].session().refresh;
    assert_ne!(first, session.refresh);
    for answer in &answers {
        assert_eq!(answer.session().refresh, first);
    }
    refresh(base, &first).await.session();
}

pub async fn a_token_from_before_the_last_refresh_ends_the_session(base: &str) {
    let first = sign_up(base, &address("thief")).await;
    let second = refresh(base, &first.refresh).await.session();
    let third = refresh(base, &second.refresh).await.session();
    assert_eq!(user(base, &third).await.status, 200);
    refresh(base, &first.refresh)
        .await
        .refused(400, "refresh_token_already_used");
    refresh(base, &third.refresh)
        .await
        .refused(400, "refresh_token_not_found");
    user(base, &third).await.refused(403, "session_not_found");
}

pub async fn signing_out_ends_what_its_scope_says(base: &str) {
    let email = address("scopes");
    let first = sign_up(base, &email).await;
    let second = sign_in(base, &email, PASSWORD).await.session();
    let third = sign_in(base, &email, PASSWORD).await.session();
    let stranger = sign_up(base, &address("stranger")).await;

    assert_eq!(sign_out(base, &first, "local").await.status, 204);
    refresh(base, &first.refresh)
        .await
        .refused(400, "refresh_token_not_found");
    assert_eq!(user(base, &second).await.status, 200);

    assert_eq!(sign_out(base, &second, "others").await.status, 204);
    user(base, &third).await.refused(403, "session_not_found");
    assert_eq!(user(base, &second).await.status, 200);

    sign_out(base, &second, "everything")
        .await
        .refused(400, "validation_failed");
    assert_eq!(sign_out(base, &second, "global").await.status, 204);
    user(base, &second).await.refused(403, "session_not_found");
    sign_out(base, &second, "global")
        .await
        .refused(403, "session_not_found");
    assert_eq!(
        user(base, &stranger).await.status,
        200,
        "other people are not concerned"
    );
}

pub async fn a_new_password_ends_the_other_sessions(base: &str) {
    let email = address("password");
    let here = sign_up(base, &email).await;
    let there = sign_in(base, &email, PASSWORD).await.session();
    let change = json!({"password": "another horse battery", "current_password": "not this one"});
    update(base, &here, change)
        .await
        .refused(400, "invalid_credentials");
    let change = json!({"password": "another horse battery", "current_password": PASSWORD});
    assert_eq!(update(base, &here, change).await.status, 200);
    user(base, &there).await.refused(403, "session_not_found");
    assert_eq!(user(base, &here).await.status, 200);
    sign_in(base, &email, PASSWORD)
        .await
        .refused(400, "invalid_credentials");
    sign_in(base, &email, "another horse battery")
        .await
        .session();
}

pub async fn metadata_is_merged_and_kept_small(base: &str) {
    let session = sign_up(base, &address("metadata")).await;
    update(
        base,
        &session,
        json!({"data": {"name": "Ada", "city": "London"}}),
    )
    .await;
    let answer = update(
        base,
        &session,
        json!({"data": {"city": null, "tags": ["a"]}}),
    )
    .await;
    assert_eq!(
        answer.body["user_metadata"],
        json!({"name": "Ada", "tags": ["a"]})
    );
    for bad in [
        json!({"note": "x".repeat(5000)}),
        json!({"note": "\0"}),
        json!({"\0": 1}),
    ] {
        update(base, &session, json!({"data": bad}))
            .await
            .refused(400, "validation_failed");
    }
    update(base, &session, json!({"data": {"note": "é".repeat(1800)}})).await;
    let token = refresh(base, &session.refresh).await.session().access;
    assert!(token.len() < 8 * 1024, "{}", token.len());
    let oversized =
        json!({"email": address("m"), "password": PASSWORD, "data": {"note": "x".repeat(5000)}});
    post(base, "/signup", oversized)
        .await
        .refused(400, "validation_failed");
}

pub async fn an_address_can_be_changed_but_not_taken(base: &str) {
    let (old, new, taken) = (address("old"), address("new"), address("taken"));
    sign_up(base, &taken).await;
    let session = sign_up(base, &old).await;
    update(base, &session, json!({"email": taken}))
        .await
        .refused(422, "email_exists");
    update(base, &session, json!({"email": "nobody"}))
        .await
        .refused(400, "validation_failed");
    let answer = update(base, &session, json!({"email": new.to_uppercase()})).await;
    assert_eq!(answer.body["email"], new);
    sign_in(base, &new, PASSWORD).await.session();
    sign_in(base, &old, PASSWORD)
        .await
        .refused(400, "invalid_credentials");
}

pub async fn errors_come_in_the_style_of_the_version_asked_for(base: &str) {
    let body = json!({"email": address("style"), "password": "short"});
    let old = post(base, "/signup", body.clone()).await;
    old.refused(422, "weak_password");
    assert_eq!(
        (old.body["code"].as_u64(), old.version.as_deref()),
        (Some(422), None)
    );
    let named =
        request(base, Method::POST, "/signup").header("X-Supabase-Api-Version", "2024-01-01");
    let new = Answer::of(named.json(&body)).await;
    new.refused(422, "weak_password");
    assert_eq!(new.body["code"], "weak_password");
    assert_eq!(new.version.as_deref(), Some("2024-01-01"));
    assert_eq!(new.body["weak_password"]["reasons"], json!(["length"]));
}

pub async fn bad_input_gets_a_code_and_harms_nobody(base: &str) {
    let signup = || request(base, Method::POST, "/signup");
    let json_type = ("content-type", "application/json");
    let raw = |body: Vec<u8>| Answer::of(signup().header(json_type.0, json_type.1).body(body));

    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let request = signup().header("content-type", other).body("{}");
        Answer::of(request)
            .await
            .refused(415, "unsupported_media_type");
    }
    Answer::of(signup().body("{}"))
        .await
        .refused(415, "unsupported_media_type");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        r#"{"email":7}"#,
        r#"{"email":"a","email":"b"}"#,
    ] {
        raw(body.into()).await.refused(400, "bad_json");
    }
    raw("[".repeat(100_000).into())
        .await
        .refused(400, "bad_json");
    raw(b"{\"email\":\"\xff\"}".to_vec())
        .await
        .refused(400, "bad_json");
    raw(vec![b' '; 1024 * 1024 + 1])
        .await
        .refused(413, "validation_failed");

    for email in [
        "",
        "ada",
        "Ada <ada@example.com>",
        "ada\0@example.com",
        &format!("{}@example.com", "a".repeat(300)),
    ] {
        let answer = post(
            base,
            "/signup",
            json!({"email": email, "password": PASSWORD}),
        )
        .await;
        answer.refused(400, "validation_failed");
        sign_in(base, email, PASSWORD)
            .await
            .refused(400, "invalid_credentials");
    }
    let no_password = json!({"email": address("none")});
    post(base, "/signup", no_password)
        .await
        .refused(400, "validation_failed");
    for grant in [
        "",
        "?grant_type=",
        "?grant_type=pkce",
        "?grant_type=password",
        "?grant_type=refresh_token",
        "?grant_type=password&grant_type=password",
    ] {
        post(base, &format!("/token{grant}"), json!({}))
            .await
            .refused(400, "validation_failed");
    }
    for token in ["", "x", "\0", &"x".repeat(100_000)] {
        refresh(base, token)
            .await
            .refused(400, "refresh_token_not_found");
    }
    Answer::of(request(base, Method::GET, "/nothing"))
        .await
        .refused(404, "not_found");
    Answer::of(request(base, Method::DELETE, "/user"))
        .await
        .refused(405, "method_not_allowed");
}

pub async fn a_caller_names_themselves_in_one_header_only(base: &str) {
    let session = sign_up(base, &address("header")).await;
    let get = |path: &str| request(base, Method::GET, path);
    Answer::of(get("/user"))
        .await
        .refused(401, "no_authorization");
    let in_query = format!("/user?access_token={}", session.access);
    Answer::of(get(&in_query))
        .await
        .refused(401, "no_authorization");
    let twice = get("/user")
        .bearer_auth(&session.access)
        .bearer_auth(&session.access);
    Answer::of(twice).await.refused(400, "validation_failed");
    Answer::of(get("/user").basic_auth("ada", Some(PASSWORD)))
        .await
        .refused(401, "no_authorization");
    Answer::of(get("/user").bearer_auth("sb_publishable_abc"))
        .await
        .refused(403, "bad_jwt");
    Answer::of(get("/user").bearer_auth(&session.refresh))
        .await
        .refused(403, "bad_jwt");
}

pub async fn guessing_a_password_ends_after_ten_tries(base: &str) {
    let email = address("guess");
    sign_up(base, &email).await;
    for _ in 0..10 {
        sign_in(base, &email, "wrong horse battery")
            .await
            .refused(400, "invalid_credentials");
    }
    let answer = sign_in(base, &email, PASSWORD).await;
    answer.refused(429, "over_request_rate_limit");
    assert!((1..=7).contains(&answer.retry_after.unwrap()), "{answer:?}");
    let other = address("other");
    sign_up(base, &other).await;
    sign_in(base, &other, PASSWORD).await.session();
}

pub async fn an_unknown_address_looks_like_a_wrong_password(base: &str) {
    let known = address("known");
    sign_up(base, &known).await;
    let mut times = [vec![], vec![]];
    let mut bodies = vec![];
    for _ in 0..7 {
        for (email, times) in [known.clone(), address("unknown")].iter().zip(&mut times) {
            let start = Instant::now();
            let answer = sign_in(base, email, "wrong horse battery").await;
            times.push(start.elapsed());
            answer.refused(400, "invalid_credentials");
            bodies.push(answer.body);
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let [wrong, unknown] = times.map(|mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    let ratio = unknown / wrong;
    assert!(
        (0.5..2.0).contains(&ratio),
        "unknown {unknown} s, wrong {wrong} s"
    );
}

pub async fn it_says_what_it_is(base: &str) {
    let get = |path: &'static str| Answer::of(request(base, Method::GET, path));
    let discovery = get("/.well-known/openid-configuration").await;
    assert_eq!(discovery.body["issuer"], format!("{base}/auth/v1"));
    assert_eq!(
        discovery.body["jwks_uri"],
        format!("{base}/auth/v1/.well-known/jwks.json")
    );
    let keys = get("/.well-known/jwks.json").await;
    assert_eq!(keys.cache_control, "public, max-age=600");
    assert_eq!(keys.body["keys"].as_array().unwrap().len(), 1);
    assert_eq!(get("/settings").await.body["mailer_autoconfirm"], true);
    assert_eq!(get("/health").await.status, 200);
}

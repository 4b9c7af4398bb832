//! Who the tools are: a given token, an e-mail and password at the built-in identity provider
//! (GoTrue's shapes), or a new account of their own. Access tokens are refreshed before they end.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::rest::{Call, Rest};

/// Where the server is and who asks; the same flags for every tool.
#[derive(Clone, Debug, clap::Args)]
pub struct LoginArgs {
    /// The server's address.
    #[arg(long, env = "ESTATEBASE_URL", default_value = "http://127.0.0.1:8080")]
    pub url: Url,
    /// An access token or an API token.
    #[arg(long, env = "ESTATEBASE_TOKEN", hide_env_values = true, conflicts_with_all = ["email", "password"])]
    pub token: Option<String>,
    /// The e-mail address of an account.
    #[arg(long, env = "ESTATEBASE_EMAIL", requires = "password")]
    pub email: Option<String>,
    /// The password of that account.
    #[arg(
        long,
        env = "ESTATEBASE_PASSWORD",
        hide_env_values = true,
        requires = "email"
    )]
    pub password: Option<String>,
}

/// A signed-in caller whose token stays good.
pub struct Session {
    rest: Rest,
    renewal: Option<Renewal>,
}

/// An account made for one run.
pub struct Account {
    pub email: String,
    pub password: String,
}

struct Renewal {
    refresh_token: String,
    due: Instant,
}

/// What GoTrue answers to a sign-up, a sign-in and a refresh.
#[derive(Deserialize)]
struct Grant {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

impl LoginArgs {
    /// Signs in.
    ///
    /// # Errors
    /// When no credentials were given, or the server refuses them.
    pub async fn sign_in(&self) -> anyhow::Result<Session> {
        let rest = Rest::new(self.url.clone(), "")?;
        match (&self.token, &self.email, &self.password) {
            (Some(token), ..) => Ok(Session {
                rest: rest.with_token(token),
                renewal: None,
            }),
            (None, Some(email), Some(password)) => {
                let body = json!({ "email": email, "password": password });
                grant(rest, "/auth/v1/token?grant_type=password", &body)
                    .await
                    .context("signing in")
            }
            _ => bail!("say who asks: --token, or --email and --password"),
        }
    }

    /// Signs in, or up with a new account when no credentials were given.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn sign_in_or_up(&self) -> anyhow::Result<(Session, Option<Account>)> {
        if self.token.is_some() || self.email.is_some() {
            return Ok((self.sign_in().await?, None));
        }
        let account = Account {
            email: format!("tools-{}@example.com", Uuid::new_v4().simple()),
            password: Uuid::new_v4().to_string(),
        };
        let body = json!({ "email": account.email, "password": account.password });
        let rest = Rest::new(self.url.clone(), "")?;
        let session = grant(rest, "/auth/v1/signup", &body)
            .await
            .context("signing up for a run of its own (give --token where there is no sign-up)")?;
        Ok((session, Some(account)))
    }
}

impl Session {
    /// A caller with a token that somebody else looks after.
    ///
    /// # Errors
    /// When the machine's TLS can't be set up.
    pub fn with_token(url: Url, token: impl Into<String>) -> anyhow::Result<Self> {
        Ok(Self {
            rest: Rest::new(url, token)?,
            renewal: None,
        })
    }

    /// The caller, under a token that is good for another minute at least.
    ///
    /// # Errors
    /// When the server refuses to refresh it.
    pub async fn rest(&mut self) -> anyhow::Result<Rest> {
        if let Some(renewal) = self.renewal.take_if(|r| r.due <= Instant::now()) {
            let body = json!({ "refresh_token": renewal.refresh_token });
            *self = grant(
                self.rest.with_token(""),
                "/auth/v1/token?grant_type=refresh_token",
                &body,
            )
            .await
            .context("refreshing the session")?;
        }
        Ok(self.rest.clone())
    }
}

async fn grant(rest: Rest, path: &str, body: &serde_json::Value) -> anyhow::Result<Session> {
    let granted: Grant = rest.read(Call::new(Method::POST, path).json(body)?).await?;
    let good_for = Duration::from_secs(granted.expires_in.saturating_sub(60));
    Ok(Session {
        rest: rest.with_token(granted.access_token),
        renewal: Some(Renewal {
            refresh_token: granted.refresh_token,
            due: Instant::now() + good_for,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::matchers::{body_json, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn args(server: &MockServer) -> LoginArgs {
        LoginArgs {
            url: server.uri().parse().unwrap(),
            token: None,
            email: None,
            password: None,
        }
    }

    fn granted(token: &str, seconds: u64) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "access_token": token, "token_type": "bearer", "expires_in": seconds,
            "refresh_token": format!("refresh-{token}"), "user": {"id": Uuid::nil()}
        }))
    }

    #[tokio::test]
    async fn an_ageing_token_is_exchanged_for_a_fresh_one_once() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/auth/v1/token"))
            .and(query_param("grant_type", "password"))
            .and(body_json(
                json!({"email": "a@example.com", "password": "p"}),
            ))
            .respond_with(granted("one", 30))
            .mount(&server)
            .await;
        Mock::given(query_param("grant_type", "refresh_token"))
            .and(body_json(json!({"refresh_token": "refresh-one"})))
            .respond_with(granted("two", 3600))
            .expect(1)
            .mount(&server)
            .await;
        let mut session = LoginArgs {
            email: Some("a@example.com".into()),
            password: Some("p".into()),
            ..args(&server)
        }
        .sign_in()
        .await
        .unwrap();
        assert_eq!(session.rest().await.unwrap().token(), "two");
        assert_eq!(session.rest().await.unwrap().token(), "two");
    }

    #[tokio::test]
    async fn without_credentials_an_account_of_its_own_is_made() {
        let server = MockServer::start().await;
        Mock::given(path("/auth/v1/signup"))
            .respond_with(granted("new", 3600))
            .mount(&server)
            .await;
        assert!(args(&server).sign_in().await.is_err());
        let (mut session, account) = args(&server).sign_in_or_up().await.unwrap();
        assert_eq!(session.rest().await.unwrap().token(), "new");
        assert!(account.unwrap().email.ends_with("@example.com"));
    }
}

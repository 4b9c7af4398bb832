//! `estatebase migrate`: brings the schema up to date as the owner of the database, and sees to it
//! that the server's role can sign in and is bound by row-level security. Run before each deploy.

use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tracing::warn;
use url::Url;

use super::database::{self, Database};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::store::roles::{self, Login};
use crate::telemetry::{self, LogFormat};

/// Bring the database's schema and roles up to date (as DATABASE_OWNER_URL)
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    config: Config,
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config;
        telemetry::start_logs(&config.log, LogFormat::suited(config.is_development()))?;
        match (&config.database_url, &config.database_owner_url) {
            (Some(url), Some(owner_url)) => hosted(owner_url, url).await?,
            (None, None) if config.is_development() => private(&config).await?,
            _ => bail!(
                "both DATABASE_OWNER_URL (who migrates) and DATABASE_URL (who serves, and needs a role) must be set"
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn private(config: &Config) -> anyhow::Result<()> {
    let folder = DataFolder::claim(&config.data_dir)?;
    let database = Database::open(config, &folder).await?;
    let migrated = match &database.owner_url {
        Some(owner_url) => database::migrate(owner_url).await,
        None => Ok(()),
    };
    database.close().await?;
    migrated
}

/// The group roles come first, for the migrations give them grants; then the schema; then the role
/// that signs in.
async fn hosted(owner_url: &SecretString, url: &SecretString) -> anyhow::Result<()> {
    let web = WebRole::named_in(url)?;
    let mut owner = PgConnection::connect(owner_url.expose_secret())
        .await
        .context("DATABASE_OWNER_URL can't be reached")?;
    let may = roles::may_create_roles(&mut owner).await?;
    if may {
        roles::ensure_groups(&mut owner).await?;
    }
    let missing = roles::missing_groups(&mut owner).await?;
    if !missing.is_empty() {
        bail!(
            "the owner may not create roles. As a role that may, type:\n\n{}",
            web.by_hand(&missing)
        );
    }
    database::migrate(owner_url).await?;
    if web.can_serve(url).await? {
        return Ok(());
    }
    if !may {
        bail!(
            "the server's role is not ready. As a role that may create roles, type:\n\n{}",
            web.by_hand(&missing)
        );
    }
    let login = Login {
        name: &web.name,
        password: web.password.expose_secret(),
    };
    roles::ensure_login(&mut owner, login, Some(roles::APP)).await?;
    owner.close().await?;
    if !web.can_serve(url).await? {
        bail!(
            "the role {} of DATABASE_URL passes row-level security by (a superuser, or BYPASSRLS): name another role there",
            web.name
        );
    }
    Ok(())
}

/// The role that the server signs in as.
struct WebRole {
    name: String,
    password: SecretString,
}

impl WebRole {
    fn named_in(url: &SecretString) -> anyhow::Result<Self> {
        let url = Url::parse(url.expose_secret()).context("DATABASE_URL can't be read")?;
        let user = percent_decoded(url.username());
        let password = percent_decoded(url.password().unwrap_or_default());
        if user.is_empty() || password.is_empty() {
            bail!("DATABASE_URL must name the server's role and its password");
        }
        // Supabase's pooler takes `role.project` for a user.
        let pooled = url
            .host_str()
            .is_some_and(|host| host.ends_with(".pooler.supabase.com"));
        let name = match user.rsplit_once('.') {
            Some((role, _project)) if pooled => role.to_owned(),
            _ => user,
        };
        Ok(Self {
            name,
            password: password.into(),
        })
    }

    /// Whether it can sign in and is bound as it should be. Fails when nobody answers.
    async fn can_serve(&self, url: &SecretString) -> anyhow::Result<bool> {
        let options = PgConnectOptions::from_str(url.expose_secret())?;
        match PgConnection::connect_with(&options).await {
            Ok(mut connection) => {
                let fit = roles::is_fit_for_serving(&mut connection).await?;
                connection.close().await?;
                Ok(fit)
            }
            Err(sqlx::Error::Database(answer)) => {
                warn!("DATABASE_URL is refused: {}", answer.message());
                Ok(false)
            }
            Err(error) => Err(error).context("DATABASE_URL can't be reached"),
        }
    }

    /// The same in SQL, for a person with more rights. Without the password: what is typed is kept.
    fn by_hand(&self, missing_groups: &[&str]) -> String {
        let name = roles::identifier(&self.name);
        let mut lines: Vec<String> = missing_groups
            .iter()
            .map(|group| format!("CREATE ROLE {} NOLOGIN;", roles::identifier(group)))
            .collect();
        lines.push(format!("CREATE ROLE {name} LOGIN;"));
        lines.push(format!("\\password {name}"));
        lines.push(format!(
            "GRANT {} TO {name};",
            roles::identifier(roles::APP)
        ));
        lines.join("\n")
    }
}

/// Undoes a URL's percent-encoding (RFC 3986, 2.1).
fn percent_decoded(text: &str) -> String {
    // To a form's reader it is a name without a value, once what a form gives a meaning is encoded.
    let name = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    url::form_urlencoded::parse(name.as_bytes())
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(url: &str) -> (String, String) {
        let role = WebRole::named_in(&url.into()).unwrap();
        (role.name, role.password.expose_secret().to_owned())
    }

    #[test]
    fn the_role_is_read_from_the_url() {
        let check = |url: &str, name: &str, password: &str| {
            assert_eq!(role(url), (name.to_owned(), password.to_owned()), "{url}");
        };
        check("postgres://web:secret@db:5432/x", "web", "secret");
        check("postgres://we%2Eb:a%40b+c%25=&d@db/x", "we.b", "a@b+c%=&d");
        check(
            "postgres://web.ref:p@eu.pooler.supabase.com:6543/postgres",
            "web",
            "p",
        );
        check(
            "postgres://web.ref:p@elsewhere:6543/postgres",
            "web.ref",
            "p",
        );
    }

    #[test]
    fn a_url_without_a_password_is_refused() {
        for url in [
            "postgres://web@db/x",
            "postgres://db/x",
            "postgres://:p@db/x",
        ] {
            assert!(WebRole::named_in(&url.into()).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_to_be_typed_holds_no_password() {
        let role = WebRole {
            name: "web".into(),
            password: "hidden".to_owned().into(),
        };
        let text = role.by_hand(&["a_group"]);
        assert!(text.starts_with("CREATE ROLE \"a_group\" NOLOGIN;\nCREATE ROLE \"web\" LOGIN;\n"));
        assert!(text.ends_with("GRANT \"estatebase_app\" TO \"web\";"));
        assert!(!text.contains("hidden"));
    }
}

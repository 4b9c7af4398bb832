//! `estatebase migrate` on a hosted database: an owner who is no superuser, a role to serve.

use std::process::Output;

use estatebase::store::roles;
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::support::db::{drop_database, execute, new_name, server_url};
use crate::support::program::{estatebase, run, text};

const PASSWORD: &str = "p@ss+w&rd=%'\\\"";

/// An empty database with its owner, and the name of a role that is not there yet.
struct Hosted {
    database: String,
    owner: String,
    web: String,
}

impl Hosted {
    async fn new(attributes: &str) -> Self {
        let database = new_name();
        let hosted = Self {
            owner: format!("{database}_owner"),
            web: format!("{database}_web"),
            database,
        };
        let mut server = hosted.superuser().await;
        roles::ensure_groups(&mut server).await.unwrap();
        let Self {
            database, owner, ..
        } = &hosted;
        execute(
            &mut server,
            format!("CREATE ROLE {owner} LOGIN {attributes} PASSWORD 'owner'"),
        )
        .await;
        // As if it had made the group itself: from version 16 on, who makes a role may grant it.
        execute(
            &mut server,
            format!("GRANT {} TO {owner} WITH ADMIN OPTION", roles::APP),
        )
        .await;
        execute(
            &mut server,
            format!("CREATE DATABASE {database} OWNER {owner}"),
        )
        .await;
        hosted
    }

    async fn superuser(&self) -> PgConnection {
        PgConnection::connect(server_url().as_str()).await.unwrap()
    }

    fn url(&self, user: &str, password: &str) -> String {
        let mut url: Url = server_url();
        url.set_username(user).unwrap();
        // Encodes all that a URL gives a meaning.
        url.set_password(Some(&password.replace('%', "%25")))
            .unwrap();
        url.set_path(&self.database);
        url.into()
    }

    fn migrate(&self) -> Output {
        run(estatebase("migrate")
            .env("APP_ENV", "production")
            .env("DATABASE_OWNER_URL", self.url(&self.owner, "owner"))
            .env("DATABASE_URL", self.url(&self.web, PASSWORD)))
    }

    async fn has_the_schema(&self) -> bool {
        let mut owner = PgConnection::connect(&self.url(&self.owner, "owner"))
            .await
            .unwrap();
        sqlx::query_scalar("SELECT to_regclass('estatebase.workspaces') IS NOT NULL")
            .fetch_one(&mut owner)
            .await
            .unwrap()
    }

    async fn drop(self) {
        drop_database(&self.database);
        let mut server = self.superuser().await;
        execute(&mut server, format!("DROP ROLE IF EXISTS {}", self.web)).await;
        execute(&mut server, format!("DROP ROLE {}", self.owner)).await;
    }
}

#[tokio::test]
async fn it_makes_the_schema_and_the_servers_role_and_may_be_repeated() {
    let hosted = Hosted::new("CREATEROLE").await;
    for _ in 0..2 {
        let output = hosted.migrate();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("p@ss"));
    }
    assert!(hosted.has_the_schema().await);
    let mut web = PgConnection::connect(&hosted.url(&hosted.web, PASSWORD))
        .await
        .unwrap();
    assert!(roles::is_fit_for_serving(&mut web).await.unwrap());
    web.close().await.unwrap();
    hosted.drop().await;
}

#[tokio::test]
async fn an_owner_who_may_make_no_roles_is_told_what_to_type() {
    let hosted = Hosted::new("NOCREATEROLE").await;
    let output = hosted.migrate();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for line in [
        format!("CREATE ROLE \"{}\" LOGIN;", hosted.web),
        format!("\\password \"{}\"", hosted.web),
        format!("GRANT \"estatebase_app\" TO \"{}\";", hosted.web),
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "{line} not in\n{said}"
        );
    }
    assert!(!said.contains("p@ss"), "{said}");

    let mut server = hosted.superuser().await;
    let login = roles::Login {
        name: &hosted.web,
        password: PASSWORD,
    };
    roles::ensure_login(&mut server, login, Some(roles::APP))
        .await
        .unwrap();
    let output = hosted.migrate();
    assert!(output.status.success(), "{}", text(&output.stderr));
    hosted.drop().await;
}

#[tokio::test]
async fn a_role_that_passes_the_policies_by_is_refused() {
    let hosted = Hosted::new("CREATEROLE").await;
    let mut server = hosted.superuser().await;
    let login = roles::Login {
        name: &hosted.web,
        password: PASSWORD,
    };
    roles::ensure_login(&mut server, login, Some(roles::APP))
        .await
        .unwrap();
    execute(&mut server, format!("ALTER ROLE {} BYPASSRLS", hosted.web)).await;
    let output = hosted.migrate();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("passes row-level security by"));
    hosted.drop().await;
}

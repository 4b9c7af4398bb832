//! The roles of the cluster: the group roles that hold grants (and own nothing), and the roles that
//! sign in. Run as a superuser or as an owner who may create roles; the tables' grants are the
//! migrations' business.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::StoreError;

/// The role that holds every grant of the server.
pub const APP: &str = "estatebase_app";
/// All group roles; the migrations give them their grants.
pub const GROUPS: [&str; 2] = [APP, "estatebase_eraser"];

/// Roles are the cluster's, and two who make the same one at once get an error that names a
/// catalogue: so they queue, in this transaction lock.
const QUEUE: i64 = 0x6573_7461_7465;

/// A role that signs in.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    pub name: &'a str,
    pub password: &'a str,
}

/// Makes the group roles that are missing.
pub async fn ensure_groups(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    queue(&mut transaction).await?;
    for group in GROUPS {
        if !exists(&mut transaction, group).await? {
            execute(
                &mut transaction,
                format!("CREATE ROLE {} NOLOGIN", identifier(group)),
            )
            .await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Makes the role when it is missing, and gives it its password and (for the server) its
/// membership in the group that holds the grants.
pub async fn ensure_login(
    connection: &mut PgConnection,
    login: Login<'_>,
    member_of: Option<&str>,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    queue(&mut transaction).await?;
    let verb = if exists(&mut transaction, login.name).await? {
        "ALTER"
    } else {
        "CREATE"
    };
    let (name, password) = (identifier(login.name), literal(login.password));
    execute(
        &mut transaction,
        format!("{verb} ROLE {name} LOGIN PASSWORD {password}"),
    )
    .await?;
    if let Some(group) = member_of {
        execute(
            &mut transaction,
            format!("GRANT {} TO {name}", identifier(group)),
        )
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Makes the database when it is missing; nobody but its owner and the server may connect to it.
pub async fn ensure_database(
    connection: &mut PgConnection,
    name: &str,
    owner: &str,
) -> Result<(), StoreError> {
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
    let (name, owner) = (identifier(name), identifier(owner));
    if !there {
        execute(connection, format!("CREATE DATABASE {name} OWNER {owner}")).await?;
    }
    let app = identifier(APP);
    execute(
        connection,
        format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
    )
    .await?;
    execute(
        connection,
        format!("GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {app}"),
    )
    .await
}

/// Which of the group roles are missing.
pub async fn missing_groups(
    connection: &mut PgConnection,
) -> Result<Vec<&'static str>, StoreError> {
    let mut missing = Vec::new();
    for group in GROUPS {
        if !exists(connection, group).await? {
            missing.push(group);
        }
    }
    Ok(missing)
}

/// Whether the signed-in role may make roles.
pub async fn may_create_roles(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let may = sqlx::query_scalar(
        "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(connection)
    .await?;
    Ok(may)
}

/// Whether row-level security binds the signed-in role as it should bind the server: it has the
/// server's grants, is no superuser, and may not pass the policies by.
pub async fn is_fit_for_serving(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let fit = sqlx::query_scalar(
        "SELECT NOT rolsuper AND NOT rolbypassrls AND EXISTS (
             SELECT FROM pg_roles app WHERE app.rolname = $1
                AND pg_has_role(current_user, app.oid, 'USAGE'))
         FROM pg_roles WHERE rolname = current_user",
    )
    .bind(APP)
    .fetch_one(connection)
    .await?;
    Ok(fit)
}

async fn queue(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(QUEUE)
        .execute(connection)
        .await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, role: &str) -> Result<bool, StoreError> {
    let exists = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(role)
        .fetch_one(connection)
        .await?;
    Ok(exists)
}

/// Statements that make roles and databases take no parameters.
async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}

/// A quoted identifier (PostgreSQL manual, 4.1.1).
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string that means the same whatever `standard_conforming_strings` says (4.1.2.2).
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_stay_in_their_quotes() {
        assert_eq!(
            identifier(r#"a"; DROP ROLE b; --"#),
            r#""a""; DROP ROLE b; --""#
        );
        assert_eq!(literal(r"it's \"), r"E'it''s \\'");
    }
}

//! The tables of the built-in identity provider. In a schema of their own: `auth` is Supabase's.
//! They stand outside any tenant, so there is no row-level security here; the server's role may
//! read and write rows, and nobody else may do anything.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        database.execute_unprepared(APP_ROLE).await?;
        database.execute_unprepared(TABLES).await?;
        database.execute_unprepared(GRANTS).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The role stays: it belongs to the cluster, and other databases may use it.
        manager
            .get_connection()
            .execute_unprepared("DROP SCHEMA identity CASCADE")
            .await?;
        Ok(())
    }
}

/// Roles belong to the cluster: another database's migration may make the same one at the same
/// moment, and a hosted owner may not be allowed to make any (then it is there already, or the
/// owner serves too).
const APP_ROLE: &str = "
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'estatebase_app') THEN
        CREATE ROLE estatebase_app NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role estatebase_app can not be created by %', current_user;
END
$$";

const TABLES: &str = "
CREATE SCHEMA identity;

CREATE TABLE identity.users (
    id              uuid PRIMARY KEY,
    -- normalised by the server: trimmed, lower case
    email           text NOT NULL CONSTRAINT users_email_key UNIQUE
                    CHECK (email <> '' AND octet_length(email) <= 254),
    -- PHC string format
    password_hash   text NOT NULL,
    -- It goes into every access token, and a token is at most 8 KiB.
    user_metadata   jsonb NOT NULL DEFAULT '{}'
                    CHECK (jsonb_typeof(user_metadata) = 'object')
                    CONSTRAINT users_metadata_size CHECK (octet_length(user_metadata::text) <= 4096),
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    last_sign_in_at timestamptz
);

CREATE TABLE identity.sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    -- the last sign-in or refresh
    refreshed_at timestamptz NOT NULL
);
CREATE INDEX sessions_user_id ON identity.sessions (user_id);

CREATE TABLE identity.refresh_tokens (
    id         uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES identity.sessions ON DELETE CASCADE,
    -- SHA-256 of the token; the token itself is stored nowhere
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    -- the token that this one took the place of
    parent     uuid,
    created_at timestamptz NOT NULL,
    -- when its successor was made; null in the one active token of a session
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_session_id ON identity.refresh_tokens (session_id);
CREATE UNIQUE INDEX refresh_tokens_one_active ON identity.refresh_tokens (session_id)
    WHERE used_at IS NULL;
";

const GRANTS: &str = "
REVOKE ALL ON SCHEMA identity FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA identity FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'estatebase_app') THEN
        GRANT USAGE ON SCHEMA identity TO estatebase_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA identity TO estatebase_app;
    END IF;
END
$$";

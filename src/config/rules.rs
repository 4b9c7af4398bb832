//! What a configuration must hold for the server to start. Pure: it reads nothing but its argument.

use std::path::Path;
use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::{AppEnv, Config, Switch};

/// Shortest key of an HMAC with SHA-256 (RFC 7518, 3.2), in bytes.
const KEY_BYTES: usize = 32;
/// Shortest bearer token for metrics, in bytes.
const TOKEN_BYTES: usize = 16;
/// Postgres allows 100 connections unless told otherwise; far beyond it a pool only does harm.
const POOL: std::ops::RangeInclusive<u32> = 2..=500;

/// All broken rules, as sentences.
pub(super) fn broken(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    values(config, &mut problems);
    not_built(config, &mut problems);
    if !config.is_development() {
        defaults(config, &mut problems);
    }
    problems
}

/// The folder that a `file:` URL names: `file:relative`, `file:/absolute` or `file:///absolute`.
pub(super) fn file_path(url: &str) -> Option<&Path> {
    let rest = url.strip_prefix("file:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let names_a_host = rest.starts_with("//") && !path.starts_with('/');
    (!path.is_empty() && !names_a_host).then(|| Path::new(path))
}

/// What would be wrong anywhere.
fn values(config: &Config, problems: &mut Vec<String>) {
    for (name, url) in [
        ("DATABASE_URL", &config.database_url),
        ("DATABASE_OWNER_URL", &config.database_owner_url),
    ] {
        if url.as_ref().is_some_and(|url| !is_postgres(url)) {
            problems.push(format!(
                "{name} can't be read: it should look like postgres://user:password@host:5432/database."
            ));
        }
    }
    for (name, key, least) in [
        ("JWT_SECRET", &config.jwt_secret, KEY_BYTES),
        ("SECRET_KEY", &config.secret_key, KEY_BYTES),
        ("METRICS_TOKEN", &config.metrics_token, TOKEN_BYTES),
    ] {
        if key
            .as_ref()
            .is_some_and(|key| key.expose_secret().len() < least)
        {
            problems.push(format!(
                "{name} is too short: it needs at least {least} bytes."
            ));
        }
    }
    if !POOL.contains(&config.db_pool) {
        problems.push(format!(
            "DB_POOL is {}: it must be from {} to {}.",
            config.db_pool,
            POOL.start(),
            POOL.end()
        ));
    }
    if let Some(url) = &config.redis_url
        && !["redis://", "rediss://"]
            .iter()
            .any(|scheme| url.expose_secret().starts_with(scheme))
    {
        problems.push("REDIS_URL can't be read: it should look like redis://host:6379.".to_owned());
    }
    if let Some(url) = &config.supabase_url
        && !is_web(url, config.is_development())
    {
        problems.push("SUPABASE_URL must be an https address.".to_owned());
    }
    if let Some(url) = &config.public_url
        && !matches!(url.scheme(), "http" | "https")
    {
        problems.push("PUBLIC_URL must be an http or https address.".to_owned());
    }
    for origin in &config.cors_origins {
        if origin != "*" && !is_origin(origin) {
            problems.push(format!(
                "CORS_ORIGINS has {origin:?}: an origin is a scheme, a host and perhaps a port, such as https://app.example.com."
            ));
        }
    }
    if config.log.parse::<EnvFilter>().is_err() {
        problems.push(format!(
            "LOG is {:?}: it must be a level (error, warn, info, debug, trace) or directives such as info,estatebase=debug.",
            config.log
        ));
    }
}

/// A setting that nothing heeds yet is refused, not ignored.
fn not_built(config: &Config, problems: &mut Vec<String>) {
    if let Some(url) = &config.storage_url
        && file_path(url.expose_secret()).is_none()
    {
        problems.push(
            "STORAGE_URL must be file:<folder>: other kinds of storage are not built yet."
                .to_owned(),
        );
    }
    if config.smtp_url.is_some() {
        problems.push("SMTP_URL is set, but what it is for is not built yet.".to_owned());
    }
}

/// What development makes up and others must be told.
fn defaults(config: &Config, problems: &mut Vec<String>) {
    let place = match config.app_env {
        AppEnv::Production => "production",
        AppEnv::Development | AppEnv::Staging => "staging",
    };
    let mut need = |missing: bool, sentence: &str| {
        if missing {
            problems.push(format!("In {place} {sentence}"));
        }
    };
    need(
        config.database_url.is_none(),
        "DATABASE_URL must be set: the private Postgres is for development.",
    );
    need(
        config.secret_key.is_none(),
        "SECRET_KEY must be set: a key that is made up would differ from server to server.",
    );
    need(
        config.supabase_url.is_none() && config.jwt_secret.is_none(),
        "SUPABASE_URL or JWT_SECRET must be set: the built-in accounts are for development.",
    );
    need(
        config
            .public_url
            .as_ref()
            .is_none_or(|url| url.scheme() != "https"),
        "PUBLIC_URL must be set to an https address.",
    );
    need(
        config.cors_origins.iter().any(|origin| origin == "*"),
        "CORS_ORIGINS must name the origins: * lets any page call the API.",
    );
    need(
        config.rate_limit == Switch::Off && config.app_env == AppEnv::Production,
        "RATE_LIMIT must be on: off is for load tests.",
    );
}

fn is_postgres(url: &SecretString) -> bool {
    let url = url.expose_secret();
    (url.starts_with("postgres://") || url.starts_with("postgresql://"))
        && PgConnectOptions::from_str(url).is_ok()
}

/// https anywhere, http on this machine in development (the Supabase command line's own stack).
fn is_web(url: &Url, development: bool) -> bool {
    let this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && this_machine && development)
}

/// Exactly as a browser writes it (RFC 6454, 6.2), since it is compared byte by byte.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

#[cfg(test)]
mod tests;

//! Each rule of the configuration, broken and kept.

use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::config::Config;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    config: Config,
}

/// A configuration from flags; no test sets the variables of this process.
fn config(flags: &str) -> Config {
    Line::try_parse_from(std::iter::once("x").chain(flags.split_whitespace()))
        .unwrap()
        .config
}

/// A production that lacks nothing.
const SOUND: &str = "--app-env production --database-url postgres://web:p@db/x \
    --secret-key 0123456789abcdef0123456789abcdef --jwt-secret 0123456789abcdef0123456789abcdef \
    --public-url https://example.com --cors-origins https://app.example.com";

#[track_caller]
fn names(flags: &str, settings: &[&str]) {
    let problems = config(flags).check();
    assert_eq!(problems.len(), settings.len(), "{flags}: {problems:#?}");
    for (problem, setting) in problems.iter().zip(settings) {
        assert!(
            problem.contains(setting) && problem.ends_with('.'),
            "{problem}"
        );
    }
}

#[test]
fn development_needs_nothing() {
    names("", &[]);
}

#[test]
fn a_sound_production_may_start() {
    names(SOUND, &[]);
    names(
        &SOUND.replace(
            "--jwt-secret",
            "--supabase-url https://x.supabase.co --jwt-secret",
        ),
        &[],
    );
}

#[test]
fn all_that_production_lacks_is_said_at_once() {
    names(
        "--app-env production --cors-origins * --rate-limit off",
        &[
            "DATABASE_URL",
            "SECRET_KEY",
            "SUPABASE_URL or JWT_SECRET",
            "PUBLIC_URL",
            "CORS_ORIGINS",
            "RATE_LIMIT",
        ],
    );
}

#[test]
fn staging_is_checked_likewise_but_may_be_load_tested() {
    let staging = SOUND.replace("production", "staging");
    names(&format!("{staging} --rate-limit off"), &[]);
    names(
        "--app-env staging",
        &["DATABASE_URL", "SECRET_KEY", "SUPABASE_URL", "PUBLIC_URL"],
    );
}

#[test]
fn production_is_public_over_https_only() {
    names(
        &SOUND.replace("https://example.com", "http://example.com"),
        &["PUBLIC_URL"],
    );
}

#[test]
fn short_keys_are_refused_everywhere() {
    let short = "x".repeat(31);
    names(
        &format!("--jwt-secret {short} --secret-key {short} --metrics-token 012345678901234"),
        &["JWT_SECRET", "SECRET_KEY", "METRICS_TOKEN"],
    );
    let enough = "x".repeat(32);
    names(
        &format!("--jwt-secret {enough} --secret-key {enough} --metrics-token 0123456789012345"),
        &[],
    );
}

#[test]
fn what_is_not_built_is_refused_and_not_ignored() {
    names(
        "--storage-url s3://bucket --smtp-url smtp://mail",
        &["STORAGE_URL", "SMTP_URL"],
    );
}

#[test]
fn files_are_kept_where_the_url_says() {
    let folder = |flags: &str| config(flags).storage_folder();
    assert_eq!(folder(""), Path::new(".data/files"));
    assert_eq!(folder("--data-dir /d"), Path::new("/d/files"));
    assert_eq!(folder("--storage-url file:there/x"), Path::new("there/x"));
    assert_eq!(folder("--storage-url file:/there"), Path::new("/there"));
    assert_eq!(folder("--storage-url file:///there"), Path::new("/there"));
    for wrong in ["file:", "file://", "file://host/there", "there"] {
        names(&format!("--storage-url {wrong}"), &["STORAGE_URL"]);
    }
}

#[test]
fn values_that_can_not_work_are_refused() {
    names("--database-url mysql://web:p@db/x", &["DATABASE_URL"]);
    names(
        "--database-url postgres://web:p@db:port/x",
        &["DATABASE_URL"],
    );
    names("--database-owner-url db", &["DATABASE_OWNER_URL"]);
    names("--redis-url cache:6379", &["REDIS_URL"]);
    names("--redis-url rediss://cache", &[]);
    names("--db-pool 1", &["DB_POOL"]);
    names("--db-pool 501", &["DB_POOL"]);
    names("--log =", &["LOG"]);
    names("--supabase-url http://x.supabase.co", &["SUPABASE_URL"]);
    names("--supabase-url http://127.0.0.1:54321", &[]);
    names("--public-url ftp://example.com", &["PUBLIC_URL"]);
}

#[test]
fn an_origin_is_written_as_a_browser_writes_it() {
    for right in [
        "https://a.example",
        "http://localhost:5173",
        "https://[::1]:8443",
    ] {
        names(&format!("--cors-origins {right}"), &[]);
    }
    for wrong in [
        "https://a.example/",
        "https://a.example/x",
        "a.example",
        "https://a.example:443",
        "https://A.example",
        "null",
    ] {
        names(
            &format!("--cors-origins https://fine.example,{wrong}"),
            &["CORS_ORIGINS"],
        );
    }
}

proptest! {
    /// Neither its Debug text nor a sentence about what is wrong shows a secret, right or wrong.
    #[test]
    fn secrets_are_never_printed(secret in "[A-Z]{8,60}") {
        let mut all = Vec::new();
        for setting in ["jwt-secret", "secret-key", "metrics-token", "database-url",
            "database-owner-url", "redis-url", "storage-url", "smtp-url"] {
            all.push(format!("--{setting} {secret}"));
        }
        all.push(format!("--database-url postgres://web:{secret}@db/x"));
        for flags in all {
            let config = config(&flags);
            let printed = format!("{config:?}{:?}", config.check());
            prop_assert!(!printed.contains(&secret), "{flags}: {printed}");
        }
    }
}

//! The law of the house: who may use whom, and what may stand where. ARCHITECTURE.md says it in
//! words; here it is kept. Files are read as tokens, so that a macro hides nothing and a comment
//! means nothing. Every rule is tried on a planted violation first: a rule that can't fail keeps
//! nothing. An exception names its file, what it may do, and why; one that is no longer needed fails.

#[path = "architecture/rule.rs"]
mod rule;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use rule::{ROOT, Rule, house, is_in};
use source::{Source, starts_with};

// --- Who may use whom -----------------------------------------------------------------------------

/// A room (by its longest matching folder) and the rooms of ours that it may use beside itself. The
/// root of the crate is `crate`, the two other packages are `entity` and `migration`.
const ROOMS: &[(&str, &[&str])] = &[
    ("entity", &[]),
    ("migration", &[]),
    ("crate::ids", &["entity::ids"]),
    ("crate::error", &[]),
    ("crate::telemetry", &[]),
    ("crate::data_folder", &[]),
    ("crate::config", &["crate::data_folder"]),
    ("crate::domain", &["crate::ids", "crate::error"]),
    (
        "crate::engine",
        &["crate::domain", "crate::ids", "crate::error"],
    ),
    (
        "crate::store",
        &["crate::domain", "crate::ids", "crate::error", "entity"],
    ),
    (
        "crate::auth",
        &[
            "crate::domain",
            "crate::store",
            "crate::ids",
            "crate::error",
        ],
    ),
    (
        "crate::wire",
        &["crate::domain", "crate::ids", "crate::error"],
    ),
    (
        "crate::actors",
        &[
            "crate::domain",
            "crate::engine",
            "crate::store",
            "crate::wire",
            "crate::ids",
            "crate::error",
            "crate::telemetry",
        ],
    ),
    ("crate::http", FACES_USE),
    ("crate::ws", FACES_USE),
    (
        "crate::local_postgres",
        &["crate::data_folder", "crate::store::roles"],
    ),
    (
        "crate::app",
        &[
            "crate::actors",
            "crate::auth",
            "crate::config",
            "crate::domain",
            "crate::http",
            "crate::ids",
            "crate::store",
            "crate::telemetry",
            "crate::ws",
        ],
    ),
    // Commands that are the server's own side.
    (
        "crate::commands",
        &[
            "crate::app",
            "crate::config",
            "crate::data_folder",
            "crate::http::asyncapi",
            "crate::http::openapi",
            "crate::ids",
            "crate::local_postgres",
            "crate::store",
            "crate::telemetry",
            "migration",
        ],
    ),
    // Commands that are clients: they know the public contract alone, so that they would notice a
    // server that drifts from it.
    ("crate::commands::bench", CLIENTS_USE),
    ("crate::commands::client", CLIENTS_USE),
    ("crate::commands::demo", CLIENTS_USE),
    ("crate::commands::loadtest", CLIENTS_USE),
    ("crate::commands::seed", CLIENTS_USE),
    ("crate::commands::watch", CLIENTS_USE),
    ("crate::main", &["crate::auth", "crate::commands"]),
    ("crate::lib", &[]),
];

const FACES_USE: &[&str] = &[
    "crate::actors",
    "crate::auth",
    "crate::domain",
    "crate::store",
    "crate::wire",
    "crate::ids",
    "crate::error",
    "crate::telemetry",
];

const CLIENTS_USE: &[&str] = &["crate::commands", "crate::ids"];

/// A command that is a client may use other clients, not the server's own side of the command line.
const NOT_FOR_CLIENTS: &[&str] = &[
    "crate::commands::asyncapi",
    "crate::commands::audit",
    "crate::commands::database",
    "crate::commands::migrate",
    "crate::commands::openapi",
    "crate::commands::serve",
    "crate::commands::with_postgres",
];

const DIRECTIONS: Rule = Rule {
    says: "a room uses only the rooms that ROOMS in tests/architecture.rs allows it",
    broken_at: |source| {
        let Some((room, allowed)) = room_of(&source.module) else {
            return vec![source.breach(1, "a room without a row in ROOMS")];
        };
        source
            .paths()
            .filter(|(_, path)| is_ours(path) && !starts_with(path, room))
            .filter(|(_, path)| {
                !allowed.iter().any(|other| starts_with(path, other))
                    || (allowed == CLIENTS_USE
                        && NOT_FOR_CLIENTS.iter().any(|other| starts_with(path, other)))
            })
            .map(|(line, path)| source.breach(line, path))
            .collect()
    },
    exceptions: &[(
        "src/wire/people.rs",
        "crate::store",
        "it says how the rows of members and invitations look on the wire, and reads nothing",
    )],
};

/// The room that a module lies in, and whom that room may use.
fn room_of(module: &str) -> Option<(&'static str, &'static [&'static str])> {
    ROOMS
        .iter()
        .filter(|(room, _)| starts_with(module, room))
        .max_by_key(|(room, _)| room.len())
        .copied()
}

/// Whether a path leads into one of our modules; what stands at the crate's root belongs to nobody.
fn is_ours(path: &str) -> bool {
    let Some((package, rest)) = path.split_once("::") else {
        return false;
    };
    match package {
        "crate" => rest.starts_with(char::is_lowercase),
        other => matches!(other, "entity" | "migration"),
    }
}

#[test]
fn rooms_use_only_the_rooms_that_they_may() {
    DIRECTIONS.catches("src/domain/planted.rs", "\n\nuse crate::store::Db;", 3);
    DIRECTIONS.catches(
        "src/domain/planted.rs",
        "fn f() { crate::wire::frames::g() }",
        1,
    );
    DIRECTIONS.catches(
        "src/engine/planted.rs",
        "use super::super::actors::registry::Registry;",
        1,
    );
    DIRECTIONS.catches(
        "src/store/planted.rs",
        "use crate::{\n    ids::ItemId,\n    http::state,\n};",
        3,
    );
    DIRECTIONS.catches(
        "src/auth/planted.rs",
        "fn f() -> crate::actors::jobs::Jobs {}",
        1,
    );
    DIRECTIONS.catches(
        "src/wire/planted.rs",
        "use crate::actors::workspace::Snapshot;",
        1,
    );
    DIRECTIONS.catches("src/actors/planted.rs", "use crate::http::problem;", 1);
    DIRECTIONS.catches(
        "src/actors/planted.rs",
        "fn f() { log!(crate::ws::upgrade) }",
        1,
    );
    DIRECTIONS.catches("src/http/planted.rs", "use crate::ws::Gateway;", 1);
    DIRECTIONS.catches("src/http/planted.rs", "use entity::items::Model;", 1);
    DIRECTIONS.catches("src/ws/planted.rs", "use crate::http::limits::Limits;", 1);
    DIRECTIONS.catches("src/ws/planted.rs", "use crate::app::run;", 1);
    DIRECTIONS.catches("src/commands/client/planted.rs", "use crate::store::Db;", 1);
    DIRECTIONS.catches(
        "src/commands/watch.rs",
        "use crate::wire::frames::Event;",
        1,
    );
    DIRECTIONS.catches(
        "src/commands/loadtest/planted.rs",
        "use super::super::database::open;",
        1,
    );
    DIRECTIONS.catches("src/attic/mod.rs", "", 1);
    DIRECTIONS.catches("entity/src/planted.rs", "use migration::Migrator;", 1);
    DIRECTIONS.catches("migration/src/planted.rs", "use entity::items;", 1);
    DIRECTIONS.lets_pass(
        "src/domain/planted.rs",
        "// use crate::store;\nuse crate::ids::ItemId;",
    );
    DIRECTIONS.lets_pass(
        "src/domain/columns/planted.rs",
        "use super::super::cell::Cell;",
    );
    DIRECTIONS.holds();
}

// --- What may stand where -------------------------------------------------------------------------

const DATABASE_CRATES: &[&str] = &[
    "sqlx",
    "sea_orm",
    "sea_orm_migration",
    "sea_query",
    "sea_query_sqlx",
];

const DATABASE: Rule = Rule {
    says: "the database's libraries are named only in store, entity and migration",
    broken_at: |source| {
        if is_in(source, &["src/store", "entity", "migration"]) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| DATABASE_CRATES.iter().any(|one| starts_with(path, one)))
    },
    exceptions: &[
        (
            "src/auth/provider.rs",
            "sqlx",
            "hands its pool to store::identity, and wraps what that returns",
        ),
        (
            "src/http/identity.rs",
            "sqlx::Error",
            "tells a database that is away (503) from one that fails (500)",
        ),
        (
            "src/config/rules.rs",
            "sqlx",
            "checks that a URL can be read; connects to nothing",
        ),
        (
            "src/local_postgres",
            "sqlx",
            "finds out whether the server that it started answers",
        ),
        (
            "src/commands/database.rs",
            "sea_orm",
            "opens the owner's connection for the migrations",
        ),
        (
            "src/commands/migrate.rs",
            "sqlx",
            "signs in as the owner and makes the server's role",
        ),
        (
            "src/commands/bench",
            "sqlx",
            "measures plain Postgres beside the server",
        ),
    ],
};

#[test]
fn the_databases_libraries_stay_in_the_store() {
    DATABASE.catches("src/http/planted.rs", "\nuse sqlx::PgPool;", 2);
    DATABASE.catches(
        "src/actors/planted.rs",
        "fn f() { sea_orm::Database::connect(url) }",
        1,
    );
    DATABASE.catches("src/domain/planted.rs", "log!(sea_query::Value::Int(1))", 1);
    DATABASE.lets_pass("src/store/planted.rs", "use sqlx::PgPool;");
    DATABASE.lets_pass(
        "src/http/planted.rs",
        "const TALKATIVE: &str = \"sqlx=warn\";",
    );
    DATABASE.holds();
}

const SQL: Rule = Rule {
    says: "SQL stands only in store, entity and migration",
    broken_at: |source| {
        if is_in(source, &["src/store", "entity", "migration"]) {
            return Vec::new();
        }
        let sql = Regex::new(
            r#"(?x) ^ (br|r|b)? \#* " \s* (
                SELECT\s | INSERT\s+INTO\s | UPDATE\s+\S+\s+SET\s | DELETE\s+FROM\s | WITH\s+\w+\s+AS\b
                | (CREATE|ALTER|DROP|TRUNCATE)\s+(TABLE|ROLE|DATABASE|SCHEMA|INDEX|POLICY|TYPE)\b
                | (GRANT|REVOKE)\s | COPY\s+\S+\s+(FROM|TO)\b | SET\s+(LOCAL|ROLE|SESSION)\b
                | LISTEN\s | NOTIFY\s | VACUUM\b | CHECKPOINT\b )"#,
        )
        .unwrap();
        source
            .texts()
            .filter(|(_, text)| sql.is_match(text))
            .map(|(line, text)| source.breach(line, text))
            .collect()
    },
    exceptions: &[
        (
            "src/commands/migrate.rs",
            "",
            "prints what an owner without the right to make roles should type",
        ),
        (
            "src/commands/bench",
            "",
            "measures plain Postgres beside the server",
        ),
    ],
};

#[test]
fn sql_stays_in_the_store() {
    SQL.catches(
        "src/http/planted.rs",
        "fn f() {\n    query(\"SELECT 1\")\n}",
        2,
    );
    SQL.catches(
        "src/actors/planted.rs",
        "const Q: &str = r#\"\n  INSERT INTO items VALUES ($1)\"#;",
        1,
    );
    SQL.catches(
        "src/ws/planted.rs",
        "log!(\"UPDATE items SET version = 2\")",
        1,
    );
    SQL.catches(
        "src/auth/planted.rs",
        "const Q: &str = \"DELETE FROM sessions\";",
        1,
    );
    SQL.lets_pass(
        "src/http/planted.rs",
        "/// SELECT 1\nconst A: &str = \"Select a list\";",
    );
    SQL.lets_pass("src/store/planted.rs", "const Q: &str = \"SELECT 1\";");
    SQL.holds();
}

const ANSWERS: Rule = Rule {
    says: "HttpResponse is named only in http, and in ws where a socket begins as a request",
    broken_at: |source| {
        if is_in(
            source,
            &["src/http", "src/ws/upgrade.rs", "src/ws/session.rs"],
        ) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| {
            path.split("::")
                .any(|part| part.starts_with("HttpResponse"))
        })
    },
    exceptions: &[],
};

#[test]
fn answers_are_made_in_http() {
    ANSWERS.catches(
        "src/actors/planted.rs",
        "use actix_web::{web, HttpResponse};",
        1,
    );
    ANSWERS.catches(
        "src/error.rs",
        "\nfn f() -> actix_web::HttpResponseBuilder {}",
        2,
    );
    ANSWERS.catches("src/ws/replay.rs", "use actix_web::HttpResponse;", 1);
    ANSWERS.lets_pass("src/http/planted.rs", "use actix_web::HttpResponse;");
    ANSWERS.holds();
}

const SOCKETS: Rule = Rule {
    says: "actix_web_actors is named only in src/ws/session.rs",
    broken_at: |source| {
        if is_in(source, &["src/ws/session.rs"]) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| starts_with(path, "actix_web_actors"))
    },
    exceptions: &[],
};

#[test]
fn one_file_knows_the_socket_library() {
    SOCKETS.catches("src/ws/upgrade.rs", "use actix_web_actors::ws;", 1);
    SOCKETS.lets_pass("src/ws/session.rs", "use actix_web_actors::ws;");
    SOCKETS.holds();
}

const ACTORS: Rule = Rule {
    says: "the actor framework is named only in actors and ws/session: the rest knows handles",
    broken_at: |source| {
        if is_in(source, &["src/actors", "src/ws/session.rs"]) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| starts_with(path, "actix"))
    },
    exceptions: &[],
};

#[test]
fn messages_stay_with_their_actors() {
    ACTORS.catches("src/http/planted.rs", "use actix::Addr;", 1);
    ACTORS.catches("src/app.rs", "fn f(to: actix::Recipient<M>) {}", 1);
    ACTORS.lets_pass("src/app.rs", "use actix_web::web;");
    ACTORS.holds();
}

const ENTITIES: Rule = Rule {
    says: "the tables' models are named only in store (and their ids in ids.rs)",
    broken_at: |source| {
        if is_in(source, &["src/store", "src/ids.rs", "entity"]) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| starts_with(path, "entity") && path.contains("::"))
    },
    exceptions: &[],
};

#[test]
fn models_stay_in_the_store() {
    ENTITIES.catches("src/http/planted.rs", "use entity::items;", 1);
    ENTITIES.catches(
        "src/actors/planted.rs",
        "fn f(row: entity::jobs::Model) {}",
        1,
    );
    ENTITIES.lets_pass("src/store/planted.rs", "use entity::items;");
    ENTITIES.holds();
}

const IMPURE: &[&str] = &[
    "tokio",
    "actix",
    "actix_web",
    "actix_http",
    "actix_rt",
    "actix_web_actors",
    "futures",
    "sqlx",
    "sea_orm",
    "sea_query",
    "redis",
    "reqwest",
    "rand",
    "getrandom",
    "tracing",
    "metrics",
    "anyhow",
    "parking_lot",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::sync::Mutex",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

const CLOCKS_AND_DICE: &[&str] = &[
    "Utc::now",
    "Local::now",
    "Instant::now",
    "SystemTime::now",
    "Uuid::now_v7",
    "Uuid::now_v6",
    "Uuid::now_v1",
    "Uuid::new_v4",
];

const PURE: Rule = Rule {
    says: "domain and engine know no runtime, no IO, no clock and no chance: they come as arguments",
    broken_at: |source| {
        if !is_in(source, &["src/domain", "src/engine"]) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| {
            IMPURE.iter().any(|one| starts_with(path, one))
                || CLOCKS_AND_DICE
                    .iter()
                    .any(|one| path == *one || path.ends_with(&format!("::{one}")))
        })
    },
    exceptions: &[],
};

#[test]
fn the_rules_of_the_product_are_pure() {
    for planted in [
        "use tokio::time::sleep;",
        "use actix_web::web;",
        "use sqlx::PgPool;",
        "fn f() -> DateTime<Utc> { chrono::Utc::now() }",
        "fn f() -> DateTime<Utc> { Utc::now() }",
        "fn f() { Uuid::now_v7() }",
        "use rand::Rng;",
        "use std::{env, fmt};",
        "fn f() { std::time::Instant::now() }",
        "tracing::info!(\"here\");",
    ] {
        PURE.catches("src/domain/planted.rs", planted, 1);
        PURE.catches("src/engine/planted.rs", planted, 1);
        PURE.lets_pass("src/actors/planted.rs", planted);
    }
    PURE.lets_pass("src/domain/planted.rs", "use chrono::{DateTime, Utc};");
    PURE.holds();
}

const ENVIRONMENT: Rule = Rule {
    says: "only config reads settings from the environment",
    broken_at: |source| {
        if is_in(source, &["src/config.rs", "src/config"]) {
            return Vec::new();
        }
        source.breaches_of_paths(|path| {
            ["env::var", "env::var_os", "env::vars", "env::vars_os"]
                .iter()
                .any(|one| path.ends_with(one))
        })
    },
    exceptions: &[
        (
            "src/commands/mod.rs",
            "std::env::var_os",
            "a variable set to nothing counts as unset, for every command",
        ),
        (
            "src/local_postgres",
            "std::env::var",
            "finds Postgres's programs, as its own tools do",
        ),
    ],
};

#[test]
fn settings_come_from_one_place() {
    ENVIRONMENT.catches(
        "src/http/planted.rs",
        "fn f() { std::env::var(\"PORT\") }",
        1,
    );
    ENVIRONMENT.lets_pass(
        "src/http/planted.rs",
        "const V: &str = env!(\"CARGO_PKG_VERSION\");",
    );
    ENVIRONMENT.holds();
}

// --- How a file is written ------------------------------------------------------------------------

const HEADS: Rule = Rule {
    says: "a file begins with //!, saying what it owns",
    broken_at: |source| {
        let says = source.text.starts_with("//! ")
            && source.text.lines().next().is_some_and(|l| l.len() > 10);
        if says {
            Vec::new()
        } else {
            vec![source.breach(1, "no //! at the top")]
        }
    },
    exceptions: &[],
};

#[test]
fn every_file_says_what_it_owns() {
    HEADS.catches("src/domain/planted.rs", "use std::fmt;", 1);
    HEADS.catches("src/domain/planted.rs", "//!\nuse std::fmt;", 1);
    HEADS.lets_pass("src/domain/planted.rs", "//! The rules of planting.");
    HEADS.holds();
}

const ALLOWANCES: Rule = Rule {
    says: "a lint is expected with a reason, never allowed",
    broken_at: |source| {
        let allowed = source.attributes().filter(|(_, name)| *name == "allow");
        allowed
            .map(|(line, _)| source.breach(line, "#[allow"))
            .collect()
    },
    exceptions: &[],
};

#[test]
fn no_lint_is_allowed_away() {
    ALLOWANCES.catches("src/http/planted.rs", "\n#[allow(dead_code)]\nfn f() {}", 2);
    ALLOWANCES.catches("src/http/planted.rs", "#![allow(unused)]", 1);
    ALLOWANCES.catches(
        "src/http/planted.rs",
        "mod a { #[allow(dead_code)] fn f() {} }",
        1,
    );
    ALLOWANCES.lets_pass(
        "src/http/planted.rs",
        "#[expect(dead_code, reason = \"planted\")]\nfn allow() {}",
    );
    ALLOWANCES.holds();
}

const UNFINISHED: Rule = Rule {
    says: "nothing is left open with todo!, unimplemented! or dbg!",
    broken_at: |source| {
        let open = |name: &str| matches!(name, "todo" | "unimplemented" | "dbg");
        let macros = source.macros().filter(|(_, name)| open(name));
        macros
            .map(|(line, name)| source.breach(line, name))
            .collect()
    },
    exceptions: &[],
};

#[test]
fn nothing_is_left_open() {
    UNFINISHED.catches("src/http/planted.rs", "fn f() {\n    todo!()\n}", 2);
    UNFINISHED.catches(
        "entity/src/planted.rs",
        "fn f() { std::unimplemented!(\"later\") }",
        1,
    );
    UNFINISHED.lets_pass("src/http/planted.rs", "// todo!\nfn todo() {}");
    UNFINISHED.holds();
}

// --- The libraries that the house stands on -------------------------------------------------------

/// A library that is a direct dependency, its name in paths, and a place of ours that is built on it.
const STANDS_ON: &[(&str, &str, &str)] = &[
    ("actix", "actix", "src/actors/workspace"),
    ("actix", "actix", "src/actors/registry.rs"),
    ("actix-web", "actix_web", "src/http"),
    ("actix-web", "actix_web", "src/app.rs"),
    ("actix-web-actors", "actix_web_actors", "src/ws/session.rs"),
    ("tokio", "tokio", "src/actors/workspace"),
    ("sea-orm", "sea_orm", "src/store"),
    ("sea-orm", "sea_orm", "entity/src"),
    ("serde", "serde", "src/wire"),
    ("jsonwebtoken", "jsonwebtoken", "src/auth/tokens.rs"),
    ("redis", "redis", "src/actors/relay.rs"),
    ("tracing", "tracing", "src/http/request_id.rs"),
    ("csv", "csv", "src/actors/import/reader.rs"),
    ("uuid", "uuid", "src/actors/workspace"),
    ("uuid", "uuid", "entity/src/ids.rs"),
];

/// The direct dependencies of a Cargo.toml: those of its `[dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_matches('"').trim_end_matches(".workspace"))
        .collect()
}

/// The rows of [`STANDS_ON`] that are not so.
fn not_stood_on(manifest: &str, sources: &[Source]) -> Vec<String> {
    let direct = dependencies(manifest);
    let uses = |name: &str, place: &str| {
        sources
            .iter()
            .filter(|source| is_in(source, &[place]))
            .any(|source| source.paths().any(|(_, path)| starts_with(path, name)))
    };
    let mut missing = Vec::new();
    for (package, name, place) in STANDS_ON {
        if !direct.contains(package) {
            missing.push(format!("Cargo.toml: {package} is no direct dependency"));
        }
        if !uses(name, place) {
            missing.push(format!("{place}: {package} is not used here"));
        }
    }
    missing
}

#[test]
fn the_house_stands_on_its_libraries() {
    let nothing = not_stood_on(
        "[dependencies]\n# actix = \"1\"\n[dev-dependencies]\nredis = \"1\"\n",
        &[],
    );
    assert_eq!(
        nothing.len(),
        2 * STANDS_ON.len(),
        "the rule can't fail: {nothing:#?}"
    );
    let named = [Source::read(
        "src/ws/session.rs",
        "// actix_web_actors::ws\n",
    )];
    let commented = not_stood_on("[dependencies]\nactix-web-actors = \"4\"\n", &named);
    assert!(commented.contains(&"src/ws/session.rs: actix-web-actors is not used here".to_owned()));
    assert_eq!(
        dependencies(
            "[dependencies]\na = \"1\"\nb.workspace = true\nc = { version = \"1\" }\n[x]\nd = \"1\""
        ),
        BTreeSet::from(["a", "b", "c"])
    );

    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let missing = not_stood_on(&manifest, house());
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md says that these are used:\n{}",
        missing.join("\n")
    );
}

//! What the program says to who types it.

use crate::support::program::{data_folder, estatebase, run, text};

#[test]
fn an_unfit_configuration_is_refused_with_all_its_faults() {
    let output = run(estatebase("serve --smtp-url smtp://x").env("APP_ENV", "production"));
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for setting in [
        "DATABASE_URL",
        "SECRET_KEY",
        "JWT_SECRET",
        "PUBLIC_URL",
        "SMTP_URL",
    ] {
        assert!(
            said.lines()
                .any(|line| line.starts_with("- ") && line.contains(setting)),
            "{said}"
        );
    }
}

#[test]
fn help_names_every_variable_and_shows_no_value() {
    let secret = "a value that is nobody's business";
    let variables = [
        "BIND",
        "PORT",
        "DATA_DIR",
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "DB_POOL",
        "REDIS_URL",
        "SUPABASE_URL",
        "JWT_SECRET",
        "SECRET_KEY",
        "STORAGE_URL",
        "SMTP_URL",
        "PUBLIC_URL",
        "CORS_ORIGINS",
        "RATE_LIMIT",
        "TRUSTED_PROXY_HOPS",
        "METRICS_TOKEN",
        "APP_ENV",
        "LOG",
    ];
    let output = run(estatebase("serve --help").envs(variables.map(|name| (name, secret))));
    let said = text(&output.stdout);
    assert!(output.status.success() && !said.contains(secret), "{said}");
    for name in variables {
        assert!(
            said.contains(&format!("[env: {name}]")),
            "{name} not in\n{said}"
        );
    }
}

#[test]
fn a_variable_set_to_nothing_is_unset() {
    let folder = data_folder();
    let mut command = estatebase("serve --db-pool 0 --data-dir");
    command.arg(folder.path());
    for name in [
        "JWT_SECRET",
        "SUPABASE_URL",
        "PORT",
        "CORS_ORIGINS",
        "SMTP_URL",
        "APP_ENV",
    ] {
        command.env(name, "");
    }
    let output = run(&mut command);
    let said = text(&output.stderr);
    // The one fault is the pool's.
    assert_eq!(
        (output.status.code(), said.lines().count()),
        (Some(2), 2),
        "{said}"
    );
}

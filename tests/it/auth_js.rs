//! The official client of Supabase Auth works against the built-in provider, unchanged.

use std::path::Path;

use tokio::process::Command;

/// Runs every step of `tests/auth_js/run.mjs` against the server at `base` (no slash at its end).
pub async fn the_official_client_works(base: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auth_js");
    if !folder.join("node_modules").exists() {
        run(Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder))
        .await;
    }
    let url = format!("{base}/auth/v1");
    run(Command::new("node")
        .arg("run.mjs")
        .arg(url)
        .current_dir(&folder))
    .await;
}

async fn run(command: &mut Command) {
    let output = command
        .output()
        .await
        .expect("node and npm are needed for this test");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}{err}",
        output.status
    );
}

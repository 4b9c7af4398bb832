//! The built program as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

/// The key of the tokens that tests sign themselves.
pub(crate) const JWT_SECRET: &str = "a secret for tests, longer than 32 bytes";

/// The program with these arguments, separated by blanks, and a bare environment.
pub(crate) fn estatebase(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_estatebase"));
    command.args(arguments.split_whitespace()).env_clear();
    for name in ["PATH", "PG_BIN", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A data folder that the user who runs Postgres may enter.
pub(crate) fn data_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    folder
}

/// A server in a data folder; told to stop, and waited for, when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts it on a free port, with a Postgres of its own, and waits until it serves.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = estatebase("serve --port 0 --data-dir");
        Server::of(command.arg(folder))
    }

    /// Starts one of the servers of a database that is there already, on this port (0: a free one).
    /// It takes the tokens of [`Caller`](super::caller::Caller).
    pub(crate) fn node(folder: &Path, port: u16, database_url: &str, redis: Option<&str>) -> Self {
        let mut command = estatebase("serve --data-dir");
        command
            .arg(folder)
            .args(["--port", &port.to_string()])
            .env("DATABASE_URL", database_url)
            .env("JWT_SECRET", JWT_SECRET)
            .env("SECRET_KEY", "a key for tests, longer than 32 bytes")
            .env("RATE_LIMIT", "off");
        if let Some(url) = redis {
            command.env("REDIS_URL", url);
        }
        Server::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let url = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("it ended:\n{said}"))
                .unwrap();
            if let Some((_, rest)) = line.split_once("serving at ") {
                break rest.split('"').next().unwrap().to_owned();
            }
            said.push_str(&line);
        };
        // What it says from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        // The port is taken before anybody serves it, and before the server heeds signals.
        let mut socket = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        socket
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(text(&answer), "HTTP/1.1 200");
        Self { child, url }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn stop(mut self) -> ExitStatus {
        signal(&self.child, Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Halts it as it stands, or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let what = if frozen { Signal::STOP } else { Signal::CONT };
        signal(&self.child, what);
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<usize>().unwrap() * 1024
    }

    /// How many sockets it has open now.
    pub(crate) async fn sockets(&self) -> usize {
        let answer = reqwest::get(format!("{}/metrics", self.url)).await.unwrap();
        let page = answer.text().await.unwrap();
        let open = |line: &str| line.strip_prefix("estatebase_sockets ")?.parse().ok();
        page.lines().find_map(open).unwrap_or(0)
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.freeze(false);
            signal(&self.child, Signal::TERM);
            self.child.wait().unwrap();
        }
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// What the private Postgres of a data folder is reached by, as its owner.
pub(crate) fn private_postgres(folder: &Path) -> PgConnectOptions {
    let text = std::fs::read_to_string(folder.join("postgres.json")).unwrap();
    let access: serde_json::Value = serde_json::from_str(&text).unwrap();
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(u16::try_from(access["port"].as_u64().unwrap()).unwrap())
        .username("estatebase_owner")
        .password(access["owner_password"].as_str().unwrap())
        .database("estatebase")
}

/// How often a fault happens: this variable's number, as `make chaos` sets it, or `few`.
pub(crate) fn rounds(variable: &str, few: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(few)
}

/// A row of the table that `make chaos` prints: the fault, how often, what came of it, how long.
pub(crate) fn report(fault: &str, count: usize, outcome: &str, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("CHAOS | {fault} | {count} | {outcome} | {seconds:.1} s");
}

/// Waits up to ten seconds for something to come true.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "not so after 10 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

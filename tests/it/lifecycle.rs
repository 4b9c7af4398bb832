//! Start, stop and sudden death of a server with its private Postgres, and of a throwaway one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::support::program::{
    Server, data_folder, estatebase, eventually, private_postgres, run, signal, text,
};

/// A command with a throwaway Postgres, which ends when its standard input does.
struct Command {
    child: Child,
    url: Url,
    folder: PathBuf,
}

impl Command {
    /// `then` is what the command does at its end.
    async fn start(then: &str) -> Self {
        let mut child = estatebase("with-postgres -- sh -c")
            .arg(format!("echo $TEST_DATABASE_URL; read -r line; {then}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = Url::parse(line.trim()).unwrap();
        let mut superuser = PgConnection::connect(url.as_str()).await.unwrap();
        let folder: String = sqlx::query_scalar("SHOW data_directory")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        assert!(Path::new(&folder).exists());
        Self {
            child,
            url,
            folder: folder.into(),
        }
    }

    fn is_gone(&self) -> bool {
        let address = ("127.0.0.1", self.url.port().unwrap());
        !self.folder.parent().unwrap().exists() && TcpStream::connect(address).is_err()
    }
}

#[tokio::test]
async fn a_throwaway_postgres_lasts_as_long_as_its_command() {
    let mut command = Command::start("exit 7").await;
    assert!(!command.is_gone());
    command
        .child
        .stdin
        .take()
        .unwrap()
        .write_all(b"go on\n")
        .unwrap();
    assert_eq!(command.child.wait().unwrap().code(), Some(7));
    assert!(command.is_gone());
}

#[tokio::test]
async fn a_signal_ends_the_command_and_its_postgres() {
    let mut command = Command::start("exit 7").await;
    // `wait` would close it, and the command would end by itself.
    let _open = command.child.stdin.take();
    signal(&command.child, Signal::TERM);
    assert_eq!(command.child.wait().unwrap().code(), Some(128 + 15));
    assert!(command.is_gone());
}

#[tokio::test]
async fn a_throwaway_postgres_goes_even_when_nobody_is_left_to_stop_it() {
    let mut command = Command::start("exit 7").await;
    let _open = command.child.stdin.take();
    command.child.kill().unwrap();
    command.child.wait().unwrap();
    eventually("the folder is deleted and the port free", || {
        command.is_gone()
    });
}

#[test]
fn a_command_that_is_not_there_is_said_so() {
    let output = run(&mut estatebase("with-postgres -- no-such-command"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no-such-command can't be started"));
}

#[test]
fn a_taken_port_is_said_before_anything_is_made() {
    let folder = data_folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = estatebase(&format!("serve --port {} --data-dir", address.port()));
    let output = run(command.arg(folder.path()));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains(&format!("{address} can't be listened on")),
        "{said}"
    );
    assert!(!folder.path().join("postgres").exists());
}

#[tokio::test]
async fn a_folder_serves_once_at_a_time_and_outlives_every_death() {
    let folder = data_folder();
    let folder = folder.path();
    let server = Server::start(folder);

    let second = run(estatebase("serve --port 0 --data-dir").arg(folder));
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(
        said.contains(&format!("it answers at {}.", server.url)),
        "{said}"
    );

    sqlx::raw_sql("CREATE TABLE kept (word text)")
        .execute(&mut owner(folder).await)
        .await
        .unwrap();
    keep(folder, "before the stop").await;
    assert!(server.stop().success());
    assert!(
        !folder.join("postgres/data/postmaster.pid").exists(),
        "Postgres was stopped too"
    );

    // Another program takes the port that Postgres had.
    let taken = TcpListener::bind(("127.0.0.1", private_postgres(folder).get_port())).unwrap();
    let server = Server::start(folder);
    assert_ne!(
        private_postgres(folder).get_port(),
        taken.local_addr().unwrap().port()
    );
    keep(folder, "before the server's death").await;
    server.kill();

    // At once: the guard may be stopping Postgres, or not have noticed yet.
    let server = Server::start(folder);
    keep(folder, "before the death of server and guard").await;
    kill(guard(folder));
    server.kill();

    let server = Server::start(folder);
    keep(folder, "before the death of all").await;
    kill(guard(folder));
    kill(postmaster(folder));
    server.kill();

    let server = Server::start(folder);
    let words: Vec<String> = sqlx::query_scalar("SELECT word FROM kept ORDER BY ctid")
        .fetch_all(&mut owner(folder).await)
        .await
        .unwrap();
    assert_eq!(
        words,
        [
            "before the stop",
            "before the server's death",
            "before the death of server and guard",
            "before the death of all",
        ]
    );
    assert!(server.stop().success());
}

async fn owner(folder: &Path) -> PgConnection {
    PgConnection::connect_with(&private_postgres(folder))
        .await
        .unwrap()
}

async fn keep(folder: &Path, word: &str) {
    sqlx::query("INSERT INTO kept VALUES ($1)")
        .bind(word)
        .execute(&mut owner(folder).await)
        .await
        .unwrap();
}

/// Postgres's first process.
fn postmaster(folder: &Path) -> i32 {
    let note = std::fs::read_to_string(folder.join("postgres/data/postmaster.pid")).unwrap();
    note.lines().next().unwrap().parse().unwrap()
}

/// The guard is the postmaster's parent.
fn guard(folder: &Path) -> i32 {
    let pid = postmaster(folder).to_string();
    let output = std::process::Command::new("ps")
        .args(["-o", "ppid=", "-p", &pid])
        .output();
    text(&output.unwrap().stdout).trim().parse().unwrap()
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

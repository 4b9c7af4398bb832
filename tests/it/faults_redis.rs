//! Redis wakes other nodes and carries no truth: without it, or with a bad one, everything arrives
//! all the same.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::support::db::TestDb;
use crate::support::editors::{Acknowledged, Ground};
use crate::support::program::{Server, data_folder, eventually, report, rounds};
use crate::support::proxy::Proxy;
use crate::support::replica::{self, Replica};

/// A workspace's birth and its list's.
const BEFORE: u64 = 2;

/// A Redis of the test's own, in memory alone.
struct Redis {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Nothing where none is installed.
    fn start() -> Option<Redis> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Redis::on(port)
    }

    fn on(port: u16) -> Option<Redis> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join("redis-server"))
            .find(|program| program.is_file())
            .map(|program| Redis::of(&program, port))
    }

    fn of(program: &Path, port: u16) -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let redis = Redis {
            child: command.spawn().unwrap(),
            port,
            _folder: folder,
        };
        eventually("Redis answers", || redis.tell("PING").is_some());
        redis
    }

    /// An inline command (Redis serialization protocol) and the first bytes of its answer.
    fn tell(&self, command: &str) -> Option<Vec<u8>> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        socket.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 5];
        socket.read_exact(&mut answer).ok()?;
        Some(answer.to_vec())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_or_with_a_bad_one_every_write_arrives_everywhere() {
    let (begun, times) = (Instant::now(), rounds("REDIS_FAULTS", 1));
    let Some(redis) = Redis::start() else {
        report(
            "Redis: killed, emptied, slow",
            0,
            "SKIPPED: no redis-server is installed",
            begun,
        );
        return;
    };
    let port = redis.port;
    let mut redis = Some(redis);
    let proxy = Proxy::in_front_of(format!("127.0.0.1:{port}")).await;
    let through = format!("redis://{}", proxy.address);
    let db = TestDb::new().await;
    let folders = [data_folder(), data_folder()];
    let nodes = folders
        .each_ref()
        .map(|folder| Server::node(folder.path(), 0, &db.app_url(), Some(&through)));
    let both = nodes.each_ref().map(|node| node.url.clone());
    let ground = Ground::new(&both).await;
    let mut replica = Replica::new(
        ground.owner.clone(),
        &ground.workspace,
        std::slice::from_ref(&ground.list),
    );
    let socket = both[1].trim_start_matches("http://");
    replica.connect(socket, &both).await.unwrap();
    let mut told = Acknowledged::new();
    let mut longest = Duration::ZERO;
    for n in 0..times * 4 {
        match n % 4 {
            0 => drop(redis.take()),
            1 => redis = Redis::on(port),
            2 => assert_eq!(
                redis.as_ref().unwrap().tell("FLUSHALL").unwrap(),
                b"+OK\r\n"
            ),
            _ => proxy.set_latency(Duration::from_secs(1)),
        }
        let editors = ground.editors(&both[..1], 10);
        editors.advance(20).await;
        let (more, waited) = editors.finish().await;
        told.extend(more);
        longest = longest.max(waited);
        // The socket stands at the other node.
        let written = Instant::now();
        replica
            .reach(BEFORE as i64 + told.len() as i64, &both)
            .await
            .unwrap();
        assert!(
            written.elapsed() < Duration::from_secs(3),
            "{n}: {:?}",
            written.elapsed()
        );
        proxy.set_latency(Duration::ZERO);
    }
    assert!(
        longest < Duration::from_secs(2),
        "a write waited {longest:?}"
    );
    ground.check(&both, &told, BEFORE).await;
    let pages = replica::rows(&ground.owner.items(&both, &ground.list).await);
    assert!(replica.living() == pages);
    assert_eq!(replica.resets, 0, "{}", json!(replica.position()));
    drop(replica);
    for node in nodes {
        assert!(node.stop().success());
    }
    let outcome = format!(
        "{} writes, {} ms at most, all seen elsewhere",
        told.len(),
        longest.as_millis()
    );
    report(
        "Redis: killed, back, emptied, slow",
        times * 4,
        &outcome,
        begun,
    );
}

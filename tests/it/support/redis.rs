//! A private Redis that keeps nothing, where the machine has the program.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::program::eventually;

/// A running Redis. Dropped, it ends.
pub(crate) struct Redis {
    child: Child,
    pub(crate) url: String,
}

impl Redis {
    /// `None` where there is no `redis-server`.
    pub(crate) fn start() -> Option<Redis> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let port = address.port().to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Redis {
            child,
            url: format!("redis://{address}"),
        };
        eventually("Redis answers", || TcpStream::connect(address).is_ok());
        Some(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

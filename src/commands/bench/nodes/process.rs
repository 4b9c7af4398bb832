//! Real processes: servers on the bench's database, each with a data folder of its own, and a
//! Redis. Dropped, they are killed.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::Url;
use uuid::Uuid;

use crate::commands::client::login::{Account, LoginArgs};
use crate::commands::client::rest::{Call, Rest};

const START_WITHIN: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The sockets that a server has open, on its page of figures.
const SOCKETS: &str = "estatebase_sockets ";

/// What all servers have in common: the database, and the secret by which a token of one is good
/// at the others.
pub struct Stand {
    database: String,
    secret: String,
}

/// A running server.
pub struct Node {
    child: Child,
    pub url: Url,
    /// Since when its port can be connected to.
    pub listening: Instant,
    /// It goes when the process is gone: fields are dropped in order.
    _folder: TempDir,
}

/// A running Redis that keeps nothing.
pub struct Redis {
    child: Child,
    port: u16,
}

impl Stand {
    /// Of servers on this database.
    pub fn new(database: &str) -> Self {
        let half = || Uuid::new_v4().simple().to_string();
        Self {
            database: database.to_owned(),
            secret: half() + &half(),
        }
    }

    /// Starts a server on a free port and waits until it serves.
    ///
    /// # Errors
    /// When it ends, or does not serve within a minute.
    pub async fn start(&self, redis: Option<&Redis>) -> anyhow::Result<Node> {
        let port = free_port()?;
        self.start_on(port, redis).await
    }

    /// Starts a server on this port and waits until it serves.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub async fn start_on(&self, port: u16, redis: Option<&Redis>) -> anyhow::Result<Node> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        // What the bench was told is not for its servers.
        command.env_clear();
        if let Some(redis) = redis {
            command.env("REDIS_URL", redis.url());
        }
        let child = command
            .args(["serve", "--rate-limit", "off", "--log", "error"])
            .args(["--port", &port.to_string(), "--data-dir"])
            .arg(folder.path())
            .env("DATABASE_URL", &self.database)
            .env("SECRET_KEY", &self.secret)
            // Tokens name who made them by this address.
            .env("PUBLIC_URL", "http://127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting a server")?;
        let mut node = Node {
            child,
            url: format!("http://127.0.0.1:{port}").parse()?,
            listening: Instant::now(),
            _folder: folder,
        };
        node.wait_until_ready().await?;
        Ok(node)
    }
}

impl Node {
    /// The process.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub fn port(&self) -> anyhow::Result<u16> {
        self.url.port().context("a server's address has its port")
    }

    /// It dies at once, as it stands.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// A new account, signed in here.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn person(&self) -> anyhow::Result<(Rest, Account)> {
        let login = LoginArgs {
            url: self.url.clone(),
            token: None,
            email: None,
            password: None,
        };
        let (mut session, account) = login.sign_in_or_up().await?;
        let account = account.context("a new account")?;
        Ok((session.rest().await?, account))
    }

    /// The same caller here.
    ///
    /// # Errors
    /// When the machine's TLS can't be set up.
    pub fn caller(&self, other: &Rest) -> anyhow::Result<Rest> {
        Ok(Rest::new(self.url.clone(), other.token())?)
    }

    /// How many sockets the server has open, by its own page of figures.
    ///
    /// # Errors
    /// When the page does not say.
    pub async fn sockets(&self) -> anyhow::Result<u64> {
        let rest = Rest::new(self.url.clone(), "")?;
        let answer = rest.once(&Call::new(Method::GET, "/metrics")).await?;
        let page = String::from_utf8_lossy(&answer.body);
        let line = page.lines().find_map(|line| line.strip_prefix(SOCKETS));
        Ok(line
            .context("how many sockets are open is not told")?
            .trim()
            .parse()?)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let rest = Rest::new(self.url.clone(), "")?;
        let ready = Call::new(Method::GET, "/readyz");
        let began = Instant::now();
        let mut listens = false;
        loop {
            if !listens && connects(self.port()?).await {
                listens = true;
                self.listening = Instant::now();
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a server ended when it should have started: {status}");
            }
            let answer = rest.once(&ready).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            if began.elapsed() > START_WITHIN {
                bail!("a server does not serve after {START_WITHIN:?}");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

impl Redis {
    /// On a free port; why not.
    ///
    /// # Errors
    /// When it is not installed, or does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on(free_port()?).await
    }

    /// It dies at once; its port, for the next one.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn kill(mut self) -> anyhow::Result<u16> {
        self.child.kill().await?;
        Ok(self.port)
    }

    /// On this port, as soon as it listens.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub async fn start_on(port: u16) -> anyhow::Result<Self> {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("redis-server")?;
        let redis = Self { child, port };
        let began = Instant::now();
        while !connects(port).await {
            if began.elapsed() > START_WITHIN {
                bail!("redis-server does not listen after {START_WITHIN:?}");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(redis)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// A port that nobody listens on now.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn connects(port: u16) -> bool {
    let address = ("127.0.0.1", port);
    tokio::net::TcpStream::connect(address).await.is_ok()
}

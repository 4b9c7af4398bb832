//! A TCP proxy that makes the network's faults: slowness, cuts, resets, silence, and connections
//! that are dead on one side only. In front of Postgres it also counts round trips and can lose
//! the answer of a COMMIT.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// `COMMIT` as a simple query (PostgreSQL protocol, message Q).
const COMMIT: &[u8] = b"Q\x00\x00\x00\x0bCOMMIT\x00";
/// What a group commit answers (message D: one column, four bytes), written and committed at once.
const DONE: &[u8] = b"\x00\x01\x00\x00\x00\x04done";

/// What becomes of bytes and connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Open,
    /// Connections are cut, and new ones end at once.
    Away,
    /// Connections stay and are taken, and nothing passes; what was sent arrives when it is over.
    Silent,
}

/// The network as it is just now.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    way: Way,
    /// Added to each piece of data, in both directions.
    latency: Duration,
    /// Connections made before this count of faults are reset.
    resets: usize,
    /// Connections made before this count of faults never hear or say anything again.
    deaths: usize,
}

/// The proxy. Dropped, it lets nothing through any more.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    link: watch::Sender<Link>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Where new connections lead.
    target: Mutex<String>,
    /// Round trips that left a transaction open: all of a transaction's but its COMMIT.
    in_transaction: AtomicUsize,
    /// Groups committed, each in one round trip.
    groups: AtomicUsize,
    /// The next COMMIT or group reaches the database, its answer nobody.
    swallow: AtomicBool,
    /// The next question does not even reach the database.
    drop_question: AtomicBool,
    /// The next COMMIT of what was written neither, and the database is not told that the other
    /// side is gone.
    strand_commit: AtomicBool,
    stranded: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// In front of that database; the URL through it.
    pub(crate) async fn before(url: &str) -> (Proxy, String) {
        let mut url = Url::parse(url).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let proxy = Proxy::start(format!("{host}:{}", url.port().unwrap_or(5432)), true).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        url.set_query(Some("sslmode=disable"));
        (proxy, url.into())
    }

    /// In front of anything else that speaks TCP.
    pub(crate) async fn in_front_of(target: impl ToString) -> Proxy {
        Proxy::start(target.to_string(), false).await
    }

    async fn start(target: String, postgres: bool) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            target: Mutex::new(target),
            ..State::default()
        });
        let (link, seen) = watch::channel(Link::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state), postgres, seen));
        Proxy {
            address,
            state,
            link,
            accepting,
        }
    }

    /// Round trips so far that left a transaction open.
    pub(crate) fn in_transaction(&self) -> usize {
        self.state.in_transaction.load(Ordering::SeqCst)
    }

    /// Groups committed so far.
    pub(crate) fn groups(&self) -> usize {
        self.state.groups.load(Ordering::SeqCst)
    }

    /// The next commit takes effect and its answer is lost.
    pub(crate) fn lose_the_next_answer(&self) {
        self.state.swallow.store(true, Ordering::SeqCst);
    }

    /// The next thing that the database is asked is cut off before it arrives.
    pub(crate) fn lose_the_next_question(&self) {
        self.state.drop_question.store(true, Ordering::SeqCst);
    }

    /// The next COMMIT of a transaction that writes is cut off before it arrives, and the database's
    /// end stays open, with the transaction that nobody ends.
    pub(crate) fn strand_the_next_commit(&self) {
        self.state.strand_commit.store(true, Ordering::SeqCst);
    }

    /// Whether that has happened.
    pub(crate) fn has_lost_it(&self) -> bool {
        let state = &self.state;
        [&state.swallow, &state.drop_question, &state.strand_commit]
            .iter()
            .all(|armed| !armed.load(Ordering::SeqCst))
    }

    /// The other side goes away, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        let way = if away { Way::Away } else { Way::Open };
        self.link.send_modify(|link| link.way = way);
    }

    /// Nothing passes any more and nobody is told, or it passes again.
    pub(crate) fn set_silent(&self, silent: bool) {
        let way = if silent { Way::Silent } else { Way::Open };
        self.link.send_modify(|link| link.way = way);
    }

    /// How much later everything arrives.
    pub(crate) fn set_latency(&self, latency: Duration) {
        self.link.send_modify(|link| link.latency = latency);
    }

    /// Both sides of every connection get a TCP reset; new ones are taken.
    pub(crate) fn reset(&self) {
        self.link.send_modify(|link| link.resets += 1);
    }

    /// A way to it from elsewhere.
    pub(crate) fn handle(&self) -> Handle {
        Handle {
            state: Arc::clone(&self.state),
            link: self.link.clone(),
        }
    }

    /// Every connection stays open and is dead for good, as after a router forgot it; new ones live.
    pub(crate) fn forget(&self) {
        self.link.send_modify(|link| link.deaths += 1);
    }
}

/// The way to a proxy while its owner is at work.
pub(crate) struct Handle {
    state: Arc<State>,
    link: watch::Sender<Link>,
}

impl Handle {
    /// From now on it stands in front of another one.
    pub(crate) fn lead_to(&self, target: impl ToString) {
        *self.state.target.lock().unwrap() = target.to_string();
    }

    /// See [`Proxy::reset`].
    pub(crate) fn reset(&self) {
        self.link.send_modify(|link| link.resets += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set_away(true);
    }
}

async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    postgres: bool,
    link: watch::Receiver<Link>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        if link.borrow().way == Way::Away {
            continue;
        }
        let (state, link) = (Arc::clone(&state), link.clone());
        tokio::spawn(async move {
            let target = state.target.lock().unwrap().clone();
            if let Ok(server) = TcpStream::connect(target).await {
                // Its ends are all the news there is of a connection.
                let _ = join(client, server, postgres.then_some(&*state), link).await;
            }
        });
    }
}

async fn join(
    mut client: TcpStream,
    mut server: TcpStream,
    postgres: Option<&State>,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let born = *link.borrow();
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let to_client = Faulty {
            to: to_client,
            link: link.clone(),
            born,
        };
        let to_server = Faulty {
            to: to_server,
            link: link.clone(),
            born,
        };
        tokio::select! {
            end = outward(from_client, to_server, postgres) => end,
            () = inward(from_server, to_client, postgres) => End::Cut,
            now = link.wait_for(|now| now.way == Way::Away || now.resets > born.resets) => match now {
                Ok(now) if now.resets > born.resets => End::Reset,
                _ => End::Cut,
            }
        }
    };
    match (ended, postgres) {
        (End::Reset, _) => {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        (End::Stranded, Some(state)) => state.stranded.lock().unwrap().push(server),
        _ => {}
    }
    Ok(())
}

/// How a connection ends.
enum End {
    Cut,
    Reset,
    /// The database's end stays.
    Stranded,
}

/// One direction, as the network lets it.
struct Faulty<'a> {
    to: WriteHalf<'a>,
    link: watch::Receiver<Link>,
    born: Link,
}

impl Faulty<'_> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let latency = self.link.borrow().latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let born = self.born.deaths;
        let passes = |now: &Link| now.way == Way::Open && now.deaths == born;
        if self.link.wait_for(passes).await.is_err() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.to.write_all(bytes).await
    }
}

async fn outward(mut from: ReadHalf<'_>, mut to: Faulty<'_>, postgres: Option<&State>) -> End {
    let mut bytes = vec![0; 64 * 1024];
    let mut writes = false;
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else {
            return End::Cut;
        };
        let sent = &bytes[..count];
        let armed = |flag: &AtomicBool| flag.swap(false, Ordering::SeqCst);
        if postgres.is_some_and(|state| armed(&state.drop_question)) {
            return End::Cut;
        }
        if says(sent, b"BEGIN") {
            writes = !says(sent, b"READ ONLY");
        }
        let commits = postgres.filter(|_| sent.ends_with(COMMIT));
        if commits.is_some_and(|state| writes && armed(&state.strand_commit)) {
            return End::Stranded;
        }
        let swallow = commits.is_some_and(|state| armed(&state.swallow));
        if to.send(sent).await.is_err() {
            return End::Cut;
        }
        if swallow {
            // Long enough for the database to have done it; returning cuts both sides.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return End::Cut;
        }
    }
}

fn says(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

async fn inward(mut from: ReadHalf<'_>, mut to: Faulty<'_>, postgres: Option<&State>) {
    let mut swallowed = false;
    loop {
        let read = match postgres {
            Some(_) => message(&mut from).await,
            None => piece(&mut from).await,
        };
        let Ok(bytes) = read else { return };
        if let Some(state) = postgres {
            swallowed |= state.sees(&bytes);
        }
        if swallowed {
            // ReadyForQuery follows the commit; returning cuts both sides.
            if bytes[0] == b'Z' {
                return;
            }
        } else if to.send(&bytes).await.is_err() {
            return;
        }
    }
}

impl State {
    /// Counts what the database said; whether it shall reach nobody.
    fn sees(&self, message: &[u8]) -> bool {
        let (kind, body) = (message[0], &message[5..]);
        // ReadyForQuery, inside a transaction.
        if kind == b'Z' && body == b"T" {
            self.in_transaction.fetch_add(1, Ordering::SeqCst);
        }
        if kind == b'D' && body == DONE {
            self.groups.fetch_add(1, Ordering::SeqCst);
            return self.swallow.swap(false, Ordering::SeqCst);
        }
        false
    }
}

async fn piece(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 64 * 1024];
    let count = from.read(&mut bytes).await?;
    bytes.truncate(count);
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// A message: its type, its length (with the length's own four bytes), its body.
async fn message(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 5];
    from.read_exact(&mut bytes).await?;
    let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
    bytes.resize(length + 1, 0);
    from.read_exact(&mut bytes[5..]).await?;
    Ok(bytes)
}

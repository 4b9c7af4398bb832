//! A proxy between the server and its database that counts round trips and breaks connections at
//! the worst moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// `COMMIT` as a simple query (PostgreSQL protocol, message Q).
const COMMIT: &[u8] = b"Q\x00\x00\x00\x0bCOMMIT\x00";
/// What a group commit answers (message D: one column, four bytes), written and committed at once.
const DONE: &[u8] = b"\x00\x01\x00\x00\x00\x04done";

/// The proxy. Dropped, it lets nothing through any more.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    away: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// Round trips that left a transaction open: all of a transaction's but its COMMIT.
    in_transaction: AtomicUsize,
    /// Groups committed, each in one round trip.
    groups: AtomicUsize,
    /// The next COMMIT or group reaches the database, its answer nobody.
    swallow: AtomicBool,
}

impl Proxy {
    /// In front of that database; the URL through it.
    pub(crate) async fn before(url: &str) -> (Proxy, String) {
        let mut url = Url::parse(url).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let target = format!("{host}:{}", url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (away, is_away) = watch::channel(false);
        tokio::spawn(accept(listener, target, Arc::clone(&state), is_away));
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(address.port())).unwrap();
        url.set_query(Some("sslmode=disable"));
        (
            Proxy {
                address,
                state,
                away,
            },
            url.into(),
        )
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

    /// Whether that has happened.
    pub(crate) fn has_lost_it(&self) -> bool {
        !self.state.swallow.load(Ordering::SeqCst)
    }

    /// The database goes away, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        assert_ne!(self.address.port(), 0);
        self.away.send_replace(away);
    }
}

async fn accept(
    listener: TcpListener,
    target: String,
    state: Arc<State>,
    away: watch::Receiver<bool>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        if *away.borrow() {
            continue;
        }
        let Ok(server) = TcpStream::connect(&target).await else {
            continue;
        };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (state, mut away) = (Arc::clone(&state), away.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = outward(from_client, to_server, &state) => {}
                () = inward(from_server, to_client, &state) => {}
                _ = away.wait_for(|away| *away) => {}
            }
        });
    }
}

async fn outward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        let sent = &bytes[..count];
        let swallow = sent.ends_with(COMMIT) && state.swallow.swap(false, Ordering::SeqCst);
        if to.write_all(sent).await.is_err() {
            return;
        }
        if swallow {
            // Long enough for the database to have done it; returning cuts both sides.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return;
        }
    }
}

async fn inward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    let mut swallowed = false;
    loop {
        // A message: its type, its length (with the length's own four bytes), its body.
        let mut head = [0; 5];
        if from.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        if from.read_exact(&mut body).await.is_err() {
            return;
        }
        if head[0] == b'D' && body == DONE {
            state.groups.fetch_add(1, Ordering::SeqCst);
            swallowed = state.swallow.swap(false, Ordering::SeqCst);
        }
        if swallowed {
            // ReadyForQuery follows the commit; returning cuts both sides.
            if head[0] == b'Z' {
                return;
            }
            continue;
        }
        // ReadyForQuery, inside a transaction.
        if head[0] == b'Z' && body == b"T" {
            state.in_transaction.fetch_add(1, Ordering::SeqCst);
        }
        if to
            .write_all(&[head.as_slice(), &body].concat())
            .await
            .is_err()
        {
            return;
        }
    }
}

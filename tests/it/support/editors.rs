//! Editors at work: each makes numbered items, one after the other, and asks again with the same
//! key for as long as nobody answers. What they were told is what must be there in the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::caller::Caller;

/// A workspace with one list, and who writes into it.
pub(crate) struct Ground {
    pub(crate) owner: Caller,
    pub(crate) workspace: String,
    pub(crate) list: String,
}

/// Items by their number, as they were acknowledged.
pub(crate) type Acknowledged = HashMap<u64, String>;

pub(crate) struct Editors {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    tasks: JoinSet<(Acknowledged, Duration)>,
}

impl Ground {
    pub(crate) async fn new(servers: &[String]) -> Ground {
        let owner = Caller::new("owner");
        let (workspace, list) = owner.ground(servers).await;
        Ground {
            owner,
            workspace,
            list,
        }
    }

    /// Puts editors to work; each begins at another of the servers, and goes to the others when it
    /// gets no answer.
    pub(crate) fn editors(&self, servers: &[String], count: usize) -> Editors {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for editor in 0..count {
            let mut own = servers.to_vec();
            own.rotate_left(editor % servers.len());
            let (owner, path) = (self.owner.clone(), format!("{}/items", self.list));
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            // Numbers that no other editor of any round has.
            let first = NEXT.fetch_add(1_000_000, Ordering::SeqCst) as u64;
            tasks.spawn(async move {
                let (mut told, mut longest) = (Acknowledged::new(), Duration::ZERO);
                for n in first.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let begun = Instant::now();
                    let body = json!({"values": {"N": n}});
                    let made = owner
                        .insist(&own, "POST", &path, &format!("n{n}"), &body)
                        .await
                        .is(201);
                    longest = longest.max(begun.elapsed());
                    told.insert(n, made["id"].as_str().unwrap().to_owned());
                    written.fetch_add(1, Ordering::SeqCst);
                }
                (told, longest)
            });
        }
        Editors {
            stop,
            written,
            tasks,
        }
    }

    /// Nothing acknowledged is lost, nothing is there twice, and the log is whole, with an event
    /// for each of them behind the first `before`.
    pub(crate) async fn check(&self, servers: &[String], told: &Acknowledged, before: u64) {
        let mut found = Acknowledged::new();
        for item in self.owner.items(servers, &self.list).await {
            let n = item["values"]["N"].as_u64().unwrap();
            let doubled = found.insert(n, item["id"].as_str().unwrap().to_owned());
            assert!(doubled.is_none(), "{n} is there twice");
        }
        assert_eq!(&found, told, "what is there is what was acknowledged");
        let events = self.owner.verify(servers, &self.workspace).await;
        assert_eq!(events, before + told.len() as u64);
    }
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Editors {
    /// Waits until they have written so many more.
    pub(crate) async fn advance(&self, more: usize) {
        let goal = self.written.load(Ordering::SeqCst) + more;
        let begun = Instant::now();
        while self.written.load(Ordering::SeqCst) < goal {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "nothing is written any more"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets them finish what they began; what they were told, and the longest that one waited.
    pub(crate) async fn finish(mut self) -> (Acknowledged, Duration) {
        self.stop.store(true, Ordering::SeqCst);
        let (mut all, mut longest) = (Acknowledged::new(), Duration::ZERO);
        while let Some(ended) = self.tasks.join_next().await {
            let (told, waited) = ended.unwrap();
            all.extend(told);
            longest = longest.max(waited);
        }
        (all, longest)
    }
}

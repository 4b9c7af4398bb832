//! `estatebase watch`: a workspace's live events, a line each. It keeps its position, resumes
//! after a lost connection, and says plainly when something can't be replayed or was left out.

pub mod line;

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use uuid::Uuid;

use super::client::frames::{Event, Events, Frame, RawEvent, Reset};
use super::client::login::{LoginArgs, Session};
use super::client::position::Position;
use super::client::reconnect;
use super::client::rest::Rest;
use super::client::socket::{Socket, SocketError, parse};
use crate::ids::{ListId, WorkspaceId};

/// Prints the live events of a workspace until it is stopped.
#[derive(Clone, Debug, clap::Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub login: LoginArgs,
    /// The workspace; may be left out by who is in one only.
    #[arg(long)]
    pub workspace: Option<WorkspaceId>,
    /// Each event as the JSON that was sent, one a line; everything else goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// The command. Ends when the access is taken away, or when the output is closed.
///
/// # Errors
/// When the server can't be reached or refuses.
pub async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let mut session = args.login.sign_in().await?;
    let rest = session.rest().await?;
    let workspace = choose(&rest, args.workspace).await?;
    let mut watch = Watch {
        workspace,
        json: args.json,
        position: None,
        lists: list_names(&rest, workspace).await?,
        out: io::stdout(),
    };
    match watch.follow(&mut session).await {
        Err(error) if !is_closed_output(&error) => Err(error),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The state of one watch; `W` is where events go.
struct Watch<W> {
    workspace: WorkspaceId,
    json: bool,
    position: Option<Position>,
    lists: HashMap<ListId, String>,
    out: W,
}

/// Why a connection is left.
enum Leave {
    /// Nothing more will come.
    ForGood,
    /// Come back at the position.
    ToResume,
}

impl<W: Write> Watch<W> {
    /// Connects, again and again, until there is nothing left to see.
    async fn follow(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let mut attempt = 0;
        loop {
            let outcome = match self.connect(session).await {
                Ok(mut socket) => {
                    attempt = 0;
                    self.read(&mut socket, session).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(Leave::ForGood) => return Ok(()),
                Ok(Leave::ToResume) => {}
                Err(error) => {
                    let lost: SocketError = error.downcast()?;
                    if !lost.may_retry() {
                        return Err(lost.into());
                    }
                    self.note(&format!("{lost}; connecting again"))?;
                }
            }
            reconnect::pause(attempt).await;
            attempt += 1;
        }
    }

    async fn connect(&mut self, session: &mut Session) -> anyhow::Result<Socket> {
        let rest = session.rest().await?;
        let mut socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        match &self.position {
            Some(position) => socket.resume(self.workspace, position).await?,
            None => {
                let position = socket.subscribe(self.workspace).await?.position;
                self.note(&format!("watching from seq {}", position.seq))?;
                self.position = Some(position);
            }
        }
        Ok(socket)
    }

    async fn read(&mut self, socket: &mut Socket, session: &mut Session) -> anyhow::Result<Leave> {
        loop {
            let text = socket.next().await?;
            let leave = match parse::<RawEvent>(&text)? {
                Frame::Events(events) => {
                    let decoded = decode(&events)?;
                    if !self.knows_lists_of(&decoded) {
                        self.lists = list_names(&session.rest().await?, self.workspace).await?;
                    }
                    self.events(events, &decoded)?
                }
                frame => self.other(frame)?,
            };
            if let Some(leave) = leave {
                return Ok(leave);
            }
        }
    }

    fn events(
        &mut self,
        events: Events<RawEvent>,
        decoded: &[Event],
    ) -> anyhow::Result<Option<Leave>> {
        let position = self.position.get_or_insert_default();
        let seqs = decoded.iter().map(|event| event.seq);
        if let Err(hole) = position.advance(events.after, events.through, events.mark, seqs) {
            self.note(&format!("HOLE: {hole}; asking again"))?;
            return Ok(Some(Leave::ToResume));
        }
        for (event, raw) in decoded.iter().zip(&events.events) {
            if self.json {
                writeln!(self.out, "{}", raw.get())?;
            } else {
                writeln!(self.out, "{}", line::of(event, &self.lists))?;
            }
        }
        self.out.flush()?;
        Ok(None)
    }

    /// Everything that is no event.
    fn other(&mut self, frame: Frame<RawEvent>) -> anyhow::Result<Option<Leave>> {
        let position = self.position.get_or_insert_default();
        let hole = match frame {
            Frame::Subscribed(theirs) => position.confirm(theirs.position).err(),
            Frame::Beat(beat) => position.check_beat(beat.through, &beat.mark).err(),
            Frame::Reset(reset) => {
                self.reset(reset)?;
                None
            }
            Frame::Access(access) => match access.role {
                Some(role) => {
                    self.note(&format!("your role is now {role}"))?;
                    None
                }
                None => {
                    self.note("your access was taken away")?;
                    return Ok(Some(Leave::ForGood));
                }
            },
            Frame::Job(job) => {
                let of = job.total.map(|total| format!(" of {total}"));
                let (done, of) = (job.done, of.unwrap_or_default());
                self.note(&format!("job {} {}: {done}{of}", job.job, job.state))?;
                None
            }
            Frame::Drain(drain) => {
                self.note(&format!("the server goes away in {} ms", drain.after_ms))?;
                None
            }
            Frame::Error(refusal) => bail!(SocketError::Refused(refusal.problem)),
            _ => None,
        };
        match hole {
            None => Ok(None),
            Some(hole) => {
                self.note(&format!("HOLE: {hole}; asking again"))?;
                Ok(Some(Leave::ToResume))
            }
        }
    }

    fn reset(&mut self, reset: Reset) -> anyhow::Result<()> {
        self.note(&format!(
            "RESET ({}): what came before seq {} can't be replayed here; read it with GET events",
            reset.reason, reset.seq
        ))?;
        let position = self.position.get_or_insert_default();
        position.jump(reset.seq, reset.mark);
        Ok(())
    }

    /// A remark about the watching itself. With `--json` standard output is for events alone.
    fn note(&mut self, text: &str) -> io::Result<()> {
        if self.json {
            writeln!(io::stderr(), "-- {text}")
        } else {
            writeln!(self.out, "-- {text}")?;
            self.out.flush()
        }
    }

    fn knows_lists_of(&self, events: &[Event]) -> bool {
        events
            .iter()
            .flat_map(|event| &event.changes)
            .all(|change| self.lists.contains_key(&change.list))
    }
}

fn decode(events: &Events<RawEvent>) -> anyhow::Result<Vec<Event>> {
    let decoded = events
        .events
        .iter()
        .map(|raw| serde_json::from_str(raw.get()));
    decoded
        .collect::<Result<_, _>>()
        .context("an event that is not in the contract")
}

/// `watch | head` has seen enough; that is no failure.
fn is_closed_output(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn choose(rest: &Rest, workspace: Option<WorkspaceId>) -> anyhow::Result<WorkspaceId> {
    if let Some(workspace) = workspace {
        return Ok(workspace);
    }
    let mine = rest.workspaces().await?;
    match mine.as_slice() {
        [only] => Ok(only.id),
        [] => bail!("you are in no workspace yet"),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|workspace| format!("  {}  {}", workspace.id, workspace.name))
                .collect();
            bail!("say which with --workspace:\n{}", names.join("\n"))
        }
    }
}

async fn list_names(
    rest: &Rest,
    workspace: WorkspaceId,
) -> anyhow::Result<HashMap<ListId, String>> {
    let lists = rest.lists(workspace).await?;
    Ok(lists.into_iter().map(|list| (list.id, list.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::client::fake::Server;
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        async fn shows(&self, wanted: &str) {
            let waited = tokio::time::timeout(Duration::from_secs(10), async {
                while !self.text().contains(wanted) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            assert!(waited.await.is_ok(), "no {wanted:?} in\n{}", self.text());
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn watch(screen: Screen) -> Watch<Screen> {
        Watch {
            workspace: Uuid::from_u128(1).into(),
            json: false,
            position: None,
            lists: HashMap::new(),
            out: screen,
        }
    }

    #[tokio::test]
    async fn a_lost_connection_loses_and_repeats_no_event() {
        let server = Server::start().await;
        let screen = Screen::default();
        let mut watching = watch(screen.clone());
        let url = server.url.clone();
        let task = tokio::spawn(async move {
            let mut session = Session::with_token(url, "token").unwrap();
            watching.follow(&mut session).await
        });
        screen.shows("watching from seq 0").await;
        server.happen("list.created");
        screen.shows("#1 ").await;
        server.cut();
        server.happen("list.renamed");
        server.happen("list.deleted");
        screen.shows("#3 ").await;
        let text = screen.text();
        let events: Vec<&str> = text.lines().filter(|l| !l.starts_with("--")).collect();
        assert_eq!(events.len(), 3, "{text}");
        assert!(text.contains("connecting again"));
        assert!(!text.contains("HOLE") && !text.contains("RESET"));
        task.abort();
    }

    #[test]
    fn a_hole_is_said_and_asked_for_again() {
        let screen = Screen::default();
        let mut watch = watch(screen.clone());
        let frame = |after: u64, through: u64| Events::<RawEvent> {
            workspace: watch_id(),
            after,
            through,
            mark: "m".into(),
            events: Vec::new(),
        };
        assert!(watch.events(frame(0, 4), &[]).unwrap().is_none());
        assert!(matches!(
            watch.events(frame(6, 7), &[]).unwrap(),
            Some(Leave::ToResume)
        ));
        assert_eq!(watch.position.unwrap().seq, 4);
        assert!(screen.text().contains("HOLE: stands at 4"));
    }

    #[test]
    fn a_reset_is_said_and_goes_on_from_there() {
        let screen = Screen::default();
        let mut watch = watch(screen.clone());
        let reset = Reset {
            workspace: watch_id(),
            reason: "too_far".into(),
            seq: 9000,
            mark: "m".into(),
        };
        assert!(watch.other(Frame::Reset(reset)).unwrap().is_none());
        assert_eq!(watch.position.as_ref().unwrap().seq, 9000);
        assert!(screen.text().contains("RESET (too_far)"));
    }

    #[test]
    fn a_member_who_is_removed_stops_watching() {
        let mut watch = watch(Screen::default());
        let access = crate::commands::client::frames::Access { role: None };
        assert!(matches!(
            watch.other(Frame::Access(access)).unwrap(),
            Some(Leave::ForGood)
        ));
    }

    fn watch_id() -> WorkspaceId {
        Uuid::from_u128(1).into()
    }
}

//! The socket's contract: code, golden frames, the AsyncAPI document and its copy for the client's
//! package say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use chrono::DateTime;
use estatebase::actors::workspace::{EncodedEvent, EventBatch, Lists, events_frame};
use estatebase::domain::event::{Audience, Reader};
use estatebase::domain::log::{Actor, EventHeader};
use estatebase::domain::roles::Role;
use estatebase::error::AppError;
use estatebase::ids::{FormId, ItemId, JobId, ListId, UserId, WorkspaceId};
use estatebase::wire::frames::{
    ClientFrame, Limits, MAX_FRAME, MAX_FRAME_ITEMS, Present, PresentState, ServerFrame, ack,
};
use estatebase::wire::messages::{CLOSE_CODES, MESSAGES, Sender};
use regex::Regex;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{Person, TestApp};
use crate::support::contract::check;
use crate::support::socket::Socket;

const MARK: &str = "5b8f0c2d9a7e4136";

/// The golden frames of a folder, by name.
fn golden(folder: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/frames")
        .join(folder);
    let files = fs::read_dir(path).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap().trim_end().to_owned();
        (name, text)
    });
    files.collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn kind(frame: &ClientFrame) -> &'static str {
    match frame {
        ClientFrame::Hello(_) => "hello",
        ClientFrame::Auth(_) => "auth",
        ClientFrame::Subscribe(_) => "subscribe",
        ClientFrame::Unsubscribe(_) => "unsubscribe",
        ClientFrame::Edit(_) => "edit",
        ClientFrame::Create(_) => "create",
        ClientFrame::Delete(_) => "delete",
        ClientFrame::Presence(_) => "presence",
        ClientFrame::Ping(_) => "ping",
    }
}

#[test]
fn a_good_frame_of_a_client_is_read_and_fits_its_schema() {
    for (name, text) in golden("client") {
        let frame = ClientFrame::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(json(&text)["type"], kind(&frame), "{name}");
        check(Sender::Client, &json(&text)).unwrap();
    }
}

#[test]
fn what_the_code_refuses_the_schema_refuses() {
    for (name, text) in golden("refused") {
        assert!(ClientFrame::parse(&text).is_err(), "{name} was read");
        assert!(check(Sender::Client, &json(&text)).is_err(), "{name} fits");
    }
}

#[test]
fn a_field_that_nobody_knows_is_refused_in_every_frame_of_a_client() {
    for (name, text) in golden("client") {
        let mut frame = json(&text);
        frame["more"] = json!(1);
        assert!(ClientFrame::parse(&frame.to_string()).is_err(), "{name}");
        assert!(check(Sender::Client, &frame).is_err(), "{name}");
    }
}

#[test]
fn every_message_has_a_golden_frame() {
    for (from, folder) in [(Sender::Client, "client"), (Sender::Server, "server")] {
        let told: BTreeSet<&str> = MESSAGES
            .iter()
            .filter(|message| message.from == from)
            .map(|message| message.name)
            .collect();
        let frames = golden(folder);
        let shown: BTreeSet<String> = frames
            .values()
            .map(|text| json(text)["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(told, shown.iter().map(String::as_str).collect());
    }
}

#[test]
fn a_frame_of_the_server_has_its_golden_bytes_and_fits_its_schema() {
    let golden = golden("server");
    let encoded = server_frames();
    for (name, text) in &encoded {
        check(Sender::Server, &json(text)).unwrap();
        let known = golden.get(*name).map(String::as_str);
        assert_eq!(known, Some(text.as_str()), "{name}");
    }
    let names: BTreeSet<&str> = encoded.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, golden.keys().map(String::as_str).collect());
}

#[test]
fn the_client_s_package_is_made_from_this_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/realtime/asyncapi.json");
    let copy = json(&fs::read_to_string(path).unwrap());
    assert!(
        copy == estatebase::http::asyncapi::build(),
        "renew it: cargo run -- asyncapi > client/realtime/asyncapi.json && (cd client && npm run generate)"
    );
}

/// What a socket may say or close with is written in `ws` and `actors` alone.
#[test]
fn no_frame_and_no_close_code_of_the_code_is_missing_from_the_tables() {
    let tag = Regex::new(r#""type":\s*"(\w+)""#).unwrap();
    let close = Regex::new(r"\b(?:close\w*\(\s*|code: |\()(4\d\d\d)\b").unwrap();
    let mut codes = 0;
    for source in sources() {
        for found in tag.captures_iter(&source) {
            assert!(
                MESSAGES.iter().any(|one| one.name == &found[1]),
                "{}",
                &found[1]
            );
        }
        for found in close.captures_iter(&source) {
            let code: u16 = found[1].parse().unwrap();
            assert!(CLOSE_CODES.iter().any(|one| one.code == code), "{code}");
            codes += 1;
        }
    }
    assert!(codes > 5, "they are written in another way now: {codes}");
}

fn sources() -> Vec<String> {
    fn read(folder: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, into);
            } else {
                into.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut all = Vec::new();
    for folder in ["src/ws", "src/actors"] {
        read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut all,
        );
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_speaks_the_document_that_the_server_serves() {
    let app = TestApp::new().await;
    let served = Person::nobody(&app).get("/asyncapi.json").await;
    assert_eq!(served.is(200), &estatebase::http::asyncapi::build());
    let limits = &served.body["x-limits"];

    let owner = app.person("owner").await;
    let guest = app.person("guest").await;
    let workspace = owner.workspace().await;
    owner.bring(&workspace, &guest, "admin").await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let item = owner.item(&list, json!({"Price": 1})).await;
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let edit = |price: Value, version: i64| {
        json!({"type": "edit", "op": Uuid::now_v7(), "workspace": id(&workspace), "list": id(&list),
            "items": [{"id": item, "values": {"Price": price}, "if_version": version}]})
    };

    // Every frame that comes is held to the document by `Socket` itself.
    let mut socket = Socket::silent(&app).await;
    let hello = json!({"type": "hello", "token": guest.token, "client": Uuid::now_v7()});
    let good = [
        hello,
        json!({"type": "ping", "t": {"any": ["thing"]}}),
        json!({"type": "auth", "token": guest.token}),
        json!({"type": "subscribe", "id": 1, "workspace": id(&workspace), "lists": "all",
            "since": {"seq": 1, "mark": "0123456789abcdef"}}),
        edit(json!(2), 1),
        edit(json!(3), 1),
        edit(json!("dear"), 2),
        json!({"type": "unsubscribe", "id": 1}),
        json!({"type": "subscribe", "id": 2, "workspace": id(&workspace), "lists": [id(&list)]}),
    ];
    let mut seen = BTreeSet::new();
    let answers = [
        "welcome",
        "pong",
        "",
        "reset",
        "ack",
        "reject",
        "reject",
        "",
        "subscribed",
    ];
    for (frame, answer) in good.into_iter().zip(answers) {
        check(Sender::Client, &frame).unwrap();
        socket.send(frame).await;
        while !answer.is_empty() {
            let frame = socket.frame().await.unwrap();
            seen.insert(frame["type"].as_str().unwrap().to_owned());
            if frame["type"] == "welcome" {
                for limit in ["frame_bytes", "frame_items", "subscriptions"] {
                    assert_eq!(frame["limits"][limit], limits[limit], "{limit}");
                }
            }
            if frame["type"] == answer {
                break;
            }
        }
    }
    socket.send(json!({"type": "dance"})).await;
    assert_eq!(socket.frame().await.unwrap()["type"], "error");
    let member = format!("{workspace}/members/{}", guest.id);
    owner
        .patch(&member, json!({"role": "viewer"}))
        .await
        .is(200);
    socket.next("access").await;
    assert!(seen.contains("events"), "{seen:?}");
    owner.delete(&member).await.is(204);
    let code = socket.closing().await.unwrap();
    assert!(CLOSE_CODES.iter().any(|one| one.code == code), "{code}");
}

// --- The server's frames, as it encodes them ------------------------------------------------------

fn uuid(last: u128) -> Uuid {
    Uuid::from_u128(0x0190_a5a0_0000_7000_8000_0000_0000_0000 + last)
}

fn server_frames() -> Vec<(&'static str, String)> {
    let workspace = WorkspaceId(uuid(1));
    let raw = |text: String| RawValue::from_string(text).unwrap();
    let refused = AppError::field("/items/0/values/ListPrice", "not_a_number", "not a number");
    let problem = refused.problem("0190a5a0-0000-7000-8000-000000000009");
    let current = raw(json!({"items": [{"id": uuid(3), "version": 4}]}).to_string());
    let t = raw("1763865600000".to_owned());
    let answer = raw(json!({"seq": 8, "items": [{"id": uuid(3), "version": 4}]}).to_string());
    let users = [
        Present {
            user: UserId(uuid(5)),
            session: uuid(6),
            name: "Ada",
            list: ListId(uuid(2)),
            item: Some(ItemId(uuid(3))),
            column: Some("ListPrice"),
            state: PresentState::Editing,
        },
        Present {
            user: UserId(uuid(7)),
            session: uuid(8),
            name: "Bo",
            list: ListId(uuid(2)),
            item: None,
            column: None,
            state: PresentState::Viewing,
        },
    ];
    let mut all: Vec<(&'static str, String)> = [
        (
            "welcome",
            ServerFrame::Welcome {
                session: uuid(6),
                user: UserId(uuid(5)),
                server_time: "2026-01-02T03:04:05.678901Z".to_owned(),
                heartbeat_ms: 25_000,
                limits: Limits {
                    frame_bytes: MAX_FRAME,
                    frame_items: MAX_FRAME_ITEMS,
                    subscriptions: 100,
                },
            },
        ),
        (
            "subscribed",
            ServerFrame::Subscribed {
                id: 1,
                workspace,
                seq: 7,
                mark: MARK,
                audience: Audience::Members.name(),
            },
        ),
        (
            "beat",
            ServerFrame::Beat {
                workspace,
                through: 7,
                mark: MARK,
            },
        ),
        (
            "reset",
            ServerFrame::Reset {
                workspace,
                id: None,
                reason: "changed_audience",
                seq: 7,
                mark: MARK,
            },
        ),
        (
            "reset-of-a-subscription",
            ServerFrame::Reset {
                workspace,
                id: Some(1),
                reason: "foreign_mark",
                seq: 7,
                mark: MARK,
            },
        ),
        (
            "access",
            ServerFrame::Access {
                workspace,
                role: Some(Role::Viewer),
            },
        ),
        (
            "access-taken-away",
            ServerFrame::Access {
                workspace,
                role: None,
            },
        ),
        (
            "presence",
            ServerFrame::Presence {
                workspace,
                seq: 7,
                users: &users,
                full: true,
            },
        ),
        (
            "presence-that-changed",
            ServerFrame::Presence {
                workspace,
                seq: 7,
                users: &users[..1],
                full: false,
            },
        ),
        (
            "job",
            ServerFrame::Job {
                workspace,
                job: JobId(uuid(10)),
                state: "running",
                done: 65_536,
                total: 262_144,
                read: 400,
                created: 398,
                failed: 2,
                seq: 7,
            },
        ),
        ("drain", ServerFrame::Drain { after_ms: 1_250 }),
        ("pong", ServerFrame::Pong { t: Some(&t) }),
        ("pong-without-t", ServerFrame::Pong { t: None }),
        (
            "error",
            ServerFrame::Error {
                id: None,
                problem: &problem,
            },
        ),
        (
            "error-of-a-subscription",
            ServerFrame::Error {
                id: Some(1),
                problem: &problem,
            },
        ),
        (
            "reject",
            ServerFrame::Reject {
                op: uuid(4),
                problem: &problem,
                current: None,
            },
        ),
        (
            "reject-with-what-stands",
            ServerFrame::Reject {
                op: uuid(4),
                problem: &problem,
                current: Some(&current),
            },
        ),
    ]
    .into_iter()
    .map(|(name, frame)| (name, frame.to_text()))
    .collect();
    all.push(("ack", ack(uuid(4), &answer)));
    all.push(("events", events()));
    all
}

/// One event of each form: changes, one of them erased; data; too large for its values.
fn events() -> String {
    let workspace = WorkspaceId(uuid(1));
    let header = |seq: i64, kind: &str| EventHeader {
        workspace,
        seq,
        at: DateTime::UNIX_EPOCH,
        kind: kind.to_owned(),
        actor: Actor::User(UserId(uuid(5))),
        op: None,
        change: None,
        undoes: None,
        list: Some(ListId(uuid(2))),
        rows: 1,
    };
    let change = json!({"kind": "updated", "list": uuid(2), "item": uuid(3), "version": 4,
        "set": {"ListPrice": 2}, "was": {"ListPrice": null}});
    let data = json!({"id": uuid(2), "name": "Homes"});
    let wide = json!({"kind": "created", "list": uuid(2), "item": uuid(3), "version": 1,
        "set": {"Remarks": "x".repeat(65_536)}});
    let mut first = header(8, "items.changed");
    first.op = Some(uuid(4));
    first.change = Some(uuid(11));
    first.undoes = Some(3);
    let mut job = header(10, "items.changed");
    job.actor = Actor::Job(JobId(uuid(10)));
    let mut form = header(11, "items.changed");
    form.actor = Actor::Form(FormId(uuid(13)));
    let sent = json!({"kind": "created", "list": uuid(2), "item": uuid(14), "version": 1,
        "set": {"Name": "Ada"}});
    let comment = json!({"comment": {"id": uuid(15), "body": "Hello"}});
    let view = json!({"view": {"id": uuid(16), "owner_id": uuid(5), "shared": false}});
    let encoded = vec![
        EncodedEvent::new(&first, &[0; 32], &[Some(&change.to_string()), None]),
        EncodedEvent::new(
            &header(9, "list.created"),
            &[0; 32],
            &[Some(&data.to_string())],
        ),
        EncodedEvent::new(&job, &[0; 32], &[Some(&wide.to_string())]),
        EncodedEvent::new(&form, &[0; 32], &[Some(&sent.to_string())]),
        EncodedEvent::new(
            &header(12, "comment.created"),
            &[0; 32],
            &[Some(&comment.to_string())],
        ),
        // Another person's private view, of which this reader hears nothing.
        EncodedEvent::new(
            &header(13, "view.created"),
            &[0; 32],
            &[Some(&view.to_string())],
        ),
    ];
    let batch = EventBatch::new(workspace, 7, 13, MARK, encoded);
    let reader = Reader {
        class: Audience::Members,
        user: UserId(uuid(12)),
    };
    events_frame(7, &[&batch], reader, &Lists::All)
        .unwrap()
        .to_string()
}

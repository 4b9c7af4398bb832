//! The websocket protocol (RFC 6455), octet by octet: the cases of the Autobahn suite's sections 1
//! to 7 and 10, as far as a server that wants text alone can be asked. Where that suite hears an
//! echo, these hear the `pong` of a `ping` frame with the same `t`.

use futures::future::join_all;
use serde_json::value::RawValue;

use crate::support::app::{Person, TestApp};
use crate::support::raw::{
    CLOSE, CONTINUATION, FIN, Heard, PING, PONG, RawSocket, TEXT, UPGRADE, ask, fragmented, frame,
    text, unmasked,
};

/// What is written, and what must be heard.
struct Case {
    name: String,
    /// Each is written by itself.
    writes: Vec<Vec<u8>>,
    hears: Vec<Heard>,
}

fn case(name: impl Into<String>, writes: Vec<Vec<u8>>, hears: Vec<Heard>) -> Case {
    Case {
        name: name.into(),
        writes,
        hears,
    }
}

/// The rule that was broken ends the connection with that code.
fn broken(name: impl Into<String>, writes: Vec<Vec<u8>>, code: u16) -> Case {
    case(name, writes, vec![Heard::Close(Some(code))])
}

impl Case {
    /// The same, octet by octet.
    fn chopped(&self) -> Case {
        self.in_chops(1)
    }

    fn in_chops(&self, size: usize) -> Case {
        let octets = self.writes.concat();
        case(
            format!("{} in chops of {size}", self.name),
            octets.chunks(size).map(<[u8]>::to_vec).collect(),
            self.hears.clone(),
        )
    }
}

/// A `ping` frame with that text in `t`, and the answer to it.
fn ping(t: &str) -> (String, Heard) {
    let t = serde_json::to_string(t).unwrap();
    (
        format!(r#"{{"type":"ping","t":{t}}}"#),
        Heard::Text(format!(r#"{{"type":"pong","t":{t}}}"#)),
    )
}

/// A `ping` frame of exactly so many octets.
fn ping_of(octets: usize) -> (String, Heard) {
    let around = ping("").0.len();
    let whole = ping(&"*".repeat(octets - around));
    assert_eq!(whole.0.len(), octets);
    whole
}

fn control(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | opcode, payload.as_ref())
}

fn pong(payload: impl AsRef<[u8]>) -> Heard {
    Heard::Pong(payload.as_ref().to_vec())
}

fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.as_ref());
    control(CLOSE, payload)
}

/// Runs each on a connection of its own. What must be heard is heard in order and nothing else;
/// after it the server ends the connection when we do.
async fn run(cases: Vec<Case>) {
    let app = TestApp::new().await;
    let person = app.person("owner").await;
    for some in cases.chunks(64) {
        let failed = join_all(some.iter().map(|case| try_case(&app, &person, case))).await;
        let failed: Vec<String> = failed.into_iter().flatten().collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

async fn try_case(app: &TestApp, person: &Person, case: &Case) -> Option<String> {
    let mut socket = RawSocket::open(app, person).await;
    for octets in &case.writes {
        socket.write(octets).await;
    }
    for expected in &case.hears {
        let heard = socket.next().await;
        if heard != *expected {
            return Some(format!("{}: {heard:?}, not {expected:?}", case.name));
        }
    }
    let closed = matches!(case.hears.last(), Some(Heard::Close(_) | Heard::End));
    if !closed {
        // Nothing else was said: the answer to this is the next.
        let (said, answer) = ping("the end");
        socket.write(&text(said)).await;
        let heard = socket.next().await;
        if heard != answer {
            return Some(format!("{}: then {heard:?}", case.name));
        }
    }
    socket.end().await;
    None
}

/// Section 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_any_length_is_read_and_anything_else_is_not_text() {
    let mut cases = Vec::new();
    for octets in [30, 125, 126, 127, 128, 1_000, 65_535, 65_536] {
        let (said, answer) = ping_of(octets);
        let whole = case(format!("{octets} octets"), vec![text(said)], vec![answer]);
        cases.push(whole.in_chops(997));
        if octets < 1_000 {
            cases.push(whole.chopped());
        }
        cases.push(whole);
        let binary = control(0x2, vec![0xfe; octets]);
        cases.push(broken(format!("{octets} binary"), vec![binary], 1003));
    }
    cases.push(broken("an empty binary", vec![control(0x2, "")], 1003));
    cases.push(broken("part of a binary", vec![frame(0x2, b"x")], 1003));
    run(cases).await;
}

/// Section 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_with_what_it_carries_and_a_pong_with_nothing() {
    let mut cases: Vec<Case> = [
        &b""[..],
        b"Hello, world!",
        b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
        &[0xfe; 125],
    ]
    .into_iter()
    .map(|payload| {
        let name = format!("a ping of {}", payload.len());
        case(name, vec![control(PING, payload)], vec![pong(payload)])
    })
    .collect();
    cases.push(cases[3].chopped());
    let ten = |n| format!("payload-{n}");
    let writes = (0..10).map(|n| control(PING, ten(n))).collect();
    cases.push(case(
        "ten pings",
        writes,
        (0..10).map(|n| pong(ten(n))).collect(),
    ));
    cases.push(cases[5].chopped());
    cases.push(case("a pong", vec![control(PONG, "")], vec![]));
    cases.push(case(
        "a pong that says something",
        vec![control(PONG, "eight__8")],
        vec![],
    ));
    let between = vec![control(PONG, "a"), control(PING, "b"), control(PONG, "c")];
    cases.push(case("a ping between pongs", between, vec![pong("b")]));
    cases.push(broken(
        "a ping of 126",
        vec![control(PING, [0xfe; 126])],
        1002,
    ));
    cases.push(broken(
        "a pong of 126",
        vec![control(PONG, [0xfe; 126])],
        1002,
    ));
    run(cases).await;
}

/// Sections 3 and 4, and a frame without a mask.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_or_unmasked_breaks_the_protocol() {
    let (said, answer) = ping("before");
    let mut cases = Vec::new();
    for reserved in 1..8 {
        for opcode in [TEXT, PING, CLOSE] {
            let name = format!("reserved bits {reserved} of opcode {opcode}");
            let bad = frame(FIN | reserved << 4 | opcode, b"{}");
            let mut after = broken(&name, vec![text(&said), bad], 1002);
            after.hears.insert(0, answer.clone());
            cases.push(after.chopped());
            cases.push(after);
        }
    }
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        for payload in [&b""[..], b"payload"] {
            let mut after = broken(
                format!("opcode {opcode}"),
                vec![text(&said), control(opcode, payload), control(PING, "")],
                1002,
            );
            after.hears.insert(0, answer.clone());
            cases.push(after);
        }
    }
    for opcode in [TEXT, PING, PONG, CLOSE] {
        let bare = unmasked(FIN | opcode, b"{}");
        cases.push(broken(format!("unmasked {opcode}"), vec![bare], 1002));
    }
    run(cases).await;
}

/// Section 5.
#[tokio::test(flavor = "multi_thread")]
async fn fragments_are_one_message_and_what_is_out_of_order_is_none() {
    let (said, answer) = ping("fragment1fragment2");
    let said = said.as_bytes();
    let half = said.len() / 2;
    let first = || frame(TEXT, &said[..half]);
    let last = || frame(FIN | CONTINUATION, &said[half..]);
    let mut cases = vec![
        case("two", vec![first(), last()], vec![answer.clone()]),
        case(
            "a ping between",
            vec![first(), control(PING, "pong!"), last()],
            vec![pong("pong!"), answer.clone()],
        ),
        case(
            "an empty part first, between and last",
            vec![
                frame(TEXT, b""),
                frame(CONTINUATION, said),
                frame(CONTINUATION, b""),
                frame(FIN | CONTINUATION, b""),
            ],
            vec![answer.clone()],
        ),
        case(
            "octet by octet with pings between",
            fragmented(said, 1)
                .into_iter()
                .flat_map(|part| [control(PING, "p"), part])
                .collect(),
            vec![pong("p"); said.len()]
                .into_iter()
                .chain([answer.clone()])
                .collect(),
        ),
        case(
            "one after another",
            [fragmented(said, 3), fragmented(said, 5), vec![text(said)]].concat(),
            vec![answer.clone(), answer.clone(), answer.clone()],
        ),
        broken("part of a ping", vec![frame(PING, b"part")], 1002),
        broken("part of a pong", vec![frame(PONG, b"part")], 1002),
        broken("part of a close", vec![frame(CLOSE, b"")], 1002),
        broken("a last part of nothing", vec![last(), text(said)], 1002),
        broken(
            "a part of nothing",
            vec![frame(CONTINUATION, b"x"), last()],
            1002,
        ),
        broken("a message within another", vec![first(), text(said)], 1002),
        broken("a beginning within another", vec![first(), first()], 1002),
        {
            let mut after = broken("after a whole message", vec![first(), last(), last()], 1002);
            after.hears.insert(0, answer.clone());
            after
        },
    ];
    let chopped: Vec<Case> = cases.iter().map(Case::chopped).collect();
    cases.extend(chopped);
    run(cases).await;
}

/// Section 6: what is UTF-8, in whole and in all kinds of parts.
#[tokio::test(flavor = "multi_thread")]
async fn every_text_in_utf8_is_read() {
    let texts = [
        "Hello-µ@ßöäüàá-UTF-8!!",
        "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}",
        "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
        "\u{d7ff}\u{e000}\u{fffd}",
        "\u{fffe}\u{ffff}\u{1fffe}\u{1ffff}\u{ffffe}\u{fffff}\u{10fffe}\u{10ffff}\u{fdd0}",
    ];
    let mut cases = Vec::new();
    for t in texts {
        let (said, answer) = ping(t);
        let whole = case(t, vec![text(&said)], vec![answer.clone()]);
        cases.push(whole.chopped());
        cases.push(whole);
        for size in [1, 2, 3] {
            let parts = fragmented(said.as_bytes(), size);
            cases.push(case(format!("{t} in {size}s"), parts, vec![answer.clone()]));
        }
    }
    run(cases).await;
}

/// What is no UTF-8: lone and missing continuations, impossible octets, overlong forms, surrogates
/// and what lies beyond Unicode (as in Markus Kuhn's stress test).
const NOT_UTF8: &[&[u8]] = &[
    b"\x80",
    b"\xbf",
    b"\x80\xbf\x80",
    b"\xc0 ",
    b"\xc3 ",
    b"\xe2\x82 ",
    b"\xf0\x9f\x98 ",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x80\x80\x80\xaf",
    b"\xfc\x80\x80\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xed\xad\xbf",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
];

/// Section 6: what is not, and that it is told before its frame or its message ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_utf8_is_refused_as_soon_as_it_shows() {
    let mut cases = Vec::new();
    for bad in NOT_UTF8 {
        let said = [br#"{"type":"ping","t":""#, *bad, br#""}"#].concat();
        let whole = broken(format!("{bad:x?}"), vec![text(&said)], 1007);
        cases.push(whole.chopped());
        cases.push(whole);
        cases.push(broken(
            format!("{bad:x?} in parts"),
            fragmented(&said, 1),
            1007,
        ));
        // The rest never comes.
        let shown = said.len() - 2;
        let early = broken("a part", vec![frame(TEXT, &said[..shown + 1])], 1007);
        cases.push(early);
        let whole = text(&said);
        let cut = whole[..whole.len() - 1].to_vec();
        cases.push(broken(
            format!("{bad:x?} before its frame ends"),
            vec![cut],
            1007,
        ));
    }
    // Cut off within a character: only the end shows it.
    let cut = b"\xce\xba\xe1\xbd".as_slice();
    cases.push(broken("ends within a character", vec![text(cut)], 1007));
    cases.push(broken(
        "ends within a character, in parts",
        fragmented(cut, 1),
        1007,
    ));
    run(cases).await;
}

/// Section 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_answered_once_and_a_bad_one_with_what_is_wrong() {
    let (said, answer) = ping("before");
    let normal = || close(1000, "");
    let closed = || Heard::Close(Some(1000));
    let together = |writes: &[Vec<u8>]| vec![writes.concat()];
    let mut cases = vec![
        case(
            "after a message",
            vec![text(&said), normal()],
            vec![answer.clone(), closed(), Heard::End],
        ),
        case(
            "twice",
            together(&[normal(), normal()]),
            vec![closed(), Heard::End],
        ),
        case(
            "a ping after it",
            together(&[normal(), control(PING, "")]),
            vec![closed(), Heard::End],
        ),
        case(
            "a text after it",
            together(&[normal(), text(&said)]),
            vec![closed(), Heard::End],
        ),
        case(
            "within a message",
            vec![frame(TEXT, said.as_bytes()), normal()],
            vec![closed(), Heard::End],
        ),
        case(
            "without a code",
            vec![control(CLOSE, "")],
            vec![Heard::Close(None), Heard::End],
        ),
        broken("half a code", vec![control(CLOSE, [3])], 1002),
        broken("a reason too long", vec![close(1000, [b'*'; 124])], 1002),
        broken(
            "a reason that is no UTF-8",
            vec![close(1000, b"\xce\xba\xed\xa0\x80")],
            1007,
        ),
    ];
    for reason in ["", "Hello World!", &"*".repeat(123)] {
        let name = format!("a reason of {}", reason.len());
        cases.push(case(
            name,
            vec![close(1000, reason)],
            vec![closed(), Heard::End],
        ));
    }
    let good = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ];
    for code in good {
        let answer = vec![Heard::Close(Some(code)), Heard::End];
        cases.push(case(format!("{code}"), vec![close(code, "")], answer));
    }
    let never = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ];
    for code in never {
        cases.push(broken(format!("{code}"), vec![close(code, "")], 1002));
    }
    run(cases).await;
}

/// Section 10, and what a fragmented message may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_limit_however_it_is_cut() {
    let (largest, answer) = ping_of(65_536);
    let (small, small_answer) = ping(&"*".repeat(10_000));
    let mut endless = fragmented(&[b' '; 40], 1);
    endless.pop();
    endless.resize(20_000, frame(CONTINUATION, b""));
    let beyond = [largest.as_bytes(), b" "].concat();
    let cases = vec![
        case(
            "in 1300s",
            fragmented(largest.as_bytes(), 1_300),
            vec![answer],
        ),
        case(
            "10 000 fragments",
            vec![fragmented(small.as_bytes(), 1).concat()],
            vec![small_answer],
        ),
        broken("65 537 octets", vec![text(&beyond)], 1009),
        broken("65 537 octets in 1300s", fragmented(&beyond, 1_300), 1009),
        broken("65 KiB", vec![text(vec![b'x'; 65 * 1_024])], 1009),
        // Eight octets of length, and nothing more: it is not waited for.
        broken(
            "an exbibyte that is announced",
            vec![[&[0x81, 0xFF, 0x10, 0, 0, 0, 0, 0, 0, 0][..], &[0; 4]].concat()],
            1009,
        ),
        broken(
            "a length beyond 63 bits",
            vec![vec![0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]],
            1002,
        ),
        broken("fragments without end", vec![endless.concat()], 1009),
    ];
    run(cases).await;
}

/// Section 4 of the RFC: what is no websocket is answered as everything else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_no_handshake_is_answered_with_a_problem() {
    let app = TestApp::new().await;
    let without = |name: &str| -> Vec<&str> {
        let lines = UPGRADE.iter().copied();
        lines.filter(|line| !line.starts_with(name)).collect()
    };
    let with = |name: &str, line: &'static str| [without(name), vec![line]].concat();
    let cases = [
        (vec![], 426),
        (without("Upgrade"), 426),
        (without("Connection"), 426),
        (without("Sec-WebSocket-Version"), 426),
        (
            with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
            426,
        ),
        (with("Upgrade", "Upgrade: not-websocket"), 426),
        (without("Sec-WebSocket-Key"), 400),
        (
            with("Sec-WebSocket-Key", "Sec-WebSocket-Key: c2hvcnQ="),
            400,
        ),
        (with("Sec-WebSocket-Key", "Sec-WebSocket-Key: ?"), 400),
        (with("Sec-WebSocket-P", "Sec-WebSocket-Protocol: chat"), 400),
        (with("Origin", "Origin: https://evil.example"), 403),
    ];
    for (lines, status) in cases {
        let answer = ask(&app, &lines).await;
        assert_eq!(answer.status, status, "{lines:?}: {}", answer.head);
        assert!(
            answer
                .head
                .contains("content-type: application/problem+json")
        );
        let problem: Box<RawValue> = serde_json::from_str(&answer.body).unwrap();
        assert!(problem.get().contains(&format!("\"status\":{status}")));
        if status == 426 {
            assert!(
                answer.head.contains("upgrade: websocket"),
                "{}",
                answer.head
            );
            assert!(answer.head.contains("sec-websocket-version: 13"));
        }
    }
    let chosen = [UPGRADE, &["Sec-WebSocket-Protocol: chat, estatebase.v1"]].concat();
    let answer = ask(&app, &chosen).await;
    assert!(
        answer
            .head
            .contains("sec-websocket-protocol: estatebase.v1")
    );
    answer.socket();
}

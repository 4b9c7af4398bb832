//! A frame of events at a glance: how far it goes and what each event is, without reading the rest.
//! It knows the order in which servers write; whatever it does not recognise must be parsed. Pure.

use uuid::Uuid;

use super::event::Seen;
use crate::commands::client::frames::Events;

/// With what an event begins. Inside a text its quotes would be escaped, so it is found nowhere
/// else.
const EVENT: &str = r#"{"seq":"#;
const OP: &str = r#""op":""#;
const UUID_LENGTH: usize = 36;

/// The frame without what the events changed; `None` if it is another, or one that is not written
/// as expected, or that does not hold all of its span.
pub fn glance(text: &str) -> Option<Events<Seen>> {
    let rest = text.strip_prefix(r#"{"type":"events","workspace":""#)?;
    let (workspace, rest) = rest.split_once(r#"","after":"#)?;
    let (after, rest) = rest.split_once(r#","through":"#)?;
    let (through, rest) = rest.split_once(r#","mark":""#)?;
    let (mark, rest) = rest.split_once(r#"","events":["#)?;
    let (after, through) = (after.parse().ok()?, through.parse().ok()?);
    let events: Vec<Seen> = rest.split(EVENT).skip(1).map(seen).collect::<Option<_>>()?;
    let span = u64::checked_sub(through, after)?;
    (u64::try_from(events.len()) == Ok(span)).then_some(Events {
        workspace: workspace.parse().ok()?,
        after,
        through,
        mark: mark.to_owned(),
        events,
    })
}

/// The event behind its beginning.
fn seen(text: &str) -> Option<Seen> {
    let (seq, rest) = text.split_once(',')?;
    let op = rest
        .split_once(OP)
        .and_then(|(_, op)| Uuid::try_parse(op.get(..UUID_LENGTH)?).ok());
    Some(Seen {
        seq: seq.parse().ok()?,
        op,
        changes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::commands::client::frames::Frame;

    const WORKSPACE: &str = "0190f7c4-5a4e-7000-8000-000000000001";

    fn event(seq: u64, op: Option<u128>, city: &str) -> String {
        let op = op.map_or_else(String::new, |op| {
            format!(r#","op":"{}""#, Uuid::from_u128(op))
        });
        let city = serde_json::to_string(city).unwrap();
        format!(
            r#"{{"seq":{seq},"at":"2026-03-01T10:00:00Z","actor":{{"user":"{WORKSPACE}"}}{op},"kind":"items.changed","changes":[{{"kind":"updated","list":"{WORKSPACE}","item":"{WORKSPACE}","version":2,"set":{{"City":{city}}},"was":{{}}}}]}}"#
        )
    }

    fn frame(after: u64, through: u64, events: &[String]) -> String {
        let events = events.join(",");
        format!(
            r#"{{"type":"events","workspace":"{WORKSPACE}","after":{after},"through":{through},"mark":"00000000000000aa","events":[{events}]}}"#
        )
    }

    proptest! {
        #[test]
        fn it_sees_what_a_parser_sees_whatever_people_write(
            after in 0_u64..1_000_000,
            written in proptest::collection::vec((any::<Option<u128>>(), ".*|[{\"seq:,op]{0,30}"), 1..6),
        ) {
            let events: Vec<String> = written
                .iter()
                .zip(after + 1..)
                .map(|((op, city), seq)| event(seq, *op, city))
                .collect();
            let through = after + u64::try_from(events.len()).unwrap();
            let text = frame(after, through, &events);
            let glanced = glance(&text).unwrap();
            let Frame::Events(parsed) = Frame::<Seen>::parse(&text).unwrap() else {
                panic!("another frame")
            };
            prop_assert_eq!(glanced.workspace, parsed.workspace);
            prop_assert_eq!((glanced.after, glanced.through, glanced.mark),
                            (parsed.after, parsed.through, parsed.mark));
            let known = |events: &[Seen]| -> Vec<_> { events.iter().map(|e| (e.seq, e.op)).collect() };
            prop_assert_eq!(known(&glanced.events), known(&parsed.events));
        }
    }

    #[test]
    fn what_it_does_not_know_is_left_to_the_parser() {
        let two = [event(5, None, "Davis"), event(6, None, "Davis")];
        assert!(glance(&frame(4, 6, &two)).is_some());
        assert!(glance(&frame(4, 7, &two)).is_none(), "one is not for us");
        assert!(glance(r#"{"type":"beat","workspace":"x","through":3,"mark":"m"}"#).is_none());
        let other_order = frame(4, 5, &[r#"{"at":"x","seq":5}"#.into()]);
        assert!(glance(&other_order).is_none());
        assert!(glance(&frame(4, 6, &two)[..200]).is_none());
    }
}

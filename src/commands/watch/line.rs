//! An event as one line for people. Pure.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

use crate::commands::client::frames::{Actor, Change, Event};
use crate::ids::ListId;

/// Cells that are shown of a change before the line says "and n more".
const CELLS: usize = 4;

/// Characters of a value that are shown.
const VALUE: usize = 60;

/// `10:00:00 #7 user 0198f2c1 updated 1 item in Properties: ListPrice 450000 → 460000`
pub fn of(event: &Event, lists: &HashMap<ListId, String>) -> String {
    let time = event
        .at
        .map_or_else(|| "--:--:--".into(), |at| at.format("%H:%M:%S").to_string());
    let mut line = format!("{time} #{} {} ", event.seq, who(event.actor.as_ref()));
    match event.changes.split_first() {
        Some((first, rest)) => changes(&mut line, first, rest, lists),
        None => line.push_str(&event.kind),
    }
    if event.wide {
        line.push_str(" (too wide to show)");
    }
    if let Some(undone) = event.undoes {
        push(&mut line, format_args!(", undoing #{undone}"));
    }
    if let Some(data) = &event.data {
        push(
            &mut line,
            format_args!(" {}", short(&data.to_string(), 160)),
        );
    }
    line
}

fn changes(line: &mut String, first: &Change, rest: &[Change], lists: &HashMap<ListId, String>) {
    let count = rest.len() + 1;
    let items = if count == 1 { "item" } else { "items" };
    let same = |change: &Change| change.kind == first.kind && change.list == first.list;
    if rest.iter().all(same) {
        let list = lists.get(&first.list).map_or("a list", String::as_str);
        push(
            line,
            format_args!("{} {count} {items} in {list}", first.kind),
        );
    } else {
        push(line, format_args!("changed {count} items of several kinds"));
    }
    for (at, (key, value)) in first.set.iter().take(CELLS).enumerate() {
        let mark = if at == 0 { ": " } else { ", " };
        let was = first.was.get(key).filter(|was| !was.is_null());
        push(line, format_args!("{mark}{key} "));
        if let Some(was) = was {
            push(line, format_args!("{} → ", shown(was)));
        }
        line.push_str(&shown(value));
    }
    if first.set.len() > CELLS {
        push(
            line,
            format_args!(" and {} more cells", first.set.len() - CELLS),
        );
    }
    if count > 1 {
        line.push_str(" …");
    }
}

fn who(actor: Option<&Actor>) -> String {
    let named = actor.and_then(|actor| {
        let Actor {
            user,
            token,
            job,
            form,
        } = actor;
        let user = user.as_deref().map(|id| ("user", id));
        user.or(token.as_deref().map(|id| ("token", id)))
            .or(job.as_deref().map(|id| ("job", id)))
            .or(form.as_deref().map(|id| ("form", id)))
    });
    match named {
        Some((what, id)) => format!("{what} {}", short_id(id)),
        None => "somebody".into(),
    }
}

/// The end of an id tells people apart; the beginning of a UUIDv7 is but the time.
fn short_id(id: &str) -> &str {
    id.len()
        .checked_sub(8)
        .and_then(|start| id.get(start..))
        .unwrap_or(id)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => short(text, VALUE),
        other => short(&other.to_string(), VALUE),
    }
}

/// At most `most` characters on one line; control characters (a terminal would obey them) escaped.
fn short(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == most {
            line.push('…');
            break;
        }
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = line.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn line(event: Value) -> String {
        let lists = HashMap::from([(Uuid::from_u128(5).into(), "Properties".to_owned())]);
        of(&serde_json::from_value(event).unwrap(), &lists)
    }

    fn change(set: Value, was: Value) -> Value {
        json!({"kind": "updated", "list": Uuid::from_u128(5), "item": Uuid::nil(), "version": 2,
               "set": set, "was": was})
    }

    #[test]
    fn an_edit_shows_old_and_new() {
        assert_eq!(
            line(json!({
                "seq": 7, "at": "2026-03-01T10:00:00Z", "kind": "items.changed",
                "actor": {"user": "0198f2c1-0000-7000-8000-0000deadbeef"},
                "changes": [change(
                    json!({"ListPrice": 460000, "City": "Davis"}),
                    json!({"ListPrice": 450000, "City": null}),
                )]
            })),
            "10:00:00 #7 user deadbeef updated 1 item in Properties: City Davis, ListPrice 450000 → 460000"
        );
    }

    #[test]
    fn other_events_show_their_kind_and_data() {
        assert_eq!(
            line(json!({"seq": 8, "kind": "list.created", "data": {"name": "Deals"}})),
            r#"--:--:-- #8 somebody list.created {"name":"Deals"}"#
        );
    }

    #[test]
    fn a_cell_can_neither_break_the_line_nor_command_the_terminal() {
        let text = format!("a\n\u{1b}[2J{}", "x".repeat(500));
        let line = line(json!({
            "seq": 9, "kind": "items.changed",
            "changes": [change(json!({"PublicRemarks": text}), json!({}))]
        }));
        assert!(line.contains("PublicRemarks a\\n\\u{1b}[2Jxxx"));
        assert!(!line.contains('\n') && line.chars().count() < 200);
    }
}

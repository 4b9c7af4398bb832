//! How much of an event and of an item the load test reads: enough to know each edit again, and
//! nothing that would cost time on the cores it shares with the server.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::ids::ItemId;

/// The key of the column that the simulated editors write.
pub const COLUMN: &str = "LoadMarker";

/// An event of the log, or of a socket.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub seq: u64,
    /// Only when it is a UUID: a REST client may name its requests as it likes.
    #[serde(default, deserialize_with = "uuid_or_none")]
    pub op: Option<Uuid>,
    #[serde(default)]
    pub changes: Vec<Touch>,
}

/// What it did to one item.
#[derive(Debug, Deserialize)]
pub struct Touch {
    pub item: ItemId,
    #[serde(default)]
    pub version: u64,
    #[serde(default)]
    pub set: Cells,
}

/// The cells of an item that matter here.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cells {
    #[serde(
        rename = "LoadMarker",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub marker: Option<u64>,
}

fn uuid_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| Uuid::parse_str(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_others_are_read_too() {
        let seen: Seen = serde_json::from_str(
            r#"{"seq":3,"at":"2026-01-01T00:00:00Z","actor":{"user":"x"},"op":"retry \"1\"","kind":"items.changed",
                "changes":[{"kind":"updated","list":"x","item":"00000000-0000-0000-0000-000000000001",
                            "version":2,"set":{"City":"Davis","LoadMarker":null},"was":{}}]}"#,
        )
        .unwrap();
        assert_eq!((seen.seq, seen.op), (3, None));
        assert_eq!(seen.changes[0].set.marker, None);
        let seen: Seen =
            serde_json::from_str(r#"{"seq":4,"kind":"member.added","data":{}}"#).unwrap();
        assert!(seen.changes.is_empty());
    }
}

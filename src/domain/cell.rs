//! What a cell may hold, the order of cells, and the form in which an item's cells are stored.
//! Knows nothing of rules (`columns`) nor of the wire's names. An empty cell is absent: there is no
//! value for it.
//!
//! # Order
//! Texts compare as [`fold`](super::fold) says (case-insensitive, then by code point; the same
//! expression in SQL stands there), numbers and dates by value, `false` before `true`, addresses by
//! their lines joined with U+0001 (see [`Address::sort_key`]) as a text, locations by latitude then
//! longitude, users by id, several by their first difference. Choices compare here by age (the order
//! in which they were made); [`Column::compare`](super::columns::Column::compare) knows the order in
//! which people put them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::columns::json;
pub use super::columns::stored::read_stored;
pub use super::columns::wire::write_wire;
use super::fold;
use super::formula::Fault;
use crate::ids::{ItemId, UserId};

/// The cells of one item. What is empty is absent.
pub type Values = BTreeMap<ColumnId, Cell>;

/// One filled cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// text, long_text, email, url; phone as E.164. Never empty, at most 100 000 characters, no NUL.
    Text(String),
    /// number, currency, percent, rating, auto_number: at most 15 significant digits.
    Number(Decimal),
    Bool(bool),
    /// Years 1 to 9999.
    Date(NaiveDate),
    /// Years 1 to 9999, whole microseconds.
    DateTime(DateTime<Utc>),
    Choice(ChoiceId),
    /// At least one, none twice, in the order they were given.
    Choices(Vec<ChoiceId>),
    Address(Address),
    Location(Location),
    /// At least one, none twice, in the order they were given.
    Users(Vec<UserId>),
    /// Never among an item's stored values: laid over it where it is shown.
    Links(Links),
    /// Values of a computed column: at least one, each a text, a number, a bool, a date or a time.
    List(Vec<Cell>),
    /// Why a computed cell has no value. Filters, sorts and figures take it for an empty one.
    Fault(Fault),
}

impl Cell {
    /// A total order (see the head of this file). Cells of different kinds, which one column never
    /// holds, are ordered by kind.
    pub fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Text(a), Cell::Text(b)) => fold::compare(a, b),
            (Cell::Number(a), Cell::Number(b)) => a.cmp(b),
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
            (Cell::DateTime(a), Cell::DateTime(b)) => a.cmp(b),
            (Cell::Choice(a), Cell::Choice(b)) => a.cmp(b),
            (Cell::Choices(a), Cell::Choices(b)) => a.cmp(b),
            (Cell::Address(a), Cell::Address(b)) => a.compare(b),
            (Cell::Location(a), Cell::Location(b)) => a.cmp(b),
            (Cell::Users(a), Cell::Users(b)) => a.cmp(b),
            (Cell::Links(a), Cell::Links(b)) => a.ids().cmp(b.ids()),
            (Cell::List(a), Cell::List(b)) => list_key(a).cmp(&list_key(b)),
            (Cell::Fault(a), Cell::Fault(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    /// Bytes that it takes beside itself.
    pub(super) fn heap(&self) -> usize {
        match self {
            Cell::Text(text) => text.len(),
            Cell::Choices(choices) => size_of_val(choices.as_slice()),
            Cell::Users(users) => size_of_val(users.as_slice()),
            Cell::Address(address) => address.named().iter().map(|(_, line)| line.len()).sum(),
            Cell::List(cells) => {
                let inner: usize = cells.iter().map(Cell::heap).sum();
                size_of_val(cells.as_slice()) + inner
            }
            Cell::Number(_)
            | Cell::Bool(_)
            | Cell::Date(_)
            | Cell::DateTime(_)
            | Cell::Choice(_)
            | Cell::Location(_)
            | Cell::Fault(_)
            | Cell::Links(_) => 0,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Cell::Text(_) => 0,
            Cell::Number(_) => 1,
            Cell::Bool(_) => 2,
            Cell::Date(_) => 3,
            Cell::DateTime(_) => 4,
            Cell::Choice(_) => 5,
            Cell::Choices(_) => 6,
            Cell::Address(_) => 7,
            Cell::Location(_) => 8,
            Cell::Users(_) => 9,
            Cell::Links(_) => 10,
            Cell::List(_) => 11,
            Cell::Fault(_) => 12,
        }
    }

    /// Appends the cell's stored form: as on the wire, except that choices stand by id and several
    /// users always as an array.
    pub fn write_stored(&self, out: &mut String) {
        match self {
            Cell::Text(text) => json::write_text(text, out),
            Cell::Number(number) => json::write_number(*number, out),
            Cell::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
            Cell::Date(date) => json::write_date(*date, out),
            Cell::DateTime(time) => json::write_time(*time, out),
            Cell::Choice(id) => json::write_plain(id.as_str(), out),
            Cell::Choices(ids) => {
                json::write_array(ids, out, |id, out| json::write_plain(id.as_str(), out));
            }
            Cell::Address(address) => address.write_json(out),
            Cell::Location(location) => location.write_json(out),
            Cell::Users(users) => {
                json::write_array(users, out, |user, out| json::write_user(*user, out))
            }
            Cell::Links(links) => json::write_array(&links.first, out, |link, out| {
                json::write_formatted(format_args!("\"{}\"", link.id), out);
            }),
            Cell::List(cells) => json::write_array(cells, out, Cell::write_stored),
            Cell::Fault(fault) => {
                json::write_formatted(format_args!(r#"{{"error":"{}"}}"#, fault.code()), out);
            }
        }
    }
}

/// What a list compares by: the texts of its members, folded.
pub fn list_key(cells: &[Cell]) -> Vec<String> {
    let text = |cell: &Cell| {
        let mut stored = String::new();
        match cell {
            Cell::Text(text) => return fold::folded(text).into_owned(),
            cell => cell.write_stored(&mut stored),
        }
        fold::folded(stored.trim_matches('"')).into_owned()
    };
    cells.iter().map(text).collect()
}

/// Appends an item's cells as they are stored in `items.values`: a JSON object keyed by column id.
pub fn write_stored(values: &Values, out: &mut String) {
    out.push('{');
    let mut separator = "";
    let stored = |(_, cell): &(&ColumnId, &Cell)| !matches!(cell, Cell::Links(_));
    for (id, cell) in values.iter().filter(stored) {
        out.push_str(separator);
        json::write_plain(id.as_str(), out);
        out.push(':');
        cell.write_stored(out);
        separator = ",";
    }
    out.push('}');
}

/// The links of a cell, as far as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Links {
    /// In order; the first ten of a cell that is shown.
    pub first: Vec<Linked>,
    /// How many there are.
    pub count: usize,
}

/// An item at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Linked {
    pub id: ItemId,
    /// As of the reading; `None` when it has none.
    pub title: Option<Arc<str>>,
    /// The item itself as JSON, where it was asked for.
    pub item: Option<String>,
}

impl Links {
    /// Links to these, all of them.
    pub fn of(ids: Vec<ItemId>) -> Links {
        let bare = |id| Linked {
            id,
            title: None,
            item: None,
        };
        Links {
            count: ids.len(),
            first: ids.into_iter().map(bare).collect(),
        }
    }

    pub fn ids(&self) -> impl Iterator<Item = ItemId> {
        self.first.iter().map(|link| link.id)
    }
}

/// A postal address. Lines that are empty are unknown; at least one is filled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Box<AddressLines>);

/// The lines of an address, each empty or one line of at most 500 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressLines {
    pub line1: String,
    pub line2: String,
    pub city: String,
    /// State, province, canton.
    pub region: String,
    pub postal_code: String,
    pub country: String,
}

impl AddressLines {
    /// The names on the wire with their lines, in order.
    pub fn named(&self) -> [(&'static str, &str); 6] {
        [
            ("line1", &self.line1),
            ("line2", &self.line2),
            ("city", &self.city),
            ("region", &self.region),
            ("postal_code", &self.postal_code),
            ("country", &self.country),
        ]
    }
}

impl Address {
    /// An address, unless every line is empty.
    pub fn new(lines: AddressLines) -> Option<Address> {
        let filled = lines.named().iter().any(|(_, line)| !line.is_empty());
        filled.then(|| Address(Box::new(lines)))
    }

    /// The text by which addresses compare: all six lines, joined with U+0001. In SQL:
    /// `concat_ws(E'\x01', coalesce(a->>'line1',''), coalesce(a->>'line2',''), coalesce(a->>'city',''),
    /// coalesce(a->>'region',''), coalesce(a->>'postal_code',''), coalesce(a->>'country',''))`.
    pub fn sort_key(&self) -> String {
        self.named().map(|(_, line)| line).join("\u{1}")
    }

    fn compare(&self, other: &Address) -> Ordering {
        fold::compare_chars(self.sort_chars(), other.sort_chars())
            .then_with(|| self.sort_chars().cmp(other.sort_chars()))
    }

    fn sort_chars(&self) -> impl Iterator<Item = char> {
        self.named()
            .into_iter()
            .enumerate()
            .flat_map(|(at, (_, line))| (at > 0).then_some('\u{1}').into_iter().chain(line.chars()))
    }

    /// Appends the object of the filled lines.
    pub(super) fn write_json(&self, out: &mut String) {
        out.push('{');
        let mut separator = "";
        for (name, line) in self
            .named()
            .into_iter()
            .filter(|(_, line)| !line.is_empty())
        {
            out.push_str(separator);
            json::write_plain(name, out);
            out.push(':');
            json::write_text(line, out);
            separator = ",";
        }
        out.push('}');
    }
}

impl Deref for Address {
    type Target = AddressLines;

    fn deref(&self) -> &AddressLines {
        &self.0
    }
}

/// A point on the earth, WGS 84 degrees: latitude −90 to 90, longitude −180 to 180, both finite.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    lat: f64,
    lon: f64,
}

impl Location {
    /// A location, unless a coordinate is out of range.
    pub fn new(lat: f64, lon: f64) -> Option<Location> {
        // Adding zero turns −0 into 0, so that equal places are equal.
        let inside = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        inside.then_some(Location {
            lat: lat + 0.0,
            lon: lon + 0.0,
        })
    }

    pub fn lat(self) -> f64 {
        self.lat
    }

    pub fn lon(self) -> f64 {
        self.lon
    }

    /// Appends `{"lat":…,"lon":…}`, the shortest digits that come back as the same place.
    pub(super) fn write_json(self, out: &mut String) {
        json::write_formatted(
            format_args!("{{\"lat\":{},\"lon\":{}}}", self.lat, self.lon),
            out,
        );
    }
}

impl Ord for Location {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lat
            .total_cmp(&other.lat)
            .then(self.lon.total_cmp(&other.lon))
    }
}

impl PartialOrd for Location {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Location {}

impl Hash for Location {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lat.to_bits().hash(state);
        self.lon.to_bits().hash(state);
    }
}

/// The digits of the short ids.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

macro_rules! short_id {
    ($(#[$doc:meta])* $name:ident, $width:literal) => {
        $(#[$doc])*
        // Right-aligned, so that the derived order is the numeric one.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $width]);

        impl $name {
            /// The id of that number in its counter; `None` when the counter is exhausted.
            pub fn nth(number: u32) -> Option<Self> {
                let mut bytes = [0; $width];
                let mut rest = number;
                for byte in bytes.iter_mut().rev() {
                    *byte = *DIGITS.get(usize::try_from(rest % 36).ok()?)?;
                    rest /= 36;
                    if rest == 0 {
                        return Some(Self(bytes));
                    }
                }
                None
            }

            /// The number in the counter.
            pub fn number(self) -> u32 {
                u32::from_str_radix(self.as_str(), 36).unwrap_or_default()
            }

            /// Reads an id; `None` for anything that [`nth`](Self::nth) never makes.
            pub fn parse(text: &str) -> Option<Self> {
                let canonical = (1..=$width).contains(&text.len())
                    && (text == "0" || !text.starts_with('0'))
                    && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
                let mut bytes = [0; $width];
                for (to, from) in bytes.iter_mut().rev().zip(text.bytes().rev()) {
                    *to = from;
                }
                canonical.then_some(Self(bytes))
            }

            pub fn as_str(&self) -> &str {
                let start = self.0.iter().take_while(|byte| **byte == 0).count();
                self.0.get(start..).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = BadShortId;

            fn from_str(text: &str) -> Result<Self, BadShortId> {
                Self::parse(text).ok_or(BadShortId)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(BadShortId))
            }
        }
    };
}

short_id! {
    /// A column's id: unique in its list for ever, 1 to 3 characters in base 36 ("0", "1" … "z", "10").
    /// Ordered by age.
    ColumnId, 3
}

short_id! {
    /// A choice's id: unique in its column for ever, 1 to 4 characters in base 36. Ordered by age.
    ChoiceId, 4
}

/// Not a short id: 1 to 3 (4) lower-case letters and digits without a leading zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a short id")]
pub struct BadShortId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_count_in_base_36_and_order_by_age() {
        let first: Vec<_> = (0..46_656)
            .map(|number| ColumnId::nth(number).unwrap())
            .collect();
        assert_eq!(
            [first[0], first[35], first[36], first[46_655]].map(|id| id.to_string()),
            ["0", "z", "10", "zzz"]
        );
        assert!(first.is_sorted_by(|a, b| a < b));
        for (number, id) in (0..).zip(&first) {
            assert_eq!(
                (ColumnId::parse(id.as_str()), id.number()),
                (Some(*id), number)
            );
        }
        assert_eq!(ColumnId::nth(46_656), None);
        assert_eq!(ChoiceId::nth(46_656).unwrap().as_str(), "1000");
    }

    #[test]
    fn what_no_counter_makes_is_no_id() {
        for bad in ["", "01", "A", "-1", "1000", "é", " 1", "00"] {
            assert_eq!(ColumnId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_are_strings_in_json() {
        let id = ChoiceId::nth(37).unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"11\"");
        assert_eq!(serde_json::from_str::<ChoiceId>("\"11\"").unwrap(), id);
        assert!(serde_json::from_str::<ChoiceId>("11").is_err());
    }

    #[test]
    fn texts_compare_without_case_first() {
        let mut texts =
            ["b", "B", "a", "É", "é", "A", "z", "ab", ""].map(|text| Cell::Text(text.to_owned()));
        texts.sort_by(Cell::compare);
        let sorted = texts.map(|cell| {
            if let Cell::Text(text) = cell {
                text
            } else {
                unreachable!()
            }
        });
        assert_eq!(sorted, ["", "A", "a", "ab", "B", "b", "z", "É", "é"]);
    }

    #[test]
    fn addresses_compare_as_their_sort_keys() {
        let address = |line1: &str, city: &str| {
            let lines = AddressLines {
                line1: line1.to_owned(),
                city: city.to_owned(),
                ..AddressLines::default()
            };
            Address::new(lines).unwrap()
        };
        let some = [
            address("1 A", ""),
            address("1 a", "x"),
            address("1 a", ""),
            address("", "1 a"),
            address("1 A", "X"),
        ];
        for a in &some {
            for b in &some {
                assert_eq!(a.compare(b), fold::compare(&a.sort_key(), &b.sort_key()));
            }
        }
    }

    #[test]
    fn places_off_the_globe_are_none() {
        for (lat, lon) in [
            (90.5, 0.0),
            (0.0, 181.0),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(Location::new(lat, lon), None);
        }
        assert_eq!(Location::new(-0.0, 0.0), Location::new(0.0, -0.0));
    }

    #[test]
    fn the_stored_form_is_plain_json() {
        let id = |number| ColumnId::nth(number).unwrap();
        let values = Values::from([
            (id(0), Cell::Number(Decimal::new(-150, 2))),
            (
                id(10),
                Cell::Choices(vec![ChoiceId::nth(1).unwrap(), ChoiceId::nth(36).unwrap()]),
            ),
            (id(36), Cell::Text("a\"b".to_owned())),
        ]);
        let mut out = String::new();
        write_stored(&values, &mut out);
        assert_eq!(out, r#"{"0":-1.5,"a":["1","10"],"10":"a\"b"}"#);
    }
}

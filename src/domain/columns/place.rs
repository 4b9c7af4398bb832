//! Places: postal addresses and points on the map.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::Token;
use super::text::check_length;
use super::{CellError, Parsed};
use crate::domain::cell::{Address, AddressLines, Cell, Location};

/// The most characters in one line of an address.
const MAX_LINE: usize = 500;

/// An address as it is sent; `null` and an empty line say the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow, default)]
    line1: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    line2: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    city: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    region: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    postal_code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    country: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point<'a> {
    // Kept as written: serde_json reads a double to its last digit but one.
    #[serde(borrow)]
    lat: &'a RawValue,
    #[serde(borrow)]
    lon: &'a RawValue,
}

pub(super) fn address_from_json(token: Token<'_>) -> Parsed {
    match token {
        Token::Object(raw) => {
            let address = read_address(raw)?;
            address.as_deref().map_or(Ok(()), check_lines)?;
            Ok(address.map(Cell::Address))
        }
        other => Err(other.unwanted(
            "not_an_address",
            "an object with line1, line2, city, region, postal_code, country",
        )),
    }
}

/// Reads the object of an address; `None` when every line is empty.
pub(super) fn read_address(raw: &str) -> Result<Option<Address>, CellError> {
    let sent: Sent<'_> = serde_json::from_str(raw).map_err(|error| {
        if error.is_data() {
            Token::Object(raw).unwanted(
                "not_an_address",
                "only the texts line1, line2, city, region, postal_code, country",
            )
        } else {
            Token::BadText.unwanted("not_an_address", "")
        }
    })?;
    let line =
        |line: Option<Cow<'_, str>>| line.map_or_else(String::new, |line| line.trim().to_owned());
    Ok(Address::new(AddressLines {
        line1: line(sent.line1),
        line2: line(sent.line2),
        city: line(sent.city),
        region: line(sent.region),
        postal_code: line(sent.postal_code),
        country: line(sent.country),
    }))
}

fn check_lines(lines: &AddressLines) -> Result<(), CellError> {
    for (_, line) in lines.named() {
        check_length(line, MAX_LINE)?;
        if line.contains(char::is_control) {
            return Err(CellError::new(
                "bad_text",
                "a line of an address can't hold control characters",
            ));
        }
    }
    Ok(())
}

/// Reads an address in one line. `1 Main St, Sacramento, CA 95814` falls into its parts; whatever
/// has another shape is kept whole as the first line.
pub(super) fn address_from_text(text: &str) -> Parsed {
    if text.starts_with('{') {
        return address_from_json(Token::Object(text));
    }
    let one_line = text
        .split(['\r', '\n'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    let lines = american(&one_line).unwrap_or_else(|| AddressLines {
        line1: one_line,
        ..AddressLines::default()
    });
    check_lines(&lines)?;
    Ok(Address::new(lines).map(Cell::Address))
}

/// `street[, unit], city, ST 12345[-6789]`.
fn american(text: &str) -> Option<AddressLines> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (line1, line2, city, last) = match *parts.as_slice() {
        [line1, city, last] => (line1, "", city, last),
        [line1, line2, city, last] => (line1, line2, city, last),
        _ => return None,
    };
    let (region, zip) = last.split_once(' ')?;
    let state = region.len() == 2 && region.bytes().all(|b| b.is_ascii_uppercase());
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let code = match zip.split_once('-') {
        Some((five, four)) => digits(five, 5) && digits(four, 4),
        None => digits(zip, 5),
    };
    let filled = !line1.is_empty() && !city.is_empty();
    (filled && state && code).then(|| AddressLines {
        line1: line1.to_owned(),
        line2: line2.to_owned(),
        city: city.to_owned(),
        region: region.to_owned(),
        postal_code: zip.to_owned(),
        country: String::new(),
    })
}

pub(super) fn location_from_json(token: Token<'_>) -> Parsed {
    match token {
        Token::Object(raw) => read_location(raw)
            .map(|place| Some(Cell::Location(place)))
            .ok_or_else(not_a_location),
        other => Err(other.unwanted("not_a_location", "an object with lat and lon")),
    }
}

/// Reads the object of a location.
pub(super) fn read_location(raw: &str) -> Option<Location> {
    let point: Point<'_> = serde_json::from_str(raw).ok()?;
    Location::new(point.lat.get().parse().ok()?, point.lon.get().parse().ok()?)
}

/// Reads `38.63, -121.43`: latitude first, in degrees; brackets around are left out.
pub(super) fn location_from_text(text: &str) -> Parsed {
    if text.starts_with('{') {
        return location_from_json(Token::Object(text));
    }
    let inner = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(text);
    let (lat, lon) = inner
        .split_once([',', ';'])
        .or_else(|| inner.split_once(' '))
        .ok_or_else(not_a_location)?;
    let degrees = |text: &str| {
        let text = text.trim();
        // Not every text that Rust reads as a number is one for people: `inf`, `1e1`.
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
        text.parse::<f64>().ok().filter(|_| plain)
    };
    degrees(lat)
        .zip(degrees(lon))
        .and_then(|(lat, lon)| Location::new(lat, lon))
        .map(|place| Some(Cell::Location(place)))
        .ok_or_else(not_a_location)
}

fn not_a_location() -> CellError {
    CellError::new(
        "not_a_location",
        "not a place: lat is -90 to 90 and lon -180 to 180 degrees",
    )
}

#[cfg(test)]
mod tests {
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    #[test]
    fn addresses() {
        let column = column(ColumnType::Address, "null");
        let long = format!(r#"{{"city":"{}"}}"#, "x".repeat(501));
        check_json(
            &column,
            &[
                (
                    r#"{"city":" Sacramento ","line1":"1 Main St","line2":null}"#,
                    r#"{"line1":"1 Main St","city":"Sacramento"}"#,
                ),
                (r#"{"city":"","country":null}"#, "null"),
                ("{}", "null"),
            ],
            &[
                (r#""1 Main St""#, "not_an_address"),
                (r#"{"street":"1 Main St"}"#, "not_an_address"),
                (r#"{"city":1}"#, "not_an_address"),
                (r#"{"city":"a","city":"b"}"#, "not_an_address"),
                (r#"{"city":"\ud800"}"#, "bad_text"),
                (r#"{"city":"a\nb"}"#, "bad_text"),
                (&long, "too_long"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                (
                    "3526 High St, Sacramento, CA 95838",
                    r#"{"line1":"3526 High St","city":"Sacramento","region":"CA","postal_code":"95838"}"#,
                ),
                (
                    "1 Main St, Apt 2\nOakland, CA 94601-1234",
                    r#"{"line1":"1 Main St","line2":"Apt 2","city":"Oakland","region":"CA","postal_code":"94601-1234"}"#,
                ),
                (
                    "somewhere, over the rainbow",
                    r#"{"line1":"somewhere, over the rainbow"}"#,
                ),
                (r#"{"city":"Rome"}"#, r#"{"city":"Rome"}"#),
            ],
            &[("a\u{1}b", "bad_text")],
        );
    }

    #[test]
    fn locations() {
        let column = column(ColumnType::Location, "null");
        check_json(
            &column,
            &[
                (
                    r#"{"lat":38.631913,"lon":-121.434879}"#,
                    r#"{"lat":38.631913,"lon":-121.434879}"#,
                ),
                (r#"{"lon":180,"lat":-90.0}"#, r#"{"lat":-90,"lon":180}"#),
                (r#"{"lat":-0.0,"lon":1e-7}"#, r#"{"lat":0,"lon":0.0000001}"#),
            ],
            &[
                (r#"{"lat":90.1,"lon":0}"#, "not_a_location"),
                (r#"{"lat":0,"lon":-180.1}"#, "not_a_location"),
                (r#"{"lat":1}"#, "not_a_location"),
                (r#"{"lat":1,"lon":2,"alt":3}"#, "not_a_location"),
                (r#"{"lat":"1","lon":2}"#, "not_a_location"),
                (r#"{"lat":1e999,"lon":2}"#, "not_a_location"),
                ("[1,2]", "not_a_location"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                ("38.63, -121.43", r#"{"lat":38.63,"lon":-121.43}"#),
                ("(1;2)", r#"{"lat":1,"lon":2}"#),
                ("1 2", r#"{"lat":1,"lon":2}"#),
            ],
            &[
                ("38.63", "not_a_location"),
                ("91,0", "not_a_location"),
                ("nan,inf", "not_a_location"),
            ],
        );
    }
}

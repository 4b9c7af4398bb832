//! Dates and times. JSON is strict: `2026-02-15` and RFC 3339. Text is read as people and programs
//! write it, in the order of day and month that the hint gives and in no other: `25/12/2026` is
//! refused where the month comes first, for a guess would turn the next `3/4/2026` around unseen.
//! A time without an offset is UTC. Years 1 to 9999, whole microseconds.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};

use super::json::Token;
use super::{CellError, Parsed};
use crate::domain::cell::Cell;

/// In which order a date written in digits stands. A four-digit year in front is always a year.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

pub(super) fn date_from_json(token: Token<'_>) -> Parsed {
    let text = token.into_text("not_a_date", "a date like \"2026-02-15\"")?;
    if text.is_empty() {
        return Ok(None);
    }
    iso_date(&text)
        .map(|date| Some(Cell::Date(date)))
        .ok_or_else(|| {
            CellError::new(
                "not_a_date",
                "not a date of the calendar written like 2026-02-15",
            )
        })
}

pub(super) fn time_from_json(token: Token<'_>) -> Parsed {
    let text = token.into_text("not_a_time", "a time like \"2026-02-15T10:30:00Z\"")?;
    if text.is_empty() {
        return Ok(None);
    }
    DateTime::parse_from_rfc3339(&text)
        .ok()
        .and_then(|time| kept(time.to_utc()))
        .map(|time| Some(Cell::DateTime(time)))
        .ok_or_else(|| {
            CellError::new(
                "not_a_time",
                "not a time of RFC 3339, with its offset, like 2026-02-15T10:30:00Z",
            )
        })
}

/// Reads a date, in the midst of a time of midnight if need be.
pub(super) fn date_from_text(text: &str, order: DateOrder) -> Parsed {
    if let Some(date) = iso_date(text) {
        return Ok(Some(Cell::Date(date)));
    }
    let written = Written::read(text, order).ok_or_else(not_a_date)?;
    if written.clock.is_some_and(|clock| clock != NaiveTime::MIN) {
        return Err(CellError::new(
            "not_a_date",
            "a date with a time of day, which a date column would lose",
        ));
    }
    Ok(Some(Cell::Date(written.date)))
}

pub(super) fn time_from_text(text: &str, order: DateOrder) -> Parsed {
    if let Some(time) = DateTime::parse_from_rfc3339(text)
        .ok()
        .and_then(|time| kept(time.to_utc()))
    {
        return Ok(Some(Cell::DateTime(time)));
    }
    let not_a_time = || CellError::new("not_a_time", "not a date and time");
    let written = Written::read(text, order).ok_or_else(not_a_time)?;
    let local = NaiveDateTime::new(written.date, written.clock.unwrap_or_default());
    let utc = local.checked_sub_signed(TimeDelta::minutes(written.offset.into()));
    utc.and_then(|utc| kept(utc.and_utc()))
        .map(|time| Some(Cell::DateTime(time)))
        .ok_or_else(not_a_time)
}

/// Reads exactly `YYYY-MM-DD`.
pub(super) fn iso_date(text: &str) -> Option<NaiveDate> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *bytes else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + u32::from(digit - b'0'))
        })
    };
    calendar(
        number(&[y1, y2, y3, y4])?,
        number(&[m1, m2])?,
        number(&[d1, d2])?,
    )
}

fn calendar(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    let year = i32::try_from(year)
        .ok()
        .filter(|year| (1..=9999).contains(year))?;
    NaiveDate::from_ymd_opt(year, month, day)
}

/// The time as it is kept: whole microseconds; a leap second is the next minute's first, as in
/// Postgres; `None` outside the years 1 to 9999.
fn kept(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = (time.timestamp(), time.nanosecond());
    let (seconds, nanos) = if nanos < 1_000_000_000 {
        (seconds, nanos)
    } else {
        (seconds + 1, nanos - 1_000_000_000)
    };
    let time = DateTime::from_timestamp(seconds, nanos / 1_000 * 1_000)?;
    (1..=9999).contains(&time.year()).then_some(time)
}

fn not_a_date() -> CellError {
    CellError::new("not_a_date", "not a date")
}

/// What a text says of a moment.
struct Written {
    date: NaiveDate,
    clock: Option<NaiveTime>,
    /// Minutes east of UTC.
    offset: i32,
}

/// A number as written: its value and how many digits it had.
#[derive(Clone, Copy)]
struct Digits {
    value: u32,
    count: usize,
}

impl Written {
    /// Reads the parts in whatever order they stand: numbers of the date, a month's name, a clock, a
    /// zone, a weekday (not compared with the date).
    fn read(text: &str, order: DateOrder) -> Option<Written> {
        // Nothing that is a date is longer.
        if text.len() > 64 {
            return None;
        }
        let mut numbers = Vec::with_capacity(3);
        let (mut month, mut clock, mut offset) = (None, None, None);
        let mut reader = Reader { rest: text };
        while let Some(c) = reader.rest.chars().next() {
            if c.is_ascii_digit() {
                let number = reader.number()?;
                if reader.rest.starts_with(':') || (number.count <= 2 && reader.meridiem_follows())
                {
                    set_once(&mut clock, reader.clock(number.value)?)?;
                } else {
                    reader.ordinal();
                    numbers.push(number);
                }
            } else if c.is_alphabetic() {
                let word = reader.word();
                match Word::of(word)? {
                    Word::Month(number) => set_once(&mut month, number)?,
                    Word::Zone(minutes) if clock.is_some() => set_once(&mut offset, minutes)?,
                    Word::Zone(_) => return None,
                    Word::Filler => {}
                }
            } else if matches!(c, '+' | '-')
                && clock.is_some()
                && offset.is_none()
                && reader.offset_follows()
            {
                offset = Some(reader.offset()?);
            } else if matches!(c, ' ' | ',' | '/' | '-' | '.' | '\u{a0}' | '\u{202f}') {
                reader.skip(c);
            } else {
                return None;
            }
        }
        let date = match month {
            Some(month) => with_month(month, &numbers)?,
            None => in_digits(&numbers, order)?,
        };
        Some(Written {
            date,
            clock,
            offset: offset.unwrap_or_default(),
        })
    }
}

fn set_once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A date whose month has a name: the year is the one of four digits, or else the later one.
fn with_month(month: u32, numbers: &[Digits]) -> Option<NaiveDate> {
    let &[a, b] = numbers else { return None };
    let (year, day) = if a.count == 4 { (a, b) } else { (b, a) };
    (day.count <= 2).then_some(())?;
    calendar(full_year(year)?, month, day.value)
}

fn in_digits(numbers: &[Digits], order: DateOrder) -> Option<NaiveDate> {
    let (year, month, day) = match *numbers {
        [Digits { value, count: 8 }] => {
            return calendar(value / 10_000, value / 100 % 100, value % 100);
        }
        [a, b, c] if a.count == 4 || order == DateOrder::Ymd => (a, b, c),
        [a, b, c] if order == DateOrder::Mdy => (c, a, b),
        [a, b, c] => (c, b, a),
        _ => return None,
    };
    (month.count <= 2 && day.count <= 2).then_some(())?;
    calendar(full_year(year)?, month.value, day.value)
}

/// Two digits stand for 1969 to 2068, as POSIX has it.
fn full_year(year: Digits) -> Option<u32> {
    match (year.count, year.value) {
        (4, value) => Some(value),
        (2, value @ 69..) => Some(1900 + value),
        (2, value) => Some(2000 + value),
        _ => None,
    }
}

enum Word {
    Month(u32),
    /// Minutes east of UTC.
    Zone(i32),
    Filler,
}

impl Word {
    /// English names, at least their first three letters; the zones of mail (RFC 5322) and of
    /// Alaska and Hawaii.
    fn of(word: &str) -> Option<Word> {
        const MONTHS: [&str; 12] = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        const DAYS: [&str; 7] = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
        ];
        const ZONES: [(&str, i32); 15] = [
            ("z", 0),
            ("utc", 0),
            ("gmt", 0),
            ("est", -300),
            ("edt", -240),
            ("cst", -360),
            ("cdt", -300),
            ("mst", -420),
            ("mdt", -360),
            ("pst", -480),
            ("pdt", -420),
            ("akst", -540),
            ("akdt", -480),
            ("hst", -600),
            ("ut", 0),
        ];
        let starts = |name: &&str| {
            word.len() >= 3
                && name
                    .get(..word.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if let Some((_, minutes)) = ZONES
            .iter()
            .find(|(zone, _)| zone.eq_ignore_ascii_case(word))
        {
            return Some(Word::Zone(*minutes));
        }
        if let Some(number) = (1..)
            .zip(&MONTHS)
            .find_map(|(number, name)| starts(name).then_some(number))
        {
            return Some(Word::Month(number));
        }
        let filler = DAYS.iter().any(starts)
            || ["t", "at"]
                .iter()
                .any(|filler| filler.eq_ignore_ascii_case(word));
        filler.then_some(Word::Filler)
    }
}

/// Takes one part after the other from the front of a text.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn number(&mut self) -> Option<Digits> {
        let text = self.take_while(|c| c.is_ascii_digit());
        Some(Digits {
            value: text.parse().ok()?,
            count: text.len(),
        })
    }

    fn word(&mut self) -> &'t str {
        self.take_while(char::is_alphabetic)
    }

    fn skip(&mut self, c: char) {
        self.rest = self.rest.strip_prefix(c).unwrap_or(self.rest);
    }

    /// Leaves out the ending of `21st`.
    fn ordinal(&mut self) {
        let ending = self.rest.get(..2).filter(|two| {
            ["st", "nd", "rd", "th"]
                .iter()
                .any(|e| e.eq_ignore_ascii_case(two))
        });
        if ending.is_some_and(|_| !self.rest.chars().nth(2).is_some_and(char::is_alphabetic)) {
            self.rest = self.rest.get(2..).unwrap_or_default();
        }
    }

    fn meridiem_follows(&self) -> bool {
        Reader { rest: self.rest }.meridiem().is_some()
    }

    /// Takes `am` or `PM`: whether it is the afternoon.
    fn meridiem(&mut self) -> Option<bool> {
        let mut reader = Reader {
            rest: self.rest.trim_start_matches([' ', '\u{a0}', '\u{202f}']),
        };
        let word = reader.word();
        let afternoon = word.eq_ignore_ascii_case("pm");
        (afternoon || word.eq_ignore_ascii_case("am")).then(|| {
            self.rest = reader.rest;
            afternoon
        })
    }

    /// Takes `:30`, `:30:15`, `:30:15.123`, ` PM` after the hour.
    fn clock(&mut self, hour: u32) -> Option<NaiveTime> {
        let minute = self.minutes_or_zero()?;
        let second = self.minutes_or_zero()?;
        let mut nanos = 0;
        if self
            .rest
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            self.skip('.');
            let digits = self.take_while(|c| c.is_ascii_digit());
            nanos = digits
                .bytes()
                .chain(std::iter::repeat(b'0'))
                .take(9)
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        }
        let hour = match (self.meridiem(), hour) {
            (None, hour) => hour,
            (Some(afternoon), 1..=12) => hour % 12 + if afternoon { 12 } else { 0 },
            (Some(_), _) => return None,
        };
        NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
    }

    /// The two digits after a colon; 0 where no colon follows, `None` where no two digits follow it.
    fn minutes_or_zero(&mut self) -> Option<u32> {
        match self.rest.strip_prefix(':') {
            Some(rest) => {
                self.rest = rest;
                self.number()
                    .filter(|number| number.count == 2)
                    .map(|number| number.value)
            }
            None => Some(0),
        }
    }

    /// Whether a sign and two or four digits, but no date, come next.
    fn offset_follows(&self) -> bool {
        let digits = self
            .rest
            .get(1..)
            .unwrap_or_default()
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        matches!(digits, 2 | 4)
    }

    /// Takes `+02`, `+0200`, `-05:30`: minutes east of UTC.
    fn offset(&mut self) -> Option<i32> {
        let west = self.rest.starts_with('-');
        self.rest = self.rest.get(1..)?;
        let number = self.number()?;
        let (hours, minutes) = match number.count {
            2 => (number.value, self.minutes_or_zero()?),
            _ => (number.value / 100, number.value % 100),
        };
        let east = i32::try_from(hours * 60 + minutes)
            .ok()
            .filter(|_| hours <= 18 && minutes < 60)?;
        Some(if west { -east } else { east })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::columns::testing::*;
    use crate::domain::columns::{ColumnType, TextHints};

    fn in_order(date_order: DateOrder) -> TextHints<'static> {
        TextHints {
            date_order,
            ..hints()
        }
    }

    #[test]
    fn dates_in_json() {
        check_json(
            &column(ColumnType::Date, "null"),
            &[
                (r#""2026-02-15""#, r#""2026-02-15""#),
                (r#""0001-01-01""#, r#""0001-01-01""#),
                (r#""2024-02-29""#, r#""2024-02-29""#),
                (r#""""#, "null"),
            ],
            &[
                (r#""2026-02-29""#, "not_a_date"),
                (r#""2026-2-5""#, "not_a_date"),
                (r#""0000-01-01""#, "not_a_date"),
                (r#""+026-01-01""#, "not_a_date"),
                (r#""10000-01-01""#, "not_a_date"),
                (r#""2026-02-15T00:00:00Z""#, "not_a_date"),
                ("20260215", "not_a_date"),
                ("{}", "not_a_date"),
            ],
        );
    }

    #[test]
    fn times_in_json() {
        check_json(
            &column(
                ColumnType::DateTime,
                r#"{"time_zone":"America/Los_Angeles"}"#,
            ),
            &[
                (r#""2026-02-15T10:30:00Z""#, r#""2026-02-15T10:30:00Z""#),
                (
                    r#""2026-02-15T10:30:00.123-08:00""#,
                    r#""2026-02-15T18:30:00.123Z""#,
                ),
                (
                    r#""2026-02-15t10:30:00.1234567z""#,
                    r#""2026-02-15T10:30:00.123456Z""#,
                ),
                (r#""2016-12-31T23:59:60Z""#, r#""2017-01-01T00:00:00Z""#),
            ],
            &[
                (r#""2026-02-15T10:30:00""#, "not_a_time"),
                (r#""2026-02-15""#, "not_a_time"),
                (r#""2026-02-15T25:00:00Z""#, "not_a_time"),
                (r#""0001-01-01T00:00:00+01:00""#, "not_a_time"),
                (r#""9999-12-31T23:59:59-01:00""#, "not_a_time"),
                ("1771151400", "not_a_time"),
            ],
        );
    }

    #[test]
    fn dates_as_people_write_them() {
        let column = column(ColumnType::Date, "null");
        let same = r#""2026-03-04""#;
        for (order, text) in [
            (DateOrder::Mdy, "3/4/2026"),
            (DateOrder::Dmy, "4/3/2026"),
            (DateOrder::Ymd, "26/3/4"),
        ] {
            check_text(
                &column,
                &in_order(order),
                &[(text, same), ("2026/3/4", same), ("20260304", same)],
                &[],
            );
        }
        check_text(
            &column,
            &hints(),
            &[
                ("03/04/26", same),
                ("3-4-2026", same),
                ("3.4.2026", same),
                ("March 4, 2026", same),
                ("4 Mar 2026", same),
                ("4-Mar-26", same),
                ("Wednesday, March 4th, 2026", same),
                ("2026 Mar 4", same),
                ("3/4/2026 12:00 AM", same),
                ("2026-03-04T00:00:00Z", same),
                ("Wed May 21 00:00:00 EDT 2008", r#""2008-05-21""#),
                ("1/1/69", r#""1969-01-01""#),
                ("1/1/68", r#""2068-01-01""#),
                ("N/A", "null"),
            ],
            &[
                ("25/12/2026", "not_a_date"),
                ("2/30/2026", "not_a_date"),
                ("3/4", "not_a_date"),
                ("3/4/2026 10:30", "not_a_date"),
                ("3/4/126", "not_a_date"),
                ("2026", "not_a_date"),
                ("May", "not_a_date"),
                ("May May 4 2026", "not_a_date"),
                ("EDT 3/4/2026", "not_a_date"),
                ("3/4/2026 pm", "not_a_date"),
                ("hello", "not_a_date"),
                ("3/4/2026?", "not_a_date"),
                ("99999999999/1/1", "not_a_date"),
            ],
        );
    }

    #[test]
    fn times_as_people_write_them() {
        check_text(
            &column(ColumnType::DateTime, "null"),
            &hints(),
            &[
                ("2026-03-04T10:30:00+02:00", r#""2026-03-04T08:30:00Z""#),
                ("2026-03-04 10:30", r#""2026-03-04T10:30:00Z""#),
                (
                    "2026-03-04 10:30:15.5 -0500",
                    r#""2026-03-04T15:30:15.500Z""#,
                ),
                ("3/4/2026 5:07 PM", r#""2026-03-04T17:07:00Z""#),
                ("3/4/2026 12:05am", r#""2026-03-04T00:05:00Z""#),
                ("March 4, 2026 at 5pm PST", r#""2026-03-05T01:00:00Z""#),
                ("Wed May 21 00:00:00 EDT 2008", r#""2008-05-21T04:00:00Z""#),
                (
                    "Wed, 21 May 2008 09:55:06 -0600",
                    r#""2008-05-21T15:55:06Z""#,
                ),
                ("3/4/2026", r#""2026-03-04T00:00:00Z""#),
            ],
            &[
                ("3/4/2026 13:00 PM", "not_a_time"),
                ("3/4/2026 24:00", "not_a_time"),
                ("3/4/2026 10:3", "not_a_time"),
                ("10:30", "not_a_time"),
                ("3/4/2026 10:30 11:30", "not_a_time"),
                ("3/4/2026 10:30 +99:00", "not_a_time"),
            ],
        );
    }

    proptest! {
        #[test]
        fn every_day_is_read_in_every_form(days in 1_i32..=3_652_059, micros in 0_u32..86_400) {
            let date = NaiveDate::from_num_days_from_ce_opt(days).unwrap();
            prop_assert_eq!(iso_date(&date.format("%Y-%m-%d").to_string()), Some(date));
            let forms = [
                ("%m/%d/%Y", DateOrder::Mdy), ("%d.%m.%Y", DateOrder::Dmy), ("%Y%m%d", DateOrder::Mdy),
                ("%A, %B %-d, %Y", DateOrder::Dmy), ("%a %b %e 00:00:00 PDT %Y", DateOrder::Ymd),
            ];
            for (form, order) in forms {
                let text = date.format(form).to_string();
                prop_assert_eq!(date_from_text(&text, order), Ok(Some(Cell::Date(date))), "{}", text);
            }
            let time = date.and_hms_opt(0, 0, 0).unwrap().and_utc() + TimeDelta::seconds(micros.into());
            let text = time.format("%Y-%m-%d %I:%M:%S %p").to_string();
            prop_assert_eq!(time_from_text(&text, DateOrder::Mdy), Ok(Some(Cell::DateTime(time))), "{}", text);
        }
    }
}

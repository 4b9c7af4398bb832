//! Spans of days relative to today: the values of `within`.

use chrono::{Datelike as _, Days, Months, NaiveDate};
use serde::Deserialize;

/// The most days that a span may have.
const MAX_DAYS: u64 = 36_500;

/// A span, as it is sent: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Sent {
    LastDays(u64),
    NextDays(u64),
    This(Unit),
    Last(Unit),
    Next(Unit),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// Why a text is no span.
pub(super) enum Wrong {
    Malformed,
    /// No days, too many, or beyond the calendar.
    OutOfRange,
}

/// The first day of a span and the one after its last.
pub(super) fn read(json: &str, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), Wrong> {
    let sent: Sent = serde_json::from_str(json).map_err(|_| Wrong::Malformed)?;
    days(&sent, today).ok_or(Wrong::OutOfRange)
}

fn days(sent: &Sent, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let tomorrow = today.succ_opt()?;
    match sent {
        Sent::LastDays(days) if (1..=MAX_DAYS).contains(days) => {
            Some((tomorrow.checked_sub_days(Days::new(*days))?, tomorrow))
        }
        Sent::NextDays(days) if (1..=MAX_DAYS).contains(days) => {
            Some((today, today.checked_add_days(Days::new(*days))?))
        }
        Sent::LastDays(_) | Sent::NextDays(_) => None,
        Sent::This(unit) => {
            let first = unit.first_day(today)?;
            Some((first, unit.later(first)?))
        }
        Sent::Last(unit) => {
            let end = unit.first_day(today)?;
            Some((unit.first_day(end.pred_opt()?)?, end))
        }
        Sent::Next(unit) => {
            let first = unit.later(unit.first_day(today)?)?;
            Some((first, unit.later(first)?))
        }
    }
}

impl Unit {
    fn first_day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Unit::Day => Some(day),
            Unit::Week => {
                let since = u64::from(day.weekday().num_days_from_monday());
                day.checked_sub_days(Days::new(since))
            }
            Unit::Month => day.with_day(1),
            Unit::Quarter => day.with_day(1)?.with_month(day.month0() / 3 * 3 + 1),
            Unit::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        }
    }

    /// The first day of the span behind the one that begins then.
    fn later(self, first: NaiveDate) -> Option<NaiveDate> {
        match self {
            Unit::Day => first.succ_opt(),
            Unit::Week => first.checked_add_days(Days::new(7)),
            Unit::Month => first.checked_add_months(Months::new(1)),
            Unit::Quarter => first.checked_add_months(Months::new(3)),
            Unit::Year => first.checked_add_months(Months::new(12)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_days() {
        let today = NaiveDate::from_ymd_opt(2026, 2, 15).unwrap();
        for (json, first, end) in [
            (r#"{"last_days":1}"#, "2026-02-15", "2026-02-16"),
            (r#"{"last_days":30}"#, "2026-01-17", "2026-02-16"),
            (r#"{"next_days":1}"#, "2026-02-15", "2026-02-16"),
            (r#"{"next_days":14}"#, "2026-02-15", "2026-03-01"),
            (r#"{"this":"day"}"#, "2026-02-15", "2026-02-16"),
            (r#"{"last":"day"}"#, "2026-02-14", "2026-02-15"),
            (r#"{"this":"week"}"#, "2026-02-09", "2026-02-16"),
            (r#"{"last":"week"}"#, "2026-02-02", "2026-02-09"),
            (r#"{"next":"week"}"#, "2026-02-16", "2026-02-23"),
            (r#"{"this":"month"}"#, "2026-02-01", "2026-03-01"),
            (r#"{"last":"month"}"#, "2026-01-01", "2026-02-01"),
            (r#"{"next":"month"}"#, "2026-03-01", "2026-04-01"),
            (r#"{"this":"quarter"}"#, "2026-01-01", "2026-04-01"),
            (r#"{"last":"quarter"}"#, "2025-10-01", "2026-01-01"),
            (r#"{"next":"quarter"}"#, "2026-04-01", "2026-07-01"),
            (r#"{"this":"year"}"#, "2026-01-01", "2027-01-01"),
            (r#"{"last":"year"}"#, "2025-01-01", "2026-01-01"),
            (r#"{"next":"year"}"#, "2027-01-01", "2028-01-01"),
        ] {
            let (from, to) = read(json, today).ok().unwrap();
            assert_eq!(
                (from.to_string(), to.to_string()),
                (first.to_owned(), end.to_owned()),
                "{json}"
            );
        }
        for json in [r#"{"last_days":0}"#, r#"{"next_days":36501}"#] {
            assert!(
                matches!(read(json, today), Err(Wrong::OutOfRange)),
                "{json}"
            );
        }
        for json in [
            "{}",
            "1",
            r#"{"this":"hour"}"#,
            r#"{"this":"day","last":"day"}"#,
            r#"{"last_days":-1}"#,
        ] {
            assert!(matches!(read(json, today), Err(Wrong::Malformed)), "{json}");
        }
    }
}

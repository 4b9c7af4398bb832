//! Functions of dates and times, which are in UTC.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Timelike, Utc};

use super::super::evaluate::Result;
use super::super::value::in_calendar;
use super::super::{Fault, Value};
use super::{Run, whole};

/// A span that can be added.
#[derive(Clone, Copy)]
enum Unit {
    Minutes(i64),
    Days(i64),
    Months(i64),
}

pub(super) fn call(run: Run, values: &[Value]) -> Result {
    let number = |number: u32| Ok(Some(Value::Number(number.into())));
    match run {
        Run::Date => {
            let part = |index| whole(values.get(index));
            let (year, month, day) = (part(0)?, part(1)?, part(2)?);
            let date = i32::try_from(year)
                .ok()
                .zip(u32::try_from(month).ok())
                .zip(u32::try_from(day).ok())
                .and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year, month, day));
            given(date.ok_or(Fault::NotADate)?)
        }
        Run::ToDate => match values.first() {
            Some(Value::Text(text)) => given(text.trim().parse().map_err(|_| Fault::NotADate)?),
            other => given(moment(other)?.date_naive()),
        },
        Run::Year => Ok(Some(Value::Number(moment(values.first())?.year().into()))),
        Run::Month => number(moment(values.first())?.month()),
        Run::Day => number(moment(values.first())?.day()),
        Run::Weekday => number(moment(values.first())?.weekday().number_from_monday()),
        Run::Hour => number(moment(values.first())?.hour()),
        Run::Minute => number(moment(values.first())?.minute()),
        Run::DateAdd => add(values),
        _ => difference(values),
    }
}

fn given(date: NaiveDate) -> Result {
    Ok(Some(Value::Date(in_calendar(date)?)))
}

/// A date is its first moment.
fn moment(value: Option<&Value>) -> std::result::Result<DateTime<Utc>, Fault> {
    match value {
        Some(Value::Time(time)) => Ok(*time),
        Some(Value::Date(date)) => Ok(date.and_time(chrono::NaiveTime::MIN).and_utc()),
        _ => Err(Fault::BadArgument),
    }
}

fn unit(value: Option<&Value>) -> std::result::Result<Unit, Fault> {
    let Some(Value::Text(name)) = value else {
        return Err(Fault::BadArgument);
    };
    let name = name.trim().to_ascii_lowercase();
    Ok(match name.strip_suffix('s').unwrap_or(&name) {
        "minute" => Unit::Minutes(1),
        "hour" => Unit::Minutes(60),
        "day" => Unit::Days(1),
        "week" => Unit::Days(7),
        "month" => Unit::Months(1),
        "year" => Unit::Months(12),
        _ => return Err(Fault::BadArgument),
    })
}

fn add(values: &[Value]) -> Result {
    let (from, count) = (values.first(), whole(values.get(1))?);
    let start = moment(from)?;
    let is_date = matches!(from, Some(Value::Date(_)));
    let times = |each: i64| count.checked_mul(each).ok_or(Fault::OutOfRange);
    let end = match unit(values.get(2))? {
        Unit::Minutes(_) if is_date => return Err(Fault::BadArgument),
        Unit::Minutes(each) => {
            let span = TimeDelta::try_minutes(times(each)?);
            span.and_then(|span| start.checked_add_signed(span))
        }
        Unit::Days(each) => {
            let days = times(each)?;
            let span = Days::new(days.unsigned_abs());
            match days < 0 {
                true => start.checked_sub_days(span),
                false => start.checked_add_days(span),
            }
        }
        Unit::Months(each) => {
            let months = times(each)?;
            let span = u32::try_from(months.unsigned_abs()).map_err(|_| Fault::OutOfRange)?;
            match months < 0 {
                true => start.checked_sub_months(Months::new(span)),
                false => start.checked_add_months(Months::new(span)),
            }
        }
    };
    let end = end.ok_or(Fault::OutOfRange)?;
    in_calendar(end.date_naive())?;
    Ok(Some(match is_date {
        true => Value::Date(end.date_naive()),
        false => Value::Time(end),
    }))
}

/// Whole units; those that have only begun do not count.
fn difference(values: &[Value]) -> Result {
    let (from, to) = (moment(values.first())?, moment(values.get(1))?);
    let minutes = to.signed_duration_since(from).num_minutes();
    let units = match unit(values.get(2))? {
        Unit::Minutes(each) => minutes / each,
        Unit::Days(each) => minutes / (each * 24 * 60),
        Unit::Months(each) => months(from, to) / each,
    };
    Ok(Some(Value::Number(units.into())))
}

fn months(from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    let count = |time: DateTime<Utc>| i64::from(time.year()) * 12 + i64::from(time.month0());
    let whole = count(to) - count(from);
    let within = |time: DateTime<Utc>| (time.day(), time.time());
    match whole {
        1.. if within(to) < within(from) => whole - 1,
        ..=-1 if within(to) > within(from) => whole + 1,
        _ => whole,
    }
}

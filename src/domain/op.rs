//! The id of an operation: a UUIDv7, whose time says how old it is. What it did is remembered for a
//! while only; an older one can't be told from one that never took effect, so it is refused.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::error::AppError;

/// How long an operation may be retried.
pub const KEPT: TimeDelta = TimeDelta::days(30);
/// How far a client's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// Whether an operation of this id may take effect now: 410 for one that is too old to be remembered,
/// 422 for an id that has no time or one that is yet to come.
pub fn check(op: Uuid, now: DateTime<Utc>) -> Result<(), AppError> {
    let wrong = |message| Err(AppError::field("/op", "bad_op", message));
    let Some(made) = made_at(op) else {
        return wrong("an operation's id is a UUIDv7");
    };
    if made > now + AHEAD {
        return wrong("it was made in the future: set the clock");
    }
    if made < now - KEPT {
        return Err(AppError::gone(
            "An operation is remembered for 30 days: whether this one took effect is not known",
        ));
    }
    Ok(())
}

fn made_at(op: Uuid) -> Option<DateTime<Utc>> {
    if op.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanoseconds) = op.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

#[cfg(test)]
mod tests {
    use uuid::Timestamp;

    use super::*;

    fn made(age: TimeDelta, now: DateTime<Utc>) -> Uuid {
        let at = u64::try_from((now - age).timestamp()).unwrap();
        Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, at, 0))
    }

    #[test]
    fn an_operation_is_good_for_as_long_as_it_is_remembered() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let status = |op| check(op, now).map_err(|error| error.code.status());
        for (age, expected) in [
            (TimeDelta::zero(), Ok(())),
            (TimeDelta::days(30), Ok(())),
            (TimeDelta::days(30) + TimeDelta::seconds(1), Err(410)),
            (TimeDelta::hours(-24), Ok(())),
            (TimeDelta::hours(-25), Err(422)),
        ] {
            assert_eq!(status(made(age, now)), expected, "{age}");
        }
        assert_eq!(status(Uuid::from_u128(4 << 76)), Err(422));
        assert_eq!(status(Uuid::nil()), Err(422));
        assert_eq!(status(Uuid::max()), Err(422));
    }
}

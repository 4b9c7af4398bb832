//! Sums of decimals without loss: cells have at most 28 digits before and 28 after the point, and sums
//! of them more than a `Decimal` holds.

use std::fmt;

use rust_decimal::Decimal;

/// So many digits stand after the point.
const PLACES: u32 = 28;
/// One, in units of the fraction.
const ONE: i128 = 10_i128.pow(PLACES);

/// An exact decimal of up to 37 digits before and 28 after the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact {
    whole: i128,
    /// In units of 10⁻²⁸, from 0 up to one: −0.25 is −1 and three quarters.
    fraction: i128,
}

impl Exact {
    /// Reads digits with an optional sign and point, as Postgres writes a numeric; `None` for anything
    /// else and for what is too long.
    pub fn parse(text: &str) -> Option<Exact> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let places = u32::try_from(fraction.len()).ok()?;
        let scale = 10_i128.checked_pow(PLACES.checked_sub(places)?)?;
        let fraction = match fraction {
            "" => 0,
            fraction => natural(fraction)?.checked_mul(scale)?,
        };
        let whole = natural(whole)?;
        Some(match negative {
            true => Exact::of(whole.checked_neg()?, fraction.checked_neg()?),
            false => Exact::of(whole, fraction),
        })
    }

    /// The sum, as long as its digits suffice.
    #[must_use]
    pub fn plus(self, other: Exact) -> Exact {
        let whole = self.whole.saturating_add(other.whole);
        Exact::of(whole, self.fraction.saturating_add(other.fraction))
    }

    /// A part of so many equal ones, rounded to 28 decimals, half away from zero; `None` of no parts.
    pub fn divided(self, parts: i64) -> Option<Exact> {
        let parts = i128::from(parts);
        if parts <= 0 {
            return None;
        }
        let (negative, whole, fraction) = self.magnitude();
        let (quotient, mut rest) = (whole / parts, whole % parts);
        let (mut digits, mut unit) = (0, ONE);
        // By hand, digit after digit: the remainder stays below the number of parts.
        for _ in 0..PLACES {
            unit /= 10;
            rest = rest * 10 + fraction / unit % 10;
            digits = digits * 10 + rest / parts;
            rest %= parts;
        }
        if rest * 2 >= parts {
            digits += 1;
        }
        Some(match negative {
            true => Exact::of(-quotient, -digits),
            false => Exact::of(quotient, digits),
        })
    }

    fn of(whole: i128, fraction: i128) -> Exact {
        Exact {
            whole: whole.saturating_add(fraction.div_euclid(ONE)),
            fraction: fraction.rem_euclid(ONE),
        }
    }

    /// Whether it is below zero, and what stands before and after the point.
    fn magnitude(self) -> (bool, i128, i128) {
        match (self.whole < 0, self.fraction) {
            (false, fraction) => (false, self.whole, fraction),
            (true, 0) => (true, self.whole.saturating_neg(), 0),
            (true, fraction) => (
                true,
                self.whole.saturating_add(1).saturating_neg(),
                ONE - fraction,
            ),
        }
    }
}

impl From<Decimal> for Exact {
    fn from(number: Decimal) -> Exact {
        let scale = 10_i128.checked_pow(number.scale()).unwrap_or(ONE);
        let (whole, fraction) = (number.mantissa() / scale, number.mantissa() % scale);
        Exact::of(whole, fraction.saturating_mul(ONE / scale))
    }
}

/// As JSON writes numbers: no zeros behind, no exponent.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, whole, fraction) = self.magnitude();
        let sign = if negative { "-" } else { "" };
        write!(f, "{sign}{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let digits = format!("{fraction:028}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

fn natural(digits: &str) -> Option<i128> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::parse(text).expect(text)
    }

    #[test]
    fn numbers_are_written_as_json_writes_them() {
        for (text, written) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("1.50", "1.5"),
            ("-0.25", "-0.25"),
            ("-1.000", "-1"),
            (
                "-12.0000000000000000000000000001",
                "-12.0000000000000000000000000001",
            ),
            (
                "9999999999999999999999999999999999",
                "9999999999999999999999999999999999",
            ),
        ] {
            assert_eq!(exact(text).to_string(), written);
        }
        for bad in [
            "",
            "-",
            "1e5",
            ".5",
            "+1",
            "1.2.3",
            "NaN",
            "0.00000000000000000000000000001",
        ] {
            assert_eq!(Exact::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_decimal_could_not_hold_is_kept() {
        let sum = exact("1000000000000000000000000000").plus(exact("0.000000000000001"));
        assert_eq!(
            sum.to_string(),
            "1000000000000000000000000000.000000000000001"
        );
    }

    #[test]
    fn parts_are_rounded_half_away_from_zero() {
        let part = |text: &str, parts| exact(text).divided(parts).unwrap().to_string();
        assert_eq!(part("1", 3), "0.3333333333333333333333333333");
        assert_eq!(part("-2", 3), "-0.6666666666666666666666666667");
        assert_eq!(
            part("0.0000000000000000000000000001", 2),
            "0.0000000000000000000000000001"
        );
        assert_eq!(part("-7.5", 2), "-3.75");
        assert_eq!(exact("1").divided(0), None);
    }

    proptest! {
        #[test]
        fn sums_and_parts_agree_with_decimals(numbers in prop::collection::vec((-1_000_000_i64..1_000_000, 0_u32..6), 1..20)) {
            let decimals: Vec<Decimal> = numbers.iter().map(|(digits, scale)| Decimal::new(*digits, *scale)).collect();
            let sum = decimals.iter().fold(Exact::default(), |sum, number| sum.plus((*number).into()));
            let wanted: Decimal = decimals.iter().sum();
            prop_assert_eq!(sum, Exact::from(wanted));
            prop_assert_eq!(sum, exact(&wanted.to_string()));
            prop_assert_eq!(sum.to_string().parse::<Decimal>().unwrap(), wanted);
            let times = (1..8).fold(Exact::default(), |total, _| total.plus(sum));
            prop_assert_eq!(times.divided(7), Some(sum));
        }
    }
}

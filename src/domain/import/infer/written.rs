//! How people write numbers, amounts, addresses on the net and telephone numbers: what a text may be,
//! before the column types have the last word.

/// Most significant digits that every client keeps.
const MAX_DIGITS: usize = 15;
/// A text with a longer value is a long text.
const SHORT_TEXT_CHARS: usize = 255;

/// A number as written.
pub(super) struct Written {
    /// With commas between thousands.
    pub(super) grouped: bool,
}

/// `-12`, `0.5`, `1,234.50`: at most 15 digits, no leading zeros, nothing that a reader could take
/// for something else.
pub(super) fn number(text: &str) -> Option<Written> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.is_some_and(|fraction| !all_digits(fraction)) {
        return None;
    }
    let mut groups = whole.split(',');
    let first = groups.next()?;
    if !all_digits(first) || (first.len() > 1 && first.starts_with('0')) {
        return None;
    }
    let mut grouped = false;
    for group in groups {
        grouped = true;
        if group.len() != 3 || !all_digits(group) {
            return None;
        }
    }
    if grouped && (first.len() > 3 || first == "0") {
        return None;
    }
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    (count <= MAX_DIGITS).then_some(Written { grouped })
}

/// `$1,250,000`, `-£5`, `€12.50`: the currency's code.
pub(super) fn currency(text: &str) -> Option<&'static str> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mut chars = unsigned.chars();
    let code = match chars.next()? {
        '$' => "USD",
        '£' => "GBP",
        '€' => "EUR",
        _ => return None,
    };
    let amount = chars.as_str();
    (!amount.starts_with('-') && number(amount).is_some()).then_some(code)
}

/// One mark between digits, and not three of them after it: the mark can't stand for thousands.
pub(super) fn has_decimals(text: &str, mark: char) -> bool {
    let ends_in_digit = |part: &str| part.ends_with(|last: char| last.is_ascii_digit());
    if !ends_in_digit(text) {
        return false;
    }
    text.split_once(mark).is_some_and(|(whole, decimals)| {
        ends_in_digit(whole)
            && decimals.len() != 3
            && decimals.bytes().all(|byte| byte.is_ascii_digit())
    })
}

pub(super) fn may_be_email(text: &str) -> bool {
    text.contains('@') && !text.contains(char::is_whitespace)
}

pub(super) fn may_be_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Written as a phone number: `+…`, `(415) …`, `415-555-0132`. Bare digits may be anything.
pub(super) fn may_be_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !(7..=15).contains(&digits)
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-(). x".contains(&byte))
    {
        return false;
    }
    let groups: Vec<usize> = text
        .split(|char: char| !char.is_ascii_digit())
        .map(str::len)
        .filter(|len| *len > 0)
        .collect();
    text.starts_with('+') && number(text.trim_start_matches('+')).is_some()
        || text.starts_with(['+', '('])
        || groups == [3, 3, 4]
        || groups == [1, 3, 3, 4]
}

/// Cheap: whether it is worth asking.
pub(super) fn may_be_date(text: &str) -> bool {
    if !(6..=40).contains(&text.len())
        || !text.starts_with(|first: char| first.is_ascii_alphanumeric())
    {
        return false;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.len() == 8 && ["19", "20"].iter().any(|century| text.starts_with(century));
    }
    text.bytes().any(|byte| byte.is_ascii_digit()) && number(text).is_none() && !may_be_phone(text)
}

/// Names of columns whose numbers are codes: nobody adds them up, and zeros in front count.
pub(super) fn names_a_code(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    [
        "zip", "postal", "postcode", "phone", "mobile", "fax", "parcel", "apn", "fips",
    ]
    .iter()
    .any(|word| name.contains(word))
}

pub(super) fn is_long(text: &str) -> bool {
    text.len() > SHORT_TEXT_CHARS && text.chars().count() > SHORT_TEXT_CHARS
        || text.bytes().any(|byte| matches!(byte, b'\n' | b'\r'))
}

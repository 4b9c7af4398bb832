//! What type the values of a column have, found by looking at all of them. A type is taken only when
//! every value fits it, so that a column made from a file never fails a row of that file; whatever
//! would lose something (leading zeros, too many digits, a day that may be a month) stays text.

use std::collections::HashSet;

use csv::StringRecord;

use super::dialect::Dialect;
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::columns::{Column, ColumnType, DateOrder, Options, TextHints};
use crate::domain::fold::folded;

/// Most different values of a column that becomes a selection.
const MAX_CHOICES: usize = 50;
/// A selection repeats itself: on average each value at least so often.
const CHOICE_REPEATS: u64 = 10;
const MAX_CHOICE_CHARS: usize = 60;
/// A text with a longer value is a long text.
const SHORT_TEXT_CHARS: usize = 255;
/// Where a phone number like "(415) 555-0132" is from.
pub const PHONE_REGION: &str = "US";
/// Most significant digits that every client keeps.
const MAX_DIGITS: usize = 15;

/// What the values of one column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    pub ty: ColumnType,
    /// Of a selection, in order of first appearance.
    pub choices: Vec<String>,
    /// ISO 4217, of a currency.
    pub currency: Option<&'static str>,
    /// How its dates are read; None if no value depends on it, nothing settles it, or the person has
    /// said it for all.
    pub date_order: Option<DateOrder>,
    /// They are dates, and a day may be a month: a person must say.
    pub date_order_unknown: bool,
    /// Its numbers have a comma before the decimals: `1,5` occurs and `1.5` does not.
    pub decimal_comma: bool,
    /// Percent: n values that all fit give n / (n + 2).
    pub confidence: u8,
}

/// Looks at every record of a file; memory does not grow with it.
pub struct Survey {
    columns: Vec<Values>,
    probes: Probes,
    rows: u64,
}

impl Survey {
    /// For a file with columns of these names. `declared`: the order of day, month and year as the
    /// person said it.
    pub fn new(names: &[String], dialect: &Dialect, declared: Option<DateOrder>) -> Self {
        Self {
            columns: names
                .iter()
                .map(|name| Values::new(name, dialect))
                .collect(),
            probes: Probes::new(declared),
            rows: 0,
        }
    }

    /// Looks at one record.
    pub fn take(&mut self, record: &StringRecord) {
        self.rows += 1;
        for (values, text) in self.columns.iter_mut().zip(record) {
            if !text.is_empty() {
                values.take(text, &self.probes);
            }
        }
    }

    /// Records looked at.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The verdict on each column, in the file's order. A column whose days may be months is read
    /// as the file's other columns are, if they agree.
    pub fn finish(self) -> Vec<Inferred> {
        let mut settled = self
            .columns
            .iter()
            .filter_map(|values| values.dates.settled());
        let first = settled.next();
        let agreed = first.filter(|first| settled.all(|order| order == *first));
        let file_order = self.probes.declared.or(agreed);
        self.columns
            .into_iter()
            .map(|values| values.decide(file_order))
            .collect()
    }
}

/// Whether a text is a number, a date, an address on the net: something that names no column.
pub fn looks_like_data(text: &str) -> bool {
    let text = text.trim();
    if number(text).is_some() || currency(text).is_some() {
        return true;
    }
    let probes = Probes::new(None);
    may_be_email(text) && probes.email.fits(text, &TextHints::default())
        || may_be_url(text) && probes.url.fits(text, &TextHints::default())
        || may_be_phone(text)
        || may_be_date(text)
            && text.starts_with(|first: char| first.is_ascii_digit())
            && probes.date_time.fits(text, &TextHints::default())
}

/// The columns whose `parse_text` has the last word.
struct Probes {
    date: Probe,
    date_time: Probe,
    email: Probe,
    phone: Probe,
    url: Probe,
    number: Probe,
    month_first: TextHints<'static>,
    day_first: TextHints<'static>,
    declared: Option<DateOrder>,
}

impl Probes {
    fn new(declared: Option<DateOrder>) -> Self {
        let hints = |order| TextHints {
            date_order: order,
            ..TextHints::default()
        };
        Self {
            date: Probe::new(ColumnType::Date),
            date_time: Probe::new(ColumnType::DateTime),
            email: Probe::new(ColumnType::Email),
            phone: Probe::new(ColumnType::Phone),
            url: Probe::new(ColumnType::Url),
            number: Probe::new(ColumnType::Number),
            month_first: hints(declared.unwrap_or(DateOrder::Mdy)),
            day_first: hints(declared.unwrap_or(DateOrder::Dmy)),
            declared,
        }
    }
}

impl Probes {
    /// Whether a text only says that there is no value.
    fn is_nothing(&self, text: &str) -> bool {
        const LONGEST: usize = 12;
        text.len() <= LONGEST
            && !text.bytes().any(|byte| byte.is_ascii_digit())
            && self.number.read(text, &self.month_first) == Some(None)
    }

    fn time(&self, text: &str, hints: &TextHints<'_>) -> Option<Cell> {
        self.date_time.read(text, hints).flatten()
    }
}

/// A column without rules, of one type.
struct Probe(Option<Column>);

impl Probe {
    /// Phone numbers without a country code are read as North American ones, if written as such.
    fn new(ty: ColumnType) -> Self {
        let options = Options {
            region: Some(PHONE_REGION.to_owned()),
            ..Options::default()
        };
        Self(ColumnId::nth(0).map(|id| Column {
            id,
            key: String::new(),
            name: String::new(),
            ty,
            options,
            required: false,
            default: None,
            position: 0,
            deleted: false,
        }))
    }

    /// The cell (none, if the text says so); None if the text does not fit.
    fn read(&self, text: &str, hints: &TextHints<'_>) -> Option<Option<Cell>> {
        self.0.as_ref()?.parse_text(text, hints).ok()
    }

    fn fits(&self, text: &str, hints: &TextHints<'_>) -> bool {
        self.read(text, hints).flatten().is_some()
    }
}

/// What is still possible for the values of one column, and what has been seen of them.
struct Values {
    /// Filled cells.
    filled: u64,
    /// Of them, those that are more than a sign for "nothing" ("N/A").
    typed: u64,
    number: bool,
    /// "1,5" was seen.
    comma_decimals: bool,
    /// "1.5" was seen.
    point_decimals: bool,
    /// "1,234" is a number: not in a file that keeps the comma for decimals.
    grouped: bool,
    currency: OneOf<&'static str>,
    email: bool,
    phone: bool,
    url: bool,
    checkbox: Checkbox,
    dates: Dates,
    choices: Option<Choices>,
    long: bool,
}

impl Values {
    fn new(name: &str, dialect: &Dialect) -> Self {
        Self {
            filled: 0,
            typed: 0,
            number: !names_a_code(name),
            comma_decimals: false,
            point_decimals: false,
            grouped: dialect.delimiter != b';',
            currency: OneOf::None,
            email: true,
            phone: true,
            url: true,
            checkbox: Checkbox {
                possible: true,
                yes: false,
                no: false,
            },
            dates: Dates::new(),
            choices: Some(Choices::default()),
            long: false,
        }
    }

    fn take(&mut self, text: &str, probes: &Probes) {
        self.filled += 1;
        self.long = self.long || is_long(text);
        if let Some(choices) = &mut self.choices
            && !choices.take(text)
        {
            self.choices = None;
        }
        let value = text.trim();
        self.comma_decimals = self.comma_decimals || has_decimals(value, ',');
        self.point_decimals = self.point_decimals || has_decimals(value, '.');
        if self.only_text() || value.is_empty() || probes.is_nothing(value) {
            return;
        }
        self.typed += 1;
        self.dates.take(value, probes);
        self.number =
            self.number && number(value).is_some_and(|number| self.grouped || !number.grouped);
        self.currency.take(currency(value));
        self.checkbox.take(value);
        self.email =
            self.email && may_be_email(value) && probes.email.fits(value, &probes.month_first);
        self.phone =
            self.phone && may_be_phone(value) && probes.phone.fits(value, &probes.month_first);
        self.url = self.url && may_be_url(value) && probes.url.fits(value, &probes.month_first);
    }

    /// Nothing but text is possible any more: the rest need not be looked at closely.
    fn only_text(&self) -> bool {
        !self.number
            && !self.email
            && !self.phone
            && !self.url
            && !self.checkbox.possible
            && !self.dates.possible()
            && matches!(self.currency, OneOf::Many)
    }

    fn decide(self, file_order: Option<DateOrder>) -> Inferred {
        let confidence = |fitting: u64| {
            u8::try_from(
                fitting
                    .saturating_mul(100)
                    .checked_div(fitting.saturating_add(2))
                    .unwrap_or(99),
            )
            .unwrap_or(99)
        };
        let mut verdict = Inferred {
            ty: ColumnType::Text,
            choices: Vec::new(),
            currency: None,
            date_order: None,
            date_order_unknown: self.dates.unsettled(file_order),
            decimal_comma: self.comma_decimals && !self.point_decimals,
            confidence: confidence(self.typed),
        };
        if self.typed > 0 {
            if let Some((ty, order)) = self.dates.decide(file_order) {
                return Inferred {
                    ty,
                    date_order: order,
                    ..verdict
                };
            }
            if let Some(ty) = self.plain_type() {
                return Inferred { ty, ..verdict };
            }
            if let OneOf::One(code) = self.currency {
                return Inferred {
                    ty: ColumnType::Currency,
                    currency: Some(code),
                    ..verdict
                };
            }
        }
        verdict.confidence = confidence(self.filled);
        verdict.ty = if self.long {
            ColumnType::LongText
        } else {
            ColumnType::Text
        };
        if let Some(choices) = self
            .choices
            .and_then(|choices| choices.worth_it(self.filled))
        {
            verdict.ty = ColumnType::SingleSelect;
            verdict.choices = choices;
        }
        verdict
    }

    fn plain_type(&self) -> Option<ColumnType> {
        [
            (
                self.checkbox.possible && self.checkbox.yes && self.checkbox.no,
                ColumnType::Checkbox,
            ),
            (self.number, ColumnType::Number),
            (self.email, ColumnType::Email),
            (self.phone, ColumnType::Phone),
            (self.url, ColumnType::Url),
        ]
        .into_iter()
        .find_map(|(fits, ty)| fits.then_some(ty))
    }
}

/// One value all along, or not.
enum OneOf<T> {
    None,
    One(T),
    Many,
}

impl<T: PartialEq> OneOf<T> {
    fn take(&mut self, value: Option<T>) {
        *self = match (std::mem::replace(self, Self::Many), value) {
            (Self::None, Some(value)) => Self::One(value),
            (Self::One(before), Some(value)) if before == value => Self::One(value),
            _ => Self::Many,
        };
    }
}

/// Yes and no in one of the ways people write them; one of the two alone says too little.
struct Checkbox {
    possible: bool,
    yes: bool,
    no: bool,
}

impl Checkbox {
    fn take(&mut self, value: &str) {
        if !self.possible {
            return;
        }
        let is = |words: [&str; 3]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        if is(["yes", "true", "y"]) {
            self.yes = true;
        } else if is(["no", "false", "n"]) {
            self.no = true;
        } else {
            self.possible = false;
        }
    }
}

/// In which orders every value so far is a day, or a day with a time.
struct Dates {
    month_first: bool,
    day_first: bool,
    /// No value had a time other than midnight.
    days: bool,
    /// Every value so far is a date of some kind at all.
    any: bool,
    /// Some value means another day in the other order.
    order_matters: bool,
    seen: bool,
}

impl Dates {
    fn new() -> Self {
        Self {
            month_first: true,
            day_first: true,
            days: true,
            any: true,
            order_matters: false,
            seen: false,
        }
    }

    fn possible(&self) -> bool {
        self.any && (self.month_first || self.day_first)
    }

    fn take(&mut self, value: &str, probes: &Probes) {
        if !self.possible() {
            return;
        }
        if !may_be_date(value) {
            self.any = false;
            return;
        }
        self.seen = true;
        let month_first = probes.time(value, &probes.month_first);
        let day_first = probes.time(value, &probes.day_first);
        self.order_matters = self.order_matters || month_first != day_first;
        self.month_first = self.month_first && month_first.is_some();
        self.day_first = self.day_first && day_first.is_some();
        self.days = self.days
            && (probes.date.fits(value, &probes.month_first)
                || probes.date.fits(value, &probes.day_first));
    }

    /// The order that the values themselves settle.
    fn settled(&self) -> Option<DateOrder> {
        match (
            self.seen && self.any && self.order_matters,
            self.month_first,
            self.day_first,
        ) {
            (true, true, false) => Some(DateOrder::Mdy),
            (true, false, true) => Some(DateOrder::Dmy),
            _ => None,
        }
    }

    /// All are dates, and nothing tells the day from the month.
    fn unsettled(&self, file_order: Option<DateOrder>) -> bool {
        self.seen
            && self.possible()
            && self.order_matters
            && self.settled().or(file_order).is_none()
    }

    fn decide(&self, file_order: Option<DateOrder>) -> Option<(ColumnType, Option<DateOrder>)> {
        if !self.seen || !self.possible() {
            return None;
        }
        let ty = if self.days {
            ColumnType::Date
        } else {
            ColumnType::DateTime
        };
        match (self.order_matters, self.settled().or(file_order)) {
            (false, _) => Some((ty, None)),
            (true, Some(order)) => Some((ty, Some(order))),
            // A day or a month: nobody knows, so it stays as it was written.
            (true, None) => None,
        }
    }
}

/// The different values, as long as they are few and are names as a choice may have them.
#[derive(Default)]
struct Choices {
    seen: HashSet<String>,
    folded: HashSet<String>,
    in_order: Vec<String>,
}

impl Choices {
    /// False: this can't be a selection.
    fn take(&mut self, text: &str) -> bool {
        if self.seen.contains(text) {
            return true;
        }
        let nameable = text.trim() == text
            && text.chars().count() <= MAX_CHOICE_CHARS
            && !text.chars().any(char::is_control);
        // "Oak St" and "OAK ST" would be one choice, and one of them would be lost.
        if !nameable
            || self.in_order.len() == MAX_CHOICES
            || !self.folded.insert(folded(text).into_owned())
        {
            return false;
        }
        self.seen.insert(text.to_owned());
        self.in_order.push(text.to_owned());
        true
    }

    fn worth_it(self, filled: u64) -> Option<Vec<String>> {
        let different = u64::try_from(self.in_order.len()).unwrap_or(u64::MAX);
        (different > 0 && filled >= different.saturating_mul(CHOICE_REPEATS))
            .then_some(self.in_order)
    }
}

/// A number as written.
struct Written {
    /// With commas between thousands.
    grouped: bool,
}

/// `-12`, `0.5`, `1,234.50`: at most 15 digits, no leading zeros, nothing that a reader could take
/// for something else.
fn number(text: &str) -> Option<Written> {
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
fn currency(text: &str) -> Option<&'static str> {
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
fn has_decimals(text: &str, mark: char) -> bool {
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

fn may_be_email(text: &str) -> bool {
    text.contains('@') && !text.contains(char::is_whitespace)
}

fn may_be_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Written as a phone number: `+…`, `(415) …`, `415-555-0132`. Bare digits may be anything.
fn may_be_phone(text: &str) -> bool {
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
fn may_be_date(text: &str) -> bool {
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
fn names_a_code(name: &str) -> bool {
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

fn is_long(text: &str) -> bool {
    text.len() > SHORT_TEXT_CHARS && text.chars().count() > SHORT_TEXT_CHARS
        || text.bytes().any(|byte| matches!(byte, b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dialect::LineEnd;
    use super::*;

    fn dialect(delimiter: u8) -> Dialect {
        Dialect {
            delimiter,
            quote: Some(b'"'),
            line_end: LineEnd::Lf,
            start: 0,
        }
    }

    fn infer_as(
        name: &str,
        values: &[&str],
        delimiter: u8,
        declared: Option<DateOrder>,
    ) -> Inferred {
        let mut survey = Survey::new(&[name.to_owned()], &dialect(delimiter), declared);
        for value in values {
            survey.take(&StringRecord::from(vec![*value]));
        }
        survey.finish().remove(0)
    }

    fn infer(values: &[&str]) -> ColumnType {
        infer_as("a", values, b',', None).ty
    }

    #[test]
    fn values_tell_their_type() {
        use ColumnType::*;
        for (values, ty) in [
            (&["12", "-0.5", "1,250,000"][..], Number),
            (&["12", "N/A", "-", ""], Number),
            (&["$1,250,000", "$5", "n/a"], Currency),
            (&["$5", "€5"], Text),
            (&["2026-02-15", "2026-12-31"], Date),
            (&["5/19/2006 0:00:00", "1/2/2006 0:00:00"], Date),
            (&["5/19/2006 13:30", "1/2/2006 0:00"], DateTime),
            (&["2026-02-15T10:30:00Z"], DateTime),
            (&["yes", "No"], Checkbox),
            (&["yes", "yes"], Text),
            (&["ann@example.com"], Email),
            (&["(415) 555-0132", "415-555-0133"], Phone),
            (&["+14155550132"], Phone),
            (&["4155550132"], Number),
            (&["https://example.com/a"], Url),
            (&["01", "02"], Text),
            (&["1234567890123456"], Text),
            (&["1,7", "200.000.000"], Text),
            (&["1e5"], Text),
            (&["N/A", "-"], Text),
            (&[""], Text),
            (&["one\ntwo"], LongText),
        ] {
            assert_eq!(infer(values), ty, "{values:?}");
        }
    }

    #[test]
    fn codes_stay_text_whatever_their_digits() {
        for name in [
            "zip",
            "Zip Code",
            "PostalCode",
            "Contact Phone Number",
            "FIPS",
        ] {
            assert_eq!(
                infer_as(name, &["95838", "2095257564"], b',', None).ty,
                ColumnType::Text,
                "{name}"
            );
        }
    }

    #[test]
    fn a_day_that_may_be_a_month_is_never_guessed() {
        let order = |values: &[&str], declared| {
            let verdict = infer_as("a", values, b',', declared);
            (verdict.ty, verdict.date_order, verdict.date_order_unknown)
        };
        use DateOrder::{Dmy, Mdy};
        assert_eq!(
            order(&["02/01/2014", "31/12/2012"], None),
            (ColumnType::Date, Some(Dmy), false)
        );
        assert_eq!(
            order(&["02/01/2014", "12/31/2012"], None),
            (ColumnType::Date, Some(Mdy), false)
        );
        assert_eq!(order(&["02/01/2014"], None), (ColumnType::Text, None, true));
        assert_eq!(
            order(&["02/01/2014"], Some(Dmy)),
            (ColumnType::Date, None, false),
            "said, so nothing to settle"
        );
        assert_eq!(order(&["12/31/2014"], Some(Dmy)).0, ColumnType::Text);
        assert_eq!(
            order(&["02/02/2014", "2014-03-04"], None),
            (ColumnType::Date, None, false)
        );
        assert_eq!(
            order(&["31/12/2012", "12/31/2012"], None).0,
            ColumnType::Text
        );
    }

    #[test]
    fn one_column_of_dates_settles_the_others() {
        let names = ["listed".to_owned(), "sold".to_owned()];
        let mut survey = Survey::new(&names, &dialect(b','), None);
        survey.take(&StringRecord::from(vec!["1/2/2026", "28/2/2026"]));
        let verdicts = survey.finish();
        assert_eq!(verdicts[0].date_order, Some(DateOrder::Dmy));
        assert_eq!(verdicts[0].ty, ColumnType::Date);
    }

    #[test]
    fn a_comma_before_decimals_is_noticed() {
        assert!(infer_as("a", &["1,7", "1.234"], b';', None).decimal_comma);
        assert!(!infer_as("a", &["1.7", "1,234"], b',', None).decimal_comma);
        assert_eq!(
            infer_as("a", &["1,234"], b';', None).ty,
            ColumnType::Text,
            "1234, or a bit more than 1"
        );
    }

    #[test]
    fn a_selection_repeats_itself() {
        let values: Vec<&str> = ["Condo", "Residential"].repeat(10);
        let verdict = infer_as("a", &values, b',', None);
        assert_eq!(
            (verdict.ty, verdict.choices),
            (
                ColumnType::SingleSelect,
                vec!["Condo".to_owned(), "Residential".to_owned()]
            )
        );
        let values: Vec<&str> = ["Condo", "CONDO"].repeat(10);
        assert_eq!(
            infer(&values),
            ColumnType::Text,
            "one choice would swallow the other"
        );
        assert_eq!(infer(&["Condo", "Condo", "Land"]), ColumnType::Text);
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{1,6}(\\.[0-9]{1,4})?",
            "[0-9]{1,3}(,[0-9]{3}){1,3}",
            "[$£€][0-9]{1,3}(,[0-9]{3})?",
            "[0-9]{1,2}[/.-][0-9]{1,2}[/.-](19|20)?[0-9]{2}( [0-9]{1,2}:[0-9]{2})?",
            "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
            "\\(?[2-9][0-9]{2}\\)?[ -][2-9][0-9]{2}-[0-9]{4}",
            "[a-z]{1,3}@[a-z]{1,4}\\.(com|org)",
            "https?://[a-z]{1,5}\\.com/?",
            prop_oneof![
                Just("yes"),
                Just("No"),
                Just("Y"),
                Just("n"),
                Just("TRUE"),
                Just("N/A"),
                Just("-"),
                Just("")
            ]
            .prop_map(str::to_owned),
            "\\PC{0,12}",
            " ?[A-C] ?",
        ]
    }

    /// A column of one kind of value, or of a mixture.
    fn values() -> impl Strategy<Value = Vec<String>> {
        (
            value(),
            proptest::collection::vec(value(), 0..6),
            1usize..25,
        )
            .prop_map(|(first, mut rest, times)| {
                rest.push(first);
                std::iter::repeat_n(rest, times).flatten().collect()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_column_made_from_a_file_takes_every_value_of_it(values in values()) {
            let texts: Vec<&str> = values.iter().map(String::as_str).collect();
            let verdict = infer_as("a", &texts, b',', None);
            let header = super::super::header::Header { names: vec!["a".to_owned()], record: 1, data_start: 0 };
            let order = verdict.date_order.unwrap_or_default();
            let plan = super::super::plan::ImportPlan::new(
                dialect(b','), &header, vec![super::super::mapping::Target::New], vec![verdict], 1,
                &super::super::options::Options::default(), &Default::default(),
            ).unwrap();
            let new = plan.new_columns().next().unwrap();
            let Probe(column) = Probe::new(new.ty);
            let column = Column { options: Options::from_json(new.ty, &new.options, None).unwrap(), ..column.unwrap() };
            let hints = TextHints { date_order: order, ..TextHints::default() };
            for text in texts {
                let cell = column.parse_text(text, &hints);
                prop_assert!(cell.is_ok(), "{text:?} in {:?}: {cell:?}", new.ty);
                if let (ColumnType::Text | ColumnType::LongText, Ok(Some(cell))) = (new.ty, &cell) {
                    prop_assert_eq!(cell, &Cell::Text(text.to_owned()));
                }
                if let (ColumnType::Number, Ok(Some(Cell::Number(number)))) = (new.ty, &cell) {
                    prop_assert_eq!(*number, text.trim().replace(',', "").parse::<rust_decimal::Decimal>().unwrap());
                }
            }
        }
    }
}

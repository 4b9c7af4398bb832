//! What type the values of a column have, found by looking at all of them. A type is taken only when
//! every value fits it, so that a column made from a file never fails a row of that file; whatever
//! would lose something (leading zeros, too many digits, a day that may be a month) stays text.

mod choices;
mod dates;
#[cfg(test)]
mod tests;
mod written;

use csv::StringRecord;

use self::choices::Choices;
use self::dates::Dates;
use self::written::{
    currency, has_decimals, is_long, may_be_date, may_be_email, may_be_phone, may_be_url,
    names_a_code, number,
};

use super::dialect::Dialect;
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::columns::{Column, ColumnType, DateOrder, Options, TextHints};
use crate::domain::written::unguarded;

/// Where a phone number like "(415) 555-0132" is from.
pub const PHONE_REGION: &str = "US";

/// Values of a column that are shown, and characters of each.
const SAMPLES: usize = 3;
const SAMPLE_CHARS: usize = 60;

/// What the values of one column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    pub ty: ColumnType,
    /// Values that are not blank.
    pub filled: u64,
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
    /// The first few values that are not blank, cut short.
    pub samples: Vec<String>,
}

/// Looks at every record of a file; memory does not grow with it.
pub struct Survey {
    columns: Vec<Values>,
    probes: Probes,
    rows: u64,
    /// Texts may be guarded from spreadsheets: see `domain::written`.
    guarded: bool,
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
            guarded: false,
        }
    }

    /// For delimited text, where a guard before a formula is not the value's own.
    pub fn guarded(self, guarded: bool) -> Self {
        Self { guarded, ..self }
    }

    /// Looks at one record.
    pub fn take(&mut self, record: &StringRecord) {
        self.rows += 1;
        for (values, text) in self.columns.iter_mut().zip(record) {
            let text = if self.guarded { unguarded(text) } else { text };
            if !text.is_empty() {
                values.take(text, &self.probes);
            }
        }
    }

    /// Counts a record that says nothing about its columns.
    pub fn skip(&mut self) {
        self.rows += 1;
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
            unique: false,
            default: None,
            position: 0,
            deleted: false,
            replaced: false,
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
    samples: Vec<String>,
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
            samples: Vec::new(),
        }
    }

    fn take(&mut self, text: &str, probes: &Probes) {
        self.filled += 1;
        self.long = self.long || is_long(text);
        if self.samples.len() < SAMPLES && !text.trim().is_empty() {
            self.samples.push(text.chars().take(SAMPLE_CHARS).collect());
        }
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

    fn decide(mut self, file_order: Option<DateOrder>) -> Inferred {
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
            filled: self.filled,
            choices: Vec::new(),
            currency: None,
            date_order: None,
            date_order_unknown: self.dates.unsettled(file_order),
            decimal_comma: self.comma_decimals && !self.point_decimals,
            confidence: confidence(self.typed),
            samples: std::mem::take(&mut self.samples),
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

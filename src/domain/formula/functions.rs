//! The functions of formulas: ONE table of what each takes, gives and does, by which formulas are checked
//! and which the documentation shows.

mod dates;
mod lists;
mod numbers;
mod texts;

use super::evaluate::Result;
use super::value::joined;
use super::{Fault, Fold, Kind, Scalar, Value};

/// A function.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    /// How it is called: names of what it takes.
    pub shape: &'static str,
    pub about: &'static str,
    pub(super) takes: &'static [Takes],
    /// So many must be given; the others are optional.
    pub(super) least: usize,
    /// The last may be given any number of times.
    pub(super) repeats: bool,
    pub(super) gives: Gives,
    pub(super) run: Run,
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Any,
    Number,
    Text,
    Bool,
    Time,
    /// A date or a time.
    Moment,
    /// A date, a time, or a text that says one.
    Dated,
    /// Anything but a list.
    Single,
    List,
    /// A number or a list of them.
    Numbers,
    /// What has an order, or a list of such.
    Ordered,
}

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Kind(Kind),
    Nothing,
    /// As that argument.
    Like(usize),
    /// As the members of that argument.
    Member(usize),
    /// What all arguments from that one on have in common.
    Common(usize),
    /// What all arguments have in common, as members of lists or alone.
    Folded,
    Switched,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    If,
    Switch,
    Coalesce,
    IfError,
    Empty,
    IsEmpty,
    And,
    Or,
    Not,
    Abs,
    Sign,
    Sqrt,
    Power,
    Mod,
    Round,
    Floor,
    Ceiling,
    Trunc,
    Fold(Fold),
    Concat,
    Len,
    Lower,
    Upper,
    Trim,
    Left,
    Right,
    Mid,
    Replace,
    Contains,
    StartsWith,
    EndsWith,
    Text,
    Number,
    Date,
    ToDate,
    Year,
    Month,
    Day,
    Weekday,
    Hour,
    Minute,
    DateAdd,
    DateDiff,
    First,
    Last,
    Join,
    Unique,
    Has,
}

const NUMBER: Gives = Gives::Kind(Kind {
    scalar: Scalar::Number,
    list: false,
});
const TEXT: Gives = Gives::Kind(Kind {
    scalar: Scalar::Text,
    list: false,
});
const BOOL: Gives = Gives::Kind(Kind {
    scalar: Scalar::Bool,
    list: false,
});
const DATE: Gives = Gives::Kind(Kind {
    scalar: Scalar::Date,
    list: false,
});

macro_rules! functions {
    ($($name:literal $shape:literal, [$($takes:ident),*] $least:literal $(+ $repeats:ident)? => $gives:expr, $run:expr; $about:literal)*) => {
        &[$(Function {
            name: $name,
            shape: $shape,
            about: $about,
            takes: &[$(Takes::$takes),*],
            least: $least,
            repeats: functions!(@ $($repeats)?),
            gives: $gives,
            run: $run,
        }),*]
    };
    (@ more) => { true };
    (@) => { false };
}

/// All functions, by subject.
#[rustfmt::skip]
const FUNCTIONS: &[Function] = functions! {
    "IF" "condition, then, else", [Bool, Any, Any] 2 => Gives::Common(1), Run::If; "One of two, by a condition; `else` may be left out."
    "SWITCH" "value, match, result, …, else", [Single, Any] 3 + more => Gives::Switched, Run::Switch; "The result behind the first match that equals the value."
    "AND" "condition, …", [Bool] 1 + more => BOOL, Run::And; "Whether all hold."
    "OR" "condition, …", [Bool] 1 + more => BOOL, Run::Or; "Whether one holds."
    "NOT" "condition", [Bool] 1 => BOOL, Run::Not; "Whether it does not hold."
    "COALESCE" "value, …", [Any] 1 + more => Gives::Common(0), Run::Coalesce; "The first that is not empty."
    "IS_EMPTY" "value", [Any] 1 => BOOL, Run::IsEmpty; "Whether it is empty."
    "IF_ERROR" "value, instead", [Any, Any] 2 => Gives::Common(0), Run::IfError; "The value, or what stands in for it where it is an error."
    "EMPTY" "", [] 0 => Gives::Nothing, Run::Empty; "Nothing."

    "ABS" "number", [Number] 1 => NUMBER, Run::Abs; "Without its sign."
    "SIGN" "number", [Number] 1 => NUMBER, Run::Sign; "−1, 0 or 1."
    "ROUND" "number, digits", [Number, Number] 1 => NUMBER, Run::Round; "To so many decimals (0), halves away from zero."
    "FLOOR" "number", [Number] 1 => NUMBER, Run::Floor; "The next whole number below."
    "CEILING" "number", [Number] 1 => NUMBER, Run::Ceiling; "The next whole number above."
    "TRUNC" "number", [Number] 1 => NUMBER, Run::Trunc; "Without its decimals."
    "MOD" "number, by", [Number, Number] 2 => NUMBER, Run::Mod; "What a division leaves, with the sign of the number."
    "POWER" "number, exponent", [Number, Number] 2 => NUMBER, Run::Power; "For whole exponents from −99 to 99."
    "SQRT" "number", [Number] 1 => NUMBER, Run::Sqrt; "The square root, to 15 digits."
    "SUM" "number, …", [Numbers] 1 + more => NUMBER, Run::Fold(Fold::Sum); "Of numbers and lists; of nothing 0."
    "AVERAGE" "number, …", [Numbers] 1 + more => NUMBER, Run::Fold(Fold::Avg); "The mean of those that are not empty."
    "MEDIAN" "number, …", [Numbers] 1 + more => NUMBER, Run::Fold(Fold::Median); "The one in the middle, or the mean of the two."
    "MIN" "value, …", [Ordered] 1 + more => Gives::Folded, Run::Fold(Fold::Min); "The least of values and lists."
    "MAX" "value, …", [Ordered] 1 + more => Gives::Folded, Run::Fold(Fold::Max); "The greatest."

    "CONCAT" "value, …", [Any] 1 + more => TEXT, Run::Concat; "All as text, one behind the other."
    "LEN" "text", [Text] 1 => NUMBER, Run::Len; "How many characters."
    "LOWER" "text", [Text] 1 => TEXT, Run::Lower; "In small letters."
    "UPPER" "text", [Text] 1 => TEXT, Run::Upper; "In capitals."
    "TRIM" "text", [Text] 1 => TEXT, Run::Trim; "Without white space at its ends."
    "LEFT" "text, count", [Text, Number] 2 => TEXT, Run::Left; "Its first characters."
    "RIGHT" "text, count", [Text, Number] 2 => TEXT, Run::Right; "Its last characters."
    "MID" "text, from, count", [Text, Number, Number] 3 => TEXT, Run::Mid; "Characters from within, the first is 1."
    "REPLACE" "text, find, with", [Text, Text, Text] 3 => TEXT, Run::Replace; "Each occurrence by another text; case counts."
    "CONTAINS" "text, find", [Text, Text] 2 => BOOL, Run::Contains; "Whether it stands in the text, in either case."
    "STARTS_WITH" "text, find", [Text, Text] 2 => BOOL, Run::StartsWith; "Whether the text begins with it."
    "ENDS_WITH" "text, find", [Text, Text] 2 => BOOL, Run::EndsWith; "Whether the text ends with it."
    "TEXT" "value", [Any] 1 => TEXT, Run::Text; "As text; a list with commas."
    "NUMBER" "text", [Text] 1 => NUMBER, Run::Number; "The number that a text says, as 1234.5."

    "DATE" "year, month, day", [Number, Number, Number] 3 => DATE, Run::Date; "A day of the calendar."
    "TO_DATE" "value", [Dated] 1 => DATE, Run::ToDate; "The day (UTC) of a time, or that a text says as 2026-02-15."
    "YEAR" "date", [Moment] 1 => NUMBER, Run::Year; "Of a date, or a time in UTC, as the following."
    "MONTH" "date", [Moment] 1 => NUMBER, Run::Month; "1 to 12."
    "DAY" "date", [Moment] 1 => NUMBER, Run::Day; "1 to 31."
    "WEEKDAY" "date", [Moment] 1 => NUMBER, Run::Weekday; "1 (Monday) to 7."
    "HOUR" "time", [Time] 1 => NUMBER, Run::Hour; "0 to 23."
    "MINUTE" "time", [Time] 1 => NUMBER, Run::Minute; "0 to 59."
    "DATE_ADD" "date, count, unit", [Moment, Number, Text] 3 => Gives::Like(0), Run::DateAdd; "Later by whole days, weeks, months or years, a time also by hours or minutes."
    "DATE_DIFF" "from, to, unit", [Moment, Moment, Text] 3 => NUMBER, Run::DateDiff; "Whole units between two days or times."

    "COUNT" "value, …", [Any] 1 + more => NUMBER, Run::Fold(Fold::Count); "How many are not empty, members of lists each."
    "FIRST" "list", [List] 1 => Gives::Member(0), Run::First; "Its first member."
    "LAST" "list", [List] 1 => Gives::Member(0), Run::Last; "Its last member."
    "JOIN" "list, between", [List, Text] 1 => TEXT, Run::Join; "Its members as text, with \", \" or another text between."
    "UNIQUE" "list", [List] 1 => Gives::Like(0), Run::Unique; "Each member once."
    "HAS" "list, value", [List, Single] 2 => BOOL, Run::Has; "Whether the value is a member."
};

/// All functions, by subject.
pub fn all() -> &'static [Function] {
    FUNCTIONS
}

/// The function of that name, in any case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    let named = |function: &&Function| function.name.eq_ignore_ascii_case(name);
    FUNCTIONS.iter().find(named)
}

impl Function {
    /// What its argument may be.
    pub(super) fn takes(&self, index: usize) -> Takes {
        let takes = self.takes.get(index).or_else(|| self.takes.last());
        takes.copied().unwrap_or(Takes::Any)
    }

    /// How many arguments it takes, in words.
    pub(super) fn counts(&self) -> String {
        match (self.least, self.takes.len(), self.repeats) {
            (least, _, true) => format!("{least} or more values"),
            (0, 0, _) => "no values".to_owned(),
            (least, most, _) if least == most => format!("{least} value(s)"),
            (least, most, _) => format!("{least} to {most} values"),
        }
    }
}

impl Takes {
    pub(super) fn name(self) -> &'static str {
        match self {
            Takes::Any => "anything",
            Takes::Number => "a number",
            Takes::Text => "a text",
            Takes::Bool => "a condition",
            Takes::Time => "a time",
            Takes::Moment => "a date or a time",
            Takes::Dated => "a text, a date or a time",
            Takes::Single => "a single value",
            Takes::List => "a list",
            Takes::Numbers => "numbers",
            Takes::Ordered => "numbers, texts, dates or times",
        }
    }
}

/// Calls a function whose arguments are all computed.
pub(super) fn call(run: Run, values: Vec<Option<Value>>) -> Result {
    let truth = |bool| Ok(Some(Value::Bool(bool)));
    let holds = |value: &Option<Value>| *value == Some(Value::Bool(true));
    match run {
        Run::And => return truth(values.iter().all(holds)),
        Run::Or => return truth(values.iter().any(holds)),
        Run::Not => return truth(!values.first().is_some_and(holds)),
        Run::IsEmpty => return truth(values.first().is_none_or(Option::is_none)),
        Run::Fold(fold) => return fold.fold(lists::flat(values)?),
        Run::Concat => {
            let values: Vec<Value> = values.into_iter().flatten().collect();
            return Ok(Some(Value::Text(joined(&values, "")?)));
        }
        Run::Len | Run::Contains | Run::StartsWith | Run::EndsWith | Run::Has
            if values.first().is_some_and(Option::is_none) =>
        {
            return match run {
                Run::Len => Ok(Some(Value::Number(0.into()))),
                _ => truth(false),
            };
        }
        _ => {}
    }
    // Of what is empty comes nothing.
    let Some(values) = values.into_iter().collect::<Option<Vec<Value>>>() else {
        return Ok(None);
    };
    match run {
        Run::Abs
        | Run::Sign
        | Run::Sqrt
        | Run::Power
        | Run::Mod
        | Run::Round
        | Run::Floor
        | Run::Ceiling
        | Run::Trunc => numbers::call(run, &values),
        Run::Date
        | Run::ToDate
        | Run::Year
        | Run::Month
        | Run::Day
        | Run::Weekday
        | Run::Hour
        | Run::Minute
        | Run::DateAdd
        | Run::DateDiff => dates::call(run, &values),
        Run::First | Run::Last | Run::Join | Run::Unique | Run::Has => lists::call(run, values),
        _ => texts::call(run, &values),
    }
}

/// A whole number, as an argument that counts something.
fn whole(value: Option<&Value>) -> std::result::Result<i64, Fault> {
    let Some(Value::Number(number)) = value else {
        return Err(Fault::BadArgument);
    };
    let whole = number.is_integer().then_some(*number);
    whole
        .and_then(|number| i64::try_from(number).ok())
        .ok_or(Fault::BadArgument)
}

//! Why a computed cell has no value.

/// An error as a value. Codes are stored and on the wire: never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    DivisionByZero,
    OutOfRange,
    NotANumber,
    NotADate,
    TooLong,
    BadArgument,
    MissingColumn,
    WrongType,
    TooManyLinks,
}

impl Fault {
    pub const ALL: [Fault; 9] = [
        Fault::DivisionByZero,
        Fault::OutOfRange,
        Fault::NotANumber,
        Fault::NotADate,
        Fault::TooLong,
        Fault::BadArgument,
        Fault::MissingColumn,
        Fault::WrongType,
        Fault::TooManyLinks,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Fault::DivisionByZero => "division_by_zero",
            Fault::OutOfRange => "out_of_range",
            Fault::NotANumber => "not_a_number",
            Fault::NotADate => "not_a_date",
            Fault::TooLong => "too_long",
            Fault::BadArgument => "bad_argument",
            Fault::MissingColumn => "missing_column",
            Fault::WrongType => "wrong_type",
            Fault::TooManyLinks => "too_many_links",
        }
    }

    pub fn from_code(code: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| fault.code() == code)
    }
}

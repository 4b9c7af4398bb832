//! From tokens to a tree, by precedence. Never deeper than the limit on levels, and with no more parts
//! than the limit on those, whatever the text.

use rust_decimal::Decimal;

use super::lexer::{Token, tokens};
use super::{MAX_DEPTH, MAX_PARTS, Wrong};

/// A part of a formula, with where it begins.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub at: usize,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Number(Decimal),
    Text(String),
    Bool(bool),
    Column(String),
    Minus(Box<Part>),
    Both(&'static str, Box<Part>, Box<Part>),
    Call(String, Vec<Part>),
}

/// The operators, those that bind least first.
const LEVELS: [&[&str]; 4] = [
    &["=", "!=", "<>", "<", "<=", ">", ">="],
    &["&"],
    &["+", "-"],
    &["*", "/", "%"],
];

pub(super) fn parse(text: &str) -> Result<Part, Wrong> {
    let tokens = tokens(text)?;
    let end = text.chars().count();
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        end,
        depth: 0,
        parts: 0,
    };
    let part = parser.level(0)?;
    match parser.peek() {
        None => Ok(part),
        Some(_) => Err(parser.wrong("here the formula should end")),
    }
}

struct Parser<'t> {
    tokens: &'t [(Token, usize)],
    next: usize,
    end: usize,
    depth: usize,
    parts: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(_, at)| *at)
    }

    fn wrong(&self, message: &str) -> Wrong {
        Wrong::new("syntax", message, self.at())
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(next)) if *next == symbol);
        self.next += usize::from(found);
        found
    }

    fn part(&mut self, at: usize, what: What) -> Result<Part, Wrong> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            let message = format!("a formula has at most {MAX_PARTS} parts");
            return Err(Wrong::new("too_large", message, at));
        }
        Ok(Part { at, what })
    }

    fn deeper(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("a formula has at most {MAX_DEPTH} levels");
            return Err(Wrong::new("too_deep", message, self.at()));
        }
        Ok(())
    }

    fn level(&mut self, level: usize) -> Result<Part, Wrong> {
        let Some(symbols) = LEVELS.get(level) else {
            return self.signed();
        };
        let mut left = self.level(level + 1)?;
        loop {
            let at = self.at();
            let Some(Token::Symbol(symbol)) = self.peek() else {
                return Ok(left);
            };
            let Some(symbol) = symbols.iter().find(|own| *own == symbol) else {
                return Ok(left);
            };
            self.next += 1;
            let right = self.level(level + 1)?;
            left = self.part(at, What::Both(symbol, Box::new(left), Box::new(right)))?;
        }
    }

    fn signed(&mut self) -> Result<Part, Wrong> {
        let at = self.at();
        if !self.take("-") {
            return self.value();
        }
        self.deeper()?;
        let inner = self.signed()?;
        self.depth -= 1;
        self.part(at, What::Minus(Box::new(inner)))
    }

    fn value(&mut self) -> Result<Part, Wrong> {
        let at = self.at();
        if self.take("(") {
            self.deeper()?;
            let inner = self.level(0)?;
            self.depth -= 1;
            return match self.take(")") {
                true => Ok(inner),
                false => Err(self.wrong("a parenthesis is not closed")),
            };
        }
        let token = self.peek().cloned();
        let what = match token {
            Some(Token::Number(number)) => What::Number(number),
            Some(Token::Text(text)) => What::Text(text),
            Some(Token::Braced(key)) => What::Column(key),
            Some(Token::Word(word)) => {
                self.next += 1;
                let what = match word.to_ascii_uppercase().as_str() {
                    _ if self.take("(") => What::Call(word, self.arguments()?),
                    "TRUE" => What::Bool(true),
                    "FALSE" => What::Bool(false),
                    _ => What::Column(word),
                };
                return self.part(at, what);
            }
            Some(Token::Symbol(_)) => return Err(self.wrong("a value should stand here")),
            None => return Err(self.wrong("the formula ends too soon")),
        };
        self.next += 1;
        self.part(at, what)
    }

    fn arguments(&mut self) -> Result<Vec<Part>, Wrong> {
        self.deeper()?;
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.level(0)?);
                if self.take(")") {
                    break;
                }
                if !self.take(",") {
                    return Err(self.wrong("a comma or a closing parenthesis should stand here"));
                }
            }
        }
        self.depth -= 1;
        Ok(arguments)
    }
}

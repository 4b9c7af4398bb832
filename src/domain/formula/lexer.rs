//! A formula's text in tokens.

use rust_decimal::Decimal;

use super::Wrong;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(Decimal),
    Text(String),
    /// A bare word: a function, a column, TRUE or FALSE.
    Word(String),
    /// A word in braces: a column.
    Braced(String),
    Symbol(&'static str),
}

/// Tokens with where they begin, in characters.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Wrong> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut tokens = Vec::new();
    while let Some(first) = chars.get(at).copied() {
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let rest = chars.get(at..).unwrap_or_default();
        let (token, length) = match first {
            '0'..='9' | '.' => number(rest, at)?,
            '"' | '\'' => quoted(rest, first, at)?,
            '{' => braced(rest, at)?,
            c if c.is_ascii_alphabetic() || c == '_' => word(rest),
            _ => symbol(rest, at)?,
        };
        tokens.push((token, at));
        at += length;
    }
    Ok(tokens)
}

fn number(rest: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    let is_part = |c: &&char| c.is_ascii_digit() || **c == '.';
    let digits: String = rest.iter().take_while(is_part).collect();
    let wrong = || Wrong::new("syntax", format!("{digits} is no number"), at);
    let proper = !digits.starts_with('.') && !digits.ends_with('.');
    let number = digits.parse::<Decimal>().ok().filter(|_| proper);
    let number = number.ok_or_else(wrong)?;
    Ok((Token::Number(number), digits.len()))
}

/// A quotation mark within stands twice.
fn quoted(rest: &[char], mark: char, at: usize) -> Result<(Token, usize), Wrong> {
    let mut text = String::new();
    let mut index = 1;
    loop {
        match (rest.get(index), rest.get(index + 1)) {
            (Some(c), Some(next)) if *c == mark && *next == mark => {
                text.push(mark);
                index += 2;
            }
            (Some(c), _) if *c == mark => return Ok((Token::Text(text), index + 1)),
            (Some('\0'), _) => {
                let message = "a text can't hold U+0000";
                return Err(Wrong::new("syntax", message, at + index));
            }
            (Some(c), _) => {
                text.push(*c);
                index += 1;
            }
            (None, _) => return Err(Wrong::new("syntax", "this text does not end", at)),
        }
    }
}

fn braced(rest: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    let end = rest.iter().position(|c| *c == '}');
    let end = end.ok_or_else(|| Wrong::new("syntax", "this brace is not closed", at))?;
    let key: String = rest.get(1..end).unwrap_or_default().iter().collect();
    Ok((Token::Braced(key.trim().to_owned()), end + 1))
}

fn word(rest: &[char]) -> (Token, usize) {
    let is_part = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
    let word: String = rest.iter().take_while(is_part).collect();
    let length = word.len();
    (Token::Word(word), length)
}

fn symbol(rest: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    const SYMBOLS: [&str; 16] = [
        "<=", ">=", "!=", "<>", "<", ">", "=", "+", "-", "*", "/", "%", "&", "(", ")", ",",
    ];
    let starts = |symbol: &&&str| {
        let mut chars = symbol.chars().zip(rest);
        rest.len() >= symbol.len() && chars.all(|(a, b)| a == *b)
    };
    match SYMBOLS.iter().find(starts) {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => {
            let shown = rest.first().copied().unwrap_or_default();
            Err(Wrong::new(
                "syntax",
                format!("{shown:?} means nothing here"),
                at,
            ))
        }
    }
}

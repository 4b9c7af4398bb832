//! Address cards as rows of contacts: vCard 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350) with what vendors
//! make of them. Lines come in one after the other, cards go out; columns are named as the template
//! of contacts names them, so that they find their places by themselves. A photo is left out and
//! counted, a property without a column of its own is a column by its own name.

use std::collections::BTreeSet;

/// One card: column and text, in the order of the card.
pub type Card = Vec<(String, String)>;

/// Properties that hold no text for a table.
const LEFT_OUT: [&str; 6] = ["PHOTO", "LOGO", "SOUND", "KEY", "VERSION", "PRODID"];
/// The columns that the parts of `N`, `ADR` and `ORG` fill, in their order.
pub const NAME: [&str; 5] = [
    "LastName",
    "FirstName",
    "MiddleName",
    "NamePrefix",
    "NameSuffix",
];
pub const ADDRESS: [&str; 7] = [
    "PostBox",
    "Address2",
    "Address",
    "City",
    "StateOrProvince",
    "PostalCode",
    "Country",
];
pub const COMPANY: [&str; 2] = ["Company", "Department"];
/// Most bytes of one unfolded line that are kept: a photo may be larger and is passed over.
const MAX_LINE: usize = 256 * 1024;

/// Reads cards from the lines of a file.
#[derive(Debug, Default)]
pub struct Cards {
    /// The line being unfolded.
    pending: String,
    /// It is longer than is kept.
    cut: bool,
    card: Option<Card>,
    /// Cards inside this card (an agent's), which are passed over.
    inner: u32,
    /// What was left out of cards, by name.
    pub left_out: BTreeSet<String>,
    /// Cards that began and did not end.
    pub unfinished: u64,
}

impl Cards {
    /// Takes the next line, without its end; answers the card that it ends.
    pub fn line(&mut self, line: &str) -> Option<Card> {
        let line = line.trim_end_matches('\r');
        if let Some(rest) = line.strip_prefix([' ', '\t']) {
            self.more(rest);
            return None;
        }
        // A quoted-printable line that ends in `=` goes on without a fold (vCard 2.1).
        if self.pending.ends_with('=') && is_quoted_printable(&self.pending) {
            self.pending.pop();
            self.more(line);
            return None;
        }
        // Base64 of a vCard 2.1 runs on over unindented lines until a blank one.
        if !line.contains(':') && !line.is_empty() && is_binary(&self.pending) {
            return None;
        }
        let ended = self.property();
        self.more(line);
        ended
    }

    /// The end of the file: a card that is still open is one that never ended; it is given all the
    /// same.
    pub fn end(&mut self) -> Option<Card> {
        let ended = self.property();
        let open = self.card.take();
        self.unfinished += u64::from(open.is_some());
        ended.or(open)
    }

    fn more(&mut self, text: &str) {
        if self.pending.len() + text.len() > MAX_LINE {
            self.cut = true;
        } else {
            self.pending.push_str(text);
        }
    }

    fn property(&mut self) -> Option<Card> {
        let line = std::mem::take(&mut self.pending);
        let cut = std::mem::take(&mut self.cut);
        let (head, value) = split_head(&line)?;
        let mut parts = head.split(';');
        let name = parts.next().unwrap_or_default();
        // `item1.EMAIL`: the group says which properties belong together.
        let name = name
            .rsplit('.')
            .next()
            .unwrap_or(name)
            .trim()
            .to_uppercase();
        let parameters = Parameters::read(parts);
        match (name.as_str(), value.trim().to_uppercase().as_str()) {
            ("BEGIN", "VCARD") => {
                if self.card.is_some() {
                    // The one before never ended, or this is one inside it.
                    self.inner += 1;
                    return None;
                }
                self.card = Some(Card::new());
                return None;
            }
            ("END", "VCARD") => {
                if self.inner > 0 {
                    self.inner -= 1;
                    return None;
                }
                return self.card.take().map(finished);
            }
            _ => {}
        }
        if self.inner > 0 {
            return None;
        }
        let card = self.card.as_mut()?;
        if cut || LEFT_OUT.contains(&name.as_str()) || parameters.binary {
            if !matches!(name.as_str(), "VERSION" | "PRODID") {
                self.left_out.insert(name);
            }
            return None;
        }
        let value = parameters.decoded(value);
        for (column, text) in cells(&name, &parameters, &value) {
            put(card, column, &text);
        }
        None
    }
}

/// A card without a name of its own gets one from its parts, for a contact must have one.
fn finished(mut card: Card) -> Card {
    let get = |name: &str| {
        card.iter()
            .find(|(column, _)| column == name)
            .map(|(_, text)| text.clone())
    };
    if get("FullName").is_none() {
        let parts: Vec<String> = ["FirstName", "LastName"]
            .into_iter()
            .filter_map(get)
            .collect();
        let name = match parts.as_slice() {
            [] => get("Company").or_else(|| get("Email")),
            parts => Some(parts.join(" ")),
        };
        if let Some(name) = name {
            card.push(("FullName".to_owned(), name));
        }
    }
    card
}

/// Puts a text into the first free column of that name: `Email`, `Email 2`, and so on; a text that
/// stands there already is not repeated.
fn put(card: &mut Card, column: String, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let mut name = column.clone();
    let mut number = 1;
    while let Some((_, there)) = card.iter().find(|(taken, _)| *taken == name) {
        if there == text {
            return;
        }
        number += 1;
        name = format!("{column} {number}");
    }
    card.push((name, text.to_owned()));
}

/// The colon that ends the head stands outside quotes.
fn split_head(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (index, char) in line.char_indices() {
        match char {
            '"' => quoted = !quoted,
            ':' if !quoted => {
                return line
                    .split_at_checked(index)
                    .map(|(head, rest)| (head, rest.strip_prefix(':').unwrap_or(rest)));
            }
            _ => {}
        }
    }
    None
}

fn is_quoted_printable(line: &str) -> bool {
    split_head(line).is_some_and(|(head, _)| head.to_ascii_uppercase().contains("QUOTED-PRINTABLE"))
}

fn is_binary(line: &str) -> bool {
    split_head(line).is_some_and(|(head, _)| Parameters::read(head.split(';').skip(1)).binary)
}

#[derive(Debug, Default)]
struct Parameters {
    types: Vec<String>,
    quoted_printable: bool,
    binary: bool,
    latin: bool,
}

impl Parameters {
    fn read<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut parameters = Self::default();
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or(("TYPE", part));
            let value = value.trim().trim_matches('"').to_ascii_uppercase();
            match name.trim().to_ascii_uppercase().as_str() {
                "ENCODING" => parameters.encoding(&value),
                "CHARSET" => {
                    parameters.latin =
                        value.starts_with("ISO-8859") || value.starts_with("WINDOWS-125");
                }
                "TYPE" => {
                    for one in value.split(',') {
                        parameters.encoding(one);
                        parameters.types.push(one.trim().to_owned());
                    }
                }
                _ => {}
            }
        }
        parameters
    }

    fn encoding(&mut self, value: &str) {
        match value {
            "QUOTED-PRINTABLE" => self.quoted_printable = true,
            "B" | "BASE64" => self.binary = true,
            _ => {}
        }
    }

    fn is(&self, wanted: &str) -> bool {
        self.types.iter().any(|one| one == wanted)
    }

    fn decoded(&self, value: &str) -> String {
        if !self.quoted_printable {
            return value.to_owned();
        }
        let bytes = quoted_printable(value);
        if self.latin {
            return bytes.into_iter().map(char::from).collect();
        }
        String::from_utf8(bytes)
            .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
    }
}

/// RFC 2045, section 6.7; what is no escape stays as it stands.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = after.first_chunk::<2>().filter(|_| first == b'=');
        let byte = pair.and_then(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

/// Splits at a separator that no backslash stands before, and takes the backslashes away.
fn split(value: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        let part = match char {
            '\\' => match chars.next() {
                Some('n' | 'N') => Some('\n'),
                Some(escaped @ ('\\' | ',' | ';' | ':')) => Some(escaped),
                Some(other) => {
                    if let Some(last) = parts.last_mut() {
                        last.push('\\');
                    }
                    Some(other)
                }
                None => Some('\\'),
            },
            _ if char == separator => {
                parts.push(String::new());
                None
            }
            _ => Some(char),
        };
        if let (Some(char), Some(last)) = (part, parts.last_mut()) {
            last.push(char);
        }
    }
    parts
}

fn whole(value: &str) -> String {
    split(value, '\0').concat()
}

/// The columns that a property fills.
fn cells(name: &str, parameters: &Parameters, value: &str) -> Vec<(String, String)> {
    let one = |column: &str| vec![(column.to_owned(), whole(value))];
    let parts = |names: &[&str]| {
        names
            .iter()
            .zip(split(value, ';'))
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, text)| ((*name).to_owned(), text))
            .collect()
    };
    match name {
        "FN" => one("FullName"),
        "N" => parts(&NAME),
        "EMAIL" => one("Email"),
        "TEL" => {
            let number = whole(value);
            let number = number.strip_prefix("tel:").unwrap_or(&number);
            vec![(telephone(parameters).to_owned(), number.to_owned())]
        }
        "ORG" => parts(&COMPANY),
        "TITLE" => one("JobTitle"),
        "ADR" => {
            let kind = if parameters.is("WORK") { "Office" } else { "" };
            ADDRESS
                .iter()
                .zip(split(value, ';'))
                .map(|(name, text)| (format!("{kind}{name}"), text))
                .collect()
        }
        "BDAY" => one("Birthday"),
        "URL" => one("Website"),
        "NOTE" => one("Notes"),
        "NICKNAME" => one("NickName"),
        "CATEGORIES" => vec![("Tags".to_owned(), split(value, ',').join(", "))],
        "UID" => one("CardUid"),
        "REV" => one("CardRevision"),
        other => one(other.strip_prefix("X-").unwrap_or(other)),
    }
}

fn telephone(parameters: &Parameters) -> &'static str {
    match () {
        () if parameters.is("FAX") => "Fax",
        () if parameters.is("CELL") => "MobilePhone",
        () if parameters.is("WORK") => "OfficePhone",
        () if parameters.is("HOME") => "HomePhone",
        () if parameters.is("PAGER") => "Pager",
        () => "Phone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Card>, Cards) {
        let mut reader = Cards::default();
        let mut cards: Vec<Card> = text
            .split('\n')
            .filter_map(|line| reader.line(line))
            .collect();
        cards.extend(reader.end());
        (cards, reader)
    }

    fn get<'a>(card: &'a Card, column: &str) -> &'a str {
        let found = card.iter().find(|(name, _)| name == column);
        found.map_or("", |(_, text)| text.as_str())
    }

    #[test]
    fn folds_escapes_and_groups_are_undone() {
        let (cards, _) = read(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;John;R.\\, J.;Mr.;\r\nFN:Mr. John\r\n  Doe\r\nitem1.EMAIL;type=INTERNET;type=pref:j@\r\n x.org\r\nEMAIL:k@x.org\r\nEMAIL:k@x.org\r\nTEL;TYPE=\"cell,voice\":+1 415\r\nADR;TYPE=work:;;1 Main\\nFl. 2;Reno;NV;89501;USA\r\nNOTE:a\\;b\\nc\r\nCATEGORIES:A,B\\,C\r\nEND:VCARD\r\n",
        );
        let card = &cards[0];
        for (column, text) in [
            ("LastName", "Doe"),
            ("MiddleName", "R., J."),
            ("FullName", "Mr. John Doe"),
            ("Email", "j@x.org"),
            ("Email 2", "k@x.org"),
            ("Email 3", ""),
            ("MobilePhone", "+1 415"),
            ("OfficeAddress", "1 Main\nFl. 2"),
            ("OfficePostalCode", "89501"),
            ("Notes", "a;b\nc"),
            ("Tags", "A, B,C"),
        ] {
            assert_eq!(get(card, column), text, "{column}");
        }
    }

    #[test]
    fn a_vcard_of_another_age_is_read_too() {
        let (cards, reader) = read(
            "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=91=C3=\n=A9;A\nTEL;CELL;PREF:1\nPHOTO;ENCODING=BASE64;JPEG:AAAA\nBBBB\nCCCC\n\nEND:VCARD\nBEGIN:VCARD\nORG:Shop\nNOTE:cut off",
        );
        assert_eq!(get(&cards[0], "LastName"), "Ñé");
        assert_eq!(get(&cards[0], "FullName"), "A Ñé");
        assert_eq!(get(&cards[0], "MobilePhone"), "1");
        assert_eq!(get(&cards[1], "Notes"), "cut off");
        assert_eq!((cards.len(), reader.unfinished), (2, 1));
        assert_eq!(reader.left_out.into_iter().collect::<Vec<_>>(), ["PHOTO"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([A-Z;:=\\\\\n\t, \"]|é|BEGIN:VCARD\n|END:VCARD\n){0,60}") {
            read(&text);
        }
    }
}

//! A file as the rules see it: the paths that it names (written out in full), its texts, its
//! attributes and its macros, each with its line. Comments are nothing, and the inside of a macro is
//! read like any other code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A thing that stands in a file.
#[derive(Debug)]
pub enum Found {
    /// A path or a lone name: `crate::store::Db`, `tokio::spawn`, `HttpResponse`. What begins with
    /// `self`, `super` or our own package's name is written from the crate's root.
    Path(String),
    /// A literal as it is written, with its quotes.
    Text(String),
    /// The name of an attribute.
    Attribute(String),
    /// The name of a macro that is called.
    Macro(String),
}

/// A file that was read.
pub struct Source {
    /// Its path from the clone's root.
    pub file: String,
    pub text: String,
    /// Its module, such as `crate::domain::columns`; in other packages by their name.
    pub module: String,
    /// What stands in it, each with its line, from 1.
    pub found: Vec<(usize, Found)>,
}

impl Source {
    /// Reads a file's text. Panics when it is no Rust.
    pub fn read(file: &str, text: &str) -> Source {
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let module = module_of(file);
        let mut found = Vec::new();
        read_tokens(&tokens.into_iter().collect::<Vec<_>>(), &module, &mut found);
        Source {
            file: file.to_owned(),
            text: text.to_owned(),
            module,
            found,
        }
    }
}

/// Whether a path is `prefix` or lies below it.
pub fn starts_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn module_of(file: &str) -> String {
    let (package, path) = file.split_once("src/").unwrap_or(("", file));
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let root = match package.trim_end_matches('/') {
        "" => "crate",
        other => other,
    };
    match path {
        "lib" if root != "crate" => root.to_owned(),
        path => format!("{root}::{}", path.replace('/', "::")),
    }
}

fn read_tokens(tokens: &[TokenTree], module: &str, found: &mut Vec<(usize, Found)>) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += match token {
            TokenTree::Ident(word) if word == "mod" => read_module(&tokens[at..], module, found),
            TokenTree::Ident(_) => read_path(&tokens[at..], "", module, found),
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                read_attribute(&tokens[at..], module, found)
            }
            TokenTree::Literal(literal) => {
                found.push((line(token), Found::Text(literal.to_string())));
                1
            }
            TokenTree::Group(group) => {
                read_tokens(
                    &group.stream().into_iter().collect::<Vec<_>>(),
                    module,
                    found,
                );
                1
            }
            TokenTree::Punct(_) => 1,
        };
    }
}

/// `mod name { … }`: inside it `super` is here.
fn read_module(tokens: &[TokenTree], module: &str, found: &mut Vec<(usize, Found)>) -> usize {
    match tokens {
        [_, TokenTree::Ident(name), TokenTree::Group(body), ..]
            if body.delimiter() == Delimiter::Brace =>
        {
            let inside = format!("{module}::{name}");
            read_tokens(
                &body.stream().into_iter().collect::<Vec<_>>(),
                &inside,
                found,
            );
            3
        }
        _ => 1,
    }
}

/// `#[name …]` or `#![name …]`; documentation is no text.
fn read_attribute(tokens: &[TokenTree], module: &str, found: &mut Vec<(usize, Found)>) -> usize {
    let bang =
        usize::from(matches!(tokens.get(1), Some(TokenTree::Punct(mark)) if mark.as_char() == '!'));
    let Some(TokenTree::Group(group)) = tokens.get(1 + bang) else {
        return 1;
    };
    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
    if group.delimiter() == Delimiter::Bracket
        && let Some(TokenTree::Ident(name)) = inside.first()
    {
        found.push((line(&tokens[0]), Found::Attribute(name.to_string())));
        if name != "doc" {
            read_tokens(&inside, module, found);
        }
    }
    2 + bang
}

/// A path from its first name on, after `prefix`; the branches of a `use` are paths of their own.
fn read_path(
    tokens: &[TokenTree],
    prefix: &str,
    module: &str,
    found: &mut Vec<(usize, Found)>,
) -> usize {
    let mut path = prefix.to_owned();
    let mut at = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        if !path.is_empty() {
            path.push_str("::");
        }
        path.push_str(&word.to_string());
        at += 1;
        if !is_separator(tokens.get(at), tokens.get(at + 1)) {
            break;
        }
        at += 2;
        if let Some(TokenTree::Group(branches)) = tokens.get(at)
            && branches.delimiter() == Delimiter::Brace
        {
            read_branches(
                &branches.stream().into_iter().collect::<Vec<_>>(),
                &path,
                module,
                found,
            );
            return at + 1;
        }
    }
    let here = line(&tokens[0]);
    if matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == '!')
        && matches!(
            tokens.get(at + 1),
            Some(TokenTree::Group(_) | TokenTree::Ident(_))
        )
    {
        let name = path.rsplit("::").next().unwrap_or_default();
        found.push((here, Found::Macro(name.to_owned())));
    }
    found.push((here, Found::Path(from_the_root(&path, module))));
    at.max(1)
}

fn read_branches(
    tokens: &[TokenTree],
    prefix: &str,
    module: &str,
    found: &mut Vec<(usize, Found)>,
) {
    let mut at = 0;
    while at < tokens.len() {
        at += match &tokens[at] {
            // `as` renames; what follows it is no path of the branch.
            TokenTree::Ident(word) if word == "as" => 2,
            TokenTree::Ident(_) => read_path(&tokens[at..], prefix, module, found),
            TokenTree::Punct(mark) if mark.as_char() == '*' => {
                found.push((
                    line(&tokens[at]),
                    Found::Path(from_the_root(prefix, module)),
                ));
                1
            }
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                read_branches(&inside, prefix, module, found);
                1
            }
            _ => 1,
        };
    }
}

fn is_separator(first: Option<&TokenTree>, second: Option<&TokenTree>) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(first) && colon(second)
}

fn from_the_root(path: &str, module: &str) -> String {
    let mut here: Vec<&str> = module.split("::").collect();
    let mut parts = path.split("::").peekable();
    match parts.peek() {
        Some(&"crate") => {
            here.truncate(1);
            parts.next();
        }
        Some(&"estatebase") => {
            here = vec!["crate"];
            parts.next();
        }
        Some(&"self") => {
            parts.next();
        }
        Some(&"super") => {}
        _ => return path.to_owned(),
    }
    while parts.next_if_eq(&"super").is_some() {
        here.pop();
    }
    here.extend(parts.filter(|part| *part != "self"));
    here.join("::")
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

#[test]
fn paths_are_written_from_the_root() {
    let read = |text: &str| {
        let source = Source::read("src/a/b.rs", text);
        let paths = source
            .found
            .into_iter()
            .filter_map(|(_, found)| match found {
                Found::Path(path) if path.contains("::") => Some(path),
                _ => None,
            });
        paths.collect::<Vec<_>>()
    };
    assert_eq!(
        read("use crate::{x::Y, z::{self, W as V}};"),
        ["crate::x::Y", "crate::z", "crate::z::W"]
    );
    assert_eq!(read("use super::c::D;"), ["crate::a::c::D"]);
    assert_eq!(read("use self::c::*;"), ["crate::a::b::c"]);
    assert_eq!(read("mod t { use super::super::E; }"), ["crate::a::E"]);
    assert_eq!(read("fn f() { g!(tokio::spawn(x)) }"), ["tokio::spawn"]);
    assert_eq!(
        read("use estatebase::{auth, commands};"),
        ["crate::auth", "crate::commands"]
    );
    assert_eq!(read("const A: u8 = 1; // b::c\n"), Vec::<String>::new());
}

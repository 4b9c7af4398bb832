//! A rule of the house, and how it is tried: on what breaks it, on what keeps it, and on every file of
//! ours. It knows no rule in particular.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use super::source::{Found, Source};

/// A place where a rule is broken.
#[derive(Debug)]
pub struct Breach {
    pub file: String,
    pub line: usize,
    /// What stands there, such as a path.
    pub what: String,
}

/// A rule of the house.
pub struct Rule {
    pub says: &'static str,
    pub broken_at: fn(&Source) -> Vec<Breach>,
    /// Where it may be broken: the file or folder, what stands there, and why.
    pub exceptions: &'static [(&'static str, &'static str, &'static str)],
}

/// Where the clone is.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every file of ours, read once.
pub fn house() -> &'static [Source] {
    static HOUSE: LazyLock<Vec<Source>> = LazyLock::new(read_house);
    &HOUSE
}

fn read_house() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in ["src", "entity/src", "migration/src"] {
        collect(&Path::new(ROOT).join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() > 100, "the house was not found under {ROOT}");
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(Path::new(ROOT).join(&file)).unwrap();
            Source::read(&file, &text)
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(
                path.strip_prefix(ROOT)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
}

/// Whether a file is one of these places, or lies in one.
pub fn is_in(source: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| {
        source
            .file
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    })
}

impl Source {
    pub fn breach(&self, line: usize, what: impl Into<String>) -> Breach {
        Breach {
            file: self.file.clone(),
            line,
            what: what.into(),
        }
    }

    pub fn breaches_of_paths(&self, forbidden: impl Fn(&str) -> bool) -> Vec<Breach> {
        let found = self.paths().filter(|(_, path)| forbidden(path));
        found.map(|(line, path)| self.breach(line, path)).collect()
    }

    pub fn paths(&self) -> impl Iterator<Item = (usize, &str)> {
        self.found.iter().filter_map(|(line, found)| match found {
            Found::Path(path) => Some((*line, path.as_str())),
            _ => None,
        })
    }

    pub fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.found.iter().filter_map(|(line, found)| match found {
            Found::Text(text) => Some((*line, text.as_str())),
            _ => None,
        })
    }

    pub fn attributes(&self) -> impl Iterator<Item = (usize, &str)> {
        self.found.iter().filter_map(|(line, found)| match found {
            Found::Attribute(name) => Some((*line, name.as_str())),
            _ => None,
        })
    }

    pub fn macros(&self) -> impl Iterator<Item = (usize, &str)> {
        self.found.iter().filter_map(|(line, found)| match found {
            Found::Macro(name) => Some((*line, name.as_str())),
            _ => None,
        })
    }
}

impl Rule {
    /// A planted violation is found, at its line, and no exception is made for it.
    pub fn catches(&self, file: &str, text: &str, line: usize) {
        let breaches = (self.broken_at)(&Source::read(file, text));
        assert!(
            breaches
                .iter()
                .any(|breach| breach.line == line && self.exception_for(breach).is_none()),
            "\"{}\" can't fail: {file} with {text:?} gave {breaches:?}",
            self.says
        );
    }

    /// What keeps the rule is not taken for a violation.
    pub fn lets_pass(&self, file: &str, text: &str) {
        let breaches = (self.broken_at)(&Source::read(file, text));
        assert!(
            breaches.is_empty(),
            "\"{}\" fails {file} with {text:?}: {breaches:?}",
            self.says
        );
    }

    /// The house keeps the rule, and needs each of its exceptions.
    pub fn holds(&self) {
        let mut needed = BTreeSet::new();
        let mut broken = Vec::new();
        for breach in house().iter().flat_map(self.broken_at) {
            match self.exception_for(&breach) {
                Some(exception) => {
                    needed.insert(exception);
                }
                None => broken.push(format!("{}:{}: {}", breach.file, breach.line, breach.what)),
            }
        }
        assert!(
            broken.is_empty(),
            "Rule: {}.\nBroken at:\n{}",
            self.says,
            broken.join("\n")
        );
        for (index, (file, what, why)) in self.exceptions.iter().enumerate() {
            assert!(
                needed.contains(&index),
                "Rule: {}.\nThe exception for {file} ({what}: {why}) is no longer needed; take it away",
                self.says
            );
        }
    }

    fn exception_for(&self, breach: &Breach) -> Option<usize> {
        self.exceptions.iter().position(|(file, what, _)| {
            let there = breach.file.strip_prefix(file);
            there.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
                && breach.what.contains(what)
        })
    }
}

//! Which column of the list each column of a file goes to: as the person said, else by key, else by
//! name, without regard to case, spaces and `_`. A column of the file is never dropped in silence.

use std::collections::{BTreeMap, HashMap};

use super::proposal::UNMAPPED;
use super::{Refusal, pointer_step};
use crate::domain::columns::{Column, ColumnSet};

/// What the person said: name in the file → key in the list, or None to leave it out.
pub type Mapping = BTreeMap<String, Option<String>>;

/// Where a column of the file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Left out, as the person said.
    Skip,
    /// The column of that key.
    Existing(String),
    /// A column that is to be made.
    New,
}

/// One target for each name. Refuses, all at once: `unknown_source` and `unknown_column` (of what
/// the person said), `read_only`, `duplicate_target`, and `unmapped_column` unless new columns may
/// be made.
pub fn map(
    names: &[String],
    said: &Mapping,
    columns: &ColumnSet,
    create_columns: bool,
) -> Result<Vec<Target>, Vec<Refusal>> {
    let mut refusals = unknown_sources(names, said);
    let index = Index::new(columns);
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let target = match said.iter().find(|(source, _)| same(source, name)) {
            Some((_, None)) => Ok(Target::Skip),
            Some((source, Some(key))) => named(source, key, columns),
            None => match index.find(name) {
                Some(key) => Ok(Target::Existing(key.to_owned())),
                None if create_columns => Ok(Target::New),
                None => Err(nowhere(name)),
            },
        };
        match target {
            Ok(target) => targets.push(target),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if refusals.is_empty() {
        refusals = duplicates(names, &targets);
    }
    if refusals.is_empty() {
        Ok(targets)
    } else {
        Err(refusals)
    }
}

/// Of the names those that go nowhere, unless the person says where to.
pub fn unmapped<'a>(
    names: &'a [String],
    said: &'a Mapping,
    columns: &'a ColumnSet,
) -> impl Iterator<Item = &'a String> {
    let index = Index::new(columns);
    let known = move |name: &String| {
        said.keys().any(|source| same(source, name)) || index.find(name).is_some()
    };
    names.iter().filter(move |name| !known(name))
}

fn unknown_sources(names: &[String], said: &Mapping) -> Vec<Refusal> {
    said.keys()
        .filter(|source| !names.iter().any(|name| same(source, name)))
        .map(|source| {
            Refusal::at(
                path(source),
                "unknown_source",
                format!("The file has no column \"{source}\""),
            )
        })
        .collect()
}

/// What is asked of a column of the file that the list lacks.
pub fn nowhere(name: &str) -> Refusal {
    let message = format!(
        "\"{name}\" is no column of the list; map it to one, map it to null to leave it out, or allow new columns with `create_columns`"
    );
    Refusal::at(path(name), UNMAPPED, message)
}

fn named(source: &str, key: &str, columns: &ColumnSet) -> Result<Target, Refusal> {
    match columns.by_key(key) {
        None => Err(Refusal::at(
            path(source),
            "unknown_column",
            format!("The list has no column `{key}`"),
        )),
        Some(column) if !column.is_read_from_text() => Err(Refusal::at(
            path(source),
            "read_only",
            format!("The values of `{key}` can't be written"),
        )),
        Some(column) => Ok(Target::Existing(column.key.clone())),
    }
}

fn duplicates(names: &[String], targets: &[Target]) -> Vec<Refusal> {
    let mut first = HashMap::new();
    let mut refusals = Vec::new();
    for (name, target) in names.iter().zip(targets) {
        let Target::Existing(key) = target else {
            continue;
        };
        if let Some(other) = first.insert(key, name) {
            refusals.push(Refusal::at(
                path(name),
                "duplicate_target",
                format!("\"{other}\" and \"{name}\" both go to `{key}`"),
            ));
        }
    }
    refusals
}

/// The list's writable columns by folded key and folded name.
struct Index<'a> {
    keys: HashMap<String, &'a str>,
    names: HashMap<String, &'a str>,
}

impl<'a> Index<'a> {
    fn new(columns: &'a ColumnSet) -> Self {
        let writable = || columns.iter().filter(|column| column.is_read_from_text());
        Self {
            keys: first_of(writable(), |column| &column.key),
            names: first_of(writable(), |column| &column.name),
        }
    }

    fn find(&self, name: &str) -> Option<&'a str> {
        let folded = folded(name);
        self.keys
            .get(&folded)
            .or_else(|| self.names.get(&folded))
            .copied()
    }
}

fn first_of<'a>(
    columns: impl Iterator<Item = &'a Column>,
    text: impl Fn(&'a Column) -> &'a str,
) -> HashMap<String, &'a str> {
    let mut index = HashMap::new();
    for column in columns {
        index
            .entry(folded(text(column)))
            .or_insert(column.key.as_str());
    }
    index
}

/// A name without what it is not told apart by: case, spaces and `_`.
pub fn folded(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_whitespace() && *char != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

fn same(source: &str, name: &str) -> bool {
    source.trim().to_lowercase() == name.to_lowercase()
}

fn path(source: &str) -> String {
    format!("/mapping/{}", pointer_step(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cell::ColumnId;
    use crate::domain::columns::{ColumnType, Options};

    fn columns() -> ColumnSet {
        let columns = [
            ("ListPrice", "Price", ColumnType::Number),
            ("City", "Town", ColumnType::Text),
            ("Made", "Created at", ColumnType::CreatedAt),
        ];
        let columns = (0..).zip(columns).map(|(number, (key, name, ty))| Column {
            id: ColumnId::nth(number).unwrap(),
            key: key.to_owned(),
            name: name.to_owned(),
            ty,
            options: Options::default(),
            required: false,
            unique: false,
            default: None,
            position: 0,
            deleted: false,
            replaced: false,
        });
        ColumnSet::new(columns.collect())
    }

    fn mapped(
        names: &[&str],
        said: &[(&str, Option<&str>)],
        create: bool,
    ) -> Result<Vec<Target>, Vec<(String, &'static str)>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let said = said
            .iter()
            .map(|(source, key)| ((*source).to_owned(), key.map(str::to_owned)))
            .collect();
        map(&names, &said, &columns(), create).map_err(|refusals| {
            refusals
                .into_iter()
                .map(|refusal| (refusal.path.into_owned(), refusal.code))
                .collect()
        })
    }

    fn existing(key: &str) -> Target {
        Target::Existing(key.to_owned())
    }

    #[test]
    fn keys_and_names_match_without_regard_to_case_and_spaces() {
        assert_eq!(
            mapped(&["list price", "TOWN"], &[], false),
            Ok(vec![existing("ListPrice"), existing("City")])
        );
        assert_eq!(
            mapped(&["list_price", "Beds"], &[], true),
            Ok(vec![existing("ListPrice"), Target::New])
        );
        assert_eq!(
            mapped(&["Created At"], &[], true),
            Ok(vec![Target::New]),
            "read-only columns take nothing"
        );
    }

    #[test]
    fn what_the_person_says_goes_first() {
        assert_eq!(
            mapped(
                &["City", "x"],
                &[("City", None), ("X", Some("City"))],
                false
            ),
            Ok(vec![Target::Skip, existing("City")])
        );
    }

    #[test]
    fn nothing_is_dropped_in_silence() {
        assert_eq!(
            mapped(&["Beds/Baths"], &[], false),
            Err(vec![("/mapping/Beds~1Baths".to_owned(), "unmapped_column")])
        );
        assert_eq!(
            mapped(
                &["a", "b"],
                &[("a", Some("Nowhere")), ("b", Some("Made")), ("c", None)],
                true
            ),
            Err(vec![
                ("/mapping/c".to_owned(), "unknown_source"),
                ("/mapping/a".to_owned(), "unknown_column"),
                ("/mapping/b".to_owned(), "read_only"),
            ])
        );
        assert_eq!(
            mapped(&["city", "Town"], &[], true),
            Err(vec![("/mapping/Town".to_owned(), "duplicate_target")])
        );
    }
}

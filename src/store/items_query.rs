//! Items by filter, search and sort: one statement a page. Raw SQL, for its shape follows the question:
//! the text is made of constants alone and every value is bound. It must mean what
//! [`Selection::matches`] and [`Sort::compare`] say, item by item; a differential test holds it to it.
//!
//! # How a cell reads in SQL
//! Each column has an expression that is NULL exactly when the cell is empty, of a type that
//! compares like the cell: texts under `estatebase.fold` in the "C" collation, numbers as numeric,
//! dates and times as their stored text (a time without its `Z` orders like the time), choices by
//! their place among the column's choices (several as an array), users as an array of their ids'
//! texts, lists as an array of their members' folded texts, locations as an array of latitude and
//! longitude. A stored value of another kind than its
//! column is NULL, never an error.

use std::collections::HashMap;

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, Postgres, Type};

use super::items::{self, COLUMNS, Shelf};
use super::{StoreError, Tx};
use crate::domain::cell::{Cell, ColumnId, list_key};
use crate::domain::columns::{Column, ColumnSet, ColumnType, LinkOptions};
use crate::domain::filter::{Comparison, Condition, DEGREE, Filter, HALF_DEGREE, Test};
use crate::domain::fold::folded;
use crate::domain::item::Item;
use crate::domain::schema::List;
use crate::domain::search::{Search, Selection, searched};
use crate::domain::sort::{Direction, Position, Sort};
use crate::ids::{ItemId, WorkspaceId};

/// A page that is asked for.
pub struct PageOf<'a> {
    pub selection: &'a Selection,
    pub sort: &'a Sort,
    /// It begins behind this place;
    pub after: Option<&'a Position>,
    /// where so many rows were passed over; with neither, at the beginning.
    pub at: Option<i64>,
    /// Only items that nothing has happened to since this position of the log.
    pub until: Option<i64>,
    pub limit: i64,
}

/// A page of the living items, in the sort's order.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    asked: &PageOf<'_>,
) -> Result<Vec<Item>, StoreError> {
    let by_key = asked.selection.is_all() && asked.sort.is_by_id();
    if by_key && asked.at.is_none() && asked.until.is_none() {
        let after = asked.after.map(|position| position.item);
        return items::page(tx, workspace, list, Shelf::Living, after, asked.limit).await;
    }
    let mut statement = Statement::new(&list.columns);
    let sql = statement.page(workspace, list, asked)?;
    // Not kept: another question has another text, and a plan for these very values is better.
    let rows = sqlx::query_with(AssertSqlSafe(sql), statement.arguments)
        .persistent(false)
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| items::item(list, row)).collect()
}

/// Begins to read all living items that are asked for, in the sort's order, in the transaction's state;
/// [`next`] goes on.
pub async fn open(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    selection: &Selection,
    sort: &Sort,
) -> Result<(), StoreError> {
    let mut statement = Statement::new(&list.columns);
    let from = statement.living(workspace, list, selection, None)?;
    let keys = statement.sort_keys(sort)?;
    let named: String = keys.iter().flat_map(SortKey::named).collect();
    let order: String = keys.iter().flat_map(SortKey::ordered).collect();
    let sql = format!(
        "DECLARE items_read NO SCROLL CURSOR FOR \
         SELECT {COLUMNS} FROM (SELECT i.*{named} {from}) keyed ORDER BY {order}id"
    );
    sqlx::query_with(AssertSqlSafe(sql), statement.arguments)
        .persistent(false)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The next of the items that were [`open`]ed, a thousand at most; none after the last.
pub async fn next(tx: &mut Tx, list: &List) -> Result<Vec<Item>, StoreError> {
    let rows = sqlx::query("FETCH 1000 FROM items_read")
        .persistent(false)
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| items::item(list, row)).collect()
}

/// How many living items are asked for; with `until`, of those that nothing has happened to since.
pub async fn count(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    selection: &Selection,
    until: Option<i64>,
) -> Result<i64, StoreError> {
    if selection.is_all() && until.is_none() {
        return items::count(tx, workspace, list.id, Shelf::Living).await;
    }
    let mut statement = Statement::new(&list.columns);
    let from = statement.living(workspace, list, selection, until)?;
    let sql = format!("SELECT count(*) {from}");
    Ok(
        sqlx::query_scalar_with(AssertSqlSafe(sql), statement.arguments)
            .persistent(false)
            .fetch_one(tx.conn())
            .await?,
    )
}

/// About how many living items are asked for: exactly in a list of at most
/// [`COUNTED`](items::COUNTED) items; in a larger one as large a share of it as of its oldest and
/// newest items.
pub async fn estimate(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    selection: &Selection,
) -> Result<i64, StoreError> {
    let all = items::estimate(tx, workspace, list.id, Shelf::Living).await?;
    if selection.is_all() {
        return Ok(all);
    }
    if all <= items::COUNTED {
        return count(tx, workspace, list, selection, None).await;
    }
    let mut statement = Statement::new(&list.columns);
    let from = statement.living(workspace, list, &Selection::default(), None)?;
    let asked = statement.selection(selection)?;
    let end = statement.bind(items::COUNTED / 2)?;
    let sql = format!(
        "SELECT count(*) FROM ((SELECT i.* {from} ORDER BY id LIMIT {end}) UNION ALL \
         (SELECT i.* {from} ORDER BY id DESC LIMIT {end})) i WHERE {asked}"
    );
    let passed: i64 = sqlx::query_scalar_with(AssertSqlSafe(sql), statement.arguments)
        .persistent(false)
        .fetch_one(tx.conn())
        .await?;
    Ok(all.saturating_mul(passed) / items::COUNTED)
}

/// The values of a statement while its text is written.
pub(super) struct Statement<'c> {
    pub(super) columns: &'c ColumnSet,
    pub(super) arguments: PgArguments,
    /// The placeholders of columns' ids and of their choices, each bound once.
    ids: HashMap<ColumnId, String>,
    choices: HashMap<ColumnId, String>,
}

impl<'c> Statement<'c> {
    pub(super) fn new(columns: &'c ColumnSet) -> Self {
        Statement {
            columns,
            arguments: PgArguments::default(),
            ids: HashMap::new(),
            choices: HashMap::new(),
        }
    }

    /// Binds a value: its placeholder.
    pub(super) fn bind<'v, T>(&mut self, value: T) -> Result<String, StoreError>
    where
        T: Encode<'v, Postgres> + Type<Postgres>,
    {
        self.arguments
            .add(value)
            .map_err(|error| StoreError::Fault(anyhow::anyhow!(error)))?;
        Ok(format!("${}", self.arguments.len()))
    }

    /// The innermost level filters and computes what is sorted by, the middle one takes the page,
    /// and only its rows are turned into text by the outermost.
    fn page(
        &mut self,
        workspace: WorkspaceId,
        list: &List,
        asked: &PageOf<'_>,
    ) -> Result<String, StoreError> {
        let from = self.living(workspace, list, asked.selection, asked.until)?;
        let keys = self.sort_keys(asked.sort)?;
        let named: String = keys.iter().flat_map(SortKey::named).collect();
        let order: String = keys.iter().flat_map(SortKey::ordered).collect();
        let behind = match asked.after {
            Some(after) => self.behind(&keys, after)?,
            None => "true".to_owned(),
        };
        let mut limit = self.bind(asked.limit)?;
        if let Some(at) = asked.at {
            limit = format!("{limit} OFFSET {}", self.bind(at)?);
        }
        Ok(format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM (SELECT i.*{named} {from}) keyed \
             WHERE {behind} ORDER BY {order}id LIMIT {limit}) page ORDER BY {order}id"
        ))
    }

    pub(super) fn living(
        &mut self,
        workspace: WorkspaceId,
        list: &List,
        selection: &Selection,
        until: Option<i64>,
    ) -> Result<String, StoreError> {
        let workspace = self.bind(workspace.uuid())?;
        let id = self.bind(list.id.uuid())?;
        let until = match until {
            Some(until) => format!(" AND i.seq <= {}", self.bind(until)?),
            None => String::new(),
        };
        let asked = self.selection(selection)?;
        Ok(format!(
            "FROM estatebase.items i WHERE i.workspace_id = {workspace} AND i.list_id = {id} \
             AND i.deleted_at IS NULL{until} AND {asked}"
        ))
    }

    /// The filter stands first: it costs less than the search.
    fn selection(&mut self, selection: &Selection) -> Result<String, StoreError> {
        let mut asked = Vec::new();
        if let Some(filter) = &selection.filter {
            asked.push(self.filter(filter)?);
        }
        if let Some(search) = &selection.search {
            asked.push(self.search(search)?);
        }
        Ok(match asked.is_empty() {
            true => "true".to_owned(),
            false => format!("({})", asked.join(" AND ")),
        })
    }

    /// All texts of an item, one a line, are folded once; a word holds no white space and so never
    /// goes from one to the next.
    fn search(&mut self, search: &Search) -> Result<String, StoreError> {
        let texts: Result<Vec<_>, _> = searched(self.columns)
            .map(|column| self.searched(column))
            .collect();
        let (texts, words) = (texts?.join(", "), self.bind(search.words().to_vec())?);
        Ok(format!(
            r#"(SELECT bool_and(strpos(t.folded COLLATE "C", w) > 0) FROM
                (SELECT estatebase.fold(array_to_string(ARRAY[{texts}]::text[], E'\n')) AS folded OFFSET 0) t,
                unnest({words}) w)"#
        ))
    }

    /// The text of a cell in which words are looked for.
    fn searched(&mut self, column: &Column) -> Result<String, StoreError> {
        let value = self.value(column)?;
        if column.ty == ColumnType::List {
            return Ok(format!("array_to_string({value}, E'\\n')"));
        }
        if !column.ty.is_select() {
            return Ok(value);
        }
        let choices = column.options.choices.iter();
        let names: Vec<String> = choices.map(|choice| choice.name.clone()).collect();
        let names = self.bind(names)?;
        Ok(match column.ty {
            ColumnType::SingleSelect => format!("({names})[{value}]"),
            _ => format!("(SELECT string_agg(({names})[at], E'\\n') FROM unnest({value}) at)"),
        })
    }

    /// What items are sorted by, column by column.
    fn sort_keys(&mut self, sort: &Sort) -> Result<Vec<SortKey<'c>>, StoreError> {
        let mut keys = Vec::new();
        for (at, (column, direction)) in sort.columns(self.columns).enumerate() {
            let Some(column) = column else { continue };
            let value = self.value(column)?;
            let parts = match column.ty {
                ColumnType::Address => text_keys(&value),
                ty if ty.is_text() => text_keys(&format!("left({value}, {})", sort.text_length())),
                _ => vec![value],
            };
            keys.push(SortKey {
                at,
                column,
                direction,
                parts,
            });
        }
        Ok(keys)
    }

    /// The rows that come after a position: beyond it in the first column, or equal there and behind
    /// it in the rest.
    fn behind(&mut self, keys: &[SortKey<'c>], after: &Position) -> Result<String, StoreError> {
        let item = self.bind(after.item.uuid())?;
        let mut behind = format!("id > {item}");
        for key in keys.iter().rev() {
            let first = format!("key{}_0", key.at);
            behind = match after.cells.get(key.at) {
                Some(Some(cell)) => {
                    let names: Vec<_> = key.names().collect();
                    let (names, values) = (names.join(", "), self.sorted_at(key.column, cell)?);
                    let beyond = match key.direction {
                        Direction::Ascending => ">",
                        Direction::Descending => "<",
                    };
                    format!(
                        "(({names}) {beyond} ({values}) OR {first} IS NULL \
                         OR ({names}) = ({values}) AND {behind})"
                    )
                }
                _ => format!("({first} IS NULL AND {behind})"),
            };
        }
        Ok(behind)
    }

    /// What the parts of a column's key are compared with.
    fn sorted_at(&mut self, column: &Column, cell: &Cell) -> Result<String, StoreError> {
        let mut values = vec![self.operand(column, cell)?];
        match cell {
            Cell::Text(text) => values.push(self.bind(text.clone())?),
            Cell::Address(address) => values.push(self.bind(address.sort_key())?),
            _ => {}
        }
        Ok(values.join(", "))
    }

    fn filter(&mut self, filter: &Filter) -> Result<String, StoreError> {
        Ok(match filter {
            Filter::All(members) if members.is_empty() => "true".to_owned(),
            Filter::Any(members) if members.is_empty() => "false".to_owned(),
            Filter::All(members) => format!("({})", self.filters(members, " AND ")?),
            Filter::Any(members) => format!("({})", self.filters(members, " OR ")?),
            Filter::Not(inner) => format!("NOT {}", self.filter(inner)?),
            Filter::Is(condition) => self.condition(condition)?,
        })
    }

    fn filters(&mut self, members: &[Filter], between: &str) -> Result<String, StoreError> {
        let members: Result<Vec<_>, _> = members.iter().map(|member| self.filter(member)).collect();
        Ok(members?.join(between))
    }

    /// Never NULL: an empty cell fails its test.
    fn condition(&mut self, condition: &Condition) -> Result<String, StoreError> {
        let Some(column) = self.columns.by_id(&condition.column) else {
            return Ok("false".to_owned());
        };
        let holds = self.test(column, &condition.test)?;
        let not = if condition.negated { "NOT " } else { "" };
        Ok(format!("({not}coalesce({holds}, false))"))
    }

    fn test(&mut self, column: &Column, test: &Test) -> Result<String, StoreError> {
        if let Some(link) = &column.options.link {
            return self.links(column, link, test);
        }
        let value = self.value(column)?;
        let cell = match column.ty {
            ty if ty.is_text() || ty == ColumnType::Address => folded_key(&value),
            _ => value.clone(),
        };
        Ok(match test {
            Test::Empty => format!("{value} IS NULL"),
            Test::OneOf(others) if others.is_empty() => "false".to_owned(),
            Test::OneOf(others) => {
                let others: Result<Vec<_>, _> = others
                    .iter()
                    .map(|other| self.operand(column, other))
                    .collect();
                format!("{cell} IN ({})", others?.join(", "))
            }
            Test::Compare(how, other) => {
                format!("{cell} {} {}", operator(*how), self.operand(column, other)?)
            }
            Test::Contains(needle) if column.ty == ColumnType::List => {
                let needle = self.bind(needle.clone())?;
                format!("EXISTS (SELECT FROM unnest({cell}) m WHERE strpos(m, {needle}) > 0)")
            }
            Test::Contains(needle) => format!("strpos({cell}, {}) > 0", self.bind(needle.clone())?),
            Test::StartsWith(needle) => {
                format!("starts_with({cell}, {})", self.bind(needle.clone())?)
            }
            Test::Same(others) => {
                let others = self.operand(column, others)?;
                format!("({cell} @> {others} AND {cell} <@ {others})")
            }
            Test::HasAny(others) => format!("{cell} && {}", self.operand(column, others)?),
            Test::HasAll(others) => format!("{cell} @> {}", self.operand(column, others)?),
            Test::LinkedTo(_) => "false".to_owned(),
            Test::WithinBox(area) => {
                let (south, north) = (self.bind(area.south)?, self.bind(area.north)?);
                let (west, east) = (self.bind(area.west)?, self.bind(area.east)?);
                let both = if area.west <= area.east { "AND" } else { "OR" };
                format!(
                    "{cell}[1] BETWEEN {south} AND {north} \
                     AND ({west} <= {cell}[2] {both} {cell}[2] <= {east})"
                )
            }
            // The operations of `Circle::haversine`, in their order.
            Test::WithinKm(circle) => {
                let (lat, lon) = (self.bind(circle.lat)?, self.bind(circle.lon)?);
                let (degree, half) = (self.bind(DEGREE)?, self.bind(HALF_DEGREE)?);
                let north = format!("sin(({cell}[1] - {lat}) * {half})");
                let east = format!("sin(({cell}[2] - {lon}) * {half})");
                format!(
                    "{north} * {north} + cos({cell}[1] * {degree}) * cos({lat} * {degree}) \
                     * ({east} * {east}) <= {}",
                    self.bind(circle.reach)?
                )
            }
        })
    }

    /// What a cell of links is asked: its rows stand apart.
    fn links(
        &mut self,
        column: &Column,
        link: &LinkOptions,
        test: &Test,
    ) -> Result<String, StoreError> {
        let id = |column: ColumnId| column.to_string();
        let (list, made_in, this, other) = match (link.backward, link.inverse) {
            (true, Some(inverse)) => {
                let list = self.bind(link.list.uuid())?;
                (list, self.bind(id(inverse))?, "to_item", "from_item")
            }
            _ => {
                let made_in = self.bind(id(column.id))?;
                ("i.list_id".to_owned(), made_in, "from_item", "to_item")
            }
        };
        let rows = format!(
            "SELECT FROM estatebase.links k WHERE k.workspace_id = i.workspace_id AND k.live \
             AND k.from_list = {list} AND k.from_column = {made_in} AND k.{this} = i.id"
        );
        Ok(match test {
            Test::Empty => format!("NOT EXISTS ({rows})"),
            Test::LinkedTo(Cell::Links(links)) => {
                let ids: Vec<_> = links.ids().map(ItemId::uuid).collect();
                format!("EXISTS ({rows} AND k.{other} = ANY({}))", self.bind(ids)?)
            }
            _ => "false".to_owned(),
        })
    }

    /// A cell to compare with, bound in the form that the column's expression has.
    fn operand(&mut self, column: &Column, cell: &Cell) -> Result<String, StoreError> {
        match cell {
            Cell::Text(text) => self.bind(folded(text).into_owned()),
            Cell::Address(address) => self.bind(folded(&address.sort_key()).into_owned()),
            Cell::Number(number) => Ok(format!("{}::numeric", self.bind(number.to_string())?)),
            Cell::Bool(bool) => self.bind(*bool),
            Cell::DateTime(time) if !column.ty.is_stored() => self.bind(*time),
            Cell::Date(_) | Cell::DateTime(_) => self.bind(stored_moment(cell)),
            Cell::Choice(id) => self.bind(place(column, *id)),
            Cell::Choices(ids) => {
                let places: Vec<i32> = ids.iter().map(|id| place(column, *id)).collect();
                self.bind(places)
            }
            Cell::Location(place) => self.bind(vec![place.lat(), place.lon()]),
            Cell::Users(users) => {
                let users: Vec<String> = users.iter().map(ToString::to_string).collect();
                self.bind(users)
            }
            Cell::Links(links) => self.bind(links.ids().map(ItemId::uuid).collect::<Vec<_>>()),
            Cell::List(cells) => self.bind(list_key(cells)),
            // Never asked for: a fault counts as nothing.
            Cell::Fault(_) => Ok("NULL".to_owned()),
        }
    }

    /// The column's expression (see the head of this file), a text not yet folded.
    pub(super) fn value(&mut self, column: &Column) -> Result<String, StoreError> {
        Ok(match column.ty {
            ColumnType::CreatedAt => "i.created_at".to_owned(),
            ColumnType::UpdatedAt => "i.updated_at".to_owned(),
            ColumnType::CreatedBy => r#"(ARRAY[i.created_by::text] COLLATE "C")"#.to_owned(),
            ColumnType::UpdatedBy => r#"(ARRAY[i.updated_by::text] COLLATE "C")"#.to_owned(),
            _ => {
                let json = self.json(column)?;
                self.stored_value(column, &json)?
            }
        })
    }

    fn stored_value(&mut self, column: &Column, json: &str) -> Result<String, StoreError> {
        let text = format!(
            "CASE jsonb_typeof({json}) WHEN 'string' THEN nullif({json} #>> '{{}}', '') END"
        );
        Ok(match column.ty {
            ty if ty.is_text() => format!("({text})"),
            ty if ty.is_number() => {
                format!("(CASE jsonb_typeof({json}) WHEN 'number' THEN {json}::numeric END)")
            }
            ColumnType::Checkbox => {
                format!("(CASE jsonb_typeof({json}) WHEN 'boolean' THEN {json}::boolean END)")
            }
            ColumnType::DateTime => format!(r#"(rtrim({text}, 'Z') COLLATE "C")"#),
            ColumnType::SingleSelect => {
                format!("array_position({}, {text})", self.choices(column)?)
            }
            ColumnType::MultiSelect => {
                let choices = self.choices(column)?;
                format!(
                    "(SELECT array_agg(array_position({choices}, e.id) ORDER BY e.nr) FROM {} \
                     WHERE array_position({choices}, e.id) IS NOT NULL)",
                    elements(json)
                )
            }
            ColumnType::User => {
                format!(
                    r#"((SELECT array_agg(e.id ORDER BY e.nr) FROM {}) COLLATE "C")"#,
                    elements(json)
                )
            }
            ColumnType::List => {
                format!(
                    r#"((SELECT array_agg(estatebase.fold(e.id) ORDER BY e.nr) FROM {}) COLLATE "C")"#,
                    elements(json)
                )
            }
            ColumnType::Address => address(json),
            ColumnType::Location => format!(
                "(CASE WHEN jsonb_typeof({json}->'lat') = 'number' AND jsonb_typeof({json}->'lon') = 'number' \
                 THEN ARRAY[({json}->>'lat')::float8, ({json}->>'lon')::float8] END)"
            ),
            // A date; all other types stand above.
            _ => format!(r#"(({text}) COLLATE "C")"#),
        })
    }

    /// The stored JSON of a cell.
    fn json(&mut self, column: &Column) -> Result<String, StoreError> {
        let id = match self.ids.get(&column.id) {
            Some(id) => id.clone(),
            None => {
                let id = self.bind(column.id.to_string())?;
                self.ids.insert(column.id, id.clone());
                id
            }
        };
        Ok(format!(r#"(i."values"->{id})"#))
    }

    /// The ids of a column's choices in the order in which people put them.
    pub(super) fn choices(&mut self, column: &Column) -> Result<String, StoreError> {
        if let Some(choices) = self.choices.get(&column.id) {
            return Ok(choices.clone());
        }
        let ids: Vec<String> = column
            .options
            .choices
            .iter()
            .map(|choice| choice.id.to_string())
            .collect();
        let choices = self.bind(ids)?;
        self.choices.insert(column.id, choices.clone());
        Ok(choices)
    }
}

/// One of the columns by which is sorted.
struct SortKey<'c> {
    /// Its place in the sort.
    at: usize,
    column: &'c Column,
    direction: Direction,
    /// The expressions, compared one after the other: NULL, all of them, when the cell is empty.
    parts: Vec<String>,
}

impl SortKey<'_> {
    fn names(&self) -> impl Iterator<Item = String> {
        (0..self.parts.len()).map(|part| format!("key{}_{part}", self.at))
    }

    fn named(&self) -> impl Iterator<Item = String> {
        let parts = self.parts.iter().zip(self.names());
        parts.map(|(part, name)| format!(", {part} AS {name}"))
    }

    fn ordered(&self) -> impl Iterator<Item = String> {
        let direction = match self.direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        self.names()
            .map(move |name| format!("{name} {direction} NULLS LAST, "))
    }
}

fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
        Comparison::AtLeast => ">=",
    }
}

/// Folded first, code points where that says equal.
fn text_keys(text: &str) -> Vec<String> {
    vec![folded_key(text), format!(r#"({text} COLLATE "C")"#)]
}

pub(super) fn folded_key(text: &str) -> String {
    format!(r#"(estatebase.fold({text}) COLLATE "C")"#)
}

/// The members of an array of texts, numbered; none when it is no array.
fn elements(json: &str) -> String {
    format!(
        "jsonb_array_elements_text(CASE jsonb_typeof({json}) WHEN 'array' THEN {json} END) \
         WITH ORDINALITY AS e (id, nr)"
    )
}

/// [`Address::sort_key`](crate::domain::cell::Address::sort_key) in SQL.
fn address(json: &str) -> String {
    let lines = ["line1", "line2", "city", "region", "postal_code", "country"]
        .map(|line| format!("coalesce({json}->>'{line}', '')"))
        .join(", ");
    format!(
        r"(CASE jsonb_typeof({json}) WHEN 'object' THEN nullif(concat_ws(E'\x01', {lines}), repeat(E'\x01', 5)) END)"
    )
}

/// A date as it is stored; a time as it is stored, without its `Z`.
fn stored_moment(cell: &Cell) -> String {
    let mut stored = String::new();
    cell.write_stored(&mut stored);
    stored.trim_matches('"').trim_end_matches('Z').to_owned()
}

/// Where a choice stands, counted from 1 as SQL does.
fn place(column: &Column, id: crate::domain::cell::ChoiceId) -> i32 {
    let place = column
        .options
        .choices
        .position(id)
        .and_then(|at| i32::try_from(at).ok());
    place.map_or(i32::MAX, |at| at.saturating_add(1))
}

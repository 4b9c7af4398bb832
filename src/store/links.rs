//! Links between items: cells, links by both ends, and what a change of the schema does to all links of
//! a relation. Raw SQL, for each question is asked for many cells at once. Links are written by `commit`.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::link_cache::{Look, ShownCells, ShownLinks, Title};
use super::{StoreError, Tx, items};
use crate::domain::cell::{Cell, ColumnId, Linked, Links};
use crate::domain::columns::SHOWN_LINKS;
use crate::domain::item::{Item, Place};
use crate::domain::links::MAX_LINKS;
use crate::domain::links::{CellAsk, CellAt, End, Pair, Relation, Row, Side};
use crate::domain::schema::{List, Schema};
use crate::ids::{ItemId, ListId, WorkspaceId};

/// A cell as it was read: how many links it has, and the first ones.
#[derive(Debug, Default)]
pub struct CellRead {
    pub count: usize,
    pub first: Vec<LinkRead>,
}

/// A link of a cell.
#[derive(Debug)]
pub struct LinkRead {
    pub other: ItemId,
    pub row: Row,
    /// Of the linked item, where it was asked for.
    pub title: Option<String>,
}

/// Reads cells, in the order of the questions: two statements however many there are.
pub async fn cells(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asks: &[CellAsk],
) -> Result<Vec<CellRead>, StoreError> {
    let mut read: Vec<CellRead> = asks.iter().map(|_| CellRead::default()).collect();
    for side in [Side::From, Side::To] {
        let of_side: Vec<(usize, &CellAsk)> = asks
            .iter()
            .enumerate()
            .filter(|(_, ask)| ask.at.side == side)
            .collect();
        if of_side.is_empty() {
            continue;
        }
        let title = |ask: &CellAsk| ask.end.title.filter(|_| ask.titled);
        let rows = sqlx::query(CELLS.of(side))
            .bind(workspace.uuid())
            .bind(each(&of_side, |(_, ask)| ask.at.relation.list.uuid()))
            .bind(each(&of_side, |(_, ask)| {
                ask.at.relation.column.to_string()
            }))
            .bind(each(&of_side, |(_, ask)| ask.at.item.uuid()))
            .bind(each(&of_side, |(_, ask)| {
                ask.most.and_then(|most| i64::try_from(most).ok())
            }))
            .bind(each(&of_side, |(_, ask)| ask.end.other_list.uuid()))
            .bind(each(&of_side, |(_, ask)| {
                title(ask).map(|column| column.to_string())
            }))
            .fetch_all(tx.conn())
            .await?;
        for row in &rows {
            let nr: i64 = row.try_get("nr")?;
            let asked = usize::try_from(nr - 1).ok().and_then(|nr| of_side.get(nr));
            let cell = asked.and_then(|(index, _)| read.get_mut(*index));
            let cell = cell.ok_or_else(|| StoreError::corrupt("a cell's number"))?;
            let total: i64 = row.try_get("total")?;
            cell.count = usize::try_from(total).unwrap_or_default();
            cell.first.push(LinkRead {
                other: ItemId(row.try_get("other")?),
                row: link_row(row)?,
                title: row.try_get("title")?,
            });
        }
    }
    Ok(read)
}

/// A statement for either side, each written out: their indexes are of one kind each.
struct Sides {
    from: &'static str,
    to: &'static str,
}

impl Sides {
    fn of(&self, side: Side) -> &'static str {
        match side {
            Side::From => self.from,
            Side::To => self.to,
        }
    }
}

// The order within the count says along which index to go: on a table without statistics the planner
// takes the other end's, and reads a whole relation for a cell.
macro_rules! cells_sql {
    ($this:literal, $other:literal, $position:literal) => {
        concat!(
            "SELECT a.nr, n.total, l.other, l.from_position, l.to_position, l.live, t.\"values\"->>a.title AS title
             FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::int8[], $6::uuid[], $7::text[])
                 WITH ORDINALITY AS a (list, made_in, item, most, other_list, title, nr)
             CROSS JOIN LATERAL (SELECT count(*) AS total FROM (SELECT FROM estatebase.links k
                 WHERE k.workspace_id = $1 AND k.from_list = a.list AND k.from_column = a.made_in
                     AND k.", $this, " = a.item AND k.live
                 ORDER BY k.", $position, ", k.", $other, " OFFSET 0) k) n
             CROSS JOIN LATERAL (SELECT k.", $other, " AS other, k.from_position, k.to_position, k.live
                 FROM estatebase.links k
                 WHERE k.workspace_id = $1 AND k.from_list = a.list AND k.from_column = a.made_in
                     AND k.", $this, " = a.item AND k.live
                 ORDER BY k.", $position, ", k.", $other, " LIMIT a.most) l
             LEFT JOIN LATERAL (SELECT t.\"values\" FROM estatebase.items t
                 WHERE a.title IS NOT NULL AND t.workspace_id = $1 AND t.list_id = a.other_list
                     AND t.id = l.other OFFSET 0) t ON true
             ORDER BY a.nr, l.", $position, ", l.other"
        )
    };
}

const CELLS: Sides = Sides {
    from: cells_sql!("from_item", "to_item", "from_position"),
    to: cells_sql!("to_item", "from_item", "to_position"),
};

macro_rules! resting_sql {
    ($this:literal, $other:literal) => {
        concat!(
            "SELECT a.nr, k.", $other, " AS other, k.from_position, k.to_position, k.live
             FROM unnest($2::uuid[], $3::text[], $4::uuid[]) WITH ORDINALITY AS a (list, made_in, item, nr)
             CROSS JOIN LATERAL (SELECT * FROM estatebase.links k
                 WHERE k.workspace_id = $1 AND k.from_list = a.list AND k.from_column = a.made_in
                     AND k.", $this, " = a.item AND NOT k.live OFFSET 0) k"
        )
    };
}

const RESTING: Sides = Sides {
    from: resting_sql!("from_item", "to_item"),
    to: resting_sql!("to_item", "from_item"),
};

/// The links of these cells that are not live.
pub async fn resting(
    tx: &mut Tx,
    workspace: WorkspaceId,
    cells: &[CellAt],
) -> Result<Vec<(CellAt, ItemId, Row)>, StoreError> {
    let mut read = Vec::new();
    for side in [Side::From, Side::To] {
        let of_side: Vec<CellAt> = cells.iter().filter(|at| at.side == side).copied().collect();
        if of_side.is_empty() {
            continue;
        }
        let rows = sqlx::query(RESTING.of(side))
            .bind(workspace.uuid())
            .bind(each(&of_side, |at| at.relation.list.uuid()))
            .bind(each(&of_side, |at| at.relation.column.to_string()))
            .bind(each(&of_side, |at| at.item.uuid()))
            .fetch_all(tx.conn())
            .await?;
        for row in &rows {
            let nr: i64 = row.try_get("nr")?;
            let at = usize::try_from(nr - 1).ok().and_then(|nr| of_side.get(nr));
            let at = at.ok_or_else(|| StoreError::corrupt("a cell's number"))?;
            read.push((*at, ItemId(row.try_get("other")?), link_row(row)?));
        }
    }
    Ok(read)
}

/// The rows of these links, as far as there are any.
pub async fn pairs(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pairs: &[Pair],
) -> Result<HashMap<Pair, Row>, StoreError> {
    if pairs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "SELECT a.nr, k.from_position, k.to_position, k.live
         FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[])
             WITH ORDINALITY AS a (list, made_in, from_item, to_item, nr)
         CROSS JOIN LATERAL (SELECT * FROM estatebase.links k
             WHERE k.workspace_id = $1 AND k.from_list = a.list AND k.from_column = a.made_in
                 AND k.from_item = a.from_item AND k.to_item = a.to_item OFFSET 0) k",
    )
    .bind(workspace.uuid())
    .bind(each(pairs, |pair| pair.relation.list.uuid()))
    .bind(each(pairs, |pair| pair.relation.column.to_string()))
    .bind(each(pairs, |pair| pair.from.uuid()))
    .bind(each(pairs, |pair| pair.to.uuid()))
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            let nr: i64 = row.try_get("nr")?;
            let pair = usize::try_from(nr - 1).ok().and_then(|nr| pairs.get(nr));
            let pair = pair.ok_or_else(|| StoreError::corrupt("a link's number"))?;
            Ok((*pair, link_row(row)?))
        })
        .collect()
}

macro_rules! first_sql {
    ($this:literal, $other:literal, $position:literal) => {
        concat!(
            "SELECT a.nr, f.others, CASE WHEN cardinality(f.others) <= $5 THEN cardinality(f.others)::int8
                 ELSE (SELECT count(*) FROM (SELECT FROM estatebase.links k
                     WHERE k.workspace_id = $1 AND k.from_list = a.list AND k.from_column = a.made_in
                         AND k.", $this, " = a.item AND k.live
                     ORDER BY k.", $position, ", k.", $other, " OFFSET 0) k) END AS total
             FROM unnest($2::uuid[], $3::text[], $4::uuid[])
                 WITH ORDINALITY AS a (list, made_in, item, nr)
             CROSS JOIN LATERAL (SELECT array_agg(k.other) AS others FROM (SELECT k.", $other, " AS other
                 FROM estatebase.links k
                 WHERE k.workspace_id = $1 AND k.from_list = a.list AND k.from_column = a.made_in
                     AND k.", $this, " = a.item AND k.live
                 ORDER BY k.", $position, ", k.", $other, " LIMIT $5 + 1) k) f
             WHERE f.others IS NOT NULL"
        )
    };
}

const FIRST: Sides = Sides {
    from: first_sql!("from_item", "to_item", "from_position"),
    to: first_sql!("to_item", "from_item", "to_position"),
};

/// Cells in the order of the questions, a row each: a statement for either side.
async fn first(
    tx: &mut Tx,
    workspace: WorkspaceId,
    cells: &[CellAt],
    most: usize,
) -> Result<Vec<ShownLinks>, StoreError> {
    let mut read: Vec<ShownLinks> = cells.iter().map(|_| ShownLinks::default()).collect();
    for side in [Side::From, Side::To] {
        let of_side = cells.iter().enumerate();
        let of_side: Vec<(usize, &CellAt)> = of_side.filter(|(_, at)| at.side == side).collect();
        if of_side.is_empty() {
            continue;
        }
        let rows = sqlx::query(FIRST.of(side))
            .bind(workspace.uuid())
            .bind(each(&of_side, |(_, at)| at.relation.list.uuid()))
            .bind(each(&of_side, |(_, at)| at.relation.column.to_string()))
            .bind(each(&of_side, |(_, at)| at.item.uuid()))
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(tx.conn())
            .await?;
        for row in &rows {
            let nr: i64 = row.try_get("nr")?;
            let asked = usize::try_from(nr - 1).ok().and_then(|nr| of_side.get(nr));
            let cell = asked.and_then(|(index, _)| read.get_mut(*index));
            let cell = cell.ok_or_else(|| StoreError::corrupt("a cell's number"))?;
            let total: i64 = row.try_get("total")?;
            let others: Vec<Uuid> = row.try_get("others")?;
            cell.count = usize::try_from(total).unwrap_or_default();
            cell.first = others.into_iter().take(most).map(ItemId).collect();
        }
    }
    Ok(read)
}

/// Lays whole cells of links over items that were read, however many there are in each; else like
/// [`show`].
pub async fn show_all(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    shown: &List,
    look: &Look,
    items: &mut [Item],
) -> Result<(), StoreError> {
    lay(tx, workspace, schema, shown, Some(look), items, MAX_LINKS).await
}

/// Lays the cells of links over items that were read: the first links of each, with their titles where a
/// `look` is at hand. At most three statements, however many items, columns and links; none for what is kept.
pub async fn show(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    shown: &List,
    look: Option<&Look>,
    items: &mut [Item],
) -> Result<(), StoreError> {
    lay(tx, workspace, schema, shown, look, items, SHOWN_LINKS).await
}

async fn lay(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    shown: &List,
    look: Option<&Look>,
    items: &mut [Item],
    most: usize,
) -> Result<(), StoreError> {
    let ends = shown.columns.iter();
    let ends: Vec<(ColumnId, &End)> = ends
        .filter_map(|column| Some((column.id, schema.end_of(shown.id, column.id)?)))
        .collect();
    if ends.is_empty() || items.is_empty() {
        return Ok(());
    }
    // What is kept are cells as pages show them.
    let kept = look.filter(|_| most == SHOWN_LINKS);
    let cells = shown_cells(tx, workspace, shown.id, &ends, kept, items, most).await?;
    let places = || {
        let of_item = |cells: &ShownCells| -> Vec<(Place, Option<ColumnId>)> {
            let linked = ends.iter().zip(cells.iter());
            linked
                .flat_map(|((_, end), (_, cell))| {
                    let place = |id: &ItemId| ((end.other_list, *id), end.title);
                    cell.first.iter().map(place)
                })
                .collect()
        };
        cells.iter().flat_map(of_item)
    };
    let mut titles = match look {
        Some(look) => titles_of(tx, workspace, look, places().collect()).await?,
        None => Vec::new(),
    }
    .into_iter();
    for (item, cells) in items.iter_mut().zip(cells) {
        for (column, cell) in cells.iter().filter(|(_, cell)| cell.count > 0) {
            let linked = |id: &ItemId| Linked {
                id: *id,
                title: titles.next().flatten(),
                item: None,
            };
            let first = cell.first.iter().map(linked).collect();
            let count = cell.count;
            let links = Cell::Links(Links { first, count });
            item.values.insert(*column, links);
        }
    }
    Ok(())
}

/// The cells of each item: those that are not kept are read.
async fn shown_cells(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    ends: &[(ColumnId, &End)],
    look: Option<&Look>,
    items: &[Item],
    most: usize,
) -> Result<Vec<ShownCells>, StoreError> {
    let columns: Vec<ColumnId> = ends.iter().map(|(column, _)| *column).collect();
    let kept = match look {
        Some(look) => look.cells(list, items, &columns),
        None => vec![None; items.len()],
    };
    let missing = items.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
    let asked: Vec<CellAt> = missing
        .flat_map(|(item, _)| ends.iter().map(|(_, end)| end.cell(item.id)))
        .collect();
    let mut read = match asked.is_empty() {
        true => Vec::new(),
        false => first(tx, workspace, &asked, most).await?,
    }
    .into_iter();
    let whole = items.iter().zip(kept).map(|(item, kept)| {
        kept.unwrap_or_else(|| {
            let cells: ShownCells = columns.iter().copied().zip(read.by_ref()).collect();
            if let Some(look) = look {
                look.learn_cells((list, item.id), item.seq, &cells);
            }
            cells
        })
    });
    Ok(whole.collect())
}

/// The titles at these places, in their order, each by the column that says it: those that are not kept by
/// one statement.
async fn titles_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    look: &Look,
    places: Vec<(Place, Option<ColumnId>)>,
) -> Result<Vec<Title>, StoreError> {
    let kept = look.titles(places.iter().map(|(place, _)| *place));
    let missing = places.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
    let asked: HashMap<Place, ColumnId> = missing
        .filter_map(|((place, title), _)| Some((*place, (*title)?)))
        .collect();
    let read = match asked.is_empty() {
        true => HashMap::new(),
        false => read_titles(tx, workspace, asked.into_iter().collect()).await?,
    };
    look.learn_titles(&read);
    let title = |((place, _), kept): (&(Place, _), Option<Title>)| {
        kept.unwrap_or_else(|| read.get(place).cloned().flatten())
    };
    Ok(places.iter().zip(kept).map(title).collect())
}

async fn read_titles(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: Vec<(Place, ColumnId)>,
) -> Result<HashMap<Place, Title>, StoreError> {
    let rows: Vec<(i64, Option<String>)> = sqlx::query_as(
        r#"SELECT a.nr, t.title FROM unnest($2::uuid[], $3::uuid[], $4::text[])
             WITH ORDINALITY AS a (list, item, title, nr)
         CROSS JOIN LATERAL (SELECT t."values"->>a.title AS title FROM estatebase.items t
             WHERE t.workspace_id = $1 AND t.list_id = a.list AND t.id = a.item OFFSET 0) t"#,
    )
    .bind(workspace.uuid())
    .bind(each(&asked, |((list, _), _)| list.uuid()))
    .bind(each(&asked, |((_, item), _)| item.uuid()))
    .bind(each(&asked, |(_, title)| title.to_string()))
    .fetch_all(tx.conn())
    .await?;
    let mut read: HashMap<Place, Title> = HashMap::with_capacity(rows.len());
    for (nr, title) in rows {
        let asked = usize::try_from(nr - 1).ok().and_then(|nr| asked.get(nr));
        let (place, _) = asked.ok_or_else(|| StoreError::corrupt("a title's number"))?;
        read.insert(*place, title.map(Arc::from));
    }
    Ok(read)
}

/// Puts the linked items themselves into cells that are shown: one statement, one level. Their own cells
/// of links are left out.
pub async fn expand(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    list: &List,
    columns: &[ColumnId],
    shown: &mut [Item],
) -> Result<(), StoreError> {
    let mut places: Vec<Place> = Vec::new();
    let ends: Vec<(ColumnId, ListId)> = columns
        .iter()
        .filter_map(|column| Some((*column, schema.end_of(list.id, *column)?.other_list)))
        .collect();
    for item in shown.iter() {
        for (column, other) in &ends {
            if let Some(Cell::Links(links)) = item.values.get(column) {
                places.extend(links.ids().map(|id| (*other, id)));
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    let found = items::find_across(tx, workspace, schema, &places).await?;
    let texts: HashMap<Place, String> = found
        .iter()
        .filter_map(|(place, item)| Some((*place, item.to_wire(schema.live(place.0)?))))
        .collect();
    for item in shown {
        for (column, other) in &ends {
            if let Some(Cell::Links(links)) = item.values.get_mut(column) {
                for link in &mut links.first {
                    link.item = texts.get(&(*other, link.id)).cloned();
                }
            }
        }
    }
    Ok(())
}

/// A link on a page, with its place in the cell.
#[derive(Debug)]
pub struct PageLink {
    pub position: i64,
    pub linked: Linked,
}

macro_rules! page_sql {
    ($this:literal, $other:literal, $position:literal) => {
        concat!(
            "SELECT k.", $other, " AS other, k.", $position, " AS position, t.\"values\"->>$7 AS title
             FROM estatebase.links k
             LEFT JOIN estatebase.items t ON t.workspace_id = $1 AND t.list_id = $6 AND t.id = k.", $other, "
             WHERE k.workspace_id = $1 AND k.from_list = $2 AND k.from_column = $3 AND k.", $this, " = $4
                 AND k.live AND (k.", $position, ", k.", $other, ") > ($8, $9)
             ORDER BY k.", $position, ", k.", $other, " LIMIT $5"
        )
    };
}

const PAGE: Sides = Sides {
    from: page_sql!("from_item", "to_item", "from_position"),
    to: page_sql!("to_item", "from_item", "to_position"),
};

/// A page of a cell, from behind `after`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    end: &End,
    item: ItemId,
    after: Option<(i64, ItemId)>,
    limit: i64,
) -> Result<Vec<PageLink>, StoreError> {
    let (position, other) = after.unwrap_or((i64::MIN, ItemId(Uuid::nil())));
    let rows = sqlx::query(PAGE.of(end.side))
        .bind(workspace.uuid())
        .bind(end.relation.list.uuid())
        .bind(end.relation.column.to_string())
        .bind(item.uuid())
        .bind(limit)
        .bind(end.other_list.uuid())
        .bind(
            end.title
                .map(|column| column.to_string())
                .unwrap_or_default(),
        )
        .bind(position)
        .bind(other.uuid())
        .fetch_all(tx.conn())
        .await?;
    rows.iter()
        .map(|row| {
            Ok(PageLink {
                position: row.try_get("position")?,
                linked: Linked {
                    id: ItemId(row.try_get("other")?),
                    title: row.try_get::<Option<String>, _>("title")?.map(Arc::from),
                    item: None,
                },
            })
        })
        .collect()
}

/// How many of a relation's items may hold several, from now on. A [`StoreError::Conflict`] by
/// `links_from_single` or `links_to_single` says that some do that may not.
pub async fn set_single(
    tx: &mut Tx,
    workspace: WorkspaceId,
    relation: Relation,
    from_single: bool,
    to_single: bool,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE estatebase.links SET from_single = $4, to_single = $5
         WHERE workspace_id = $1 AND from_list = $2 AND from_column = $3
             AND (from_single, to_single) <> ($4, $5)",
    )
    .bind(workspace.uuid())
    .bind(relation.list.uuid())
    .bind(relation.column.to_string())
    .bind(from_single)
    .bind(to_single)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A relation that rested, for a list or a column of it was in the trash, is seen again: what happened to
/// its items meanwhile is made up for.
pub async fn awake(
    tx: &mut Tx,
    workspace: WorkspaceId,
    relation: Relation,
) -> Result<(), StoreError> {
    const ENDS_LIVE: &str =
        "(SELECT f.deleted_at IS NULL AND t.deleted_at IS NULL FROM estatebase.items f, estatebase.items t
          WHERE (f.workspace_id, f.list_id, f.id) = (k.workspace_id, k.from_list, k.from_item)
              AND (t.workspace_id, t.list_id, t.id) = (k.workspace_id, k.to_list, k.to_item))";
    const OF_IT: &str = "k.workspace_id = $1 AND k.from_list = $2 AND k.from_column = $3";
    let rest = format!(
        "UPDATE estatebase.links k SET live = false WHERE {OF_IT} AND k.live AND NOT {ENDS_LIVE}"
    );
    // Of several that would take one place the first has it.
    let free = |this: &str, position: &str| {
        format!(
            "(NOT k.{this}_single OR NOT EXISTS (SELECT FROM estatebase.links o WHERE o.workspace_id = $1
                 AND o.from_list = $2 AND o.from_column = $3 AND o.{this}_item = k.{this}_item
                 AND (o.from_item, o.to_item) <> (k.from_item, k.to_item)
                 AND (o.live OR o.{position} < k.{position})))"
        )
    };
    let wake = format!(
        "UPDATE estatebase.links k SET live = true WHERE {OF_IT} AND NOT k.live AND {ENDS_LIVE}
             AND {} AND {}",
        free("from", "from_position"),
        free("to", "to_position"),
    );
    for sql in [rest, wake] {
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(workspace.uuid())
            .bind(relation.list.uuid())
            .bind(relation.column.to_string())
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

fn link_row(row: &PgRow) -> Result<Row, StoreError> {
    Ok(Row {
        from_position: row.try_get("from_position")?,
        to_position: row.try_get("to_position")?,
        live: row.try_get("live")?,
    })
}

fn each<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

//! `POST …/duplicates`: which items of a list are probably one. Finds, and changes nothing: `…/merge` does.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::spawn_blocking;

use super::extract::{Access, Body, Caller, state};
use super::items::at_list;
use super::openapi::ItemOut;
use super::problem::json_at;
use super::settled::{is_settled, settled};
use crate::domain::cell::Cell;
use crate::domain::columns::Column;
use crate::domain::duplicates::{
    Group, Likeness, MAX_COLUMNS, MAX_RULES, Rule, Search, is_comparable, usual_rules,
};
use crate::domain::item::Item;
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::error::{AppError, FieldError};
use crate::ids::ItemId;
use crate::store::duplicates::RawCells;
use crate::store::{self, Db, Purpose, Tx, links};

/// A search holds a processor and the words of a list: they take turns.
static TURN: Semaphore = Semaphore::const_new(1);
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// Pages that are read ahead of the search.
const AHEAD: usize = 2;
/// Items of a group that are shown: as many as one merge takes.
const SHOWN_ITEMS: usize = 100;
/// Items that an answer shows in all, so that it stays readable.
const MAX_SHOWN: usize = 2_000;
const USUAL_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// What makes two items one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DuplicatesIn {
    /// Any of these, at most 10. None: the same e-mail address, or the same phone number and title.
    #[serde(default)]
    rule: Vec<RuleIn>,
    /// Groups that are shown, at most 200; 50 where it is not said.
    limit: Option<usize>,
}

/// All these columns agree, and none is empty.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleIn {
    /// Keys of at most 5 columns: of texts, e-mail addresses, phone numbers, addresses, numbers, dates, single
    /// choices.
    columns: Vec<String>,
    /// `same`: without regard to case, accents, punctuation, the order of words, titles such as Dr., and the
    /// abbreviations of street names. `similar`: texts and addresses may also differ by a slip of the hand, an
    /// initial, or a part that one leaves out; all else is the same. Of lists of at most 250 000 items.
    #[serde(default, rename = "match")]
    likeness: LikenessIn,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum LikenessIn {
    #[default]
    Same,
    Similar,
}

/// The groups, the surest first.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct DuplicatesOut {
    data: Vec<GroupOut>,
    /// How many groups there are.
    count: usize,
    /// Always null: whoever merges what is shown asks again.
    next_cursor: Option<String>,
}

#[derive(serde::Serialize, utoipa::ToSchema)]
struct GroupOut {
    /// At least 0.85, at most 1: what binds them is the same. Of several items that of the weakest bond.
    score: f64,
    /// The rules that bind them, by their places in the request.
    rules: Vec<usize>,
    /// How many items there are in it.
    count: usize,
    /// The first of them by id, at most 100, and of all groups 2 000.
    #[schema(value_type = Vec<ItemOut>)]
    items: Vec<serde_json::Value>,
}

/// `POST …/duplicates`
pub async fn search(
    request: HttpRequest,
    caller: Caller,
    body: Body<DuplicatesIn>,
) -> Result<HttpResponse, AppError> {
    let (access, list) = at_list(&request, &caller, Action::Read).await?;
    let asked = body.value;
    let limit = asked.limit.unwrap_or(USUAL_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        let message = format!("1 to {MAX_LIMIT}");
        return Err(AppError::field("/limit", "out_of_range", message));
    }
    let rules = match asked.rule.is_empty() {
        true => usual_rules(&list),
        false => rules(&asked.rule, &list)?,
    };
    if rules.is_empty() {
        let message = "the list has no e-mail or phone column: name the columns that tell";
        return Err(AppError::field("/rule", "required", message));
    }
    let turn = turn().await?;
    let db = &state(&request)?.db;
    let mut groups = find(db, &access, &list, Search::new(rules), turn).await?;
    let count = groups.len();
    let mut shown = 0;
    groups.truncate(limit);
    groups.retain(|group| {
        shown += group.items.len().min(SHOWN_ITEMS);
        shown <= MAX_SHOWN
    });
    settled(async || answer_once(&request, &caller, &groups, count).await).await
}

async fn turn() -> Result<SemaphorePermit<'static>, AppError> {
    let turn = tokio::time::timeout(TURN_WITHIN, TURN.acquire()).await;
    let turn = turn.ok().and_then(Result::ok);
    turn.ok_or_else(|| {
        AppError::unavailable("Other searches for duplicates are under way; try again")
    })
}

fn rules(sent: &[RuleIn], list: &List) -> Result<Vec<Rule>, AppError> {
    let mut errors = Vec::new();
    let mut note = |path: String, code: &'static str, message: String| {
        errors.push(FieldError {
            path,
            code: code.into(),
            message,
        });
    };
    if sent.len() > MAX_RULES {
        note(
            "/rule".into(),
            "too_many",
            format!("at most {MAX_RULES} rules"),
        );
    }
    let mut rules = Vec::new();
    for (nr, rule) in sent.iter().take(MAX_RULES).enumerate() {
        let path = format!("/rule/{nr}/columns");
        match rule.columns.len() {
            0 => note(path.clone(), "empty", "name at least one column".into()),
            1..=MAX_COLUMNS => {}
            _ => note(
                path.clone(),
                "too_many",
                format!("at most {MAX_COLUMNS} columns"),
            ),
        }
        let mut columns: Vec<Arc<Column>> = Vec::new();
        for (at, key) in rule.columns.iter().take(MAX_COLUMNS).enumerate() {
            let path = format!("{path}/{at}");
            match list.columns.by_key(key) {
                None => note(path, "unknown_column", "the list has no such column".into()),
                Some(column) if !is_comparable(column) => {
                    note(
                        path,
                        "bad_type",
                        format!("cells of {} do not tell", column.ty.as_str()),
                    );
                }
                Some(column) if columns.iter().any(|named| named.id == column.id) => {
                    note(
                        path,
                        "duplicate",
                        "the column stands twice in this rule".into(),
                    );
                }
                Some(column) => columns.push(Arc::new(column.clone())),
            }
        }
        rules.push(Rule {
            columns,
            likeness: match rule.likeness {
                LikenessIn::Same => Likeness::Same,
                LikenessIn::Similar => Likeness::Similar,
            },
        });
    }
    match errors.is_empty() {
        true => Ok(rules),
        false => Err(AppError::fields(errors)),
    }
}

/// Reads the list while another thread takes it in; then that one compares. The turn is over when that one
/// has ended, whether or not somebody still waits for it.
async fn find(
    db: &Db,
    access: &Access,
    list: &List,
    search: Search,
    turn: SemaphorePermit<'static>,
) -> Result<Vec<Group>, AppError> {
    let columns = search.columns();
    let (pages, taken) = mpsc::channel(AHEAD);
    let looking = spawn_blocking(move || {
        let found = look(search, taken);
        drop(turn);
        found
    });
    store::duplicates::read(db, access.snapshot.id, list.id, &columns, async |page| {
        pages.send(page).await.is_ok()
    })
    .await?;
    // Whoever waits no more never says that this was all; who has stopped taking says why.
    let _ = pages.send(Vec::new()).await;
    looking.await.map_err(AppError::internal)?
}

fn look(
    mut search: Search,
    mut pages: mpsc::Receiver<Vec<RawCells>>,
) -> Result<Vec<Group>, AppError> {
    let columns = search.columns();
    loop {
        let gone = || AppError::unavailable("Nobody waits for the search any more");
        let page = pages.blocking_recv().ok_or_else(gone)?;
        if page.is_empty() {
            return Ok(search.find());
        }
        for (item, raw) in page {
            let cells = columns.iter().zip(raw);
            let cells: Vec<Option<Cell>> = cells
                .map(|(column, raw)| column.read_stored_cell(&raw?))
                .collect();
            search.take(item, &cells)?;
        }
    }
}

/// The groups with their items as they stand now; who has gone meanwhile is left out.
async fn answer_once(
    request: &HttpRequest,
    caller: &Caller,
    groups: &[Group],
    count: usize,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let shown = |group: &Group| {
        group
            .items
            .iter()
            .take(SHOWN_ITEMS)
            .copied()
            .collect::<Vec<_>>()
    };
    let ids: Vec<ItemId> = groups.iter().flat_map(shown).collect();
    let workspace = access.snapshot.id;
    let mut tx = Tx::begin(&state(request)?.db, workspace, Purpose::Page).await?;
    let mut items = store::items::find(&mut tx, workspace, &list, &ids).await?;
    items.retain(|item| item.deleted_at.is_none());
    links::show(
        &mut tx,
        workspace,
        &access.snapshot.schema,
        &list,
        Some(&access.links),
        &mut items,
    )
    .await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let items: HashMap<ItemId, Item> = items.into_iter().map(|item| (item.id, item)).collect();
    let mut out = String::from(r#"{"data":["#);
    for (nr, group) in groups.iter().enumerate() {
        let comma = if nr > 0 { "," } else { "" };
        let rules: Vec<String> = group.rules.iter().map(usize::to_string).collect();
        let _ = write!(
            out,
            r#"{comma}{{"score":{:.4},"rules":[{}],"count":{},"items":["#,
            group.score,
            rules.join(","),
            group.items.len()
        );
        let of_group = shown(group);
        let of_group = of_group.iter().filter_map(|id| items.get(id));
        for (nr, item) in of_group.enumerate() {
            if nr > 0 {
                out.push(',');
            }
            item.write_wire(&list, &mut out);
        }
        out.push_str("]}");
    }
    let _ = write!(out, r#"],"count":{count},"next_cursor":null}}"#);
    Ok(Some(json_at(access.snapshot.seq, out)))
}

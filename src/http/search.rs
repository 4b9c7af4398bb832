//! `GET …/search`: words, across the lists of a workspace. What a list alone is asked is `items_query`'s.

use std::fmt::Write as _;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::cursor::cut;
use super::extract::{Caller, access, query, state};
use super::openapi::ItemOut;
use super::problem::json_at;
use super::settled::{is_settled, settled};
use crate::domain::roles::Action;
use crate::domain::search::{Search, Selection};
use crate::domain::sort::Sort;
use crate::error::AppError;
use crate::store::items_query::PageOf;
use crate::store::{self, Purpose, Tx, links};

/// Items of a list that are shown.
const USUAL_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    q: Option<String>,
    limit: Option<i64>,
}

/// What was found, list by list, in the order of the lists; those without any are left out.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct FoundPage {
    data: Vec<FoundOut>,
    /// Always null: of one list there is more by its own `…/items?q=`.
    next_cursor: Option<String>,
}

#[derive(serde::Serialize, utoipa::ToSchema)]
struct FoundOut {
    #[schema(value_type = uuid::Uuid)]
    list_id: String,
    /// By id, at most `limit` (10 unless asked, at most 50), with all their columns.
    items: Vec<ItemOut>,
    /// Whether the list has more.
    more: bool,
}

/// `GET …/search?q=`: the same words as of a list's items, all in one item.
pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    settled(async || answer_once(&request, &caller).await).await
}

async fn answer_once(
    request: &HttpRequest,
    caller: &Caller,
) -> Result<Option<HttpResponse>, AppError> {
    let access = access(request, caller, Action::Read).await?;
    let (workspace, schema) = (access.snapshot.id, &access.snapshot.schema);
    let asked: Parameters = query(request)?;
    let limit = asked.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("1 to {MAX_LIMIT}");
        return Err(AppError::field("/limit", "out_of_range", message));
    }
    let selection = words(asked.q.as_deref().unwrap_or_default())?;
    let sort = Sort::default();
    let asked = PageOf {
        selection: &selection,
        sort: &sort,
        after: None,
        at: None,
        until: None,
        limit: limit + 1,
    };
    let mut tx = Tx::begin(&state(request)?.db, workspace, Purpose::Read).await?;
    let mut out = String::from(r#"{"data":["#);
    for list in schema.in_order() {
        let mut items = store::items_query::page(&mut tx, workspace, list, &asked).await?;
        if items.is_empty() {
            continue;
        }
        let more = cut(&mut items, limit);
        links::show(
            &mut tx,
            workspace,
            schema,
            list,
            Some(&access.links),
            &mut items,
        )
        .await?;
        if !out.ends_with('[') {
            out.push(',');
        }
        let _ = write!(out, r#"{{"list_id":"{}","items":["#, list.id);
        for (nr, item) in items.iter().enumerate() {
            if nr > 0 {
                out.push(',');
            }
            item.write_wire(list, &mut out);
        }
        let _ = write!(out, r#"],"more":{more}}}"#);
    }
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    out.push_str(r#"],"next_cursor":null}"#);
    Ok(Some(json_at(access.snapshot.seq, out)))
}

fn words(q: &str) -> Result<Selection, AppError> {
    let search = Search::parse(q).map_err(|wrong| AppError::fields(vec![wrong]))?;
    let search =
        search.ok_or_else(|| AppError::field("/q", "required", "the words to look for"))?;
    Ok(Selection {
        filter: None,
        search: Some(search),
    })
}

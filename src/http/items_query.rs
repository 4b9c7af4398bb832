//! Pages of items by filter and sort: the same question as a GET's parameters and as a POST's body,
//! for filters that are too long for an address.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor::{self, cut, page_size};
use super::extract::{Access, Body, Caller, query, state};
use super::items::{Counting, at_list, expanded, only, page_body};
use super::items_past;
use super::past;
use super::problem::json_at;
use super::settled::{is_settled, settled};
use super::state::Settings;
use crate::domain::cell::ColumnId;
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::search::Selection;
use crate::domain::sort::{Position, Sort};
use crate::error::{AppError, FieldError};
use crate::ids::UserId;
use crate::store::items_query::PageOf;
use crate::store::{self, Purpose, Tx, links};

/// Which items, in which order, and what of them.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemsQueryIn {
    /// `{"and":[…]}`, `{"or":[…]}`, `{"not":…}` or `{"column","op","value"}`. Of dates and times `within`
    /// takes whole days in UTC: `{"last_days":n}` to today, `{"next_days":n}` from today, or `this`,
    /// `last`, `next` with `day`, `week` (from Monday), `month`, `quarter`, `year`; its cursor is good
    /// until the day ends. Of locations `within_box` takes `{"south","west","north","east"}` (over the
    /// 180th meridian where west is the larger), `within_km` `{"lat","lon","km"}` of at most 20 000 km.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// `-ListPrice,City`, or an array: at most 5 keys of columns, each with `-` in front for
    /// descending; what is equal in one is ordered by the next, in the end by the item's id. Texts are
    /// ordered by their Unicode simple fold, then by code point, and count with their first 1 000
    /// characters, which the columns share evenly. Empty cells stand last in both directions.
    #[schema(value_type = Option<String>)]
    sort: Option<Keys>,
    /// `City,ListPrice`, or an array of keys.
    #[schema(value_type = Option<String>)]
    columns: Option<Keys>,
    limit: Option<i64>,
    cursor: Option<String>,
    /// `exact`; or `estimated`, which is exact up to 10 000 items of the list and costs no more beyond:
    /// there it follows the database's statistics and, of a filter, a sample.
    count: Option<String>,
    /// Words that must all occur in the item, each as a part of any of its texts (text, long_text,
    /// email, url, phone), addresses or names of choices; upper and lower case are the same. At most
    /// 1 000 characters and 20 words.
    q: Option<String>,
    /// Keys of link columns, as `columns`: of each link that is shown the item itself is put beside its
    /// title, as `item`, one level deep.
    #[schema(value_type = Option<String>)]
    expand: Option<Keys>,
    /// A row number from 0, for scrollbars: the page begins there, and its cursor goes on from it. Not with
    /// `cursor` or `as_of`. The rows before it are passed over one by one.
    at: Option<i64>,
    /// A position of the log: the items as they stood then, under the columns that there were; titles of
    /// links are as of now. A page may hold fewer items than asked for while there are more. With a filter, a
    /// search or a sort at most 10 000 items of the list may have changed since.
    as_of: Option<i64>,
}

/// The same in an address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    filter: Option<String>,
    q: Option<String>,
    sort: Option<String>,
    columns: Option<String>,
    expand: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
    count: Option<String>,
    as_of: Option<i64>,
}

/// Keys of columns: separated by commas, or an array.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "keys of columns: a text or an array of texts")]
pub(super) enum Keys {
    Line(String),
    Each(Vec<String>),
}

impl Keys {
    /// The keys; none of an empty text.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let (line, each) = match self {
            Keys::Line(line) => (Some(line.as_str()), [].as_slice()),
            Keys::Each(each) => (None, each.as_slice()),
        };
        let line = line.filter(|line| !line.trim().is_empty());
        line.into_iter()
            .flat_map(|line| line.split(','))
            .chain(each.iter().map(String::as_str))
            .map(str::trim)
    }
}

/// What is asked for, however it was sent.
struct Asked {
    filter: Option<Box<RawValue>>,
    q: Option<String>,
    sort: Option<Keys>,
    columns: Option<Keys>,
    expand: Option<Keys>,
    limit: Option<i64>,
    cursor: Option<String>,
    count: Option<String>,
    as_of: Option<i64>,
    at: Option<i64>,
}

impl From<ItemsQueryIn> for Asked {
    fn from(sent: ItemsQueryIn) -> Asked {
        Asked {
            filter: sent.filter,
            q: sent.q,
            sort: sent.sort,
            columns: sent.columns,
            expand: sent.expand,
            limit: sent.limit,
            cursor: sent.cursor,
            count: sent.count,
            as_of: sent.as_of,
            at: sent.at,
        }
    }
}

impl TryFrom<Parameters> for Asked {
    type Error = AppError;

    fn try_from(sent: Parameters) -> Result<Asked, AppError> {
        let filter = sent.filter.map(RawValue::from_string).transpose();
        Ok(Asked {
            filter: filter
                .map_err(|error| AppError::malformed(format!("filter: not JSON: {error}")))?
                .filter(|filter| filter.get() != "null"),
            q: sent.q,
            sort: sent.sort.map(Keys::Line),
            columns: sent.columns.map(Keys::Line),
            expand: sent.expand.map(Keys::Line),
            limit: sent.limit,
            cursor: sent.cursor,
            count: sent.count,
            as_of: sent.as_of,
            at: None,
        })
    }
}

/// `GET …/items`
pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: Parameters = query(&request)?;
    answer(&request, &caller, asked.try_into()?).await
}

/// `POST …/items/query`
pub async fn post(
    request: HttpRequest,
    caller: Caller,
    body: Body<ItemsQueryIn>,
) -> Result<HttpResponse, AppError> {
    answer(&request, &caller, body.value.into()).await
}

async fn answer(
    request: &HttpRequest,
    caller: &Caller,
    asked: Asked,
) -> Result<HttpResponse, AppError> {
    match asked.as_of {
        None => settled(async || answer_once(request, caller, &asked).await).await,
        Some(seq) => settled(async || answer_past(request, caller, &asked, seq).await).await,
    }
}

/// The same as of a position of the log.
async fn answer_past(
    request: &HttpRequest,
    caller: &Caller,
    asked: &Asked,
    seq: i64,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let state = state(request)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Snapshot).await?;
    let past = past::open(&mut tx, &access, list.id, seq).await?;
    let question = Question::read(asked, &access, &past.list, caller, &state.settings)?;
    let (mut page, count) = items_past::page(&mut tx, &access, &past, &question).await?;
    past::expand(&mut tx, &access, &past, &question.expanded, &mut page.items).await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let next = page.next.as_ref();
    let next = next.map(|position| question.cursor(&state.settings, position));
    let body = page_body(&question.shown, &page.items, next.as_deref(), count);
    Ok(Some(json_at(access.snapshot.seq, body)))
}

async fn answer_once(
    request: &HttpRequest,
    caller: &Caller,
    asked: &Asked,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let state = state(request)?;
    let workspace = access.snapshot.id;
    let question = Question::read(asked, &access, &list, caller, &state.settings)?;
    // A plain page follows the key's index; all else is the planner's to answer.
    let plain = question.is_plain() && asked.at.is_none();
    let purpose = if plain { Purpose::Page } else { Purpose::Read };
    let mut tx = Tx::begin(&state.db, workspace, purpose).await?;
    let page = PageOf {
        at: asked.at,
        ..question.page()
    };
    let mut items = store::items_query::page(&mut tx, workspace, &list, &page).await?;
    let more = cut(&mut items, question.limit);
    let (schema, shown) = (&access.snapshot.schema, &question.shown);
    links::show(
        &mut tx,
        workspace,
        schema,
        shown,
        Some(&access.links),
        &mut items,
    )
    .await?;
    links::expand(
        &mut tx,
        workspace,
        schema,
        shown,
        &question.expanded,
        &mut items,
    )
    .await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    let (selection, counting) = (&question.selection, question.counting);
    let mut count = None;
    if counting == Some(Counting::Exact) {
        count = Some(store::items_query::count(&mut tx, workspace, &list, selection, None).await?);
    }
    tx.commit().await?;
    if counting == Some(Counting::Estimated) {
        let mut tx = Tx::begin(&state.db, workspace, Purpose::Page).await?;
        count = Some(store::items_query::estimate(&mut tx, workspace, &list, selection).await?);
        tx.commit().await?;
    }
    let next = items.last().filter(|_| more).map(|last| {
        let position = question.sort.position(&list.columns, last);
        question.cursor(&state.settings, &position)
    });
    let body = page_body(shown, &items, next.as_deref(), count);
    Ok(Some(json_at(access.snapshot.seq, body)))
}

/// A request as a list's columns understand it: which items in which order, from where, and what of them.
pub(super) struct Question {
    pub(super) selection: Selection,
    pub(super) sort: Sort,
    /// The list with the columns that are shown, and those whose links are embedded.
    shown: Arc<List>,
    expanded: Vec<ColumnId>,
    pub(super) limit: i64,
    pub(super) counting: Option<Counting>,
    pub(super) after: Option<Position>,
    /// What its cursors are good for.
    sealed: String,
}

impl Question {
    fn read(
        asked: &Asked,
        access: &Access,
        list: &Arc<List>,
        caller: &Caller,
        settings: &Settings,
    ) -> Result<Question, AppError> {
        let (selection, sort) = asked.order(list, caller.0.user)?;
        let shown = match &asked.columns {
            None => Arc::clone(list),
            Some(keys) => Arc::new(only(list, keys.iter())?),
        };
        let expanded = expanded(&shown, asked.expand.iter().flat_map(Keys::iter))?;
        let limit = page_size(asked.limit)?;
        let counting = Counting::read(asked.count.as_deref())?;
        // A filter's form holds no spaces or spellings of the request, and the caller's id where it says `me`.
        let (workspace, as_of) = (access.snapshot.id, asked.as_of);
        let sealed = format!(
            "items {workspace} {} {as_of:?} {selection:?} {sort:?}",
            list.id
        );
        let after = cursor::after(settings, &sealed, asked.cursor.as_deref(), |bytes| {
            sort.read_position(&list.columns, bytes)
                .ok_or_else(|| AppError::malformed("This cursor's place is gone; begin again"))
        })?;
        Ok(Question {
            selection,
            sort,
            shown,
            expanded,
            limit,
            counting,
            after,
            sealed,
        })
    }

    /// Whether it asks for all items, by id, and for no count.
    pub(super) fn is_plain(&self) -> bool {
        self.selection.is_all() && self.sort.is_by_id() && self.counting.is_none()
    }

    /// The page, with one item more: whether it is there tells whether there are more.
    pub(super) fn page(&self) -> PageOf<'_> {
        PageOf {
            selection: &self.selection,
            sort: &self.sort,
            after: self.after.as_ref(),
            at: None,
            until: None,
            limit: self.limit + 1,
        }
    }

    /// The cursor of the page behind that place.
    fn cursor(&self, settings: &Settings, position: &Position) -> String {
        cursor::seal(settings, &self.sealed, &self.sort.write_position(position))
    }
}

impl Asked {
    /// Which items in which order. Refuses with all broken rules at once.
    fn order(&self, list: &List, me: UserId) -> Result<(Selection, Sort), AppError> {
        let mut errors = Vec::new();
        if let Some(at) = self.at {
            if at < 0 {
                errors.push(wrong_at("out_of_range", "a row number, from 0"));
            }
            if self.cursor.is_some() || self.as_of.is_some() {
                errors.push(wrong_at("duplicate", "without a cursor, and of now"));
            }
        }
        let filter = self.filter.as_deref().map(RawValue::get);
        let (q, today) = (self.q.as_deref(), Utc::now().date_naive());
        let selection = Selection::parse(filter, q, &list.columns, me, today, &mut errors);
        let keys = self.sort.iter().flat_map(Keys::iter);
        match Sort::parse(keys, &list.columns) {
            Ok(sort) if errors.is_empty() => return Ok((selection, sort)),
            Ok(_) => {}
            Err(wrong) => errors.push(wrong),
        }
        Err(AppError::fields(errors))
    }
}

fn wrong_at(code: &'static str, message: &str) -> FieldError {
    FieldError {
        path: "/at".to_owned(),
        code: code.into(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(json: &str) -> Vec<String> {
        let asked: ItemsQueryIn = serde_json::from_str(json).unwrap();
        asked
            .sort
            .iter()
            .flat_map(Keys::iter)
            .map(str::to_owned)
            .collect()
    }

    fn parameters(query: &str) -> Parameters {
        actix_web::web::Query::<Parameters>::from_query(query)
            .unwrap()
            .into_inner()
    }

    #[test]
    fn keys_are_a_text_or_an_array() {
        assert_eq!(
            keys(r#"{"sort":"-ListPrice, City"}"#),
            ["-ListPrice", "City"]
        );
        assert_eq!(
            keys(r#"{"sort":["-ListPrice","City"]}"#),
            ["-ListPrice", "City"]
        );
        assert_eq!(keys(r#"{"sort":""}"#), [""; 0]);
        assert_eq!(
            keys(r#"{"sort":"City,"}"#),
            ["City", ""],
            "an empty key is seen, and refused"
        );
        assert!(serde_json::from_str::<ItemsQueryIn>(r#"{"sort":{"City":1}}"#).is_err());
    }

    #[test]
    fn a_filter_that_is_null_is_none() {
        let body = r#"{"q":"oak","expand":["Owner"],"at":0,"filter":null}"#;
        let asked = Asked::from(serde_json::from_str::<ItemsQueryIn>(body).unwrap());
        assert_eq!(asked.at, Some(0));
        assert!(asked.filter.is_none());
        let asked = Asked::try_from(parameters("filter=null")).unwrap();
        assert!(asked.filter.is_none());
    }

    #[test]
    fn a_filter_that_is_not_json_can_not_be_read() {
        let sent = parameters("filter=%7B%22and%22");
        assert_eq!(Asked::try_from(sent).err().unwrap().code.status(), 400);
    }
}

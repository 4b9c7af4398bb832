//! Pages of items by filter and sort: the same question as a GET's parameters and as a POST's body,
//! for filters that are too long for an address.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor::{self, cut, page_size};
use super::extract::{Body, Caller, query, state};
use super::items::{Counting, at_list, expanded, only, page_body};
use super::items_past;
use super::past;
use super::problem::json_at;
use super::settled::{is_settled, settled};
use crate::domain::filter::Filter;
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::search::{Search, Selection};
use crate::domain::sort::{Position, Sort};
use crate::error::{AppError, FieldError};
use crate::ids::{UserId, WorkspaceId};
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
enum Keys {
    Line(String),
    Each(Vec<String>),
}

impl Keys {
    /// The keys; none of an empty text.
    fn iter(&self) -> impl Iterator<Item = &str> {
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
    let workspace = access.snapshot.id;
    let mut tx = Tx::begin(&state.db, workspace, Purpose::Snapshot).await?;
    let past = past::open(&mut tx, &access, list.id, seq).await?;
    let list = &past.list;
    let Question { selection, sort } = Question::read(asked, list, caller.0.user)?;
    let shown = match &asked.columns {
        None => Arc::clone(list),
        Some(keys) => Arc::new(only(list, keys.iter())?),
    };
    let expanded = expanded(&shown, asked.expand.iter().flat_map(Keys::iter))?;
    let limit = page_size(asked.limit)?;
    let counted = Counting::read(asked.count.as_deref())?.is_some();
    let question = format!("{seq} {}", sealed_for(workspace, list, &selection, &sort));
    let cursor = asked.cursor.as_deref();
    let after = cursor::after(&state.settings, &question, cursor, |bytes| {
        position(&sort, list, bytes)
    })?;
    let plain = selection.is_all() && sort.is_by_id() && !counted;
    let (mut page, count) = if plain {
        let after = after.map(|position| position.item);
        let page = items_past::plain(&mut tx, &access, &past, after, limit).await?;
        (page, None)
    } else {
        let asks = (&selection, &sort);
        items_past::asked(
            &mut tx,
            &access,
            &past,
            asks,
            after.as_ref(),
            limit,
            counted,
        )
        .await?
    };
    past::expand(&mut tx, &access, &past, &expanded, &mut page.items).await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let next = page
        .next
        .map(|position| cursor::seal(&state.settings, &question, &sort.write_position(&position)));
    let body = page_body(&shown, &page.items, next.as_deref(), count);
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
    let Question { selection, sort } = Question::read(asked, &list, caller.0.user)?;
    let shown = match &asked.columns {
        None => Arc::clone(&list),
        Some(keys) => Arc::new(only(&list, keys.iter())?),
    };
    let expanded = expanded(&shown, asked.expand.iter().flat_map(Keys::iter))?;
    let limit = page_size(asked.limit)?;
    let counting = Counting::read(asked.count.as_deref())?;
    let question = sealed_for(workspace, &list, &selection, &sort);
    let cursor = asked.cursor.as_deref();
    let after = cursor::after(&state.settings, &question, cursor, |bytes| {
        position(&sort, &list, bytes)
    })?;
    // A plain page follows the key's index; all else is the planner's to answer.
    let plain = selection.is_all() && sort.is_by_id() && counting.is_none() && asked.at.is_none();
    let purpose = if plain { Purpose::Page } else { Purpose::Read };
    let mut tx = Tx::begin(&state.db, workspace, purpose).await?;
    let mut items = match asked.at {
        None => {
            let (size, after) = (limit + 1, after.as_ref());
            store::items_query::page(&mut tx, workspace, &list, &selection, &sort, after, size)
                .await?
        }
        Some(at) => {
            let from = (at, limit + 1);
            store::items_query::page_at(&mut tx, workspace, &list, &selection, &sort, from).await?
        }
    };
    let more = cut(&mut items, limit);
    let schema = &access.snapshot.schema;
    links::show(&mut tx, workspace, schema, &shown, &mut items).await?;
    links::expand(&mut tx, workspace, schema, &shown, &expanded, &mut items).await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    let mut count = None;
    if counting == Some(Counting::Exact) {
        count = Some(store::items_query::count(&mut tx, workspace, &list, &selection).await?);
    }
    tx.commit().await?;
    if counting == Some(Counting::Estimated) {
        let mut tx = Tx::begin(&state.db, workspace, Purpose::Page).await?;
        count = Some(store::items_query::estimate(&mut tx, workspace, &list, &selection).await?);
        tx.commit().await?;
    }
    let next = items.last().filter(|_| more).map(|last| {
        let position = sort.position(&list.columns, last);
        cursor::seal(&state.settings, &question, &sort.write_position(&position))
    });
    Ok(Some(json_at(
        access.snapshot.seq,
        page_body(&shown, &items, next.as_deref(), count),
    )))
}

/// The part of a request that decides which items come in which order.
struct Question {
    selection: Selection,
    sort: Sort,
}

impl Question {
    /// Refuses with all broken rules at once.
    fn read(asked: &Asked, list: &List, me: UserId) -> Result<Question, AppError> {
        let mut errors = Vec::new();
        if let Some(at) = asked.at {
            if at < 0 {
                errors.push(wrong_at("out_of_range", "a row number, from 0"));
            }
            if asked.cursor.is_some() || asked.as_of.is_some() {
                errors.push(wrong_at("duplicate", "without a cursor, and of now"));
            }
        }
        let filter = asked.filter.as_deref().map(RawValue::get);
        let selection = selection(filter, asked.q.as_deref(), list, me, &mut errors);
        let keys = asked.sort.iter().flat_map(Keys::iter);
        let sort = Sort::parse(keys, &list.columns)
            .map_err(|wrong| errors.push(wrong))
            .ok();
        if errors.is_empty() {
            Ok(Question {
                selection,
                sort: sort.unwrap_or_default(),
            })
        } else {
            Err(AppError::fields(errors))
        }
    }
}

/// Which items a filter and words ask for; what is wrong with either is added to `errors`.
pub(super) fn selection(
    filter: Option<&str>,
    q: Option<&str>,
    list: &List,
    me: UserId,
    errors: &mut Vec<FieldError>,
) -> Selection {
    let today = chrono::Utc::now().date_naive();
    let mut selection = Selection::default();
    match filter
        .map(|json| Filter::parse(json, &list.columns, me, today))
        .transpose()
    {
        Ok(filter) => selection.filter = filter,
        Err(wrong) => errors.extend(wrong),
    }
    match Search::parse(q.unwrap_or_default()) {
        Ok(search) => selection.search = search,
        Err(wrong) => errors.push(wrong),
    }
    selection
}

fn wrong_at(code: &'static str, message: &str) -> FieldError {
    FieldError {
        path: "/at".to_owned(),
        code: code.into(),
        message: message.to_owned(),
    }
}

/// What a cursor is good for. A filter's form holds no spaces or spellings of the request, and the
/// caller's id where it says `me`.
fn sealed_for(workspace: WorkspaceId, list: &List, selection: &Selection, sort: &Sort) -> String {
    format!("items {workspace} {} {selection:?} {sort:?}", list.id)
}

fn position(sort: &Sort, list: &List, bytes: &[u8]) -> Result<Position, AppError> {
    sort.read_position(&list.columns, bytes)
        .ok_or_else(|| AppError::malformed("This cursor's place is gone; begin again"))
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

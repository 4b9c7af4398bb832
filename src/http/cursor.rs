//! Cursors of keyset pages: opaque, and good only for the question that they continue. Signed, so
//! that a made-up one is 400 and never reaches SQL.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::state::Settings;
use crate::error::AppError;

const SEAL: usize = 12;

/// The cursor behind `position` for the question `question` (workspace, list, filter, sort, …).
pub fn seal(settings: &Settings, question: &str, position: &[u8]) -> String {
    let mut bytes = tag(settings, question, position);
    bytes.extend_from_slice(position);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position in a cursor that was sealed for this very question.
fn open(settings: &Settings, question: &str, cursor: &str) -> Result<Vec<u8>, AppError> {
    let refused = || AppError::malformed("This cursor does not belong to this question");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let (seal, position) = bytes.split_at_checked(SEAL).ok_or_else(refused)?;
    let genuine: bool = tag(settings, question, position).ct_eq(seal).into();
    if genuine {
        Ok(position.to_vec())
    } else {
        Err(refused())
    }
}

fn tag(settings: &Settings, question: &str, position: &[u8]) -> Vec<u8> {
    let mut message = question.as_bytes().to_vec();
    message.push(0);
    message.extend_from_slice(position);
    settings
        .keyed("cursor", &message)
        .iter()
        .take(SEAL)
        .copied()
        .collect()
}

/// The parameters of a page that is asked for nothing else.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    pub limit: Option<i64>,
    pub cursor: Option<String>,
}

/// Where the page before this one ended, as `read` finds it in the cursor; none: it is the first.
pub fn after<T>(
    settings: &Settings,
    question: &str,
    cursor: Option<&str>,
    read: impl FnOnce(&[u8]) -> Result<T, AppError>,
) -> Result<Option<T>, AppError> {
    let opened = cursor.map(|cursor| open(settings, question, cursor));
    opened.transpose()?.map(|bytes| read(&bytes)).transpose()
}

/// A page of a collection that is held whole; its order must be stable.
pub fn small_page<T: serde::Serialize>(
    settings: &Settings,
    question: &str,
    asked: &PageQuery,
    all: Vec<T>,
) -> Result<String, AppError> {
    let size = usize::try_from(page_size(asked.limit)?).unwrap_or(100);
    let from = after(settings, question, asked.cursor.as_deref(), |bytes| {
        let from = <[u8; 8]>::try_from(bytes);
        let from = from.map_err(|_| AppError::malformed("This cursor can't be read"))?;
        Ok(usize::try_from(u64::from_be_bytes(from)).unwrap_or(usize::MAX))
    })?;
    let from = from.unwrap_or(0);
    let through = from.saturating_add(size);
    let next = (through < all.len()).then(|| {
        let position = u64::try_from(through).unwrap_or(u64::MAX);
        seal(settings, question, &position.to_be_bytes())
    });
    let data: Vec<T> = all.into_iter().skip(from).take(size).collect();
    Ok(serde_json::json!({"data": data, "next_cursor": next}).to_string())
}

/// Cuts off the one row more than the page's size that was read, if there is one: whether the page
/// goes on.
pub fn cut<T>(rows: &mut Vec<T>, size: i64) -> bool {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    more
}

/// How many a page holds: 100, or `limit` from 1 to 1000.
pub fn page_size(limit: Option<i64>) -> Result<i64, AppError> {
    match limit.unwrap_or(100) {
        limit @ 1..=1000 => Ok(limit),
        _ => Err(AppError::malformed("limit: 1 to 1000")),
    }
}

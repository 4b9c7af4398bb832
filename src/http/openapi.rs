//! The OpenAPI document, made from the table of routes and the types that handlers read and write;
//! and a page to try it.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder,
};

use super::exports::ExportIn;
use super::jobs::JobOut;
use super::routes::{BASE, Needs, Route, table};
use super::{
    aggregate, duplicates, invites, items, items_query, links, lists, me, members, search,
    workspaces,
};
use crate::domain::schema_change::{ColumnPatch, ColumnSpec};
use crate::error::ErrorCode;
use crate::error::Problem;
use crate::wire::comments::{CommentIn, CommentOut, CommentPatchIn};
use crate::wire::forms::{FormAnswersIn, FormLinkOut, FormOut, FormReceipt};
use crate::wire::lists::{ColumnOut, ListOut, OutlookOut};
use crate::wire::people::{InviteOut, MemberOut, MembershipOut, WorkspaceOut};
use crate::wire::undo::{RestoreToIn, UndoIn, Undone};
use crate::wire::views::{ViewIn, ViewOut, ViewPatchIn};

/// An item on the wire.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ItemOut {
    id: uuid::Uuid,
    list_id: uuid::Uuid,
    version: i64,
    seq: i64,
    /// By column key; an empty cell is absent. A cell of links is an array of `{"id","title"}`, the first
    /// ten, with their number as `<key>__count`; it is written as an array of ids while it holds ten or
    /// fewer, else through `…/links/{column}` (422 `use_link_paths`). The title of an item is what stands
    /// in its list's first text column at the time of reading, or null.
    #[schema(value_type = Object)]
    values: serde_json::Value,
    created_at: String,
    created_by: uuid::Uuid,
    updated_at: String,
    updated_by: uuid::Uuid,
}

/// A link of a cell.
#[derive(Serialize, utoipa::ToSchema)]
struct LinkOut {
    id: uuid::Uuid,
    /// What stands in the first text column of its list.
    title: Option<String>,
}

/// An event of the log.
#[derive(Serialize, utoipa::ToSchema)]
struct EventOut {
    seq: i64,
    at: String,
    /// `{"user"|"token"|"job"|"form": id}`
    #[schema(value_type = Object)]
    actor: serde_json::Value,
    op: Option<uuid::Uuid>,
    kind: String,
    /// With `items.changed` and `links.changed`: one entry for each item that shows another state by
    /// it, those at the other ends of links too. `set` and `was` show cells of links as `{"id"}` without
    /// titles, with `<key>__count`; `links` says by key all that was `added` and `removed`, and `order`
    /// and `was_order` where what stayed was moved.
    #[schema(value_type = Vec<Object>)]
    changes: Option<Vec<serde_json::Value>>,
    #[schema(value_type = Object)]
    data: Option<serde_json::Value>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct EventsPage {
    data: Vec<EventOut>,
    through: i64,
    mark: String,
}

/// One change of an item.
#[derive(Serialize, utoipa::ToSchema)]
struct HistoryEntry {
    seq: i64,
    at: String,
    #[schema(value_type = Object)]
    actor: serde_json::Value,
    kind: String,
    #[schema(value_type = Object)]
    change: Option<serde_json::Value>,
}

/// What the walk along the chain found.
#[derive(Serialize, utoipa::ToSchema)]
struct VerifyOut {
    ok: bool,
    events: Option<i64>,
    seq: Option<i64>,
    mark: Option<String>,
    first_bad: Option<i64>,
    reason: Option<String>,
}

/// A cell because of which a row was not stored.
#[derive(Serialize, utoipa::ToSchema)]
struct RowErrorOut {
    row: u64,
    column: Option<String>,
    value: Option<String>,
    code: String,
    message: String,
}

macro_rules! pages {
    ($($name:ident of $item:ty;)*) => {
        $(
            #[derive(Serialize, utoipa::ToSchema)]
            struct $name {
                data: Vec<$item>,
                next_cursor: Option<String>,
            }
        )*
    };
}

pages! {
    MembershipsPage of MembershipOut;
    MembersPage of MemberOut;
    InvitesPage of InviteOut;
    ListsPage of ListOut;
    ColumnsPage of ColumnOut;
    ItemsPage of ItemOut;
    LinksPage of LinkOut;
    HistoryPage of HistoryEntry;
    AuditPage of EventOut;
    JobsPage of JobOut;
    ErrorsPage of RowErrorOut;
    ViewsPage of ViewOut;
    CommentsPage of CommentOut;
    FormLinksPage of FormLinkOut;
}

/// `GET /openapi.json`.
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().json(build())
}

/// `/docs`: a page to read the document and try it.
pub fn page() -> utoipa_swagger_ui::SwaggerUi {
    utoipa_swagger_ui::SwaggerUi::new("/docs/{_:.*}")
        .config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json").validator_url("none"))
}

/// The document.
pub fn build() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for route in table() {
        let mut item = PathItem::default();
        let operation = operation(&route);
        match method(&route) {
            HttpMethod::Get => item.get = Some(operation),
            HttpMethod::Post => item.post = Some(operation),
            HttpMethod::Patch => item.patch = Some(operation),
            HttpMethod::Put => item.put = Some(operation),
            _ => item.delete = Some(operation),
        }
        paths = paths.path(format!("{BASE}{}", route.path), item);
    }
    let info = InfoBuilder::new()
        .title("Estatebase")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A multi-tenant, real-time customer database for real-estate teams. Every error is a problem \
             document; every write takes an Idempotency-Key; every answer about a workspace carries \
             X-Workspace-Seq, and a read with X-Min-Seq never shows an older state.",
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components()))
        .build()
}

fn components() -> utoipa::openapi::Components {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    let mut schemas = Vec::new();
    with_parts::<me::MeOut>(&mut schemas);
    with_parts::<me::ProfilePatch>(&mut schemas);
    with_parts::<workspaces::WorkspaceIn>(&mut schemas);
    with_parts::<workspaces::WorkspacePatch>(&mut schemas);
    with_parts::<WorkspaceOut>(&mut schemas);
    with_parts::<MembershipOut>(&mut schemas);
    with_parts::<MembershipsPage>(&mut schemas);
    with_parts::<MembersPage>(&mut schemas);
    with_parts::<members::MemberPatch>(&mut schemas);
    with_parts::<invites::InviteIn>(&mut schemas);
    with_parts::<invites::AcceptIn>(&mut schemas);
    with_parts::<InviteOut>(&mut schemas);
    with_parts::<InvitesPage>(&mut schemas);
    with_parts::<lists::ListIn>(&mut schemas);
    with_parts::<lists::ListPatch>(&mut schemas);
    with_parts::<ListOut>(&mut schemas);
    with_parts::<ListsPage>(&mut schemas);
    with_parts::<ColumnSpec>(&mut schemas);
    with_parts::<ColumnPatch>(&mut schemas);
    with_parts::<ColumnOut>(&mut schemas);
    with_parts::<OutlookOut>(&mut schemas);
    with_parts::<ColumnsPage>(&mut schemas);
    with_parts::<items::ItemsIn>(&mut schemas);
    with_parts::<items::PatchesIn>(&mut schemas);
    with_parts::<items::ItemPatchIn>(&mut schemas);
    with_parts::<items::IdsIn>(&mut schemas);
    with_parts::<items::MergeIn>(&mut schemas);
    with_parts::<duplicates::DuplicatesIn>(&mut schemas);
    with_parts::<duplicates::DuplicatesOut>(&mut schemas);
    with_parts::<items_query::ItemsQueryIn>(&mut schemas);
    with_parts::<aggregate::AggregateIn>(&mut schemas);
    with_parts::<aggregate::AggregateOut>(&mut schemas);
    with_parts::<search::FoundPage>(&mut schemas);
    with_parts::<UndoIn>(&mut schemas);
    with_parts::<RestoreToIn>(&mut schemas);
    with_parts::<Undone>(&mut schemas);
    with_parts::<ItemOut>(&mut schemas);
    with_parts::<ItemsPage>(&mut schemas);
    with_parts::<links::LinksIn>(&mut schemas);
    with_parts::<LinksPage>(&mut schemas);
    with_parts::<HistoryPage>(&mut schemas);
    with_parts::<EventsPage>(&mut schemas);
    with_parts::<AuditPage>(&mut schemas);
    with_parts::<VerifyOut>(&mut schemas);
    with_parts::<ExportIn>(&mut schemas);
    with_parts::<JobOut>(&mut schemas);
    with_parts::<JobsPage>(&mut schemas);
    with_parts::<ErrorsPage>(&mut schemas);
    with_parts::<CommentIn>(&mut schemas);
    with_parts::<CommentPatchIn>(&mut schemas);
    with_parts::<CommentOut>(&mut schemas);
    with_parts::<CommentsPage>(&mut schemas);
    with_parts::<FormOut>(&mut schemas);
    with_parts::<FormAnswersIn>(&mut schemas);
    with_parts::<FormReceipt>(&mut schemas);
    with_parts::<FormLinkOut>(&mut schemas);
    with_parts::<FormLinksPage>(&mut schemas);
    with_parts::<ViewIn>(&mut schemas);
    with_parts::<ViewPatchIn>(&mut schemas);
    with_parts::<ViewOut>(&mut schemas);
    with_parts::<ViewsPage>(&mut schemas);
    with_parts::<Problem>(&mut schemas);
    ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .schemas_from_iter(schemas)
        .build()
}

/// A type and every type that it is made of.
fn with_parts<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn method(route: &Route) -> HttpMethod {
    match route.method.as_str() {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "PUT" => HttpMethod::Put,
        _ => HttpMethod::Delete,
    }
}

fn operation(route: &Route) -> utoipa::openapi::path::Operation {
    let mut operation = OperationBuilder::new().summary(Some(route.summary));
    for name in path_names(route.path) {
        operation = operation.parameter(parameter(name, ParameterIn::Path, Required::True));
    }
    for name in route.query {
        operation = operation.parameter(parameter(name, ParameterIn::Query, Required::False));
    }
    if route.takes_if_match() {
        operation =
            operation.parameter(parameter("If-Match", ParameterIn::Header, Required::False));
    }
    if let Some(body) = route.body {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(body)))
            .build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True))
            .build();
        operation = operation.request_body(Some(body));
    }
    let mut answer = ResponseBuilder::new().description(route.summary);
    if let Some(schema) = route.answer {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema)))
            .build();
        answer = answer.content("application/json", content);
    }
    operation = operation.response(route.status.to_string(), answer.build());
    for (status, description) in refusals(route) {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let refusal = ResponseBuilder::new()
            .description(description)
            .content(super::problem::PROBLEM_JSON, content)
            .build();
        operation = operation.response(status.to_string(), refusal);
    }
    if route.needs != Needs::Nothing {
        operation = operation.security(SecurityRequirement::new("bearer", Vec::<String>::new()));
    }
    operation.build()
}

/// The statuses that the table of codes knows, with the codes behind them.
fn refusals(route: &Route) -> Vec<(u16, String)> {
    // The documents: there is nothing that they could refuse.
    if route.needs == Needs::Nothing && path_names(route.path).next().is_none() {
        return Vec::new();
    }
    let mut statuses: Vec<u16> = ErrorCode::ALL.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
        .into_iter()
        .map(|status| {
            let names: Vec<&str> = ErrorCode::ALL
                .iter()
                .filter(|code| code.status() == status)
                .map(|code| code.name())
                .collect();
            (status, names.join(", "))
        })
        .collect()
}

fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What can't be guessed of a parameter.
fn meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "as_of" => {
            "A position of the log: what is read is as it stood then, under the columns that there were; \
             titles of links are as of now. One that is yet to come is 422, one that the log no longer \
             reaches 410. A page may hold fewer items than asked for while `next_cursor` goes on; with a \
             filter, a search, a sort or a count at most 10 000 items of the list may have changed since."
        }
        "count" => {
            "`exact`; or `estimated`, which is exact up to 10 000 items of the list and costs no more \
             beyond: there it follows the database's statistics and, of a filter, a sample."
        }
        "cursor" => "`next_cursor` of the page before; good for the same question alone.",
        "expand" => {
            "Keys of link columns, separated by commas: beside the title of each link that is shown stands \
             the item itself, as `item`, one level deep."
        }
        "filter" => {
            "URL-encoded JSON: `{\"and\":[…]}`, `{\"or\":[…]}`, `{\"not\":…}` or \
             `{\"column\",\"op\",\"value\"}`."
        }
        "If-Match" => {
            "The item's `ETag`, or several, as the caller knows it; another version now is 412. Taken on \
             these routes alone."
        }
        "limit" => "1 to 1000; 100 when left out.",
        "sort" => {
            "A column's key, with `-` in front for descending. Texts are ordered by their Unicode \
             simple fold, then by code point, and count with their first 1 000 characters; what is equal \
             is ordered by the item's id. Empty cells stand last."
        }
        _ => return None,
    })
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
) -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(meaning(name))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

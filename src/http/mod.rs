//! The HTTP face: the table of routes, extractors, problem documents, limits, and one file a
//! resource. Only here is `HttpResponse` named, and where a socket begins as a request.

mod aggregate;
pub mod asyncapi;
pub mod bearer;
pub mod client;
mod columns;
mod comments;
mod cursor;
mod duplicates;
mod exports;
mod extract;
mod forms;
pub mod health;
pub mod identity;
mod import_runs;
mod imports;
mod invites;
mod items;
mod items_past;
mod items_query;
mod jobs;
pub mod limits;
mod links;
mod lists;
mod log;
mod me;
mod members;
pub mod openapi;
mod past;
mod problem;
pub mod request_id;
pub mod routes;
mod search;
mod settled;
pub mod state;
mod submit;
mod undo;
mod views;
mod workspaces;

pub use extract::MAX_BODY;

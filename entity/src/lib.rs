//! SeaORM models of the tables, one file a table, and the newtype ids. No logic.

pub mod columns;
pub mod form_links;
pub mod ids;
pub mod invites;
pub mod items;
pub mod job_errors;
pub mod jobs;
pub mod lists;
pub mod members;
pub mod profiles;
pub mod views;
pub mod workspaces;

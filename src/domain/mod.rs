//! The rules of the product, pure: no IO, no clock, no randomness; time and ids come in as
//! arguments, so that everything here runs under property tests and seeds.

pub mod aggregate;
pub mod cell;
pub mod columns;
pub mod comment;
pub mod computed;
pub mod duplicates;
pub mod edit;
pub mod email;
pub mod event;
pub mod export;
pub mod filter;
pub mod fold;
pub mod form;
pub mod formula;
pub mod import;
pub mod item;
pub mod links;
pub mod log;
pub mod membership;
pub mod op;
pub mod past;
pub mod presence;
pub mod relate;
pub mod retype;
pub mod roles;
pub mod schema;
pub mod schema_change;
pub mod search;
pub mod sort;
pub mod template;
pub mod undo;
pub mod unique;
pub mod view;
pub mod written;

//! The rules of the product, pure: no IO, no clock, no randomness; time and ids come in as
//! arguments, so that everything here runs under property tests and seeds.

pub mod cell;
pub mod columns;
pub mod fold;
pub mod import;
pub mod roles;
pub mod template;

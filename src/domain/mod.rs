//! The rules of the product, pure: no IO, no clock, no randomness; time and ids come in as
//! arguments, so that everything here runs under property tests and seeds.

pub mod import;
pub mod roles;

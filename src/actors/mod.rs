//! Actors: what runs on its own and keeps order.

pub mod import;

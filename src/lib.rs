//! Estatebase: a multi-tenant, real-time customer database for real-estate teams.
//! The map of the rooms is ARCHITECTURE.md; `tests/architecture.rs` keeps who may use whom.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

pub mod commands;
pub mod domain;
pub mod error;
pub mod ids;

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

pub mod actors;
pub mod app;
pub mod auth;
pub mod commands;
pub mod config;
pub mod data_folder;
pub mod domain;
pub mod error;
pub mod http;
pub mod ids;
pub mod local_postgres;
pub mod store;
pub mod telemetry;
pub mod wire;
pub mod ws;

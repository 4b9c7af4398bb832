//! The JSON that goes in and out, shared by http and ws.

pub mod identity;

//! What tests stand on: databases of their own, and the built program as a process.

pub(crate) mod db;
pub(crate) mod program;

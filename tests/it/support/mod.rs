//! What tests stand on: databases of their own, the server in this process or as a program, and
//! people and sockets that use it.

pub(crate) mod app;
pub(crate) mod caller;
pub(crate) mod cluster;
pub(crate) mod contract;
pub(crate) mod db;
pub(crate) mod editors;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod replica;
pub(crate) mod socket;

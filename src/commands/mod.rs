//! The commands of the binary. Those below are clients of the public contracts only: they never
//! look inside the server.

pub mod bench;
pub mod client;
pub mod demo;
pub mod loadtest;
pub mod seed;
pub mod watch;

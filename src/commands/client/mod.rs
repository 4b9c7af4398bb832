//! A client of the public REST and websocket contracts, shared by every tool of the command line.
//! Its wire types are its own, so that a tool would notice a server that drifts from the contract.

pub mod frames;
pub mod lean;
pub mod login;
pub mod position;
pub mod reconnect;
pub mod rest;
pub mod socket;

#[cfg(test)]
pub mod fake;

//! The JSON in and out, shared by `http`, `ws` and `actors`: shapes alone, no rule and no IO.

pub mod canonical;
pub mod comments;
pub mod events;
pub mod forms;
pub mod frames;
pub mod lists;
pub mod messages;
pub mod object;
pub mod people;
pub mod undo;
pub mod views;

//! The living parts: one supervised actor a workspace, and the jobs. Everyone else speaks to them
//! through handles with typed async methods; messages stay private to their actor.

pub mod export;
pub mod import;
pub mod jobs;
pub mod outbox;
pub mod registry;
pub mod relay;
pub mod workspace;

//! All SQL, one file a subject.

pub mod jobs;

//! The integration tests: one binary, one file a subject, all on the Postgres of
//! TEST_DATABASE_URL, where each test has a database of its own.

mod command_line;
mod database;
mod lifecycle;
mod migrate;
mod support;

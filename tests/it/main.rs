//! The integration tests: one binary, one file a subject, all on the Postgres of
//! TEST_DATABASE_URL, where each test has a database of its own.

mod accounts;
mod auth_js;
mod command_line;
mod convergence;
mod database;
mod database_faults;
mod errors;
mod faults_nodes;
mod faults_panics;
mod faults_postgres;
mod faults_redis;
mod frames;
mod idempotency;
mod identity;
mod imports;
mod isolation;
mod jobs;
mod kills;
mod lifecycle;
mod links;
mod links_plan;
mod live;
mod log;
mod matrix;
mod members;
mod migrate;
mod presence;
mod queries;
mod resumes;
mod socket_joins;
mod socket_limits;
mod socket_protocol;
mod support;
mod two_nodes;

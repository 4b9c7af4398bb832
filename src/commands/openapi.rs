//! `estatebase openapi`: prints the OpenAPI document.

use std::process::ExitCode;

use clap::Args;

/// Print the OpenAPI document
#[derive(Debug, Args)]
pub(super) struct Openapi {}

impl Openapi {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        println!("{}", crate::http::openapi::build().to_pretty_json()?);
        Ok(ExitCode::SUCCESS)
    }
}

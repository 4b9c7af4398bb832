//! `estatebase asyncapi`: prints the AsyncAPI document of the websocket.

use std::process::ExitCode;

use clap::Args;

/// Print the AsyncAPI document of the websocket
#[derive(Debug, Args)]
pub(super) struct Asyncapi {}

impl Asyncapi {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        println!(
            "{}",
            serde_json::to_string_pretty(&crate::http::asyncapi::build())?
        );
        Ok(ExitCode::SUCCESS)
    }
}

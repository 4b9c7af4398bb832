//! The command line: one file a command. What a command works with is made in its file and handed
//! on; nothing below knows that there is a command line.

mod asyncapi;
mod audit;
pub mod bench;
pub mod client;
mod database;
pub mod demo;
pub mod loadtest;
mod migrate;
pub mod open_files;
mod openapi;
pub mod seed;
mod serve;
pub mod watch;
mod with_postgres;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// A shared database of people, properties and deals, edited live by many
#[derive(Debug, Parser)]
#[command(name = "estatebase", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Migrate(migrate::Migrate),
    Audit(audit::Audit),
    Openapi(openapi::Openapi),
    Asyncapi(asyncapi::Asyncapi),
    /// Print a workspace's live events, one a line
    Watch(watch::WatchArgs),
    /// Fill a workspace with a believable agency, the same for the same seed
    Seed(seed::SeedArgs),
    /// Simulate many editors at once, and check that nothing was lost
    Loadtest(loadtest::LoadtestArgs),
    /// Import real listings, let fifty editors work on them, and prove that all agree
    Demo(demo::DemoArgs),
    /// Measure the figures as ratios to plain Postgres
    Bench(bench::BenchArgs),
    WithPostgres(with_postgres::WithPostgres),
}

/// Reads the command line, does what it says, and tells what to exit with. Ends the process itself
/// when there is nothing to do but print help or a usage error.
pub async fn run() -> anyhow::Result<ExitCode> {
    let matches = prepared(CommandLine::command()).get_matches();
    let CommandLine { command } =
        CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match command {
        Command::Serve(command) => command.run().await,
        Command::Migrate(command) => command.run().await,
        Command::Audit(command) => command.run().await,
        Command::Openapi(command) => command.run(),
        Command::Asyncapi(command) => command.run(),
        Command::Watch(args) => watch::run(args).await,
        Command::Seed(args) => seed::run(args).await,
        Command::Loadtest(args) => loadtest::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::WithPostgres(command) => command.run().await,
    }
}

/// Help never shows what the environment holds, and a variable that is set to nothing is as good as
/// unset (hosts' forms make such ones).
fn prepared(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            let empty = argument
                .get_env()
                .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
            let argument = argument.hide_env_values(true);
            if empty {
                argument.env(None::<&str>)
            } else {
                argument
            }
        })
        .mut_subcommands(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        prepared(CommandLine::command()).debug_assert();
    }
}

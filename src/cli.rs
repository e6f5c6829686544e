//! The command line: `coagent serve | check | schema | state`.

mod check;
mod schema;
mod serve;
mod state;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Hosts AI agents whose state is the application's shared state.
#[derive(Debug, Parser)]
#[command(name = "coagent", version)]
pub struct Cli {
    /// Without one, `serve`
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the agents of a folder to CopilotKit
    Serve(crate::config::Flags),
    /// Check agent definitions: exit 0 when they are clean, 1 with one `file:line:column: message` per error
    Check(check::Flags),
    /// Read and change the documents of a running server
    State(state::Flags),
    /// Print the JSON Schema of a file's format, for editors
    Schema(schema::Flags),
}

/// Exit code for a configuration that cannot be used.
const BAD_CONFIGURATION: u8 = 2;

impl Cli {
    pub fn run(self) -> ExitCode {
        match self.command {
            Some(Command::Serve(flags)) => serve::run(flags),
            Some(Command::Check(flags)) => check::run(&flags),
            Some(Command::State(flags)) => state::run(flags),
            Some(Command::Schema(flags)) => schema::run(&flags),
            // Parsed again, so that the environment counts.
            None => Self::parse_from(["coagent", "serve"]).run(),
        }
    }
}

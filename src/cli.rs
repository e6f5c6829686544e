//! The command line: `coagent serve | check | run | runs | agents | state | schema`.

mod agents;
mod check;
mod client;
mod out;
mod run;
mod runs;
mod schema;
mod serve;
mod state;
mod told;
mod usage;

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
    #[command(after_help = LOG_HELP)]
    Serve(crate::config::Flags),
    /// Check agent definitions: exit 0 when they are clean, 1 with one `file:line:column: message` per error
    Check(check::Flags),
    /// Ask an agent of a running server, and follow what it says; Ctrl-C cancels
    Run(run::Flags),
    /// List the runs of a running server
    Runs(runs::Flags),
    /// List the agents of a running server
    Agents(agents::Flags),
    /// Read and change the documents of a running server
    State(state::Flags),
    /// Print the JSON Schema of a file's format, for editors
    Schema(schema::Flags),
}

/// What no flag says.
const LOG_HELP: &str = "Environment:\n  COAGENT_LOG  What is logged on standard error: error, warn, info, debug, or \
                        filters such as warn,coagent_runtime=debug [default: info]";

/// Exit code for a configuration that cannot be used.
const BAD_CONFIGURATION: u8 = 2;

impl Cli {
    /// Does what the command line of this process asks for.
    pub fn run_from_environment() -> ExitCode {
        match Self::try_parse() {
            Ok(cli) => cli.run(),
            Err(error) => refused(&error),
        }
    }

    fn run(self) -> ExitCode {
        match self.command {
            Some(Command::Serve(flags)) => serve::run(flags),
            Some(Command::Check(flags)) => check::run(&flags),
            Some(Command::Run(flags)) => run::run(flags),
            Some(Command::Runs(flags)) => runs::run(flags),
            Some(Command::Agents(flags)) => agents::run(flags),
            Some(Command::State(flags)) => state::run(flags),
            Some(Command::Schema(flags)) => schema::run(&flags),
            // Parsed again, so that the environment counts.
            None => match Self::try_parse_from(["coagent", "serve"]) {
                Ok(serve) => serve.run(),
                Err(error) => refused(&error),
            },
        }
    }
}

/// Help and version were asked for; everything else is a bad command line.
fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        out::remark(&format!("coagent: {}", usage::in_one_line(error)));
        return ExitCode::from(BAD_CONFIGURATION);
    }
    out::ended(out::print(&error.to_string()), ExitCode::SUCCESS)
}

//! `coagent schema`: the formats of files, for editors, and the API, for clients.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::agent::definition;
use crate::server;

use super::out;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Which file's format
    of: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A definition under `agents/`
    Agent,
    /// The HTTP API, as OpenAPI
    Openapi,
}

pub(super) fn run(flags: &Flags) -> ExitCode {
    let printed = match flags.of {
        Format::Agent => out::print(&definition::schema_of_the_format().to_string()),
        Format::Openapi => out::print(&server::description().to_string()),
    };
    out::ended(printed, ExitCode::SUCCESS)
}

//! `coagent schema`: the formats of files, for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::agent::definition;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Which file's format
    of: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A definition under `agents/`
    Agent,
}

pub(super) fn run(flags: &Flags) -> ExitCode {
    match flags.of {
        Format::Agent => print!("{}", definition::schema_of_the_format()),
    }
    ExitCode::SUCCESS
}

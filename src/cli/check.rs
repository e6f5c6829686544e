//! `coagent check`: what is wrong with the definitions, without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config;
use crate::runtime::Agents;

use super::BAD_CONFIGURATION;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Folder with agent definitions [default: as for `serve`]
    #[arg(long, env = "COAGENT_AGENTS", value_name = "DIR")]
    agents: Option<PathBuf>,
    /// Fail on warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(flags: &Flags) -> ExitCode {
    let folder = match config::agents_folder(flags.agents.clone()) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("coagent: {error}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let agents = Agents::load(&folder);
    let problems = agents.problems();
    for problem in &problems {
        println!("{problem}");
    }
    let warnings = agents.warnings();
    for warning in &warnings {
        println!("{warning}");
    }
    if problems.is_empty() && (warnings.is_empty() || !flags.deny_warnings) {
        println!("{} agents, no errors", agents.all().len());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

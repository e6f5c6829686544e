//! `coagent check`: what is wrong with the definitions, without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::runtime::Agents;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Folder with agent definitions
    #[arg(long, env = "COAGENT_AGENTS", value_name = "DIR", default_value = "./agents")]
    agents: PathBuf,
}

pub(super) fn run(flags: &Flags) -> ExitCode {
    let agents = Agents::load(&flags.agents);
    let problems = agents.problems();
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("{} agents, no errors", agents.all().len());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

//! `coagent check`: what is wrong with the definitions, without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config;
use crate::runtime::Agents;

use super::{BAD_CONFIGURATION, out};

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Folder with agent definitions [default: as for `serve`]
    #[arg(long, env = "COAGENT_AGENTS", value_name = "DIR", value_parser = config::any_path())]
    agents: Option<PathBuf>,
    /// Fail on warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(flags: &Flags) -> ExitCode {
    let folder = match config::agents_folder(flags.agents.clone()) {
        Ok(folder) => folder,
        Err(error) => {
            out::remark(&format!("coagent: {error}"));
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let agents = Agents::load(&folder);
    let (problems, warnings) = (agents.problems(), agents.warnings());
    let mut said: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    said.extend(warnings.iter().map(|warning| format!("{warning}\n")));
    let is_clean = problems.is_empty() && (warnings.is_empty() || !flags.deny_warnings);
    if is_clean {
        let count = agents.all().len();
        said.push_str(&format!("{count} {}, no errors\n", if count == 1 { "agent" } else { "agents" }));
    }
    out::ended(out::print(&said), if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

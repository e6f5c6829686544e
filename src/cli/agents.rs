//! `coagent agents`: the agents of a running server.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::{At, Client, encoded, say};

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Have an agent take no further runs; those at work go on
    Pause {
        /// The agent
        id: String,
    },
    /// Let a paused agent work again
    Resume {
        /// The agent
        id: String,
    },
}

pub(super) fn run(flags: Flags) -> ExitCode {
    super::client::told_by(async move {
        let client = Client::new(flags.at.url);
        let (id, verb) = match flags.command {
            None => {
                let agents = client.json(client.get("/v1/agents", &[])).await?;
                for agent in agents["items"].as_array().into_iter().flatten() {
                    let text = |name: &str| agent[name].as_str().unwrap_or_default();
                    say(&format!(
                        "{:<24}  {:<8}  {:<8}  {}",
                        text("id"),
                        text("kind"),
                        text("status"),
                        text("description")
                    ))?;
                }
                return Ok(0);
            }
            Some(Command::Pause { id }) => (id, "pause"),
            Some(Command::Resume { id }) => (id, "resume"),
        };
        let path = format!("/v1/agents/{}/{verb}", encoded(&id));
        let agent = client.json(client.request(Method::POST, &path)).await?;
        say(&format!("{id} is {}", agent["status"].as_str().unwrap_or_default()))?;
        Ok(0)
    })
}

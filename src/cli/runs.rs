//! `coagent runs`: the runs of a running server.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::client::{At, Client, Failure, encoded, show};

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, Args)]
struct Wanted {
    /// Only of this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only with this status: queued, running, waiting, succeeded, failed, cancelled, budget_exceeded, superseded, dead
    #[arg(long)]
    status: Option<String>,
    /// Only in this thread
    #[arg(long)]
    thread: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print all that is known of a run
    Show {
        /// The run, as `coagent runs` lists it
        run_id: String,
    },
    /// End a run, in the queue or at work
    Cancel {
        /// The run, as `coagent runs` lists it
        run_id: String,
    },
}

pub(super) fn run(flags: Flags) -> ExitCode {
    super::client::told_by(async move {
        let client = Client::new(flags.at.url);
        match flags.command {
            None => list(&client, &flags.wanted).await?,
            Some(Command::Show { run_id }) => {
                show(&client.json(client.get(&format!("/v1/runs/{}", encoded(&run_id)), &[])).await?)?;
            }
            Some(Command::Cancel { run_id }) => {
                let path = format!("/v1/runs/{}/cancel", encoded(&run_id));
                show(&client.json(client.request(Method::POST, &path)).await?)?;
            }
        }
        Ok(0)
    })
}

/// One line for each, the newest first.
async fn list(client: &Client, wanted: &Wanted) -> Result<(), Failure> {
    let asked = [("agent", &wanted.agent), ("status", &wanted.status), ("thread", &wanted.thread)];
    let filters: Vec<_> = asked.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let (mut left, mut cursor) = (wanted.limit, None::<String>);
    while left > 0 {
        let mut query = filters.clone();
        query.push(("limit", left.min(500).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = client.json(client.get("/v1/runs", &query)).await?;
        for run in page["items"].as_array().into_iter().flatten() {
            super::client::say(&line(run))?;
            left -= 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(())
}

fn line(run: &Value) -> String {
    let text = |name: &str| run[name].as_str().unwrap_or("-").to_owned();
    let (run_id, status, agent, thread) = (text("run_id"), text("status"), text("agent"), text("thread_id"));
    let at = run["started_at"].as_str().or(run["queued_at"].as_str()).unwrap_or("-");
    let cause = run["cause"]["type"].as_str().unwrap_or("-");
    format!("{run_id}  {status:<15}  {at:<24}  {cause:<8}  {agent}  {thread}")
}

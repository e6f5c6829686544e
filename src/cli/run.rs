//! `coagent run`: a run of a running server's agent, told as it happens.
//!
//! What the agent says goes to standard output, what it does to standard error. Exit codes: 0 done, 1 failed or refused, 2 bad
//! usage, 3 the server cannot be reached, 4 cancelled, 5 a budget is used up, 6 waiting for a person.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::client::{At, Client, Failure, encoded};
use super::told::Told;
use crate::agui::sse::Decoder;

/// An event may be as large as a document.
const EVENT_BYTES: usize = 64 << 20;
/// After a cut it is tried again after this long, so often.
const PAUSE: Duration = Duration::from_millis(500);
const TRIES: u32 = 20;

#[derive(Debug, Args)]
pub(super) struct Flags {
    #[command(flatten)]
    at: At,
    /// The agent
    agent: String,
    /// What it is asked
    prompt: String,
    /// The thread it happens in; a new one without this
    #[arg(long)]
    thread: Option<String>,
    /// Say no more than what the agent says
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(flags: Flags) -> ExitCode {
    super::client::told_by(async move {
        let client = Client::new(flags.at.url);
        let mut body = json!({ "prompt": flags.prompt });
        if let Some(thread) = flags.thread {
            body["thread_id"] = thread.into();
        }
        let path = format!("/v1/agents/{}/runs", encoded(&flags.agent));
        let submitted = client.json(client.request(Method::POST, &path).json(&body)).await?;
        let member = |name: &str| submitted[name].as_str().unwrap_or_default().to_owned();
        let (run_id, thread) = (member("run_id"), member("thread_id"));
        let mut told = Told::new(flags.quiet);
        told.aside(&format!("run {run_id} in thread {thread}"));
        let record = until_over(&client, &run_id, &mut told).await?;
        told.end();
        let status = record["status"].as_str().unwrap_or_default();
        let reason = record["error"]["message"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        if status != "succeeded" {
            super::out::remark(&format!("coagent: the run ended as {status}{reason}"));
        }
        Ok(exit_code(status))
    })
}

fn exit_code(status: &str) -> u8 {
    match status {
        "succeeded" => 0,
        "cancelled" | "superseded" => 4,
        "budget_exceeded" => 5,
        "waiting" => 6,
        _ => 1,
    }
}

/// Tells the run's events until it is over; Ctrl-C cancels it, and its end is told like any other.
async fn until_over(client: &Client, run_id: &str, told: &mut Told) -> Result<Value, Failure> {
    let (mut after, mut tries, mut is_cancelled) = (None::<String>, 0, false);
    // Heard from now on and for the whole run: before anything is told, and between two looks.
    let heard = signal(SignalKind::interrupt());
    let mut interrupts = heard.map_err(|error| Failure::Broken(format!("Ctrl-C cannot be heard: {error}")))?;
    loop {
        let mut request = client.get(&format!("/v1/runs/{run_id}/events"), &[]);
        if let Some(after) = &after {
            request = request.header("last-event-id", after);
        }
        let broken = match client.send(request).await {
            Ok(mut response) => {
                let mut events = Decoder::new(EVENT_BYTES);
                loop {
                    let chunk = tokio::select! {
                        chunk = response.chunk() => chunk,
                        Some(()) = interrupts.recv(), if !is_cancelled => {
                            is_cancelled = true;
                            told.aside("cancelling");
                            client.json(client.request(Method::POST, &format!("/v1/runs/{run_id}/cancel"))).await?;
                            continue;
                        }
                    };
                    match chunk {
                        Ok(Some(bytes)) => events.push(&bytes),
                        Ok(None) => break None,
                        Err(error) => break Some(client.broken(&error)),
                    }
                    while let Some(Ok(event)) = events.next_frame() {
                        told.event(&serde_json::from_str(&event.data).unwrap_or_default())?;
                        after = event.id.or(after);
                    }
                }
            }
            Err(broken @ Failure::Broken(_)) => Some(broken),
            Err(refused) => return Err(refused),
        };
        let record = client.json(client.get(&format!("/v1/runs/{run_id}"), &[])).await;
        match (record, broken) {
            (Ok(record), _) if !matches!(record["status"].as_str(), Some("queued" | "running")) => return Ok(record),
            // It is tried again, or goes on after a restart.
            (Ok(_), None) => {}
            (_, Some(broken)) if tries >= TRIES => return Err(broken),
            (Err(failure), None) if tries >= TRIES => return Err(failure),
            (Ok(_) | Err(_), _) => tries += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

//! `coagent serve`: the process from its configuration to its end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::transcription::Transcriber;
use crate::config::{Config, Flags, Transcription};
use crate::runtime::{Agents, Runtime};
use crate::telemetry::{self, say};
use crate::{server, store};

use super::BAD_CONFIGURATION;

/// Whatever hangs, the process is gone by then.
const LAST_RESORT: Duration = Duration::from_secs(9);

pub(super) fn run(flags: Flags) -> ExitCode {
    let (_log, readable) = telemetry::init();
    let config = match readable.map_err(anyhow::Error::from).and_then(|()| Ok(Config::load(flags)?)) {
        Ok(config) => config,
        Err(error) => return refused(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = runtime.context("the async runtime could not start").and_then(|runtime| {
        let ended = runtime.block_on(serve(&config));
        runtime.shutdown_timeout(Duration::from_millis(500));
        ended
    });
    match served {
        Ok(code) => code,
        Err(error) => {
            say(&format!("coagent: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// It cannot be served as it is configured.
fn refused(error: &dyn std::fmt::Display) -> ExitCode {
    say(&format!("coagent: {error}"));
    ExitCode::from(BAD_CONFIGURATION)
}

async fn serve(config: &Config) -> anyhow::Result<ExitCode> {
    let store = match store::open(&config.store) {
        Ok(store) => store,
        Err(error) => return Ok(refused(&error)),
    };
    let agents = Agents::load(&config.agents);
    for problem in agents.problems() {
        tracing::error!("{problem}");
    }
    for warning in agents.warnings() {
        tracing::warn!("{warning}");
    }
    let transcriber = config.transcription.clone().map(transcriber).transpose()?;
    let runtime = Runtime::start(store, agents).await.context("the store could not be read")?;
    let runtime = Arc::new(runtime.with_transcriber(transcriber));
    let listener = match TcpListener::bind(config.listen).await {
        Ok(listener) => listener,
        Err(error) => return Ok(refused(&format_args!("cannot listen on {}: {error}", config.listen))),
    };
    let address = listener.local_addr().context("the listening address is unknown")?;
    // Before anybody is told that the server is there: a stop from then on is a graceful one.
    let mut signals = Signals::new()?;
    announce(config, &runtime, address);

    let _watching = runtime.watch_agents();
    let _firing = runtime.run_triggers().await;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(listener, server::routes(config, &runtime), config.into(), stop.clone()));
    signals.stop().await;
    let live_runs = match config.store.as_str() {
        "memory:" => "live runs end, and with them what is in memory",
        _ => "durable runs are suspended and go on at the next start, other live runs are closed as interrupted",
    };
    tracing::info!("stopping: no new connections; {live_runs}");
    stop.cancel();
    let ended = tokio::time::timeout(LAST_RESORT, async {
        runtime.end_runs().await;
        serving.await.context("the server crashed")?.context("the server failed")?;
        runtime.close().await.context("the store could not be closed")
    });
    match ended.await {
        Ok(ended) => ended.map(|()| ExitCode::SUCCESS),
        Err(_) => anyhow::bail!("the server did not end in time"),
    }
}

fn transcriber(api: Transcription) -> anyhow::Result<Transcriber> {
    Transcriber::new(api.endpoint, api.model, api.key).map_err(anyhow::Error::msg)
}

/// Says where everything is. `listening on` comes last, when requests are answered.
fn announce(config: &Config, runtime: &Runtime, address: std::net::SocketAddr) {
    let version = env!("CARGO_PKG_VERSION");
    say(&format!("coagent {version} · agents {} · store {}", config.agents.display(), config.store));
    for agent in runtime.agents().all() {
        say(&format!("  {:<16} {:<8} {}", agent.id(), agent.kind(), agent.description()));
        if let Some(missing) = agent.missing() {
            say(&format!("  {:<16} {:<8} cannot run yet: {missing}", "", ""));
        }
    }
    say(&format!("start page      http://{address}/"));
    say(&format!("CopilotKit URL  http://{address}{}", config.base_path));
    say(&format!("listening on http://{address}"));
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

//! Logging: one line an event on standard error, filtered by `COAGENT_LOG`.

use tracing_subscriber::EnvFilter;

/// It logs what it cannot read, which is what people and models say to each other; we log the fault without it.
const SILENCED: &str = "async_openai=off";

/// Starts logging. The default level is `info`; `COAGENT_LOG` takes `tracing` filter directives.
pub fn init() {
    let filter = EnvFilter::try_from_env("COAGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = filter.add_directive(SILENCED.parse().expect("a constant is a directive"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

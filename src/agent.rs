//! What answers runs: the [`Agent`] trait, the definitions that name agents, and the kinds that are built in.
//!
//! It knows events (`agui`) and documents (`state`); of threads, stores and HTTP routes it knows nothing.

pub mod cause;
mod config;
pub mod context;
pub mod definition;
pub(crate) mod emissions;
pub mod error;
mod filling;
pub mod folder;
pub mod llm;
pub mod meter;
pub mod model;
pub mod native;
mod outbound;
pub mod remote;
pub(crate) mod steps;
pub(crate) mod tools;
pub mod transcription;
pub mod trigger;
pub mod types;
mod variables;

use async_trait::async_trait;

use crate::agui::{AgentCapabilities, Base, Json, Outcome, TokenUsage};
pub use context::{RunContext, RunInput};
pub use error::{AgentError, StateError};

/// Something that answers runs.
///
/// - Events are emitted through the context, in order; the runtime checks, stores and forwards them.
/// - The run's terminal follows from the return value: `Ok` is `RUN_FINISHED`, `Err` is `RUN_ERROR`.
/// - It is polled by the task that owns its thread, so it must not block: long computations go to `spawn_blocking`.
/// - A stop drops the future: whatever it holds (an upstream connection, a timer) must end with it.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// What this agent is and can do, for `/info`.
    fn descriptor(&self) -> Descriptor;

    /// What has to be configured before it can run, as a sentence; a run until then fails with the same words.
    fn missing(&self) -> Option<String> {
        None
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError>;
}

/// An agent's self-description.
#[derive(Debug, Clone, Default)]
pub struct Descriptor {
    pub description: String,
    /// What `/info` and `/capabilities` say; absent groups are unknown, not unsupported.
    pub capabilities: AgentCapabilities,
}

/// How a run ended well.
#[derive(Debug, Clone, Default)]
pub struct RunOutcome {
    /// Absent means success.
    pub outcome: Option<Outcome>,
    pub result: Option<Json>,
    pub usage: Vec<TokenUsage>,
    /// The time and the metadata of the terminal.
    pub base: Base,
}

//! What goes wrong between a model and us, sorted by what can be done about it.

use std::time::Duration;

use thiserror::Error;

use crate::agent::error::AgentError;

/// Why an answer did not come, or not whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: FaultKind,
    /// A sentence for the person who reads the chat; it never holds a key.
    pub message: String,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// The classes of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No connection, or one that broke before the answer began.
    Unreachable,
    /// No connection in the time there is for one.
    ConnectTimeout,
    /// The provider was silent for too long.
    Timeout,
    /// Too many requests.
    RateLimited,
    /// The account has nothing left; waiting does not help.
    Exhausted,
    /// The provider failed (5xx, or an error in the stream).
    Provider,
    /// The answer broke off.
    Truncated,
    /// The key is missing, wrong or without rights.
    Auth,
    /// The conversation is longer than the model can read.
    ContextOverflow,
    /// The request as such: no repetition changes the answer.
    Refused,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }

    /// Whether asking the same again may help.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            FaultKind::Unreachable
            | FaultKind::ConnectTimeout
            | FaultKind::RateLimited
            | FaultKind::Provider
            | FaultKind::Truncated => true,
            FaultKind::Timeout
            | FaultKind::Exhausted
            | FaultKind::Auth
            | FaultKind::ContextOverflow
            | FaultKind::Refused => false,
        }
    }

    /// The code of the `RUN_ERROR` that the fault becomes (docs/agents.md §6).
    pub fn code(&self) -> &'static str {
        match self.kind {
            FaultKind::Unreachable | FaultKind::Provider | FaultKind::Refused => "provider_error",
            FaultKind::ConnectTimeout | FaultKind::Timeout => "timeout",
            FaultKind::RateLimited | FaultKind::Exhausted => "rate_limited",
            FaultKind::Truncated => "truncated",
            FaultKind::Auth => "auth",
            FaultKind::ContextOverflow => "context_overflow",
        }
    }
}

impl From<Fault> for AgentError {
    fn from(fault: Fault) -> Self {
        Self::new(fault.code(), fault.message)
    }
}

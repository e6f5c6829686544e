//! What answers for an `llm` agent: the [`Model`] trait, what it is asked, and the pieces an answer comes in.
//!
//! It knows messages and tools (`agui`); of runs, documents and retries it knows nothing.

mod anthropic;
pub mod fault;
mod open;
mod openai;
mod parts;
pub mod prices;
pub mod provider;
mod reading;
mod refusal;
pub mod scripted;
pub mod usage;
mod wire;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::Stream;
use serde_json::Value;

use crate::agent::definition::{AskedModel, Price};
use crate::agui::{Message, TokenUsage, Tool};
pub use fault::{Fault, FaultKind};
pub use open::{Opened, open};

/// A model that can be asked.
///
/// - One call is one attempt: it repeats nothing that failed (`agent/llm/answer.rs` does).
/// - Pieces come as the model makes them. An answer that is whole ends with exactly one [`Piece::Finished`], and nothing
///   follows it; one that breaks off ends with a [`Fault`], also when its connection was closed in good order
///   (`an_answer_without_its_end_is_truncated`).
/// - Calls are numbered from 0 in the order in which they begin, whatever the provider calls them; their arguments may
///   come in any order (`calls_are_told_apart_whatever_their_indexes_say`).
/// - Dropping the answer ends the request upstream (`a_stop_reaches_the_model`).
#[async_trait]
pub trait Model: Send + Sync + 'static {
    /// Who serves it and what it is called there, for accounts.
    fn name(&self) -> &ModelName;

    /// What it costs, where that is known.
    fn price(&self) -> Option<Price> {
        None
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Fault>;
}

/// `provider/name` as a definition writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    pub provider: String,
    pub name: String,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.name)
    }
}

impl ModelName {
    /// As a definition asks for it.
    pub(in crate::agent) fn of(asked: &AskedModel) -> Self {
        Self { provider: asked.provider.clone(), name: asked.name.clone() }
    }
}

/// What a model is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Instructions first, the conversation, and what changes from step to step last. Every tool call is followed by its
    /// result.
    pub messages: Vec<Arc<Message>>,
    pub tools: Vec<Tool>,
    /// The tool that has to be called; without one the model chooses.
    pub required_tool: Option<String>,
    /// The JSON Schema that the answer has to fit, once no tool is called any more. A provider that knows how is held to it;
    /// what a model says all the same is for the asker to check.
    pub output: Option<Value>,
}

/// An answer on its way.
pub type Answer = Pin<Box<dyn Stream<Item = Result<Piece, Fault>> + Send>>;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    Reasoning(String),
    /// A call begins. The id is the provider's, when it has one.
    Call {
        call: usize,
        id: Option<String>,
        name: String,
    },
    /// The next characters of a call's arguments.
    Arguments {
        call: usize,
        delta: String,
    },
    /// What only the provider can read, and wants back with this answer when it is asked to go on from it.
    Sealed(String),
    /// What the answer cost; it replaces what the same answer said before.
    Usage(TokenUsage),
    Finished(Finish),
}

/// Why a whole answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model had nothing to add, or wants its tools called.
    Complete,
    /// It ran into the limit of its output.
    Length,
    /// The provider held the rest back.
    Filtered,
}

//! What agents call: the trait of tools that run here, and the kinds that reach out of this process.

pub(super) mod agents;
pub(super) mod http;
mod input;
pub(crate) mod mcp;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::context::RunContext;
use super::definition::TOOL_TIMEOUT;
use super::error::AgentError;
use crate::agui::{self, to_json};

/// A tool that runs here.
///
/// What it answers goes back to the model, refusals included, as an object with `ok` or as a text. An `Err` ends the run:
/// it is for what no model can mend.
#[async_trait]
pub(super) trait Tool: Send + Sync {
    /// Name, description, and JSON Schema of the arguments.
    fn spec(&self) -> agui::Tool;

    /// Whether a call may run twice: one whose outcome a crash took with it is then made again.
    fn is_idempotent(&self) -> bool {
        false
    }

    /// How long one call may take.
    fn timeout(&self) -> Duration {
        TOOL_TIMEOUT
    }

    async fn call(&self, cx: &RunContext, call: Call<'_>) -> Result<Value, AgentError>;
}

/// One call of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'c> {
    /// The call's id in the conversation, unique on its thread.
    pub(super) id: &'c str,
    pub(super) arguments: &'c Map<String, Value>,
}

/// What a model is told of a call that came to nothing.
pub(super) fn refused(code: &str, error: &str) -> Value {
    json!({ "ok": false, "code": code, "error": error })
}

pub(super) fn spec(name: &str, description: String, parameters: &Value) -> agui::Tool {
    agui::Tool { name: name.to_owned(), description, parameters: Some(to_json(parameters)), metadata: None }
}

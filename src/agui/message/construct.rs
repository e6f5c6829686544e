//! Short ways to make messages, with nothing optional set.

use super::{
    AssistantMessage, DeveloperMessage, FunctionCall, Message, SystemMessage, ToolCall, ToolMessage, UserMessage,
};
use crate::agui::content::Content;

/// One of the kinds that are words with an author.
macro_rules! said {
    ($kind:ident, $id:expr, $content:expr) => {
        $kind {
            id: $id.into(),
            content: $content.into(),
            name: None,
            encrypted_value: None,
            metadata: None,
            subagent_run_id: None,
        }
    };
}

impl Message {
    /// Instructions to the model.
    pub fn system(id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::System(said!(SystemMessage, id, content))
    }

    /// Instructions to the model that come in the middle of a conversation.
    pub fn developer(id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Developer(said!(DeveloperMessage, id, content))
    }

    /// What a person said.
    pub fn user(id: impl Into<String>, content: impl Into<Content>) -> Self {
        Self::User(said!(UserMessage, id, content))
    }

    /// What the agent said.
    pub fn assistant(id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Assistant(AssistantMessage { content: Some(content.into()), ..AssistantMessage::empty(id) })
    }

    /// What a tool answered to the call `tool_call_id`.
    pub fn tool(id: impl Into<String>, tool_call_id: impl Into<String>, content: impl Into<Content>) -> Self {
        Self::Tool(ToolMessage {
            id: id.into(),
            content: content.into(),
            tool_call_id: tool_call_id.into(),
            error: None,
            encrypted_value: None,
            metadata: None,
            subagent_run_id: None,
        })
    }
}

impl AssistantMessage {
    /// A message that says nothing yet.
    pub fn empty(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            content: None,
            name: None,
            encrypted_value: None,
            tool_calls: None,
            metadata: None,
            subagent_run_id: None,
        }
    }
}

impl ToolCall {
    /// A call of `name` with the text of its arguments.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let function = FunctionCall { name: name.into(), arguments: arguments.into() };
        Self { id: id.into(), function, encrypted_value: None, metadata: None }
    }
}

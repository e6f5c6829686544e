//! A model's answer as the events that people see, while it comes, and as the message that the model is told later.

use std::collections::HashSet;
use std::sync::Arc;

use super::history::INTERRUPTED;
use super::predict::{Coming, Predictions};
use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agent::model::Piece;
use crate::agui::{AssistantMessage, Event, Message, ToolCall};

/// One attempt at an answer.
pub(super) struct Speech<'c> {
    cx: &'c RunContext,
    predictions: &'c Predictions,
    /// Of the calls, in their order, those of which something is predicted.
    coming: Vec<Option<Coming>>,
    open: Open,
    /// The message that calls belong to.
    message: Option<String>,
    text: String,
    calls: Vec<ToolCall>,
    /// What the provider wants back with it.
    sealed: Option<String>,
    /// Its text is not for people before it is whole and right.
    holds_text: bool,
    /// Whether anybody has seen anything of it.
    pub(super) is_visible: bool,
}

enum Open {
    Nothing,
    Text(String),
    Reasoning { span: String, message: String },
}

/// Call ids of the run and of what it was told: a provider that numbers its calls begins again with each answer.
#[derive(Debug, Default)]
pub(super) struct CallIds(HashSet<String>);

impl CallIds {
    pub(super) fn of(messages: &[Arc<Message>]) -> Self {
        let calls = messages.iter().flat_map(|message| message.tool_calls());
        Self(calls.map(|call| call.id.clone()).collect())
    }

    /// Takes the calls of an answer that was given before.
    pub(super) fn know(&mut self, calls: &[ToolCall]) {
        self.0.extend(calls.iter().map(|call| call.id.clone()));
    }

    /// The provider's id, if it is there and new.
    fn unique(&mut self, id: Option<String>) -> String {
        let fresh = id.filter(|id| !id.is_empty() && id.len() <= 256 && !self.0.contains(id));
        let id = fresh.unwrap_or_else(|| format!("call_{}", uuid::Uuid::now_v7().simple()));
        self.0.insert(id.clone());
        id
    }
}

impl<'c> Speech<'c> {
    /// With `holds_text` the text is kept and not shown.
    pub(super) fn new(cx: &'c RunContext, predictions: &'c Predictions, holds_text: bool) -> Self {
        Self {
            cx,
            predictions,
            coming: Vec::new(),
            open: Open::Nothing,
            message: None,
            text: String::new(),
            calls: Vec::new(),
            sealed: None,
            holds_text,
            is_visible: false,
        }
    }

    /// Shows the next piece; what is not for people passes by.
    pub(super) async fn show(&mut self, piece: Piece, ids: &mut CallIds) -> Result<(), AgentError> {
        match piece {
            Piece::Text(delta) if self.holds_text => {
                self.text.push_str(&delta);
                Ok(())
            }
            Piece::Text(delta) if !delta.is_empty() => {
                self.text.push_str(&delta);
                let id = self.text_message().await?;
                self.emit(Event::text_content(id, delta)).await
            }
            Piece::Reasoning(delta) if !delta.is_empty() => {
                let id = self.reasoning_message().await?;
                self.emit(Event::reasoning_message_content(id, delta)).await
            }
            Piece::Call { id, name, .. } => {
                self.close_words().await?;
                let parent = self.message.get_or_insert_with(|| self.cx.new_id()).clone();
                let id = ids.unique(id);
                self.coming.push(self.predictions.coming(&name));
                self.calls.push(ToolCall::new(id.as_str(), name.as_str(), ""));
                self.emit(Event::tool_call_start(id, name, Some(parent))).await
            }
            Piece::Arguments { call, delta } if !delta.is_empty() => {
                let coming = self.coming.get_mut(call).and_then(Option::as_mut);
                let call = self.calls.get_mut(call).expect("a model announces a call before its arguments");
                call.function.arguments.push_str(&delta);
                let id = call.id.clone();
                self.is_visible = true;
                self.cx.emit(Event::tool_call_args(id, delta)).await?;
                match coming {
                    Some(coming) => coming.show(self.cx, &call.function.arguments).await,
                    None => Ok(()),
                }
            }
            Piece::Sealed(sealed) => {
                self.sealed = Some(sealed);
                Ok(())
            }
            Piece::Text(_) | Piece::Reasoning(_) | Piece::Arguments { .. } | Piece::Usage(_) | Piece::Finished(_) => {
                Ok(())
            }
        }
    }

    /// Ends the answer: what was said, unless it was nothing, and the events that close it.
    pub(super) fn finish(mut self) -> (Option<AssistantMessage>, Vec<Event>) {
        let mut closing = self.end_of_words();
        for call in &mut self.calls {
            // A client reads the arguments as JSON, also those of a tool without any.
            if call.function.arguments.trim().is_empty() {
                "{}".clone_into(&mut call.function.arguments);
                closing.push(Event::tool_call_args(call.id.as_str(), "{}"));
            }
            closing.push(Event::tool_call_end(call.id.as_str()));
        }
        if self.text.is_empty() && self.calls.is_empty() {
            return (None, closing);
        }
        let id = self.message.unwrap_or_else(|| self.cx.new_id());
        let said = AssistantMessage {
            content: (!self.text.is_empty()).then_some(self.text),
            tool_calls: (!self.calls.is_empty()).then_some(self.calls),
            encrypted_value: self.sealed,
            ..AssistantMessage::empty(id)
        };
        (Some(said), closing)
    }

    /// Closes what is visible of an answer that broke off and is asked for again: nobody is to answer its calls.
    pub(super) async fn break_off(mut self) -> Result<(), AgentError> {
        self.close_words().await?;
        if self.coming.iter().flatten().any(Coming::is_shown) {
            self.cx.predict(Vec::new()).await?;
        }
        for call in std::mem::take(&mut self.calls) {
            self.emit(Event::tool_call_end(call.id.as_str())).await?;
            self.emit(Event::tool_call_result(self.cx.new_id(), call.id.as_str(), INTERRUPTED)).await?;
        }
        Ok(())
    }

    async fn text_message(&mut self) -> Result<String, AgentError> {
        if let Open::Text(id) = &self.open {
            return Ok(id.clone());
        }
        self.close_words().await?;
        let id = self.cx.new_id();
        self.emit(Event::text_start(id.as_str())).await?;
        self.message = Some(id.clone());
        self.open = Open::Text(id.clone());
        Ok(id)
    }

    async fn reasoning_message(&mut self) -> Result<String, AgentError> {
        if let Open::Reasoning { message, .. } = &self.open {
            return Ok(message.clone());
        }
        self.close_words().await?;
        let (span, message) = (self.cx.new_id(), self.cx.new_id());
        self.emit(Event::reasoning_start(span.as_str())).await?;
        self.emit(Event::reasoning_message_start(message.as_str())).await?;
        self.open = Open::Reasoning { span, message: message.clone() };
        Ok(message)
    }

    async fn close_words(&mut self) -> Result<(), AgentError> {
        for event in self.end_of_words() {
            self.emit(event).await?;
        }
        Ok(())
    }

    fn end_of_words(&mut self) -> Vec<Event> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => Vec::new(),
            Open::Text(id) => vec![Event::text_end(id)],
            Open::Reasoning { span, message } => {
                vec![Event::reasoning_message_end(message), Event::reasoning_end(span)]
            }
        }
    }

    async fn emit(&mut self, event: Event) -> Result<(), AgentError> {
        self.is_visible = true;
        self.cx.emit(event).await
    }
}

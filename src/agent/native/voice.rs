//! How the built-in agents talk: word by word, at a pace that a person can follow.

use std::time::Duration;

use serde_json::Value;

use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agui::Event;

/// How many characters of a tool call's arguments go into one event.
const ARGUMENT_PIECE: usize = 16;

/// A run's context and its pace.
pub(super) struct Voice<'c> {
    pub(super) cx: &'c RunContext,
    pub(super) pace: Duration,
    /// The message that the next tool call belongs to; a result ends it.
    parent: Option<String>,
}

impl<'c> Voice<'c> {
    pub(super) fn new(cx: &'c RunContext, pace: Duration) -> Self {
        Self { cx, pace, parent: None }
    }

    /// The pause between two words.
    pub(super) async fn pause(&self) {
        if !self.pace.is_zero() {
            tokio::time::sleep(self.pace).await;
        }
    }

    /// Says a text as one message.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), AgentError> {
        let step = self.cx.open_step("say");
        if let Some(id) = step.recall()? {
            self.parent = Some(id);
            return Ok(());
        }
        let id = self.cx.new_id();
        self.cx.emit(Event::text_start(id.as_str())).await?;
        for word in words(text) {
            self.cx.emit(Event::text_content(id.as_str(), word)).await?;
            self.pause().await;
        }
        step.settle(&id, vec![Event::text_end(id.as_str())]).await?;
        self.parent = Some(id);
        Ok(())
    }

    /// Thinks aloud.
    pub(super) async fn reason(&mut self, text: &str) -> Result<(), AgentError> {
        let step = self.cx.open_step("reason");
        if step.recall::<()>()?.is_some() {
            return Ok(());
        }
        let (span, message) = (self.cx.new_id(), self.cx.new_id());
        self.cx.emit(Event::reasoning_start(span.as_str())).await?;
        self.cx.emit(Event::reasoning_message_start(message.as_str())).await?;
        for word in words(text) {
            self.cx.emit(Event::reasoning_message_content(message.as_str(), word)).await?;
            self.pause().await;
        }
        step.settle(&(), vec![Event::reasoning_message_end(message), Event::reasoning_end(span)]).await
    }

    /// Calls a tool and answers the call's id. Calls in a row, and after a text, belong to one message.
    pub(super) async fn call(&mut self, name: &str, args: &Value) -> Result<String, AgentError> {
        let step = self.cx.open_step("call");
        if let Some((id, parent)) = step.recall()? {
            self.parent = Some(parent);
            return Ok(id);
        }
        let parent = self.parent.get_or_insert_with(|| self.cx.new_id()).clone();
        let id = self.cx.new_id();
        self.cx.emit(Event::tool_call_start(id.as_str(), name, Some(parent.clone()))).await?;
        let args: Vec<char> = args.to_string().chars().collect();
        for piece in args.chunks(ARGUMENT_PIECE) {
            self.cx.emit(Event::tool_call_args(id.as_str(), piece.iter().collect::<String>())).await?;
            self.pause().await;
        }
        step.settle(&(&id, parent), vec![Event::tool_call_end(id.as_str())]).await?;
        Ok(id)
    }

    /// The result of a tool of our own.
    pub(super) async fn answer(&mut self, call: &str, result: &Value) -> Result<(), AgentError> {
        self.parent = None;
        let step = self.cx.open_step("answer");
        if step.recall::<()>()?.is_some() {
            return Ok(());
        }
        step.settle(&(), vec![Event::tool_call_result(self.cx.new_id(), call, plain(result))]).await
    }
}

/// Each with the space after it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    // A set of characters is looked for with less ado than a single one, which is made for long ways to the next.
    text.split_inclusive([' '])
}

/// A value as people read it: texts without quotes, the rest as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

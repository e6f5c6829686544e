//! Questions about events and messages that decide how they are stored and shown.

use crate::agui::event::Event;
use crate::agui::message::Message;
use crate::agui::outcome::Interrupt;

impl Event {
    /// A fragment of a running answer: it may be shown before it is durable.
    pub fn is_streamed_text(&self) -> bool {
        matches!(self, Self::TextMessageContent(_) | Self::ReasoningMessageContent(_) | Self::ToolCallArgs(_))
    }

    /// Id and delta of streamed text that says nothing else; the delta is what its JSON ends with.
    pub(crate) fn plain_delta(&self) -> Option<(&str, &str)> {
        let (id, delta, base) = match self {
            Self::TextMessageContent(event) => (&event.message_id, &event.delta, &event.base),
            Self::ReasoningMessageContent(event) => (&event.message_id, &event.delta, &event.base),
            Self::ToolCallArgs(event) => (&event.tool_call_id, &event.delta, &event.base),
            _ => return None,
        };
        base.is_empty().then_some((id, delta))
    }

    /// A snapshot or delta of the state.
    pub fn is_state(&self) -> bool {
        matches!(self, Self::StateSnapshot(_) | Self::StateDelta(_))
    }

    /// The questions that a run ended with.
    pub fn interrupts(&self) -> &[Interrupt] {
        match self {
            Self::RunFinished(event) => event.outcome.as_ref().map(|outcome| outcome.interrupts()).unwrap_or_default(),
            _ => &[],
        }
    }
}

impl Message {
    /// The call that a tool message answers.
    pub fn tool_call_id(&self) -> Option<&str> {
        match self {
            Self::Tool(message) => Some(&message.tool_call_id),
            _ => None,
        }
    }
}

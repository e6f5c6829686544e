//! The ids that events name messages and tool calls by, and changing them.

use crate::agui::event::Event;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// A text, reasoning or tool message. Activities are left out: a later run may go on with an earlier one's.
    Message,
    ToolCall,
}

impl Event {
    /// Offers each id of the event to `map`, with whether the event opens what the id names; `Some` takes its place.
    pub fn map_ids(&mut self, mut map: impl FnMut(IdKind, &str, bool) -> Option<String>) {
        use IdKind::{Message, ToolCall};
        let mut offer = |kind, id: &mut String, opens| {
            if let Some(new) = map(kind, id, opens) {
                *id = new;
            }
        };
        match self {
            Self::TextMessageStart(event) => offer(Message, &mut event.message_id, true),
            Self::TextMessageContent(event) => offer(Message, &mut event.message_id, false),
            Self::TextMessageEnd(event) => offer(Message, &mut event.message_id, false),
            Self::TextMessageChunk(event) => event.message_id.iter_mut().for_each(|id| offer(Message, id, true)),
            Self::ReasoningMessageStart(event) => offer(Message, &mut event.message_id, true),
            Self::ReasoningMessageContent(event) => offer(Message, &mut event.message_id, false),
            Self::ReasoningMessageEnd(event) => offer(Message, &mut event.message_id, false),
            Self::ReasoningMessageChunk(event) => event.message_id.iter_mut().for_each(|id| offer(Message, id, true)),
            Self::ToolCallStart(event) => {
                offer(ToolCall, &mut event.tool_call_id, true);
                event.parent_message_id.iter_mut().for_each(|id| offer(Message, id, false));
            }
            Self::ToolCallArgs(event) => offer(ToolCall, &mut event.tool_call_id, false),
            Self::ToolCallEnd(event) => offer(ToolCall, &mut event.tool_call_id, false),
            Self::ToolCallChunk(event) => {
                event.tool_call_id.iter_mut().for_each(|id| offer(ToolCall, id, true));
                event.parent_message_id.iter_mut().for_each(|id| offer(Message, id, false));
            }
            Self::ToolCallResult(event) => {
                offer(Message, &mut event.message_id, true);
                offer(ToolCall, &mut event.tool_call_id, false);
            }
            _ => {}
        }
    }
}

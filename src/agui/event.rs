//! The 31 events of AG-UI 1.0 (section 1.3), read from text and written. It does not know in which order they may come
//! (`admit`) nor what they build (`transcript`).

mod base;
mod fields;
mod reading;

use serde::{Serialize, Serializer};

use crate::agui::read::{Reader, read_text};
use crate::agui::record::words;
use crate::json_text;

pub use base::{Base, BaseFields};
pub use fields::*;
pub use reading::{ReadError, Reading};

macro_rules! events {
    ($( $event:ident($payload:ty) = $name:literal, )*) => {
        words! {
            /// The types of AG-UI 1.0's events.
            pub enum EventType { $( $event = $name, )* }
        }

        /// One event of AG-UI 1.0; two are equal if they write the same JSON.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event { $( #[doc = concat!("`", $name, "`")] $event($payload), )* }

        impl Event {
            /// Its type.
            pub fn event_type(&self) -> EventType {
                match self { $( Self::$event(_) => EventType::$event, )* }
            }

            /// The fields that every event may carry.
            pub fn base(&self) -> &Base {
                match self { $( Self::$event(event) => &event.base, )* }
            }

            /// The fields that every event may carry.
            pub fn base_mut(&mut self) -> &mut Base {
                match self { $( Self::$event(event) => &mut event.base, )* }
            }

            fn read_as(event_type: EventType, json: &str, reader: &mut Reader) -> Result<Self, serde_json::Error> {
                match event_type {
                    $( EventType::$event => read_text::<$payload>(json, reader).map(Self::$event), )*
                }
            }
        }

        impl Serialize for Event {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $( Self::$event(event) => event.serialize(serializer), )* }
            }
        }

        $( impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$event(event.into())
            }
        } )*
    };
}

events! {
    TextMessageStart(TextMessageStart) = "TEXT_MESSAGE_START",
    TextMessageContent(TextMessageContent) = "TEXT_MESSAGE_CONTENT",
    TextMessageEnd(TextMessageEnd) = "TEXT_MESSAGE_END",
    TextMessageChunk(Box<TextMessageChunk>) = "TEXT_MESSAGE_CHUNK",
    ToolCallStart(Box<ToolCallStart>) = "TOOL_CALL_START",
    ToolCallArgs(ToolCallArgs) = "TOOL_CALL_ARGS",
    ToolCallEnd(ToolCallEnd) = "TOOL_CALL_END",
    ToolCallChunk(Box<ToolCallChunk>) = "TOOL_CALL_CHUNK",
    ToolCallResult(Box<ToolCallResult>) = "TOOL_CALL_RESULT",
    StateSnapshot(StateSnapshot) = "STATE_SNAPSHOT",
    StateDelta(StateDelta) = "STATE_DELTA",
    MessagesSnapshot(MessagesSnapshot) = "MESSAGES_SNAPSHOT",
    ActivitySnapshot(Box<ActivitySnapshot>) = "ACTIVITY_SNAPSHOT",
    ActivityDelta(Box<ActivityDelta>) = "ACTIVITY_DELTA",
    Raw(Raw) = "RAW",
    Custom(Custom) = "CUSTOM",
    RunStarted(Box<RunStarted>) = "RUN_STARTED",
    RunFinished(Box<RunFinished>) = "RUN_FINISHED",
    RunError(Box<RunError>) = "RUN_ERROR",
    StepStarted(StepStarted) = "STEP_STARTED",
    StepFinished(StepFinished) = "STEP_FINISHED",
    ReasoningStart(ReasoningStart) = "REASONING_START",
    ReasoningMessageStart(ReasoningMessageStart) = "REASONING_MESSAGE_START",
    ReasoningMessageContent(ReasoningMessageContent) = "REASONING_MESSAGE_CONTENT",
    ReasoningMessageEnd(ReasoningMessageEnd) = "REASONING_MESSAGE_END",
    ReasoningMessageChunk(ReasoningMessageChunk) = "REASONING_MESSAGE_CHUNK",
    ReasoningEnd(ReasoningEnd) = "REASONING_END",
    ReasoningEncryptedValue(Box<ReasoningEncryptedValue>) = "REASONING_ENCRYPTED_VALUE",
    SubagentStarted(Box<SubagentStarted>) = "SUBAGENT_STARTED",
    SubagentFinished(Box<SubagentFinished>) = "SUBAGENT_FINISHED",
    SubagentError(Box<SubagentError>) = "SUBAGENT_ERROR",
}

/// Events go through many hands: they stay as small as two texts.
const _: () = assert!(size_of::<Event>() <= 64);

impl Event {
    /// Appends the event as JSON: `type` first, nothing absent as null.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        json_text::write(out, self);
    }

    /// The event as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("events have string keys and finite numbers")
    }

    /// The message, activity or reasoning span that the event is about.
    pub fn message_id(&self) -> Option<&str> {
        match self {
            Self::TextMessageStart(event) => Some(&event.message_id),
            Self::TextMessageContent(event) => Some(&event.message_id),
            Self::TextMessageEnd(event) => Some(&event.message_id),
            Self::TextMessageChunk(event) => event.message_id.as_deref(),
            Self::ToolCallResult(event) => Some(&event.message_id),
            Self::ActivitySnapshot(event) => Some(&event.message_id),
            Self::ActivityDelta(event) => Some(&event.message_id),
            Self::ReasoningStart(event) => Some(&event.message_id),
            Self::ReasoningMessageStart(event) => Some(&event.message_id),
            Self::ReasoningMessageContent(event) => Some(&event.message_id),
            Self::ReasoningMessageEnd(event) => Some(&event.message_id),
            Self::ReasoningMessageChunk(event) => event.message_id.as_deref(),
            Self::ReasoningEnd(event) => Some(&event.message_id),
            _ => None,
        }
    }

    /// The tool call that the event is about.
    pub fn tool_call_id(&self) -> Option<&str> {
        match self {
            Self::ToolCallStart(event) => Some(&event.tool_call_id),
            Self::ToolCallArgs(event) => Some(&event.tool_call_id),
            Self::ToolCallEnd(event) => Some(&event.tool_call_id),
            Self::ToolCallChunk(event) => event.tool_call_id.as_deref(),
            Self::ToolCallResult(event) => Some(&event.tool_call_id),
            _ => None,
        }
    }

    /// Whether the event ends its run.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::RunFinished(_) | Self::RunError(_))
    }
}

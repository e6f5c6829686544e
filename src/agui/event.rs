//! The 31 events of AG-UI 1.0 (section 1.3): their fields, reading them from text and writing them. It does not know in
//! which order they may come (`admit`) nor what they build (`transcript`).

use serde::de::MapAccess;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::agui::content::Content;
use crate::agui::input::RunAgentInput;
use crate::agui::json::{Json, Object, without_lone_surrogates};
use crate::agui::legacy;
use crate::agui::message::Message;
use crate::agui::outcome::{Outcome, SubagentOutcome, TokenUsage};
use crate::agui::patch::PatchOperation;
use crate::agui::read::{Peek, Reader, Unknown, message_of, peek, read_text};
use crate::agui::record::{record, words};

/// The fields that every event may carry (section 1.2).
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// Milliseconds by convention; nothing computes with it.
    pub timestamp: Option<i64>,
    /// The provider's own event: any JSON but null.
    pub raw_event: Option<Json>,
    /// Merged onto the message or tool call that the event builds.
    pub metadata: Option<Object>,
    /// Which subagent's activity this is; never set on `RUN_*` and `MESSAGES_SNAPSHOT`, and on `SUBAGENT_*` a field of
    /// their own.
    pub subagent_run_id: Option<String>,
}

impl Base {
    pub(crate) fn take<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
        attributable: bool,
    ) -> Result<bool, A::Error> {
        match key {
            "timestamp" => self.timestamp = reader.field(map, "timestamp")?,
            "rawEvent" => self.raw_event = reader.field(map, "rawEvent")?,
            "metadata" => self.metadata = reader.field(map, "metadata")?,
            "subagentRunId" if attributable => self.subagent_run_id = reader.field(map, "subagentRunId")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn write_time<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.timestamp.map_or(Ok(()), |timestamp| map.serialize_entry("timestamp", &timestamp))
    }

    pub(crate) fn write_rest<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(subagent) = &self.subagent_run_id {
            map.serialize_entry("subagentRunId", subagent)?;
        }
        if let Some(metadata) = &self.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        if let Some(raw_event) = &self.raw_event {
            map.serialize_entry("rawEvent", raw_event)?;
        }
        Ok(())
    }
}

words! {
    /// Who speaks in a streamed text message.
    pub enum TextRole {
        Developer = "developer",
        System = "system",
        Assistant = "assistant",
        User = "user",
    }
}

words! {
    /// The only role of a tool's result.
    pub enum ToolRole { Tool = "tool" }
}

words! {
    /// The only role of a reasoning message.
    pub enum ReasoningRole { Reasoning = "reasoning" }
}

words! {
    /// What an encrypted value belongs to.
    pub enum EncryptedSubtype {
        Message = "message",
        ToolCall = "tool-call",
    }
}

record! {
    /// A text message begins.
    pub struct TextMessageStart as "type" = "TEXT_MESSAGE_START", base attributable: true {
        message_id: String = "messageId",
    } optional {
        /// Absent means assistant.
        role: TextRole = "role",
        name: String = "name",
    }
}

record! {
    /// A fragment of a text message; may be empty.
    pub struct TextMessageContent as "type" = "TEXT_MESSAGE_CONTENT", base attributable: true {
        message_id: String = "messageId",
        delta: String = "delta",
    }
}

record! {
    /// A text message is complete.
    pub struct TextMessageEnd as "type" = "TEXT_MESSAGE_END", base attributable: true {
        message_id: String = "messageId",
    }
}

record! {
    /// A text message without brackets: the first of a stream needs the id.
    pub struct TextMessageChunk as "type" = "TEXT_MESSAGE_CHUNK", base attributable: true {
    } optional {
        message_id: String = "messageId",
        role: TextRole = "role",
        delta: String = "delta",
        name: String = "name",
    }
}

record! {
    /// A tool call begins.
    pub struct ToolCallStart as "type" = "TOOL_CALL_START", base attributable: true {
        tool_call_id: String = "toolCallId",
        tool_call_name: String = "toolCallName",
    } optional {
        /// The assistant message that carries the call.
        parent_message_id: String = "parentMessageId",
    }
}

record! {
    /// A fragment of a tool call's arguments.
    pub struct ToolCallArgs as "type" = "TOOL_CALL_ARGS", base attributable: true {
        tool_call_id: String = "toolCallId",
        delta: String = "delta",
    }
}

record! {
    /// A tool call's arguments are complete.
    pub struct ToolCallEnd as "type" = "TOOL_CALL_END", base attributable: true {
        tool_call_id: String = "toolCallId",
    }
}

record! {
    /// A tool call without brackets: the first of a stream needs id and name.
    pub struct ToolCallChunk as "type" = "TOOL_CALL_CHUNK", base attributable: true {
    } optional {
        tool_call_id: String = "toolCallId",
        tool_call_name: String = "toolCallName",
        parent_message_id: String = "parentMessageId",
        delta: String = "delta",
    }
}

record! {
    /// What a tool answered; becomes the tool message `messageId`.
    pub struct ToolCallResult as "type" = "TOOL_CALL_RESULT", base attributable: true {
        message_id: String = "messageId",
        tool_call_id: String = "toolCallId",
        content: Content = "content",
    } optional {
        role: ToolRole = "role",
    }
}

record! {
    /// The whole state.
    pub struct StateSnapshot as "type" = "STATE_SNAPSHOT", base attributable: true {
        /// Any JSON, null included.
        snapshot: Json = "snapshot",
    }
}

record! {
    /// A change of the state (RFC 6902).
    pub struct StateDelta as "type" = "STATE_DELTA", base attributable: true {
        delta: Vec<PatchOperation> = "delta",
    }
}

record! {
    /// The whole conversation.
    pub struct MessagesSnapshot as "type" = "MESSAGES_SNAPSHOT", base attributable: false {
        messages: Vec<Message> = "messages",
    }
}

record! {
    /// An activity appears or is replaced.
    pub struct ActivitySnapshot as "type" = "ACTIVITY_SNAPSHOT", base attributable: true {
        message_id: String = "messageId",
        activity_type: String = "activityType",
        content: Object = "content",
    } optional {
        /// Absent means true; false leaves an activity alone that is there already.
        replace: bool = "replace",
    }
}

record! {
    /// A change of an activity's content (RFC 6902).
    pub struct ActivityDelta as "type" = "ACTIVITY_DELTA", base attributable: true {
        message_id: String = "messageId",
        activity_type: String = "activityType",
        patch: Vec<PatchOperation> = "patch",
    }
}

record! {
    /// A provider's event, passed through.
    pub struct Raw as "type" = "RAW", base attributable: true {
        /// Any JSON, null included.
        event: Json = "event",
    } optional {
        source: String = "source",
    }
}

record! {
    /// An application's own event.
    pub struct Custom as "type" = "CUSTOM", base attributable: true {
        name: String = "name",
        /// Any JSON, null included.
        value: Json = "value",
    }
}

record! {
    /// A run begins.
    pub struct RunStarted as "type" = "RUN_STARTED", base attributable: false {
        thread_id: String = "threadId",
        run_id: String = "runId",
    } optional {
        protocol_version: String = "protocolVersion",
        parent_run_id: String = "parentRunId",
        /// Echo of what started the run.
        input: RunAgentInput = "input",
    }
}

record! {
    /// A run ended, not by an error.
    pub struct RunFinished as "type" = "RUN_FINISHED", base attributable: false {
        thread_id: String = "threadId",
        run_id: String = "runId",
    } optional {
        result: Json = "result",
        /// Absent means success.
        outcome: Outcome = "outcome",
        usage: Vec<TokenUsage> = "usage",
    }
}

record! {
    /// A run failed; carries no ids.
    pub struct RunError as "type" = "RUN_ERROR", base attributable: false {
        message: String = "message",
    } optional {
        code: String = "code",
        usage: Vec<TokenUsage> = "usage",
    }
}

record! {
    /// A named step begins.
    pub struct StepStarted as "type" = "STEP_STARTED", base attributable: true {
        step_name: String = "stepName",
    }
}

record! {
    /// A named step ended.
    pub struct StepFinished as "type" = "STEP_FINISHED", base attributable: true {
        step_name: String = "stepName",
    }
}

record! {
    /// A span of reasoning begins; its id names the span only.
    pub struct ReasoningStart as "type" = "REASONING_START", base attributable: true {
        message_id: String = "messageId",
    }
}

record! {
    /// A reasoning message begins.
    pub struct ReasoningMessageStart as "type" = "REASONING_MESSAGE_START", base attributable: true {
        message_id: String = "messageId",
        role: ReasoningRole = "role",
    }
}

record! {
    /// A fragment of a reasoning message.
    pub struct ReasoningMessageContent as "type" = "REASONING_MESSAGE_CONTENT", base attributable: true {
        message_id: String = "messageId",
        delta: String = "delta",
    }
}

record! {
    /// A reasoning message is complete.
    pub struct ReasoningMessageEnd as "type" = "REASONING_MESSAGE_END", base attributable: true {
        message_id: String = "messageId",
    }
}

record! {
    /// A reasoning message without brackets: the first of a stream needs the id.
    pub struct ReasoningMessageChunk as "type" = "REASONING_MESSAGE_CHUNK", base attributable: true {
    } optional {
        message_id: String = "messageId",
        delta: String = "delta",
    }
}

record! {
    /// A span of reasoning ended.
    pub struct ReasoningEnd as "type" = "REASONING_END", base attributable: true {
        message_id: String = "messageId",
    }
}

record! {
    /// The provider's signature of a message or tool call.
    pub struct ReasoningEncryptedValue as "type" = "REASONING_ENCRYPTED_VALUE", base attributable: true {
        subtype: EncryptedSubtype = "subtype",
        entity_id: String = "entityId",
        encrypted_value: String = "encryptedValue",
    }
}

record! {
    /// A subagent begins.
    pub struct SubagentStarted as "type" = "SUBAGENT_STARTED", base attributable: false {
        subagent_run_id: String = "subagentRunId",
        name: String = "name",
    } optional {
        description: String = "description",
        parent_subagent_run_id: String = "parentSubagentRunId",
        parent_tool_call_id: String = "parentToolCallId",
        parent_message_id: String = "parentMessageId",
    }
}

record! {
    /// A subagent ended or waits for an answer.
    pub struct SubagentFinished as "type" = "SUBAGENT_FINISHED", base attributable: false {
        subagent_run_id: String = "subagentRunId",
    } optional {
        result: Json = "result",
        /// Absent means success.
        outcome: SubagentOutcome = "outcome",
    }
}

record! {
    /// A subagent failed.
    pub struct SubagentError as "type" = "SUBAGENT_ERROR", base attributable: false {
        subagent_run_id: String = "subagentRunId",
        message: String = "message",
    } optional {
        code: String = "code",
    }
}

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
    ToolCallStart(ToolCallStart) = "TOOL_CALL_START",
    ToolCallArgs(ToolCallArgs) = "TOOL_CALL_ARGS",
    ToolCallEnd(ToolCallEnd) = "TOOL_CALL_END",
    ToolCallChunk(Box<ToolCallChunk>) = "TOOL_CALL_CHUNK",
    ToolCallResult(Box<ToolCallResult>) = "TOOL_CALL_RESULT",
    StateSnapshot(StateSnapshot) = "STATE_SNAPSHOT",
    StateDelta(StateDelta) = "STATE_DELTA",
    MessagesSnapshot(MessagesSnapshot) = "MESSAGES_SNAPSHOT",
    ActivitySnapshot(Box<ActivitySnapshot>) = "ACTIVITY_SNAPSHOT",
    ActivityDelta(ActivityDelta) = "ACTIVITY_DELTA",
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
    ReasoningEncryptedValue(ReasoningEncryptedValue) = "REASONING_ENCRYPTED_VALUE",
    SubagentStarted(Box<SubagentStarted>) = "SUBAGENT_STARTED",
    SubagentFinished(Box<SubagentFinished>) = "SUBAGENT_FINISHED",
    SubagentError(Box<SubagentError>) = "SUBAGENT_ERROR",
}

/// What one frame turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Event(Event),
    /// A type that AG-UI 1.0 does not have: to be dropped and counted.
    Unknown {
        event_type: String,
    },
}

/// Why a frame is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("invalid event: the frame is not JSON: {message}")]
    Malformed { message: String },
    #[error("invalid event: the frame is not a JSON object")]
    NotAnObject,
    #[error("invalid event: the frame carries no event type")]
    NoType,
    /// `path` is the JSON pointer of the value that cannot be read.
    #[error("invalid {event_type}: {path}: {message}")]
    Invalid { event_type: EventType, path: String, message: String },
}

impl Event {
    /// Reads one frame as tolerantly as the 1.0 client does and a little more: optional nulls are absent, unknown keys
    /// and unknown union members are dropped (section 3.1), `THINKING_*` and `binary` parts are upgraded (section 1.8),
    /// half characters become U+FFFD. `THINKING_*` carries no ids; its upgraded events have empty ones, which
    /// [`Admission`](crate::agui::Admission) fills in.
    pub fn read(json: &str) -> Result<Reading, ReadError> {
        match Self::read_exactly(json) {
            Err(error) => match without_lone_surrogates(json) {
                Some(repaired) => Self::read_exactly(&repaired),
                None => Err(error),
            },
            reading => reading,
        }
    }

    fn read_exactly(json: &str) -> Result<Reading, ReadError> {
        let name = match peek(json, "type") {
            Peek::Tag(name) if !name.is_empty() => name,
            Peek::Tag(_) | Peek::Missing => {
                check_json(json)?;
                return Err(ReadError::NoType);
            }
            Peek::NotAnObject => {
                check_json(json)?;
                return Err(ReadError::NotAnObject);
            }
        };
        let mut reader = Reader::new(Unknown::Dropped);
        let (event_type, result) = match EventType::parse(&name) {
            Some(event_type) => (event_type, Self::read_as(event_type, json, &mut reader)),
            None => match legacy::upgrade(&name, json, &mut reader) {
                Some(upgraded) => upgraded,
                None => {
                    check_json(json)?;
                    return Ok(Reading::Unknown { event_type: name.into_owned() });
                }
            },
        };
        result.map(Reading::Event).map_err(|error| {
            if error.is_data() {
                ReadError::Invalid { event_type, path: reader.pointer(), message: message_of(&error) }
            } else {
                ReadError::Malformed { message: error.to_string() }
            }
        })
    }

    /// Appends the event as JSON: `type` first, nothing absent as null.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("events have string keys and memory takes every write");
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

fn check_json(json: &str) -> Result<(), ReadError> {
    serde_json::from_str::<&RawValue>(json)
        .map(|_| ())
        .map_err(|error| ReadError::Malformed { message: error.to_string() })
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Self::read(<&'de RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)? {
            Reading::Event(event) => Ok(event),
            Reading::Unknown { event_type } => Err(D::Error::custom(format_args!("unknown event type {event_type:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_small_enough_to_be_moved_about() {
        assert!(size_of::<Event>() <= 200, "{} bytes", size_of::<Event>());
    }

    fn check(json: &str, expected: Result<&str, &str>) {
        match (Event::read(json), expected) {
            (Ok(Reading::Event(event)), Ok(expected)) => assert_eq!(event.to_json(), expected),
            (Ok(Reading::Unknown { event_type }), Ok(expected)) => assert_eq!(event_type, expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (reading, expected) => panic!("{json}: {reading:?} is not {expected:?}"),
        }
    }

    #[test]
    fn the_type_may_stand_anywhere_and_is_written_first() {
        let written = Ok(r#"{"type":"TEXT_MESSAGE_END","timestamp":7,"messageId":"m"}"#);
        check(r#"{"type":"TEXT_MESSAGE_END","messageId":"m","timestamp":7.0}"#, written);
        check(r#" { "messageId" : "m", "timestamp":7e0 , "type" : "TEXT_MESSAGE_END" } "#, written);
        check(r#"{"ty\u0070e":"TEXT_MESSAGE_END","messageId":"m","timestamp":7}"#, written);
    }

    #[test]
    fn a_refusal_names_the_field() {
        check(r#"{"type":"TEXT_MESSAGE_END"}"#, Err("invalid TEXT_MESSAGE_END: /messageId: is required"));
        check(
            r#"{"type":"STATE_DELTA","delta":[{"op":"add","path":"/a","value":1},{"op":"move","path":"/a","from":3}]}"#,
            Err("invalid STATE_DELTA: /delta/1/from: expected a string"),
        );
        check(
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"1","role":"assistant","toolCalls":[{"id":"t","type":"function","function":{"name":"f","arguments":{}}}]}]}"#,
            Err("invalid MESSAGES_SNAPSHOT: /messages/0/toolCalls/0/function/arguments: invalid type: map, expected a string"),
        );
    }

    #[test]
    fn what_is_no_event_says_why() {
        check("[]", Err("invalid event: the frame is not a JSON object"));
        check("{}", Err("invalid event: the frame carries no event type"));
        check(r#"{"type":7}"#, Err("invalid event: the frame carries no event type"));
        check(r#"{"type":""}"#, Err("invalid event: the frame carries no event type"));
        check(
            r#"{"type":"RAW","event":}"#,
            Err("invalid event: the frame is not JSON: expected value at line 1 column 23"),
        );
        check(r#"{"type":"NEW_IDEA"}"#, Ok("NEW_IDEA"));
        check(
            r#"{"type":"RUN_ERROR","message":"x","type":"RAW"}"#,
            Err(r#"invalid RUN_ERROR: /type: expected "RUN_ERROR", found "RAW""#),
        );
    }

    #[test]
    fn half_a_character_does_not_end_a_run() {
        check(
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a\ud83c"}"#,
            Ok("{\"type\":\"TEXT_MESSAGE_CONTENT\",\"messageId\":\"m\",\"delta\":\"a\u{fffd}\"}"),
        );
    }
}

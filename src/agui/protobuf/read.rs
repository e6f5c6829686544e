//! From the bytes of one message to an event. The message is told as JSON and read like any other event, so that both
//! encodings accept and refuse the same.

mod message;
mod run;

use prost::Message as _;
use serde::Serialize;
use serde_json::{Map, Value as Tree};

use crate::agui::event::{Event, EventType, ReadError, Reading};

use super::event_type;
use super::value::Value;
use super::wire::{self, EventKind};

use message::{content, messages};
use run::{input, outcome, usage};

/// Why bytes are not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("invalid event: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("invalid event: the envelope carries no event")]
    Empty,
    #[error("invalid event: the envelope carries {envelope} without its base_event")]
    NoBase { envelope: EventType },
    #[error("invalid event: envelope carries {envelope} but the base event declares {base}")]
    OtherType { envelope: EventType, base: String },
    #[error("invalid event: {0}")]
    NoJson(String),
    #[error(transparent)]
    Invalid(#[from] ReadError),
}

/// Reads one message, without its length.
pub fn read(message: &[u8]) -> Result<Event, DecodeError> {
    let envelope = wire::Event::decode(message)?;
    let (envelope, base, subagent, mut fields) = told(envelope.event.ok_or(DecodeError::Empty)?)?;
    let base = base.ok_or(DecodeError::NoBase { envelope })?;
    match wire::EventType::try_from(base.r#type) {
        Ok(declared) if event_type(declared) == envelope => {}
        Ok(declared) => return Err(DecodeError::OtherType { envelope, base: event_type(declared).to_string() }),
        Err(_) => return Err(DecodeError::OtherType { envelope, base: base.r#type.to_string() }),
    }
    let any = |value: &Value| tree(value);
    fields.set("type", Some(envelope.as_str()));
    fields.set("timestamp", base.timestamp);
    fields.set("rawEvent", base.raw_event.as_ref().map(any).transpose()?);
    fields.set("metadata", base.metadata.as_ref().map(tree).transpose()?);
    fields.set("subagentRunId", subagent);
    match Event::read(&Tree::Object(fields.0).to_string())? {
        Reading::Event(event) => Ok(event),
        Reading::Unknown { .. } => unreachable!("the type is one of ours"),
    }
}

/// The members of a JSON object; what is absent is left out.
#[derive(Default)]
struct Fields(Map<String, Tree>);

impl Fields {
    fn set(&mut self, key: &str, value: Option<impl Into<Tree>>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
    }

    fn list(&mut self, key: &str, items: Vec<Tree>) {
        self.set(key, (!items.is_empty()).then_some(items));
    }
}

fn tree<T: Serialize>(value: &T) -> Result<Tree, DecodeError> {
    serde_json::to_value(value).map_err(|error| DecodeError::NoJson(error.to_string()))
}

fn optional<T: Serialize>(value: Option<&T>) -> Result<Option<Tree>, DecodeError> {
    value.map(tree).transpose()
}

/// A value that its field requires; one without any content is null, as an empty message is.
fn required(value: Option<Value>) -> Result<Tree, DecodeError> {
    tree(&value.unwrap_or_default())
}

type Told = (EventType, Option<wire::BaseEvent>, Option<String>, Fields);

fn told(arm: EventKind) -> Result<Told, DecodeError> {
    /// `S` for events that a subagent's id may stand on.
    macro_rules! tell {
        ($event:ident, $type:ident, S, { $($key:literal = $value:expr),* $(,)? }) => {
            tell!($event, $type, $event.subagent_run_id.clone(), { $($key = $value),* })
        };
        ($event:ident, $type:ident, { $($key:literal = $value:expr),* $(,)? }) => {
            tell!($event, $type, None, { $($key = $value),* })
        };
        ($event:ident, $type:ident, $subagent:expr, { $($key:literal = $value:expr),* }) => {{
            let mut fields = Fields::default();
            $( fields.set($key, $value); )*
            (EventType::$type, $event.base_event.clone(), $subagent, fields)
        }};
    }
    let some = Some::<String>;
    Ok(match arm {
        EventKind::TextMessageStart(e) => tell!(e, TextMessageStart, S, {
            "messageId" = some(e.message_id), "role" = e.role, "name" = e.name,
        }),
        EventKind::TextMessageContent(e) => tell!(e, TextMessageContent, S, {
            "messageId" = some(e.message_id), "delta" = some(e.delta),
        }),
        EventKind::TextMessageEnd(e) => tell!(e, TextMessageEnd, S, { "messageId" = some(e.message_id) }),
        EventKind::TextMessageChunk(e) => tell!(e, TextMessageChunk, S, {
            "messageId" = e.message_id, "role" = e.role, "delta" = e.delta, "name" = e.name,
        }),
        EventKind::ToolCallStart(e) => tell!(e, ToolCallStart, S, {
            "toolCallId" = some(e.tool_call_id), "toolCallName" = some(e.tool_call_name),
            "parentMessageId" = e.parent_message_id,
        }),
        EventKind::ToolCallArgs(e) => tell!(e, ToolCallArgs, S, {
            "toolCallId" = some(e.tool_call_id), "delta" = some(e.delta),
        }),
        EventKind::ToolCallEnd(e) => tell!(e, ToolCallEnd, S, { "toolCallId" = some(e.tool_call_id) }),
        EventKind::ToolCallChunk(e) => tell!(e, ToolCallChunk, S, {
            "toolCallId" = e.tool_call_id, "toolCallName" = e.tool_call_name,
            "parentMessageId" = e.parent_message_id, "delta" = e.delta,
        }),
        EventKind::ToolCallResult(e) => tell!(e, ToolCallResult, S, {
            "messageId" = some(e.message_id), "toolCallId" = some(e.tool_call_id), "role" = e.role,
            "content" = Some(content(e.content, &e.content_parts)?),
        }),
        EventKind::StateSnapshot(e) => tell!(e, StateSnapshot, S, { "snapshot" = Some(required(e.snapshot)?) }),
        EventKind::StateDelta(e) => tell!(e, StateDelta, S, { "delta" = Some(operations(&e.delta)?) }),
        EventKind::MessagesSnapshot(e) => tell!(e, MessagesSnapshot, { "messages" = Some(messages(e.messages)?) }),
        EventKind::ActivitySnapshot(e) => tell!(e, ActivitySnapshot, S, {
            "messageId" = some(e.message_id), "activityType" = some(e.activity_type),
            "content" = Some(tree(&e.content.unwrap_or_default())?), "replace" = e.replace,
        }),
        EventKind::ActivityDelta(e) => tell!(e, ActivityDelta, S, {
            "messageId" = some(e.message_id), "activityType" = some(e.activity_type),
            "patch" = Some(operations(&e.patch)?),
        }),
        EventKind::Raw(e) => tell!(e, Raw, S, { "event" = Some(required(e.event)?), "source" = e.source }),
        EventKind::Custom(e) => tell!(e, Custom, S, {
            "name" = some(e.name), "value" = Some(required(e.value)?),
        }),
        EventKind::RunStarted(e) => tell!(e, RunStarted, {
            "threadId" = some(e.thread_id), "runId" = some(e.run_id), "parentRunId" = e.parent_run_id,
            "protocolVersion" = e.protocol_version, "input" = e.input.map(input).transpose()?,
        }),
        EventKind::RunFinished(e) => tell!(e, RunFinished, {
            "threadId" = some(e.thread_id), "runId" = some(e.run_id), "result" = optional(e.result.as_ref())?,
            "outcome" = outcome(&e.outcome, e.interrupts, e.pending_tool_call_ids)?, "usage" = usage(e.usage),
        }),
        EventKind::RunError(e) => tell!(e, RunError, {
            "code" = e.code, "message" = some(e.message), "usage" = usage(e.usage),
        }),
        EventKind::StepStarted(e) => tell!(e, StepStarted, S, { "stepName" = some(e.step_name) }),
        EventKind::StepFinished(e) => tell!(e, StepFinished, S, { "stepName" = some(e.step_name) }),
        EventKind::ReasoningStart(e) => tell!(e, ReasoningStart, S, { "messageId" = some(e.message_id) }),
        EventKind::ReasoningMessageStart(e) => tell!(e, ReasoningMessageStart, S, {
            "messageId" = some(e.message_id), "role" = some(e.role),
        }),
        EventKind::ReasoningMessageContent(e) => tell!(e, ReasoningMessageContent, S, {
            "messageId" = some(e.message_id), "delta" = some(e.delta),
        }),
        EventKind::ReasoningMessageEnd(e) => tell!(e, ReasoningMessageEnd, S, { "messageId" = some(e.message_id) }),
        EventKind::ReasoningMessageChunk(e) => tell!(e, ReasoningMessageChunk, S, {
            "messageId" = e.message_id, "delta" = e.delta,
        }),
        EventKind::ReasoningEnd(e) => tell!(e, ReasoningEnd, S, { "messageId" = some(e.message_id) }),
        EventKind::ReasoningEncryptedValue(e) => tell!(e, ReasoningEncryptedValue, S, {
            "subtype" = some(e.subtype), "entityId" = some(e.entity_id), "encryptedValue" = some(e.encrypted_value),
        }),
        EventKind::SubagentStarted(e) => tell!(e, SubagentStarted, Some(e.subagent_run_id.clone()), {
            "name" = some(e.name), "description" = e.description, "parentSubagentRunId" = e.parent_subagent_run_id,
            "parentToolCallId" = e.parent_tool_call_id, "parentMessageId" = e.parent_message_id
        }),
        EventKind::SubagentFinished(e) => {
            let mut outcome = Fields::default();
            outcome.set("type", Some(e.outcome.clone()));
            outcome.list("interruptIds", e.interrupt_ids.into_iter().map(Tree::from).collect());
            let result = optional(e.result.as_ref())?;
            tell!(e, SubagentFinished, Some(e.subagent_run_id.clone()), {
                "result" = result, "outcome" = (!e.outcome.is_empty()).then_some(outcome.0)
            })
        }
        EventKind::SubagentError(e) => tell!(e, SubagentError, Some(e.subagent_run_id.clone()), {
            "message" = some(e.message), "code" = e.code
        }),
    })
}

fn operations(operations: &[wire::JsonPatchOperation]) -> Result<Tree, DecodeError> {
    let words = ["add", "remove", "replace", "move", "copy", "test"];
    let operation = |operation: &wire::JsonPatchOperation| {
        let word = usize::try_from(operation.op).ok().and_then(|op| words.get(op)).copied();
        let mut fields = Fields::default();
        fields.set("op", Some(word.map_or_else(|| operation.op.to_string(), str::to_owned)));
        fields.set("path", Some(operation.path.clone()));
        fields.set("from", operation.from.clone());
        fields.set("value", optional(operation.value.as_ref())?);
        Ok(Tree::Object(fields.0))
    };
    operations.iter().map(operation).collect()
}

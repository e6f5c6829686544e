//! From events to the messages of the wire.

mod message;
mod run;

use crate::agui::event::{Base, Event, EventType};
use crate::agui::json::{Json, Object, read_json};
use crate::agui::outcome::SubagentOutcome;
use crate::agui::patch::{PatchOp, PatchOperation};

use super::value::{Entry, Kind, Struct, Value};
use super::{wire, wire_type};

use message::{content, message};
use run::{input, outcome, usage};

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self { event: Some(arm(event)) }
    }
}

/// One arm whose message is `base_event` and the fields given; `S` adds the subagent's id.
macro_rules! say {
    ($arm:ident, $message:ident, $base:ident, S, { $($field:ident: $value:expr),* $(,)? }) => {
        say!($arm, $message, $base, { $($field: $value,)* subagent_run_id: $base.1.subagent_run_id.clone() })
    };
    ($arm:ident, $message:ident, $base:ident, { $($field:ident: $value:expr),* $(,)? }) => {
        wire::EventKind::$arm(wire::$message { base_event: Some(base_event($base.0, $base.1)), $($field: $value),* })
    };
}

fn arm(event: &Event) -> wire::EventKind {
    let base = (event.event_type(), event.base());
    match event {
        Event::TextMessageStart(e) => say!(TextMessageStart, TextMessageStartEvent, base, S, {
            message_id: e.message_id.clone(),
            role: e.role.map(|role| role.as_str().to_owned()),
            name: e.name.clone(),
        }),
        Event::TextMessageContent(e) => say!(TextMessageContent, TextMessageContentEvent, base, S, {
            message_id: e.message_id.clone(),
            delta: e.delta.clone(),
        }),
        Event::TextMessageEnd(e) => say!(TextMessageEnd, TextMessageEndEvent, base, S, {
            message_id: e.message_id.clone(),
        }),
        Event::TextMessageChunk(e) => say!(TextMessageChunk, TextMessageChunkEvent, base, S, {
            message_id: e.message_id.clone(),
            role: e.role.map(|role| role.as_str().to_owned()),
            delta: e.delta.clone(),
            name: e.name.clone(),
        }),
        Event::ToolCallStart(e) => say!(ToolCallStart, ToolCallStartEvent, base, S, {
            tool_call_id: e.tool_call_id.clone(),
            tool_call_name: e.tool_call_name.clone(),
            parent_message_id: e.parent_message_id.clone(),
        }),
        Event::ToolCallArgs(e) => say!(ToolCallArgs, ToolCallArgsEvent, base, S, {
            tool_call_id: e.tool_call_id.clone(),
            delta: e.delta.clone(),
        }),
        Event::ToolCallEnd(e) => say!(ToolCallEnd, ToolCallEndEvent, base, S, {
            tool_call_id: e.tool_call_id.clone(),
        }),
        Event::ToolCallChunk(e) => say!(ToolCallChunk, ToolCallChunkEvent, base, S, {
            tool_call_id: e.tool_call_id.clone(),
            tool_call_name: e.tool_call_name.clone(),
            parent_message_id: e.parent_message_id.clone(),
            delta: e.delta.clone(),
        }),
        Event::ToolCallResult(e) => {
            let (content, content_parts) = content(&e.content);
            say!(ToolCallResult, ToolCallResultEvent, base, S, {
                message_id: e.message_id.clone(),
                tool_call_id: e.tool_call_id.clone(),
                content: content,
                role: e.role.map(|role| role.as_str().to_owned()),
                content_parts: content_parts,
            })
        }
        Event::StateSnapshot(e) => say!(StateSnapshot, StateSnapshotEvent, base, S, {
            snapshot: Some(value(&e.snapshot)),
        }),
        Event::StateDelta(e) => say!(StateDelta, StateDeltaEvent, base, S, {
            delta: e.delta.iter().map(operation).collect(),
        }),
        Event::MessagesSnapshot(e) => say!(MessagesSnapshot, MessagesSnapshotEvent, base, {
            messages: e.messages.iter().map(message).collect(),
        }),
        Event::ActivitySnapshot(e) => say!(ActivitySnapshot, ActivitySnapshotEvent, base, S, {
            message_id: e.message_id.clone(),
            activity_type: e.activity_type.clone(),
            content: Some(object(&e.content)),
            replace: e.replace,
        }),
        Event::ActivityDelta(e) => say!(ActivityDelta, ActivityDeltaEvent, base, S, {
            message_id: e.message_id.clone(),
            activity_type: e.activity_type.clone(),
            patch: e.patch.iter().map(operation).collect(),
        }),
        Event::Raw(e) => say!(Raw, RawEvent, base, S, {
            event: Some(value(&e.event)),
            source: e.source.clone(),
        }),
        Event::Custom(e) => say!(Custom, CustomEvent, base, S, {
            name: e.name.clone(),
            value: Some(value(&e.value)),
        }),
        Event::RunStarted(e) => say!(RunStarted, RunStartedEvent, base, {
            thread_id: e.thread_id.clone(),
            run_id: e.run_id.clone(),
            parent_run_id: e.parent_run_id.clone(),
            input: e.input.as_ref().map(input),
            protocol_version: e.protocol_version.clone(),
        }),
        Event::RunFinished(e) => {
            let (word, interrupts, pending) = outcome(e.outcome.as_ref());
            say!(RunFinished, RunFinishedEvent, base, {
                thread_id: e.thread_id.clone(),
                run_id: e.run_id.clone(),
                result: e.result.as_ref().map(value),
                outcome: word.to_owned(),
                interrupts: interrupts,
                usage: usage(e.usage.as_deref()),
                pending_tool_call_ids: pending,
            })
        }
        Event::RunError(e) => say!(RunError, RunErrorEvent, base, {
            code: e.code.clone(),
            message: e.message.clone(),
            usage: usage(e.usage.as_deref()),
        }),
        Event::StepStarted(e) => say!(StepStarted, StepStartedEvent, base, S, { step_name: e.step_name.clone() }),
        Event::StepFinished(e) => say!(StepFinished, StepFinishedEvent, base, S, { step_name: e.step_name.clone() }),
        Event::ReasoningStart(e) => say!(ReasoningStart, ReasoningStartEvent, base, S, {
            message_id: e.message_id.clone(),
        }),
        Event::ReasoningMessageStart(e) => say!(ReasoningMessageStart, ReasoningMessageStartEvent, base, S, {
            message_id: e.message_id.clone(),
            role: e.role.as_str().to_owned(),
        }),
        Event::ReasoningMessageContent(e) => say!(ReasoningMessageContent, ReasoningMessageContentEvent, base, S, {
            message_id: e.message_id.clone(),
            delta: e.delta.clone(),
        }),
        Event::ReasoningMessageEnd(e) => say!(ReasoningMessageEnd, ReasoningMessageEndEvent, base, S, {
            message_id: e.message_id.clone(),
        }),
        Event::ReasoningMessageChunk(e) => say!(ReasoningMessageChunk, ReasoningMessageChunkEvent, base, S, {
            message_id: e.message_id.clone(),
            delta: e.delta.clone(),
        }),
        Event::ReasoningEnd(e) => say!(ReasoningEnd, ReasoningEndEvent, base, S, {
            message_id: e.message_id.clone(),
        }),
        Event::ReasoningEncryptedValue(e) => say!(ReasoningEncryptedValue, ReasoningEncryptedValueEvent, base, S, {
            subtype: e.subtype.as_str().to_owned(),
            entity_id: e.entity_id.clone(),
            encrypted_value: e.encrypted_value.clone(),
        }),
        Event::SubagentStarted(e) => say!(SubagentStarted, SubagentStartedEvent, base, {
            subagent_run_id: e.subagent_run_id.clone(),
            name: e.name.clone(),
            description: e.description.clone(),
            parent_subagent_run_id: e.parent_subagent_run_id.clone(),
            parent_tool_call_id: e.parent_tool_call_id.clone(),
            parent_message_id: e.parent_message_id.clone(),
        }),
        Event::SubagentFinished(e) => {
            let (word, interrupt_ids) = match &e.outcome {
                None => ("", Vec::new()),
                Some(SubagentOutcome::Success(_)) => ("success", Vec::new()),
                Some(SubagentOutcome::Suspended(it)) => ("suspended", it.interrupt_ids.clone().unwrap_or_default()),
            };
            say!(SubagentFinished, SubagentFinishedEvent, base, {
                subagent_run_id: e.subagent_run_id.clone(),
                result: e.result.as_ref().map(value),
                outcome: word.to_owned(),
                interrupt_ids: interrupt_ids,
            })
        }
        Event::SubagentError(e) => say!(SubagentError, SubagentErrorEvent, base, {
            subagent_run_id: e.subagent_run_id.clone(),
            message: e.message.clone(),
            code: e.code.clone(),
        }),
    }
}

fn base_event(event_type: EventType, base: &Base) -> wire::BaseEvent {
    wire::BaseEvent {
        r#type: wire_type(event_type).into(),
        timestamp: base.timestamp,
        raw_event: base.raw_event.as_ref().map(value),
        metadata: base.metadata.as_ref().map(object),
    }
}

/// A value that cannot be taken apart (nested more than 128 levels deep) travels as its text.
fn value(json: &Json) -> Value {
    let text = json.get();
    read_json(text).unwrap_or_else(|_| Value { kind: Some(Kind::Text(text.to_owned())) })
}

fn object(object: &Object) -> Struct {
    match value(&object.clone().into_json()) {
        Value { kind: Some(Kind::Struct(fields)) } => fields,
        text => Struct { fields: vec![Entry { key: "json".to_owned(), value: Some(text) }] },
    }
}

fn operation(operation: &PatchOperation) -> wire::JsonPatchOperation {
    let op = match operation.op {
        PatchOp::Add => wire::JsonPatchOperationType::Add,
        PatchOp::Remove => wire::JsonPatchOperationType::Remove,
        PatchOp::Replace => wire::JsonPatchOperationType::Replace,
        PatchOp::Move => wire::JsonPatchOperationType::Move,
        PatchOp::Copy => wire::JsonPatchOperationType::Copy,
        PatchOp::Test => wire::JsonPatchOperationType::Test,
    };
    wire::JsonPatchOperation {
        op: op.into(),
        path: operation.path.clone(),
        from: operation.from.clone(),
        value: operation.value.as_ref().map(value),
    }
}

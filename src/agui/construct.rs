//! Short ways to make the events that agents and the runtime emit, with nothing optional set. Ids and names are the
//! caller's.

use crate::agui::content::Content;
use crate::agui::event::{
    ActivityDelta, ActivitySnapshot, Base, Custom, EncryptedSubtype, Event, MessagesSnapshot, Raw,
    ReasoningEncryptedValue, ReasoningEnd, ReasoningMessageContent, ReasoningMessageEnd, ReasoningMessageStart,
    ReasoningRole, ReasoningStart, RunError, RunFinished, RunStarted, StateDelta, StateSnapshot, StepFinished,
    StepStarted, SubagentError, SubagentFinished, SubagentStarted, TextMessageContent, TextMessageEnd,
    TextMessageStart, TextRole, ToolCallArgs, ToolCallEnd, ToolCallResult, ToolCallStart, ToolRole,
};
use crate::agui::json::{Json, Object};
use crate::agui::message::{Message, ToolMessage};
use crate::agui::outcome::Outcome;
use crate::agui::patch::PatchOperation;

impl Event {
    /// `TEXT_MESSAGE_START` of the assistant.
    pub fn text_start(message_id: impl Into<String>) -> Self {
        let role = Some(TextRole::Assistant);
        TextMessageStart { message_id: message_id.into(), role, name: None, base: Base::default() }.into()
    }

    /// `TEXT_MESSAGE_CONTENT`
    pub fn text_content(message_id: impl Into<String>, delta: impl Into<String>) -> Self {
        TextMessageContent { message_id: message_id.into(), delta: delta.into(), base: Base::default() }.into()
    }

    /// `TEXT_MESSAGE_END`
    pub fn text_end(message_id: impl Into<String>) -> Self {
        TextMessageEnd { message_id: message_id.into(), base: Base::default() }.into()
    }

    /// `TOOL_CALL_START`; the parent is the assistant message that carries the call, if there is one.
    pub fn tool_call_start(
        tool_call_id: impl Into<String>,
        tool_call_name: impl Into<String>,
        parent_message_id: Option<String>,
    ) -> Self {
        let (tool_call_id, tool_call_name) = (tool_call_id.into(), tool_call_name.into());
        ToolCallStart { tool_call_id, tool_call_name, parent_message_id, base: Base::default() }.into()
    }

    /// `TOOL_CALL_ARGS`
    pub fn tool_call_args(tool_call_id: impl Into<String>, delta: impl Into<String>) -> Self {
        ToolCallArgs { tool_call_id: tool_call_id.into(), delta: delta.into(), base: Base::default() }.into()
    }

    /// `TOOL_CALL_END`
    pub fn tool_call_end(tool_call_id: impl Into<String>) -> Self {
        ToolCallEnd { tool_call_id: tool_call_id.into(), base: Base::default() }.into()
    }

    /// `TOOL_CALL_RESULT` of which clients make this tool message; `None` of other messages, and of what no event can say.
    pub fn result_of(message: &Message) -> Option<Self> {
        let Message::Tool(ToolMessage {
            id,
            content,
            tool_call_id,
            error: None,
            encrypted_value: None,
            metadata: None,
            subagent_run_id,
        }) = message
        else {
            return None;
        };
        let mut event = Self::tool_call_result(id, tool_call_id, content.clone());
        event.base_mut().set_subagent(subagent_run_id.clone());
        Some(event)
    }

    /// `TOOL_CALL_RESULT`; the message is the tool message it becomes.
    pub fn tool_call_result(
        message_id: impl Into<String>,
        tool_call_id: impl Into<String>,
        content: impl Into<Content>,
    ) -> Self {
        Self::from(ToolCallResult {
            message_id: message_id.into(),
            tool_call_id: tool_call_id.into(),
            content: content.into(),
            role: Some(ToolRole::Tool),
            base: Base::default(),
        })
    }

    /// `STEP_STARTED`
    pub fn step_started(step_name: impl Into<String>) -> Self {
        StepStarted { step_name: step_name.into(), base: Base::default() }.into()
    }

    /// `STEP_FINISHED`
    pub fn step_finished(step_name: impl Into<String>) -> Self {
        StepFinished { step_name: step_name.into(), base: Base::default() }.into()
    }

    /// `STATE_SNAPSHOT`
    pub fn state_snapshot(snapshot: Json) -> Self {
        StateSnapshot { snapshot, base: Base::default() }.into()
    }

    /// `STATE_DELTA`
    pub fn state_delta(delta: Vec<PatchOperation>) -> Self {
        StateDelta { delta, base: Base::default() }.into()
    }

    /// `MESSAGES_SNAPSHOT`
    pub fn messages_snapshot(messages: Vec<Message>) -> Self {
        MessagesSnapshot { messages, base: Base::default() }.into()
    }

    /// `ACTIVITY_SNAPSHOT` that replaces what was there.
    pub fn activity_snapshot(message_id: impl Into<String>, activity_type: impl Into<String>, content: Object) -> Self {
        Self::from(ActivitySnapshot {
            message_id: message_id.into(),
            activity_type: activity_type.into(),
            content,
            replace: None,
            base: Base::default(),
        })
    }

    /// `ACTIVITY_DELTA`
    pub fn activity_delta(
        message_id: impl Into<String>,
        activity_type: impl Into<String>,
        patch: Vec<PatchOperation>,
    ) -> Self {
        let (message_id, activity_type) = (message_id.into(), activity_type.into());
        ActivityDelta { message_id, activity_type, patch, base: Base::default() }.into()
    }

    /// `RAW`
    pub fn raw(event: Json, source: Option<String>) -> Self {
        Raw { event, source, base: Base::default() }.into()
    }

    /// `CUSTOM`
    pub fn custom(name: impl Into<String>, value: Json) -> Self {
        Custom { name: name.into(), value, base: Base::default() }.into()
    }

    /// `RUN_STARTED`, in protocol version 1.0.
    pub fn run_started(thread_id: impl Into<String>, run_id: impl Into<String>) -> Self {
        Self::from(RunStarted {
            thread_id: thread_id.into(),
            run_id: run_id.into(),
            protocol_version: Some("1.0".to_owned()),
            parent_run_id: None,
            input: None,
            base: Base::default(),
        })
    }

    /// `RUN_FINISHED` without an outcome, which means success.
    pub fn run_finished(thread_id: impl Into<String>, run_id: impl Into<String>) -> Self {
        Self::run_finished_with(thread_id, run_id, None)
    }

    /// `RUN_FINISHED` with an outcome.
    pub fn run_finished_with(
        thread_id: impl Into<String>,
        run_id: impl Into<String>,
        outcome: Option<Outcome>,
    ) -> Self {
        Self::from(RunFinished {
            thread_id: thread_id.into(),
            run_id: run_id.into(),
            result: None,
            outcome,
            usage: None,
            base: Base::default(),
        })
    }

    /// `RUN_ERROR`
    pub fn run_error(message: impl Into<String>, code: impl Into<String>) -> Self {
        let code = Some(code.into());
        RunError { message: message.into(), code, usage: None, base: Base::default() }.into()
    }

    /// `REASONING_START`
    pub fn reasoning_start(message_id: impl Into<String>) -> Self {
        ReasoningStart { message_id: message_id.into(), base: Base::default() }.into()
    }

    /// `REASONING_END`
    pub fn reasoning_end(message_id: impl Into<String>) -> Self {
        ReasoningEnd { message_id: message_id.into(), base: Base::default() }.into()
    }

    /// `REASONING_MESSAGE_START`
    pub fn reasoning_message_start(message_id: impl Into<String>) -> Self {
        let role = ReasoningRole::Reasoning;
        ReasoningMessageStart { message_id: message_id.into(), role, base: Base::default() }.into()
    }

    /// `REASONING_MESSAGE_CONTENT`
    pub fn reasoning_message_content(message_id: impl Into<String>, delta: impl Into<String>) -> Self {
        ReasoningMessageContent { message_id: message_id.into(), delta: delta.into(), base: Base::default() }.into()
    }

    /// `REASONING_MESSAGE_END`
    pub fn reasoning_message_end(message_id: impl Into<String>) -> Self {
        ReasoningMessageEnd { message_id: message_id.into(), base: Base::default() }.into()
    }

    /// `REASONING_ENCRYPTED_VALUE`
    pub fn reasoning_encrypted_value(
        subtype: EncryptedSubtype,
        entity_id: impl Into<String>,
        encrypted_value: impl Into<String>,
    ) -> Self {
        let (entity_id, encrypted_value) = (entity_id.into(), encrypted_value.into());
        ReasoningEncryptedValue { subtype, entity_id, encrypted_value, base: Base::default() }.into()
    }

    /// `SUBAGENT_STARTED`
    pub fn subagent_started(subagent_run_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::from(SubagentStarted {
            subagent_run_id: subagent_run_id.into(),
            name: name.into(),
            description: None,
            parent_subagent_run_id: None,
            parent_tool_call_id: None,
            parent_message_id: None,
            base: Base::default(),
        })
    }

    /// `SUBAGENT_FINISHED` without an outcome, which means success.
    pub fn subagent_finished(subagent_run_id: impl Into<String>) -> Self {
        let subagent_run_id = subagent_run_id.into();
        SubagentFinished { subagent_run_id, result: None, outcome: None, base: Base::default() }.into()
    }

    /// `SUBAGENT_ERROR`
    pub fn subagent_error(subagent_run_id: impl Into<String>, message: impl Into<String>) -> Self {
        let (subagent_run_id, message) = (subagent_run_id.into(), message.into());
        SubagentError { subagent_run_id, message, code: None, base: Base::default() }.into()
    }
}

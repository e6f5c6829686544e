//! The fields of each event beyond those that every event has (section 1.3), one struct per type.

use crate::agui::content::Content;
use crate::agui::input::RunAgentInput;
use crate::agui::json::{Json, Object};
use crate::agui::message::Message;
use crate::agui::outcome::{Outcome, SubagentOutcome, TokenUsage};
use crate::agui::patch::PatchOperation;
use crate::agui::record::{record, words};

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

//! What a run is given and how it ends.

use serde_json::{Value as Tree, json};

use super::super::wire;
use super::message::messages;
use super::{DecodeError, Fields, optional};

pub(super) fn input(input: wire::RunAgentInput) -> Result<Tree, DecodeError> {
    let mut fields = Fields::default();
    fields.set("threadId", Some(input.thread_id));
    fields.set("runId", Some(input.run_id));
    fields.set("parentRunId", input.parent_run_id);
    fields.set("protocolVersion", input.protocol_version);
    fields.set("state", optional(input.state.as_ref())?);
    fields.set("messages", Some(messages(input.messages)?));
    fields.set("tools", Some(input.tools.into_iter().map(tool).collect::<Result<Tree, _>>()?));
    let context = |entry: wire::Context| json!({"description": entry.description, "value": entry.value});
    fields.set("context", Some(input.context.into_iter().map(context).collect::<Tree>()));
    fields.set("forwardedProps", optional(input.forwarded_props.as_ref())?);
    fields.list("resume", input.resume.into_iter().map(resume).collect::<Result<_, _>>()?);
    Ok(Tree::Object(fields.0))
}

fn tool(tool: wire::Tool) -> Result<Tree, DecodeError> {
    let mut fields = Fields::default();
    fields.set("name", Some(tool.name));
    fields.set("description", Some(tool.description));
    fields.set("parameters", optional(tool.parameters.as_ref())?);
    fields.set("metadata", optional(tool.metadata.as_ref())?);
    Ok(Tree::Object(fields.0))
}

fn resume(entry: wire::ResumeEntry) -> Result<Tree, DecodeError> {
    let mut fields = Fields::default();
    fields.set("interruptId", Some(entry.interrupt_id));
    fields.set("status", Some(entry.status));
    fields.set("payload", optional(entry.payload.as_ref())?);
    fields.set("metadata", optional(entry.metadata.as_ref())?);
    Ok(Tree::Object(fields.0))
}

pub(super) fn outcome(
    word: &str,
    interrupts: Vec<wire::Interrupt>,
    pending: Vec<String>,
) -> Result<Option<Tree>, DecodeError> {
    if word.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::default();
    fields.set("type", Some(word));
    fields.list("interrupts", interrupts.into_iter().map(interrupt).collect::<Result<_, _>>()?);
    fields.list("pendingToolCallIds", pending.into_iter().map(Tree::from).collect());
    Ok(Some(Tree::Object(fields.0)))
}

fn interrupt(interrupt: wire::Interrupt) -> Result<Tree, DecodeError> {
    let mut fields = Fields::default();
    fields.set("id", Some(interrupt.id));
    fields.set("reason", Some(interrupt.reason));
    fields.set("message", interrupt.message);
    fields.set("toolCallId", interrupt.tool_call_id);
    fields.set("responseSchema", optional(interrupt.response_schema.as_ref())?);
    fields.set("expiresAt", interrupt.expires_at);
    fields.set("metadata", optional(interrupt.metadata.as_ref())?);
    fields.set("subagentRunId", interrupt.subagent_run_id);
    Ok(Tree::Object(fields.0))
}

pub(super) fn usage(usage: Vec<wire::Usage>) -> Option<Tree> {
    let entry = |entry: wire::Usage| {
        let mut fields = Fields::default();
        fields.set("provider", entry.provider);
        fields.set("model", entry.model);
        fields.set("inputTokens", entry.input_tokens);
        fields.set("outputTokens", entry.output_tokens);
        fields.set("totalTokens", entry.total_tokens);
        fields.set("reasoningTokens", entry.reasoning_tokens);
        fields.set("cachedInputTokens", entry.cached_input_tokens);
        fields.set("cacheWriteInputTokens", entry.cache_write_input_tokens);
        Tree::Object(fields.0)
    };
    (!usage.is_empty()).then(|| usage.into_iter().map(entry).collect())
}

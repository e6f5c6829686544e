//! What a run is given and how it ends.

use crate::agui::input::{Context, ResumeEntry, RunAgentInput, Tool};
use crate::agui::json::Object;
use crate::agui::outcome::{Interrupt, Outcome, TokenUsage};

use super::super::wire;
use super::message::message;
use super::{object, value};

pub(super) fn input(input: &RunAgentInput) -> wire::RunAgentInput {
    wire::RunAgentInput {
        thread_id: input.thread_id.clone(),
        run_id: input.run_id.clone(),
        parent_run_id: input.parent_run_id.clone(),
        state: input.state.as_ref().map(value),
        messages: input.messages.iter().map(message).collect(),
        tools: input.tools.iter().map(tool).collect(),
        context: input.context.iter().map(context).collect(),
        forwarded_props: input.forwarded_props.as_ref().map(value),
        resume: input.resume.iter().map(resume).collect(),
        protocol_version: input.protocol_version.clone(),
    }
}

fn tool(tool: &Tool) -> wire::Tool {
    wire::Tool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.as_ref().map(value),
        metadata: tool.metadata.as_ref().map(object),
    }
}

fn context(context: &Context) -> wire::Context {
    wire::Context { description: context.description.clone(), value: context.value.clone() }
}

fn resume(entry: &ResumeEntry) -> wire::ResumeEntry {
    wire::ResumeEntry {
        interrupt_id: entry.interrupt_id.clone(),
        status: entry.status.as_str().to_owned(),
        payload: entry.payload.as_ref().map(value),
        metadata: entry.metadata.as_ref().map(object),
    }
}

/// The word, and what it carries beside it.
pub(super) fn outcome(outcome: Option<&Outcome>) -> (&'static str, Vec<wire::Interrupt>, Vec<String>) {
    match outcome {
        None => ("", Vec::new(), Vec::new()),
        Some(Outcome::Success(success)) => {
            ("success", Vec::new(), success.pending_tool_call_ids.clone().unwrap_or_default())
        }
        Some(Outcome::Interrupt(it)) => ("interrupt", it.interrupts.iter().map(interrupt).collect(), Vec::new()),
        Some(Outcome::Cancelled(_)) => ("cancelled", Vec::new(), Vec::new()),
    }
}

fn interrupt(interrupt: &Interrupt) -> wire::Interrupt {
    let any = |object: &Object| value(&object.clone().into_json());
    wire::Interrupt {
        id: interrupt.id.clone(),
        reason: interrupt.reason.clone(),
        message: interrupt.message.clone(),
        tool_call_id: interrupt.tool_call_id.clone(),
        response_schema: interrupt.response_schema.as_ref().map(any),
        expires_at: interrupt.expires_at.clone(),
        metadata: interrupt.metadata.as_ref().map(any),
        subagent_run_id: interrupt.subagent_run_id.clone(),
    }
}

pub(super) fn usage(usage: Option<&[TokenUsage]>) -> Vec<wire::Usage> {
    let count = |tokens: Option<u64>| tokens.and_then(|tokens| i64::try_from(tokens).ok());
    let entry = |entry: &TokenUsage| wire::Usage {
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        input_tokens: count(entry.input_tokens),
        output_tokens: count(entry.output_tokens),
        total_tokens: count(entry.total_tokens),
        reasoning_tokens: count(entry.reasoning_tokens),
        cached_input_tokens: count(entry.cached_input_tokens),
        cache_write_input_tokens: count(entry.cache_write_input_tokens),
    };
    usage.unwrap_or_default().iter().map(entry).collect()
}

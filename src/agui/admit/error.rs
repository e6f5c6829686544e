//! Why an event may not come now, in the words of AG-UI's own client (section 3.2).

use std::fmt;

use crate::agui::event::EventType;

/// An event that breaks the sequence of its run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    #[error(
        "Cannot send 'RUN_STARTED' while a run is still active. The previous run must be finished with 'RUN_FINISHED' before starting a new run."
    )]
    RunActive,
    #[error("Cannot send '{event}' with an empty '{field}'.")]
    EmptyId { event: EventType, field: &'static str },
    #[error(
        "Cannot send '{event}' event: A {} with ID '{id}' is already in progress. Complete it with '{}' first.",
        noun(*event), closer(*event)
    )]
    AlreadyOpen { event: EventType, id: String },
    #[error("Cannot send '{event}' event: No active {} found with ID '{id}'. {}", noun(*event), Advice(*event))]
    NotOpen { event: EventType, id: String },
    #[error(
        "Cannot send '{event}': subagentRunId '{subagent}' does not match the {noun} '{id}' opener's subagent {}.",
        Name(owner)
    )]
    OwnerMismatch { event: EventType, subagent: String, noun: &'static str, id: String, owner: Option<String> },
    #[error(
        "Cannot send 'TOOL_CALL_START': subagentRunId '{subagent}' does not match its parent message '{message}' owner {}. A tool call belongs to the message that carries it.",
        Name(owner)
    )]
    ParentMismatch { subagent: String, message: String, owner: Option<String> },
    #[error(
        "Cannot send 'TOOL_CALL_START': tool call '{call}' is owned by {} but its parent message '{message}' is owned by {}.",
        Name(call_owner),
        Name(owner)
    )]
    ReopenedElsewhere { call: String, call_owner: Option<String>, message: String, owner: Option<String> },
    #[error("Step \"{step}\" is already active for 'STEP_STARTED'{}", InSubagent(subagent))]
    StepActive { step: String, subagent: Option<String> },
    #[error("Cannot send 'STEP_FINISHED' for step \"{step}\" that was not started")]
    StepNotStarted { step: String },
    #[error(
        "Cannot send 'STEP_FINISHED' for step \"{step}\" attributed to {}: that step is open under {}. A step must be finished by whoever started it.",
        Name(subagent),
        Name(owner)
    )]
    StepOfAnother { step: String, subagent: Option<String>, owner: Option<String> },
    #[error(
        "Cannot send 'SUBAGENT_STARTED': subagent '{subagent}' is already active. Finish it with 'SUBAGENT_FINISHED' first."
    )]
    SubagentActive { subagent: String },
    #[error(
        "Cannot send 'SUBAGENT_STARTED': subagent '{subagent}' has already finished in this run. Subagent IDs are per-invocation and cannot be reused."
    )]
    SubagentEnded { subagent: String },
    #[error("Cannot send 'SUBAGENT_STARTED': parentSubagentRunId '{parent}' has not been started in this run.")]
    SubagentParentUnknown { parent: String },
    #[error(
        "Cannot send '{event}': no active subagent found with ID '{subagent}'. A 'SUBAGENT_STARTED' event must be sent first."
    )]
    SubagentNotActive { event: EventType, subagent: String },
    #[error("First {event} must have a {field}")]
    FirstChunk { event: EventType, field: &'static str },
    #[error("Cannot continue '{event}': chunk {field} '{value}' does not match the open stream's {field} '{open}'.")]
    ChunkMismatch { event: EventType, field: &'static str, value: String, open: String },
    #[error(
        "Ambiguous '{event}': it has no id and no subagentRunId, and more than one stream is open that it could continue."
    )]
    AmbiguousChunk { event: EventType },
}

/// What the events of one bracket are about.
pub(super) fn noun(event: EventType) -> &'static str {
    match event {
        EventType::ToolCallStart | EventType::ToolCallArgs | EventType::ToolCallEnd => "tool call",
        EventType::ReasoningStart | EventType::ReasoningEnd => "reasoning span",
        EventType::ReasoningMessageStart | EventType::ReasoningMessageContent | EventType::ReasoningMessageEnd => {
            "reasoning message"
        }
        _ => "text message",
    }
}

fn opener(event: EventType) -> EventType {
    match event {
        EventType::ToolCallStart | EventType::ToolCallArgs | EventType::ToolCallEnd => EventType::ToolCallStart,
        EventType::ReasoningStart | EventType::ReasoningEnd => EventType::ReasoningStart,
        EventType::ReasoningMessageStart | EventType::ReasoningMessageContent | EventType::ReasoningMessageEnd => {
            EventType::ReasoningMessageStart
        }
        _ => EventType::TextMessageStart,
    }
}

fn closer(event: EventType) -> EventType {
    match opener(event) {
        EventType::ToolCallStart => EventType::ToolCallEnd,
        EventType::ReasoningStart => EventType::ReasoningEnd,
        EventType::ReasoningMessageStart => EventType::ReasoningMessageEnd,
        _ => EventType::TextMessageEnd,
    }
}

/// How to do it right.
struct Advice(EventType);

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opener = opener(self.0);
        match self.0 {
            EventType::TextMessageEnd | EventType::ToolCallEnd | EventType::ReasoningEnd => {
                write!(formatter, "A '{opener}' event must be sent first.")
            }
            other => write!(formatter, "Start a {} with '{opener}' first.", noun(other)),
        }
    }
}

/// A subagent, or the agent that has no name.
struct Name<'o>(&'o Option<String>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(subagent) => write!(formatter, "'{subagent}'"),
            None => formatter.write_str("(the parent agent)"),
        }
    }
}

struct InSubagent<'o>(&'o Option<String>);

impl fmt::Display for InSubagent<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(subagent) => write!(formatter, " in subagent '{subagent}'"),
            None => Ok(()),
        }
    }
}

//! What a client understands. Clients that send no protocol version are 0.0.59 inside CopilotKit, which dies of what
//! 1.0 added; they get the same events without it (the intersection rule of section 3b).

use std::borrow::Cow;

use crate::agui::content::{Content, ContentPart, Source};
use crate::agui::event::Event;
use crate::agui::legacy::BinaryPart;
use crate::agui::message::Message;
use crate::agui::outcome::Outcome;

/// The version of AG-UI that a client speaks, as far as it matters for what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// 0.x: no cancelled outcome, no pending calls, no parts in tool results, files as `binary` parts, no subagents (nor their steps).
    Legacy,
    /// 1.0 and newer.
    V1,
}

impl Dialect {
    /// The dialect of a client that sent this `protocolVersion`; one that is not `major.minor` is a newer one.
    pub fn of(protocol_version: Option<&str>) -> Self {
        match protocol_version {
            None => Self::Legacy,
            Some(version) => match version.split_once('.') {
                Some((major, minor))
                    if major.bytes().all(|digit| digit == b'0') && is_digits(major) && is_digits(minor) =>
                {
                    Self::Legacy
                }
                _ => Self::V1,
            },
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Event {
    /// The event as a client of this dialect may be sent it; `None` if not at all.
    pub fn for_dialect(&self, dialect: Dialect) -> Option<Cow<'_, Self>> {
        match dialect {
            Dialect::Legacy if self.differs_in_legacy() => self.to_legacy().map(Cow::Owned),
            Dialect::Legacy | Dialect::V1 => Some(Cow::Borrowed(self)),
        }
    }

    /// Whether 0.x clients must be sent something else, or nothing.
    pub fn differs_in_legacy(&self) -> bool {
        self.base().subagent_run_id.is_some()
            || match self {
                Self::SubagentStarted(_) | Self::SubagentFinished(_) | Self::SubagentError(_) => true,
                Self::ToolCallResult(event) => matches!(event.content, Content::Parts(_)),
                Self::MessagesSnapshot(event) => event.messages.iter().any(message_differs),
                Self::RunStarted(event) => {
                    event.input.as_ref().is_some_and(|input| input.messages.iter().any(message_differs))
                }
                Self::RunFinished(event) => event.outcome.as_ref().is_some_and(outcome_differs),
                _ => false,
            }
    }

    fn to_legacy(&self) -> Option<Self> {
        let mut event = self.clone();
        event.base_mut().set_subagent(None);
        match &mut event {
            Self::SubagentStarted(_) | Self::SubagentFinished(_) | Self::SubagentError(_) => return None,
            // Two subagents may be in steps of one name, which 0.x takes for one step started twice.
            Self::StepStarted(_) | Self::StepFinished(_) if self.base().subagent_run_id.is_some() => return None,
            Self::ToolCallResult(event) => flatten(&mut event.content),
            Self::MessagesSnapshot(event) => event.messages.iter_mut().for_each(simplify),
            Self::RunStarted(event) => {
                if let Some(input) = &mut event.input {
                    input.messages.iter_mut().for_each(simplify);
                }
            }
            Self::RunFinished(event) => match &mut event.outcome {
                Some(Outcome::Success(success)) => success.pending_tool_call_ids = None,
                Some(Outcome::Interrupt(interrupted)) => {
                    interrupted.interrupts.iter_mut().for_each(|interrupt| interrupt.subagent_run_id = None);
                }
                Some(Outcome::Cancelled(_)) => event.outcome = None,
                None => {}
            },
            _ => {}
        }
        Some(event)
    }
}

impl Message {
    /// The message as a peer of this dialect takes it.
    pub fn for_dialect(&self, dialect: Dialect) -> Cow<'_, Self> {
        if dialect == Dialect::V1 || !message_differs(self) {
            return Cow::Borrowed(self);
        }
        let mut message = self.clone();
        simplify(&mut message);
        Cow::Owned(message)
    }
}

impl Content {
    /// Whether a client of this dialect that was told this and changed nothing posts `posted`.
    pub fn is_told_as(&self, posted: &Self, dialect: Dialect) -> bool {
        self == posted || dialect == Dialect::Legacy && self.in_legacy() == posted.in_legacy()
    }

    /// What 0.x clients keep of it: no file without a media type, no provider, no ids of parts, no metadata of texts.
    fn in_legacy(&self) -> Self {
        let Self::Parts(parts) = self else { return self.clone() };
        let kept = parts.iter().filter_map(|part| match (BinaryPart::of_file(part), part) {
            (Some(binary), _) => Some(binary.upgrade()),
            (None, part) if is_file(part) => None,
            (None, part) => Some(part.clone()),
        });
        Self::Parts(kept.map(ContentPart::without_what_1_0_added).collect())
    }
}

fn outcome_differs(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Success(success) => success.pending_tool_call_ids.is_some(),
        Outcome::Interrupt(interrupted) => interrupted.interrupts.iter().any(|one| one.subagent_run_id.is_some()),
        Outcome::Cancelled(_) => true,
    }
}

fn message_differs(message: &Message) -> bool {
    message.subagent_run_id().is_some()
        || match message {
            Message::Tool(message) => matches!(message.content, Content::Parts(_)),
            Message::User(message) => match &message.content {
                Content::Parts(parts) => parts.iter().any(is_file),
                Content::Text(_) => false,
            },
            Message::Developer(_)
            | Message::System(_)
            | Message::Assistant(_)
            | Message::Activity(_)
            | Message::Reasoning(_) => false,
        }
}

fn simplify(message: &mut Message) {
    *message.subagent_run_id_mut() = None;
    match message {
        Message::Tool(message) => flatten(&mut message.content),
        Message::User(message) => {
            if let Content::Parts(parts) = &mut message.content {
                parts.iter_mut().for_each(|part| {
                    if let Some(binary) = BinaryPart::of_file(part) {
                        *part = ContentPart::Binary(binary);
                    }
                });
                parts.retain(|part| !is_file(part));
            }
        }
        Message::Developer(_)
        | Message::System(_)
        | Message::Assistant(_)
        | Message::Activity(_)
        | Message::Reasoning(_) => {}
    }
}

/// Files at a provider: a source that 0.x does not have, beside its `binary` parts.
fn is_file(part: &ContentPart) -> bool {
    matches!(part.source(), Some(Source::File(_)))
}

fn flatten(content: &mut Content) {
    if let Content::Parts(_) = content {
        *content = Content::Text(content.text());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::Reading;

    #[test]
    fn only_clients_without_a_version_or_below_one_are_legacy() {
        for (version, expected) in [
            (None, Dialect::Legacy),
            (Some("0.9"), Dialect::Legacy),
            (Some("1.0"), Dialect::V1),
            (Some("2.3"), Dialect::V1),
            (Some("1.0.0"), Dialect::V1),
            (Some("v1"), Dialect::V1),
            (Some(""), Dialect::V1),
        ] {
            assert_eq!(Dialect::of(version), expected, "{version:?}");
        }
    }

    fn check(json: &str, expected: Option<&str>) {
        let Ok(Reading::Event(event)) = Event::read(json) else { panic!("{json}") };
        let legacy = event.for_dialect(Dialect::Legacy);
        assert_eq!(legacy.as_ref().map(|event| event.to_json()).as_deref(), expected);
        let changed = legacy.is_none_or(|legacy| *legacy != event);
        assert_eq!(changed, event.differs_in_legacy(), "{json}");
        assert_eq!(event.for_dialect(Dialect::V1).as_deref(), Some(&event));
    }

    #[test]
    fn old_clients_are_sent_nothing_that_kills_them() {
        check(
            r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{"type":"cancelled"}}"#,
            Some(r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r"}"#),
        );
        check(
            r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{"type":"success","pendingToolCallIds":["c"]}}"#,
            Some(r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{"type":"success"}}"#),
        );
        check(
            r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"c","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","value":"x"}},{"type":"text","text":"b"}]}"#,
            Some(r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"c","content":"ab"}"#),
        );
        check(r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#, None);
        check(r#"{"type":"STEP_STARTED","stepName":"n","subagentRunId":"s"}"#, None);
        check(
            r#"{"type":"TEXT_MESSAGE_END","messageId":"m","subagentRunId":"s"}"#,
            Some(r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#),
        );
        check(
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"role":"user","id":"u","content":[{"type":"text","text":"a"},{"type":"document","source":{"type":"file","value":"f"}}]}]}"#,
            Some(
                r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"role":"user","id":"u","content":[{"type":"text","text":"a"}]}]}"#,
            ),
        );
        check(
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"role":"user","id":"u","content":[{"type":"image","source":{"type":"file","value":"f","mimeType":"image/png"},"metadata":{"filename":"a.png"}}]}]}"#,
            Some(
                r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"role":"user","id":"u","content":[{"type":"binary","mimeType":"image/png","id":"f","filename":"a.png"}]}]}"#,
            ),
        );
        check(
            r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","input":{"threadId":"t","runId":"r","messages":[{"role":"tool","id":"m","content":[],"toolCallId":"c","subagentRunId":"s"}]}}"#,
            Some(
                r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","input":{"threadId":"t","runId":"r","messages":[{"role":"tool","id":"m","content":"","toolCallId":"c"}],"tools":[],"context":[]}}"#,
            ),
        );
        check(r#"{"type":"RUN_ERROR","message":"m"}"#, Some(r#"{"type":"RUN_ERROR","message":"m"}"#));
    }
}

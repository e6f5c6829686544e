//! The ids that events name messages and tool calls by, and changing them.

use crate::agui::event::{EncryptedSubtype, Event};
use crate::agui::outcome::Outcome;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// A text, reasoning or tool message. Activities are left out: a later run may go on with an earlier one's.
    Message,
    ToolCall,
}

impl Event {
    /// Offers each id of the event to `map`, with whether the event opens what the id names; `Some` takes its place.
    /// Spans of reasoning have ids that name nothing else, and a `MESSAGES_SNAPSHOT` tells of the whole thread in the
    /// thread's own ids.
    pub fn map_ids(&mut self, mut map: impl FnMut(IdKind, &str, bool) -> Option<String>) {
        use IdKind::{Message, ToolCall};
        let mut offer = |kind, id: &mut String, opens| {
            if let Some(new) = map(kind, id, opens) {
                *id = new;
            }
        };
        match self {
            Self::TextMessageStart(event) => offer(Message, &mut event.message_id, true),
            Self::TextMessageContent(event) => offer(Message, &mut event.message_id, false),
            Self::TextMessageEnd(event) => offer(Message, &mut event.message_id, false),
            Self::TextMessageChunk(event) => event.message_id.iter_mut().for_each(|id| offer(Message, id, true)),
            Self::ReasoningMessageStart(event) => offer(Message, &mut event.message_id, true),
            Self::ReasoningMessageContent(event) => offer(Message, &mut event.message_id, false),
            Self::ReasoningMessageEnd(event) => offer(Message, &mut event.message_id, false),
            Self::ReasoningMessageChunk(event) => event.message_id.iter_mut().for_each(|id| offer(Message, id, true)),
            Self::ToolCallStart(event) => {
                offer(ToolCall, &mut event.tool_call_id, true);
                event.parent_message_id.iter_mut().for_each(|id| offer(Message, id, false));
            }
            Self::ToolCallArgs(event) => offer(ToolCall, &mut event.tool_call_id, false),
            Self::ToolCallEnd(event) => offer(ToolCall, &mut event.tool_call_id, false),
            Self::ToolCallChunk(event) => {
                event.tool_call_id.iter_mut().for_each(|id| offer(ToolCall, id, true));
                event.parent_message_id.iter_mut().for_each(|id| offer(Message, id, false));
            }
            Self::ToolCallResult(event) => {
                offer(Message, &mut event.message_id, true);
                offer(ToolCall, &mut event.tool_call_id, false);
            }
            Self::ReasoningEncryptedValue(event) => {
                let kind = match event.subtype {
                    EncryptedSubtype::Message => Message,
                    EncryptedSubtype::ToolCall => ToolCall,
                };
                offer(kind, &mut event.entity_id, false);
            }
            Self::SubagentStarted(event) => {
                event.parent_tool_call_id.iter_mut().for_each(|id| offer(ToolCall, id, false));
                event.parent_message_id.iter_mut().for_each(|id| offer(Message, id, false));
            }
            Self::RunFinished(event) => match &mut event.outcome {
                Some(Outcome::Success(success)) => {
                    let pending = success.pending_tool_call_ids.iter_mut().flatten();
                    pending.for_each(|id| offer(ToolCall, id, false));
                }
                Some(Outcome::Interrupt(interrupted)) => {
                    let about = interrupted.interrupts.iter_mut().filter_map(|asked| asked.tool_call_id.as_mut());
                    about.for_each(|id| offer(ToolCall, id, false));
                }
                Some(Outcome::Cancelled(_)) | None => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::Reading;

    /// Every message and call that the event names, renamed.
    fn check(json: &str, expected: &str) {
        let Ok(Reading::Event(mut event)) = Event::read(json) else { panic!("{json} is an event") };
        event.map_ids(|kind, id, opens| {
            let kind = if kind == IdKind::Message { "message" } else { "call" };
            Some(format!("{id}:{kind}{}", if opens { " opens" } else { "" }))
        });
        let names = |event: &str| serde_json::from_str::<serde_json::Value>(event).expect("JSON");
        assert_eq!(names(&event.to_json()), names(expected));
    }

    #[test]
    fn whatever_names_a_message_or_a_call_is_offered() {
        check(
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c:call opens","toolCallName":"f","parentMessageId":"m:message"}"#,
        );
        check(
            r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"c","content":""}"#,
            r#"{"type":"TOOL_CALL_RESULT","messageId":"m:message opens","toolCallId":"c:call","content":""}"#,
        );
        for (subtype, kind) in [("message", "message"), ("tool-call", "call")] {
            let signed = |id: &str| {
                format!(
                    r#"{{"type":"REASONING_ENCRYPTED_VALUE","subtype":"{subtype}","entityId":"{id}","encryptedValue":"e"}}"#
                )
            };
            check(&signed("x"), &signed(&format!("x:{kind}")));
        }
        check(
            r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n","parentToolCallId":"c","parentMessageId":"m"}"#,
            r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n","parentToolCallId":"c:call","parentMessageId":"m:message"}"#,
        );
        let ended = |outcome: &str| {
            format!(r#"{{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{{"type":{outcome}}}}}"#)
        };
        check(
            &ended(r#""success","pendingToolCallIds":["a","b"]"#),
            &ended(r#""success","pendingToolCallIds":["a:call","b:call"]"#),
        );
        check(
            &ended(r#""interrupt","interrupts":[{"id":"i","reason":"r"},{"id":"j","reason":"r","toolCallId":"c"}]"#),
            &ended(
                r#""interrupt","interrupts":[{"id":"i","reason":"r"},{"id":"j","reason":"r","toolCallId":"c:call"}]"#,
            ),
        );
    }

    #[test]
    fn spans_and_activities_keep_their_ids() {
        for event in [
            r#"{"type":"REASONING_START","messageId":"m"}"#,
            r#"{"type":"ACTIVITY_DELTA","messageId":"m","activityType":"a","patch":[]}"#,
        ] {
            check(event, event);
        }
    }
}

//! What a run asks of the script, and the words of the script with what was asked filled in.

use serde_json::Value;

use super::script::When;
use crate::agent::context::{RunContext, RunInput};
use crate::agent::error::AgentError;
use crate::agent::native::voice::plain;
use crate::agui::Message;
use crate::state::pointer::Pointer;

/// What the script can match and say again.
pub(super) struct Asked {
    /// The text of the last user message.
    pub(super) message: String,
    /// The last tool result's text, and the name of its tool when it is the last message.
    result: String,
    answered_tool: Option<String>,
    /// Status and payload of the first answer to an interrupt.
    resume: Option<(String, String)>,
}

impl Asked {
    pub(super) fn of(input: &RunInput) -> Self {
        let results = || input.messages.iter().filter(|message| matches!(message.as_ref(), Message::Tool(_)));
        let answered_tool = match input.messages.last().map(AsRef::as_ref) {
            Some(Message::Tool(result)) => input
                .messages
                .iter()
                .flat_map(|message| message.tool_calls())
                .find(|call| call.id == result.tool_call_id)
                .map(|call| call.function.name.clone()),
            _ => None,
        };
        let resume = input.resume.first().map(|answer| {
            let payload = answer.payload.as_ref().map(|payload| {
                // JSON that Rust cannot hold (half a character) is shown as it came.
                serde_json::from_str::<Value>(payload.get())
                    .map_or_else(|_| payload.get().to_owned(), |value| plain(&value))
            });
            (answer.status.as_str().to_owned(), payload.unwrap_or_else(|| "null".to_owned()))
        });
        Self {
            message: input.last_user_text(),
            result: results().next_back().map(|message| message.text()).unwrap_or_default(),
            answered_tool,
            resume,
        }
    }

    pub(super) fn matches(&self, when: &When) -> bool {
        let text = when.text.as_ref();
        text.is_none_or(|text| self.message.to_lowercase().contains(&text.to_lowercase()))
            && when.tool.as_ref().is_none_or(|tool| self.answered_tool.as_ref() == Some(tool))
            && when.resumed.is_none_or(|resumed| resumed == self.resume.is_some())
    }

    /// The text with `{message}`, `{result}`, `{status}`, `{payload}` and `{state:/pointer}` filled in.
    pub(super) async fn fill(&self, cx: &RunContext, text: &str) -> Result<String, AgentError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let word = after.split_once('}').map(|(name, after)| (self.word(cx, name), name, after));
            match word {
                Some((word, name, after)) => {
                    match word.await? {
                        Some(word) => filled.push_str(&word),
                        None => {
                            filled.push('{');
                            filled.push_str(name);
                            filled.push('}');
                        }
                    }
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    async fn word(&self, cx: &RunContext, name: &str) -> Result<Option<String>, AgentError> {
        let resume = self.resume.as_ref();
        Ok(match name {
            "message" => Some(self.message.clone()),
            "result" => Some(self.result.clone()),
            "status" => Some(resume.map(|(status, _)| status.clone()).unwrap_or_default()),
            "payload" => Some(resume.map(|(_, payload)| payload.clone()).unwrap_or_default()),
            _ => match name.strip_prefix("state:").map(Pointer::parse) {
                Some(Ok(path)) => {
                    let value = cx.read_state(&path).await?.value;
                    Some(value.map_or_else(|| "nothing".to_owned(), |value| plain(&value)))
                }
                Some(Err(_)) | None => None,
            },
        })
    }
}

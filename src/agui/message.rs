//! The messages of a conversation (section 1.4), told apart by their role.

mod construct;

use std::borrow::Cow;

use serde::{Deserializer, Serialize, Serializer};

use crate::agui::content::Content;
use crate::agui::input::{InputError, Issue};
use crate::agui::json::{Object, without_lone_surrogates};
use crate::agui::read::{Read, Reader, Union, Unknown, message_of, read_required_union, read_text, read_union};
use crate::agui::record::{deserialize_as_read, record, words};

words! {
    /// Who a message is from.
    pub enum Role {
        Developer = "developer",
        System = "system",
        User = "user",
        Assistant = "assistant",
        Tool = "tool",
        Activity = "activity",
        Reasoning = "reasoning",
    }
}

macro_rules! instructions {
    ($name:ident, $role:literal) => {
        record! {
            /// Instructions to the model.
            pub struct $name as "role" = $role {
                id: String = "id",
                content: String = "content",
            } optional {
                name: String = "name",
                encrypted_value: String = "encryptedValue",
                metadata: Object = "metadata",
                subagent_run_id: String = "subagentRunId",
            }
        }
    };
}
instructions!(DeveloperMessage, "developer");
instructions!(SystemMessage, "system");

record! {
    /// What a person said.
    pub struct UserMessage as "role" = "user" {
        id: String = "id",
        content: Content = "content",
    } optional {
        name: String = "name",
        encrypted_value: String = "encryptedValue",
        metadata: Object = "metadata",
        subagent_run_id: String = "subagentRunId",
    }
}

record! {
    /// What the agent said and which tools it called.
    pub struct AssistantMessage as "role" = "assistant" {
        id: String = "id",
    } optional {
        content: String = "content",
        name: String = "name",
        encrypted_value: String = "encryptedValue",
        tool_calls: Vec<ToolCall> = "toolCalls",
        metadata: Object = "metadata",
        subagent_run_id: String = "subagentRunId",
    }
}

record! {
    /// What a tool answered.
    pub struct ToolMessage as "role" = "tool" {
        id: String = "id",
        content: Content = "content",
        tool_call_id: String = "toolCallId",
    } optional {
        error: String = "error",
        encrypted_value: String = "encryptedValue",
        metadata: Object = "metadata",
        subagent_run_id: String = "subagentRunId",
    }
}

record! {
    /// Structured progress that the page renders; clients never send it back.
    pub struct ActivityMessage as "role" = "activity" {
        id: String = "id",
        activity_type: String = "activityType",
        content: Object = "content",
    } optional {
        metadata: Object = "metadata",
        subagent_run_id: String = "subagentRunId",
    }
}

record! {
    /// The agent's reasoning.
    pub struct ReasoningMessage as "role" = "reasoning" {
        id: String = "id",
        content: String = "content",
    } optional {
        encrypted_value: String = "encryptedValue",
        metadata: Object = "metadata",
        subagent_run_id: String = "subagentRunId",
    }
}

record! {
    /// A call in an assistant's message.
    pub struct ToolCall as "type" = "function" {
        id: String = "id",
        function: FunctionCall = "function",
    } optional {
        encrypted_value: String = "encryptedValue",
        metadata: Object = "metadata",
    }
}

record! {
    /// Which function with which arguments.
    pub struct FunctionCall {
        name: String = "name",
        /// What the model wrote: JSON as a rule, but not by promise.
        arguments: String = "arguments",
    }
}

/// One message of a conversation; two are equal if they write the same JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Developer(DeveloperMessage),
    System(SystemMessage),
    User(UserMessage),
    Assistant(AssistantMessage),
    Tool(ToolMessage),
    Activity(ActivityMessage),
    Reasoning(ReasoningMessage),
}

macro_rules! each_role {
    ($message:expr, $payload:ident => $value:expr) => {
        match $message {
            Message::Developer($payload) => $value,
            Message::System($payload) => $value,
            Message::User($payload) => $value,
            Message::Assistant($payload) => $value,
            Message::Tool($payload) => $value,
            Message::Activity($payload) => $value,
            Message::Reasoning($payload) => $value,
        }
    };
}

impl Message {
    /// Reads one message; an unknown role is refused. The issue's path is a JSON pointer into the message.
    pub fn read(json: &str) -> Result<Self, InputError> {
        read_tolerantly(json)
    }

    /// Reads a list of messages; an unknown role is refused.
    pub fn read_list(json: &str) -> Result<Vec<Self>, InputError> {
        read_tolerantly(json)
    }

    /// Its id, unique in the thread.
    pub fn id(&self) -> &str {
        each_role!(self, message => &message.id)
    }

    /// Who it is from.
    pub fn role(&self) -> Role {
        match self {
            Self::Developer(_) => Role::Developer,
            Self::System(_) => Role::System,
            Self::User(_) => Role::User,
            Self::Assistant(_) => Role::Assistant,
            Self::Tool(_) => Role::Tool,
            Self::Activity(_) => Role::Activity,
            Self::Reasoning(_) => Role::Reasoning,
        }
    }

    /// Its text: the string or the text parts joined; empty for activities and for calls without words.
    pub fn text(&self) -> String {
        self.as_text().into_owned()
    }

    /// As [`text`](Self::text), borrowed where it is one string.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Developer(message) => message.content.as_str().into(),
            Self::System(message) => message.content.as_str().into(),
            Self::User(UserMessage { content, .. }) | Self::Tool(ToolMessage { content, .. }) => match content {
                Content::Text(text) => text.as_str().into(),
                Content::Parts(_) => content.text().into(),
            },
            Self::Assistant(message) => message.content.as_deref().unwrap_or_default().into(),
            Self::Activity(_) => Cow::default(),
            Self::Reasoning(message) => message.content.as_str().into(),
        }
    }

    /// The calls of an assistant's message.
    pub fn tool_calls(&self) -> &[ToolCall] {
        match self {
            Self::Assistant(message) => message.tool_calls.as_deref().unwrap_or_default(),
            Self::Developer(_)
            | Self::System(_)
            | Self::User(_)
            | Self::Tool(_)
            | Self::Activity(_)
            | Self::Reasoning(_) => &[],
        }
    }

    /// The subagent it is attributed to.
    pub fn subagent_run_id(&self) -> Option<&str> {
        each_role!(self, message => message.subagent_run_id.as_deref())
    }

    pub(crate) fn subagent_run_id_mut(&mut self) -> &mut Option<String> {
        each_role!(self, message => &mut message.subagent_run_id)
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut Option<Object> {
        each_role!(self, message => &mut message.metadata)
    }
}

fn read_tolerantly<T: Read>(json: &str) -> Result<T, InputError> {
    let exactly = |json: &str| {
        let mut reader = Reader::new(Unknown::Refused);
        read_text(json, &mut reader)
            .map_err(|error| InputError::from(Issue { path: reader.pointer(), message: message_of(&error) }))
    };
    exactly(json).or_else(|error| without_lone_surrogates(json).map_or(Err(error), |repaired| exactly(&repaired)))
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        each_role!(self, message => message.serialize(serializer))
    }
}

impl Union for Message {
    const TAG: &'static str = "role";

    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>> {
        Some(match Role::parse(tag)? {
            Role::Developer => read_text(text, reader).map(Self::Developer),
            Role::System => read_text(text, reader).map(Self::System),
            Role::User => read_text(text, reader).map(Self::User),
            Role::Assistant => read_text(text, reader).map(Self::Assistant),
            Role::Tool => read_text(text, reader).map(Self::Tool),
            Role::Activity => read_text(text, reader).map(Self::Activity),
            Role::Reasoning => read_text(text, reader).map(Self::Reasoning),
        })
    }
}

impl Read for Message {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_required_union(deserializer, reader)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        read_union(deserializer, reader)
    }
}

deserialize_as_read!(Message, ToolCall, FunctionCall);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_message_is_its_string_or_its_text_parts() {
        for (json, expected) in [
            (r#"{"id":"1","role":"user","content":"hi"}"#, "hi"),
            (
                r#"{"id":"1","role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","value":"x"}},{"type":"text","text":"b"}]}"#,
                "ab",
            ),
            (r#"{"id":"1","role":"assistant"}"#, ""),
            (r#"{"id":"1","role":"activity","activityType":"P","content":{"a":1}}"#, ""),
        ] {
            assert_eq!(Message::read(json).unwrap().text(), expected);
        }
    }

    #[test]
    fn a_posted_message_with_an_unknown_role_is_refused() {
        let error = Message::read_list(r#"[{"id":"1","role":"user","content":"x"},{"id":"2","role":"narrator"}]"#);
        assert_eq!(error.unwrap_err().to_string(), r#"/1/role: "narrator" is not known"#);
    }
}

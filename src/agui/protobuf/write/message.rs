//! Messages, their parts and their calls.

use crate::agui::content::{Content, ContentPart, Source};
use crate::agui::message::{Message, ToolCall};

use super::super::wire;
use super::{object, value};

/// A string, or parts in its place.
pub(super) fn content(content: &Content) -> (Option<String>, Vec<wire::InputContent>) {
    match content {
        Content::Text(text) => (Some(text.clone()), Vec::new()),
        Content::Parts(parts) => (None, parts.iter().map(part).collect()),
    }
}

fn part(part: &ContentPart) -> wire::InputContent {
    macro_rules! media {
        ($arm:ident, $message:ident, $part:expr) => {
            wire::InputContentKind::$arm(wire::$message {
                source: Some(source(&$part.source)),
                metadata: $part.metadata.as_ref().map(value),
                id: $part.id.clone(),
            })
        };
    }
    let kind = match part {
        ContentPart::Text(part) => wire::InputContentKind::Text(wire::TextInputPart {
            text: part.text.clone(),
            id: part.id.clone(),
            metadata: part.metadata.as_ref().map(value),
        }),
        ContentPart::Image(part) => media!(Image, ImageInputPart, part),
        ContentPart::Audio(part) => media!(Audio, AudioInputPart, part),
        ContentPart::Video(part) => media!(Video, VideoInputPart, part),
        ContentPart::Document(part) => media!(Document, DocumentInputPart, part),
        ContentPart::Binary(binary) => return self::part(&binary.clone().upgrade()),
    };
    wire::InputContent { part: Some(kind) }
}

fn source(source: &Source) -> wire::InputContentSource {
    let kind = match source {
        Source::Data(data) => wire::InputContentSourceKind::Data(wire::InputContentDataSource {
            value: data.value.clone(),
            mime_type: data.mime_type.clone(),
        }),
        Source::Url(url) => wire::InputContentSourceKind::Url(wire::InputContentUrlSource {
            value: url.value.clone(),
            mime_type: url.mime_type.clone(),
        }),
        Source::File(file) => wire::InputContentSourceKind::File(wire::InputContentFileSource {
            value: file.value.clone(),
            provider: file.provider.clone(),
            mime_type: file.mime_type.clone(),
        }),
    };
    wire::InputContentSource { source: Some(kind) }
}

pub(super) fn message(message: &Message) -> wire::Message {
    macro_rules! with {
        ($message:expr, { $($field:ident: $value:expr),* $(,)? }) => {
            wire::Message {
                id: $message.id.clone(),
                metadata: $message.metadata.as_ref().map(object),
                subagent_run_id: $message.subagent_run_id.clone(),
                $($field: $value,)*
                ..wire::Message::default()
            }
        };
    }
    let written = match message {
        Message::Developer(m) => with!(m, {
            content: Some(m.content.clone()), name: m.name.clone(), encrypted_value: m.encrypted_value.clone(),
        }),
        Message::System(m) => with!(m, {
            content: Some(m.content.clone()), name: m.name.clone(), encrypted_value: m.encrypted_value.clone(),
        }),
        Message::User(m) => {
            let (content, content_parts) = content(&m.content);
            with!(m, {
                content: content, content_parts: content_parts, name: m.name.clone(),
                encrypted_value: m.encrypted_value.clone(),
            })
        }
        Message::Assistant(m) => with!(m, {
            content: m.content.clone(), name: m.name.clone(), encrypted_value: m.encrypted_value.clone(),
            tool_calls: m.tool_calls.iter().flatten().map(tool_call).collect(),
        }),
        Message::Tool(m) => {
            let (content, content_parts) = content(&m.content);
            with!(m, {
                content: content, content_parts: content_parts, tool_call_id: Some(m.tool_call_id.clone()),
                error: m.error.clone(), encrypted_value: m.encrypted_value.clone(),
            })
        }
        Message::Activity(m) => with!(m, {
            activity_type: Some(m.activity_type.clone()), activity_content: Some(object(&m.content)),
        }),
        Message::Reasoning(m) => with!(m, {
            content: Some(m.content.clone()), encrypted_value: m.encrypted_value.clone(),
        }),
    };
    wire::Message { role: message.role().as_str().to_owned(), ..written }
}

fn tool_call(call: &ToolCall) -> wire::ToolCall {
    wire::ToolCall {
        id: call.id.clone(),
        r#type: "function".to_owned(),
        function: Some(wire::Function { name: call.function.name.clone(), arguments: call.function.arguments.clone() }),
        metadata: call.metadata.as_ref().map(object),
        encrypted_value: call.encrypted_value.clone(),
    }
}

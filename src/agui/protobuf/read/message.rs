//! Messages, their parts and their calls.

use serde_json::{Value as Tree, json};

use super::super::value::Struct;
use super::super::wire;
use super::{DecodeError, Fields, optional, tree};

/// A string if there is one, else the parts, even if there are none.
pub(super) fn content(text: Option<String>, parts: &[wire::InputContent]) -> Result<Tree, DecodeError> {
    match text {
        Some(text) => Ok(text.into()),
        None => parts.iter().map(part).collect(),
    }
}

fn part(part: &wire::InputContent) -> Result<Tree, DecodeError> {
    use wire::InputContentKind;
    let mut fields = Fields::default();
    let (word, id, metadata) = match &part.part {
        None => return Ok(Tree::Object(fields.0)),
        Some(InputContentKind::Text(part)) => {
            fields.set("text", Some(part.text.clone()));
            ("text", &part.id, &part.metadata)
        }
        Some(InputContentKind::Image(part)) => {
            fields.set("source", part.source.as_ref().map(source));
            ("image", &part.id, &part.metadata)
        }
        Some(InputContentKind::Audio(part)) => {
            fields.set("source", part.source.as_ref().map(source));
            ("audio", &part.id, &part.metadata)
        }
        Some(InputContentKind::Video(part)) => {
            fields.set("source", part.source.as_ref().map(source));
            ("video", &part.id, &part.metadata)
        }
        Some(InputContentKind::Document(part)) => {
            fields.set("source", part.source.as_ref().map(source));
            ("document", &part.id, &part.metadata)
        }
    };
    fields.set("type", Some(word));
    fields.set("id", id.clone());
    fields.set("metadata", optional(metadata.as_ref())?);
    Ok(Tree::Object(fields.0))
}

fn source(source: &wire::InputContentSource) -> Tree {
    use wire::InputContentSourceKind;
    let mut fields = Fields::default();
    let (word, value, mime_type) = match source.source.clone() {
        None => return Tree::Object(fields.0),
        Some(InputContentSourceKind::Data(source)) => ("data", source.value, Some(source.mime_type)),
        Some(InputContentSourceKind::Url(source)) => ("url", source.value, source.mime_type),
        Some(InputContentSourceKind::File(source)) => {
            fields.set("provider", source.provider);
            ("file", source.value, source.mime_type)
        }
    };
    fields.set("type", Some(word));
    fields.set("value", Some(value));
    fields.set("mimeType", mime_type);
    Tree::Object(fields.0)
}

pub(super) fn messages(messages: Vec<wire::Message>) -> Result<Tree, DecodeError> {
    messages.into_iter().map(message).collect()
}

fn message(message: wire::Message) -> Result<Tree, DecodeError> {
    let content = match message.role.as_str() {
        "assistant" => message.content.map(Tree::from),
        "activity" => message.activity_content.as_ref().map(tree::<Struct>).transpose()?,
        _ => Some(content(message.content, &message.content_parts)?),
    };
    let mut fields = Fields::default();
    fields.set("id", Some(message.id));
    fields.set("role", Some(message.role));
    fields.set("content", content);
    fields.set("name", message.name);
    fields.list("toolCalls", message.tool_calls.into_iter().map(tool_call).collect::<Result<_, _>>()?);
    fields.set("toolCallId", message.tool_call_id);
    fields.set("error", message.error);
    fields.set("metadata", optional(message.metadata.as_ref())?);
    fields.set("subagentRunId", message.subagent_run_id);
    fields.set("encryptedValue", message.encrypted_value);
    fields.set("activityType", message.activity_type);
    Ok(Tree::Object(fields.0))
}

fn tool_call(call: wire::ToolCall) -> Result<Tree, DecodeError> {
    let function = call.function.unwrap_or_default();
    let mut fields = Fields::default();
    fields.set("id", Some(call.id));
    fields.set("type", Some(call.r#type));
    fields.set("function", Some(json!({"name": function.name, "arguments": function.arguments})));
    fields.set("metadata", optional(call.metadata.as_ref())?);
    fields.set("encryptedValue", call.encrypted_value);
    Ok(Tree::Object(fields.0))
}

//! Messages as a chat completion takes them: media as its parts, what it cannot take as a line that says so.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::agent::model::parts::{arguments, attached_text, in_words, name_of};
use crate::agui::{Content, ContentPart, Message, Source};

/// One message of the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ChatMessage {
    role: &'static str,
    content: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

/// The messages in order; `developer` is the role that developer messages get. Reasoning and activities stay behind.
pub(super) fn chat(messages: &[Arc<Message>], developer: &'static str) -> Vec<ChatMessage> {
    messages.iter().filter_map(|message| one(message, developer)).collect()
}

fn one(message: &Message, developer: &'static str) -> Option<ChatMessage> {
    let plain = |role, content: Value| ChatMessage { role, content, tool_calls: Vec::new(), tool_call_id: None };
    Some(match message {
        Message::System(message) => plain("system", message.content.as_str().into()),
        Message::Developer(message) => plain(developer, message.content.as_str().into()),
        Message::User(message) => plain("user", user_content(&message.content)),
        Message::Assistant(assistant) => {
            let content = assistant.content.as_deref().filter(|text| !text.is_empty());
            let tool_calls = message.tool_calls().iter().map(|call| {
                let function = json!({ "name": call.function.name, "arguments": arguments(&call.function.arguments) });
                json!({ "id": call.id, "type": "function", "function": function })
            });
            let content = content.map_or(Value::Null, Value::from);
            ChatMessage { tool_calls: tool_calls.collect(), ..plain("assistant", content) }
        }
        Message::Tool(result) => {
            let text = match &result.content {
                Content::Text(text) => text.clone(),
                Content::Parts(parts) => parts.iter().map(in_words).collect::<Vec<_>>().join("\n"),
            };
            ChatMessage { tool_call_id: Some(result.tool_call_id.clone()), ..plain("tool", text.into()) }
        }
        Message::Activity(_) | Message::Reasoning(_) => return None,
    })
}

/// One system message in front, and neighbours of one role joined, as strict chat templates want it.
pub(super) fn strict(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut strict: Vec<ChatMessage> = Vec::with_capacity(messages.len());
    for mut message in messages {
        if message.role == "system" && strict.iter().any(|earlier| earlier.role != "system") {
            message.role = "user";
        }
        match strict.last_mut() {
            Some(last) if last.role == message.role && last.role != "tool" => {
                last.content = joined(std::mem::take(&mut last.content), message.content);
                last.tool_calls.append(&mut message.tool_calls);
            }
            Some(_) | None => strict.push(message),
        }
    }
    strict
}

fn joined(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Null, content) | (content, Value::Null) => content,
        (Value::String(first), Value::String(second)) => format!("{first}\n\n{second}").into(),
        (first, second) => {
            let parts = |content: Value| match content {
                Value::Array(parts) => parts,
                text => vec![json!({ "type": "text", "text": text })],
            };
            let mut all = parts(first);
            all.extend(parts(second));
            all.into()
        }
    }
}

fn user_content(content: &Content) -> Value {
    match content {
        Content::Text(text) => text.as_str().into(),
        Content::Parts(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &ContentPart) -> Value {
    let media = match part {
        ContentPart::Text(_) | ContentPart::Video(_) | ContentPart::Binary(_) => None,
        ContentPart::Image(image) => image_url(&image.source),
        ContentPart::Audio(audio) => input_audio(&audio.source),
        ContentPart::Document(document) => file(&document.source, name_of(document.metadata.as_ref())),
    };
    media.unwrap_or_else(|| json!({ "type": "text", "text": in_words(part) }))
}

fn image_url(source: &Source) -> Option<Value> {
    let url = match source {
        Source::Data(data) => format!("data:{};base64,{}", data.mime_type, data.value),
        Source::Url(url) => url.value.clone(),
        Source::File(_) => return None,
    };
    Some(json!({ "type": "image_url", "image_url": { "url": url } }))
}

fn input_audio(source: &Source) -> Option<Value> {
    let Source::Data(data) = source else { return None };
    let format = match data.mime_type.split(';').next()?.trim() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        _ => return None,
    };
    Some(json!({ "type": "input_audio", "input_audio": { "data": data.value, "format": format } }))
}

fn file(source: &Source, name: Option<String>) -> Option<Value> {
    let name = name.unwrap_or_else(|| "document".to_owned());
    match source {
        Source::Data(data) if data.mime_type == "application/pdf" => {
            let file_data = format!("data:{};base64,{}", data.mime_type, data.value);
            Some(json!({ "type": "file", "file": { "filename": name, "file_data": file_data } }))
        }
        Source::Data(data) => attached_text(data, &name).map(|text| json!({ "type": "text", "text": text })),
        Source::File(file) => Some(json!({ "type": "file", "file": { "file_id": file.value } })),
        Source::Url(_) => None,
    }
}

#[cfg(test)]
mod tests;

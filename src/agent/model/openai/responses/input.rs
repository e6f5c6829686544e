//! The conversation as the items that responses take.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::agent::model::ModelName;
use crate::agent::model::parts::{arguments, attached_text, in_words, name_of, unsealed};
use crate::agui::{Content, ContentPart, DocumentPart, Message, Source};

/// The items in order; `developer` is the role that developer messages get. Reasoning goes back only where `by` sealed it.
pub(super) fn items(messages: &[Arc<Message>], by: &ModelName, developer: &'static str) -> Vec<Value> {
    let mut items = Vec::with_capacity(messages.len());
    for message in messages {
        match message.as_ref() {
            Message::System(message) => items.push(json!({ "role": "system", "content": message.content })),
            Message::Developer(message) => items.push(json!({ "role": developer, "content": message.content })),
            Message::User(message) => items.push(json!({ "role": "user", "content": content(&message.content) })),
            Message::Assistant(assistant) => {
                items.extend(unsealed(assistant, by));
                if let Some(text) = assistant.content.as_deref().filter(|text| !text.is_empty()) {
                    items.push(json!({ "role": "assistant", "content": text }));
                }
                items.extend(message.tool_calls().iter().map(|call| {
                    let (name, arguments) = (&call.function.name, arguments(&call.function.arguments));
                    json!({ "type": "function_call", "call_id": call.id, "name": name, "arguments": arguments })
                }));
            }
            Message::Tool(result) => {
                let output = match &result.content {
                    Content::Text(text) => text.as_str().into(),
                    Content::Parts(parts) => parts.iter().map(part).collect::<Value>(),
                };
                items.push(json!({
                    "type": "function_call_output", "call_id": result.tool_call_id, "output": output,
                }));
            }
            Message::Activity(_) | Message::Reasoning(_) => {}
        }
    }
    items
}

fn content(content: &Content) -> Value {
    match content {
        Content::Text(text) => text.as_str().into(),
        Content::Parts(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &ContentPart) -> Value {
    let media = match part {
        ContentPart::Text(_) | ContentPart::Video(_) | ContentPart::Audio(_) | ContentPart::Binary(_) => None,
        ContentPart::Image(image) => Some(match &image.source {
            Source::Data(data) => {
                json!({ "type": "input_image", "image_url": format!("data:{};base64,{}", data.mime_type, data.value) })
            }
            Source::Url(url) => json!({ "type": "input_image", "image_url": url.value }),
            Source::File(file) => json!({ "type": "input_image", "file_id": file.value }),
        }),
        ContentPart::Document(document) => file(document),
    };
    media.unwrap_or_else(|| json!({ "type": "input_text", "text": in_words(part) }))
}

fn file(document: &DocumentPart) -> Option<Value> {
    let name = name_of(document.metadata.as_ref()).unwrap_or_else(|| "document".to_owned());
    match &document.source {
        Source::Data(data) if data.mime_type == "application/pdf" => {
            let data = format!("data:{};base64,{}", data.mime_type, data.value);
            Some(json!({ "type": "input_file", "filename": name, "file_data": data }))
        }
        Source::Data(data) => attached_text(data, &name).map(|text| json!({ "type": "input_text", "text": text })),
        Source::Url(url) => Some(json!({ "type": "input_file", "file_url": url.value })),
        Source::File(file) => Some(json!({ "type": "input_file", "file_id": file.value })),
    }
}

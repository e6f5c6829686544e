//! The conversation as Anthropic takes it: what instructs in front, then user and assistant in turns, made of blocks.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::agent::model::ModelName;
use crate::agent::model::parts::{attached_text, in_words, name_of, unsealed};
use crate::agui::{Content, ContentPart, DocumentPart, Message, Source, ToolCall};

/// What is said where nobody has said anything, because a conversation begins and ends with the user.
const GO_ON: &str = "Go on.";

/// One turn.
struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
}

/// The system prompt, and the messages: neighbours of one role are one, the first and the last are the user's.
pub(super) fn conversation(messages: &[Arc<Message>], by: &ModelName) -> (String, Vec<Value>) {
    let mut system: Vec<&str> = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    let mut last_before_the_end = None;
    for (at, message) in messages.iter().enumerate() {
        let (role, blocks) = match message.as_ref() {
            // Only what comes first instructs; what comes later is told as it comes.
            Message::System(message) if turns.is_empty() => {
                system.push(&message.content);
                continue;
            }
            Message::Developer(message) if turns.is_empty() && at + 1 < messages.len() => {
                system.push(&message.content);
                continue;
            }
            Message::System(message) => ("user", text(&message.content).into_iter().collect()),
            Message::Developer(message) => ("user", text(&message.content).into_iter().collect()),
            Message::User(message) => ("user", content(&message.content)),
            Message::Assistant(assistant) => {
                let mut blocks = unsealed(assistant, by);
                blocks.extend(assistant.content.as_deref().and_then(text));
                blocks.extend(message.tool_calls().iter().map(call));
                ("assistant", blocks)
            }
            Message::Tool(result) => {
                let content = content(&result.content);
                let id = id(&result.tool_call_id);
                ("user", vec![json!({ "type": "tool_result", "tool_use_id": id, "content": content })])
            }
            Message::Activity(_) | Message::Reasoning(_) => continue,
        };
        if blocks.is_empty() {
            continue;
        }
        // What comes last changes from request to request; all before it can be kept by the provider.
        if at + 1 == messages.len() {
            last_before_the_end = turns.len().checked_sub(1).map(|turn| (turn, turns[turn].blocks.len() - 1));
        }
        match turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            Some(_) | None => turns.push(Turn { role, blocks }),
        }
    }
    if let Some((turn, block)) = last_before_the_end
        && turns[turn].blocks[block]["type"] != "thinking"
    {
        turns[turn].blocks[block]["cache_control"] = json!({ "type": "ephemeral" });
    }
    let go_on = || Turn { role: "user", blocks: text(GO_ON).into_iter().collect() };
    if turns.first().is_none_or(|turn| turn.role == "assistant") {
        turns.insert(0, go_on());
    }
    if turns.last().is_some_and(|turn| turn.role == "assistant") {
        turns.push(go_on());
    }
    let messages = turns.into_iter().map(|turn| json!({ "role": turn.role, "content": turn.blocks })).collect();
    (system.join("\n\n"), messages)
}

/// Nothing is no block.
fn text(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }))
}

fn call(call: &ToolCall) -> Value {
    let input: Map<String, Value> = serde_json::from_str(&call.function.arguments).unwrap_or_default();
    json!({ "type": "tool_use", "id": id(&call.id), "name": call.function.name, "input": input })
}

/// Ids of other providers may have characters that are not taken here.
fn id(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

fn content(content: &Content) -> Vec<Value> {
    match content {
        Content::Text(said) => text(said).into_iter().collect(),
        Content::Parts(parts) => parts.iter().filter_map(part).collect(),
    }
}

fn part(part: &ContentPart) -> Option<Value> {
    let media = match part {
        ContentPart::Text(said) => return text(&said.text),
        ContentPart::Video(_) | ContentPart::Audio(_) | ContentPart::Binary(_) => None,
        ContentPart::Image(image) => source(&image.source).map(|source| json!({ "type": "image", "source": source })),
        ContentPart::Document(document) => self::document(document),
    };
    media.or_else(|| text(&in_words(part)))
}

fn document(document: &DocumentPart) -> Option<Value> {
    let name = name_of(document.metadata.as_ref()).unwrap_or_else(|| "document".to_owned());
    match &document.source {
        Source::Data(data) if data.mime_type != "application/pdf" => text(&attached_text(data, &name)?),
        other => Some(json!({ "type": "document", "source": source(other)?, "title": name })),
    }
}

fn source(source: &Source) -> Option<Value> {
    match source {
        Source::Data(data) => Some(json!({ "type": "base64", "media_type": data.mime_type, "data": data.value })),
        Source::Url(url) => Some(json!({ "type": "url", "url": url.value })),
        Source::File(_) => None,
    }
}

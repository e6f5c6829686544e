//! What a server answered, as a model is told it: its texts, and a line for everything that is none.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

use super::refused;

pub(super) fn told(result: &CallToolResult) -> Value {
    let mut texts: Vec<String> = result.content.iter().map(text).collect();
    if texts.is_empty()
        && let Some(structured) = &result.structured_content
    {
        texts.push(structured.to_string());
    }
    let text = texts.join("\n");
    if result.is_error == Some(true) {
        let error = if text.is_empty() { "the tool failed and did not say why" } else { &text };
        return refused("tool_error", error);
    }
    Value::String(if text.is_empty() { "done".to_owned() } else { text })
}

fn text(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("[an image, {}]", image.mime_type),
        ContentBlock::Audio(audio) => format!("[a recording, {}]", audio.mime_type),
        ContentBlock::Resource(resource) => match &resource.resource {
            ResourceContents::TextResourceContents { text, .. } => text.clone(),
            _ => "[a resource that is no text]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[{}]({})", link.name, link.uri),
        _ => "[something that is no text]".to_owned(),
    }
}

//! What the providers' forms of a message have in common: texts that stand for what a provider cannot be shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ModelName;
use crate::agui::{AssistantMessage, ContentPart, DataSource, Json, Source, Tool};

/// The longest attached text that is put into the message itself, in bytes.
const INLINE_BYTES: usize = 256 * 1024;

/// Arguments that are no object break the templates of servers: a broken call is repeated as one without arguments.
pub(super) fn arguments(arguments: &str) -> &str {
    let is_object = serde_json::from_str::<serde_json::Map<String, Value>>(arguments).is_ok();
    if is_object { arguments } else { "{}" }
}

/// The schema of a tool's arguments: an object, also where a tool has none.
pub(super) fn parameters(tool: &Tool) -> &RawValue {
    const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;
    let nothing: &RawValue = serde_json::from_str(NO_ARGUMENTS).expect("a constant is JSON");
    let parameters = tool.parameters.as_deref().filter(|schema| schema.get().starts_with('{') && schema.get() != "{}");
    parameters.unwrap_or(nothing)
}

/// What a provider wants back with an answer, wrapped so that nobody else is given it.
pub(super) fn sealed(by: &ModelName, items: &[Value]) -> Option<String> {
    (!items.is_empty()).then(|| json!({ "by": by.to_string(), "items": items }).to_string())
}

/// What `by` sealed into an answer; nothing, if it was somebody else.
pub(super) fn unsealed(message: &AssistantMessage, by: &ModelName) -> Vec<Value> {
    #[derive(serde::Deserialize)]
    struct Sealed {
        by: String,
        items: Vec<Value>,
    }
    let sealed: Option<Sealed> = message.encrypted_value.as_deref().and_then(|text| serde_json::from_str(text).ok());
    sealed.filter(|sealed| sealed.by == by.to_string()).map(|sealed| sealed.items).unwrap_or_default()
}

/// A text file that was attached, as a part of the message; `None` for anything else, and where it is too long.
pub(super) fn attached_text(data: &DataSource, name: &str) -> Option<String> {
    if !is_text(&data.mime_type) {
        return None;
    }
    let bytes = STANDARD.decode(data.value.as_bytes()).ok().filter(|bytes| bytes.len() <= INLINE_BYTES)?;
    let text = String::from_utf8(bytes).ok()?;
    Some(format!("Attached file {name}:\n{text}"))
}

fn is_text(mime_type: &str) -> bool {
    let kind = mime_type.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || matches!(kind, "application/json" | "application/xml" | "application/yaml" | "application/x-yaml")
}

/// A part as text: its own, or a line that says what could not be shown.
pub(super) fn in_words(part: &ContentPart) -> String {
    let (what, metadata) = match part {
        ContentPart::Text(text) => return text.text.clone(),
        ContentPart::Image(image) => ("image", &image.metadata),
        ContentPart::Audio(audio) => ("audio recording", &audio.metadata),
        ContentPart::Video(video) => ("video", &video.metadata),
        ContentPart::Document(document) => ("document", &document.metadata),
        ContentPart::Binary(_) => ("file", &None),
    };
    let kind = match part.source() {
        Some(Source::Data(data)) => Some(data.mime_type.as_str()),
        Some(Source::Url(url)) => url.mime_type.as_deref(),
        Some(Source::File(file)) => file.mime_type.as_deref(),
        None => None,
    };
    let name = name_of(metadata.as_ref()).map(|name| format!(" {name}")).unwrap_or_default();
    let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
    let place = match part.source() {
        Some(Source::Url(url)) => format!(" at {}", url.value),
        Some(Source::Data(_) | Source::File(_)) | None => String::new(),
    };
    format!("[The {what}{name}{kind}{place} was attached here, in a form that this model cannot be shown.]")
}

pub(super) fn name_of(metadata: Option<&Json>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(alias = "name")]
        filename: String,
    }
    metadata.and_then(|metadata| serde_json::from_str::<Named>(metadata.get()).ok()).map(|named| named.filename)
}

//! What 0.x peers still send and 1.0 has dropped (section 1.8): `THINKING_*` events and `binary` parts, rewritten as
//! the 1.0 client rewrites them. Written is only what has no other form for clients of 0.x: a file at a provider.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::agui::content::{
    AudioPart, ContentPart, DataSource, DocumentPart, FileSource, ImagePart, Source, UrlSource, VideoPart,
};
use crate::agui::event::{
    Base, Event, EventType, ReasoningEnd, ReasoningMessageContent, ReasoningMessageEnd, ReasoningMessageStart,
    ReasoningRole, ReasoningStart,
};
use crate::agui::json::to_json;
use crate::agui::read::{Incomplete, Read, Reader, Record, read_record, read_text};

/// The `REASONING_*` event that stands for a `THINKING_*` one, without an id; `None` for every other type.
pub(crate) fn upgrade(
    name: &str,
    json: &str,
    reader: &mut Reader,
) -> Option<(EventType, Result<Event, serde_json::Error>)> {
    let event_type = match name {
        "THINKING_START" => EventType::ReasoningStart,
        "THINKING_END" => EventType::ReasoningEnd,
        "THINKING_TEXT_MESSAGE_START" => EventType::ReasoningMessageStart,
        "THINKING_TEXT_MESSAGE_CONTENT" => EventType::ReasoningMessageContent,
        "THINKING_TEXT_MESSAGE_END" => EventType::ReasoningMessageEnd,
        _ => return None,
    };
    let message_id = String::new();
    let event = read_text::<Thinking>(json, reader).and_then(|Thinking { delta, base }| {
        Ok(match event_type {
            EventType::ReasoningStart => ReasoningStart { message_id, base }.into(),
            EventType::ReasoningMessageStart => {
                ReasoningMessageStart { message_id, role: ReasoningRole::Reasoning, base }.into()
            }
            EventType::ReasoningMessageContent => {
                let delta = match delta {
                    Some(delta) => delta,
                    None => return reader.under_key("delta", Err(serde::de::Error::custom("is required"))),
                };
                ReasoningMessageContent { message_id, delta, base }.into()
            }
            EventType::ReasoningMessageEnd => ReasoningMessageEnd { message_id, base }.into(),
            _ => ReasoningEnd { message_id, base }.into(),
        })
    });
    Some((event_type, event))
}

/// Any `THINKING_*` event; the title of a span is dropped.
#[derive(Default)]
pub(crate) struct Thinking {
    delta: Option<String>,
    base: Base,
}

impl Record for Thinking {
    type Draft = Self;

    fn take<'de, A: serde::de::MapAccess<'de>>(
        draft: &mut Self,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
    ) -> Result<bool, A::Error> {
        if key == "delta" {
            draft.delta = reader.field(map, "delta")?;
            return Ok(true);
        }
        draft.base.take(key, map, reader, true)
    }

    fn finish(draft: Self) -> Result<Self, Incomplete> {
        Ok(draft)
    }
}

impl Read for Thinking {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_record(deserializer, reader)
    }
}

/// `{type:"binary", mimeType, data|url|id, filename?}`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryPart {
    mime_type: String,
    filename: Option<String>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Data(String),
    Url(String),
    Id(String),
}

impl BinaryPart {
    /// The part that stands for a file at a provider for 0.x clients, which send it back as theirs; `None` of any other
    /// part, and of a file whose media type is not known.
    pub(crate) fn of_file(part: &ContentPart) -> Option<Self> {
        let Some(Source::File(file)) = part.source() else { return None };
        let metadata = part.metadata().and_then(|metadata| serde_json::from_str::<Value>(metadata.get()).ok());
        let filename = metadata.and_then(|metadata| Some(metadata.get("filename")?.as_str()?.to_owned()));
        Some(Self { mime_type: file.mime_type.clone()?, filename, place: Place::Id(file.value.clone()) })
    }

    /// The media part that 1.0 has for it, by the kind of its media type; the file name goes into its metadata.
    pub(crate) fn upgrade(self) -> ContentPart {
        let kind = self.mime_type.split('/').next().unwrap_or_default().to_owned();
        let mime_type = self.mime_type;
        let source = match self.place {
            Place::Data(value) => Source::Data(DataSource { value, mime_type }),
            Place::Url(value) => Source::Url(UrlSource { value, mime_type: Some(mime_type) }),
            Place::Id(value) => Source::File(FileSource { value, provider: None, mime_type: Some(mime_type) }),
        };
        let metadata = self.filename.map(|filename| {
            let mut metadata = Map::new();
            metadata.insert("filename".to_owned(), Value::String(filename));
            to_json(&metadata)
        });
        match kind.as_str() {
            "image" => ContentPart::Image(ImagePart { source, id: None, metadata }),
            "audio" => ContentPart::Audio(AudioPart { source, id: None, metadata }),
            "video" => ContentPart::Video(VideoPart { source, id: None, metadata }),
            _ => ContentPart::Document(DocumentPart { source, id: None, metadata }),
        }
    }
}

impl Serialize for BinaryPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "binary")?;
        map.serialize_entry("mimeType", &self.mime_type)?;
        match &self.place {
            Place::Data(data) => map.serialize_entry("data", data)?,
            Place::Url(url) => map.serialize_entry("url", url)?,
            Place::Id(id) => map.serialize_entry("id", id)?,
        }
        if let Some(filename) = &self.filename {
            map.serialize_entry("filename", filename)?;
        }
        map.end()
    }
}

#[derive(Default)]
pub(crate) struct BinaryDraft {
    mime_type: Option<String>,
    filename: Option<String>,
    data: Option<String>,
    url: Option<String>,
    id: Option<String>,
}

impl Record for BinaryPart {
    type Draft = BinaryDraft;

    fn take<'de, A: serde::de::MapAccess<'de>>(
        draft: &mut BinaryDraft,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
    ) -> Result<bool, A::Error> {
        match key {
            "mimeType" => draft.mime_type = Some(reader.field(map, "mimeType")?),
            "filename" => draft.filename = reader.field(map, "filename")?,
            "data" => draft.data = reader.field(map, "data")?,
            "url" => draft.url = reader.field(map, "url")?,
            "id" => draft.id = reader.field(map, "id")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(draft: BinaryDraft) -> Result<Self, Incomplete> {
        let mime_type = draft.mime_type.ok_or_else(|| Incomplete::missing("mimeType"))?;
        let place = match (draft.data, draft.url, draft.id) {
            (Some(data), _, _) => Place::Data(data),
            (None, Some(url), _) => Place::Url(url),
            (None, None, Some(id)) => Place::Id(id),
            (None, None, None) => {
                let message = Cow::Borrowed("a binary part needs data, url or id");
                return Err(Incomplete { key: "data", message });
            }
        };
        Ok(Self { mime_type, filename: draft.filename, place })
    }
}

impl Read for BinaryPart {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_record(deserializer, reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::{Content, Reading};

    #[test]
    fn a_binary_part_becomes_the_media_part_of_its_type() {
        for (binary, expected) in [
            (
                r#"{"type":"binary","mimeType":"image/png","data":"AA"}"#,
                r#"[{"type":"image","source":{"type":"data","value":"AA","mimeType":"image/png"}}]"#,
            ),
            (
                r#"{"type":"binary","mimeType":"application/pdf","id":"f1","url":null,"filename":"a.pdf"}"#,
                r#"[{"type":"document","source":{"type":"file","value":"f1","mimeType":"application/pdf"},"metadata":{"filename":"a.pdf"}}]"#,
            ),
            (
                r#"{"type":"binary","mimeType":"audio/wav","url":"https://x/y"}"#,
                r#"[{"type":"audio","source":{"type":"url","value":"https://x/y","mimeType":"audio/wav"}}]"#,
            ),
        ] {
            let content: Content = serde_json::from_str(&format!("[{binary}]")).unwrap();
            assert_eq!(serde_json::to_string(&content).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_becomes_the_binary_part_that_it_was_and_comes_back_as_itself() {
        for binary in [
            r#"{"type":"binary","mimeType":"application/pdf","id":"f1","filename":"a.pdf"}"#,
            r#"{"type":"binary","mimeType":"image/png","id":"f2"}"#,
        ] {
            let part: ContentPart = serde_json::from_str(binary).unwrap();
            let again = BinaryPart::of_file(&part).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), binary);
            assert_eq!(again.upgrade(), part);
        }
        for other in [
            r#"{"type":"text","text":"hi"}"#,
            r#"{"type":"image","source":{"type":"url","value":"x","mimeType":"image/png"}}"#,
            r#"{"type":"document","source":{"type":"file","value":"f"}}"#,
        ] {
            assert_eq!(BinaryPart::of_file(&serde_json::from_str(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn thinking_reads_as_reasoning() {
        let json = r#"{"type":"THINKING_TEXT_MESSAGE_CONTENT","delta":"hm","title":"gone"}"#;
        let Ok(Reading::Event(event)) = Event::read(json) else { panic!("not an event") };
        assert_eq!(event.to_json(), r#"{"type":"REASONING_MESSAGE_CONTENT","messageId":"","delta":"hm"}"#);
    }
}

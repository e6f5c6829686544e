//! What messages and tool results are made of (section 1.4): a string, or parts with text and media.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};

use crate::agui::json::Json;
use crate::agui::legacy::BinaryPart;
use crate::agui::read::{ListVisitor, Read, Reader, Union, read_required_union, read_text, read_union};
use crate::agui::record::{deserialize_as_read, record};

/// A string or a list of parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

impl Content {
    /// The text: the string, or the text parts joined without anything between; media has none.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts.iter().filter_map(ContentPart::text).collect(),
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Parts(parts) => parts.serialize(serializer),
        }
    }
}

impl Read for Content {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        struct ContentVisitor<'r>(&'r mut Reader);
        impl<'de> Visitor<'de> for ContentVisitor<'_> {
            type Value = Content;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or a list of content parts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Content, A::Error> {
                ListVisitor(self.0, PhantomData).visit_seq(list).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(ContentVisitor(reader))
    }
}

record! {
    /// Text among other parts.
    pub struct TextPart as "type" = "text" {
        text: String = "text",
    } optional {
        id: String = "id",
        /// Any JSON but null.
        metadata: Json = "metadata",
    }
}

macro_rules! media_part {
    ($name:ident, $tag:literal) => {
        record! {
            /// Media among other parts.
            pub struct $name as "type" = $tag {
                source: Source = "source",
            } optional {
                id: String = "id",
                /// Any JSON but null.
                metadata: Json = "metadata",
            }
        }
    };
}
media_part!(ImagePart, "image");
media_part!(AudioPart, "audio");
media_part!(VideoPart, "video");
media_part!(DocumentPart, "document");

/// One part of a message or tool result.
#[derive(Clone, Debug, PartialEq)]
pub enum ContentPart {
    Text(TextPart),
    Image(ImagePart),
    Audio(AudioPart),
    Video(VideoPart),
    Document(DocumentPart),
    /// What 0.x clients are told of a file at a provider. Nothing reads as it.
    Binary(BinaryPart),
}

impl ContentPart {
    /// A part of text.
    pub fn of_text(text: impl Into<String>) -> Self {
        Self::Text(TextPart { text: text.into(), id: None, metadata: None })
    }

    /// The text of a text part.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(part) => Some(&part.text),
            Self::Image(_) | Self::Audio(_) | Self::Video(_) | Self::Document(_) | Self::Binary(_) => None,
        }
    }

    /// What its author says beside it: any JSON.
    pub fn metadata(&self) -> Option<&Json> {
        match self {
            Self::Text(part) => part.metadata.as_ref(),
            Self::Image(part) => part.metadata.as_ref(),
            Self::Audio(part) => part.metadata.as_ref(),
            Self::Video(part) => part.metadata.as_ref(),
            Self::Document(part) => part.metadata.as_ref(),
            Self::Binary(_) => None,
        }
    }

    /// Without its id, a text also without metadata.
    pub(crate) fn without_what_1_0_added(mut self) -> Self {
        match &mut self {
            Self::Text(part) => (part.id, part.metadata) = (None, None),
            Self::Image(part) => part.id = None,
            Self::Audio(part) => part.id = None,
            Self::Video(part) => part.id = None,
            Self::Document(part) => part.id = None,
            Self::Binary(_) => {}
        }
        self
    }

    /// Where the media of a media part is.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Text(_) | Self::Binary(_) => None,
            Self::Image(part) => Some(&part.source),
            Self::Audio(part) => Some(&part.source),
            Self::Video(part) => Some(&part.source),
            Self::Document(part) => Some(&part.source),
        }
    }
}

impl Serialize for ContentPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(part) => part.serialize(serializer),
            Self::Image(part) => part.serialize(serializer),
            Self::Audio(part) => part.serialize(serializer),
            Self::Video(part) => part.serialize(serializer),
            Self::Document(part) => part.serialize(serializer),
            Self::Binary(part) => part.serialize(serializer),
        }
    }
}

impl Union for ContentPart {
    const TAG: &'static str = "type";

    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>> {
        Some(match tag {
            "text" => read_text(text, reader).map(Self::Text),
            "image" => read_text(text, reader).map(Self::Image),
            "audio" => read_text(text, reader).map(Self::Audio),
            "video" => read_text(text, reader).map(Self::Video),
            "document" => read_text(text, reader).map(Self::Document),
            "binary" => read_text::<BinaryPart>(text, reader).map(BinaryPart::upgrade),
            _ => return None,
        })
    }
}

impl Read for ContentPart {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_required_union(deserializer, reader)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        read_union(deserializer, reader)
    }
}

record! {
    /// Media in the message itself.
    pub struct DataSource as "type" = "data" {
        /// Base64.
        value: String = "value",
        mime_type: String = "mimeType",
    }
}

record! {
    /// Media at an address. Who fetches it must guard against addresses inside the network.
    pub struct UrlSource as "type" = "url" {
        value: String = "value",
    } optional {
        mime_type: String = "mimeType",
    }
}

record! {
    /// Media that a provider holds: an opaque handle, never to be fetched or parsed.
    pub struct FileSource as "type" = "file" {
        value: String = "value",
    } optional {
        provider: String = "provider",
        mime_type: String = "mimeType",
    }
}

/// Where media is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Data(DataSource),
    Url(UrlSource),
    File(FileSource),
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Data(source) => source.serialize(serializer),
            Self::Url(source) => source.serialize(serializer),
            Self::File(source) => source.serialize(serializer),
        }
    }
}

impl Union for Source {
    const TAG: &'static str = "type";

    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>> {
        Some(match tag {
            "data" => read_text(text, reader).map(Self::Data),
            "url" => read_text(text, reader).map(Self::Url),
            "file" => read_text(text, reader).map(Self::File),
            _ => return None,
        })
    }
}

impl Read for Source {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_required_union(deserializer, reader)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        read_union(deserializer, reader)
    }
}

deserialize_as_read!(Content, ContentPart, Source);

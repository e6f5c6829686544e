//! The events in the bytes of an answer: as AG-UI's own client, it takes server-sent events and protobuf, by content type.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::halves::Halves;
use crate::agui::sse::{self, FrameError};
use crate::agui::{Event, EventType, ReadError, Reading, protobuf};

/// What has come of an answer and was not read yet.
pub(super) enum Body {
    Sse(Sse),
    Protobuf(protobuf::Decoder),
}

pub(super) struct Sse {
    decoder: sse::Decoder,
    halves: Halves,
}

impl Body {
    /// Of an answer with this content type, if it is a stream of events. An event may have `max_event_bytes`.
    pub(super) fn new(content_type: &str, max_event_bytes: usize) -> Option<Self> {
        if content_type.to_ascii_lowercase().starts_with("text/event-stream") {
            let decoder = sse::Decoder::new(max_event_bytes);
            return Some(Self::Sse(Sse { decoder, halves: Halves::default() }));
        }
        (content_type == protobuf::MEDIA_TYPE).then(|| Self::Protobuf(protobuf::Decoder::new(max_event_bytes)))
    }

    /// Takes in what arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Sse(sse) => sse.decoder.push(bytes),
            Self::Protobuf(decoder) => decoder.push(bytes),
        }
    }

    /// The next event, or `None` until more arrives. The error says what is wrong with it.
    pub(super) fn next(&mut self) -> Result<Option<Reading>, String> {
        match self {
            Self::Sse(sse) => sse.next(),
            Self::Protobuf(decoder) => match decoder.next_message() {
                Some(message) => {
                    let message = message.map_err(|error| error.to_string())?;
                    let event = protobuf::read(message).map_err(|error| error.to_string())?;
                    Ok(Some(Reading::Event(event)))
                }
                None => Ok(None),
            },
        }
    }

    /// As [`Body::next`] when nothing more arrives. An event of which only the beginning came is none.
    pub(super) fn finish(&mut self) -> Result<Option<Reading>, String> {
        match self {
            Self::Sse(sse) => sse.finish(),
            Self::Protobuf(_) => self.next(),
        }
    }
}

impl Sse {
    fn next(&mut self) -> Result<Option<Reading>, String> {
        loop {
            if let Some(event) = self.halves.waiting() {
                return Ok(Some(Reading::Event(event)));
            }
            match self.decoder.next_frame() {
                // Nobody means anything by a frame whose data is empty.
                Some(Ok(frame)) if frame.data.is_empty() => {}
                Some(frame) => return self.read(frame).map(Some),
                None => return Ok(None),
            }
        }
    }

    fn finish(&mut self) -> Result<Option<Reading>, String> {
        if let Some(reading) = self.next()? {
            return Ok(Some(reading));
        }
        match self.decoder.finish() {
            // The last frame may lack its blank line, but not more.
            Some(frame) if !is_cut(&frame) => self.read(frame).map(Some),
            Some(_) | None => Ok(self.halves.left().map(Reading::Event)),
        }
    }

    fn read(&mut self, frame: Result<sse::Frame, FrameError>) -> Result<Reading, String> {
        let data = frame.map_err(|error| error.to_string())?.data;
        Ok(match read_event(&data).map_err(|error| error.to_string())? {
            Reading::Event(event) => Reading::Event(self.halves.pass(event, &data)),
            unknown @ Reading::Unknown { .. } => unknown,
        })
    }
}

/// Whether the last frame of a stream is only its beginning.
fn is_cut(frame: &Result<sse::Frame, FrameError>) -> bool {
    match frame {
        Ok(frame) => frame.data.is_empty() || matches!(Event::read(&frame.data), Err(ReadError::Malformed { .. })),
        Err(FrameError::NotUtf8(_)) => true,
        Err(FrameError::TooLarge { .. }) => false,
    }
}

/// As [`Event::read`], also where the ids of the run are missing: CopilotKit's runtime ends a stopped run without them,
/// and this run has ids of its own.
fn read_event(data: &str) -> Result<Reading, ReadError> {
    let reading = Event::read(data);
    let Err(ReadError::Invalid { event_type: EventType::RunStarted | EventType::RunFinished, path, .. }) = &reading
    else {
        return reading;
    };
    let is_about_ids = matches!(path.as_str(), "/threadId" | "/runId");
    let Some(mut fields) = serde_json::from_str::<HashMap<String, &RawValue>>(data).ok().filter(|_| is_about_ids)
    else {
        return reading;
    };
    let none: &RawValue = serde_json::from_str(r#""""#).expect("an empty string is JSON");
    for id in ["threadId", "runId"] {
        let value = fields.entry(id.to_owned()).or_insert(none);
        if value.get() == "null" {
            *value = none;
        }
    }
    Event::read(&serde_json::to_string(&fields).expect("what was read as JSON is written as JSON"))
}

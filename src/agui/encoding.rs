//! The two forms in which a stream of events travels.

use crate::agui::event::{Event, Reading};
use crate::agui::{protobuf, sse};

/// How the events of a stream are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Server-sent events with JSON (section 2.1).
    #[default]
    Sse,
    /// Frames of protobuf (section 2.2).
    Protobuf,
}

impl Encoding {
    /// Appends the event as one frame without an id.
    pub fn write_frame(self, out: &mut Vec<u8>, event: &Event) {
        match self {
            Self::Sse => sse::write_frame(out, event, None),
            Self::Protobuf => protobuf::write_frame(out, event),
        }
    }
}

/// Appends one frame of ours, which [`sse`] wrote, as protobuf. A frame without an event is nothing there: that
/// encoding has no ids and no empty frames.
pub fn append_as_protobuf(out: &mut Vec<u8>, frame: &[u8]) {
    let text = std::str::from_utf8(frame).expect("a frame of ours is text");
    let Some(json) = text.lines().find_map(|line| line.strip_prefix("data: ")) else { return };
    match Event::read(json) {
        Ok(Reading::Event(event)) => protobuf::write_frame(out, &event),
        other => unreachable!("a frame of ours holds an event: {other:?}"),
    }
}

//! The two forms in which a stream of events travels.

use crate::agui::event::{Event, Reading};
use crate::agui::{Dialect, protobuf, sse};

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

    /// As [`write_frame`](Self::write_frame), what a client of this dialect may be sent of the event, if anything.
    pub fn write_frame_for(self, dialect: Dialect, out: &mut Vec<u8>, event: &Event) {
        let Some(event) = event.for_dialect(dialect) else { return };
        let start = out.len();
        self.write_frame(out, &event);
        if self == Self::Protobuf && dialect == Dialect::Legacy && !protobuf::is_known_to_legacy(&out[start..]) {
            out.truncate(start);
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

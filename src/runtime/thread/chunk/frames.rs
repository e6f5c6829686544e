//! The frames of one dialect in a chunk's body.
//!
//! Streamed text comes in many frames that differ in their delta only. Such a frame is kept without its head: a mark, and
//! what differs. Read, it has the head of the last whole frame before it.
//!
//! ```text
//!   data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"one "}⏎⏎
//!   ␁"two "}⏎⏎
//!   ␁"three"}⏎⏎
//! ```

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::agui::{Dialect, Event, EventType, append_as_protobuf, protobuf, sse};
use crate::json_text;

/// What a frame without its head begins with; a whole one is an empty line or begins with a letter.
const HEADLESS: u8 = 1;
/// How the head of streamed text ends.
const DELTA: &[u8] = br#","delta":"#;

/// Where the frames lie in the body.
#[derive(Debug, Clone, Default)]
pub(super) struct Frames {
    start: u32,
    /// Of each frame.
    ends: Vec<u32>,
    /// Bytes that reading adds: heads that were left out, less their marks.
    heads: usize,
    /// Encoded when the first reader asks, and never stored.
    protobuf: OnceLock<Protobuf>,
}

/// The same positions in the other encoding; one that this reader is told nothing of is empty.
#[derive(Debug, Clone)]
struct Protobuf {
    bytes: Bytes,
    ends: Vec<u32>,
}

impl Frames {
    /// Encodes events at the end of `body`. One that this dialect does not know still takes its position: a frame without
    /// data.
    pub(super) fn encode<'e>(body: &mut Vec<u8>, events: impl Iterator<Item = Option<&'e Event>>) -> Self {
        let mut writer = Writer::new(body, events.size_hint().0);
        let mut open: Option<(EventType, &str)> = None;
        for event in events {
            let Some(event) = event else {
                open = None;
                writer.whole(|out| sse::write_gap(out, None));
                continue;
            };
            let plain = event.plain_delta().map(|(id, delta)| ((event.event_type(), id), delta));
            match plain {
                Some((head, delta)) if open == Some(head) => writer.headless(|out| {
                    json_text::write_text(out, delta);
                    out.extend_from_slice(b"}\n\n");
                }),
                _ => {
                    open = plain.map(|(head, _)| head);
                    writer.whole(|out| sse::write_frame(out, event, None));
                }
            }
        }
        writer.frames
    }

    /// Appends frames of other bodies.
    pub(super) fn copy<'f>(body: &mut Vec<u8>, parts: impl Iterator<Item = (&'f [u8], &'f Self)>) -> Self {
        let mut writer = Writer::new(body, 0);
        let mut buffer = Vec::new();
        for (bytes, frames) in parts {
            for parts in frames.read(bytes, 0..frames.len()) {
                buffer.clear();
                parts.iter().for_each(|part| buffer.extend_from_slice(part));
                let head = writer.head();
                match buffer.strip_prefix(head).filter(|_| !head.is_empty()) {
                    Some(rest) => writer.headless(|out| out.extend_from_slice(rest)),
                    None => writer.whole(|out| out.extend_from_slice(&buffer)),
                }
            }
        }
        writer.frames
    }

    /// Finds the frames of a stored body; `None` if some lack their head. A frame is one line and an empty one, or an empty line alone.
    pub(super) fn split(body: &[u8], within: Range<usize>) -> Option<Self> {
        let (mut at, end) = (within.start, within.end);
        let mut frames = Self { start: narrow(at), ..Self::default() };
        let mut head = None;
        let mut whole = at..at;
        while at < end {
            let line = body[at..end].iter().position(|&byte| byte == b'\n').unwrap_or(end - at);
            let next = end.min(at + line + if line == 0 { 1 } else { 2 });
            match body[at] {
                HEADLESS => {
                    let length = *head.get_or_insert_with(|| head_of(&body[whole.clone()]).len());
                    frames.heads += length.checked_sub(1)?;
                }
                _ => (whole, head) = (at..next, None),
            }
            at = next;
            frames.ends.push(narrow(at));
        }
        Some(frames)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes the frames are when they are read.
    pub(super) fn bytes(&self) -> usize {
        self.ends.last().map_or(0, |end| end - self.start) as usize + self.heads
    }

    /// Where the first frame ends.
    pub(super) fn first_end(&self) -> usize {
        self.ends.first().copied().unwrap_or(self.start) as usize
    }

    /// Where the last frame ends.
    pub(super) fn end(&self) -> usize {
        self.ends.last().copied().unwrap_or(self.start) as usize
    }

    /// Some of the frames, each as its head, if that was left out, and what is kept of it.
    pub(super) fn read<'b>(&'b self, body: &'b [u8], which: Range<usize>) -> impl Iterator<Item = [&'b [u8]; 2]> {
        let start_of = |index: usize| if index == 0 { self.start } else { self.ends[index - 1] } as usize;
        let mut first = which.start;
        while first > 0 && body.get(start_of(first)) == Some(&HEADLESS) {
            first -= 1;
        }
        let mut whole = start_of(first)..self.ends.get(first).map_or(0, |end| *end as usize);
        let mut head: Option<&[u8]> = None;
        let mut start = start_of(which.start);
        self.ends[which].iter().map(move |end| {
            let frame = start..*end as usize;
            start = frame.end;
            match body[frame.start] {
                HEADLESS => {
                    let head = *head.get_or_insert_with(|| head_of(&body[whole.clone()]));
                    [head, &body[frame.start + 1..frame.end]]
                }
                _ => {
                    (whole, head) = (frame.clone(), None);
                    [&[], &body[frame]]
                }
            }
        })
    }

    /// Appends some of the frames in the other encoding, without those that this dialect does not have in it.
    pub(super) fn write_protobuf(&self, out: &mut Vec<u8>, body: &[u8], which: Range<usize>, dialect: Dialect) {
        let Protobuf { bytes, ends } = self.protobuf.get_or_init(|| self.as_protobuf(body));
        let mut start = if which.start == 0 { 0 } else { ends[which.start - 1] } as usize;
        if dialect == Dialect::V1 {
            return out.extend_from_slice(&bytes[start..ends[which.end - 1] as usize]);
        }
        for end in &ends[which] {
            let frame = &bytes[start..*end as usize];
            if protobuf::is_known_to_legacy(frame) {
                out.extend_from_slice(frame);
            }
            start = *end as usize;
        }
    }

    fn as_protobuf(&self, body: &[u8]) -> Protobuf {
        let (mut bytes, mut ends) = (Vec::with_capacity(self.bytes()), Vec::with_capacity(self.len()));
        let mut frame = Vec::new();
        for parts in self.read(body, 0..self.len()) {
            frame.clear();
            parts.iter().for_each(|part| frame.extend_from_slice(part));
            append_as_protobuf(&mut bytes, &frame);
            ends.push(narrow(bytes.len()));
        }
        Protobuf { bytes: bytes.into(), ends }
    }
}

/// Writes frames one after the other.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
    frames: Frames,
    /// The last whole frame.
    whole: Range<usize>,
    /// How long its head is, once somebody asked.
    head: Option<usize>,
}

impl<'o> Writer<'o> {
    fn new(out: &'o mut Vec<u8>, frames: usize) -> Self {
        let at = out.len();
        let frames = Frames { start: narrow(at), ends: Vec::with_capacity(frames), ..Frames::default() };
        Self { out, frames, whole: at..at, head: None }
    }

    fn whole(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(self.out);
        (self.whole, self.head) = (start..self.out.len(), None);
        self.frames.ends.push(narrow(self.out.len()));
    }

    /// A frame that begins as the last whole one does.
    fn headless(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.frames.heads += self.head().len() - 1;
        self.out.push(HEADLESS);
        write(self.out);
        self.frames.ends.push(narrow(self.out.len()));
    }

    /// What it begins with; nothing if it is no streamed text.
    fn head(&mut self) -> &[u8] {
        let whole = &self.out[self.whole.clone()];
        let length = *self.head.get_or_insert_with(|| head_of(whole).len());
        &whole[..length]
    }
}

/// What a frame of streamed text begins with, up to its delta; nothing of another one.
fn head_of(frame: &[u8]) -> &[u8] {
    let at = frame.windows(DELTA.len()).position(|bytes| bytes == DELTA);
    &frame[..at.map_or(0, |at| at + DELTA.len())]
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).expect("a chunk is bounded far below 4 GiB")
}

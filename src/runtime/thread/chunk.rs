//! Consecutive positions of a thread's log, already encoded as SSE frames for both dialects of AG-UI, and as protobuf
//! when somebody asks for it.
//!
//! A frame is encoded once, here; streams, the store and replays only copy it. Its id is not part of it: what is not
//! durable has none yet, so a reader puts it before the copy. It knows nothing of who reads.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes};
use thiserror::Error;

use crate::agui::{Dialect, Encoding, Event, append_as_protobuf, sse};
use crate::store::{Entry, NewEntry};

/// One entry of the thread's log.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// Position of the first frame; positions are contiguous in a thread and start at 1.
    pub(crate) first: u64,
    /// The version of the run's state document when these events were appended.
    pub(crate) state_version: u64,
    /// Whether the last frame is the terminal of its run.
    pub(crate) terminal: bool,
    /// Whether the store has it or is about to: its frames are shown with ids.
    durable: bool,
    /// The stored form: flags, state version, length of the frames, frames, legacy frames.
    body: Bytes,
    current: Frames,
    /// Present when a 0.0.59 client has to be told something else.
    legacy: Option<Frames>,
}

/// Where the frames of one dialect lie in the body.
#[derive(Debug, Clone, Default)]
struct Frames {
    start: u32,
    /// Of each frame.
    ends: Vec<u32>,
    /// Encoded when the first reader asks, and never stored.
    protobuf: OnceLock<Protobuf>,
}

/// The same positions in the other encoding; one that this reader is told nothing of is empty.
#[derive(Debug, Clone)]
struct Protobuf {
    bytes: Bytes,
    ends: Vec<u32>,
}

/// How a reader is told what a chunk holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'r> {
    pub(crate) dialect: Dialect,
    pub(crate) encoding: Encoding,
    /// The log's; the first half of ids.
    pub(crate) epoch: &'r str,
}

/// A stored entry that is not what this version writes.
#[derive(Debug, Error)]
#[error("log entry {seq} cannot be read: {reason}")]
pub(crate) struct Unreadable {
    pub(crate) seq: u64,
    pub(crate) reason: &'static str,
}

const TERMINAL: u8 = 1;
const HAS_LEGACY: u8 = 2;
const HEADER_BYTES: usize = 1 + 8 + 4;

/// What an id takes at most beside the epoch.
const ID_BYTES: usize = 32;

impl Chunk {
    /// Encodes `events` from position `first` on, for the store.
    pub(crate) fn durable(events: &[Event], first: u64, state_version: u64) -> Self {
        Self { durable: true, ..Self::provisional(events, first, state_version) }
    }

    /// Encodes `events` from position `first` on, to be shown before they are stored.
    pub(crate) fn provisional(events: &[Event], first: u64, state_version: u64) -> Self {
        let mut body = Body::new(events.len());
        let current = body.encode(events.iter().map(Some));
        let legacy = events.iter().any(Event::differs_in_legacy).then(|| {
            let said: Vec<_> = events.iter().map(|event| event.for_dialect(Dialect::Legacy)).collect();
            body.encode(said.iter().map(|event| event.as_deref()))
        });
        let terminal = events.last().is_some_and(Event::is_terminal);
        body.finish(first, state_version, terminal, current, legacy)
    }

    /// Consecutive provisional chunks as one for the store; `None` for none.
    pub(crate) fn joined(chunks: &[Arc<Self>]) -> Option<Self> {
        let (first, last) = (chunks.first()?, chunks.last()?);
        if chunks.len() == 1 {
            return Some(Self { durable: true, ..Self::clone(first) });
        }
        let mut body = Body::new(chunks.iter().map(|chunk| chunk.current.ends.len()).sum());
        let current = body.copy(chunks.iter().map(|chunk| (chunk.as_ref(), &chunk.current)));
        let legacy = chunks.iter().any(|chunk| chunk.legacy.is_some()).then(|| {
            body.copy(chunks.iter().map(|chunk| (chunk.as_ref(), chunk.legacy.as_ref().unwrap_or(&chunk.current))))
        });
        Some(Self { durable: true, ..body.finish(first.first, last.state_version, last.terminal, current, legacy) })
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.current.ends.len()).expect("a chunk holds far fewer than 2^32 frames")
    }

    /// Position of the last frame.
    pub(crate) fn last(&self) -> u64 {
        self.first + u64::from(self.len()) - 1
    }

    /// Appends the frames with positions in `(after, to]`, as a reader gets them; `epoch` is the log's.
    pub(crate) fn write(&self, out: &mut Vec<u8>, reader: Reader<'_>, after: u64, to: u64) {
        let Reader { dialect, encoding, epoch } = reader;
        let frames = match dialect {
            Dialect::V1 => &self.current,
            Dialect::Legacy => self.legacy.as_ref().unwrap_or(&self.current),
        };
        let index_of = |position: u64| position.saturating_sub(self.first).min(frames.ends.len() as u64) as usize;
        let (from, to) = (index_of(after + 1), index_of(to.saturating_add(1)));
        if from >= to {
            return;
        }
        if encoding == Encoding::Protobuf {
            let Protobuf { bytes, ends } = frames.protobuf.get_or_init(|| frames.as_protobuf(&self.body));
            let start = if from == 0 { 0 } else { ends[from - 1] } as usize;
            return out.extend_from_slice(&bytes[start..ends[to - 1] as usize]);
        }
        let mut start = if from == 0 { frames.start } else { frames.ends[from - 1] } as usize;
        if !self.durable {
            return out.extend_from_slice(&self.body[start..frames.ends[to - 1] as usize]);
        }
        let ids = sse::Ids::of(epoch);
        for (end, position) in frames.ends[from..to].iter().zip(self.first + from as u64..) {
            ids.write(out, position);
            out.extend_from_slice(&self.body[start..*end as usize]);
            start = *end as usize;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// How many bytes the frames have at most as SSE, with their ids.
    pub(crate) fn bytes_with_ids(&self, epoch: &str) -> usize {
        self.body.len() + self.current.ends.len() * (ID_BYTES + epoch.len())
    }

    /// The stored form, shared.
    pub(crate) fn to_entry(&self) -> NewEntry {
        let span = NonZeroU32::new(self.len()).expect("a chunk holds at least one frame");
        NewEntry { span, body: self.body.clone() }
    }

    pub(crate) fn from_entry(entry: &Entry) -> Result<Self, Unreadable> {
        let unreadable = |reason| Unreadable { seq: entry.seq.0, reason };
        let mut header = &entry.body[..];
        if header.len() < HEADER_BYTES {
            return Err(unreadable("it is shorter than its header"));
        }
        let flags = header.get_u8();
        let state_version = header.get_u64();
        let end = HEADER_BYTES + header.get_u32() as usize;
        if entry.body.len() < end {
            return Err(unreadable("its frames are cut short"));
        }
        let current = Frames::split(&entry.body, HEADER_BYTES, end);
        if current.ends.len() != entry.span as usize {
            return Err(unreadable("it holds another number of frames than it covers positions"));
        }
        let legacy = (flags & HAS_LEGACY != 0).then(|| Frames::split(&entry.body, end, entry.body.len()));
        Ok(Self {
            first: entry.seq.0 + 1 - u64::from(entry.span),
            state_version,
            terminal: flags & TERMINAL != 0,
            durable: true,
            body: entry.body.clone(),
            current,
            legacy,
        })
    }

    /// The first frame in its full form, shared.
    pub(crate) fn first_frame(&self) -> Bytes {
        let end = self.current.ends.first().copied().unwrap_or(self.current.start);
        self.body.slice(self.current.start as usize..end as usize)
    }

    /// All frames in their full form, for reading the events back.
    pub(crate) fn full_frames(&self) -> &[u8] {
        let end = self.current.ends.last().copied().unwrap_or(self.current.start);
        &self.body[self.current.start as usize..end as usize]
    }
}

/// The stored form while it is written.
struct Body(Vec<u8>);

impl Body {
    fn new(events: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + events * 128);
        bytes.resize(HEADER_BYTES, 0);
        Self(bytes)
    }

    fn at(&self) -> u32 {
        u32::try_from(self.0.len()).expect("a chunk is bounded far below 4 GiB")
    }

    /// An event that this dialect does not know still takes its position: a frame without data.
    fn encode<'a>(&mut self, events: impl Iterator<Item = Option<&'a Event>>) -> Frames {
        let (start, mut ends) = (self.at(), Vec::with_capacity(events.size_hint().0));
        let mut frames = sse::Frames::onto(&mut self.0);
        for event in events {
            let end = match event {
                Some(event) => frames.push(event),
                None => frames.gap(),
            };
            ends.push(u32::try_from(end).expect("a chunk is bounded far below 4 GiB"));
        }
        Frames::new(start, ends)
    }

    fn copy<'c>(&mut self, parts: impl Iterator<Item = (&'c Chunk, &'c Frames)>) -> Frames {
        let (start, mut ends) = (self.at(), Vec::new());
        for (chunk, frames) in parts {
            let Some(&end) = frames.ends.last() else { continue };
            let at = self.at();
            ends.extend(frames.ends.iter().map(|end| end - frames.start + at));
            self.0.extend_from_slice(&chunk.body[frames.start as usize..end as usize]);
        }
        Frames::new(start, ends)
    }

    fn finish(
        mut self,
        first: u64,
        state_version: u64,
        terminal: bool,
        current: Frames,
        legacy: Option<Frames>,
    ) -> Chunk {
        let length = current.ends.last().map_or(0, |end| end - current.start);
        let flags = if terminal { TERMINAL } else { 0 } | if legacy.is_some() { HAS_LEGACY } else { 0 };
        self.0[0] = flags;
        self.0[1..9].copy_from_slice(&state_version.to_be_bytes());
        self.0[9..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        self.0.shrink_to_fit();
        Chunk { first, state_version, terminal, durable: false, body: self.0.into(), current, legacy }
    }
}

impl Frames {
    fn new(start: u32, ends: Vec<u32>) -> Self {
        Self { start, ends, protobuf: OnceLock::new() }
    }

    fn as_protobuf(&self, body: &[u8]) -> Protobuf {
        let mut bytes = Vec::with_capacity(body.len());
        let mut ends = Vec::with_capacity(self.ends.len());
        let mut start = self.start as usize;
        for end in &self.ends {
            append_as_protobuf(&mut bytes, &body[start..*end as usize]);
            start = *end as usize;
            ends.push(u32::try_from(bytes.len()).expect("a chunk is bounded far below 4 GiB"));
        }
        Protobuf { bytes: bytes.into(), ends }
    }

    /// A frame is one line and an empty one, or an empty line alone.
    fn split(body: &[u8], start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).expect("a chunk is bounded far below 4 GiB");
        let (mut at, mut ends) = (start, Vec::new());
        while at < end {
            let line = body[at..end].iter().position(|&byte| byte == b'\n').unwrap_or(end - at);
            at = end.min(at + line + if line == 0 { 1 } else { 2 });
            ends.push(narrow(at));
        }
        Self::new(narrow(start), ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::{Outcome, Reading};

    fn written(chunk: &Chunk, dialect: Dialect, after: u64, to: u64) -> String {
        let mut out = Vec::new();
        chunk.write(&mut out, Reader { dialect, encoding: Encoding::Sse, epoch: "e" }, after, to);
        String::from_utf8(out).expect("frames are text")
    }

    fn subagent_event() -> Event {
        let json = r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#;
        let Ok(Reading::Event(event)) = Event::read(json) else { panic!("an event") };
        event
    }

    #[test]
    fn frames_get_their_ids_when_they_are_durable() {
        let events = [Event::text_content("m", "a"), Event::text_content("m", "b\n\"")];
        let shown = Chunk::provisional(&events, 7, 1);
        let a = r#"data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a"}"#;
        let b = r#"data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b\n\""}"#;
        assert_eq!(written(&shown, Dialect::V1, 6, 8), format!("{a}\n\n{b}\n\n"));
        let stored = Chunk::joined(&[Arc::new(shown)]).expect("there is one");
        assert_eq!(written(&stored, Dialect::V1, 6, 8), format!("id: e.7\n{a}\n\nid: e.8\n{b}\n\n"));
        assert_eq!(written(&stored, Dialect::V1, 7, u64::MAX), format!("id: e.8\n{b}\n\n"));
        assert_eq!(written(&stored, Dialect::V1, 8, 9), "");
    }

    #[test]
    fn what_was_stored_reads_back_in_both_dialects_whatever_was_joined() {
        let parts = [
            vec![subagent_event(), Event::text_start("m")],
            vec![Event::text_content("m", "a"), Event::text_content("m", "b")],
            vec![subagent_event(), Event::run_finished_with("t", "r", Some(Outcome::cancelled()))],
        ];
        let mut first = 3;
        let chunks: Vec<_> = parts
            .iter()
            .map(|events| {
                let chunk = Arc::new(Chunk::provisional(events, first, first));
                first += events.len() as u64;
                chunk
            })
            .collect();
        let joined = Chunk::joined(&chunks).expect("there are some");
        let whole = Chunk::durable(&parts.concat(), 3, 7);
        let entry = joined.to_entry();
        let entry = Entry { seq: crate::store::Seq(8), span: entry.span.get(), body: entry.body };
        let read = Chunk::from_entry(&entry).expect("it was written here");
        for chunk in [&joined, &whole, &read] {
            assert_eq!((chunk.first, chunk.last(), chunk.state_version, chunk.terminal), (3, 8, 7, true));
            for dialect in [Dialect::V1, Dialect::Legacy] {
                assert_eq!(written(chunk, dialect, 2, 8), written(&whole, dialect, 2, 8));
            }
            assert!(written(chunk, Dialect::Legacy, 2, 4).starts_with("id: e.3\n\nid: e.4\ndata: "));
            assert_eq!(written(chunk, Dialect::Legacy, 6, 7), "id: e.7\n\n");
        }
    }
}

//! Consecutive positions of a thread's log, already encoded as SSE frames for both dialects of AG-UI, and as protobuf
//! when somebody asks for it.
//!
//! A frame is encoded once, here; streams, the store and replays only copy it. It knows nothing of who reads.

use std::num::NonZeroU32;
use std::sync::OnceLock;

use bytes::{Buf, BufMut, Bytes, BytesMut};
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
    current: Told,
    /// Present when a 0.0.59 client has to be told something else.
    legacy: Option<Told>,
}

/// What readers of one dialect are told, in each encoding.
#[derive(Debug, Clone, Default)]
struct Told {
    sse: Frames,
    /// Encoded when the first reader asks, and never stored.
    protobuf: OnceLock<Frames>,
}

/// Encoded frames and where each of them ends.
#[derive(Debug, Clone, Default)]
struct Frames {
    bytes: Bytes,
    ends: Vec<u32>,
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

impl Chunk {
    /// Encodes `events` from position `first` on. Without `epoch` the frames carry no id, because they are not durable yet.
    pub(crate) fn encode(events: &[Event], first: u64, state_version: u64, epoch: Option<&str>) -> Self {
        let current = Told::of(Frames::encode(events.iter().map(Some), first, epoch));
        let legacy = events.iter().any(Event::differs_in_legacy).then(|| {
            let said: Vec<_> = events.iter().map(|event| event.for_dialect(Dialect::Legacy)).collect();
            Told::of(Frames::encode(said.iter().map(|event| event.as_deref()), first, epoch))
        });
        let terminal = events.last().is_some_and(Event::is_terminal);
        Self { first, state_version, terminal, current, legacy }
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.current.sse.ends.len()).expect("a chunk holds far fewer than 2^32 frames")
    }

    /// Position of the last frame.
    pub(crate) fn last(&self) -> u64 {
        self.first + u64::from(self.len()) - 1
    }

    /// The frames with positions in `(after, to]`, as a reader of `dialect` gets them.
    pub(crate) fn frames(&self, dialect: Dialect, encoding: Encoding, after: u64, to: u64) -> Bytes {
        let told = match dialect {
            Dialect::V1 => &self.current,
            Dialect::Legacy => self.legacy.as_ref().unwrap_or(&self.current),
        };
        let frames = match encoding {
            Encoding::Sse => &told.sse,
            Encoding::Protobuf => told.protobuf.get_or_init(|| told.sse.as_protobuf()),
        };
        let index_of = |position: u64| position.saturating_sub(self.first).min(frames.ends.len() as u64) as usize;
        let (from, to) = (index_of(after + 1), index_of(to.saturating_add(1)));
        if from >= to {
            return Bytes::new();
        }
        let start = if from == 0 { 0 } else { frames.ends[from - 1] };
        frames.bytes.slice(start as usize..frames.ends[to - 1] as usize)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.current.sse.bytes.len() + self.legacy.as_ref().map_or(0, |told| told.sse.bytes.len())
    }

    /// The stored form: flags, state version, length of the frames, frames, legacy frames.
    pub(crate) fn to_entry(&self) -> NewEntry {
        let mut body = BytesMut::with_capacity(HEADER_BYTES + self.bytes());
        let flags = if self.terminal { TERMINAL } else { 0 } | if self.legacy.is_some() { HAS_LEGACY } else { 0 };
        body.put_u8(flags);
        body.put_u64(self.state_version);
        body.put_u32(u32::try_from(self.current.sse.bytes.len()).expect("a chunk is bounded far below 4 GiB"));
        body.put_slice(&self.current.sse.bytes);
        if let Some(legacy) = &self.legacy {
            body.put_slice(&legacy.sse.bytes);
        }
        NewEntry { span: NonZeroU32::new(self.len()).expect("a chunk holds at least one frame"), body: body.freeze() }
    }

    pub(crate) fn from_entry(entry: &Entry) -> Result<Self, Unreadable> {
        let unreadable = |reason| Unreadable { seq: entry.seq.0, reason };
        let mut body = entry.body.clone();
        if body.len() < HEADER_BYTES {
            return Err(unreadable("it is shorter than its header"));
        }
        let flags = body.get_u8();
        let state_version = body.get_u64();
        let length = body.get_u32() as usize;
        if body.len() < length {
            return Err(unreadable("its frames are cut short"));
        }
        let current = Frames::split(body.split_to(length));
        if current.ends.len() != entry.span as usize {
            return Err(unreadable("it holds another number of frames than it covers positions"));
        }
        let legacy = (flags & HAS_LEGACY != 0).then(|| Told::of(Frames::split(body)));
        Ok(Self {
            first: entry.seq.0 + 1 - u64::from(entry.span),
            state_version,
            terminal: flags & TERMINAL != 0,
            current: Told::of(current),
            legacy,
        })
    }

    /// All frames in their full form, for reading the events back.
    pub(crate) fn full_frames(&self) -> &Bytes {
        &self.current.sse.bytes
    }
}

impl Told {
    fn of(sse: Frames) -> Self {
        Self { sse, protobuf: OnceLock::new() }
    }
}

impl Frames {
    /// An event that this dialect does not know still takes its position: a frame with an id and no data.
    fn encode<'a>(events: impl Iterator<Item = Option<&'a Event>>, first: u64, epoch: Option<&str>) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        let mut ends = Vec::with_capacity(events.size_hint().0);
        for (event, position) in events.zip(first..) {
            let id = epoch.map(|epoch| (epoch, position));
            match event {
                Some(event) => sse::write_frame(&mut bytes, event, id),
                None => sse::write_gap(&mut bytes, id),
            }
            ends.push(u32::try_from(bytes.len()).expect("a chunk is bounded far below 4 GiB"));
        }
        Self { bytes: bytes.into(), ends }
    }

    /// The same positions in the other encoding; one that this reader is told nothing of is empty.
    fn as_protobuf(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut ends = Vec::with_capacity(self.ends.len());
        let mut start = 0;
        for end in &self.ends {
            append_as_protobuf(&mut bytes, &self.bytes[start..*end as usize]);
            start = *end as usize;
            ends.push(u32::try_from(bytes.len()).expect("a chunk is bounded far below 4 GiB"));
        }
        Self { bytes: bytes.into(), ends }
    }

    fn split(bytes: Bytes) -> Self {
        let ends = bytes
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair == b"\n\n")
            .map(|(at, _)| u32::try_from(at + 2).expect("a chunk is bounded far below 4 GiB"))
            .collect();
        Self { bytes, ends }
    }
}

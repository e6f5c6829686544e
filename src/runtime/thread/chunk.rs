//! Consecutive positions of a thread's log, already encoded as SSE frames for both dialects of AG-UI, and as protobuf
//! when somebody asks for it.
//!
//! A frame is encoded once, here; streams, the store and replays only copy it. Its id is not part of it: what is not
//! durable has none yet, so a reader puts it before the copy. It knows nothing of who reads.

mod frames;

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use thiserror::Error;

use crate::agui::{Dialect, Encoding, Event, sse};
use crate::json_text;
use crate::store::{Entry, NewEntry};

use frames::Frames;

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
        let terminal = events.last().is_some_and(Event::is_terminal);
        Self::written(first, state_version, terminal, |body| {
            let current = Frames::encode(body, events.iter().map(Some));
            let legacy = events.iter().any(Event::differs_in_legacy).then(|| {
                let said: Vec<_> = events.iter().map(|event| event.for_dialect(Dialect::Legacy)).collect();
                Frames::encode(body, said.iter().map(|event| event.as_deref()))
            });
            (current, legacy)
        })
    }

    /// Events that are told once and never stored.
    pub(crate) fn told(events: &[Event], dialect: Dialect, encoding: Encoding) -> Bytes {
        let mut out = Vec::new();
        let reader = Reader { dialect, encoding, epoch: "" };
        Self::provisional(events, 1, 0).write(&mut out, reader, 0, u64::MAX);
        out.into()
    }

    /// Consecutive provisional chunks as one for the store; `None` for none.
    pub(crate) fn joined(chunks: &[Arc<Self>]) -> Option<Self> {
        let (first, last) = (chunks.first()?, chunks.last()?);
        if chunks.len() == 1 {
            return Some(Self { durable: true, ..Self::clone(first) });
        }
        let joined = Self::written(first.first, last.state_version, last.terminal, |body| {
            let current = Frames::copy(body, chunks.iter().map(|chunk| (&chunk.body[..], &chunk.current)));
            let legacy = chunks.iter().any(|chunk| chunk.legacy.is_some()).then(|| {
                let told =
                    chunks.iter().map(|chunk| (&chunk.body[..], chunk.legacy.as_ref().unwrap_or(&chunk.current)));
                Frames::copy(body, told)
            });
            (current, legacy)
        });
        Some(Self { durable: true, ..joined })
    }

    /// Whose body `write` appends the frames to, those for legacy readers after the others.
    fn written(
        first: u64,
        state_version: u64,
        terminal: bool,
        write: impl FnOnce(&mut Vec<u8>) -> (Frames, Option<Frames>),
    ) -> Self {
        let (mut body, (current, legacy)) = json_text::build(|body| {
            body.resize(HEADER_BYTES, 0);
            write(body)
        });
        let length = u32::try_from(current.end() - HEADER_BYTES).expect("a chunk is bounded far below 4 GiB");
        body[0] = if terminal { TERMINAL } else { 0 } | if legacy.is_some() { HAS_LEGACY } else { 0 };
        body[1..9].copy_from_slice(&state_version.to_be_bytes());
        body[9..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        Self { first, state_version, terminal, durable: false, body: body.into(), current, legacy }
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.current.len()).expect("a chunk holds far fewer than 2^32 frames")
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
        let index_of = |position: u64| position.saturating_sub(self.first).min(frames.len() as u64) as usize;
        let (from, to) = (index_of(after + 1), index_of(to.saturating_add(1)));
        if from >= to {
            return;
        }
        if encoding == Encoding::Protobuf {
            return frames.write_protobuf(out, &self.body, from..to, dialect);
        }
        let ids = self.durable.then(|| sse::Ids::of(epoch));
        for (parts, position) in frames.read(&self.body, from..to).zip(self.first + from as u64..) {
            if let Some(ids) = &ids {
                ids.write(out, position);
            }
            parts.iter().for_each(|part| out.extend_from_slice(part));
        }
    }

    /// How many bytes the frames have at most as SSE, without ids: what a reader is sent counts, and not how little is kept
    /// of it.
    pub(crate) fn bytes(&self) -> usize {
        self.legacy.as_ref().map_or(0, Frames::bytes).max(self.current.bytes())
    }

    /// How many bytes the frames have at most as SSE, with their ids.
    pub(crate) fn bytes_with_ids(&self, epoch: &str) -> usize {
        self.bytes() + self.current.len() * (ID_BYTES + epoch.len())
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
        let frames = |within| {
            Frames::split(&entry.body, within).ok_or_else(|| unreadable("it holds a frame whose head is missing"))
        };
        let current = frames(HEADER_BYTES..end)?;
        if current.len() != entry.span as usize {
            return Err(unreadable("it holds another number of frames than it covers positions"));
        }
        let legacy = if flags & HAS_LEGACY != 0 { Some(frames(end..entry.body.len())?) } else { None };
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

    /// The first frame, which is always a whole one, shared.
    pub(crate) fn first_frame(&self) -> Bytes {
        self.body.slice(HEADER_BYTES..self.current.first_end())
    }

    /// All frames as they are read, for reading the events back.
    pub(crate) fn full_frames(&self) -> Vec<u8> {
        self.current.read(&self.body, 0..self.current.len()).flatten().collect::<Vec<_>>().concat()
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
    fn what_the_protobuf_of_old_clients_does_not_have_is_nothing_to_them() {
        let events = [
            Event::tool_call_start("c", "f", None),
            Event::tool_call_result("r", "c", "ok"),
            Event::reasoning_start("h"),
            Event::activity_snapshot("a", "P", crate::agui::Object::empty()),
            Event::step_finished("s"),
            Event::reasoning_end("h"),
            subagent_event(),
            Event::run_finished("t", "r"),
        ];
        let chunk = Chunk::durable(&events, 1, 0);
        let told = |dialect, after, to| {
            let (mut out, mut told) = (Vec::new(), Vec::new());
            chunk.write(&mut out, Reader { dialect, encoding: Encoding::Protobuf, epoch: "e" }, after, to);
            let mut rest = &out[..];
            while !rest.is_empty() {
                let length = rest.get_u32() as usize;
                let event = crate::agui::protobuf::read(&rest[..length]).expect("an event");
                told.push(event.event_type().as_str());
                rest.advance(length);
            }
            told
        };
        assert_eq!(told(Dialect::Legacy, 0, 8), ["TOOL_CALL_START", "STEP_FINISHED", "RUN_FINISHED"]);
        assert_eq!(told(Dialect::Legacy, 1, 5), ["STEP_FINISHED"]);
        assert_eq!(told(Dialect::V1, 0, 8).len(), 8);
        assert_eq!(told(Dialect::V1, 1, 3), ["TOOL_CALL_RESULT", "REASONING_START"]);
    }

    #[test]
    fn streamed_text_takes_little_more_than_itself_and_is_read_whole_from_anywhere() {
        let mut events = vec![Event::text_start("m")];
        events.extend((0..100).map(|n| Event::text_content("m", format!("{n}\n"))));
        events.extend((0..3).map(|n| Event::tool_call_args(r#"a","delta":"#, format!("{n}"))));
        events.extend([Event::text_content("m", "last"), Event::text_end("m")]);
        let whole: Vec<String> = events.iter().map(|event| format!("data: {}\n\n", event.to_json())).collect();
        let (one, parts) = (Chunk::provisional(&events, 1, 0), |size| {
            let parts = events.chunks(size).zip((1..).step_by(size));
            parts.map(|(events, first)| Arc::new(Chunk::provisional(events, first, 0))).collect::<Vec<_>>()
        });
        let joined = [1, 7].map(|size| Chunk::joined(&parts(size)).expect("there are some"));
        let entry = joined[0].to_entry();
        let entry = Entry { seq: crate::store::Seq(events.len() as u64), span: entry.span.get(), body: entry.body };
        let read = Chunk::from_entry(&entry).expect("it was written here");
        for chunk in [&one, &joined[0], &joined[1], &read] {
            assert!(chunk.body.len() < 1600, "{} bytes for {} events", chunk.body.len(), events.len());
            assert_eq!(chunk.bytes(), whole.concat().len());
            assert_eq!(String::from_utf8_lossy(&chunk.full_frames()), whole.concat());
            for from in 0..whole.len() {
                let ids: String = (from..whole.len()).map(|at| format!("id: e.{}\n{}", at + 1, whole[at])).collect();
                let shown = if chunk.durable { ids } else { whole[from..].concat() };
                assert_eq!(written(chunk, Dialect::V1, from as u64, u64::MAX), shown);
            }
        }
    }

    #[test]
    fn an_entry_whose_frames_lack_their_head_is_refused() {
        let chunk = Chunk::durable(&[Event::text_content("m", "a"), Event::text_content("m", "b")], 1, 0);
        let mut body = chunk.to_entry().body.to_vec();
        let mark = body.iter().rposition(|&byte| byte == 1).expect("the second frame has no head");
        body.drain(HEADER_BYTES..mark);
        let length = u32::try_from(body.len() - HEADER_BYTES).expect("it is short");
        body[9..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        let entry = Entry { seq: crate::store::Seq(1), span: 1, body: body.into() };
        assert!(Chunk::from_entry(&entry).expect_err("no head").reason.contains("head"));
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

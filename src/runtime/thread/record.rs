//! A finished run as the thread's stream keeps it: facts for the runtime, and frames that a replay copies.
//!
//! Layout of an entry: length of the header (4 bytes), header as JSON, length of the frames (4 bytes), frames, legacy
//! frames. STATE events are in none of them; the header says where a replay splices the state in.

use std::sync::{Arc, OnceLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::agent::cause::Cause;
use crate::agui::{Compacted, Dialect, Event, Interrupt, Message, Reading, Reducer, echoed, sse};
use crate::json_text;
use crate::store::NewEntry;

use super::super::clock::now;
use super::super::document::DocumentRef;
use super::super::runs::{RetryPlan, RunStatus};

/// About what a frame takes whose text is short.
const FRAME_BYTES: usize = 192;

/// What is known of a run from its start: enough to close it properly after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunStart {
    /// Minted by the runtime.
    pub(crate) run_id: String,
    /// As the client posted it; may repeat within a thread.
    pub(crate) client_run_id: String,
    /// As clients posted the runs that became part of it before it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) joined: Vec<String>,
    pub(crate) agent: String,
    /// The lease of the process that hosts it; 0 is nobody's.
    #[serde(default)]
    pub(crate) fence: u64,
    /// The hash of the definition it was started with.
    #[serde(default)]
    pub(crate) definition: String,
    pub(crate) document: DocumentRef,
    /// The document's version in the run's first `STATE_SNAPSHOT`.
    pub(crate) state_sent: u64,
    /// Position of `RUN_STARTED` in the thread's log.
    pub(crate) first_position: u64,
    pub(crate) started_at: String,
    /// Those of earlier attempts.
    #[serde(default)]
    pub(crate) steps_before: u64,
    #[serde(default = "Cause::user")]
    pub(crate) cause: Cause,
    /// What becomes of it if it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Box<RetryPlan>>,
    /// Messages the client added with this run.
    #[serde(with = "messages")]
    pub(crate) input: Vec<Arc<Message>>,
    /// User messages of earlier runs whose text the client changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "messages")]
    pub(crate) edits: Vec<Arc<Message>>,
    /// The first run (its place in the thread, from 0) that this run answers anew; it and all after it are not replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) supersedes_from: Option<usize>,
    /// Whether its client posted its state without any sign of having seen the document, which others had made.
    #[serde(default)]
    pub(crate) unproven: bool,
    /// Whether its client answers questions with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) answers: bool,
    #[serde(skip)]
    pub(super) written: Written,
}

/// What is written when a run begins and again when it has ended. A copy of the start has none of it: it may be changed.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The start itself as JSON.
    start: OnceLock<Bytes>,
    /// The frame of `RUN_STARTED`, without an id.
    opening: OnceLock<Bytes>,
}

/// What the agent said last in a run, and the document's version when that was complete: who has it saw that version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastWords {
    pub(crate) message_id: String,
    pub(crate) version: u64,
}

/// The facts of a finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    /// Its text is there already: [`RunRecord::to_entry`] puts it before the rest.
    #[serde(skip_serializing)]
    pub(crate) start: Arc<RunStart>,
    /// Derived from the run's log, never from shared state.
    pub(crate) status: RunStatus,
    pub(crate) finished_at: String,
    /// The document's version when the run ended.
    pub(crate) state_end: u64,
    /// Position of the terminal in the thread's log.
    pub(crate) last_position: u64,
    /// Messages the run produced.
    #[serde(with = "messages")]
    pub(crate) output: Vec<Arc<Message>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) interrupts: Vec<Interrupt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_words: Option<LastWords>,
    /// Calls that the browser is to answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) asked: Vec<String>,
}

/// What a run came to, when its terminal is known.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<Compacted>,
    pub(crate) spoken: Option<Spoken>,
    pub(crate) asked: Vec<String>,
}

/// The frames of a finished run in one dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replay {
    bytes: Bytes,
    /// Where the last frame (the terminal) begins.
    terminal: usize,
}

/// A finished run, as read back.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    pub(crate) facts: RunFacts,
    current: Replay,
    legacy: Option<Replay>,
}

#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("a run of this thread is cut short in the store")]
    CutShort,
    #[error("a run of this thread cannot be read: {0}")]
    Header(#[from] serde_json::Error),
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl RunStart {
    /// Whether a client knows it by this id.
    pub(crate) fn is_posted_as(&self, id: &str) -> bool {
        self.run_id == id || self.client_run_id == id || self.joined.iter().any(|joined| joined == id)
    }

    /// As JSON. Of one that is shared, and so stays as it is.
    pub(super) fn text(self: &Arc<Self>) -> Bytes {
        self.written.start.get_or_init(|| json_text::encode(self).into()).clone()
    }

    /// This frame is what the log has of `RUN_STARTED`.
    pub(super) fn opened_by(&self, frame: Bytes) {
        self.written.opening.get_or_init(|| frame);
    }
}

impl RunFacts {
    /// The facts of a run that told this.
    pub(crate) fn new(
        start: Arc<RunStart>,
        status: RunStatus,
        state_end: u64,
        last_position: u64,
        told: &Told,
    ) -> Self {
        // Begun with what the client posted, of which `RUN_STARTED` may tell a part.
        let mut reducer = Reducer::new(start.input.iter().map(|message| Message::clone(message)).collect());
        told.events.iter().for_each(|item| reducer.apply(&item.event));
        let interrupts = told.events.last().map_or(Vec::new(), |item| item.event.interrupts().to_vec());
        let output: Vec<_> = reducer.into_messages().into_iter().map(Arc::new).collect();
        let last_words = told.spoken.as_ref().and_then(|spoken| spoken.in_messages(&output));
        let asked = told.asked.clone();
        Self { start, status, finished_at: now(), state_end, last_position, output, interrupts, last_words, asked }
    }
}

/// What was completed last: a message (a tool's result is one) or a call, with the document's version at that entry.
#[derive(Debug)]
pub(crate) struct Spoken {
    /// Of the message, or of the call.
    id: String,
    version: u64,
}

impl Spoken {
    /// `None` for an event that completes nothing that clients send back.
    pub(crate) fn new(event: &Event, version: u64) -> Option<Self> {
        let id = match event {
            Event::TextMessageEnd(end) => &end.message_id,
            Event::ToolCallEnd(end) => &end.tool_call_id,
            Event::ToolCallResult(result) => &result.message_id,
            _ => return None,
        };
        Some(Self { id: id.clone(), version })
    }

    fn in_messages(&self, output: &[Arc<Message>]) -> Option<LastWords> {
        let carries = |message: &&Arc<Message>| {
            message.id() == self.id || message.tool_calls().iter().any(|call| call.id == self.id)
        };
        let message_id = output.iter().rfind(carries)?.id().to_owned();
        Some(LastWords { message_id, version: self.version })
    }
}

impl RunRecord {
    /// Encodes a run's compacted events for replay. Of the messages that it brought, `answers` belong between older ones:
    /// clients append what `RUN_STARTED` brings, and put the result of a call after the call.
    pub(crate) fn new(facts: RunFacts, mut events: Vec<Compacted>, epoch: &str, answers: &[Arc<Message>]) -> Self {
        let is_as_logged = !tell_as_results(&mut events, answers);
        let opening = facts.start.written.opening.get().filter(|_| is_as_logged);
        let current = Replay::encode(&events, Dialect::V1, epoch, opening);
        let legacy = events
            .iter()
            .any(|item| item.event.differs_in_legacy())
            .then(|| Replay::encode(&events, Dialect::Legacy, epoch, None));
        Self { facts, current, legacy }
    }

    pub(crate) fn replay(&self, dialect: Dialect) -> &Replay {
        match dialect {
            Dialect::V1 => &self.current,
            Dialect::Legacy => self.legacy.as_ref().unwrap_or(&self.current),
        }
    }

    pub(crate) fn to_entry(&self) -> NewEntry {
        let (start, rest) = (self.facts.start.text(), json_text::encode(&self.facts));
        let header = [br#"{"start":"#, &start[..], b",", &rest[1..]];
        let length = header.iter().map(|part| part.len()).sum::<usize>();
        let legacy = self.legacy.as_ref().map(|replay| &replay.bytes[..]).unwrap_or_default();
        let mut body = BytesMut::with_capacity(8 + length + self.current.bytes.len() + legacy.len());
        body.put_u32(u32::try_from(length).expect("a run is bounded far below 4 GiB"));
        header.iter().for_each(|part| body.put_slice(part));
        body.put_u32(u32::try_from(self.current.bytes.len()).expect("a run is bounded far below 4 GiB"));
        body.put_slice(&self.current.bytes);
        body.put_slice(legacy);
        NewEntry::one(body)
    }

    pub(crate) fn from_entry(body: &Bytes) -> Result<Self, RecordError> {
        let mut body = body.clone();
        let header = take_sized(&mut body)?;
        let facts = serde_json::from_slice(&header)?;
        let current = Replay::locate(take_sized(&mut body)?);
        let legacy = (!body.is_empty()).then(|| Replay::locate(body));
        Ok(Self { facts, current, legacy })
    }
}

/// Takes these messages out of what `RUN_STARTED` brings and puts them after it as results, those that events can tell
/// whole; answers whether there are any.
fn tell_as_results(events: &mut Vec<Compacted>, answers: &[Arc<Message>]) -> bool {
    let results: Vec<_> = answers.iter().filter_map(|answer| Event::result_of(answer)).collect();
    if let Some(Event::RunStarted(started)) = events.first_mut().map(|item| &mut item.event)
        && let Some(input) = &mut started.input
    {
        let is_result = |message: &Message| results.iter().any(|event| event.message_id() == Some(message.id()));
        input.messages.retain(|message| !is_result(message));
        // Nothing that a reader has seen of the log is between them and `RUN_STARTED`.
        let cut = events[0].cut.take();
        let last = results.len();
        let items = results.into_iter().map(|event| Compacted { event, cut: None });
        events.splice(1..1, items);
        events[last].cut = cut;
        return last > 0;
    }
    false
}

fn take_sized(body: &mut Bytes) -> Result<Bytes, RecordError> {
    if body.len() < 4 {
        return Err(RecordError::CutShort);
    }
    let length = body.get_u32() as usize;
    if body.len() < length {
        return Err(RecordError::CutShort);
    }
    Ok(body.split_to(length))
}

impl Replay {
    /// `opening` is the frame of `RUN_STARTED`, if this dialect's is there already.
    fn encode(events: &[Compacted], dialect: Dialect, epoch: &str, opening: Option<&Bytes>) -> Self {
        let ids = sse::Ids::of(epoch);
        let (mut bytes, mut terminal) = (Vec::with_capacity(events.len() * FRAME_BYTES), 0);
        for item in events {
            let said = item.event.for_dialect(dialect);
            if said.is_none() && item.cut.is_none() {
                continue;
            }
            terminal = bytes.len();
            item.cut.iter().for_each(|position| ids.write(&mut bytes, *position));
            match (said.as_deref(), opening) {
                (Some(Event::RunStarted(_)), Some(opening)) => bytes.extend_from_slice(opening),
                (Some(event), _) => sse::write_frame(&mut bytes, event, None),
                (None, _) => sse::write_gap(&mut bytes, None),
            }
        }
        Self { bytes: bytes.into(), terminal }
    }

    fn locate(bytes: Bytes) -> Self {
        let before_last = bytes.len().saturating_sub(2);
        let terminal = bytes[..before_last].windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
        Self { bytes, terminal }
    }

    /// Everything up to the terminal.
    pub(crate) fn body(&self) -> Bytes {
        self.bytes.slice(..self.terminal)
    }

    /// The same, its opening with these messages in place of those with their ids.
    pub(crate) fn body_with(&self, edited: &[Arc<Message>]) -> Result<Bytes, RecordError> {
        let body = self.body();
        let end = body.windows(2).position(|pair| pair == b"\n\n").ok_or(RecordError::CutShort)?;
        let start = body[..end].windows(6).position(|bytes| bytes == b"data: ").ok_or(RecordError::CutShort)? + 6;
        let text = str::from_utf8(&body[start..end]).map_err(|_| RecordError::CutShort)?;
        let Ok(Reading::Event(mut event)) = Event::read(text) else { return Err(RecordError::CutShort) };
        if let Event::RunStarted(started) = &mut event
            && let Some(input) = &mut started.input
        {
            for message in &mut input.messages {
                if let Some(edited) = edited.iter().find(|edited| edited.id() == message.id()) {
                    *message = Message::clone(edited);
                }
            }
            input.messages = echoed(std::mem::take(&mut input.messages));
        }
        let mut changed = body[..start].to_vec();
        event.write_json(&mut changed);
        changed.extend_from_slice(&body[end..]);
        Ok(changed.into())
    }

    pub(crate) fn terminal(&self) -> Bytes {
        self.bytes.slice(self.terminal..)
    }
}

/// Messages are read by the rules of AG-UI, which are not serde's.
pub(super) mod messages {
    use std::sync::Arc;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    use crate::agui::Message;

    pub(crate) fn serialize<S: Serializer>(messages: &[Arc<Message>], serializer: S) -> Result<S::Ok, S::Error> {
        messages.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Message>>, D::Error> {
        let texts = Vec::<Box<RawValue>>::deserialize(deserializer)?;
        texts.iter().map(|text| Message::read(text.get()).map(Arc::new).map_err(D::Error::custom)).collect()
    }
}

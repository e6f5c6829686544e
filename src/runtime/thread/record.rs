//! A finished run as the thread's stream keeps it: facts for the runtime, and frames that a replay copies.
//!
//! Layout of an entry: length of the header (4 bytes), header as JSON, length of the frames (4 bytes), frames, legacy
//! frames. STATE events are in none of them; the header says where a replay splices the state in.

mod retelling;
mod start;

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::agui::{Compacted, Dialect, Event, Interrupt, Message, Reducer};
use crate::json_text;
use crate::store::NewEntry;

use super::super::clock::now;
use super::super::runs::RunStatus;
use retelling::{Retelling, tell_as_results};

pub(crate) use start::RunStart;
pub(super) use start::Written;

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

/// A finished run, as read back.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    pub(crate) facts: RunFacts,
    current: Retelling,
    legacy: Option<Retelling>,
}

#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("a run of this thread is cut short in the store")]
    CutShort,
    #[error("a run of this thread cannot be read: {0}")]
    Header(#[from] serde_json::Error),
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
        let current = Retelling::encode(&events, Dialect::V1, epoch, opening);
        let legacy = events
            .iter()
            .any(|item| item.event.differs_in_legacy())
            .then(|| Retelling::encode(&events, Dialect::Legacy, epoch, None));
        Self { facts, current, legacy }
    }

    pub(crate) fn replay(&self, dialect: Dialect) -> &Retelling {
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
        let current = Retelling::locate(take_sized(&mut body)?);
        let legacy = (!body.is_empty()).then(|| Retelling::locate(body));
        Ok(Self { facts, current, legacy })
    }
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

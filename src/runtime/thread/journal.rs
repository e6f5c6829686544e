//! The journal of a live run: what it was asked, and each step it has done, in a stream of its own beside the thread's log.
//! It is written in the commits of the events it belongs to and goes in the one that ends the run.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::agent::steps::Past;
use crate::agui::{Message, RunAgentInput};
use crate::json_text;
use crate::store::{Append, NewEntry, Seq, Store, StoreError, StreamKey};

use super::actor::Broken;
use super::load::PAGE;
use super::transcript::{Resolved, Transcript};

/// A run under which the process died so often is not taken up again: it may be what the process dies of.
pub(super) const MOST_CRASHES: usize = 5;
/// Entries that nobody waits for are stored with the next events, or when they have grown to this.
const WAITING_BYTES: usize = 64 << 10;

/// One entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'i> {
    Asked(Box<Asked<'i>>),
    Step {
        path: String,
        /// Absent when the step has only begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Box<RawValue>>,
        /// The log's position with the last event of the step.
        position: u64,
        /// How long the run had been worked on.
        spent_ms: u64,
    },
    /// The process ended in good order.
    Suspended {
        spent_ms: u64,
    },
    Resumed {
        /// Whether the process had died.
        crashed: bool,
    },
}

/// What a restart needs to ask the agent again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked<'i> {
    /// Everything of the input but its messages and its state.
    input: Cow<'i, RunAgentInput>,
    context: Vec<Told>,
}

/// Messages of a run's context.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// Messages that stand next to each other in the transcript, as it was before the run; the last one's id.
    Span { from: usize, count: usize, last: String },
    /// One that the run brought or changed.
    New(String),
    /// One that is nowhere else.
    Whole(Box<Message>),
}

impl<'i> Asked<'i> {
    /// `input` is as it was posted, without its messages and its state; the run is not in the transcript yet.
    pub(super) fn new(input: &'i RunAgentInput, resolved: &Resolved, transcript: &Transcript) -> Self {
        let mut context: Vec<Told> = Vec::new();
        let mut next = 0;
        for message in &resolved.context {
            if let Some(place) = transcript.place_of(message, next) {
                next = place + 1;
                let id = message.id().to_owned();
                match context.last_mut() {
                    Some(Told::Span { from, count, last }) if *from + *count == place => {
                        *count += 1;
                        *last = id;
                    }
                    _ => context.push(Told::Span { from: place, count: 1, last: id }),
                }
                continue;
            }
            let is_it = |other: &Arc<Message>| Arc::ptr_eq(other, message);
            context.push(match resolved.added.iter().chain(&resolved.edits).any(is_it) {
                true => Told::New(message.id().to_owned()),
                false => Told::Whole(Box::new(Message::clone(message))),
            });
        }
        Self { input: Cow::Borrowed(input), context }
    }

    /// The input and the context of the run; `brought` are the messages it brought and changed.
    pub(super) fn again(
        self,
        transcript: &Transcript,
        brought: &[Arc<Message>],
    ) -> Result<(RunAgentInput, Vec<Arc<Message>>), String> {
        let mut context = Vec::new();
        for told in self.context {
            match told {
                Told::Span { from, count, last } => {
                    let span: Vec<_> = transcript.messages().skip(from).take(count).cloned().collect();
                    if span.len() != count || span.last().is_none_or(|message| message.id() != last) {
                        return Err(format!("message `{last}` is not where it was"));
                    }
                    context.extend(span);
                }
                Told::New(id) => {
                    let message = brought.iter().find(|message| message.id() == id);
                    context.push(Arc::clone(message.ok_or_else(|| format!("message `{id}` is missing"))?));
                }
                Told::Whole(message) => context.push(Arc::new(*message)),
            }
        }
        Ok((self.input.into_owned(), context))
    }
}

/// The journal of a live run, as the thread's task writes it.
#[derive(Debug)]
pub(super) struct Journal {
    stream: StreamKey,
    /// Its last stored position.
    seq: Seq,
    waiting: Vec<NewEntry>,
    bytes: usize,
    began: Instant,
    spent_before: Duration,
}

impl Journal {
    /// Of a run that begins, and that was asked this.
    pub(super) fn new(stream: StreamKey, asked: Asked<'_>) -> Self {
        let began = Instant::now();
        let mut journal =
            Self { stream, seq: Seq::ZERO, waiting: Vec::new(), bytes: 0, began, spent_before: Duration::ZERO };
        journal.push(&Entry::Asked(Box::new(asked)));
        journal
    }

    /// Of a run that goes on.
    pub(super) fn going_on(stream: StreamKey, standing: Standing, spent_before: Duration) -> Self {
        let Standing { seq, was_suspended, .. } = standing;
        let mut journal = Self { stream, seq, waiting: Vec::new(), bytes: 0, began: Instant::now(), spent_before };
        journal.push(&Entry::Resumed { crashed: !was_suspended });
        journal
    }

    /// A step is done, or has begun (`None`); its last event has this position.
    pub(super) fn note(&mut self, path: String, value: Option<Box<RawValue>>, position: u64) {
        let spent_ms = self.spent_ms();
        self.push(&Entry::Step { path, value, position, spent_ms });
    }

    pub(super) fn suspend(&mut self) {
        let spent_ms = self.spent_ms();
        self.push(&Entry::Suspended { spent_ms });
    }

    /// Whether more waits than should.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > WAITING_BYTES
    }

    /// What waits, to be stored; `None` when nothing does.
    pub(super) fn append(&self) -> Option<Append> {
        let mut append = Append::to(self.stream.clone(), self.seq);
        append.entries.clone_from(&self.waiting);
        (!append.entries.is_empty()).then_some(append)
    }

    /// What waited is stored.
    pub(super) fn stored(&mut self) {
        self.seq = Seq(self.seq.0 + self.waiting.len() as u64);
        self.waiting.clear();
        self.bytes = 0;
    }

    /// How long the run has been worked on, in all processes.
    pub(super) fn spent(&self) -> Duration {
        self.spent_before + self.began.elapsed()
    }

    fn spent_ms(&self) -> u64 {
        u64::try_from(self.spent().as_millis()).unwrap_or(u64::MAX)
    }

    fn push(&mut self, entry: &Entry<'_>) {
        let body = json_text::encode(entry);
        self.bytes += body.len();
        self.waiting.push(NewEntry::one(body));
    }
}

/// What the journal of a run that was cut off holds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) asked: Asked<'static>,
    pub(super) past: Past,
    pub(super) standing: Standing,
}

/// Where a journal stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The log's position up to which everything belongs to steps that are done.
    pub(super) settled_to: u64,
    /// How often the process has died under the run, this time included.
    pub(super) crashes: usize,
    was_suspended: bool,
    seq: Seq,
}

/// Reads a journal; `None` when there is none.
pub(super) async fn read(store: &dyn Store, stream: &StreamKey) -> Result<Option<Found>, Broken> {
    let damaged = |reason: String| Broken { reason: format!("{stream}: {reason}") };
    let mut entries = entries(store, stream).await?.into_iter();
    let Some(first) = entries.next() else { return Ok(None) };
    let asked = match serde_json::from_slice(&first).map_err(|error| damaged(error.to_string()))? {
        Entry::Asked(asked) => *asked,
        other => return Err(damaged(format!("it does not begin with what was asked, but with {other:?}"))),
    };
    let seq = Seq(entries.len() as u64 + 1);
    let mut past = Past::default();
    let mut standing = Standing { settled_to: 0, crashes: 0, was_suspended: false, seq };
    for entry in entries {
        let entry = serde_json::from_slice(&entry).map_err(|error| damaged(error.to_string()))?;
        standing.was_suspended = matches!(entry, Entry::Suspended { .. });
        let spent = match entry {
            Entry::Step { path, value, position, spent_ms } => {
                match value {
                    Some(value) => drop(past.done.insert(path, value)),
                    None => drop(past.begun.insert(path)),
                }
                standing.settled_to = position;
                spent_ms
            }
            Entry::Suspended { spent_ms } => spent_ms,
            Entry::Resumed { crashed } => {
                standing.crashes += usize::from(crashed);
                continue;
            }
            Entry::Asked(_) => return Err(damaged("a run is asked twice".to_owned())),
        };
        past.spent = Duration::from_millis(spent);
    }
    standing.crashes += usize::from(!standing.was_suspended);
    Ok(Some(Found { asked, past, standing }))
}

async fn entries(store: &dyn Store, stream: &StreamKey) -> Result<Vec<bytes::Bytes>, StoreError> {
    let (mut entries, mut after) = (Vec::new(), Seq::ZERO);
    loop {
        let page = store.read(stream, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(entries) };
        after = last.seq;
        entries.extend(page.into_iter().map(|entry| entry.body));
    }
}

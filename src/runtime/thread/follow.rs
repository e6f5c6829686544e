//! Following a live run: a cursor over the thread's log and one over its document's commits, read as one stream.
//!
//! The order that both logs have in common (design §5): every entry names the document version it was appended at, so
//! the deltas up to that version go out before it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agui::{Dialect, Encoding};
use crate::state::schema::View;
use crate::store::{Limit, Seq, Store};

use super::super::document::{Delta, DocumentHandle, Snapshot};
use super::super::{ReadError, Services};
use super::ThreadRef;
use super::audience::Listener;
use super::chunk::{Chunk, Reader};
use super::live::LiveRun;
use super::prediction::Prediction;
use super::tail::{Found, Tail};

/// A reader that fell behind reads the store in pages of this size; streamed text is about ten times as long when it is sent.
const CATCH_UP: Limit = Limit { entries: 256, bytes: 32 << 10 };

/// What comes in quick succession goes out together: after something was sent, the next bytes wait this long for more.
/// A wake-up and a write for each event is what streaming costs a server; people notice neither.
const GATHER: Duration = Duration::from_millis(2);

/// A larger snapshot goes out as it is, and what is smaller in one piece with what stands around it.
const COPIED: usize = 16 << 10;

/// The stream of one live run.
#[derive(Debug)]
pub(crate) struct Follow {
    store: Arc<dyn Store>,
    thread: ThreadRef,
    tail: Arc<Tail>,
    /// The state that is shown, mostly that of the run.
    document: Arc<DocumentHandle>,
    /// Whether the run works on another document than the one that is shown: then entries name versions of that one.
    is_elsewhere: bool,
    /// The document's schema as the thread's owner meets it.
    view: Option<Arc<View>>,
    dialect: Dialect,
    encoding: Encoding,
    /// Position of `RUN_STARTED`.
    opening: u64,
    /// Last position that went out.
    position: u64,
    /// The run's terminal when it is known to have ended already.
    last: Option<u64>,
    /// What the stream shows first; a late reader has none and gets the state as it is then.
    first_snapshot: Option<Snapshot>,
    /// Document version the client has; `None` before its first snapshot.
    state: Option<u64>,
    new_entries: watch::Receiver<u64>,
    new_versions: watch::Receiver<u64>,
    /// Of a run that is live, for a reader from whom nothing of the state is hidden.
    predictions: Option<watch::Receiver<Option<Arc<Prediction>>>>,
    /// What the client is shown on top of `state`.
    predicted: Option<Arc<Prediction>>,
    last_sent: Option<Instant>,
    /// Found and not sent yet.
    ready: VecDeque<Bytes>,
    ended: bool,
    /// Of a run that is live; who reads what is left of a finished one proves nothing by it.
    listener: Option<Listener>,
}

impl Follow {
    /// The stream of the client that started the run.
    pub(super) fn own_run(
        services: &Services,
        thread: &ThreadRef,
        tail: &Arc<Tail>,
        live: &LiveRun,
        dialect: Dialect,
    ) -> Self {
        let mut follow = Self::late(services, thread, tail, live, dialect);
        follow.first_snapshot = Some(live.snapshot.clone());
        follow
    }

    /// A second reader of a live run, from its beginning.
    pub(super) fn late(
        services: &Services,
        thread: &ThreadRef,
        tail: &Arc<Tail>,
        live: &LiveRun,
        dialect: Dialect,
    ) -> Self {
        let document = Arc::clone(&live.document);
        let mut follow = Self::new(services, thread, tail, document, dialect, live.start.first_position);
        follow.listener = Some(live.audience.join());
        let sees_all = follow.view.as_ref().is_none_or(|view| view.sees_all());
        follow.predictions = sees_all.then(|| live.predictor.subscribe());
        follow
    }

    /// A run as whoever has another agent's state before them sees it: with that state, and not with the run's own.
    pub(super) fn beside(self, document: Arc<DocumentHandle>) -> Self {
        Self {
            new_versions: document.deltas().subscribe(),
            view: document.view(&self.thread.names()),
            document,
            is_elsewhere: true,
            predictions: None,
            ..self
        }
    }

    pub(super) fn new(
        services: &Services,
        thread: &ThreadRef,
        tail: &Arc<Tail>,
        document: Arc<DocumentHandle>,
        dialect: Dialect,
        opening: u64,
    ) -> Self {
        Self {
            store: Arc::clone(&services.store),
            thread: thread.clone(),
            new_entries: tail.subscribe(),
            new_versions: document.deltas().subscribe(),
            tail: Arc::clone(tail),
            view: document.view(&thread.names()),
            document,
            is_elsewhere: false,
            dialect,
            encoding: Encoding::Sse,
            opening,
            position: opening - 1,
            last: None,
            first_snapshot: None,
            state: None,
            predictions: None,
            predicted: None,
            last_sent: None,
            ready: VecDeque::new(),
            ended: false,
            listener: None,
        }
    }

    /// The same stream in this encoding; SSE unless asked.
    pub(super) fn encoded(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Goes on after `position`, for a client that has what came before; the run's terminal is `last` if it ended.
    pub(super) fn resuming(mut self, position: u64, last: Option<u64>) -> Self {
        self.position = position;
        self.last = last;
        self
    }

    /// The next bytes to send, several frames together when they wait; `None` when the run has ended, and an error when
    /// the rest of it cannot be read.
    ///
    /// Cancel safe: what a dropped call had found is found again.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        self.read_on().await.transpose()
    }

    async fn read_on(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            if self.ended || self.last.is_some_and(|last| self.position >= last) {
                if let Some(listener) = &mut self.listener {
                    listener.hears_the_end();
                }
                return Ok(None);
            }
            // Nothing more is to be gathered when the run is over.
            if let Some(sent) = self.last_sent.filter(|_| !self.tail.ends_after(self.position)) {
                tokio::time::sleep_until(sent + GATHER).await;
            }
            self.new_entries.mark_unchanged();
            self.new_versions.mark_unchanged();
            // Read before the entries: a version that is newer than they are waits for the entries before it.
            let version = self.document.deltas().version();
            let chunks = match self.tail.after(self.position) {
                Found::Chunks(chunks) => chunks,
                Found::InStore => self.read_store().await?,
                Found::Suspended => return Ok(None),
                Found::Closed => return Err(self.lost("its thread has lost it")),
                Found::Nothing => {
                    match self.state {
                        Some(state) if version > state => {
                            self.last_sent = Some(Instant::now());
                            return self.deltas_up_to(state, version).await.map(Some);
                        }
                        // A client that was cut in a run that is silent now.
                        None if self.position >= self.opening => {
                            let snapshot = self.snapshot().await?;
                            self.state = Some(snapshot.version);
                            return Ok(Some(snapshot.told(self.encoding)));
                        }
                        _ => match self.predict() {
                            Some(bytes) => {
                                self.last_sent = Some(Instant::now());
                                return Ok(Some(bytes));
                            }
                            None => self.wait().await?,
                        },
                    }
                    continue;
                }
            };
            self.show(&chunks).await?;
            let prediction = if self.ended { None } else { self.predict() };
            self.ready.extend(prediction);
            if !self.ready.is_empty() {
                self.last_sent = Some(Instant::now());
            }
        }
    }

    fn lost(&self, reason: impl std::fmt::Display) -> ReadError {
        tracing::warn!(thread = %self.thread.id, %reason, "a stream breaks off");
        ReadError::Unavailable { reason: format!("the run cannot be read on: {reason}") }
    }

    /// Waits for an entry or a version.
    async fn wait(&mut self) -> Result<(), ReadError> {
        let changed = tokio::select! {
            changed = self.new_entries.changed() => changed,
            changed = self.new_versions.changed() => changed,
            () = changed(&mut self.predictions) => Ok(()),
        };
        changed.map_err(|_| self.lost("its owners are gone"))
    }

    /// What brings the client to what is predicted now, on the version that it has; `None` when it has that.
    fn predict(&mut self) -> Option<Bytes> {
        let wanted = self.predictions.as_mut()?.borrow_and_update().clone();
        let (shown, state) = (self.predicted.as_ref().map(|shown| shown.number), self.state?);
        let wanted = match wanted {
            // It lies on a version that is still to come, or on one that has gone by.
            Some(wanted) if wanted.version != state => return None,
            wanted => wanted,
        };
        if shown == wanted.as_ref().map(|wanted| wanted.number) {
            return None;
        }
        let mut out = Vec::new();
        match wanted.as_deref() {
            Some(Prediction { number, step: Some(step), .. }) if shown == Some(number - 1) => {
                out.extend_from_slice(&step.encoded(self.encoding));
            }
            Some(next) => {
                self.withdraw(&mut out);
                out.extend_from_slice(&next.show.encoded(self.encoding));
            }
            None => self.withdraw(&mut out),
        }
        self.predicted = wanted;
        (!out.is_empty()).then(|| out.into())
    }

    /// Takes back what is predicted, so that the client has exactly the version that commits were made for.
    fn withdraw(&self, out: &mut Vec<u8>) {
        if let Some(shown) = &self.predicted {
            out.extend_from_slice(&shown.withdraw.encoded(self.encoding));
        }
    }

    async fn read_store(&self) -> Result<Vec<Arc<Chunk>>, ReadError> {
        let entries = self.store.read(&self.thread.log(), Seq(self.position), CATCH_UP).await;
        let entries = entries.map_err(|error| self.lost(error))?;
        let chunks: Result<Vec<_>, _> = entries.iter().map(|entry| Chunk::from_entry(entry).map(Arc::new)).collect();
        let chunks = chunks.map_err(|error| self.lost(error))?;
        match chunks.first() {
            Some(chunk) if chunk.first <= self.position + 1 => Ok(chunks),
            Some(_) | None => Err(self.lost("it fell behind what the log keeps")),
        }
    }

    /// Renders chunks with the state before them. Changes the cursor only at the end, in one go.
    async fn show(&mut self, chunks: &[Arc<Chunk>]) -> Result<(), ReadError> {
        let reader = Reader { dialect: self.dialect, encoding: self.encoding, epoch: self.tail.epoch() };
        let room = chunks.iter().map(|chunk| chunk.bytes_with_ids(reader.epoch)).sum();
        let (mut ready, mut out) = (VecDeque::new(), Vec::with_capacity(room));
        let mut state = self.state;
        let mut position = self.position;
        let mut ended = false;
        let mut is_predicted = self.predicted.is_some();
        for chunk in chunks {
            if self.last.is_some_and(|last| chunk.first > last) {
                break;
            }
            let to = self.last.map_or(chunk.last(), |last| last.min(chunk.last()));
            if position < self.opening {
                position = self.opening;
                chunk.write(&mut out, reader, self.opening - 1, self.opening);
            }
            if state.is_none() {
                let snapshot = match &self.first_snapshot {
                    Some(snapshot) => snapshot.clone(),
                    None => self.snapshot().await?,
                };
                state = Some(snapshot.version);
                let snapshot = snapshot.told(self.encoding);
                if snapshot.len() > COPIED {
                    ready.push_back(std::mem::take(&mut out).into());
                    ready.push_back(snapshot);
                } else {
                    out.extend_from_slice(&snapshot);
                }
            }
            let shown = state.expect("the line above set it");
            let wanted = if self.is_elsewhere { shown } else { chunk.state_version };
            if is_predicted && (wanted > shown || chunk.terminal) {
                self.withdraw(&mut out);
                is_predicted = false;
            }
            if wanted > shown {
                state = Some(self.catch_up(shown, wanted, &mut out).await?);
            }
            chunk.write(&mut out, reader, position, to);
            position = to;
            if chunk.terminal && to == chunk.last() {
                ended = true;
                break;
            }
        }
        ready.push_back(out.into());
        ready.retain(|bytes: &Bytes| !bytes.is_empty());
        (self.position, self.state, self.ended, self.ready) = (position, state, ended, ready);
        if !is_predicted {
            self.predicted = None;
        }
        Ok(())
    }

    async fn deltas_up_to(&mut self, state: u64, version: u64) -> Result<Bytes, ReadError> {
        let mut out = Vec::new();
        self.withdraw(&mut out);
        self.state = Some(self.catch_up(state, version, &mut out).await?);
        self.predicted = None;
        Ok(out.into())
    }

    /// Appends the deltas from `state` to `version`, or one snapshot when some have left memory; answers what is shown then.
    async fn catch_up(&self, state: u64, version: u64, out: &mut Vec<u8>) -> Result<u64, ReadError> {
        let Some(deltas) = self.document.deltas().between(state, version) else {
            let snapshot = self.snapshot().await?;
            let version = snapshot.version;
            out.extend_from_slice(&snapshot.told(self.encoding));
            return Ok(version);
        };
        for delta in deltas.iter().map(|delta: &Arc<Delta>| delta.for_view(self.view.as_ref())) {
            // A delta of which nothing is left for this reader is no frame.
            if !delta.commit().ops.is_empty() {
                delta.write_frame(out, self.encoding);
            }
        }
        Ok(version)
    }

    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        self.document.snapshot(self.view.clone()).await.map_err(|error| self.lost(error))
    }
}

/// Waits for another prediction; for ever where none can come.
async fn changed(predictions: &mut Option<watch::Receiver<Option<Arc<Prediction>>>>) {
    if let Some(predictions) = predictions
        && predictions.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

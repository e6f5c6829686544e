//! Connecting to a thread: its finished runs as they are stored, then the live one, then the end.

mod held;
mod place;
mod reading;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::agui::{Dialect, Encoding, Event, Message, sse};
use crate::store::Store;

use super::super::document::{DocumentHandle, DocumentRef};
use super::super::{Connect, ReadError, ReplayFrom, Services};
use super::Listening;
use super::ThreadRef;
use super::actor::Thread;
use super::follow::Follow;
use super::questions::Waiting;
use super::record::RunRecord;
use super::start::opening;
use held::Held;
use place::Place;

/// The last run and this many before it are replayed with the state they ended with.
const RUNS_WITH_STATE: usize = 21;

/// The stream of a connect.
#[derive(Debug)]
pub(crate) struct Replay {
    store: Arc<dyn Store>,
    thread: ThreadRef,
    dialect: Dialect,
    /// What goes out before any run.
    preface: VecDeque<Bytes>,
    /// The rest of the run in which the client was cut.
    rest: Option<Follow>,
    /// Runs `[next, end)` by place; those in `skip` were superseded.
    next: usize,
    end: usize,
    skip: Vec<bool>,
    /// Messages that were changed since their run was stored, by place.
    edited: HashMap<usize, Vec<Arc<Message>>>,
    /// A run that is not in the store yet, by place.
    owed: Option<(usize, Arc<RunRecord>)>,
    /// `STATE_SNAPSHOT` frames by place of the run they close.
    states: HashMap<usize, Bytes>,
    ready: VecDeque<Bytes>,
    /// What the user wrote last and the thread never got.
    unsent: Option<Bytes>,
    /// The run, by place, that asked what can be answered no more.
    too_late: Option<usize>,
    /// The run, by place, whose questions are still open though a run has failed since.
    asked: Option<usize>,
    /// Its questions once more: clients forget them over a run that does not answer them, and then send nothing at all.
    reminder: Option<Bytes>,
    live: Option<Follow>,
}

impl Thread {
    /// Plans a replay. What the plan names is immutable or followed live, so that it can be read at leisure.
    pub(super) async fn replay(&mut self, request: Connect) -> Result<Replay, ReadError> {
        let Some(document) = self.document_of(request.agent.id()) else {
            let is_new = self.runs.is_empty() && self.live.is_none();
            return if is_new {
                Replay::of_absent(&self.services, &self.name, &request).await
            } else {
                Ok(self.empty_replay(request.dialect))
            };
        };
        let resume = match &request.from {
            ReplayFrom::Beginning => Place::FromStart,
            ReplayFrom::Event(id) => self.after_event(id).await?,
            ReplayFrom::Run(run_id) => self.at_run(run_id),
        };
        let mut replay = self.empty_replay(request.dialect);
        replay.end = self.runs.len();
        replay.live = self.live.as_ref().map(|live| {
            let follow = Follow::late(&self.services, &self.name, &self.tail, live, request.dialect);
            if live.start.document == document { follow } else { follow.beside(self.services.document(&document)) }
        });
        match resume {
            Place::FromStart => {
                let Held { forgotten, unsent } = self.held(&request);
                replay.preface.extend(forgotten);
                replay.unsent = unsent;
            }
            Place::Anew => replay.preface.push_back(match request.from {
                // Who names an event takes streams that begin in the middle of a run.
                ReplayFrom::Event(_) => frame(&Event::messages_snapshot(Vec::new())),
                ReplayFrom::Beginning | ReplayFrom::Run(_) => held::forgetting(&request, Vec::new()),
            }),
            Place::FromRun(run) => replay.next = run,
            Place::Inside { run, position } => {
                replay.next = run + 1;
                let rest = self.rest_of(run, position, request.dialect);
                let is_its_own = self.runs[run].document == document;
                replay.rest = Some(if is_its_own { rest } else { rest.beside(self.services.document(&document)) });
            }
            Place::Live { position } => {
                replay.next = replay.end;
                replay.live = replay.live.take().map(|live| live.resuming(position, None));
            }
        }
        replay.states = self.states_to_show(replay.next, Some(&document)).await?;
        match self.waiting() {
            waiting if waiting.is_too_late() => replay.too_late = Some(waiting.run),
            _ => replay.asked = self.asked_before(replay.next),
        }
        Ok(replay)
    }

    /// The run of those from `next` on whose questions are open, where it is not the last one that is shown.
    fn asked_before(&self, next: usize) -> Option<usize> {
        let Waiting { run, questions, .. } = self.waiting();
        let is_open = !questions.is_empty() && self.live.is_none() && run >= next;
        (is_open && self.runs[run + 1..].iter().any(|note| !note.superseded)).then_some(run)
    }

    /// What an agent worked on last in this thread; `None` for one that never ran here.
    pub(super) fn document_of(&self, agent: &str) -> Option<DocumentRef> {
        let live = self.live_start().filter(|start| start.agent == agent).map(|start| &start.document);
        let last = || self.runs.iter().rfind(|note| note.agent == agent).map(|note| &note.document);
        live.or_else(last).cloned()
    }

    /// One run of this thread: what is stored of it or the live one, after a position where that can still be told. The run
    /// that began last under an id counts.
    pub(super) async fn replay_run(
        &self,
        run_id: &str,
        after: Option<u64>,
        Listening { dialect, encoding }: Listening,
    ) -> Result<Option<Replay>, ReadError> {
        let mut replay = self.empty_replay(dialect);
        if let Some(live) = self.live.as_ref().filter(|live| live.start.run_id == run_id) {
            let follow = Follow::late(&self.services, &self.name, &self.tail, live, dialect).encoded(encoding);
            let within = |after: &u64| (live.start.first_position..=self.position).contains(after);
            replay.live = Some(match after.filter(within) {
                Some(position) => follow.resuming(position, None),
                None => follow,
            });
            return Ok(Some(replay));
        }
        let Some(run) = self.runs.iter().rposition(|note| note.run_id == run_id) else { return Ok(None) };
        let note = &self.runs[run];
        // What is stored of a run is SSE; its entries can be told in any encoding.
        let is_raw = after.is_none() && encoding != Encoding::Sse;
        match after.or(is_raw.then(|| note.first_position - 1)) {
            Some(position) if position == note.last_position => {}
            Some(position)
                if (note.first_position - 1..note.last_position).contains(&position)
                    && self.keeps(position).await? =>
            {
                replay.rest = Some(self.rest_of(run, position, dialect).encoded(encoding));
            }
            Some(_) | None => {
                (replay.next, replay.end, replay.skip[run]) = (run, run + 1, false);
                let document = self.services.document(&note.document);
                let view = document.view(&self.name.names());
                let ended_with = document.snapshots(vec![note.state_end], view).await?.pop().flatten();
                replay.states.extend(ended_with.map(|snapshot| (run, snapshot.frame)));
            }
        }
        Ok(Some(replay))
    }

    /// The finished runs from the beginning.
    pub(super) async fn replay_finished(&self) -> Result<Replay, ReadError> {
        let mut replay = self.empty_replay(Dialect::V1);
        replay.end = self.runs.len();
        replay.states = self.states_to_show(0, None).await?;
        Ok(replay)
    }

    /// What the openings of runs have to say whose own messages were changed.
    fn edited_messages(&self) -> HashMap<usize, Vec<Arc<Message>>> {
        let mut edited: HashMap<usize, Vec<Arc<Message>>> = HashMap::new();
        if self.runs.iter().any(|note| note.edited && !note.superseded) {
            let is_edited = |run: usize| self.runs.get(run).is_some_and(|note| note.edited);
            for (run, message) in self.transcript.turns().filter(|&(run, _)| is_edited(run)) {
                edited.entry(run).or_default().push(Arc::clone(message));
            }
        }
        edited
    }

    fn empty_replay(&self, dialect: Dialect) -> Replay {
        Replay {
            skip: self.runs.iter().map(|note| note.superseded).collect(),
            edited: self.edited_messages(),
            owed: self.owed.as_ref().map(|owed| (self.runs.len() - 1, Arc::clone(&owed.record))),
            ..Replay::of_nothing(&self.services, &self.name, dialect)
        }
    }

    fn rest_of(&self, run: usize, position: u64, dialect: Dialect) -> Follow {
        let note = &self.runs[run];
        let document = self.services.document(&note.document);
        Follow::new(&self.services, &self.name, &self.tail, document, dialect, note.first_position)
            .resuming(position, Some(note.last_position))
    }

    /// For the last finished run the head, for those before it the versions they ended with, where they can be read. Of one
    /// document only, where that is what the reader has before them: the last run then shows its head whatever it worked on.
    async fn states_to_show(
        &self,
        from: usize,
        only: Option<&DocumentRef>,
    ) -> Result<HashMap<usize, Bytes>, ReadError> {
        let shown: Vec<usize> =
            (from..self.runs.len()).rev().filter(|&run| !self.runs[run].superseded).take(RUNS_WITH_STATE).collect();
        let mut by_document: HashMap<&DocumentRef, Vec<(usize, u64)>> = HashMap::new();
        for (nth, &run) in shown.iter().enumerate() {
            let note = &self.runs[run];
            let document = only.unwrap_or(&note.document);
            let is_its_own = note.document == *document;
            match nth == 0 && self.live.is_none() {
                true => by_document.entry(document).or_default().push((run, u64::MAX)),
                false if is_its_own => by_document.entry(document).or_default().push((run, note.state_end)),
                false => {}
            }
        }
        let mut states = HashMap::with_capacity(shown.len());
        for (document, wanted) in by_document {
            let document: Arc<DocumentHandle> = self.services.document(document);
            let snapshots = document
                .snapshots(wanted.iter().map(|&(_, version)| version).collect(), document.view(&self.name.names()))
                .await?;
            states.extend(wanted.iter().zip(snapshots).filter_map(|(&(run, _), found)| Some((run, found?.frame))));
        }
        Ok(states)
    }
}

impl Replay {
    fn of_nothing(services: &Services, thread: &ThreadRef, dialect: Dialect) -> Self {
        Self {
            store: Arc::clone(&services.store),
            thread: thread.clone(),
            dialect,
            preface: VecDeque::new(),
            rest: None,
            next: 0,
            end: 0,
            skip: Vec::new(),
            edited: HashMap::new(),
            owed: None,
            states: HashMap::new(),
            ready: VecDeque::new(),
            unsent: None,
            too_late: None,
            asked: None,
            reminder: None,
            live: None,
        }
    }

    /// A thread without runs: nothing, or the state of a document that exists already, in a run that is not stored.
    /// Looking starts no owner of what does not exist.
    pub(crate) async fn of_absent(
        services: &Arc<Services>,
        thread: &ThreadRef,
        request: &Connect,
    ) -> Result<Self, ReadError> {
        let mut replay = Self::of_nothing(services, thread, request.dialect);
        let document = request.agent.document(thread, None);
        let is_live = services.documents.get(&document).is_some();
        if !is_live && services.store.head(&document.stream()).await?.is_none() {
            return Ok(replay);
        }
        let document = services.document(&document);
        let snapshot = document.snapshot(document.view(&thread.names())).await?;
        if snapshot.exists {
            let (thread, run) = (&thread.id, &request.run_id);
            replay.preface.push_back(frame(&opening(thread, run, None, Vec::new())));
            replay.preface.push_back(snapshot.frame);
            replay.preface.push_back(frame(&Event::run_finished(&**thread, run.as_str())));
        }
        Ok(replay)
    }
}

fn frame(event: &Event) -> Bytes {
    let mut bytes = Vec::with_capacity(128);
    sse::write_frame(&mut bytes, event, None);
    bytes.into()
}

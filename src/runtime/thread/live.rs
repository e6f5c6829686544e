//! The run that is live on a thread: the agent at work, what it tells, and the text that is shown and not stored yet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::context::StateRequest;
use crate::agent::meter::Meter;
use crate::agent::{AgentError, RunOutcome};
use crate::store::Batch;

use super::super::agents::Hosted;
use super::super::document::{Author, DocumentHandle, Snapshot};
use super::super::live_runs::Entered;
use super::super::runs::Life;
use super::super::triggers::Watchers;
use super::super::work::Work;
use super::audience::Audience;
use super::chunk::Chunk;
use super::journal::Journal;
use super::peer::Peer;
use super::prediction::Predictor;
use super::record::RunStart;
use super::story::Story;
use super::time::RunTime;

/// The record of a run at work tells its steps this often at most.
const STEPS_DELAY: Duration = Duration::from_millis(200);

/// Why a run ends.
#[derive(Debug)]
pub(super) enum Ending {
    Returned(RunOutcome),
    Failed(AgentError),
    Stopped,
    /// Another run takes its place.
    Superseded,
    /// The process ends or has crashed under it.
    Interrupted,
}

#[derive(Debug)]
pub(super) struct LiveRun {
    pub(super) start: Arc<RunStart>,
    pub(super) agent: Arc<Hosted>,
    pub(super) document: Arc<DocumentHandle>,
    /// What this run's own stream shows after `RUN_STARTED`.
    pub(super) snapshot: Snapshot,
    pub(super) work: Work,
    /// Of a run that goes on after a crash.
    pub(super) journal: Option<Journal>,
    /// How its commits are signed.
    pub(super) author: Author,
    pub(super) predictor: Predictor,
    pub(super) text: StreamedText,
    pub(super) audience: Arc<Audience>,
    /// Its lifecycle document.
    pub(super) life: Box<Life>,
    pub(super) meter: Arc<Meter>,
    /// When its record told last how far it is.
    told_at: Option<Instant>,
    pub(super) time: RunTime,
    /// Among those at work as long as it is live.
    entered: Entered,
    peer: Option<Peer>,
    story: Story,
}

/// Text that readers have already seen and the store has not.
#[derive(Debug, Default)]
pub(super) struct StreamedText {
    chunks: Vec<Arc<Chunk>>,
    pub(super) bytes: usize,
    pub(super) since: Option<Instant>,
}

/// What is known of a run when its agent begins to work.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) start: Arc<RunStart>,
    pub(super) agent: Arc<Hosted>,
    pub(super) document: Arc<DocumentHandle>,
    pub(super) snapshot: Snapshot,
    pub(super) life: Box<Life>,
    pub(super) meter: Arc<Meter>,
    pub(super) entered: Entered,
}

impl From<Result<RunOutcome, AgentError>> for Ending {
    fn from(ended: Result<RunOutcome, AgentError>) -> Self {
        match ended {
            Ok(outcome) => Self::Returned(outcome),
            Err(error) => Self::Failed(error),
        }
    }
}

impl LiveRun {
    pub(super) fn new(begun: Begun, work: Work, journal: Option<Journal>, story: Story) -> Self {
        let Begun { start, agent, document, snapshot, life, meter, entered } = begun;
        let predictor = Predictor::default();
        let spent = journal.as_ref().map(Journal::spent).unwrap_or_default();
        let (text, audience) = (StreamedText::default(), Arc::default());
        let time = RunTime::start(&agent.run_spec().budget, agent.kind() == "llm", spent);
        let peer = Peer::enter(&start, &document);
        let author = Author {
            run_id: Some(start.run_id.as_str().into()),
            may_write: agent.may_write(),
            ..Author::new(format!("agent:{}", start.agent))
        };
        Self {
            start,
            agent,
            document,
            snapshot,
            work,
            journal,
            author,
            predictor,
            text,
            audience,
            life,
            meter,
            told_at: None,
            time,
            entered,
            peer,
            story,
        }
    }

    pub(super) fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    /// Tells the peers at the document where the agent writes.
    pub(super) fn works_at(&mut self, request: &StateRequest) {
        if let Some(peer) = &mut self.peer {
            peer.works_at(request);
        }
    }

    /// The record's next version while the run is at work, if it has done more steps since a while ago.
    pub(super) fn tells_steps(&mut self, watchers: &Watchers) -> Option<Batch> {
        let steps = self.start.steps_before + self.meter.steps();
        let is_early = self.told_at.is_some_and(|told_at| told_at.elapsed() < STEPS_DELAY);
        if steps <= self.life.told.steps || is_early {
            return None;
        }
        self.told_at = Some(Instant::now());
        self.life.told.steps = steps;
        Some(self.life.next_with(Batch::default(), watchers))
    }

    /// What is left when it has ended. It is among those at work until the last of it is dropped.
    pub(super) fn into_story(self: Box<Self>) -> (Arc<RunStart>, Story, Box<Life>, Entered) {
        (self.start, self.story, self.life, self.entered)
    }
}

impl StreamedText {
    pub(super) fn push(&mut self, chunk: Arc<Chunk>) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += chunk.bytes();
        self.chunks.push(chunk);
    }

    /// Whether there is some.
    pub(super) fn waits(&self) -> bool {
        !self.chunks.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Arc<Chunk>> {
        std::mem::take(self).chunks
    }
}

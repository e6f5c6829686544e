//! Starting a run: who answers, what it is asked, which state it begins with (design §5).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::cause::{Cause, CauseKind};
use crate::agent::meter::Meter;
use crate::agent::steps::Past;
use crate::agent::{AgentError, RunContext, RunInput};
use crate::agui::{Event, Message, Role, RunAgentInput, echoed};
use crate::store::{Batch, CommitError};

use super::super::agents::Hosted;
use super::super::clock::now;
use super::super::document::{Author, Begun, Evidence, Refused};
use super::super::runs::{RetryPlan, Starting, Unreadable, new_run_id};
use super::super::work::Work;
use super::super::{StartError, StartRun};
use super::actor::{Broken, Thread};
use super::append::Logged;
use super::chunk::Chunk;
use super::follow::Follow;
use super::journal::{Asked, Journal};
use super::lifecycle::AlongWith;
use super::live::{Begun as LiveBegun, LiveRun};
use super::old_questions::Command;
use super::posted_state::{posted_state, state_rejected};
use super::questions::{self, Waiting};
use super::record::{RunStart, Written};
use super::story::Story;
use super::transcript::{Resolved, Terms};

/// Why a run did not start.
#[derive(Debug)]
pub(super) enum StartFailure {
    Refused(StartError),
    Broken(Broken),
    /// The store's disk is full.
    Full(Broken),
    /// Somebody else has started it, or taken it back.
    Settled(Broken),
    /// It answers what nobody asks: this is told, and it is no run of the thread.
    AnswersNothing(Bytes),
}

impl From<Broken> for StartFailure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Thread {
    /// Starts a run and answers with its stream, if somebody reads it; on return `RUN_STARTED` is durable.
    pub(super) async fn start(&mut self, request: Box<Starting>) -> Result<Option<Box<Follow>>, StartFailure> {
        if self.services.stopping.is_cancelled() {
            return Err(StartFailure::Refused(StartError::ShuttingDown));
        }
        if let Some(live) = self.live_start() {
            return Err(StartFailure::Refused(StartError::Busy { run_id: live.run_id.clone() }));
        }
        // Boxed, as all is that seldom happens here: a start is as large as the largest thing that it may wait for.
        if self.owed.is_some() {
            match Box::pin(self.settle()).await {
                Ok(()) => {}
                Err(error @ CommitError::Stale { .. }) => return Err(Broken::from(error).into()),
                Err(error) => return Err(StartFailure::Refused(error.into())),
            }
        }
        let Starting { request, cause, wants_stream, from_queue } = *request;
        let StartRun { principal, agent, mut input, headers, encoding } = request;
        let dialect = input.dialect();
        input.tools.retain(|tool| agent.takes_client_tool(&tool.name));
        let commanded = Command::of(&input);
        let is_answer = commanded.is_some() || !input.resume.is_empty();
        if let Some(command) = commanded.filter(|_| input.resume.is_empty()) {
            input.resume = command.answers(self.waiting().questions);
        }
        if wants_stream
            && from_queue.is_none()
            && let Some(refusal) = questions::refusal(self.waiting(), agent.id(), &input.resume)
        {
            let told = [
                Event::run_started(&*self.name.id, input.run_id.as_str()),
                Event::run_error(refusal.message, refusal.code),
            ];
            return Err(StartFailure::AnswersNothing(Chunk::told(&told, dialect, encoding)));
        }
        let is_again = from_queue.as_ref().is_some_and(|queued| queued.life.told.attempt > 1);
        if from_queue.as_ref().is_some_and(|queued| queued.ticket.tells_all) {
            input.messages = self.all_and(std::mem::take(&mut input.messages), is_again);
        }
        let keeps_instructions = agent.keeps_client_instructions()
            || from_queue.as_ref().is_some_and(|queued| queued.ticket.keeps_instructions);
        // A further attempt goes on from what the one before did, and does not answer anew.
        let open_calls: Vec<String> = self.waiting().calls().filter(|_| is_answer).map(str::to_owned).collect();
        let terms = Terms { is_resuming: is_again || is_answer, keeps_instructions, open_calls: &open_calls, dialect };
        let resolved = self.transcript.resolve(std::mem::take(&mut input.messages), terms);
        let followed = if from_queue.is_none() { self.follows(&resolved) } else { None };
        let too_long = match &followed {
            Some(cause) => Box::pin(self.chain_is_over(cause, &agent)).await?,
            None => None,
        };
        let cause = followed.unwrap_or(cause);
        let document_ref = agent.document(&self.name, cause.doc.as_deref());
        let document = self.services.document(&document_ref);
        let evidence = self.evidence(&input, &resolved, &document_ref);
        let author = Author::new(principal.actor());
        let (posted, unreadable) = posted_state(input.state.take());
        let posted = match (&self.ghosts, posted) {
            (Some((of, ghosts)), Some(state)) if *of == document_ref => {
                Some(Box::pin(ghosts.laid(state, &document)).await)
            }
            (_, posted) => posted,
        };
        let begun = document.begin(agent.initial_state(), posted.map(|state| (state, evidence)), author).await;
        let Begun { snapshot, created, rejected } = begun.map_err(|error| StartFailure::Refused(error.into()))?;
        let start = Arc::new(RunStart {
            run_id: from_queue.as_ref().map_or_else(new_run_id, |queued| queued.life.told.run_id.clone()),
            client_run_id: input.run_id.clone(),
            joined: from_queue.as_ref().map(|queued| queued.ticket.joined.clone()).unwrap_or_default(),
            agent: agent.id().to_owned(),
            fence: self.services.leased.fence().0,
            definition: agent.hash().to_owned(),
            document: document_ref,
            state_sent: snapshot.version,
            first_position: self.position + 1,
            started_at: now(),
            steps_before: from_queue.as_ref().map_or(0, |queued| queued.life.told.steps),
            cause,
            retry: from_queue.as_ref().and_then(|queued| {
                RetryPlan::new(&queued.ticket, queued.life.told.attempt, agent.run_spec()).map(Box::new)
            }),
            input: added(&resolved),
            edits: resolved.edits.clone(),
            supersedes_from: resolved.regenerates.as_ref().map(|again| again.from_run),
            unproven: evidence == Evidence::Unknown && !created,
            answers: is_answer,
            written: Written::default(),
        });
        let mut story = Story::new(&self.name.id, &start, client_tools(&input));
        let along = match from_queue {
            Some(queued) => self.life_goes_on(&start, *queued),
            None => self.life_begins(&start),
        };
        let mut along = AlongWith::start_of(along, &self.services.watchers);
        if agent.is_durable() {
            let kept = self.services.keep(&agent, self.name.tenant.as_str()).await;
            kept.map_err(|error| StartFailure::Refused(error.into()))?;
        }
        let mut journal = agent
            .is_durable()
            .then(|| Journal::new(self.name.journal(), Asked::new(&input, &resolved, &self.transcript)));
        along.batch.appends.extend(journal.as_ref().and_then(Journal::append));
        let batch = std::mem::take(&mut along.batch);
        self.open_log(&mut story, &start, &input, unreadable.or(rejected), batch).await?;
        journal.iter_mut().for_each(Journal::stored);
        along.show(&self.services);

        let asked = run_input(&self.name.id, &start, input, resolved.context, headers);
        let entered = self.services.live_runs.enter(&start, &agent, &self.name);
        let meter = Arc::default();
        let work = self.work(&agent, asked, Past::default(), &meter, too_long);
        let begun = LiveBegun { start, agent, document, snapshot, life: along.life, meter, entered };
        let live = LiveRun::new(begun, work, journal, story);
        let follow = wants_stream.then(|| {
            Box::new(Follow::own_run(&self.services, &self.name, &self.tail, &live, dialect).encoded(encoding))
        });
        self.live = Some(Box::new(live));
        Ok(follow)
    }

    /// The agent at work, on what it has not done yet; one whose run is refused says so.
    pub(super) fn work(
        &self,
        agent: &Arc<Hosted>,
        asked: RunInput,
        past: Past,
        meter: &Arc<Meter>,
        refused: Option<AgentError>,
    ) -> Work {
        let unanswered = questions::refusal(self.waiting(), agent.id(), &asked.resume);
        let (answering, counting) = (Arc::clone(agent), Arc::clone(meter));
        Work::start(|out| async move {
            match unanswered.or(refused) {
                Some(refusal) => Err(refusal),
                None => answering.run(RunContext::going_on(asked, out, past).metered(counting)).await,
            }
        })
    }

    /// What a resume has to answer.
    pub(super) fn waiting(&self) -> Waiting<'_> {
        Waiting::of(&self.runs)
    }

    /// The whole transcript and then what of `messages` is not in it. A further attempt is not told the half answer on which
    /// the one before ended.
    fn all_and(&self, messages: Vec<Message>, is_again: bool) -> Vec<Message> {
        let mut all: Vec<Message> = self.transcript.messages().map(|message| Message::clone(message)).collect();
        if is_again {
            let is_half = |message: &Message| message.role() == Role::Assistant && message.tool_calls().is_empty();
            let whole = all.iter().rposition(|message| !is_half(message)).map_or(0, |last| last + 1);
            all.truncate(whole);
        }
        all.extend(messages.into_iter().filter(|message| !self.transcript.contains(message.id())));
        all
    }

    /// The cause of a run that only answers calls: it goes on with the chain of the run before it.
    fn follows(&self, resolved: &Resolved) -> Option<Cause> {
        let answers = !resolved.added.is_empty() && resolved.added.iter().all(|message| message.role() == Role::Tool);
        let before = self.runs.last().filter(|note| answers && !note.run_id.is_empty())?;
        let cause = before.cause.as_deref().cloned().unwrap_or_else(Cause::user);
        Some(Cause { depth: cause.depth, ..cause.after(&before.run_id, CauseKind::User) })
    }

    /// Why a run that goes on with a chain ends at once.
    async fn chain_is_over(&self, cause: &Cause, agent: &Hosted) -> Result<Option<AgentError>, StartFailure> {
        let most = agent.run_spec().chain.max_runs;
        let whose = (self.name.tenant.as_str(), self.name.owner.as_str());
        let root = cause.chain.first().map_or("", String::as_str);
        let grown = self.services.chains.grow(self.services.store.as_ref(), whose, root, most).await;
        let unavailable = |error: Unreadable| StartError::Unavailable { reason: error.to_string() };
        let has_room = grown.map_err(|error| StartFailure::Refused(unavailable(error)))?;
        let message = || format!("{most} runs have come of what began this one, which is as many as may");
        Ok((!has_room).then(|| AgentError::new("budget_exceeded", message())))
    }

    /// Makes the start durable and takes its messages into the transcript.
    async fn open_log(
        &mut self,
        story: &mut Story,
        start: &Arc<RunStart>,
        input: &RunAgentInput,
        rejected: Option<Refused>,
        along: Batch,
    ) -> Result<(), StartFailure> {
        let mut events = vec![opening(
            &self.name.id,
            &start.client_run_id,
            input.parent_run_id.as_deref(),
            start.input.iter().map(|message| Message::clone(message)).collect(),
        )];
        events.extend(rejected.map(state_rejected));
        self.tail.clear();
        self.position += events.len() as u64;
        let chunk = Chunk::durable(&events, start.first_position, start.state_sent);
        story.record(start.first_position, events, start.state_sent);
        start.opened_by(chunk.first_frame());
        self.state_version = start.state_sent;
        self.summary.agent = Some(start.agent.clone());
        self.summary.updated_at.clone_from(&start.started_at);
        let runs = self.summary_append();
        let logged = Logged {
            chunks: vec![Arc::new(chunk)],
            live_summary: Some(start.text()),
            runs: Some(runs),
            along,
            sitting: None,
        };
        let stored = self.commit_log(logged).await;
        stored.map_err(|error| match error {
            CommitError::Settled { .. } => StartFailure::Settled(error.into()),
            CommitError::Full => StartFailure::Full(error.into()),
            CommitError::Stale { .. }
            | CommitError::Repeated { .. }
            | CommitError::Fenced { .. }
            | CommitError::Unavailable { .. } => StartFailure::Broken(error.into()),
        })?;
        self.take_start(start);
        Ok(())
    }

    /// Takes what a run brings into the transcript.
    pub(super) fn take_start(&mut self, start: &RunStart) {
        self.take_changes(start);
        for message in &start.input {
            self.transcript.add(self.runs.len(), Arc::clone(message));
        }
    }
}

/// `RUN_STARTED` with what a reload needs of its input: the run's new messages, nothing else of what was posted.
pub(super) fn opening(thread_id: &str, run_id: &str, parent_run_id: Option<&str>, messages: Vec<Message>) -> Event {
    let input = RunAgentInput {
        thread_id: thread_id.to_owned(),
        run_id: run_id.to_owned(),
        messages: echoed(messages),
        ..RunAgentInput::default()
    };
    let mut event = Event::run_started(thread_id, run_id);
    if let Event::RunStarted(started) = &mut event {
        started.parent_run_id = parent_run_id.map(str::to_owned);
        started.input = Some(input);
    }
    event
}

/// New messages of the run, those first that a regenerated run has to bring again.
fn added(resolved: &Resolved) -> Vec<Arc<Message>> {
    let carried = resolved.regenerates.iter().flat_map(|again| &again.carried);
    carried.chain(&resolved.added).cloned().collect()
}

/// Tools that the browser offers.
pub(super) fn client_tools(input: &RunAgentInput) -> HashSet<String> {
    input.tools.iter().map(|tool| tool.name.clone()).collect()
}

pub(super) fn run_input(
    thread_id: &str,
    start: &RunStart,
    input: RunAgentInput,
    messages: Vec<Arc<Message>>,
    headers: Vec<(String, String)>,
) -> RunInput {
    RunInput {
        thread_id: thread_id.to_owned(),
        run_id: start.run_id.clone(),
        messages,
        tools: input.tools,
        context: input.context,
        forwarded_props: input.forwarded_props,
        resume: input.resume,
        headers,
        state_version: start.state_sent,
        cause: start.cause.clone(),
    }
}

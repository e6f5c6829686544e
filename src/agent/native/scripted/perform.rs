//! Does what a turn says, act by act.

use std::pin::Pin;

use super::script::{Act, Question, Script};
use super::words::Asked;
use crate::agent::RunOutcome;
use crate::agent::context::RunContext;
use crate::agent::error::{AgentError, StateError};
use crate::agent::native::voice::Voice;
use crate::agent::steps::Step;
use crate::agui::{Event, Interrupt, Object, Outcome};

/// Performs the acts and answers how the run ended.
pub(super) async fn perform(
    cx: &RunContext,
    script: &Script,
    asked: &Asked,
    acts: &[Act],
) -> Result<RunOutcome, AgentError> {
    let (voice, hand) = (Voice::new(cx, script.pace), cx.open_step("hand"));
    let mut stage = Stage { voice, hand, asked, called: false, interrupts: Vec::new() };
    stage.all(acts).await?;
    Ok(RunOutcome { outcome: Outcome::interrupt(stage.interrupts), ..RunOutcome::default() })
}

/// Whether the run goes on after an act.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Over,
}

type Performing<'a> = Pin<Box<dyn Future<Output = Result<Flow, AgentError>> + Send + 'a>>;

struct Stage<'r> {
    voice: Voice<'r>,
    /// What all its writes are part of; never done before the run is.
    hand: Step<'r>,
    asked: &'r Asked,
    /// The browser has been called: only further calls may follow.
    called: bool,
    /// Questions were asked: only further ones may follow.
    interrupts: Vec<Interrupt>,
}

impl Stage<'_> {
    fn all<'a>(&'a mut self, acts: &'a [Act]) -> Performing<'a> {
        Box::pin(async move {
            for act in acts {
                let is_over = (self.called && !matches!(act, Act::Call { .. }))
                    || (!self.interrupts.is_empty() && !matches!(act, Act::Interrupt(_)));
                if is_over || self.one(act).await? == Flow::Over {
                    return Ok(Flow::Over);
                }
            }
            Ok(Flow::On)
        })
    }

    async fn one(&mut self, act: &Act) -> Result<Flow, AgentError> {
        let cx = self.voice.cx;
        match act {
            Act::Say(text) => self.voice.say(&self.asked.fill(cx, text).await?).await?,
            Act::Reason(text) => self.voice.reason(&self.asked.fill(cx, text).await?).await?,
            Act::Step { name, acts } => return self.step(name, acts).await,
            Act::Patch(ops) => {
                self.hand.within(cx.patch_state(ops.clone())).await.map_err(refused)?;
            }
            Act::Tool { name, args, result } => {
                let id = self.voice.call(name, args).await?;
                self.voice.answer(&id, result).await?;
            }
            Act::Call { name, args } => {
                self.voice.call(name, args).await?;
                self.called = true;
            }
            Act::Wait(time) => {
                let step = cx.open_step("wait");
                if step.recall::<()>()?.is_none() {
                    tokio::time::sleep(*time).await;
                    step.settle(&(), Vec::new()).await?;
                }
            }
            Act::Interrupt(question) => self.interrupts.push(interrupt(cx, question)),
            Act::Fail { message, code } => {
                return Err(AgentError::new(code.as_str(), self.asked.fill(cx, message).await?));
            }
            Act::Repeat { times, acts } => {
                for _ in 0..*times {
                    if self.all(acts).await? == Flow::Over {
                        return Ok(Flow::Over);
                    }
                }
            }
            // Nobody knows what belongs together here, so all of it comes again in a run that goes on.
            Act::Raw(event) => cx.emit(event.as_ref().clone()).await?,
        }
        Ok(Flow::On)
    }

    /// What follows depends on what was done inside, so also a step that is done is gone through again: everything in it is
    /// done once.
    async fn step(&mut self, name: &str, acts: &[Act]) -> Result<Flow, AgentError> {
        self.voice.cx.meter().step();
        let step = self.voice.cx.open_step(name);
        let is_done = step.recall::<()>()?.is_some();
        if !is_done {
            self.voice.cx.emit(Event::step_started(name)).await?;
        }
        let flow = step.within(self.all(acts)).await?;
        if !is_done {
            step.settle(&(), vec![Event::step_finished(name)]).await?;
        }
        Ok(flow)
    }
}

fn refused(error: StateError) -> AgentError {
    match error {
        StateError::Refused { code, message, .. } => {
            AgentError::new(code, format!("the state was not changed: {message}"))
        }
        StateError::Unavailable { .. } | StateError::RunIsOver => error.into(),
    }
}

fn interrupt(cx: &RunContext, question: &Question) -> Interrupt {
    Interrupt {
        id: question.id.clone().unwrap_or_else(|| cx.new_id()),
        reason: question.reason.clone(),
        message: question.message.clone(),
        tool_call_id: question.tool_call_id.clone(),
        response_schema: question.response_schema.as_ref().map(Object::from_map),
        expires_at: None,
        metadata: None,
        subagent_run_id: None,
    }
}

//! How a run is brought to its end: closers for everything open, and answers for the calls that nobody will answer any
//! more.

use serde::Serialize;

use crate::agui::admit::Admission;
use crate::agui::event::{Base, Event, StepFinished, SubagentError, SubagentFinished};
use crate::agui::outcome::{Interrupt, SubagentOutcome, Suspended};

/// Why a run is closed before its agent ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Somebody stopped it.
    Stopped,
    /// The process died under it.
    Interrupted,
    /// It failed; `reason` is the code of its error.
    Failed { reason: String, message: String },
}

const STOPPED: &str = "Run stopped by user";
const INTERRUPTED: &str = "interrupted";

impl Closing {
    /// What a call is answered with, as JSON text.
    fn answer(&self) -> String {
        #[derive(Serialize)]
        struct Status<'a> {
            status: &'a str,
            reason: &'a str,
            message: &'a str,
        }
        let status = match self {
            Self::Interrupted => return format!(r#"{{"error":"{INTERRUPTED}"}}"#),
            Self::Stopped => Status { status: "stopped", reason: "stop_requested", message: STOPPED },
            Self::Failed { reason, message } => Status { status: "error", reason, message },
        };
        serde_json::to_string(&status).expect("three strings are JSON")
    }

    fn message(&self) -> &str {
        match self {
            Self::Stopped => STOPPED,
            Self::Interrupted => INTERRUPTED,
            Self::Failed { message, .. } => message,
        }
    }
}

impl Admission {
    /// Pushes closers for everything open and, for every call without a result, a result that says why there is none;
    /// calls that are complete and a client's to answer (`is_client_tool`, by tool name) stay pending. The terminal is
    /// still to be admitted; every other event is swallowed from now on.
    pub fn close(&mut self, closing: &Closing, is_client_tool: &dyn Fn(&str) -> bool, out: &mut Vec<Event>) {
        if self.finished || self.closed {
            return;
        }
        self.closed = true;
        self.close_messages(out);
        let answer = closing.answer();
        for call in &mut self.calls.calls {
            let complete = !call.open;
            if std::mem::take(&mut call.open) {
                out.push(owned(Event::tool_call_end(&call.id), &call.owner));
            }
            if !(call.answered || complete && is_client_tool(&call.name)) {
                call.answered = true;
                let message_id = format!("{}-result", call.id);
                out.push(owned(Event::tool_call_result(message_id, &call.id, answer.as_str()), &call.owner));
            }
        }
        self.close_steps(out);
        self.close_subagents(&Ending::Failed { message: closing.message() }, out);
    }

    /// Pushes closers for everything that a run had open when its process died, before it goes on: messages, steps, calls and
    /// subagents end, and calls that `keeps` does not name get a result that says that nobody will answer them any more.
    pub fn break_off(&mut self, keeps: &dyn Fn(&str) -> bool, out: &mut Vec<Event>) {
        self.close_messages(out);
        let answer = Closing::Interrupted.answer();
        for call in &mut self.calls.calls {
            let was_open = std::mem::take(&mut call.open);
            if was_open {
                out.push(owned(Event::tool_call_end(&call.id), &call.owner));
            }
            if !call.answered && (was_open || !keeps(&call.id)) {
                call.answered = true;
                let message_id = format!("{}-result", call.id);
                out.push(owned(Event::tool_call_result(message_id, &call.id, answer.as_str()), &call.owner));
            }
        }
        self.close_steps(out);
        self.close_subagents(&Ending::Failed { message: Closing::Interrupted.message() }, out);
    }

    /// The terminal: closers first, then the event with the run's own ids.
    pub(super) fn end(&mut self, mut event: Event, out: &mut Vec<Event>) {
        self.close_messages(out);
        for call in &mut self.calls.calls {
            if std::mem::take(&mut call.open) {
                out.push(owned(Event::tool_call_end(&call.id), &call.owner));
            }
        }
        self.close_steps(out);
        let ending = match &mut event {
            Event::RunFinished(event) => {
                event.thread_id.clone_from(&self.thread_id);
                event.run_id.clone_from(&self.run_id);
                Ending::Finished { interrupts: event.outcome.as_ref().map_or(&[], |outcome| outcome.interrupts()) }
            }
            Event::RunError(event) => Ending::Failed { message: &event.message },
            _ => Ending::Finished { interrupts: &[] },
        };
        self.close_subagents(&ending, out);
        self.finished = true;
        out.push(event);
    }

    fn close_messages(&mut self, out: &mut Vec<Event>) {
        self.lanes.forget();
        out.extend(self.texts.0.drain(..).map(|(id, owner)| owned(Event::text_end(id), &owner)));
        out.extend(self.thoughts.0.drain(..).map(|(id, owner)| owned(Event::reasoning_message_end(id), &owner)));
        out.extend(self.spans.0.drain(..).map(|(id, owner)| owned(Event::reasoning_end(id), &owner)));
    }

    /// The innermost first.
    fn close_steps(&mut self, out: &mut Vec<Event>) {
        out.extend(
            self.steps
                .drain(..)
                .rev()
                .map(|step| Event::from(StepFinished { step_name: step.name, base: Base::of(step.owner) })),
        );
    }

    /// The innermost first; those that wait for an answer are suspended.
    fn close_subagents(&mut self, ending: &Ending<'_>, out: &mut Vec<Event>) {
        for subagent in self.subagents.drain(..).rev() {
            out.push(ending.of(&subagent));
            self.ended_subagents.insert(subagent);
        }
    }
}

enum Ending<'a> {
    Finished { interrupts: &'a [Interrupt] },
    Failed { message: &'a str },
}

impl Ending<'_> {
    fn of(&self, subagent: &str) -> Event {
        let (subagent_run_id, base) = (subagent.to_owned(), Base::default());
        match self {
            Self::Failed { message } => {
                SubagentError { subagent_run_id, message: (*message).to_owned(), code: None, base }.into()
            }
            Self::Finished { interrupts } => {
                let own = interrupts.iter().filter(|interrupt| interrupt.subagent_run_id.as_deref() == Some(subagent));
                let ids: Vec<String> = own.map(|interrupt| interrupt.id.clone()).collect();
                let outcome =
                    (!ids.is_empty()).then_some(SubagentOutcome::Suspended(Suspended { interrupt_ids: Some(ids) }));
                SubagentFinished { subagent_run_id, result: None, outcome, base }.into()
            }
        }
    }
}

fn owned(mut event: Event, owner: &Option<String>) -> Event {
    event.base_mut().set_subagent(owner.clone());
    event
}

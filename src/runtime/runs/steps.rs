//! What a run did, one thing after the other, as its events tell it.

use std::time::Duration;

use serde::Serialize;

use crate::access::Principal;
use crate::agui::sse::Decoder;
use crate::agui::{Event, Reading};

use super::super::{ReadError, Runtime};
use super::record::Lifecycle;

/// Of a live run, what is there: whoever asks waits no longer than this, however much more the run tells.
const PATIENCE: Duration = Duration::from_millis(100);

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepItem {
    /// `answer` (a message), `tool_call`, or `step` (one that the agent named).
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Of a message or a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of a tool or a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it came to its end; of a call, whether it has its result.
    pub done: bool,
}

impl Runtime {
    /// A run of the principal's with what it did so far; `None` when there is no such run.
    pub async fn run_in_detail(
        &self,
        principal: &Principal,
        run_id: &str,
    ) -> Result<Option<(Lifecycle, Vec<StepItem>)>, ReadError> {
        let Some(record) = self.run_record(principal, run_id).await? else { return Ok(None) };
        // One that never began told nothing.
        if record.started_at.is_none() {
            return Ok(Some((record, Vec::new())));
        }
        let Some(mut events) = self.run_events(principal, run_id, None).await? else { return Ok(None) };
        let (mut decoder, mut steps) = (Decoder::new(usize::MAX), Vec::new());
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = match record.status.is_over() {
                true => events.next().await,
                false => tokio::time::timeout_at(patience, events.next()).await.unwrap_or(None),
            };
            let Some(bytes) = next.transpose()? else { return Ok(Some((record, steps))) };
            decoder.push(&bytes);
            while let Some(Ok(frame)) = decoder.next_frame() {
                if let Ok(Reading::Event(event)) = Event::read(&frame.data) {
                    take(&mut steps, &event);
                }
            }
        }
    }
}

fn take(steps: &mut Vec<StepItem>, event: &Event) {
    let item = |kind, id: Option<&str>, name: Option<&str>| StepItem {
        kind,
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        done: false,
    };
    let mut ends = |kind: &str, id: Option<&str>, name: Option<&str>| {
        let is_it = |step: &&mut StepItem| {
            step.kind == kind
                && !step.done
                && (id.is_none() || step.id.as_deref() == id)
                && (name.is_none() || step.name.as_deref() == name)
        };
        if let Some(step) = steps.iter_mut().rev().find(is_it) {
            step.done = true;
        }
    };
    match event {
        Event::TextMessageStart(start) => steps.push(item("answer", Some(&start.message_id), None)),
        Event::TextMessageEnd(end) => ends("answer", Some(&end.message_id), None),
        Event::ToolCallStart(start) => {
            steps.push(item("tool_call", Some(&start.tool_call_id), Some(&start.tool_call_name)));
        }
        Event::ToolCallResult(result) => ends("tool_call", Some(&result.tool_call_id), None),
        Event::StepStarted(step) => steps.push(item("step", None, Some(&step.step_name))),
        Event::StepFinished(step) => ends("step", None, Some(&step.step_name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_one_thing_after_the_other() {
        let events = [
            Event::step_started("look"),
            Event::tool_call_start("c1", "weather", None),
            Event::tool_call_result("m1", "c1", "21"),
            Event::step_finished("look"),
            Event::text_start("m2"),
        ];
        let mut steps = Vec::new();
        events.iter().for_each(|event| take(&mut steps, event));
        let told: Vec<_> = steps.iter().map(|step| (step.kind, step.done)).collect();
        assert_eq!(told, [("step", true), ("tool_call", true), ("answer", false)]);
    }
}

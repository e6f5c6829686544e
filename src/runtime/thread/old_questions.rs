//! Interrupts in the words of 0.x pages (AG-UI, section 4): a `CUSTOM` event `on_interrupt` beside the outcome, and an
//! answer in `forwardedProps.command` in place of a `resume`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::agui::{Event, Interrupt, ResumeEntry, ResumeStatus, RunAgentInput, to_json};

use super::questions::Question;

const NAME: &str = "on_interrupt";

/// Whether the agent asks in these words itself.
pub(super) fn is_asked(event: &Event) -> bool {
    matches!(event, Event::Custom(custom) if custom.name == NAME)
}

/// The questions, each as JSON text in a JSON string. Old pages show the last one.
pub(super) fn asked(interrupts: &[Interrupt]) -> impl Iterator<Item = Event> + '_ {
    interrupts.iter().map(|interrupt| Event::custom(NAME, to_json(&to_json(interrupt).get())))
}

/// The answer of an old page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Command {
    resume: Box<RawValue>,
    /// The `value` of the event that it answers.
    #[serde(default)]
    interrupt_event: Option<Box<RawValue>>,
}

impl Command {
    pub(super) fn of(input: &RunAgentInput) -> Option<Self> {
        #[derive(Deserialize)]
        struct Props {
            command: Command,
        }
        let props = input.forwarded_props.as_ref().map(|props| props.get())?;
        let props = props.contains(r#""command""#).then(|| serde_json::from_str::<Props>(props).ok()).flatten()?;
        Some(props.command)
    }

    /// The same as a resume: the question that it names, or else the last one, has this answer, and all others are cancelled.
    pub(super) fn answers(self, waiting: &[Question]) -> Vec<ResumeEntry> {
        let named = self.named();
        let is_named = |question: &&Question| Some(&question.id) == named.as_ref();
        let Some(answered) = waiting.iter().find(is_named).or(waiting.last()) else { return Vec::new() };
        let payload = (self.resume.get() != "null").then_some(self.resume);
        let entry = |question: &Question| {
            let (status, payload) = if question.id == answered.id {
                (ResumeStatus::Resolved, payload.clone())
            } else {
                (ResumeStatus::Cancelled, None)
            };
            ResumeEntry { interrupt_id: question.id.clone(), status, payload, metadata: None }
        };
        waiting.iter().map(entry).collect()
    }

    /// The id in the event's value, which is an interrupt or its JSON text.
    fn named(&self) -> Option<String> {
        let event = self.interrupt_event.as_ref()?.get();
        let text = serde_json::from_str::<String>(event);
        let interrupt = serde_json::from_str::<Interrupt>(text.as_deref().unwrap_or(event));
        interrupt.ok().map(|interrupt| interrupt.id)
    }
}

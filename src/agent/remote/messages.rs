//! `MESSAGES_SNAPSHOT` reduced to what it adds: messages of this run that were not streamed, as the events they would
//! have been. It never reorders or removes what the thread holds.

use std::collections::HashSet;

use crate::agent::context::RunInput;
use crate::agui::{Event, Message};

/// What the endpoint was told and has told so far, by id.
pub(super) struct Told {
    /// Messages that were posted.
    posted: HashSet<String>,
    /// Messages, and spans of reasoning, that were streamed.
    messages: HashSet<String>,
    calls: HashSet<String>,
    /// Calls whose result is known.
    answered: HashSet<String>,
}

impl Told {
    pub(super) fn new(input: &RunInput) -> Self {
        let mut told = Self {
            posted: input.messages.iter().map(|message| message.id().to_owned()).collect(),
            messages: HashSet::new(),
            calls: HashSet::new(),
            answered: HashSet::new(),
        };
        for message in &input.messages {
            told.calls.extend(message.tool_calls().iter().map(|call| call.id.clone()));
            if let Message::Tool(result) = message.as_ref() {
                told.answered.insert(result.tool_call_id.clone());
            }
        }
        told
    }

    /// Remembers what an event is about.
    pub(super) fn note(&mut self, event: &Event) {
        if let Some(id) = event.message_id() {
            self.messages.insert(id.to_owned());
        }
        if let Some(id) = event.tool_call_id() {
            let known = if matches!(event, Event::ToolCallResult(_)) { &mut self.answered } else { &mut self.calls };
            known.insert(id.to_owned());
        }
    }

    /// The events that a snapshot adds. What stands before the last posted message is history.
    pub(super) fn added_by(&self, snapshot: &[Message]) -> Vec<Event> {
        let known = |message: &Message| self.posted.contains(message.id());
        let new = snapshot.iter().rposition(known).map_or(0, |last| last + 1);
        let mut events = Vec::new();
        for message in &snapshot[new..] {
            self.add(message, &mut events);
        }
        events
    }

    fn add(&self, message: &Message, events: &mut Vec<Event>) {
        let id = message.id();
        let is_new = !self.messages.contains(id);
        match message {
            Message::Assistant(assistant) => {
                let text = assistant.content.as_deref().filter(|text| is_new && !text.is_empty());
                if let Some(text) = text {
                    events.extend([Event::text_start(id), Event::text_content(id, text), Event::text_end(id)]);
                }
                for call in message.tool_calls().iter().filter(|call| !self.calls.contains(&call.id)) {
                    let call_id = call.id.as_str();
                    events.push(Event::tool_call_start(call_id, call.function.name.as_str(), Some(id.to_owned())));
                    if !call.function.arguments.is_empty() {
                        events.push(Event::tool_call_args(call_id, call.function.arguments.as_str()));
                    }
                    events.push(Event::tool_call_end(call_id));
                }
            }
            Message::Tool(result) if is_new && !self.answered.contains(&result.tool_call_id) => {
                events.push(Event::tool_call_result(id, result.tool_call_id.as_str(), result.content.clone()));
            }
            Message::Reasoning(reasoning) if is_new && !reasoning.content.is_empty() => {
                events.extend([
                    Event::reasoning_start(id),
                    Event::reasoning_message_start(id),
                    Event::reasoning_message_content(id, reasoning.content.as_str()),
                    Event::reasoning_message_end(id),
                    Event::reasoning_end(id),
                ]);
            }
            Message::Activity(activity) if is_new => {
                events.push(Event::activity_snapshot(id, activity.activity_type.as_str(), activity.content.clone()));
            }
            Message::Tool(_) | Message::Reasoning(_) | Message::Activity(_) => {}
            // People and operators speak through the runtime, not through an endpoint.
            Message::User(_) | Message::System(_) | Message::Developer(_) => {}
        }
    }
}

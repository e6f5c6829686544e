//! `MESSAGES_SNAPSHOT` reduced to what it adds: messages of this run that were not streamed, as the events they would
//! have been, and what those that were lack. It never reorders, removes or rewrites what the thread holds.

use std::collections::{HashMap, HashSet};

use crate::agent::context::RunInput;
use crate::agui::{AssistantMessage, EncryptedSubtype, Event, Message, Object, ReasoningMessage, ToolCall};

/// What the endpoint was told and has told so far, by id.
pub(super) struct Told {
    /// Messages that were posted.
    posted: HashSet<String>,
    /// Messages, and spans of reasoning, that were streamed.
    messages: HashSet<String>,
    texts: HashMap<String, Streamed>,
    thoughts: HashMap<String, Streamed>,
    calls: HashSet<String>,
    /// Calls whose result is known.
    answered: HashSet<String>,
    /// Messages and calls whose encrypted value is known.
    signed: HashSet<String>,
}

/// Text that was streamed between brackets. What came in chunks is not followed: those need not say whose they are.
#[derive(Default)]
struct Streamed {
    text: String,
    is_open: bool,
}

impl Told {
    pub(super) fn new(input: &RunInput) -> Self {
        let mut told = Self {
            posted: input.messages.iter().map(|message| message.id().to_owned()).collect(),
            messages: HashSet::new(),
            texts: HashMap::new(),
            thoughts: HashMap::new(),
            calls: HashSet::new(),
            answered: HashSet::new(),
            signed: HashSet::new(),
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
        if let Some(id) = event.message_id().filter(|id| !self.messages.contains(*id)) {
            self.messages.insert(id.to_owned());
        }
        if let Some(id) = event.tool_call_id() {
            let known = if matches!(event, Event::ToolCallResult(_)) { &mut self.answered } else { &mut self.calls };
            known.insert(id.to_owned());
        }
        match event {
            Event::TextMessageStart(start) => {
                self.texts.entry(start.message_id.clone()).or_default().is_open = true;
            }
            Event::TextMessageContent(content) => append(&mut self.texts, &content.message_id, &content.delta),
            Event::TextMessageEnd(end) => close(&mut self.texts, &end.message_id),
            Event::TextMessageChunk(chunk) => forget(&mut self.texts, chunk.message_id.as_deref()),
            Event::ReasoningMessageStart(start) => {
                self.thoughts.entry(start.message_id.clone()).or_default().is_open = true;
            }
            Event::ReasoningMessageContent(content) => append(&mut self.thoughts, &content.message_id, &content.delta),
            Event::ReasoningMessageEnd(end) => close(&mut self.thoughts, &end.message_id),
            Event::ReasoningMessageChunk(chunk) => forget(&mut self.thoughts, chunk.message_id.as_deref()),
            Event::ReasoningEncryptedValue(value) => {
                self.signed.insert(value.entity_id.clone());
            }
            _ => {}
        }
    }

    /// The events that a snapshot adds. What stands before the last posted message is history.
    pub(super) fn added_by(&self, snapshot: &[Message]) -> Vec<Event> {
        let known = |message: &Message| self.posted.contains(message.id());
        let new = snapshot.iter().rposition(known).map_or(0, |last| last + 1);
        let mut events = Vec::new();
        for message in &snapshot[new..] {
            let first = events.len();
            self.add(message, &mut events);
            // What was streamed has its owner.
            if !self.messages.contains(message.id()) {
                let subagent = message.subagent_run_id().map(str::to_owned);
                events[first..].iter_mut().for_each(|event| event.base_mut().set_subagent(subagent.clone()));
            }
        }
        events
    }

    fn add(&self, message: &Message, events: &mut Vec<Event>) {
        let id = message.id();
        let is_new = !self.messages.contains(id);
        match message {
            Message::Assistant(assistant) => {
                self.say(assistant, is_new, events);
                for call in message.tool_calls() {
                    if !self.calls.contains(&call.id) {
                        make(call, id, events);
                    }
                    self.sign(EncryptedSubtype::ToolCall, &call.id, call.encrypted_value.as_ref(), events);
                }
                self.sign(EncryptedSubtype::Message, id, assistant.encrypted_value.as_ref(), events);
            }
            Message::Tool(result) if is_new && !self.answered.contains(&result.tool_call_id) => {
                let answer = Event::tool_call_result(id, result.tool_call_id.as_str(), result.content.clone());
                events.push(with(answer, result.metadata.as_ref()));
                self.sign(EncryptedSubtype::Message, id, result.encrypted_value.as_ref(), events);
            }
            Message::Reasoning(reasoning) => {
                self.think(reasoning, is_new, events);
                self.sign(EncryptedSubtype::Message, id, reasoning.encrypted_value.as_ref(), events);
            }
            Message::Activity(activity) if is_new => {
                let shown = Event::activity_snapshot(id, activity.activity_type.as_str(), activity.content.clone());
                events.push(with(shown, activity.metadata.as_ref()));
            }
            Message::Tool(_) | Message::Activity(_) => {}
            // People and operators speak through the runtime, not through an endpoint.
            Message::User(_) | Message::System(_) | Message::Developer(_) => {}
        }
    }

    /// A new message has brackets unless it is nothing but calls, which make it themselves.
    fn say(&self, message: &AssistantMessage, is_new: bool, events: &mut Vec<Event>) {
        let (id, text) = (message.id.as_str(), message.content.as_deref().unwrap_or_default());
        if !is_new {
            let brackets: Brackets = [|id| Event::text_start(id), |id| Event::text_end(id)];
            return go_on(&self.texts, id, text, brackets, |id, delta| Event::text_content(id, delta), events);
        }
        let is_more = !text.is_empty() || message.name.is_some() || message.metadata.is_some();
        if is_more || message.tool_calls.iter().flatten().next().is_none() {
            let mut start = with(Event::text_start(id), message.metadata.as_ref());
            if let Event::TextMessageStart(start) = &mut start {
                start.name.clone_from(&message.name);
            }
            events.push(start);
            if !text.is_empty() {
                events.push(Event::text_content(id, text));
            }
            events.push(Event::text_end(id));
        }
    }

    fn think(&self, message: &ReasoningMessage, is_new: bool, events: &mut Vec<Event>) {
        let (id, text) = (message.id.as_str(), message.content.as_str());
        if !is_new {
            let brackets: Brackets = [|id| Event::reasoning_message_start(id), |id| Event::reasoning_message_end(id)];
            let content = |id: &str, delta: &str| Event::reasoning_message_content(id, delta);
            return go_on(&self.thoughts, id, text, brackets, content, events);
        }
        if !text.is_empty() || message.encrypted_value.is_some() {
            events.push(Event::reasoning_start(id));
            events.push(with(Event::reasoning_message_start(id), message.metadata.as_ref()));
            if !text.is_empty() {
                events.push(Event::reasoning_message_content(id, text));
            }
            events.extend([Event::reasoning_message_end(id), Event::reasoning_end(id)]);
        }
    }

    fn sign(&self, subtype: EncryptedSubtype, id: &str, value: Option<&String>, events: &mut Vec<Event>) {
        if let Some(value) = value.filter(|_| !self.signed.contains(id)) {
            events.push(Event::reasoning_encrypted_value(subtype, id, value.as_str()));
        }
    }
}

fn append(streamed: &mut HashMap<String, Streamed>, id: &str, delta: &str) {
    if let Some(streamed) = streamed.get_mut(id) {
        streamed.text.push_str(delta);
    }
}

fn close(streamed: &mut HashMap<String, Streamed>, id: &str) {
    if let Some(streamed) = streamed.get_mut(id) {
        streamed.is_open = false;
    }
}

fn forget(streamed: &mut HashMap<String, Streamed>, id: Option<&str>) {
    if let Some(id) = id {
        streamed.remove(id);
    }
}

/// The START and the END of an id.
type Brackets = [fn(&str) -> Event; 2];

/// What a text has more than was streamed of it. A text that is another one stays as it was streamed.
fn go_on(
    streamed: &HashMap<String, Streamed>,
    id: &str,
    text: &str,
    [start, end]: Brackets,
    content: fn(&str, &str) -> Event,
    events: &mut Vec<Event>,
) {
    let Some(streamed) = streamed.get(id) else { return };
    let Some(rest) = text.strip_prefix(&streamed.text).filter(|rest| !rest.is_empty()) else { return };
    if streamed.is_open {
        events.push(content(id, rest));
    } else {
        events.extend([start(id), content(id, rest), end(id)]);
    }
}

fn make(call: &ToolCall, message: &str, events: &mut Vec<Event>) {
    let id = call.id.as_str();
    let start = Event::tool_call_start(id, call.function.name.as_str(), Some(message.to_owned()));
    events.push(with(start, call.metadata.as_ref()));
    if !call.function.arguments.is_empty() {
        events.push(Event::tool_call_args(id, call.function.arguments.as_str()));
    }
    events.push(Event::tool_call_end(id));
}

fn with(mut event: Event, metadata: Option<&Object>) -> Event {
    if let Some(metadata) = metadata {
        event.base_mut().metadata = Some(metadata.clone());
    }
    event
}

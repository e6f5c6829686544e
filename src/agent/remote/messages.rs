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
    arguments: HashMap<String, Streamed>,
    /// Calls whose result is known.
    answered: HashSet<String>,
    /// Messages and calls whose encrypted value is known.
    signed: HashSet<String>,
    /// The metadata that messages and calls were given last, as JSON.
    described: HashMap<String, String>,
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
            arguments: HashMap::new(),
            answered: HashSet::new(),
            signed: HashSet::new(),
            described: HashMap::new(),
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
        if let (Some(metadata), Some(id)) = (&event.base().metadata, event.message_id().or(event.tool_call_id())) {
            self.described.insert(id.to_owned(), metadata.get().to_owned());
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
            Event::ToolCallStart(start) => {
                self.arguments.entry(start.tool_call_id.clone()).or_default().is_open = true;
            }
            Event::ToolCallArgs(args) => append(&mut self.arguments, &args.tool_call_id, &args.delta),
            Event::ToolCallEnd(end) => close(&mut self.arguments, &end.tool_call_id),
            Event::ToolCallChunk(chunk) => forget(&mut self.arguments, chunk.tool_call_id.as_deref()),
            Event::ReasoningEncryptedValue(value) => {
                self.signed.insert(value.entity_id.clone());
            }
            _ => {}
        }
    }

    /// The events that a snapshot adds; they are noted. What stands before the last posted message is history.
    pub(super) fn added_by(&mut self, snapshot: &[Message]) -> Vec<Event> {
        let known = |message: &Message| self.posted.contains(message.id());
        let new = snapshot.iter().rposition(known).map_or(0, |last| last + 1);
        let mut events = Vec::new();
        for message in &snapshot[new..] {
            // What was streamed has its owner.
            let is_new = !self.messages.contains(message.id());
            for mut event in self.added_by_message(message, is_new) {
                if is_new {
                    event.base_mut().set_subagent(message.subagent_run_id().map(str::to_owned));
                }
                events.push(event);
            }
        }
        events
    }

    fn added_by_message(&mut self, message: &Message, is_new: bool) -> Vec<Event> {
        let mut events = Vec::new();
        self.add(message, is_new, &mut events);
        events.iter().for_each(|event| self.note(event));
        for call in message.tool_calls() {
            let first = events.len();
            self.call(call, message.id(), &mut events);
            events[first..].iter().for_each(|event| self.note(event));
        }
        let first = events.len();
        let encrypted = match message {
            Message::Assistant(assistant) => assistant.encrypted_value.as_ref(),
            Message::Reasoning(reasoning) => reasoning.encrypted_value.as_ref(),
            Message::Tool(result) if !events.is_empty() => result.encrypted_value.as_ref(),
            Message::Tool(_) | Message::Activity(_) => None,
            Message::User(_) | Message::System(_) | Message::Developer(_) => None,
        };
        self.sign(EncryptedSubtype::Message, message.id(), encrypted, &mut events);
        events[first..].iter().for_each(|event| self.note(event));
        events
    }

    /// What the message itself says, without its calls.
    fn add(&self, message: &Message, is_new: bool, events: &mut Vec<Event>) {
        let id = message.id();
        match message {
            Message::Assistant(assistant) => self.say(assistant, is_new, events),
            Message::Reasoning(reasoning) => self.think(reasoning, is_new, events),
            Message::Tool(result) if is_new && !self.answered.contains(&result.tool_call_id) => {
                let answer = Event::tool_call_result(id, result.tool_call_id.as_str(), result.content.clone());
                events.push(with(answer, result.metadata.as_ref()));
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

    fn call(&self, call: &ToolCall, message: &str, events: &mut Vec<Event>) {
        let id = call.id.as_str();
        if self.calls.contains(id) {
            // It has its name and its message already.
            let start = || Event::tool_call_start(id, call.function.name.as_str(), None);
            let more = self.more(&self.arguments, id, &call.function.arguments, call.metadata.as_ref());
            go_on(more, start, |delta| Event::tool_call_args(id, delta), || Event::tool_call_end(id), events);
        } else {
            make(call, message, events);
        }
        self.sign(EncryptedSubtype::ToolCall, id, call.encrypted_value.as_ref(), events);
    }

    /// A new message has brackets unless it is nothing but calls, which make it themselves.
    fn say(&self, message: &AssistantMessage, is_new: bool, events: &mut Vec<Event>) {
        let (id, text) = (message.id.as_str(), message.content.as_deref().unwrap_or_default());
        if !is_new {
            let more = self.more(&self.texts, id, text, message.metadata.as_ref());
            let content = |delta: &str| Event::text_content(id, delta);
            return go_on(more, || Event::text_start(id), content, || Event::text_end(id), events);
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
            let more = self.more(&self.thoughts, id, text, message.metadata.as_ref());
            let (start, end) = (|| Event::reasoning_message_start(id), || Event::reasoning_message_end(id));
            return go_on(more, start, |delta| Event::reasoning_message_content(id, delta), end, events);
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

    /// What a text and its metadata have more than was streamed of them. A text that is another one stays as it was streamed.
    fn more<'t>(
        &self,
        streamed: &HashMap<String, Streamed>,
        id: &str,
        text: &'t str,
        metadata: Option<&'t Object>,
    ) -> Option<More<'t>> {
        let streamed = streamed.get(id)?;
        let rest = text.strip_prefix(&streamed.text).unwrap_or_default();
        let is_known = |metadata: &&Object| self.described.get(id).is_some_and(|known| known == metadata.get());
        let metadata = metadata.filter(|metadata| !is_known(metadata));
        (!rest.is_empty() || metadata.is_some()).then_some(More { rest, metadata, is_open: streamed.is_open })
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

/// What is told of a text that was streamed.
struct More<'t> {
    rest: &'t str,
    metadata: Option<&'t Object>,
    is_open: bool,
}

fn go_on(
    more: Option<More<'_>>,
    start: impl Fn() -> Event,
    content: impl Fn(&str) -> Event,
    end: impl Fn() -> Event,
    events: &mut Vec<Event>,
) {
    let Some(More { rest, metadata, is_open }) = more else { return };
    if is_open {
        events.push(with(content(rest), metadata));
        return;
    }
    events.push(with(start(), metadata));
    if !rest.is_empty() {
        events.push(content(rest));
    }
    events.push(end());
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

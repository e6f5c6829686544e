//! The messages that a stream of events builds, as the client's reducer builds them (section 3.4). It expects what
//! `Admission` lets out: chunks are expanded already. State, steps, custom events and subagents build no messages.

use std::collections::HashSet;

use ahash::HashMap;
use serde_json::Value;

use crate::agui::content::Content;
use crate::agui::event::{
    ActivityDelta, ActivitySnapshot, EncryptedSubtype, Event, ReasoningEncryptedValue, ReasoningMessageStart,
    TextMessageStart, TextRole, ToolCallResult, ToolCallStart,
};
use crate::agui::json::Object;
use crate::agui::message::{
    ActivityMessage, AssistantMessage, DeveloperMessage, Message, ReasoningMessage, Role, SystemMessage, ToolCall,
    ToolMessage, UserMessage,
};
use crate::agui::patch;

/// A conversation that events are applied to.
#[derive(Debug)]
pub struct Reducer {
    messages: Vec<Message>,
    /// Where each id stands in `messages`.
    places: HashMap<String, usize>,
    /// Which assistant message carries which call.
    carriers: HashMap<String, String>,
    /// The parsed content of activities that deltas have changed; their messages are behind until the end.
    activities: HashMap<String, Value>,
}

impl Reducer {
    /// Starts from the messages of the run's input.
    pub fn new(messages: Vec<Message>) -> Self {
        let mut reducer =
            Self { messages, places: HashMap::default(), carriers: HashMap::default(), activities: HashMap::default() };
        reducer.index_from(0);
        reducer
    }

    /// The conversation so far.
    pub fn into_messages(mut self) -> Vec<Message> {
        for (id, content) in std::mem::take(&mut self.activities) {
            if let (Some(Message::Activity(message)), Value::Object(content)) = (self.get_mut(&id), content) {
                message.content = Object::from_map(&content);
            }
        }
        self.messages
    }

    /// Applies one event. What refers to an unknown message or call changes nothing.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TextMessageStart(start) => self.start_text(start),
            Event::TextMessageContent(content) => self.append(&content.message_id, &content.delta),
            Event::ReasoningMessageStart(start) => self.start_reasoning(start),
            Event::ReasoningMessageContent(content) => self.append(&content.message_id, &content.delta),
            Event::ToolCallStart(start) => self.start_call(start),
            Event::ToolCallArgs(args) => {
                if let Some(call) = self.call_mut(&args.tool_call_id) {
                    call.function.arguments.push_str(&args.delta);
                }
            }
            Event::ToolCallResult(result) => return self.insert_result(result),
            Event::MessagesSnapshot(snapshot) => return self.merge(&snapshot.messages),
            Event::ActivitySnapshot(snapshot) => return self.show_activity(snapshot),
            Event::ActivityDelta(delta) => self.patch_activity(delta),
            Event::ReasoningEncryptedValue(value) => return self.sign(value),
            Event::RunStarted(started) => {
                for message in started.input.iter().flat_map(|input| &input.messages) {
                    if !self.places.contains_key(message.id()) {
                        self.push(message.clone());
                    }
                }
                return;
            }
            _ => {}
        }
        self.merge_metadata(event);
    }

    fn merge_metadata(&mut self, event: &Event) {
        let Some(metadata) = &event.base().metadata else { return };
        let target = match event {
            Event::TextMessageStart(_) | Event::TextMessageContent(_) | Event::TextMessageEnd(_) => {
                event.message_id().and_then(|id| self.get_mut(id)).and_then(spoken).map(Message::metadata_mut)
            }
            Event::ReasoningMessageStart(_)
            | Event::ReasoningMessageContent(_)
            | Event::ReasoningMessageEnd(_)
            | Event::ActivityDelta(_) => event.message_id().and_then(|id| self.get_mut(id)).map(Message::metadata_mut),
            Event::ToolCallStart(_) | Event::ToolCallArgs(_) | Event::ToolCallEnd(_) => {
                event.tool_call_id().and_then(|id| self.call_mut(id)).map(|call| &mut call.metadata)
            }
            _ => None,
        };
        match target {
            Some(Some(known)) => known.merge(metadata),
            Some(none) => *none = Some(metadata.clone()),
            None => {}
        }
    }

    fn start_text(&mut self, start: &TextMessageStart) {
        if self.places.contains_key(&start.message_id) {
            return;
        }
        let (id, name) = (start.message_id.clone(), start.name.clone());
        let (content, subagent_run_id) = (String::new(), start.base.subagent_run_id.clone());
        let (encrypted_value, metadata) = (None, None);
        self.push(match start.role.unwrap_or(TextRole::Assistant) {
            TextRole::Developer => {
                Message::Developer(DeveloperMessage { id, content, name, encrypted_value, metadata, subagent_run_id })
            }
            TextRole::System => {
                Message::System(SystemMessage { id, content, name, encrypted_value, metadata, subagent_run_id })
            }
            TextRole::User => {
                let content = Content::Text(content);
                Message::User(UserMessage { id, content, name, encrypted_value, metadata, subagent_run_id })
            }
            TextRole::Assistant => {
                let content = Some(content);
                Message::Assistant(AssistantMessage { content, name, subagent_run_id, ..AssistantMessage::empty(id) })
            }
        });
    }

    fn start_reasoning(&mut self, start: &ReasoningMessageStart) {
        if !self.places.contains_key(&start.message_id) {
            self.push(Message::Reasoning(ReasoningMessage {
                id: start.message_id.clone(),
                content: String::new(),
                encrypted_value: None,
                metadata: None,
                subagent_run_id: start.base.subagent_run_id.clone(),
            }));
        }
    }

    fn append(&mut self, id: &str, delta: &str) {
        match self.get_mut(id) {
            Some(Message::Developer(message)) => message.content.push_str(delta),
            Some(Message::System(message)) => message.content.push_str(delta),
            Some(Message::User(message)) => append_to(&mut message.content, delta),
            Some(Message::Assistant(message)) => message.content.get_or_insert_default().push_str(delta),
            Some(Message::Tool(message)) => append_to(&mut message.content, delta),
            Some(Message::Reasoning(message)) => message.content.push_str(delta),
            Some(Message::Activity(_)) | None => {}
        }
    }

    /// A call goes to its parent if that is an assistant's message, else to one of its own.
    fn start_call(&mut self, start: &ToolCallStart) {
        if let Some(call) = self.call_mut(&start.tool_call_id) {
            call.function.name.clone_from(&start.tool_call_name);
            return;
        }
        let parent = start.parent_message_id.as_ref().filter(|parent| !parent.is_empty());
        let is_other = |id: &str| self.get(id).is_some_and(|message| message.role() != Role::Assistant);
        let carrier = parent.filter(|parent| !is_other(parent)).unwrap_or(&start.tool_call_id).clone();
        if is_other(&carrier) {
            return;
        }
        if !self.places.contains_key(&carrier) {
            let subagent_run_id = start.base.subagent_run_id.clone();
            self.push(Message::Assistant(AssistantMessage { subagent_run_id, ..AssistantMessage::empty(&carrier) }));
        }
        if let Some(Message::Assistant(message)) = self.get_mut(&carrier) {
            let call = ToolCall::new(&start.tool_call_id, &start.tool_call_name, "");
            message.tool_calls.get_or_insert_default().push(call);
            self.carriers.insert(start.tool_call_id.clone(), carrier);
        }
    }

    /// A result stands after the assistant's message that made the call and the results that are there already.
    fn insert_result(&mut self, result: &ToolCallResult) {
        let message = Message::Tool(ToolMessage {
            id: result.message_id.clone(),
            content: result.content.clone(),
            tool_call_id: result.tool_call_id.clone(),
            error: None,
            encrypted_value: None,
            metadata: result.base.metadata.clone(),
            subagent_run_id: result.base.subagent_run_id.clone(),
        });
        if let Some(known) = self.get_mut(&result.message_id) {
            *known = message;
            return;
        }
        let carrier = self.carriers.get(&result.tool_call_id).and_then(|carrier| self.places.get(carrier));
        let place = match carrier {
            Some(carrier) => {
                let after = &self.messages[carrier + 1..];
                carrier + 1 + after.iter().take_while(|message| message.role() == Role::Tool).count()
            }
            None => self.messages.len(),
        };
        self.messages.insert(place, message);
        self.index_from(place);
    }

    /// The order here wins: what the snapshot has is replaced where it stands, what it lacks is removed (activities and
    /// reasoning only if it has any), what is new comes last.
    fn merge(&mut self, snapshot: &[Message]) {
        let has = |role| snapshot.iter().any(|message| message.role() == role);
        let (has_activities, has_reasoning) = (has(Role::Activity), has(Role::Reasoning));
        let mut new: HashMap<&str, &Message> = snapshot.iter().map(|message| (message.id(), message)).collect();
        let replaced: HashSet<&str> = new.keys().copied().collect();
        self.activities.retain(|id, _| !replaced.contains(id.as_str()));
        self.messages.retain_mut(|message| match new.remove(message.id()) {
            Some(newer) => {
                *message = newer.clone();
                true
            }
            None => match message.role() {
                Role::Activity => !has_activities,
                Role::Reasoning => !has_reasoning,
                Role::Developer | Role::System | Role::User | Role::Assistant | Role::Tool => false,
            },
        });
        let added = snapshot.iter().filter(|message| new.remove(message.id()).is_some());
        self.messages.extend(added.cloned());
        self.places.clear();
        self.carriers.clear();
        self.index_from(0);
    }

    fn show_activity(&mut self, snapshot: &ActivitySnapshot) {
        let id = &snapshot.message_id;
        let Some(known) = self.places.get(id).map(|place| &mut self.messages[*place]) else {
            return self.push(Message::Activity(ActivityMessage {
                id: id.clone(),
                activity_type: snapshot.activity_type.clone(),
                content: snapshot.content.clone(),
                metadata: snapshot.base.metadata.clone(),
                subagent_run_id: snapshot.base.subagent_run_id.clone(),
            }));
        };
        if let Message::Activity(message) = known
            && snapshot.replace != Some(false)
        {
            self.activities.remove(id);
            message.activity_type.clone_from(&snapshot.activity_type);
            message.content = snapshot.content.clone();
            message.subagent_run_id.clone_from(&snapshot.base.subagent_run_id);
            match (&mut message.metadata, &snapshot.base.metadata) {
                (Some(known), Some(metadata)) => known.merge(metadata),
                (known @ None, metadata) => known.clone_from(metadata),
                (Some(_), None) => {}
            }
        }
    }

    fn patch_activity(&mut self, delta: &ActivityDelta) {
        let Some(Message::Activity(message)) =
            self.places.get(&delta.message_id).map(|place| &mut self.messages[*place])
        else {
            return;
        };
        let known = match self.activities.get(&delta.message_id) {
            Some(known) => patch::apply(known, &delta.patch),
            None => message.content.parse().ok().and_then(|known| patch::apply(&Value::Object(known), &delta.patch)),
        };
        if let Some(changed @ Value::Object(_)) = known {
            message.activity_type.clone_from(&delta.activity_type);
            self.activities.insert(delta.message_id.clone(), changed);
        }
    }

    fn sign(&mut self, value: &ReasoningEncryptedValue) {
        let encrypted = Some(value.encrypted_value.clone());
        match value.subtype {
            EncryptedSubtype::ToolCall => {
                if let Some(call) = self.call_mut(&value.entity_id) {
                    call.encrypted_value = encrypted;
                }
            }
            EncryptedSubtype::Message => match self.get_mut(&value.entity_id) {
                Some(Message::Developer(message)) => message.encrypted_value = encrypted,
                Some(Message::System(message)) => message.encrypted_value = encrypted,
                Some(Message::User(message)) => message.encrypted_value = encrypted,
                Some(Message::Assistant(message)) => message.encrypted_value = encrypted,
                Some(Message::Tool(message)) => message.encrypted_value = encrypted,
                Some(Message::Reasoning(message)) => message.encrypted_value = encrypted,
                Some(Message::Activity(_)) | None => {}
            },
        }
    }

    fn get(&self, id: &str) -> Option<&Message> {
        self.places.get(id).map(|place| &self.messages[*place])
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.places.get(id).map(|place| &mut self.messages[*place])
    }

    fn call_mut(&mut self, id: &str) -> Option<&mut ToolCall> {
        let place = *self.places.get(self.carriers.get(id)?)?;
        match &mut self.messages[place] {
            Message::Assistant(message) => message.tool_calls.iter_mut().flatten().find(|call| call.id == id),
            Message::Developer(_)
            | Message::System(_)
            | Message::User(_)
            | Message::Tool(_)
            | Message::Activity(_)
            | Message::Reasoning(_) => None,
        }
    }

    fn push(&mut self, message: Message) {
        self.messages.push(message);
        self.index_from(self.messages.len() - 1);
    }

    fn index_from(&mut self, start: usize) {
        for (place, message) in self.messages.iter().enumerate().skip(start) {
            self.places.insert(message.id().to_owned(), place);
            for call in message.tool_calls() {
                self.carriers.insert(call.id.clone(), message.id().to_owned());
            }
        }
    }
}

/// Text events that hit an activity are dropped.
fn spoken(message: &mut Message) -> Option<&mut Message> {
    (message.role() != Role::Activity).then_some(message)
}

/// As the client: text goes on after a string, and instead of parts; but no text at all leaves parts as they are.
fn append_to(content: &mut Content, delta: &str) {
    match content {
        Content::Text(text) => text.push_str(delta),
        Content::Parts(_) if delta.is_empty() => {}
        Content::Parts(_) => *content = Content::Text(delta.to_owned()),
    }
}

#[cfg(test)]
mod tests;

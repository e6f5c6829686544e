//! The one gate that every agent's events pass: what it lets out is a sequence that AG-UI clients accept (sections 3.2
//! and 3.3), whatever the agent sent. It decides about order and ids only; the runtime sends `RUN_STARTED` itself and
//! decides how a run ends.

mod chunks;
mod close;
mod error;
mod open;
mod pieces;

use std::collections::{HashMap, HashSet};

use crate::agui::admit::chunks::Lanes;
use crate::agui::admit::open::{Brackets, Calls, Owner, Step, check_owner, end, go_on, open};
use crate::agui::event::{EncryptedSubtype, Event, EventType, ToolCallStart};
use crate::agui::message::Message;

pub use close::Closing;
pub use error::SequenceError;

/// The sequence of one run as far as it was let out.
///
/// Promises about what `admit` and `close` push, each with its test below: chunks come out as START, CONTENT, END; every
/// START has one END before the terminal; nothing follows a terminal; no message or call id is empty; no event is streamed
/// text of more than clients take.
#[derive(Debug)]
pub struct Admission {
    thread_id: String,
    run_id: String,
    started: bool,
    closed: bool,
    finished: bool,
    lanes: Lanes,
    texts: Brackets,
    thoughts: Brackets,
    spans: Brackets,
    calls: Calls,
    steps: Vec<Step>,
    subagents: Vec<String>,
    ended_subagents: HashSet<String>,
    message_owners: HashMap<String, Owner>,
    activity_owners: HashMap<String, Owner>,
    thought_owners: HashMap<String, Owner>,
    /// Ids for reasoning that came without any (`THINKING_*`).
    unnamed: Unnamed,
    expanded: Vec<Event>,
}

/// A tool call of this run that has no result yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCall {
    pub id: String,
    pub name: String,
    /// Whether its arguments are complete.
    pub complete: bool,
}

#[derive(Debug)]
struct Unnamed {
    prefix: String,
    count: u64,
    span: String,
    thought: String,
}

impl Unnamed {
    fn next(&mut self) -> String {
        self.count += 1;
        format!("{}-reasoning-{}", self.prefix, self.count)
    }
}

impl Admission {
    /// The gate of a run whose `RUN_STARTED` the runtime has sent or will send with these ids.
    pub fn new(thread_id: impl Into<String>, run_id: impl Into<String>) -> Self {
        let run_id = run_id.into();
        let unnamed = Unnamed { prefix: run_id.clone(), count: 0, span: String::new(), thought: String::new() };
        Self {
            thread_id: thread_id.into(),
            run_id,
            started: false,
            closed: false,
            finished: false,
            lanes: Lanes::default(),
            texts: Brackets::default(),
            thoughts: Brackets::default(),
            spans: Brackets::default(),
            calls: Calls::default(),
            steps: Vec::new(),
            subagents: Vec::new(),
            ended_subagents: HashSet::new(),
            message_owners: HashMap::new(),
            activity_owners: HashMap::new(),
            thought_owners: HashMap::new(),
            unnamed,
            expanded: Vec::new(),
        }
    }

    /// Names reasoning that came without ids after `prefix` instead of the run's id, for runs whose id may repeat in
    /// their thread.
    #[must_use]
    pub fn with_id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.unnamed.prefix = prefix.into();
        self
    }

    /// Pushes what may go out for this event. `RUN_STARTED` and everything after the terminal is swallowed; a terminal
    /// gets the run's ids and closers for all that is open before it. After an error the run should be closed; what was
    /// pushed before it is sound.
    pub fn admit(&mut self, mut event: Event, out: &mut Vec<Event>) -> Result<(), SequenceError> {
        if self.finished || (self.closed && !event.is_terminal()) {
            return Ok(());
        }
        if self.plainly_goes_on(&event) {
            pieces::push(event, out);
            return Ok(());
        }
        if event.is_terminal() {
            self.end(event, out);
            return Ok(());
        }
        self.name_reasoning(&mut event);
        if !self.lanes.touches(&event) {
            return self.pass(event, out);
        }
        let mut expanded = std::mem::take(&mut self.expanded);
        let outcome = self.lanes.expand(event, &mut expanded);
        let pushed = expanded.drain(..).try_for_each(|event| self.pass(event, out));
        self.expanded = expanded;
        if pushed.is_err() {
            // A stream whose START was refused is not open.
            self.lanes.forget();
        }
        pushed.and(outcome)
    }

    /// Whether an event is streamed text for what is open and nothing else, as most are: none of the rules has more to say
    /// of it.
    fn plainly_goes_on(&self, event: &Event) -> bool {
        let Some((id, _)) = event.plain_delta() else { return false };
        let is_open = match event {
            Event::TextMessageContent(_) => self.texts.owner(id).is_some(),
            Event::ReasoningMessageContent(_) => self.thoughts.owner(id).is_some(),
            _ => self.calls.is_open(id),
        };
        is_open && !self.lanes.touches(event)
    }

    /// Whether the terminal went out.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The calls without a result so far, in the order they were opened.
    pub fn pending_tool_calls(&self) -> Vec<PendingCall> {
        let pending = self.calls.calls.iter().filter(|call| !call.answered);
        pending.map(|call| PendingCall { id: call.id.clone(), name: call.name.clone(), complete: !call.open }).collect()
    }

    fn pass(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), SequenceError> {
        match event {
            Event::RunStarted(_) if self.started => return Err(SequenceError::RunActive),
            Event::RunStarted(_) => self.started = true,
            mut event => {
                self.follow(&mut event)?;
                pieces::push(event, out);
            }
        }
        Ok(())
    }

    /// Checks that the event may come now and remembers what it opens and closes.
    fn follow(&mut self, event: &mut Event) -> Result<(), SequenceError> {
        let event_type = event.event_type();
        check_ids(event, event_type)?;
        let tag = event.base().subagent_run_id.clone();
        match event {
            Event::TextMessageStart(event) => {
                let id = &event.message_id;
                open(&mut self.texts, event_type, id, &tag, self.message_owners.get(id))?;
                self.message_owners.entry(id.clone()).or_insert(tag);
            }
            Event::TextMessageContent(event) => go_on(&self.texts, event_type, &event.message_id, &tag)?,
            Event::TextMessageEnd(event) => end(&mut self.texts, event_type, &event.message_id, &tag)?,
            Event::ReasoningMessageStart(event) => {
                let id = &event.message_id;
                open(&mut self.thoughts, event_type, id, &tag, self.thought_owners.get(id))?;
                self.thought_owners.entry(id.clone()).or_insert(tag);
            }
            Event::ReasoningMessageContent(event) => go_on(&self.thoughts, event_type, &event.message_id, &tag)?,
            Event::ReasoningMessageEnd(event) => end(&mut self.thoughts, event_type, &event.message_id, &tag)?,
            // A span and the message in it may have one id, and then they have one owner.
            Event::ReasoningStart(event) => {
                let id = &event.message_id;
                let owner = self.thought_owners.get(id);
                check_owner(event_type, "reasoning message", id, &tag, owner)?;
                open(&mut self.spans, event_type, id, &tag, owner)?;
                self.thought_owners.entry(id.clone()).or_insert(tag);
            }
            Event::ReasoningEnd(event) => {
                let id = &event.message_id;
                go_on(&self.spans, event_type, id, &None)?;
                check_owner(event_type, "reasoning message", id, &tag, self.thought_owners.get(id))?;
                end(&mut self.spans, event_type, id, &None)?;
            }
            Event::ReasoningEncryptedValue(event) => {
                let id = &event.entity_id;
                let (noun, owner) = match event.subtype {
                    EncryptedSubtype::ToolCall => ("tool call", self.calls.get_mut(id).map(|call| &call.owner)),
                    EncryptedSubtype::Message => {
                        ("message", self.message_owners.get(id).or_else(|| self.thought_owners.get(id)))
                    }
                };
                check_owner(event_type, noun, id, &tag, owner)?;
            }
            Event::ToolCallStart(event) => self.open_call(event, tag)?,
            Event::ToolCallArgs(event) => self.go_on_with_call(event_type, &event.tool_call_id, &tag)?,
            Event::ToolCallEnd(event) => {
                self.go_on_with_call(event_type, &event.tool_call_id, &tag)?;
                if let Some(call) = self.calls.get_mut(&event.tool_call_id) {
                    call.open = false;
                }
            }
            Event::ToolCallResult(event) => {
                self.calls.answer(&event.tool_call_id);
                self.message_owners.entry(event.message_id.clone()).or_insert(tag);
            }
            Event::MessagesSnapshot(event) => event.messages.iter().for_each(|message| self.adopt(message)),
            Event::ActivitySnapshot(event) => {
                if event.replace == Some(false) {
                    self.activity_owners.entry(event.message_id.clone()).or_insert(tag);
                } else {
                    self.activity_owners.insert(event.message_id.clone(), tag);
                }
            }
            Event::ActivityDelta(event) => {
                let owner = self.activity_owners.get(&event.message_id);
                check_owner(event_type, "activity", &event.message_id, &tag, owner)?;
            }
            Event::StepStarted(event) => {
                let step = Step { owner: tag, name: event.step_name.clone() };
                if self.steps.iter().any(|open| open.name == step.name && open.owner == step.owner) {
                    return Err(SequenceError::StepActive { step: step.name, subagent: step.owner });
                }
                self.steps.push(step);
            }
            Event::StepFinished(event) => self.finish_step(&event.step_name, tag)?,
            Event::SubagentStarted(event) => {
                let id = &event.subagent_run_id;
                self.start_subagent(id, event.parent_subagent_run_id.as_deref())?;
            }
            Event::SubagentFinished(event) => self.end_subagent(event_type, &event.subagent_run_id)?,
            Event::SubagentError(event) => self.end_subagent(event_type, &event.subagent_run_id)?,
            _ => {}
        }
        Ok(())
    }

    fn open_call(&mut self, event: &mut ToolCallStart, tag: Owner) -> Result<(), SequenceError> {
        let event_type = EventType::ToolCallStart;
        // An empty parent is what some agents send for none.
        event.parent_message_id.take_if(|parent| parent.is_empty());
        let id = &event.tool_call_id;
        let known = self.calls.get_mut(id);
        if let Some(call) = &known {
            if call.open {
                return Err(SequenceError::AlreadyOpen { event: event_type, id: id.clone() });
            }
            check_owner(event_type, "tool call", id, &tag, Some(&call.owner))?;
        }
        let parent = event.parent_message_id.as_ref().and_then(|parent| self.message_owners.get_key_value(parent));
        if let Some((message, owner)) = parent {
            if tag.is_some() && tag != *owner {
                return Err(SequenceError::ParentMismatch {
                    subagent: tag.unwrap_or_default(),
                    message: message.clone(),
                    owner: owner.clone(),
                });
            }
            if let Some(call) = known
                && call.owner != *owner
            {
                return Err(SequenceError::ReopenedElsewhere {
                    call: id.clone(),
                    call_owner: call.owner.clone(),
                    message: message.clone(),
                    owner: owner.clone(),
                });
            }
        }
        let owner = parent.map_or(tag, |(_, owner)| owner.clone());
        // Says nothing of its message: that belongs to whoever speaks in it first, though the call made it.
        self.calls.open(event, owner);
        Ok(())
    }

    fn go_on_with_call(&mut self, event: EventType, id: &str, tag: &Owner) -> Result<(), SequenceError> {
        match self.calls.get_mut(id) {
            Some(call) if call.open => check_owner(event, "tool call", id, tag, Some(&call.owner)),
            _ => Err(SequenceError::NotOpen { event, id: id.to_owned() }),
        }
    }

    /// A snapshot says whose messages are whose, and which calls have their answers.
    fn adopt(&mut self, message: &Message) {
        let (id, owner) = (message.id().to_owned(), message.subagent_run_id().map(str::to_owned));
        match message {
            Message::Activity(_) => self.activity_owners.insert(id, owner),
            Message::Reasoning(_) => self.thought_owners.insert(id, owner),
            Message::Tool(message) => {
                self.calls.answer(&message.tool_call_id);
                self.message_owners.insert(id, owner)
            }
            Message::Developer(_) | Message::System(_) | Message::User(_) | Message::Assistant(_) => {
                self.message_owners.insert(id, owner)
            }
        };
    }

    fn finish_step(&mut self, name: &str, tag: Owner) -> Result<(), SequenceError> {
        if let Some(index) = self.steps.iter().position(|open| open.name == name && open.owner == tag) {
            self.steps.remove(index);
            return Ok(());
        }
        let step = name.to_owned();
        Err(match self.steps.iter().find(|open| open.name == name) {
            Some(open) => SequenceError::StepOfAnother { step, subagent: tag, owner: open.owner.clone() },
            None => SequenceError::StepNotStarted { step },
        })
    }

    fn start_subagent(&mut self, id: &str, parent: Option<&str>) -> Result<(), SequenceError> {
        let is_active = |id: &str| self.subagents.iter().any(|active| active == id);
        if is_active(id) {
            return Err(SequenceError::SubagentActive { subagent: id.to_owned() });
        }
        if self.ended_subagents.contains(id) {
            return Err(SequenceError::SubagentEnded { subagent: id.to_owned() });
        }
        if let Some(parent) = parent
            && !is_active(parent)
            && !self.ended_subagents.contains(parent)
        {
            return Err(SequenceError::SubagentParentUnknown { parent: parent.to_owned() });
        }
        self.subagents.push(id.to_owned());
        Ok(())
    }

    fn end_subagent(&mut self, event: EventType, id: &str) -> Result<(), SequenceError> {
        match self.subagents.iter().position(|active| active == id) {
            Some(index) => {
                self.ended_subagents.insert(self.subagents.remove(index));
                Ok(())
            }
            None => Err(SequenceError::SubagentNotActive { event, subagent: id.to_owned() }),
        }
    }

    /// `THINKING_*` has no ids: a START gets a new one, what follows the current one.
    fn name_reasoning(&mut self, event: &mut Event) {
        let unnamed = &mut self.unnamed;
        match event {
            Event::ReasoningStart(event) if event.message_id.is_empty() => {
                unnamed.span = unnamed.next();
                event.message_id.clone_from(&unnamed.span);
            }
            Event::ReasoningEnd(event) if event.message_id.is_empty() => event.message_id.clone_from(&unnamed.span),
            Event::ReasoningMessageStart(event) if event.message_id.is_empty() => {
                unnamed.thought = unnamed.next();
                event.message_id.clone_from(&unnamed.thought);
            }
            Event::ReasoningMessageContent(event) if event.message_id.is_empty() => {
                event.message_id.clone_from(&unnamed.thought);
            }
            Event::ReasoningMessageEnd(event) if event.message_id.is_empty() => {
                event.message_id.clone_from(&unnamed.thought);
            }
            _ => {}
        }
    }
}

fn check_ids(event: &Event, event_type: EventType) -> Result<(), SequenceError> {
    let empty = |field| Err(SequenceError::EmptyId { event: event_type, field });
    if event.message_id().is_some_and(str::is_empty) {
        return empty("messageId");
    }
    if event.tool_call_id().is_some_and(str::is_empty) {
        return empty("toolCallId");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Chunk expansion (section 3.3): messages and calls that come without brackets get them. One stream may be open per
//! lane; a lane is a subagent, or the agent itself.

use crate::agui::admit::SequenceError;
use crate::agui::event::{
    Base, Event, EventType, ReasoningMessageChunk, ReasoningMessageContent, ReasoningMessageStart, ReasoningRole,
    TextMessageChunk, TextMessageContent, TextMessageStart, TextRole, ToolCallArgs, ToolCallChunk, ToolCallStart,
};

/// The streams that chunks have opened.
#[derive(Debug, Default)]
pub(super) struct Lanes(Vec<Lane>);

#[derive(Debug)]
struct Lane {
    subagent: Option<String>,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Text { id: String, role: Option<TextRole>, name: Option<String> },
    ToolCall { id: String, name: String, parent: Option<String> },
    Reasoning { id: String },
}

impl Stream {
    fn chunk_type(&self) -> EventType {
        match self {
            Self::Text { .. } => EventType::TextMessageChunk,
            Self::ToolCall { .. } => EventType::ToolCallChunk,
            Self::Reasoning { .. } => EventType::ReasoningMessageChunk,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Text { id, .. } | Self::ToolCall { id, .. } | Self::Reasoning { id } => id,
        }
    }

    fn end(&self) -> Event {
        match self {
            Self::Text { id, .. } => Event::text_end(id),
            Self::ToolCall { id, .. } => Event::tool_call_end(id),
            Self::Reasoning { id } => Event::reasoning_message_end(id),
        }
    }
}

/// Which streams an event ends just by coming.
enum Ends<'e> {
    None,
    Lane(Option<&'e str>),
    All,
}

fn ends(event: &Event) -> Ends<'_> {
    match event {
        Event::Raw(_)
        | Event::ActivitySnapshot(_)
        | Event::ActivityDelta(_)
        | Event::ReasoningEncryptedValue(_)
        | Event::SubagentStarted(_)
        | Event::TextMessageChunk(_)
        | Event::ToolCallChunk(_)
        | Event::ReasoningMessageChunk(_) => Ends::None,
        Event::RunStarted(_) | Event::RunFinished(_) | Event::RunError(_) | Event::MessagesSnapshot(_) => Ends::All,
        Event::SubagentFinished(event) => Ends::Lane(Some(&event.subagent_run_id)),
        Event::SubagentError(event) => Ends::Lane(Some(&event.subagent_run_id)),
        other => Ends::Lane(other.base().subagent_run_id.as_deref()),
    }
}

impl Lanes {
    /// Whether the event is a chunk or comes while chunks have something open.
    pub(super) fn touches(&self, event: &Event) -> bool {
        !self.0.is_empty()
            || matches!(event, Event::TextMessageChunk(_) | Event::ToolCallChunk(_) | Event::ReasoningMessageChunk(_))
    }

    /// Forgets the open streams; somebody else ends them.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Pushes the ENDs that the event forces and the event itself, a chunk as START and CONTENT.
    pub(super) fn expand(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), SequenceError> {
        match event {
            Event::TextMessageChunk(chunk) => self.text(*chunk, out),
            Event::ToolCallChunk(chunk) => self.tool_call(*chunk, out),
            Event::ReasoningMessageChunk(chunk) => self.reasoning(chunk, out),
            event => {
                match ends(&event) {
                    Ends::None => {}
                    Ends::Lane(lane) => self.end_lane(lane, out),
                    Ends::All => out.extend(self.0.drain(..).map(Lane::end)),
                }
                out.push(event);
                Ok(())
            }
        }
    }

    fn text(&mut self, chunk: TextMessageChunk, out: &mut Vec<Event>) -> Result<(), SequenceError> {
        let event = EventType::TextMessageChunk;
        let TextMessageChunk { message_id, role, mut delta, name, mut base } = chunk;
        let id = match self.continued(event, message_id.as_deref(), &mut base)? {
            Some(Stream::Text { id, role: open_role, name: open_name }) => {
                let word = |role: &Option<TextRole>| role.map_or("assistant", TextRole::as_str).to_owned();
                let open = word(open_role);
                match_field(event, "role", role.map(|role| role.to_string()).as_ref(), Some(&open))?;
                match_field(event, "name", name.as_ref(), open_name.as_ref())?;
                delta = delta.or_else(|| nothing_but(&base));
                id.clone()
            }
            _ => {
                let id = first(event, "messageId", message_id)?;
                self.end_lane(base.subagent_run_id.as_deref(), out);
                let stream = Stream::Text { id: id.clone(), role, name: name.clone() };
                self.0.push(Lane { subagent: base.subagent_run_id.clone(), stream });
                let base = starting(&mut base, delta.is_some());
                out.push(TextMessageStart { message_id: id.clone(), role, name, base }.into());
                id
            }
        };
        if let Some(delta) = delta {
            out.push(TextMessageContent { message_id: id, delta, base }.into());
        }
        Ok(())
    }

    fn tool_call(&mut self, chunk: ToolCallChunk, out: &mut Vec<Event>) -> Result<(), SequenceError> {
        let event = EventType::ToolCallChunk;
        let ToolCallChunk { tool_call_id, tool_call_name, parent_message_id, mut delta, mut base } = chunk;
        let id = match self.continued(event, tool_call_id.as_deref(), &mut base)? {
            Some(Stream::ToolCall { id, name, parent }) => {
                match_field(event, "toolCallName", tool_call_name.as_ref(), Some(name))?;
                match_field(event, "parentMessageId", parent_message_id.as_ref(), parent.as_ref())?;
                delta = delta.or_else(|| nothing_but(&base));
                id.clone()
            }
            _ => {
                let id = first(event, "toolCallId", tool_call_id)?;
                let name = first(event, "toolCallName", tool_call_name)?;
                self.end_lane(base.subagent_run_id.as_deref(), out);
                let stream = Stream::ToolCall { id: id.clone(), name: name.clone(), parent: parent_message_id.clone() };
                self.0.push(Lane { subagent: base.subagent_run_id.clone(), stream });
                let base = starting(&mut base, delta.is_some());
                let start = ToolCallStart { tool_call_id: id.clone(), tool_call_name: name, parent_message_id, base };
                out.push(start.into());
                id
            }
        };
        if let Some(delta) = delta {
            out.push(ToolCallArgs { tool_call_id: id, delta, base }.into());
        }
        Ok(())
    }

    fn reasoning(&mut self, chunk: ReasoningMessageChunk, out: &mut Vec<Event>) -> Result<(), SequenceError> {
        let event = EventType::ReasoningMessageChunk;
        let ReasoningMessageChunk { message_id, mut delta, mut base } = chunk;
        let id = match self.continued(event, message_id.as_deref(), &mut base)? {
            Some(stream) => {
                delta = delta.or_else(|| nothing_but(&base));
                stream.id().to_owned()
            }
            None => {
                let id = first(event, "messageId", message_id)?;
                self.end_lane(base.subagent_run_id.as_deref(), out);
                let stream = Stream::Reasoning { id: id.clone() };
                self.0.push(Lane { subagent: base.subagent_run_id.clone(), stream });
                let base = starting(&mut base, delta.is_some());
                let role = ReasoningRole::Reasoning;
                out.push(ReasoningMessageStart { message_id: id.clone(), role, base }.into());
                id
            }
        };
        if let Some(delta) = delta {
            out.push(ReasoningMessageContent { message_id: id, delta, base }.into());
        }
        Ok(())
    }

    /// The stream that a chunk goes on with, if any; an untagged chunk means the agent's own stream before a subagent's,
    /// whose attribution it takes over.
    fn continued(&self, event: EventType, id: Option<&str>, base: &mut Base) -> Result<Option<&Stream>, SequenceError> {
        let tag = base.subagent_run_id.as_deref();
        let candidates = || {
            self.0.iter().filter(|lane| {
                lane.stream.chunk_type() == event
                    && id.is_none_or(|id| id == lane.stream.id())
                    && (tag.is_none() || tag == lane.subagent.as_deref())
            })
        };
        let own = candidates().find(|lane| lane.subagent.is_none());
        let Some(lane) = own.or_else(|| candidates().next()) else { return Ok(None) };
        if own.is_none() && candidates().nth(1).is_some() {
            return Err(SequenceError::AmbiguousChunk { event });
        }
        base.set_subagent(lane.subagent.clone());
        Ok(Some(&lane.stream))
    }

    fn end_lane(&mut self, subagent: Option<&str>, out: &mut Vec<Event>) {
        if let Some(index) = self.0.iter().position(|lane| lane.subagent.as_deref() == subagent) {
            out.push(self.0.remove(index).end());
        }
    }
}

impl Lane {
    fn end(self) -> Event {
        let mut event = self.stream.end();
        event.base_mut().set_subagent(self.subagent);
        event
    }
}

/// The fields of START: metadata goes on START and CONTENT both, the provider's event on the last of them.
fn starting(base: &mut Base, content_follows: bool) -> Base {
    let raw_event = base.take_raw_event();
    let mut starting = base.clone();
    if raw_event.is_some() {
        let last = if content_follows { base } else { &mut starting };
        last.raw_event = raw_event;
    }
    starting
}

/// The delta of a chunk that goes on with its stream and brings no text, but metadata or the provider's event.
fn nothing_but(base: &Base) -> Option<String> {
    (base.metadata.is_some() || base.raw_event.is_some()).then(String::new)
}

fn first(event: EventType, field: &'static str, value: Option<String>) -> Result<String, SequenceError> {
    value.ok_or(SequenceError::FirstChunk { event, field })
}

/// A chunk may repeat what its stream began with, not change it.
fn match_field(
    event: EventType,
    field: &'static str,
    value: Option<&String>,
    open: Option<&String>,
) -> Result<(), SequenceError> {
    match value {
        Some(value) if open != Some(value) => Err(SequenceError::ChunkMismatch {
            event,
            field,
            value: value.clone(),
            open: open.cloned().unwrap_or_default(),
        }),
        _ => Ok(()),
    }
}

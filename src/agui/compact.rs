//! Compaction of a run's events without changing their order: all deltas of one message or call become one, at the
//! place of the first. Sequence is `admit`'s business and state has no place here.

use std::collections::HashMap;

use crate::agui::event::{Base, Event};

/// How much text one delta holds: written with six characters for each byte it is still an event that clients
/// take, which end a stream with one of more than 10 MiB (section 2.1).
pub(super) const MAX_DELTA_BYTES: usize = 1 << 20;
/// How much metadata, for the same reason.
const MAX_METADATA_BYTES: usize = 1 << 20;

/// Joins the events that `Admission` let out, as they are pushed in the order of their positions.
///
/// Promises: what a reader builds from the output is what it builds from the input; every event but deltas stands
/// untouched in its order; `STATE_*` and empty deltas of arguments vanish; deltas are not joined over a
/// `MESSAGES_SNAPSHOT` or a terminal, nor when their attribution differs, nor to more than [`MAX_DELTA_BYTES`] or
/// [`MAX_METADATA_BYTES`]; a joined delta has the first one's time, all metadata, no provider event.
#[derive(Debug, Default)]
pub struct Compactor {
    entries: Vec<Entry>,
    /// The delta that further deltas of this message go to, as an index of `entries`.
    messages: HashMap<String, usize>,
    /// The same for calls.
    calls: HashMap<String, usize>,
    /// The delta that was joined or added last.
    latest: Option<usize>,
    /// Positions that nothing stands for, in order.
    vanished: Vec<u64>,
    /// A snapshot may have removed messages that are still open.
    after_snapshot: bool,
}

#[derive(Debug)]
struct Entry {
    event: Event,
    first: u64,
    last: u64,
}

/// One event of the compacted run.
#[derive(Clone, Debug, PartialEq)]
pub struct Compacted {
    pub event: Event,
    /// The greatest position `p` such that this event and those before it stand for exactly the input up to `p`: who
    /// has seen that much may go on with the next event. `None` where a joined delta reaches over.
    pub cut: Option<u64>,
}

impl Compactor {
    /// Takes the event at a position, which must be greater than all before.
    pub fn push(&mut self, position: u64, mut event: Event) {
        let targets = match &event {
            Event::StateSnapshot(_) | Event::StateDelta(_) => return self.vanished.push(position),
            Event::TextMessageContent(_) | Event::ReasoningMessageContent(_) => &mut self.messages,
            Event::ToolCallArgs(_) => &mut self.calls,
            other => {
                self.latest = None;
                self.forget(other);
                return self.entries.push(Entry { event, first: position, last: position });
            }
        };
        let Some((id, delta)) = delta_of(&event) else { return };
        // An empty delta of text is something: it gives content to a message that a call made without any.
        if delta.is_empty() && event.base().metadata.is_none() && matches!(event, Event::ToolCallArgs(_)) {
            return self.vanished.push(position);
        }
        if let Some(latest) = self.latest
            && let entry = &mut self.entries[latest]
            && join(&mut entry.event, &event)
        {
            entry.last = position;
            return;
        }
        if let Some(&index) = targets.get(id)
            && let entry = &mut self.entries[index]
            && join(&mut entry.event, &event)
        {
            entry.last = position;
            self.latest = Some(index);
            return;
        }
        self.latest = Some(self.entries.len());
        targets.insert(id.to_owned(), self.entries.len());
        event.base_mut().take_raw_event();
        self.entries.push(Entry { event, first: position, last: position });
    }

    /// The compacted run.
    pub fn finish(self) -> Vec<Compacted> {
        // From the back: the first position that comes after each entry's.
        let mut next_first = u64::MAX;
        let mut borders = vec![u64::MAX; self.entries.len()];
        for (border, entry) in borders.iter_mut().zip(&self.entries).rev() {
            *border = next_first;
            next_first = next_first.min(entry.first);
        }
        let mut vanished = self.vanished.into_iter().peekable();
        let mut covered = 0;
        let mut compacted = Vec::with_capacity(self.entries.len());
        for (Entry { event, last, .. }, border) in self.entries.into_iter().zip(borders) {
            covered = covered.max(last);
            let mut cut = None;
            if covered < border {
                while let Some(position) = vanished.next_if(|position| *position < border) {
                    covered = covered.max(position);
                }
                cut = Some(covered);
            }
            compacted.push(Compacted { event, cut });
        }
        compacted
    }

    /// What begins, ends or replaces a message or call ends the joining of its deltas.
    fn forget(&mut self, event: &Event) {
        if matches!(event, Event::MessagesSnapshot(_) | Event::RunStarted(_)) || event.is_terminal() {
            self.messages.clear();
            self.calls.clear();
            self.after_snapshot = true;
        }
        if let Event::ToolCallStart(start) = event
            && self.after_snapshot
        {
            // The call brings its message back: deltas from before it went nowhere.
            self.messages.remove(start.parent_message_id.as_ref().unwrap_or(&start.tool_call_id));
        }
        if let Some(id) = event.message_id() {
            self.messages.remove(id);
        }
        if let Some(id) = event.tool_call_id() {
            self.calls.remove(id);
        }
    }
}

fn delta_of(event: &Event) -> Option<(&str, &str)> {
    match event {
        Event::TextMessageContent(event) => Some((&event.message_id, &event.delta)),
        Event::ReasoningMessageContent(event) => Some((&event.message_id, &event.delta)),
        Event::ToolCallArgs(event) => Some((&event.tool_call_id, &event.delta)),
        _ => None,
    }
}

/// Appends a delta of the same kind, id and attribution; `false` if it is not one or there is no room for it.
fn join(known: &mut Event, event: &Event) -> bool {
    let (ids, text, base, delta, later) = match (known, event) {
        (Event::TextMessageContent(known), Event::TextMessageContent(event)) => {
            ((&known.message_id, &event.message_id), &mut known.delta, &mut known.base, &event.delta, &event.base)
        }
        (Event::ReasoningMessageContent(known), Event::ReasoningMessageContent(event)) => {
            ((&known.message_id, &event.message_id), &mut known.delta, &mut known.base, &event.delta, &event.base)
        }
        (Event::ToolCallArgs(known), Event::ToolCallArgs(event)) => {
            ((&known.tool_call_id, &event.tool_call_id), &mut known.delta, &mut known.base, &event.delta, &event.base)
        }
        _ => return false,
    };
    let belongs = ids.0 == ids.1 && base.subagent_run_id == later.subagent_run_id;
    let has_room = text.len() + delta.len() <= MAX_DELTA_BYTES
        && metadata_bytes(base) + metadata_bytes(later) <= MAX_METADATA_BYTES;
    let joins = belongs && has_room;
    if joins {
        text.push_str(delta);
        merge_metadata(base, later);
    }
    joins
}

fn metadata_bytes(base: &Base) -> usize {
    base.metadata.as_ref().map_or(0, |metadata| metadata.get().len())
}

fn merge_metadata(base: &mut Base, later: &Base) {
    let Some(metadata) = &later.metadata else { return };
    match &mut base.metadata {
        Some(known) => known.merge(metadata),
        none => *none = Some(metadata.clone()),
    }
}

#[cfg(test)]
mod tests;

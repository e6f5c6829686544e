//! What is open in a run and whose it is: the books that the gate keeps.

use std::collections::HashMap;

use crate::agui::admit::error::{SequenceError, noun};
use crate::agui::event::{EventType, ToolCallStart};

/// Who an id is attributed to: a subagent, or the agent itself.
pub(super) type Owner = Option<String>;

#[derive(Debug)]
pub(super) struct Step {
    pub(super) owner: Owner,
    pub(super) name: String,
}

/// The open ids of one kind, in the order they were opened.
#[derive(Debug, Default)]
pub(super) struct Brackets(pub(super) Vec<(String, Owner)>);

impl Brackets {
    pub(super) fn owner(&self, id: &str) -> Option<&Owner> {
        self.0.iter().find(|(open, _)| open == id).map(|(_, owner)| owner)
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.retain(|(open, _)| open != id);
    }
}

/// The tool calls of the run in the order they were opened.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) owner: Owner,
    pub(super) open: bool,
    pub(super) answered: bool,
}

impl Calls {
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Call> {
        self.by_id.get(id).map(|index| &mut self.calls[*index])
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        self.by_id.get(id).is_some_and(|index| self.calls[*index].open)
    }

    pub(super) fn open(&mut self, event: &ToolCallStart, owner: Owner) {
        if let Some(call) = self.get_mut(&event.tool_call_id) {
            call.open = true;
            return;
        }
        self.by_id.insert(event.tool_call_id.clone(), self.calls.len());
        let (id, name) = (event.tool_call_id.clone(), event.tool_call_name.clone());
        self.calls.push(Call { id, name, owner, open: true, answered: false });
    }

    pub(super) fn answer(&mut self, id: &str) {
        if let Some(call) = self.get_mut(id) {
            call.answered = true;
        }
    }
}

pub(super) fn open(
    brackets: &mut Brackets,
    event: EventType,
    id: &str,
    tag: &Owner,
    owner: Option<&Owner>,
) -> Result<(), SequenceError> {
    if brackets.owner(id).is_some() {
        return Err(SequenceError::AlreadyOpen { event, id: id.to_owned() });
    }
    check_owner(event, noun(event), id, tag, owner)?;
    brackets.0.push((id.to_owned(), owner.cloned().unwrap_or_else(|| tag.clone())));
    Ok(())
}

pub(super) fn go_on(brackets: &Brackets, event: EventType, id: &str, tag: &Owner) -> Result<(), SequenceError> {
    match brackets.owner(id) {
        Some(owner) => check_owner(event, noun(event), id, tag, Some(owner)),
        None => Err(SequenceError::NotOpen { event, id: id.to_owned() }),
    }
}

pub(super) fn end(brackets: &mut Brackets, event: EventType, id: &str, tag: &Owner) -> Result<(), SequenceError> {
    go_on(brackets, event, id, tag)?;
    brackets.remove(id);
    Ok(())
}

/// What goes on under an id belongs to who opened it; without a tag it does so anyway.
pub(super) fn check_owner(
    event: EventType,
    noun: &'static str,
    id: &str,
    tag: &Owner,
    owner: Option<&Owner>,
) -> Result<(), SequenceError> {
    match (tag, owner) {
        (Some(subagent), Some(owner)) if owner.as_ref() != Some(subagent) => Err(SequenceError::OwnerMismatch {
            event,
            subagent: subagent.clone(),
            // The client calls text messages just messages here.
            noun: noun.strip_prefix("text ").unwrap_or(noun),
            id: id.to_owned(),
            owner: owner.clone(),
        }),
        _ => Ok(()),
    }
}

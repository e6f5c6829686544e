//! The conversation as the runtime knows it: the messages of a thread in order, each with the run that brought it.

mod posted;

use std::sync::Arc;

use ahash::HashMap;

use crate::agui::{Message, Role};

pub(super) use posted::{Resolved, Terms};

/// The messages of a thread in order, each with the run that brought it.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    turns: Vec<Turn>,
    by_id: HashMap<String, usize>,
    /// By tool call id.
    calls: HashMap<String, Call>,
}

#[derive(Debug, Clone)]
struct Turn {
    message: Arc<Message>,
    run: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Call {
    /// Where the message is that makes it.
    made: Option<usize>,
    /// Where its result is.
    result: Option<usize>,
    /// Whether the client was asked to answer it.
    asked: bool,
}

impl Transcript {
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.turns.iter().map(|turn| &turn.message)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Where this message is, if it is of the transcript; `next` is where it is expected.
    pub(crate) fn place_of(&self, message: &Arc<Message>, next: usize) -> Option<usize> {
        self.place(message.id(), next).filter(|&at| Arc::ptr_eq(&self.turns[at].message, message))
    }

    /// Whether a tool call with this id was made in the thread.
    pub(crate) fn knows_call(&self, id: &str) -> bool {
        self.calls.contains_key(id)
    }

    /// Adds a message that `run` brought, a result after its call and the results that are there, as clients do; one with
    /// a known id takes the place of the known one.
    pub(crate) fn add(&mut self, run: usize, message: Arc<Message>) {
        let at = match self.by_id.get(message.id()) {
            Some(&at) => {
                self.turns[at].message = Arc::clone(&message);
                at
            }
            None => {
                let at = self.place_for(&message);
                self.make_room(at);
                self.by_id.insert(message.id().to_owned(), at);
                self.turns.insert(at, Turn { message: Arc::clone(&message), run });
                at
            }
        };
        for call in message.tool_calls() {
            self.calls.entry(call.id.clone()).or_default().made = Some(at);
        }
        if let Some(call) = message.tool_call_id() {
            self.calls.entry(call.to_owned()).or_default().result = Some(at);
        }
    }

    fn place_for(&self, message: &Message) -> usize {
        let made = message.tool_call_id().and_then(|call| self.calls.get(call)?.made);
        let Some(made) = made else { return self.turns.len() };
        let is_result = |turn: &&Turn| turn.message.role() == Role::Tool;
        made + 1 + self.turns[made + 1..].iter().take_while(is_result).count()
    }

    /// What stands at `at` and after it moves by one.
    fn make_room(&mut self, at: usize) {
        if at == self.turns.len() {
            return;
        }
        let shift = |place: &mut usize| *place += usize::from(*place >= at);
        self.by_id.values_mut().for_each(shift);
        self.calls.values_mut().flat_map(|call| [&mut call.made, &mut call.result]).flatten().for_each(shift);
    }

    /// The results among the messages that `run` brought after which older messages stand: who reads the thread from its
    /// beginning cannot be told them as the last ones.
    pub(crate) fn results_in_between(&self, run: usize) -> Vec<Arc<Message>> {
        let last_older = self.turns.iter().rposition(|turn| turn.run < run).unwrap_or(0);
        let before = self.turns[..last_older].iter().filter(|turn| turn.run == run);
        before.filter(|turn| turn.message.role() == Role::Tool).map(|turn| Arc::clone(&turn.message)).collect()
    }

    /// From now on the client may answer this call.
    pub(crate) fn ask(&mut self, call: &str) {
        if let Some(call) = self.calls.get_mut(call) {
            call.asked = true;
        }
    }

    /// Calls that the client may answer, or has answered.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &String> {
        self.calls.iter().filter(|(_, call)| call.asked).map(|(id, _)| id)
    }

    /// Every message with the run that brought it, in order.
    pub(crate) fn turns(&self) -> impl Iterator<Item = (usize, &Arc<Message>)> {
        self.turns.iter().map(|turn| (turn.run, &turn.message))
    }

    /// Changes the content of a known message; answers the run that brought it.
    pub(crate) fn edit(&mut self, message: &Arc<Message>) -> Option<usize> {
        let turn = &mut self.turns[*self.by_id.get(message.id())?];
        turn.message = Arc::clone(message);
        Some(turn.run)
    }

    /// Forgets the messages of `run` and of every run after it.
    pub(crate) fn supersede_from(&mut self, run: usize) {
        let kept = std::mem::take(&mut self.turns);
        self.by_id.clear();
        let calls = std::mem::take(&mut self.calls);
        for turn in kept.into_iter().filter(|turn| turn.run < run) {
            self.add(turn.run, turn.message);
        }
        calls.iter().filter(|(_, call)| call.asked).for_each(|(id, _)| self.ask(id));
    }

    /// Where a message is; `next` is where it is expected, because clients send back what they have in its order.
    fn place(&self, id: &str, next: usize) -> Option<usize> {
        let is_next = self.turns.get(next).is_some_and(|turn| turn.message.id() == id);
        if is_next { Some(next) } else { self.by_id.get(id).copied() }
    }
}

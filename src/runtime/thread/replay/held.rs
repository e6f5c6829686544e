//! What a client that connects has of the thread already. It keeps that, and would add what is told again to what it says:
//! a page that shows a conversation a second time had every text twice.

use bytes::Bytes;

use crate::agui::{Encoding, Event, Message, Role, echoed};

use super::super::super::Connect;
use super::super::actor::Thread;
use super::super::chunk::Chunk;
use super::super::start::opening;

/// Told around a replay from the beginning, in runs that are not stored.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Before it: the client forgets all but what stood before the thread's own messages, such as a page's greeting.
    pub(super) forgotten: Option<Bytes>,
    /// After it: what its user wrote last, and the thread never got.
    pub(super) unsent: Option<Bytes>,
}

impl Thread {
    pub(super) fn held(&self, request: &Connect) -> Held {
        let (held, is_known) = (&request.held, |message: &Message| self.transcript.contains(message.id()));
        let (first, last) = (held.iter().position(is_known), held.iter().rposition(is_known));
        let (Some(first), Some(last)) = (first, last) else { return Held::default() };
        // What users wrote is told whole, and taken once.
        if held[first..=last].iter().all(|message| message.role() == Role::User) {
            return Held::default();
        }
        let greeting = held[..first].to_vec();
        let unsent: Vec<_> =
            held[last..].iter().filter(|it| it.role() == Role::User && !is_known(it)).cloned().collect();
        Held {
            forgotten: Some(forgetting(request, greeting)),
            unsent: (!unsent.is_empty()).then(|| run(request, unsent, None)),
        }
    }
}

/// A client that is told this has these messages and no others. In a run, because nothing else may begin a stream: the
/// published clients end it with `First event must be 'RUN_STARTED'`.
pub(super) fn forgetting(request: &Connect, but: Vec<Message>) -> Bytes {
    run(request, Vec::new(), Some(Event::messages_snapshot(echoed(but))))
}

/// A run that is not stored.
fn run(request: &Connect, messages: Vec<Message>, snapshot: Option<Event>) -> Bytes {
    let opened = opening(&request.thread_id, &request.run_id, None, messages);
    let ended = Event::run_finished(request.thread_id.as_str(), request.run_id.as_str());
    let told: Vec<_> = std::iter::once(opened).chain(snapshot).chain([ended]).collect();
    Chunk::told(&told, request.dialect, Encoding::Sse)
}

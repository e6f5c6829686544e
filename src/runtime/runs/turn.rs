//! A run that was taken out of the queue, in the hands of whoever starts, changes or ends it.

use std::sync::Arc;

use super::super::clock::now_ms;
use super::lifecycle::Life;
use super::line::Taken;
use super::queue::{Client, Queue};
use super::ticket::Ticket;

/// Nobody else starts or ends the run meanwhile. Where it is dropped without a word, as when a client goes away in the middle
/// of its request, the run waits on.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Arc<Queue>,
    taken: Taken,
    is_over: bool,
}

impl Turn {
    pub(super) fn new(queue: Arc<Queue>, taken: Taken) -> Self {
        Self { queue, taken, is_over: false }
    }

    pub(super) fn run_id(&self) -> &str {
        &self.taken.run_id
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The run has begun, or never will; answers the clients that waited for it.
    pub(super) fn leave(mut self) -> Vec<Client> {
        self.is_over = true;
        self.queue.leave(&self.taken)
    }

    /// The run waits on, until this time at least.
    pub(super) fn put_back(mut self, due_at_ms: i64) {
        self.is_over = true;
        self.queue.put_back(&self.taken, due_at_ms);
    }

    /// The run is asked something else, and waits on; one more client follows it.
    pub(super) fn change_to(self, ticket: Ticket, life: Life, client: Option<Client>) {
        self.queue.change(ticket, life, client);
        self.put_back(now_ms());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.queue.put_back(&self.taken, now_ms());
        }
    }
}

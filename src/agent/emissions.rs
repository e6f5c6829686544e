//! What an agent does, in order, on its way to whoever hosts the run.
//!
//! A queue of its own and not a channel: a host that polls the agent in its own task takes a burst of events without any
//! wake-up, and an empty queue takes no memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::context::Emission;

/// A queue of at most `bound` emissions: the agent's end and the host's.
pub(crate) fn emissions(bound: usize) -> (Outbox, Emissions) {
    let shared = Arc::new(Shared { bound, queue: Mutex::default(), room: Notify::new() });
    (Outbox(Arc::clone(&shared)), Emissions { shared, spare: VecDeque::new(), sleeps: false })
}

/// The agent's end. Dropping it tells the host that nothing more comes.
#[derive(Debug)]
pub(crate) struct Outbox(Arc<Shared>);

/// The host's end. Dropping it tells the agent that the run is over.
#[derive(Debug)]
pub(crate) struct Emissions {
    shared: Arc<Shared>,
    /// An emptied queue that is the next one: it has room already.
    spare: VecDeque<Emission>,
    /// Whether the agent may have to wake the host.
    sleeps: bool,
}

/// The host takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunIsOver;

#[derive(Debug)]
struct Shared {
    bound: usize,
    /// A lock, because an agent may emit from several tasks; held for a push or a swap, never across an await.
    queue: Mutex<Queue>,
    /// Wakes those who wait for room.
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Emission>,
    /// The host, when it sleeps until something comes.
    host: Option<Waker>,
    agent_is_gone: bool,
    host_is_gone: bool,
}

impl Queue {
    /// Everything that waits. The spare takes its place, with room at once for who has just filled one.
    fn take(&mut self, spare: &mut VecDeque<Emission>, bound: usize) -> VecDeque<Emission> {
        let mut next = std::mem::take(spare);
        if self.waiting.len() >= bound {
            next.reserve(bound);
        }
        std::mem::replace(&mut self.waiting, next)
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no code panics while it holds this lock")
    }
}

impl Outbox {
    /// Hands one emission over, at once where there is room, and also if nobody awaits what is answered. Else what is
    /// answered waits while the host is behind.
    ///
    /// Not an `async fn`: that would carry the emission through every future between an agent and this queue.
    pub(crate) fn send(&self, emission: Emission) -> impl Future<Output = Result<(), RunIsOver>> + Send + '_ {
        let pushed = self.0.push(emission).map(|taken| taken.err().map(Box::new));
        async move {
            match pushed? {
                None => Ok(()),
                Some(waiting) => Box::pin(self.send_when_there_is_room(*waiting)).await,
            }
        }
    }

    async fn send_when_there_is_room(&self, mut waiting: Emission) -> Result<(), RunIsOver> {
        loop {
            // Asked for before the queue is looked at again: room that is made in between is not missed.
            let mut room = std::pin::pin!(self.0.room.notified());
            room.as_mut().enable();
            match self.0.push(waiting)? {
                Ok(()) => return Ok(()),
                Err(emission) => waiting = emission,
            }
            room.await;
        }
    }
}

impl Outbox {
    /// Waits until the host takes nothing more.
    pub(crate) async fn host_is_gone(&self) {
        loop {
            let mut room = std::pin::pin!(self.0.room.notified());
            room.as_mut().enable();
            if self.0.queue().host_is_gone {
                return;
            }
            room.await;
        }
    }
}

impl Shared {
    /// Takes the emission, or gives it back when there is no room.
    fn push(&self, emission: Emission) -> Result<Result<(), Emission>, RunIsOver> {
        let mut queue = self.queue();
        if queue.host_is_gone {
            return Err(RunIsOver);
        }
        if queue.waiting.len() >= self.bound {
            return Ok(Err(emission));
        }
        queue.waiting.push_back(emission);
        let host = queue.host.take();
        drop(queue);
        if let Some(host) = host {
            host.wake();
        }
        Ok(Ok(()))
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.agent_is_gone = true;
        let host = queue.host.take();
        drop(queue);
        if let Some(host) = host {
            host.wake();
        }
    }
}

impl Emissions {
    /// Everything that waits, when there is something; `None` when nothing more can come.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<VecDeque<Emission>>> {
        let mut queue = self.shared.queue();
        if !queue.waiting.is_empty() {
            let taken = queue.take(&mut self.spare, self.shared.bound);
            drop(queue);
            if taken.len() >= self.shared.bound {
                self.shared.room.notify_waiters();
            }
            return Poll::Ready(Some(taken));
        }
        if queue.agent_is_gone {
            return Poll::Ready(None);
        }
        queue.host = Some(cx.waker().clone());
        self.sleeps = true;
        Poll::Pending
    }

    /// Waits for emissions and takes all of them.
    #[cfg(test)]
    pub(crate) async fn take(&mut self) -> Option<VecDeque<Emission>> {
        std::future::poll_fn(|cx| self.poll_take(cx)).await
    }

    /// Everything that waits, without waiting.
    pub(crate) fn rest(&mut self) -> VecDeque<Emission> {
        let taken = self.shared.queue().take(&mut self.spare, self.shared.bound);
        if taken.len() >= self.shared.bound {
            self.shared.room.notify_waiters();
        }
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.queue().waiting.is_empty()
    }

    /// Takes back what was taken, when the host is done with it.
    pub(crate) fn reuse(&mut self, mut done: VecDeque<Emission>) {
        done.clear();
        self.spare = done;
    }

    /// The host is awake: emissions need not wake it.
    pub(crate) fn stay_awake(&mut self) {
        if std::mem::take(&mut self.sleeps) {
            self.shared.queue().host = None;
        }
    }

    /// Refuses what comes from now on.
    pub(crate) fn close(&mut self) {
        self.shared.queue().host_is_gone = true;
        self.shared.room.notify_waiters();
    }
}

impl Drop for Emissions {
    fn drop(&mut self) {
        self.close();
        // What nobody will serve is answered by being dropped.
        drop(self.rest());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::agui::Event;

    fn event(n: usize) -> Emission {
        Emission::Event(Event::step_started(n.to_string()))
    }

    #[tokio::test]
    async fn an_agent_waits_while_its_host_is_behind_and_nothing_is_lost_or_swapped() {
        let (out, mut emissions) = emissions(2);
        let agent = tokio::spawn(async move {
            for n in 0..100 {
                out.send(event(n)).await.expect("the host takes everything");
            }
        });
        let mut seen = Vec::new();
        while let Some(taken) = emissions.take().await {
            assert!(taken.len() <= 2);
            for emission in taken {
                let Emission::Event(Event::StepStarted(step)) = emission else { panic!("only steps were sent") };
                seen.push(step.step_name.parse::<usize>().expect("a number"));
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        agent.await.expect("the agent did not panic");
    }

    #[tokio::test]
    async fn an_agent_that_waits_for_room_learns_that_its_run_is_over() {
        let (out, mut emissions) = emissions(1);
        out.send(event(0)).await.expect("there is room");
        let (sent, ()) = tokio::join!(out.send(event(1)), async { emissions.close() });
        assert_eq!(sent, Err(RunIsOver));
        drop(emissions);
        assert_eq!(out.send(event(2)).await, Err(RunIsOver));
        out.host_is_gone().await;
    }

    #[tokio::test]
    async fn who_waits_for_the_end_of_a_run_is_not_told_of_room() {
        let (out, mut emissions) = emissions(1);
        let mut ended = std::pin::pin!(out.host_is_gone());
        out.send(event(0)).await.expect("there is room");
        drop(emissions.rest());
        assert!(ended.as_mut().now_or_never().is_none());
        drop(emissions);
        ended.await;
    }
}

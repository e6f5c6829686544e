//! An agent at work, polled by the task that hosts its run: what it emits needs no wake-up, and one that is stopped is
//! gone at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures_util::FutureExt;

use crate::agent::context::Emission;
use crate::agent::emissions::{Outbox, emissions};
use crate::agent::{AgentError, RunOutcome};

/// As many emissions wait before an agent has to.
pub(super) const EMISSIONS: usize = 64;

type Ended = Result<RunOutcome, AgentError>;
type Agent = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// What an agent does and how it ends. Dropping it stops the agent.
pub(super) struct Work {
    /// `None` when it has ended or was stopped. A mutex that nobody ever locks: it makes the future shareable.
    agent: Option<Mutex<Agent>>,
    /// How it ended, until that was told.
    ended: Option<Ended>,
    emissions: crate::agent::emissions::Emissions,
}

/// What comes next of an agent.
pub(super) enum Step {
    Emissions(VecDeque<Emission>),
    /// Nothing comes after these.
    Ended(VecDeque<Emission>, Ended),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("working", &self.agent.is_some()).finish_non_exhaustive()
    }
}

impl Work {
    /// An agent that begins when it is first polled. One that panics has failed.
    pub(super) fn start<A>(begin: impl FnOnce(Outbox) -> A) -> Self
    where
        A: Future<Output = Ended> + Send + 'static,
    {
        let (out, emissions) = emissions(EMISSIONS);
        let agent = AssertUnwindSafe(begin(out)).catch_unwind();
        let crashed = |_| Err(AgentError::new("internal", "the agent crashed; its run cannot go on"));
        let agent: Agent = Box::pin(async move { agent.await.unwrap_or_else(crashed) });
        Self { agent: Some(Mutex::new(agent)), ended: None, emissions }
    }

    /// Lets the agent work until there is something of it. Cancel safe.
    pub(super) async fn next(&mut self) -> Step {
        poll_fn(|cx| {
            self.poll_agent(cx);
            if let Some(ended) = self.ended.take() {
                return Poll::Ready(Step::Ended(self.emissions.rest(), ended));
            }
            match self.emissions.poll_take(cx) {
                Poll::Ready(Some(emissions)) => Poll::Ready(Step::Emissions(emissions)),
                // No more can come, and how the agent ended was told or comes with its next poll.
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the agent work until it has to wait for something, and answers what it did; nothing when it waits or has ended.
    pub(super) async fn at_once(&mut self) -> VecDeque<Emission> {
        // Unconstrained, so that an agent waits for nothing but what it has to.
        tokio::task::unconstrained(poll_fn(|cx| {
            self.poll_agent(cx);
            Poll::Ready(self.emissions.rest())
        }))
        .await
    }

    /// Takes back emissions that were taken and dealt with.
    pub(super) fn reuse(&mut self, done: VecDeque<Emission>) {
        self.emissions.reuse(done);
    }

    /// How the agent ended, if it has, nobody was told yet, and all that it emitted was taken.
    pub(super) fn take_ended(&mut self) -> Option<Ended> {
        self.ended.take_if(|_| self.emissions.is_empty())
    }

    /// Waits for `other`; the agent works on meanwhile.
    pub(super) async fn alongside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        poll_fn(|cx| {
            let polled = other.as_mut().poll(cx);
            if polled.is_pending() {
                self.poll_agent(cx);
            }
            polled
        })
        .await
    }

    /// Drops the agent, and whatever it holds with it; what it emitted and nobody took is dropped too.
    pub(super) fn stop(&mut self) {
        self.agent = None;
        self.emissions.close();
    }

    fn poll_agent(&mut self, cx: &mut Context<'_>) {
        let Some(agent) = &mut self.agent else { return };
        self.emissions.stay_awake();
        let agent = agent.get_mut().expect("nobody panics while holding a lock that is never taken");
        if let Poll::Ready(ended) = agent.as_mut().poll(cx) {
            self.agent = None;
            self.ended = Some(ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::Event;

    #[tokio::test]
    async fn an_agent_that_panics_has_failed_after_what_it_said() {
        let mut work = Work::start(|out| async move {
            out.send(Emission::Event(Event::step_started("one"))).await.expect("the host is there");
            panic!("this agent is broken")
        });
        let Step::Ended(rest, Err(error)) = work.next().await else { panic!("it was to fail") };
        assert_eq!((rest.len(), error.code.as_str()), (1, "internal"));
    }

    #[tokio::test]
    async fn an_agent_works_on_while_its_host_waits_for_something_else() {
        let (went_on, waited) = tokio::sync::oneshot::channel();
        let mut work = Work::start(|_| async move {
            went_on.send(()).expect("somebody waits");
            Ok(RunOutcome::default())
        });
        work.alongside(waited).await.expect("the agent was polled");
        assert!(matches!(work.next().await, Step::Ended(_, Ok(_))));
    }

    #[tokio::test]
    async fn how_an_agent_ended_is_told_after_all_that_it_emitted() {
        let mut work = Work::start(|out| async move {
            out.send(Emission::Event(Event::step_started("one"))).await.expect("the host is there");
            Ok(RunOutcome::default())
        });
        work.alongside(tokio::task::yield_now()).await;
        assert!(work.take_ended().is_none(), "what it emitted still waits");
        assert_eq!(work.at_once().await.len(), 1);
        assert!(work.take_ended().is_some());
    }

    #[tokio::test]
    async fn a_stopped_agent_is_gone_at_once() {
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let mut work = Work::start(|_| async move {
            let _held = held;
            std::future::pending().await
        });
        work.stop();
        assert!(dropped.await.is_err(), "what the agent held ended with it");
    }
}

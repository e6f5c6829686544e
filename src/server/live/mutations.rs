//! What a client writes: numbered, bounded, answered before the change is shown.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::config::LiveLimits;
use crate::runtime::{Accepted, DocumentError, Origin, Proposal, Rejection, Write};

use super::frame::Mutate;
use super::session::Session;
use super::subscriptions::Channel;
use super::told::Told;

/// When a client that met a full queue or a store that is down may try again.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_STORE: Duration = Duration::from_secs(1);

/// The mutations that are not answered yet, and how many more there may be.
pub(super) struct Mutations {
    in_flight: FuturesUnordered<BoxFuture<'static, Answered>>,
    most: usize,
    rate: Rate,
}

/// A mutation with its answer.
pub(super) struct Answered {
    channel: u64,
    mutation_id: u64,
    result: Result<Accepted, DocumentError>,
}

impl Mutations {
    pub(super) fn new(limits: &LiveLimits) -> Self {
        let rate = Rate::new(limits.mutations_per_second);
        Self { in_flight: FuturesUnordered::new(), most: limits.in_flight, rate }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Waits for the next answer; for ever while nothing is in flight. Cancel safe.
    pub(super) async fn next(&mut self) -> Answered {
        match self.in_flight.next().await {
            Some(answered) => answered,
            None => std::future::pending().await,
        }
    }
}

/// A bucket of tokens that holds those of one second.
struct Rate {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second, filled: Instant::now() }
    }

    /// Takes a token, or says when there will be one.
    fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        let grown = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        (self.tokens, self.filled) = ((self.tokens + grown).min(self.per_second), now);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

impl<S> Session<S> {
    pub(super) fn mutate(&mut self, mutate: Mutate) {
        let Mutate { channel, client_id, mutation_id, write } = mutate;
        let Some(Channel::Document { name, .. }) = self.channels.get(&channel) else {
            let message = "no document is subscribed on this channel";
            return self.reject(channel, mutation_id, refusal("unsubscribed", message), None);
        };
        if self.mutations.in_flight() >= self.mutations.most {
            let refusal = refusal("overloaded", "too many mutations wait for their answers");
            return self.reject(channel, mutation_id, refusal, Some(RETRY));
        }
        let name = name.clone();
        if let Err(wait) = self.mutations.rate.take() {
            let refusal = refusal("rate_limited", "too many mutations in a second");
            return self.reject(channel, mutation_id, refusal, Some(wait));
        }
        let write = write.unwrap_or_else(|rejection| Write::new(Proposal::Unreadable(rejection)));
        let client_id = client_id.or_else(|| self.client_id.clone()).expect("a client says hello first");
        let write = Write { origin: Some(Origin { client_id, mutation_id }), ..write };
        let (runtime, principal) = (std::sync::Arc::clone(&self.runtime), self.principal.clone());
        self.mutations.in_flight.push(Box::pin(async move {
            let result = runtime.documents(&principal).write(&name, write).await;
            Answered { channel, mutation_id, result }
        }));
    }

    /// Answers everything that is decided. A document answers before it shows, so a reader that has been shown a version
    /// finds the answer to its own mutation here.
    pub(super) fn answer_waiting(&mut self) {
        // Tokio's budget for a task must not hide an answer that is there.
        while self.mutations.in_flight() > 0
            && let Some(answered) = unconstrained(self.mutations.next()).now_or_never()
        {
            self.answer(&answered);
        }
    }

    pub(super) fn answer(&mut self, answered: &Answered) {
        let Answered { channel, mutation_id, result } = answered;
        let (channel, mutation_id) = (*channel, *mutation_id);
        let error = match result {
            Ok(Accepted { version, duplicate, conflicts, data, .. }) => {
                let ack = Told::Ack {
                    channel,
                    mutation_id,
                    version: *version,
                    duplicate: *duplicate,
                    data: data.as_deref(),
                    conflicts,
                };
                return self.outbox.push(ack.message());
            }
            Err(error) => error,
        };
        let rejection = error.rejection();
        match error {
            DocumentError::Overloaded => {
                let rejection = Rejection { code: "overloaded".to_owned(), ..rejection };
                self.reject(channel, mutation_id, rejection, Some(RETRY));
            }
            DocumentError::Unavailable { .. } | DocumentError::StorageFull => {
                self.reject(channel, mutation_id, rejection, Some(RETRY_STORE));
            }
            DocumentError::MutationGap { expect } => {
                let expect = Some(*expect);
                self.outbox.push(Told::Reject { channel, mutation_id, rejection, expect, retry_ms: None }.message());
            }
            _ => self.reject(channel, mutation_id, rejection, None),
        }
    }

    fn reject(&mut self, channel: u64, mutation_id: u64, rejection: Rejection, retry: Option<Duration>) {
        let retry_ms = retry.map(|retry| retry.as_millis().try_into().unwrap_or(u64::MAX).max(1));
        self.outbox.push(Told::Reject { channel, mutation_id, rejection, expect: None, retry_ms }.message());
    }
}

fn refusal(code: &str, message: &str) -> Rejection {
    Rejection {
        code: code.to_owned(),
        message: message.to_owned(),
        version: None,
        paths: Vec::new(),
        errors: Vec::new(),
    }
}

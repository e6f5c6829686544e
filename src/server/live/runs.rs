//! Channels on threads: AG-UI runs, started, followed and stopped over the same session.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::agui::sse::Decoder;
use crate::agui::{Dialect, Encoding, RunAgentInput};
use crate::runtime::{Connect, FrameStream, Hosted, ReadError, ReplayFrom, StartError, StartRun, StopOutcome};

use super::super::error::problem::Problem;
use super::super::stream::{going_on_after, position};
use super::feed::Running;
use super::session::Session;
use super::subscriptions::Channel;
use super::told::{self, Told};

impl<S> Session<S> {
    pub(super) async fn start_run(&mut self, channel: u64, agent: &str, input: &[u8]) {
        let found = self.runtime.agents().find(agent);
        let Some(agent) = self.expect_agent(channel, agent, found) else { return };
        let input = match RunAgentInput::read(input) {
            Ok(input) => input,
            Err(error) => return self.complain("invalid_body", &error.to_string(), Some(channel)),
        };
        let principal = self.principal.clone();
        let started =
            self.runtime.run(StartRun { principal, agent, input, headers: Vec::new(), encoding: Encoding::Sse }).await;
        match started {
            Ok(frames) => self.open_run(channel, frames, None),
            Err(StartError::Busy { run_id }) => {
                let problem = Problem::from(StartError::Busy { run_id: run_id.clone() });
                let (code, message) = (problem.code(), problem.detail());
                let error = Told::Error { code, message, channel: Some(channel), run_id: Some(&run_id) };
                self.outbox.push(error.message());
            }
            Err(error) => self.complain_of(&error.into(), Some(channel)),
        }
    }

    /// Sees a thread from its beginning, or from where the client was cut, to the end of its live run.
    pub(super) async fn follow(&mut self, channel: u64, thread_id: String, agent: &str, after: Option<String>) {
        let found = self.runtime.agent_on(&self.principal, agent, &thread_id);
        let Some(agent) = self.expect_agent(channel, agent, found) else { return };
        let connect = Connect {
            principal: self.principal.clone(),
            agent,
            thread_id,
            run_id: uuid::Uuid::now_v7().to_string(),
            dialect: Dialect::V1,
            from: after.as_deref().map_or(ReplayFrom::Beginning, going_on_after),
            held: Vec::new(),
        };
        let after = after.and_then(|after| position(after.rsplit_once('.')?.1));
        match self.runtime.connect(connect).await {
            Ok(frames) => self.open_run(channel, frames, after),
            Err(error) => self.complain_of(&error.into(), Some(channel)),
        }
    }

    pub(super) async fn stop_run(&mut self, thread: &str, agent: &str, run_id: Option<String>) {
        if self.runtime.agent_on(&self.principal, agent, thread).is_none() {
            return self.complain("not_found", &format!("agent `{agent}` does not exist"), None);
        }
        match self.runtime.stop(&self.principal, thread, run_id.as_deref()).await {
            Ok(StopOutcome::Stopped) => {}
            Ok(StopOutcome::NothingRunning | StopOutcome::OtherRun) => {
                self.complain("not_found", "this run is not live on this thread", None);
            }
            Err(error) => self.complain_of(&error.into(), None),
        }
    }

    /// Complains where there is no such agent, or no room for the channel.
    fn expect_agent(&mut self, channel: u64, agent: &str, found: Option<Arc<Hosted>>) -> Option<Arc<Hosted>> {
        if self.is_full(channel) {
            self.complain("overloaded", "this socket has as many channels as it may", Some(channel));
            return None;
        }
        if found.is_none() {
            self.complain("not_found", &format!("agent `{agent}` does not exist"), Some(channel));
        }
        found
    }

    fn complain_of(&mut self, problem: &Problem, channel: Option<u64>) {
        self.complain(problem.code(), problem.detail(), channel);
    }

    fn open_run(&mut self, channel: u64, frames: FrameStream, after: Option<u64>) {
        self.channels.remove(&channel);
        let decoder = Decoder::new(usize::MAX);
        let events = self.feeds.run(channel, Box::new(Running { frames, decoder, after, seq: 0, last: String::new() }));
        self.channels.insert(channel, Channel::Run { events });
    }

    /// Passes on what came of a thread; at the end the channel is closed.
    pub(super) fn events(&mut self, channel: u64, mut running: Box<Running>, frames: Option<Result<Bytes, ReadError>>) {
        let reason = match frames {
            Some(Ok(bytes)) => {
                running.decoder.push(&bytes);
                while let Some(Ok(frame)) = running.decoder.next_frame() {
                    // Who goes on where it was is shown the state first; anything else begins anew.
                    if let Some(after) = running.after.take()
                        && type_of(&frame.data).as_deref() == Some("STATE_SNAPSHOT")
                    {
                        running.seq = after;
                    }
                    let position = frame.id.as_deref().and_then(|id| id.rsplit_once('.')?.1.parse().ok());
                    running.seq = position.unwrap_or(running.seq);
                    self.outbox.push(told::event(channel, running.seq, frame.id.as_deref(), &frame.data));
                    running.last = frame.data;
                }
                let tap = self.feeds.run(channel, running);
                if let Some(Channel::Run { events }) = self.channels.get_mut(&channel) {
                    *events = tap;
                }
                return;
            }
            Some(Err(_)) => "lost",
            None => match type_of(&running.last).as_deref() {
                Some("RUN_ERROR") => "failed",
                Some("RUN_FINISHED") => "finished",
                // The run goes on after the restart, for those who follow it then.
                _ if self.runtime.stopping().is_cancelled() => "lost",
                _ => "finished",
            },
        };
        self.channels.remove(&channel);
        self.outbox.push(Told::End { channel, reason }.message());
    }
}

fn type_of(event: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    serde_json::from_str::<Typed>(event).ok().map(|event| event.r#type)
}

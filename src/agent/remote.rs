//! Agents that live elsewhere and speak AG-UI over HTTP: a POST of `RunAgentInput`, answered by a stream of events.
//!
//! It checks the shape of what comes, not its order: the runtime's gate does that for every agent.

mod body;
mod halves;
mod headers;
mod messages;
mod relay;
mod upstream;
mod view;

use async_trait::async_trait;

use super::definition::{Remote, StateSpec};
use super::{Agent, AgentError, Descriptor, RunContext, RunOutcome};
use crate::agui::AgentCapabilities;
use relay::Relay;
use upstream::Upstream;
use view::View;

/// An AG-UI endpoint as an agent.
struct RemoteAgent {
    remote: Remote,
    state: StateSpec,
    upstream: Upstream,
}

/// The agent of a definition. Opens no connection; the error is a sentence for the definition's problems.
pub fn build(remote: &Remote, state: &StateSpec) -> Result<Box<dyn Agent>, String> {
    let upstream = Upstream::new(remote)?;
    Ok(Box::new(RemoteAgent { remote: remote.clone(), state: state.clone(), upstream }))
}

#[async_trait]
impl Agent for RemoteAgent {
    fn descriptor(&self) -> Descriptor {
        Descriptor { description: String::new(), capabilities: AgentCapabilities::default() }
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let view = View::open(&cx, &self.remote, &self.state).await?;
        let mut events = self.upstream.post(cx.input(), view.sent()).await?;
        let mut relay = Relay::new(&cx, view, self.remote.strip_raw);
        loop {
            let event = events.next().await?;
            if let Some(outcome) = relay.pass(event).await? {
                return Ok(outcome);
            }
        }
    }
}

#[cfg(test)]
mod tests;

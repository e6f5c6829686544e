//! `type: mcp`: the tools of Model Context Protocol servers, over pipes or streamable HTTP (docs/agents.md §8).
//!
//! A server is connected to once for the process, when a run first needs it, whichever agents use it.

mod answer;
mod link;
mod name;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Call, Tool, refused, spec};
use crate::agent::context::RunContext;
use crate::agent::definition::{McpServer, McpTool, glob};
use crate::agent::error::AgentError;
use crate::agui;
use link::{CallFailed, Link, Listed};

/// The servers that agents of this process use.
#[derive(Debug, Default)]
pub struct Servers {
    /// A lock, because agents are built on any thread; held for a map access. What no agent uses any more is closed.
    links: Mutex<HashMap<McpServer, Weak<Link>>>,
}

impl Servers {
    fn link(&self, server: &McpServer) -> Arc<Link> {
        let mut links = self.links.lock().expect("no code panics while it holds this lock");
        links.retain(|_, link| link.strong_count() > 0);
        if let Some(link) = links.get(server).and_then(Weak::upgrade) {
            return link;
        }
        let link = Arc::new(Link::new(server.clone()));
        links.insert(server.clone(), Arc::downgrade(&link));
        link
    }
}

/// A server as one agent uses it.
pub(in crate::agent) struct Server {
    name: String,
    link: Arc<Link>,
    definition: McpTool,
}

/// One tool of a server.
struct Remote {
    spec: agui::Tool,
    /// As the server calls it.
    name: String,
    link: Arc<Link>,
    timeout: Duration,
    is_idempotent: bool,
}

impl Server {
    pub(in crate::agent) fn new(name: &str, definition: &McpTool, server: &McpServer, servers: &Servers) -> Self {
        Self { name: name.to_owned(), link: servers.link(server), definition: definition.clone() }
    }

    /// The tools that the agent may call. A server that is away is no fault of the run: those it had when it was last seen,
    /// and those that the definition names outright, are offered, and a call of them says that it is away.
    pub(in crate::agent) async fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let listed = match self.link.tools().await {
            Ok(listed) => listed,
            Err(away) => {
                tracing::warn!(server = self.name, reason = away.reason, "an MCP server is away");
                let named = self.definition.allow.iter().flatten().filter(|name| !name.contains('*'));
                let unknown = named.filter(|name| !away.last_seen.iter().any(|listed| listed.name == **name));
                let unknown: Vec<Listed> = unknown.map(|name| Listed::unknown(name)).collect();
                away.last_seen.iter().cloned().chain(unknown).collect()
            }
        };
        let names: Vec<_> = listed.iter().map(|listed| listed.name.as_str()).collect();
        let names = name::of_all(&self.name, &names);
        let allowed = listed.iter().zip(&names).filter(|(listed, _)| self.allows(&listed.name));
        allowed.map(|(listed, name)| Arc::new(self.remote(listed, name)) as Arc<dyn Tool>).collect()
    }

    fn allows(&self, tool: &str) -> bool {
        self.definition.allow.as_ref().is_none_or(|allow| allow.iter().any(|pattern| glob::matches(pattern, tool)))
    }

    fn remote(&self, listed: &Listed, name: &str) -> Remote {
        Remote {
            spec: spec(name, listed.description.clone(), &listed.input),
            name: listed.name.clone(),
            link: Arc::clone(&self.link),
            timeout: self.definition.timeout,
            is_idempotent: self.definition.idempotent.unwrap_or(listed.is_idempotent),
        }
    }
}

#[async_trait]
impl Tool for Remote {
    fn spec(&self) -> agui::Tool {
        self.spec.clone()
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn timeout(&self) -> Duration {
        // Making the connection again has a limit of its own.
        self.timeout + link::CONNECT
    }

    async fn call(&self, _: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
        let called = self.link.call(&self.name, call.arguments, self.timeout, self.is_idempotent).await;
        Ok(match called {
            Ok(result) => answer::told(&result),
            Err(CallFailed::Refused(error)) => refused("tool_error", &error),
            Err(CallFailed::TimedOut) => {
                refused("timeout", &format!("the tool did not answer within {:?}", self.timeout))
            }
            Err(CallFailed::Away(reason)) => refused("unreachable", &format!("the tool's server is away: {reason}")),
            Err(CallFailed::Lost(reason)) => {
                let error = format!("the tool's server went away; whether it did the work is unknown: {reason}");
                refused("unreachable", &error)
            }
        })
    }
}

impl Listed {
    /// Of which only the name is known.
    fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: "Its server is away just now.".to_owned(),
            input: json!({ "type": "object", "properties": {} }),
            is_idempotent: false,
        }
    }
}

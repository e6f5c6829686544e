//! The connection to one server: made when it is needed, made anew when it broke.

mod connect;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::model::{CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ServerResult};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService};
use rmcp::{ClientHandler, RoleClient, ServiceError};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use crate::agent::definition::McpServer;

/// How long making a connection may take, and how long asking for the tools.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// A server that could not be reached is not asked again before this.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Link {
    server: McpServer,
    /// A lock across awaits, because everybody who needs the connection waits for the one that makes it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// When and why it could not be reached last.
    failed: Option<(Instant, String)>,
    /// As they were when the server was last asked.
    tools: Arc<[Listed]>,
    is_listed: bool,
}

#[derive(Debug)]
struct Connection {
    service: RunningService<RoleClient, Ear>,
    /// The server said that its tools are others now.
    has_other_tools: Arc<AtomicBool>,
}

/// A tool as its server lists it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) input: Value,
    /// What the server says of it.
    pub(super) is_idempotent: bool,
}

/// A server that cannot be asked.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) reason: String,
    pub(super) last_seen: Arc<[Listed]>,
}

#[derive(Debug)]
pub(super) enum CallFailed {
    /// By the server, which works.
    Refused(String),
    TimedOut,
    /// Nothing was sent.
    Away(String),
    /// The connection broke under the call.
    Lost(String),
}

/// Hears what a server says by itself.
#[derive(Debug, Clone)]
struct Ear {
    has_other_tools: Arc<AtomicBool>,
}

impl ClientHandler for Ear {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.has_other_tools.store(true, Ordering::Release);
    }
}

impl Link {
    pub(super) fn new(server: McpServer) -> Self {
        Self { server, state: Mutex::default() }
    }

    /// The server's tools as they are now.
    pub(super) async fn tools(&self) -> Result<Vec<Listed>, Away> {
        let mut state = self.state.lock().await;
        let listed = async {
            let connection = self.connected(&mut state).await?;
            if state.is_listed && !connection.has_other_tools.swap(false, Ordering::AcqRel) {
                return Ok(state.tools.to_vec());
            }
            let listing = timeout(CONNECT, connection.service.list_all_tools()).await;
            let listed = match listing {
                Ok(Ok(tools)) => Ok(tools.into_iter().map(Listed::from).collect::<Vec<_>>()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("it does not say which tools it has".to_owned()),
            };
            match listed {
                Ok(tools) => {
                    (state.tools, state.is_listed) = (tools.clone().into(), true);
                    Ok(tools)
                }
                Err(reason) => {
                    state.connection = None;
                    state.failed = Some((Instant::now(), reason.clone()));
                    Err(reason)
                }
            }
        };
        let listed: Result<_, String> = listed.await;
        listed.map_err(|reason| Away { reason, last_seen: Arc::clone(&state.tools) })
    }

    /// Calls a tool. What broke before anything was sent is made anew and sent once more, as is a call that may run twice.
    pub(super) async fn call(
        &self,
        name: &str,
        arguments: &Map<String, Value>,
        within: Duration,
        may_repeat: bool,
    ) -> Result<CallToolResult, CallFailed> {
        let mut is_again = false;
        loop {
            let connection = self.connection().await.map_err(CallFailed::Away)?;
            let error = match connection.call(name, arguments, within).await {
                Err(CallError::Transport(error)) => error,
                Err(CallError::Failed(failed)) => return Err(failed),
                Ok(result) => return Ok(result),
            };
            self.forget(&connection).await;
            let never_sent = connect::never_sent(&error);
            if is_again || !(may_repeat || never_sent) {
                let reason = error.to_string();
                return Err(if never_sent { CallFailed::Away(reason) } else { CallFailed::Lost(reason) });
            }
            is_again = true;
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut state = self.state.lock().await;
        self.connected(&mut state).await
    }

    async fn connected(&self, state: &mut MutexGuard<'_, State>) -> Result<Arc<Connection>, String> {
        if let Some(connection) = &state.connection
            && connection.is_open()
        {
            return Ok(Arc::clone(connection));
        }
        if let Some((when, reason)) = &state.failed
            && when.elapsed() < PAUSE
        {
            return Err(reason.clone());
        }
        let has_other_tools = Arc::new(AtomicBool::new(false));
        let ear = Ear { has_other_tools: Arc::clone(&has_other_tools) };
        let made = match timeout(CONNECT, connect::connect(&self.server, ear)).await {
            Ok(made) => made,
            Err(_) => Err(format!("it did not answer within {CONNECT:?}")),
        };
        match made {
            Ok(service) => {
                let connection = Arc::new(Connection { service, has_other_tools });
                (state.connection, state.failed) = (Some(Arc::clone(&connection)), None);
                // Another process may have other tools.
                state.is_listed = false;
                Ok(connection)
            }
            Err(reason) => {
                state.connection = None;
                state.failed = Some((Instant::now(), reason.clone()));
                Err(reason)
            }
        }
    }

    /// Lets a broken connection go, unless somebody has made another one already.
    async fn forget(&self, broken: &Arc<Connection>) {
        let mut state = self.state.lock().await;
        if state.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, broken)) {
            state.connection = None;
        }
    }
}

enum CallError {
    Transport(ServiceError),
    Failed(CallFailed),
}

impl Connection {
    fn is_open(&self) -> bool {
        !self.service.is_closed() && !self.service.peer().is_transport_closed()
    }

    async fn call(
        &self,
        name: &str,
        arguments: &Map<String, Value>,
        within: Duration,
    ) -> Result<CallToolResult, CallError> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments.clone());
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        // A server that takes too long is told that nobody waits any more.
        let options = PeerRequestOptions::with_timeout(within);
        let asked =
            async { self.service.peer().send_cancellable_request(request, options).await?.await_response().await };
        let answered = match timeout(within + Duration::from_secs(1), asked).await {
            Ok(answered) => answered,
            Err(_) => return Err(CallError::Failed(CallFailed::TimedOut)),
        };
        match answered {
            Ok(ServerResult::CallToolResult(result)) => Ok(result),
            Ok(ServerResult::InputRequiredResult(_)) => {
                let error = "the tool wants to ask a person, and nobody is there";
                Err(CallError::Failed(CallFailed::Refused(error.to_owned())))
            }
            Ok(_) => Err(CallError::Failed(CallFailed::Refused("the server answered something else".to_owned()))),
            Err(ServiceError::McpError(error)) => {
                Err(CallError::Failed(CallFailed::Refused(error.message.to_string())))
            }
            Err(ServiceError::Timeout { .. }) => Err(CallError::Failed(CallFailed::TimedOut)),
            Err(error @ (ServiceError::TransportSend(_) | ServiceError::TransportClosed)) => {
                Err(CallError::Transport(error))
            }
            Err(error) => Err(CallError::Failed(CallFailed::Refused(error.to_string()))),
        }
    }
}

impl From<rmcp::model::Tool> for Listed {
    fn from(tool: rmcp::model::Tool) -> Self {
        let hints = tool.annotations.as_ref();
        let says = |hint: Option<bool>| hint == Some(true);
        Self {
            name: tool.name.to_string(),
            description: tool.description.as_deref().unwrap_or_default().to_owned(),
            input: Value::Object(tool.input_schema.as_ref().clone()),
            is_idempotent: hints.is_some_and(|hints| says(hints.read_only_hint) || says(hints.idempotent_hint)),
        }
    }
}

//! Making a connection: a process and its pipes, or an address.

use std::collections::HashMap;
use std::error::Error;
use std::process::Stdio;

use process_wrap::tokio::{CommandWrap, KillOnDrop, ProcessGroup};
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::child_process::TokioChildProcess;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceError, ServiceExt as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStderr, Command};

use super::{CONNECT, Ear};
use crate::agent::definition::{McpReach, McpServer};
use crate::agent::outbound;

/// The largest message a server may send, in bytes.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// What a server's process sees of this one's environment; everything else is said by its definition.
const ENVIRONMENT: [&str; 10] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ"];

pub(super) async fn connect(server: &McpServer, ear: Ear) -> Result<RunningService<RoleClient, Ear>, String> {
    match &server.reach {
        McpReach::Command { command, env } => {
            let (program, arguments) = command.split_first().ok_or("its command is empty")?;
            let mut process = Command::new(program);
            process.args(arguments).current_dir(&server.folder).env_clear();
            process.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
            process.envs(env.iter().map(|(name, value)| (name, value)));
            let mut process = CommandWrap::from(process);
            // What it starts ends with it.
            process.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
            let spawned = TokioChildProcess::builder(process).stderr(Stdio::piped()).spawn();
            let (transport, stderr) = spawned.map_err(|error| format!("`{program}` cannot be started: {error}"))?;
            if let Some(stderr) = stderr {
                tokio::spawn(log(program.clone(), stderr));
            }
            ear.serve(transport).await.map_err(|error| format!("`{program}` does not speak MCP: {error}"))
        }
        McpReach::Url { url, headers } => {
            let client = outbound::client(url, CONNECT)?;
            let headers: HashMap<HeaderName, HeaderValue> = headers
                .iter()
                .map(|(name, value)| {
                    let name = HeaderName::from_bytes(name.as_bytes()).expect("a definition's headers are checked");
                    (name, HeaderValue::from_str(value).expect("a definition's headers are checked"))
                })
                .collect();
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                .custom_headers(headers)
                .control_request_timeout(CONNECT)
                .max_sse_event_size(MESSAGE_BYTES)
                .max_json_response_size(MESSAGE_BYTES);
            let transport = StreamableHttpClientTransport::with_client(client, config);
            ear.serve(transport).await.map_err(|error| bottom(&error))
        }
    }
}

/// Whether a call that failed so was never sent.
pub(super) fn never_sent(error: &ServiceError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return error.is_connect();
        }
        cause = error.source();
    }
    false
}

/// The reason at the bottom of an error, which says more than what is above it and holds no address.
fn bottom(error: &dyn Error) -> String {
    let mut bottom = error;
    while let Some(deeper) = bottom.source() {
        bottom = deeper;
    }
    bottom.to_string()
}

async fn log(program: String, stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(program, line, "an MCP server says");
    }
}

//! The only place that knows HTTP statuses: every refusal of the layers below becomes one answer here.
//!
//! CopilotKit's routes answer `{"error": …}` bodies as its client expects them (docs/copilotkit.md §2); routes under `/v1`
//! answer [`problem`]s.

pub(super) mod close;
pub(super) mod problem;

mod transcription;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::runtime::{KeepingError, ReadError, StartError};

pub(super) use transcription::NotTranscribed;

/// Routes that refuse as [`problem`]s.
const PROBLEMS_BELOW: [&str; 2] = ["/v1/", "/hooks/"];

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: Map<String, Value>,
    allow: Option<HeaderValue>,
    retry_after: Option<HeaderValue>,
}

impl Problem {
    fn new(status: StatusCode, error: &str) -> Self {
        let mut body = Map::new();
        body.insert("error".to_owned(), error.into());
        Self { status, body, allow: None, retry_after: None }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.body.insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
        problem.allow = Some(HeaderValue::from_static(allow));
        problem
    }

    pub(super) fn agent_not_found(agent: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Agent not found").with("message", format!("Agent '{agent}' does not exist"))
    }

    pub(super) fn invalid_body(details: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid request body").with("details", details.into())
    }

    pub(super) fn too_large(limit_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large")
            .with("code", "too_large")
            .with("message", format!("the body may have at most {limit_bytes} bytes"))
    }

    pub(super) fn late_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Request timeout")
            .with("code", "timeout")
            .with("message", "the body did not arrive in time")
    }

    pub(super) fn invalid_stop(error: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// Answered by CopilotKit's commercial platform only (docs/copilotkit.md §2).
    pub(super) fn needs_platform(who_requires: &str) -> Self {
        let error = format!(
            "Missing CopilotKitIntelligence configuration. {who_requires} a CopilotKitIntelligence instance to be \
             provided in CopilotRuntime options."
        );
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, &error)
    }

    pub(super) fn bad_query(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid query").with("message", message)
    }

    /// A single-route envelope that cannot be read (docs/copilotkit.md §1).
    pub(super) fn envelope(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request").with("message", message.into())
    }

    /// An envelope of this method that was posted to a path without a route; CopilotKit's client shows the message.
    pub(super) fn misdirected_envelope(method: &str, path: &str, mount: &str) -> Self {
        let message = format!(
            "Received a single-route request envelope (`{method}`) at {path}, which is no route. A single-route \
             client's runtimeUrl is the base path itself: post it to {mount}"
        );
        Self::not_found().with("code", "single_route_envelope_against_multi_route_runtime").with("message", message)
    }

    pub(super) fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Origin not allowed").with("code", "origin_not_allowed").with(
            "message",
            "pages of this origin may not call this server; name the origin in --cors-origins or COAGENT_CORS_ORIGINS",
        )
    }

    pub(super) fn foreign_host() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Host not allowed").with("code", "host_not_allowed").with(
            "message",
            "a server without authentication answers only to loopback names such as localhost and 127.0.0.1",
        )
    }
}

/// What a connection gets that there is no room for; `start` is how what it sends begins.
pub(super) fn no_room(start: &[u8]) -> String {
    const TOO_MANY: &str = "too many connections are open";
    let target = start.splitn(3, |&byte| byte == b' ').nth(1).unwrap_or_default();
    let is_told_problems = PROBLEMS_BELOW.iter().any(|path| target.starts_with(path.as_bytes()));
    let (content_type, body) = if is_told_problems {
        (problem::CONTENT_TYPE, problem::Problem::new(problem::Code::Overloaded, TOO_MANY).body())
    } else {
        let unavailable = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable");
        ("application/json", Value::Object(unavailable.with("code", "overloaded").with("message", TOO_MANY).body))
    };
    let body = body.to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {content_type}\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// As CopilotKit's runtime says it, in words.
pub(super) fn debug_feed_is_off() -> Response {
    (StatusCode::NOT_FOUND, "Not Found").into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Value::Object(self.body))).into_response();
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after);
        }
        response
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::UnknownAgent { agent } => Self::agent_not_found(&agent),
            StartError::InvalidThreadId => Self::invalid_thread_id(),
            StartError::Busy { run_id } => Self::busy(run_id),
            StartError::StorageFull => Self::storage_full(),
            StartError::Unavailable { reason } => Self::unavailable(&reason),
            StartError::DayIsOver { message } => Self::new(StatusCode::TOO_MANY_REQUESTS, "Budget exceeded")
                .with("code", "budget_exceeded")
                .with("message", message),
            StartError::Paused { agent } => Self::new(StatusCode::CONFLICT, "Agent is paused")
                .with("code", "agent_paused")
                .with("message", format!("agent `{agent}` is paused; resume it first")),
            StartError::QueueFull { retry_after_seconds, .. } => {
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many runs wait")
                    .with("code", "queue_full")
                    .with("message", "as many runs of this agent wait as it may have; try again in a moment");
                problem.retry_after = Some(retry_after_seconds.into());
                problem
            }
            StartError::Settled => Self::unavailable(&StartError::Settled.to_string()),
            StartError::ShuttingDown => Self::unavailable("the server is shutting down"),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { reason } => Self::unavailable(&reason),
            ReadError::InvalidThreadId => Self::invalid_thread_id(),
        }
    }
}

impl From<KeepingError> for Problem {
    fn from(error: KeepingError) -> Self {
        match error {
            KeepingError::UnknownThread => Self::new(StatusCode::NOT_FOUND, "Thread not found"),
            KeepingError::InvalidThreadId => Self::invalid_thread_id(),
            KeepingError::Busy { run_id } => Self::busy(run_id),
            KeepingError::Unavailable { reason } => Self::unavailable(&reason),
        }
    }
}

impl Problem {
    fn busy(run_id: String) -> Self {
        Self::new(StatusCode::CONFLICT, "Thread is busy")
            .with("code", "thread_busy")
            .with("run_id", run_id)
            .with("message", "another run is live on this thread; wait for it or stop it")
    }

    fn invalid_thread_id() -> Self {
        Self::invalid_body(
            "/threadId: must have 1 to 190 characters, no control characters among them, and not be `.` or `..`",
        )
    }

    fn storage_full() -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "Storage full")
            .with("code", "storage_full")
            .with("message", StartError::StorageFull.to_string())
    }

    fn unavailable(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable")
            .with("code", "unavailable")
            .with("message", reason)
    }
}

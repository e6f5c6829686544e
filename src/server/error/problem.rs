//! What routes under `/v1` answer instead of a success: problem details (RFC 9457) with a stable `code`.

mod declared;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::runtime::{
    DocumentError, HookError, ImportError, ImportRefused, PauseError, ReadError, Rejection, StartError, SubmitError,
    Untrusted,
};
use crate::state::document::Refusal;
use crate::state::json::JsonError;
use crate::state::patch::PatchError;

pub(in crate::server) use declared::{Asks, Problematic, Reads, Runs, Writes};

/// The codes of docs/state-api.md §2: what a client may decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Code {
    InvalidJson,
    InvalidPatch,
    InvalidName,
    InvalidQuery,
    InvalidHeader,
    InvalidBody,
    Unauthenticated,
    BadSignature,
    Forbidden,
    ForbiddenPath,
    NotFound,
    UnknownType,
    VersionNotFound,
    MethodNotAllowed,
    Timeout,
    Conflict,
    TestFailed,
    TargetGone,
    BatchVersionConflict,
    ThreadBusy,
    MutationGap,
    ClientUnknown,
    AgentInvalid,
    AgentPaused,
    Deleted,
    VersionConflict,
    AlreadyExists,
    TooLarge,
    UnsupportedMediaType,
    SchemaInvalid,
    TransitionInvalid,
    IdempotencyMismatch,
    QueueFull,
    BudgetExceeded,
    RateLimited,
    Unavailable,
    Overloaded,
    StorageFull,
}

/// RFC 9457 §3.
pub(in crate::server) const CONTENT_TYPE: &str = "application/problem+json";

impl Code {
    /// Status, code and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidJson => (S::BAD_REQUEST, "invalid_json", "The body is not acceptable JSON"),
            Self::InvalidPatch => (S::BAD_REQUEST, "invalid_patch", "The patch is malformed"),
            Self::InvalidName => (S::BAD_REQUEST, "invalid_name", "Not a legal name"),
            Self::InvalidQuery => (S::BAD_REQUEST, "invalid_query", "A query parameter is not understood"),
            Self::InvalidHeader => (S::BAD_REQUEST, "invalid_header", "A header is not understood"),
            Self::InvalidBody => (S::BAD_REQUEST, "invalid_body", "The body has not the form of this call"),
            Self::Timeout => (S::REQUEST_TIMEOUT, "timeout", "The request did not arrive in time"),
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "Credentials are missing or not valid"),
            Self::BadSignature => {
                (S::UNAUTHORIZED, "bad_signature", "The delivery is not signed with the shared secret")
            }
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not allowed"),
            Self::ForbiddenPath => (S::FORBIDDEN, "forbidden_path", "Not allowed at this place"),
            Self::NotFound => (S::NOT_FOUND, "not_found", "Nothing is here"),
            Self::UnknownType => (S::NOT_FOUND, "unknown_type", "No such type is declared"),
            Self::VersionNotFound => {
                (S::NOT_FOUND, "version_not_found", "The document never had this version, or does not keep it any more")
            }
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method_not_allowed", "Not a method of this resource"),
            Self::Conflict => (S::CONFLICT, "conflict", "Somebody else changed the same place"),
            Self::TestFailed => (S::CONFLICT, "test_failed", "A tested value is another one"),
            Self::TargetGone => (S::CONFLICT, "target_gone", "The place to change does not exist"),
            Self::BatchVersionConflict => (S::CONFLICT, "version_conflict", "The document is at another version"),
            Self::ThreadBusy => (S::CONFLICT, "thread_busy", "Another run is live on this thread"),
            Self::MutationGap => (S::CONFLICT, "mutation_gap", "An earlier mutation of this client is missing"),
            Self::ClientUnknown => (S::CONFLICT, "client_unknown", "Nothing is remembered of this client"),
            Self::AgentInvalid => (S::CONFLICT, "agent_invalid", "The agent cannot run"),
            Self::AgentPaused => (S::CONFLICT, "agent_paused", "The agent is paused"),
            Self::Deleted => (S::GONE, "deleted", "The document was deleted"),
            Self::VersionConflict => (S::PRECONDITION_FAILED, "version_conflict", "The document is at another version"),
            Self::AlreadyExists => (S::PRECONDITION_FAILED, "already_exists", "The document exists already"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too_large", "Larger than what is accepted"),
            Self::UnsupportedMediaType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Not a content type of this call")
            }
            Self::SchemaInvalid => (S::UNPROCESSABLE_ENTITY, "schema_invalid", "The type's schema refuses the result"),
            Self::TransitionInvalid => (S::UNPROCESSABLE_ENTITY, "transition_invalid", "Not a legal transition"),
            Self::IdempotencyMismatch => {
                (S::UNPROCESSABLE_ENTITY, "idempotency_mismatch", "The key belongs to another request")
            }
            Self::QueueFull => (S::TOO_MANY_REQUESTS, "queue_full", "As many runs of the agent wait as may"),
            Self::BudgetExceeded => (S::TOO_MANY_REQUESTS, "budget_exceeded", "The agent has used up its day"),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "rate_limited", "Too much at once"),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "The store does not answer"),
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded", "The server takes no more at once"),
            Self::StorageFull => (S::INSUFFICIENT_STORAGE, "storage_full", "The disk is full"),
        }
    }
}

/// One answer that is not a success.
#[derive(Debug)]
pub(in crate::server) struct Problem {
    code: Code,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(in crate::server) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), more: Map::new(), headers: Vec::new() }
    }

    /// A further member of the body.
    pub(in crate::server) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    pub(in crate::server) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same in a batch, where no request header made the condition (docs/state-api.md §8).
    pub(in crate::server) fn in_batch(mut self) -> Self {
        if self.code == Code::VersionConflict {
            self.code = Code::BatchVersionConflict;
        }
        self
    }

    /// The stable code.
    pub(in crate::server) fn code(&self) -> &'static str {
        self.code.row().1
    }

    /// What is said of it in words.
    pub(in crate::server) fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether what was sent has not the form of the call, as opposed to one that was understood and refused.
    pub(in crate::server) fn is_about_form(&self) -> bool {
        self.code == Code::InvalidBody
    }

    /// The same in the words of the sockets.
    pub(in crate::server) fn rejection(&self) -> Rejection {
        let path = self.more.get("path").and_then(Value::as_str);
        let paths = path.map(str::to_owned).into_iter().collect();
        Rejection {
            code: self.code().to_owned(),
            message: self.detail.clone(),
            version: None,
            paths,
            errors: Vec::new(),
        }
    }

    /// The body, for places that embed it.
    pub(in crate::server) fn body(&self) -> Value {
        let (status, code, title) = self.code.row();
        let mut body = Map::new();
        body.insert("type".to_owned(), format!("urn:coagent:problem:{code}").into());
        body.insert("title".to_owned(), title.into());
        body.insert("status".to_owned(), status.as_u16().into());
        body.insert("code".to_owned(), code.into());
        body.insert("detail".to_owned(), self.detail.as_str().into());
        body.extend(self.more.clone());
        Value::Object(body)
    }

    pub(in crate::server) fn not_found() -> Self {
        Self::new(Code::NotFound, "no resource has this path")
    }

    pub(in crate::server) fn method_not_allowed() -> Self {
        Self::new(Code::MethodNotAllowed, "the `Allow` header names the methods of this resource")
    }

    pub(in crate::server) fn too_large(limit_bytes: usize) -> Self {
        Self::new(Code::TooLarge, format!("the body may have at most {limit_bytes} bytes"))
            .with("limit_bytes", limit_bytes)
    }

    /// `accepted` are the content types of the call.
    pub(in crate::server) fn unsupported_media_type(accepted: &[&str]) -> Self {
        let detail = format!("send the body with `Content-Type: {}`", accepted.join("` or `"));
        Self::new(Code::UnsupportedMediaType, detail)
    }

    pub(in crate::server) fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, reason).with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::UnknownAgent { agent } => Self::new(Code::NotFound, format!("agent `{agent}` does not exist")),
            StartError::InvalidThreadId => Self::new(Code::InvalidName, StartError::InvalidThreadId.to_string()),
            StartError::Busy { run_id } => {
                Self::new(Code::ThreadBusy, "another run is live on this thread; wait for it or stop it")
                    .with("run_id", run_id)
            }
            StartError::StorageFull => Self::from(SubmitError::StorageFull),
            StartError::Unavailable { reason } => Self::unavailable(reason),
            StartError::DayIsOver { message } => Self::from(SubmitError::DayIsOver { message }),
            StartError::Paused { agent } => Self::from(SubmitError::Paused { agent }),
            StartError::QueueFull { agent, most, retry_after_seconds } => {
                Self::from(SubmitError::QueueFull { agent, most, retry_after_seconds })
            }
            StartError::Settled => Self::unavailable(StartError::Settled.to_string()),
            StartError::ShuttingDown => Self::unavailable("the server is shutting down"),
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::InvalidThreadId => Self::new(Code::InvalidName, detail),
            SubmitError::DayIsOver { .. } => Self::new(Code::BudgetExceeded, detail),
            SubmitError::Paused { .. } => Self::new(Code::AgentPaused, detail),
            SubmitError::Busy { run_id } => Self::from(StartError::Busy { run_id }),
            SubmitError::QueueFull { retry_after_seconds, .. } => {
                Self::new(Code::QueueFull, detail).with_header(header::RETRY_AFTER, retry_after_seconds.into())
            }
            SubmitError::StorageFull => Self::new(Code::StorageFull, detail),
            SubmitError::Settled | SubmitError::Unavailable { .. } | SubmitError::ShuttingDown => {
                Self::unavailable(detail)
            }
        }
    }
}

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        let detail = error.to_string();
        match error {
            HookError::Unknown { .. } => Self::new(Code::NotFound, detail),
            HookError::Untrusted(Untrusted::BadSignature { .. }) => Self::new(Code::BadSignature, detail),
            HookError::Untrusted(Untrusted::NoSecret { .. }) => Self::unavailable(detail),
            HookError::InvalidJson { .. } => Self::new(Code::InvalidJson, detail),
            HookError::Unmapped { place, .. } => Self::new(Code::InvalidBody, detail).with("path", place.to_string()),
            HookError::State(error) => Self::from(error),
            HookError::Submit(error) => Self::from(error),
        }
    }
}

impl From<PauseError> for Problem {
    fn from(error: PauseError) -> Self {
        match error {
            PauseError::StorageFull => Self::new(Code::StorageFull, error.to_string()),
            PauseError::Unavailable { reason } => Self::unavailable(reason),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { reason } => Self::unavailable(reason),
            ReadError::InvalidThreadId => Self::new(Code::InvalidName, ReadError::InvalidThreadId.to_string()),
        }
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        let (detail, head) = (error.to_string(), error.head());
        let problem = match error {
            DocumentError::InvalidName { .. } => Self::new(Code::InvalidName, detail),
            DocumentError::UnknownType { .. } => Self::new(Code::UnknownType, detail),
            DocumentError::NotFound | DocumentError::RunNotHere { .. } => Self::new(Code::NotFound, detail),
            DocumentError::Deleted { .. } => Self::new(Code::Deleted, detail),
            DocumentError::VersionNotFound { .. }
            | DocumentError::VersionOver { .. }
            | DocumentError::RunOver { .. } => Self::new(Code::VersionNotFound, detail),
            DocumentError::BaseTooOld { .. } => Self::new(Code::Conflict, detail),
            DocumentError::VersionConflict { .. } => Self::new(Code::VersionConflict, detail),
            DocumentError::AlreadyExists { .. } => Self::new(Code::AlreadyExists, detail),
            DocumentError::ReadOnly | DocumentError::ForeignRun { .. } => Self::new(Code::Forbidden, detail),
            DocumentError::Refused { refusal, .. } => Self::from(refusal),
            DocumentError::InvalidJson { error, .. } => Self::from(error),
            DocumentError::NotAnObject { .. } => {
                let errors = json!([{"path": "", "message": detail}]);
                Self::new(Code::SchemaInvalid, detail).with("errors", errors)
            }
            DocumentError::TagTaken { version, .. } => Self::new(Code::Conflict, detail).with("version", version),
            DocumentError::TooManyTags { .. } => Self::new(Code::TooLarge, detail),
            DocumentError::IdempotencyMismatch => Self::new(Code::IdempotencyMismatch, detail),
            DocumentError::MutationGap { expect } => Self::new(Code::MutationGap, detail).with("expect", expect),
            DocumentError::ClientUnknown => Self::new(Code::ClientUnknown, detail),
            DocumentError::Before(rejection) | DocumentError::Unreadable(rejection) => {
                Self::new(Code::Conflict, detail).with("refused_with", rejection.code).with("paths", rejection.paths)
            }
            DocumentError::Overloaded => {
                Self::new(Code::RateLimited, detail).with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            DocumentError::StorageFull => Self::new(Code::StorageFull, detail),
            DocumentError::Unavailable { reason } => Self::unavailable(reason),
        };
        match head {
            Some(head) => problem.with("version", head),
            None => problem,
        }
    }
}

impl From<ImportRefused> for Problem {
    fn from(refused: ImportRefused) -> Self {
        let ImportRefused { line, error, done } = refused;
        let problem = match *error {
            ImportError::Malformed(why) => Self::new(Code::InvalidBody, why),
            ImportError::Exists { name } => Self::new(Code::AlreadyExists, format!("`{name}` exists already")),
            ImportError::Document(error) => Self::from(error),
        };
        problem.with("line", line).with("documents", done.documents)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::VersionConflict { .. } => Self::new(Code::VersionConflict, detail),
            Refusal::ForbiddenPath { path } => Self::new(Code::ForbiddenPath, detail).with("path", path.to_string()),
            Refusal::Conflict { paths } => {
                let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
                Self::new(Code::Conflict, detail).with("paths", paths)
            }
            Refusal::SchemaInvalid { errors } => Self::new(Code::SchemaInvalid, detail).with("errors", json!(errors)),
            Refusal::TransitionInvalid(hop) => {
                let problem = Self::new(Code::TransitionInvalid, detail).with("path", hop.path.to_string());
                problem.with("from", hop.from).with("allowed", hop.allowed)
            }
            Refusal::Patch(error) => Self::from(error),
        }
    }
}

impl From<PatchError> for Problem {
    fn from(error: PatchError) -> Self {
        let code = match &error {
            PatchError::InvalidPatch { .. } | PatchError::PrototypeKey { .. } => Code::InvalidPatch,
            PatchError::TargetGone { .. } => Code::TargetGone,
            PatchError::TestFailed { .. } => Code::TestFailed,
            PatchError::TooMany { .. } | PatchError::TooLarge { .. } => Code::TooLarge,
            PatchError::TooDeep { .. } => Code::InvalidJson,
        };
        let mut problem = Self::new(code, error.to_string());
        if let Some(path) = error.path() {
            problem = problem.with("path", path.to_string());
        }
        match error.index() {
            Some(operation) => problem.with("operation", operation),
            None => problem,
        }
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        let code = if error.is_too_large() { Code::TooLarge } else { Code::InvalidJson };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, ..) = self.code.row();
        let body = self.body();
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().extend(self.headers);
        let problem = HeaderValue::from_static(CONTENT_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        response
    }
}

pub(in crate::server) fn foreign_origin() -> Problem {
    let detail =
        "pages of this origin may not call this server; name the origin in --cors-origins or COAGENT_CORS_ORIGINS";
    Problem::new(Code::Forbidden, detail)
}

pub(in crate::server) fn foreign_host() -> Problem {
    let detail = "a server without authentication answers only to loopback names such as localhost and 127.0.0.1";
    Problem::new(Code::Forbidden, detail)
}

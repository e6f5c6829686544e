//! Runs over HTTP: submitted, listed, looked at and cancelled (docs/agents.md §2).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::agui::{Message, to_json};
use crate::runtime::{
    Behalf, Cause, CauseKind, DeadLetterCursor, Lifecycle, RunQuery, RunStatus, Runtime, StepItem, Submission,
    ThreadChoice, UsageBy, UsageItem,
};

use super::agents::fit;
use super::agui::INPUT_BYTES;
use super::error::problem::{Asks, Code, Problem, Runs};
use super::stream::{numbered_event_stream, position};
use super::v1::body;
use super::v1::query::{Query, refused};

const USUAL: usize = 50;
const MOST: usize = 500;
/// An idempotency key has at most so many characters.
const KEY_CHARACTERS: usize = 255;

type Shared = State<Arc<Runtime>>;
type Named = Result<Path<String>, PathRejection>;

/// Messages, a prompt, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RunWanted)]
pub(super) struct Wanted {
    thread_id: Option<String>,
    prompt: Option<String>,
    #[serde(default)]
    /// Of AG-UI 1.0; one without an id gets one.
    messages: Vec<Value>,
    state: Option<Value>,
    idempotency_key: Option<String>,
}

/// A run that is stored and waits.
#[derive(Serialize, ToSchema)]
#[schema(as = RunSubmitted)]
pub(super) struct Taken {
    run_id: String,
    thread_id: String,
    /// Whether it waits now, as opposed to having been submitted before.
    accepted: bool,
}

/// Submits a run
///
/// `POST /v1/agents/{id}/runs`: the run is stored when this is answered, and happens whoever waits.
#[utoipa::path(
    post, path = "/v1/agents/{id}/runs", tag = "runs", operation_id = "submit_run",
    params(("id" = String, Path, description = "The agent", example = "demo")),
    request_body(content = Wanted, example = json!({"prompt": "hello", "idempotency_key": "first"})),
    responses((status = 202, description = "Stored", body = Taken), Runs),
)]
pub(super) async fn submit(
    State(runtime): Shared,
    id: Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let agent = fit(&runtime, id)?;
    body::expect_type(&headers, &[body::JSON])?;
    let text = body::bytes(body, INPUT_BYTES).await?;
    // The depth of a document is that of the state in it.
    let wanted = body::unwrapped(&text, INPUT_BYTES, 1)?;
    let wanted: Wanted = serde_json::from_value(wanted).map_err(|error| invalid(error.to_string()))?;
    let Wanted { thread_id, prompt, messages, state, idempotency_key } = wanted;
    if idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > KEY_CHARACTERS) {
        return Err(invalid(format!("`idempotency_key` has 1 to {KEY_CHARACTERS} characters")));
    }
    let mut messages = read(messages)?;
    messages.extend(prompt.map(|prompt| Message::user(new_id(), prompt)));
    let submission = Submission {
        principal: Principal::local(),
        agent,
        thread: thread_id.map_or(ThreadChoice::New, ThreadChoice::Named),
        messages,
        state: state.as_ref().map(to_json),
        cause: Cause::first(CauseKind::Api),
        behalf: Behalf::Caller,
        idempotency_key,
        settle: Vec::new(),
        put: Vec::new(),
        keeps_instructions: false,
    };
    let submitted = runtime.submit(submission).await?;
    let answer = Taken { run_id: submitted.run_id, thread_id: submitted.thread_id, accepted: submitted.accepted };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// AG-UI messages; one without an id gets one.
fn read(messages: Vec<Value>) -> Result<Vec<Message>, Problem> {
    let with_id = |mut message: Value| {
        if let Value::Object(members) = &mut message {
            members.entry("id").or_insert_with(|| new_id().into());
        }
        message
    };
    let list = Value::Array(messages.into_iter().map(with_id).collect());
    Message::read_list(&list.to_string()).map_err(|error| {
        invalid(format!("`messages` is a list of AG-UI messages: {error}")).with("errors", json!(error.issues))
    })
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidBody, detail)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Runs)]
pub(super) struct Page {
    items: Vec<Lifecycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Lists runs
///
/// `GET /v1/runs?agent=&status=&thread=`
#[utoipa::path(
    get, path = "/v1/runs", tag = "runs", operation_id = "list_runs",
    params(
        ("agent" = Option<String>, Query, description = "Of this agent"),
        ("status" = Option<RunStatus>, Query, description = "That stand so"),
        ("thread" = Option<String>, Query, description = "Of this thread"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer"),
        ("limit" = Option<u64>, Query, minimum = 1, description = "At most so many; 500 at most"),
    ),
    responses((status = 200, description = "A page of runs, the latest first", body = Page), Asks),
)]
pub(super) async fn list(State(runtime): Shared, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let words = || RunStatus::ALL.map(RunStatus::as_str).join(", ");
    let status = |word: &str| RunStatus::parse(word).ok_or_else(|| refused("status", &format!("one of {}", words())));
    let wanted = RunQuery {
        agent: query.get("agent").map(str::to_owned),
        status: query.get("status").map(status).transpose()?,
        thread: query.get("thread").map(str::to_owned),
        before: query.get("cursor").map(cursor).transpose()?,
        limit: query.limit(USUAL, MOST)?,
    };
    let page = runtime.runs(&Principal::local(), &wanted).await?;
    let next_cursor = page.next.map(|run_id| URL_SAFE_NO_PAD.encode(run_id));
    Ok(Json(Page { items: page.items, next_cursor }).into_response())
}

fn cursor(text: &str) -> Result<String, Problem> {
    let place = URL_SAFE_NO_PAD.decode(text).ok().and_then(|place| String::from_utf8(place).ok());
    place.filter(|place| !place.is_empty()).ok_or_else(no_cursor)
}

fn no_cursor() -> Problem {
    refused("cursor", "the `next_cursor` of an earlier answer")
}

/// Reads a run
///
/// Its record and what it did.
#[utoipa::path(
    get, path = "/v1/runs/{id}", tag = "runs", operation_id = "read_run",
    params(("id" = String, Path, description = "The run", example = "0198c0de-0000-7000-8000-000000000000")),
    responses((status = 200, description = "The run as it is", body = Value), Asks),
)]
pub(super) async fn look(State(runtime): Shared, id: Named) -> Result<Json<Detailed>, Problem> {
    let Path(run_id) = id.map_err(|_| Problem::not_found())?;
    let found = runtime.run_in_detail(&Principal::local(), &run_id).await?;
    found.map(|(run, step_list)| Json(Detailed { run, step_list })).ok_or_else(|| unknown(&run_id))
}

#[derive(Serialize)]
pub(super) struct Detailed {
    #[serde(flatten)]
    run: Lifecycle,
    step_list: Vec<StepItem>,
}

/// Lists dead letters
///
/// `GET /v1/dead-letters?cursor=&limit=`
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "runs", operation_id = "list_dead_letters",
    params(
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer"),
        ("limit" = Option<u64>, Query, minimum = 1, description = "At most so many; 500 at most"),
    ),
    responses((status = 200, description = "Runs that are not tried again by themselves, the oldest first", body = Value), Asks),
)]
pub(super) async fn dead_letters(State(runtime): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref());
    let place = |text: &str| DeadLetterCursor::parse(&cursor(text)?).ok_or_else(no_cursor);
    let after = query.get("cursor").map(place).transpose()?;
    let page = runtime.dead_letters(&Principal::local(), after, query.limit(USUAL, MOST)?).await?;
    let mut answer = json!({ "items": page.items });
    if let Some(next) = page.next {
        answer["next_cursor"] = URL_SAFE_NO_PAD.encode(next.to_string()).into();
    }
    Ok(Json(answer))
}

/// Tries a dead run again
///
/// Has a dead run tried again.
#[utoipa::path(
    post, path = "/v1/dead-letters/{id}/retry", tag = "runs", operation_id = "retry_dead_letter",
    params(("id" = String, Path, description = "The run", example = "0198c0de-0000-7000-8000-000000000000")),
    responses((status = 202, description = "Stored", body = Value), Runs),
)]
pub(super) async fn retry(State(runtime): Shared, id: Named) -> Result<Response, Problem> {
    let Path(run_id) = id.map_err(|_| Problem::not_found())?;
    let retried = runtime.retry_dead_letter(&Principal::local(), &run_id).await?;
    let submitted =
        retried.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no dead letter of a run `{run_id}`")))?;
    let answer = json!({ "run_id": submitted.run_id, "thread_id": submitted.thread_id, "accepted": true });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Cancels a run
///
/// Ends the run wherever it is; answers it as it is then.
#[utoipa::path(
    post, path = "/v1/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run",
    params(("id" = String, Path, description = "The run", example = "0198c0de-0000-7000-8000-000000000000")),
    responses((status = 200, description = "The run as it is then", body = Lifecycle), Asks),
)]
pub(super) async fn cancel(State(runtime): Shared, id: Named) -> Result<Json<Lifecycle>, Problem> {
    let Path(run_id) = id.map_err(|_| Problem::not_found())?;
    runtime.cancel(&Principal::local(), &run_id).await?.map(Json).ok_or_else(|| unknown(&run_id))
}

/// Follows a run
///
/// The run's events as they come and as they are kept, `id:` being positions of its thread's log.
#[utoipa::path(
    get, path = "/v1/runs/{id}/events", tag = "runs", operation_id = "follow_run",
    params(("id" = String, Path, description = "The run", example = "0198c0de-0000-7000-8000-000000000000")),
    responses((status = 200, description = "Events of AG-UI 1.0", body = String, content_type = "text/event-stream"), Asks),
)]
pub(super) async fn events(State(runtime): Shared, id: Named, headers: HeaderMap) -> Result<Response, Problem> {
    let Path(run_id) = id.map_err(|_| Problem::not_found())?;
    let after = headers.get("last-event-id").and_then(|id| position(id.to_str().ok()?));
    let frames = runtime.run_events(&Principal::local(), &run_id, after).await?;
    frames.map(numbered_event_stream).ok_or_else(|| unknown(&run_id))
}

/// Sums up usage
///
/// `GET /v1/usage?by=agent|model|day`
#[utoipa::path(
    get, path = "/v1/usage", tag = "runs", operation_id = "read_usage",
    params(("by" = Option<String>, Query, description = "`agent` (as it is), `model` or `day`")),
    responses((status = 200, description = "Tokens and cost", body = Value), Asks),
)]
pub(super) async fn usage(State(runtime): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref());
    let (name, by) = match query.get("by") {
        Some("agent") | None => ("agent", UsageBy::Agent),
        Some("model") => ("model", UsageBy::Model),
        Some("day") => ("day", UsageBy::Day),
        Some(_) => return Err(refused("by", "one of agent, model, day")),
    };
    let named = |item: UsageItem| {
        let mut line = serde_json::to_value(&item).expect("numbers are plain data");
        line[name] = item.by.into();
        line
    };
    let items: Vec<_> = runtime.usage(&Principal::local(), by).await?.into_iter().map(named).collect();
    Ok(Json(json!({ "items": items })))
}

fn unknown(run_id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no run `{run_id}`"))
}

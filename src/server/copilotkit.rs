//! CopilotKit's routes, REST and single-route on one mount (docs/copilotkit §1 and §9).
//!
//! Both forms become a [`Call`]; what a call does is written once, in the files below.

mod envelope;
mod info;
mod run;
mod stop;
mod threads;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::runtime::Runtime;

use super::error::Problem;

/// A run's input may be this large (docs/state-api.md §1).
const INPUT_BYTES: usize = 32 << 20;

/// One request, however it arrived.
#[derive(Debug)]
enum Call {
    Info,
    Run { agent: String, body: Bytes },
    Connect { agent: String, body: Bytes },
    Stop { agent: String, thread: String, body: Bytes },
    Threads { query: String },
    Messages { thread: String },
    Events { thread: String },
    ThreadState { thread: String, query: String },
}

type Shared = State<Arc<Runtime>>;
type Answer = Result<Response, Problem>;

/// Every route below the base path.
pub(super) fn routes(base: &str, runtime: Arc<Runtime>) -> Router {
    let refused = |allow: &'static str| move || async move { Problem::method_not_allowed(allow) };
    let only_get =
        |route: axum::routing::MethodRouter<Arc<Runtime>>| route.head(refused("GET")).fallback(refused("GET"));
    let only_post = |route: axum::routing::MethodRouter<Arc<Runtime>>| route.fallback(refused("POST"));
    let single = only_post(post(single));
    let mut router = Router::new()
        .route(&format!("{base}/info"), only_get(get(info)))
        .route(&format!("{base}/agent/{{agent}}/run"), only_post(post(run)))
        .route(&format!("{base}/agent/{{agent}}/connect"), only_post(post(connect)))
        .route(&format!("{base}/agent/{{agent}}/stop/{{thread}}"), only_post(post(stop)))
        .route(&format!("{base}/threads"), only_get(get(threads)))
        .route(&format!("{base}/threads/{{thread}}/messages"), only_get(get(messages)))
        .route(&format!("{base}/threads/{{thread}}/events"), only_get(get(events)))
        .route(&format!("{base}/threads/{{thread}}/state"), only_get(get(thread_state)));
    if base.is_empty() {
        // The root also is the start page, which answers GET there.
        router = router.route("/", post(self::single));
    } else {
        router = router.route(base, single.clone()).route(&format!("{base}/"), single);
    }
    router.with_state(runtime)
}

async fn info(runtime: Shared, headers: HeaderMap) -> Answer {
    Call::Info.answer(runtime, &headers).await
}

async fn run(runtime: Shared, path: Result<Path<String>, PathRejection>, headers: HeaderMap, body: Body) -> Answer {
    let agent = named(path)?;
    Call::Run { agent, body: read(body).await? }.answer(runtime, &headers).await
}

async fn connect(runtime: Shared, path: Result<Path<String>, PathRejection>, headers: HeaderMap, body: Body) -> Answer {
    let agent = named(path)?;
    Call::Connect { agent, body: read(body).await? }.answer(runtime, &headers).await
}

async fn stop(
    runtime: Shared,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (agent, thread) = named(path)?;
    Call::Stop { agent, thread, body: read(body).await? }.answer(runtime, &headers).await
}

async fn threads(runtime: Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    Call::Threads { query: query.unwrap_or_default() }.answer(runtime, &headers).await
}

async fn messages(runtime: Shared, path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Answer {
    Call::Messages { thread: named(path)? }.answer(runtime, &headers).await
}

async fn events(runtime: Shared, path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Answer {
    Call::Events { thread: named(path)? }.answer(runtime, &headers).await
}

async fn thread_state(
    runtime: Shared,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Call::ThreadState { thread: named(path)?, query: query.unwrap_or_default() }.answer(runtime, &headers).await
}

async fn single(runtime: Shared, headers: HeaderMap, body: Body) -> Answer {
    envelope::open(&headers, &read(body).await?)?.answer(runtime, &headers).await
}

impl Call {
    async fn answer(self, State(runtime): Shared, headers: &HeaderMap) -> Answer {
        match self {
            Self::Info => Ok(info::answer(&runtime).into_response()),
            Self::Run { agent, body } => run::run(&runtime, &agent, headers, &body).await,
            Self::Connect { agent, body } => run::connect(&runtime, &agent, headers, &body).await,
            Self::Stop { agent, thread, body } => stop::answer(&runtime, &agent, &thread, &body).await,
            Self::Threads { query } => threads::list(&runtime, &query).await,
            Self::Messages { thread } => threads::messages(&runtime, &thread).await,
            Self::Events { thread } => threads::events(&runtime, &thread).await,
            Self::ThreadState { thread, query } => threads::state(&runtime, &thread, &query).await,
        }
    }
}

/// Path parameters; a malformed percent-encoding names nothing.
fn named<T: DeserializeOwned + Send>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    path.map(|Path(named)| named).map_err(|_| Problem::not_found())
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, INPUT_BYTES).await.map_err(|error| {
        let too_large =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        if too_large {
            Problem::too_large(INPUT_BYTES)
        } else {
            Problem::invalid_body("the body could not be read to its end")
        }
    })
}

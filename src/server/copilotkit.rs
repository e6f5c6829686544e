//! CopilotKit's routes, REST and single-route on one mount (docs/copilotkit.md §1).
//!
//! What both forms can ask becomes a [`Call`], which is answered in one place. Resource routes are tunnelled by the
//! single-route form: it passes an inner request to the same handlers.

mod envelope;
mod extract;
mod info;
mod keeping;
mod platform;
mod run;
mod stop;
mod threads;
mod transcribe;

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use bytes::Bytes;
use tower::ServiceExt;

use crate::runtime::Runtime;

use super::debug_feed::DebugFeed;
use super::error::{Problem, debug_feed_is_off};
use super::stream::streaming;
use envelope::Enveloped;
use extract::{Named, Whole};

/// What the handlers of this mount share.
#[derive(Debug)]
struct Mount {
    runtime: Arc<Runtime>,
    /// Absent unless the operator asked for it.
    debug_feed: Option<DebugFeed>,
}

/// One request that both forms know.
#[derive(Debug)]
enum Call {
    Info,
    Run { agent: String, body: Bytes },
    Connect { agent: String, body: Bytes },
    Suggest { agent: String, body: Bytes },
    Stop { agent: String, thread: String, body: Bytes },
    Transcribe { content_type: String, body: Bytes },
    InspectorMetadata,
    InspectorLearning,
}

type Shared = State<Arc<Mount>>;
type Answer = Result<Response, Problem>;

/// Every route below the base path.
pub(super) fn routes(base: &str, feeds_inspectors: bool, runtime: Arc<Runtime>) -> Router {
    let debug_feed = feeds_inspectors.then(|| DebugFeed::new(runtime.stopping()));
    let mount = Arc::new(Mount { runtime, debug_feed });
    let tunnel = resources("").fallback(|| async { Problem::not_found() }).with_state(Arc::clone(&mount));
    let single = post(move |mount, headers, request| single(mount, tunnel, headers, request));
    // With the base path in each: a router nested below it would cut it off every request.
    let at = |path| format!("{base}{path}");
    let routes = Router::new()
        .route(&at("/info"), only_get(get(info)))
        .route(&at("/agent/{agent}/run"), only_post(post(run)))
        .route(&at("/agent/{agent}/connect"), only_post(post(connect)))
        .route(&at("/agent/{agent}/suggest"), only_post(post(suggest)))
        .route(&at("/agent/{agent}/stop/{thread}"), only_post(post(self::stop)))
        .route(&at("/transcribe"), only_post(post(transcribe)))
        .route(&at("/inspector-metadata"), only_get(get(inspector_metadata)))
        .route(&at("/inspector-learning"), only_get(get(inspector_learning)))
        .route(&at("/cpk-debug-events"), only_get(get(debug_events)))
        .merge(resources(base));
    let routes = match base {
        // The root also is the start page, which answers GET there.
        "" => routes.route("/", any(refused("GET, HEAD, POST")).merge(single)),
        base => routes.route(base, only_post(single.clone())).route(&at("/"), only_post(single)),
    };
    routes.with_state(mount)
}

/// Answers what has no route. An envelope below the mount is told where it belongs; a body that cannot be read is none.
pub(super) async fn unmatched(base: String, request: Request) -> Problem {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let is_below = path.strip_prefix(&base).is_some_and(|rest| rest.starts_with('/'));
    if parts.method != Method::POST || !is_below {
        return Problem::not_found();
    }
    let Ok(body) = extract::whole(body).await else { return Problem::not_found() };
    let mount = if base.is_empty() { "/" } else { &base };
    envelope::method(&body)
        .map_or_else(Problem::not_found, |method| Problem::misdirected_envelope(&method, path, mount))
}

/// What a single-route client reaches through `resource/request`. Memories are not among them: they are not served.
fn resources(base: &str) -> Router<Arc<Mount>> {
    let at = |path| format!("{base}{path}");
    let changed = any(refused("PATCH, DELETE")).patch(keeping::amend).delete(keeping::delete);
    Router::new()
        .route(&at("/threads"), only_get(get(threads::list)))
        .route(&at("/threads/clear"), only_post(post(keeping::clear)))
        .route(&at("/threads/subscribe"), only_post(post(platform::subscribe)))
        .route(&at("/threads/{thread}"), changed)
        .route(&at("/threads/{thread}/archive"), only_post(post(keeping::archive)))
        .route(&at("/threads/{thread}/messages"), only_get(get(threads::messages)))
        .route(&at("/threads/{thread}/events"), only_get(get(threads::events)))
        .route(&at("/threads/{thread}/state"), only_get(get(threads::state)))
        .route(&at("/annotate"), only_post(post(platform::annotate)))
}

fn only_get(route: MethodRouter<Arc<Mount>>) -> MethodRouter<Arc<Mount>> {
    any(refused("GET")).merge(route.head(refused("GET")))
}

fn only_post(route: MethodRouter<Arc<Mount>>) -> MethodRouter<Arc<Mount>> {
    any(refused("POST")).merge(route)
}

/// Answers other methods, where the path names something. Begun with `any`, because axum names methods in whatever a
/// fallback answers.
fn refused(
    allow: &'static str,
) -> impl Fn(Named<HashMap<String, String>>) -> Ready<Problem> + Clone + Send + Sync + 'static {
    move |_| ready(Problem::method_not_allowed(allow))
}

async fn info(mount: Shared, headers: HeaderMap) -> Answer {
    Call::Info.answer(&mount, &headers).await
}

async fn run(mount: Shared, Named(agent): Named<String>, Whole(headers, body): Whole) -> Answer {
    Call::Run { agent, body }.answer(&mount, &headers).await
}

async fn connect(mount: Shared, Named(agent): Named<String>, Whole(headers, body): Whole) -> Answer {
    Call::Connect { agent, body }.answer(&mount, &headers).await
}

async fn suggest(mount: Shared, Named(agent): Named<String>, Whole(headers, body): Whole) -> Answer {
    Call::Suggest { agent, body }.answer(&mount, &headers).await
}

async fn stop(mount: Shared, Named((agent, thread)): Named<(String, String)>, Whole(headers, body): Whole) -> Answer {
    Call::Stop { agent, thread, body }.answer(&mount, &headers).await
}

async fn transcribe(mount: Shared, Whole(headers, body): Whole) -> Answer {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    Call::Transcribe { content_type, body }.answer(&mount, &headers).await
}

async fn inspector_metadata(mount: Shared, headers: HeaderMap) -> Answer {
    Call::InspectorMetadata.answer(&mount, &headers).await
}

async fn inspector_learning(mount: Shared, headers: HeaderMap) -> Answer {
    Call::InspectorLearning.answer(&mount, &headers).await
}

async fn debug_events(State(mount): Shared) -> Response {
    mount.debug_feed.as_ref().map_or_else(debug_feed_is_off, |feed| streaming(feed.read()))
}

async fn single(mount: Shared, tunnel: Router, headers: HeaderMap, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    match envelope::open(&headers, &extract::whole(body).await?)? {
        Enveloped::Call(call) => call.answer(&mount, &headers).await,
        Enveloped::Resource(resource) => {
            tunnel.oneshot(resource.into_request(parts)).await.map_err(|never| match never {})
        }
    }
}

impl Call {
    async fn answer(self, mount: &Mount, headers: &HeaderMap) -> Answer {
        match self {
            Self::Info => Ok(info::answer(&mount.runtime).into_response()),
            // Boxed, because a call is as large as the largest of them, and is moved on its way here.
            Self::Run { agent, body } => Box::pin(run::run(mount, &agent, headers, &body)).await,
            Self::Connect { agent, body } => Box::pin(run::connect(mount, &agent, headers, &body)).await,
            Self::Suggest { agent, body } => run::suggest(mount, &agent, headers, &body),
            Self::Stop { agent, thread, body } => Box::pin(stop::answer(&mount.runtime, &agent, &thread, &body)).await,
            Self::Transcribe { content_type, body } => {
                Box::pin(transcribe::answer(&mount.runtime, &content_type, body)).await
            }
            Self::InspectorMetadata => Ok(platform::inspector_metadata()),
            Self::InspectorLearning => Ok(platform::inspector_learning()),
        }
    }
}

//! Which pages may call: the Origin rule, the Host rule against DNS rebinding, and CORS (docs/copilotkit.md §5).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::{CorsOrigins, is_loopback_host};

use super::error::Problem;
use super::error::problem;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS");
const DEFAULT_HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, Authorization, Last-Event-ID");
const VARY_BY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
/// What pages may read of an answer beside its body.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("ETag, Retry-After, Allow, Accept-Encoding, Accept-Patch, Preference-Applied");
const TWO_HOURS: HeaderValue = HeaderValue::from_static("7200");

/// Middleware around every route: refuses foreign pages, answers preflights, adds the CORS headers.
pub(super) async fn guard(State(origins): State<Arc<CorsOrigins>>, request: Request, next: Next) -> Response {
    let mut response = answer(&origins, request, next).await;
    // Also without these headers: a cache must not give one caller's answer to another.
    response.headers_mut().append(VARY, VARY_BY);
    response
}

async fn answer(origins: &CorsOrigins, request: Request, next: Next) -> Response {
    let is_v1 = request.uri().path().starts_with("/v1/");
    if !names_this_machine(&request) {
        return if is_v1 { problem::foreign_host().into_response() } else { Problem::foreign_host().into_response() };
    }
    let is_preflight = request.method() == Method::OPTIONS;
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        // Below /v1 it is nobody's preflight: a document says there what it takes.
        return if is_preflight && !is_v1 { preflight(request.headers()) } else { next.run(request).await };
    };
    let is_allowed = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| origins.allows(origin));
    if !request.headers().get_all(ORIGIN).iter().all(is_allowed) {
        return if is_v1 {
            problem::foreign_origin().into_response()
        } else {
            Problem::foreign_origin().into_response()
        };
    }
    let mut response = if is_preflight { preflight(request.headers()) } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if *origins == CorsOrigins::Any {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

/// A server without authentication trusts its own machine, so a name that an outsider controls must not reach it. Every
/// name that a request gives counts: who reads it after us may take another one. One that gives none names no machine.
fn names_this_machine(request: &Request) -> bool {
    let is_ours = |host: &HeaderValue| host.to_str().is_ok_and(is_loopback_host);
    let hosts = request.headers().get_all(HOST);
    // HTTP/2's `:authority` stands here.
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let names_any = authority.is_some() || hosts.iter().next().is_some();
    names_any && hosts.iter().all(is_ours) && authority.is_none_or(is_loopback_host)
}

/// Names the requested headers, because `*` does not cover `Authorization`.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let allowed = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(DEFAULT_HEADERS);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(ACCESS_CONTROL_MAX_AGE, TWO_HOURS);
    response
}

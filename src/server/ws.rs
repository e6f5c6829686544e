//! The WebSocket edge of the state protocol (docs/state-api.md §4): the handshake with its subprotocol and credentials,
//! and a socket with small buffers for the session.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::access::Principal;
use crate::runtime::Runtime;

use super::error::problem::{Asks, Code, Problem, Problematic};
use super::live::{Drained, Session, Sessions};
use super::v1::query::Query;

const SUBPROTOCOL: &str = "coagent.v1";
const BEARER: &str = "bearer.";
/// Each of a socket's two buffers; with the usual ones ten thousand idle sockets take a gigabyte.
const BUFFER_BYTES: usize = 4 << 10;
/// What a credential may be called in a query, where proxies would log it.
const NOT_IN_QUERIES: [&str; 3] = ["token", "access_token", "ticket"];

/// Opens a WebSocket
///
/// The state protocol, subprotocol `coagent.v1`: one JSON object with a `type` in each text message (docs/state-api.md §4).
#[utoipa::path(
    get, path = "/v1/ws", tag = "live", operation_id = "open_socket",
    params(
        ("sec-websocket-protocol" = Option<String>, Header, description = "`coagent.v1`, and `bearer.<base64url token>` beside it"),
    ),
    responses(
        (status = 101, description = "The connection is a WebSocket now"),
        (status = 401, description = "`unauthenticated`: Credentials are missing or not valid", body = Problematic, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: Too much at once", body = Problematic, content_type = "application/problem+json"),
        Asks,
    ),
)]
pub(super) async fn upgrade(
    State(runtime): State<Arc<Runtime>>,
    Extension(sessions): Extension<Arc<Sessions>>,
    drained: Option<Extension<Drained>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    if let Some(name) = NOT_IN_QUERIES.iter().find(|name| query.get(name).is_some()) {
        let detail = "a credential is never sent in a query: use `Authorization`, a `bearer.` subprotocol or `hello`";
        return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", *name));
    }
    let upgrade = upgrade.map_err(|rejection| Problem::new(Code::InvalidHeader, rejection.body_text()))?;
    check_credential(&headers, &upgrade)?;
    if upgrade.requested_protocols().next().is_some()
        && !upgrade.requested_protocols().any(|offer| offer == SUBPROTOCOL)
    {
        let detail = format!("offer the subprotocol `{SUBPROTOCOL}`");
        return Err(Problem::new(Code::InvalidHeader, detail).with("header", "sec-websocket-protocol"));
    }
    if runtime.stopping().is_cancelled() {
        return Err(Problem::unavailable("the server is shutting down"));
    }
    let place = sessions.enter().ok_or_else(|| {
        let second = HeaderValue::from_static("1");
        Problem::new(Code::RateLimited, "too many sockets are open").with_header(header::RETRY_AFTER, second)
    })?;
    let drained = drained.map(|Extension(drained)| drained).unwrap_or_default();
    drained.becomes_session();
    // A frame that is too large is read, so that the client hears why it is refused; beyond this it is not.
    let most = 2 * sessions.limits.frame_bytes;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_frame_size(most)
        .max_message_size(most);
    let counted = runtime.sessions().clone();
    Ok(upgrade.on_upgrade(move |socket| {
        counted.track_future(Box::pin(Session::new(socket, runtime, Principal::local(), place, drained).run()))
    }))
}

/// The forms a credential may have. No authentication is configured, so that any of them stands for the local principal.
fn check_credential(headers: &HeaderMap, upgrade: &WebSocketUpgrade) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::new(Code::Unauthenticated, detail));
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty());
        if token.is_none() {
            return refused("the credential is `Authorization: Bearer <token>`");
        }
    }
    for offer in upgrade.requested_protocols() {
        let token = offer.to_str().ok().and_then(|offer| offer.strip_prefix(BEARER));
        let is_text = |token: &str| {
            BASE64_URL_SAFE_NO_PAD
                .decode(token.trim_end_matches('='))
                .is_ok_and(|token| std::str::from_utf8(&token).is_ok_and(|token| !token.is_empty()))
        };
        if token.is_some_and(|token| !is_text(token)) {
            return refused("the subprotocol of a credential is `bearer.<base64url of the token>`");
        }
    }
    Ok(())
}

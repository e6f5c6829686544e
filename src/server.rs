//! The edges: bytes in, calls to the runtime, bytes out. No decisions are made here.

mod agents;
mod agui;
mod answers;
mod body;
mod caller;
mod copilotkit;
mod counted;
mod debug_feed;
mod error;
mod hooks;
mod listen;
mod live;
mod openapi;
mod origin;
mod pages;
mod runs;
mod start_page;
mod state;
mod stream;
mod unread;
mod v1;
mod ws;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::runtime::Runtime;

pub use listen::Bounds;
pub use openapi::description;

/// Every route of the server, on one page.
pub fn routes(config: &Config, runtime: &Arc<Runtime>) -> Router {
    let origins = Arc::new(config.cors_origins.clone());
    let base = config.base_path.clone();
    let routes = Router::new()
        .merge(pages::routes(&config.base_path, Arc::clone(runtime)))
        .merge(copilotkit::routes(&config.base_path, config.debug_events, Arc::clone(runtime)))
        .merge(hooks::routes(Arc::clone(runtime)))
        .nest("/v1", v1::routes(Arc::clone(runtime), &config.live))
        .fallback(move |request| copilotkit::unmatched(base, request));
    // Around the whole router: whatever a layer of its routes answers, the router would name a route's methods in it.
    let guarded = Router::new().fallback_service(routes).layer(from_fn_with_state(origins, origin::guard));
    guarded.layer(from_fn(unread::drain))
}

/// Serves connections within `bounds` until `stop` is cancelled and open ones have ended.
pub async fn serve(listener: TcpListener, routes: Router, bounds: Bounds, stop: CancellationToken) -> io::Result<()> {
    listen::serve(listener, routes, bounds, stop).await
}

//! The socket: accepts connections, speaks HTTP/1.1 and h2c on them, and lets them finish at shutdown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::Config;

use super::answers::{Patient, in_pieces};
use super::counted::Counted;
use super::error;
use super::live::Drained;

/// A client that has not sent its request head by then is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 64 * 1024;
/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A preface that came in part is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Being told that there is no room takes no longer than this.
const REFUSAL_WITHIN: Duration = Duration::from_secs(1);
/// One that says nothing for so long is told so whatever it is going to ask for.
const SILENT_FOR: Duration = Duration::from_millis(500);
/// As much of a request as tells which route it is for.
const REQUEST_LINE: usize = 64;
/// A connection that is silent for this long is probed.
const PROBE_AFTER: Duration = Duration::from_secs(15);
/// After the stop of the streams, connections get this long to finish.
const DRAIN: Duration = Duration::from_secs(5);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    max_connections: usize,
    /// A reader that takes no byte of its answer for so long is cut.
    stalled_after: Duration,
}

impl From<&Config> for Bounds {
    fn from(config: &Config) -> Self {
        Self { max_connections: config.max_connections, stalled_after: config.live.stalled_after }
    }
}

/// Serves until `stop` is cancelled, then waits for open connections.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    bounds: Bounds,
    stop: CancellationToken,
) -> io::Result<()> {
    let Bounds { max_connections, stalled_after } = bounds;
    let mut server = auto::Builder::new(Patient(stalled_after));
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(250).keep_alive_interval(Duration::from_secs(20));
    // Told apart before either is chosen: a connection that was read for that keeps a second buffer as long as it lives.
    let (http1, http2) = (server.clone().http1_only(), server.http2_only());
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: a pause lets connections end instead of spinning.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a connection keeps the system's options");
        }
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(max_connections, "a connection was refused: there are as many as this server takes");
            tokio::spawn(tokio::time::timeout(REFUSAL_WITHIN, refuse(stream)));
            continue;
        };
        let drained = Drained::default();
        let told = drained.clone();
        let routes = routes.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(told.clone());
            request
        });
        let routes = routes.map_response(in_pieces);
        let service = TowerToHyperService::new(routes);
        let (http1, http2, watcher, stop) = (http1.clone(), http2.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let first = tokio::select! {
                first = tokio::time::timeout(HEADER_TIMEOUT, speaks_http2(&stream)) => first,
                () = stop.cancelled() => return,
            };
            let server = match first {
                Ok(Ok(false)) => http1,
                Ok(Ok(true)) => http2,
                Ok(Err(_)) | Err(_) => return tracing::debug!("a connection said nothing"),
            };
            let connection = server
                .serve_connection_with_upgrades(TokioIo::new(Counted::new(stream, drained, stalled_after)), service)
                .into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not finish in time and are cut");
    }
    Ok(())
}

/// Small frames go out at once; a peer that vanished without a word is found out, also on streams that are silent for long.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// Whether a connection begins as HTTP/2 does; what it says is only looked at.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == 0 || !PREFACE.starts_with(&start[..seen]) {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Says that there is no room, in the words of what is asked for. What the client sends is read, so that closing does not
/// take the answer back.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let mut start = [0; REQUEST_LINE];
    let seen = tokio::time::timeout(SILENT_FOR, stream.peek(&mut start)).await.unwrap_or(Ok(0))?;
    stream.write_all(error::no_room(&start[..seen]).as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

//! The debug feed: a copy of every event that run and connect streams carry, for inspectors (docs/copilotkit.md §3).
//!
//! It is for looking, not for following: it has no past, and a reader that is too slow loses events and is told how many.

use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::agui::RunAgentInput;
use crate::runtime::Hosted;

/// Frames that wait for the slowest reader; older ones are lost to it.
const WAITING: usize = 1024;
/// A larger event is told of by its type, so that what waits is bounded in bytes too.
const EVENT_BYTES: usize = 64 * 1024;

const CONNECTED: Bytes = Bytes::from_static(b": connected\n\n");

/// Where the streams of a mount copy their events to.
#[derive(Debug, Clone)]
pub(super) struct DebugFeed {
    frames: broadcast::Sender<Bytes>,
    stop: CancellationToken,
}

/// Copies one stream's events to the feed.
#[derive(Debug)]
pub(super) struct Tap {
    frames: broadcast::Sender<Bytes>,
    agent: String,
    thread: String,
    run: String,
}

/// One event with where it came from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sighting<'a> {
    /// Milliseconds since 1970.
    timestamp: u128,
    agent_id: &'a str,
    thread_id: &'a str,
    run_id: &'a str,
    event: &'a RawValue,
}

impl DebugFeed {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { frames: broadcast::Sender::new(WAITING), stop }
    }

    /// For one stream of an agent's.
    pub(super) fn tap(&self, agent: &Hosted, input: &RunAgentInput) -> Tap {
        let (thread, run) = (input.thread_id.clone(), input.run_id.clone());
        Tap { frames: self.frames.clone(), agent: agent.id().to_owned(), thread, run }
    }

    /// What is told from now on.
    pub(super) fn read(&self) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
        let frames = stream::unfold(self.frames.subscribe(), |mut frames| async move {
            match frames.recv().await {
                Ok(frame) => Some((frame, frames)),
                Err(RecvError::Lagged(lost)) => Some((format!(": {lost} events were lost\n\n").into(), frames)),
                Err(RecvError::Closed) => None,
            }
        });
        let stop = self.stop.clone();
        stream::iter([CONNECTED]).chain(frames).map(Ok).take_until(async move { stop.cancelled().await })
    }
}

impl Tap {
    /// Copies the events in SSE bytes, as long as somebody reads the feed.
    pub(super) fn look(&self, bytes: &[u8]) {
        if self.frames.receiver_count() == 0 {
            return;
        }
        for event in events_in(bytes) {
            let outlined = (event.get().len() > EVENT_BYTES).then(|| outline(event));
            let sighting = Sighting {
                timestamp: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()),
                agent_id: &self.agent,
                thread_id: &self.thread,
                run_id: &self.run,
                event: outlined.as_deref().unwrap_or(event),
            };
            let json = serde_json::to_string(&sighting).expect("a sighting is plain data");
            // An error means that the last reader has just left.
            let _ = self.frames.send(format!("data: {json}\n\n").into());
        }
    }
}

/// The events in SSE bytes.
fn events_in(bytes: &[u8]) -> impl Iterator<Item = &RawValue> {
    let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    lines.filter_map(|json| serde_json::from_slice(json).ok())
}

/// What is said of an event that is too large to copy.
fn outline(event: &RawValue) -> Box<RawValue> {
    #[derive(serde::Deserialize)]
    struct Typed {
        r#type: String,
    }
    let event_type =
        serde_json::from_str::<Typed>(event.get()).map_or_else(|_| "UNKNOWN".to_owned(), |typed| typed.r#type);
    let outline = serde_json::json!({"type": event_type, "omitted": format!("{} bytes", event.get().len())});
    serde_json::value::to_raw_value(&outline).expect("a value is JSON")
}

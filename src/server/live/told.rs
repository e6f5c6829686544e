//! What the server says.

use axum::extract::ws::Message;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::LiveLimits;
use crate::runtime::{Delta, Rejection};
use crate::state::document::Conflict;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Told<'a> {
    Welcome {
        connection_id: &'a str,
        heartbeat_ms: u64,
        limits: Limits,
        protocol: u64,
        principal: &'a str,
    },
    Snapshot {
        channel: u64,
        epoch: &'a str,
        version: u64,
        data: &'a RawValue,
        reason: &'static str,
    },
    Deleted {
        channel: u64,
        version: u64,
    },
    Live {
        channel: u64,
        version: u64,
    },
    Ack {
        channel: u64,
        mutation_id: u64,
        version: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        conflicts: &'a [Conflict],
    },
    Reject {
        channel: u64,
        mutation_id: u64,
        #[serde(flatten)]
        rejection: Rejection,
        /// The number that comes first.
        #[serde(skip_serializing_if = "Option::is_none")]
        expect: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    End {
        channel: u64,
        reason: &'static str,
    },
    Error {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        run_id: Option<&'a str>,
    },
    Goaway {
        reason: &'static str,
        retry_ms: u64,
    },
    Pong {},
}

#[derive(Debug, Serialize)]
pub(super) struct Limits {
    frame_bytes: usize,
    in_flight: usize,
    subscriptions: usize,
    mutations_per_second: u32,
}

impl From<&LiveLimits> for Limits {
    fn from(limits: &LiveLimits) -> Self {
        Self {
            frame_bytes: limits.frame_bytes,
            in_flight: limits.in_flight,
            subscriptions: limits.subscriptions,
            mutations_per_second: limits.mutations_per_second,
        }
    }
}

impl Told<'_> {
    pub(super) fn message(&self) -> Message {
        Message::Text(serde_json::to_string(self).expect("what is told is plain data").into())
    }
}

/// One version, in the words that all its readers share.
pub(super) fn delta(channel: u64, delta: &Delta) -> Message {
    spliced(&format!("{{\"type\":\"delta\",\"channel\":{channel},"), &delta.json()[1..])
}

/// Consecutive versions as one.
pub(super) fn squashed(channel: u64, squashed: &[u8]) -> Message {
    spliced(&format!("{{\"type\":\"delta\",\"channel\":{channel},"), &squashed[1..])
}

/// Everybody at a document, and which of them the reader is.
pub(super) fn presence(channel: u64, you: Option<&str>, peers: &[u8]) -> Message {
    let you = you.map(|you| format!("\"you\":\"{you}\",")).unwrap_or_default();
    let mut text = format!("{{\"type\":\"presence\",\"channel\":{channel},{you}\"peers\":").into_bytes();
    text.extend_from_slice(peers);
    text.push(b'}');
    message(text)
}

/// An AG-UI event. `seq` is the position in the thread's log that the reader has reached with it; `id` names it
/// together with the log.
pub(super) fn event(channel: u64, seq: u64, id: Option<&str>, json: &str) -> Message {
    let mut text = format!("{{\"type\":\"event\",\"channel\":{channel},\"seq\":{seq},");
    if let Some(id) = id {
        text.push_str("\"id\":\"");
        text.push_str(id);
        text.push_str("\",");
    }
    text.push_str("\"event\":");
    text.push_str(json);
    text.push('}');
    Message::Text(text.into())
}

fn spliced(head: &str, rest: &[u8]) -> Message {
    let mut text = Vec::with_capacity(head.len() + rest.len());
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(rest);
    message(text)
}

fn message(text: Vec<u8>) -> Message {
    Message::Text(String::from_utf8(text).expect("JSON of ours is UTF-8").into())
}

//! Bounds on live sessions: the `[live]` table of `coagent.toml`.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// What one session may do, and how long it may keep silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLimits {
    /// Bytes of one frame.
    pub frame_bytes: usize,
    /// Mutations that wait for their answers.
    pub in_flight: usize,
    /// Channels of one socket.
    pub subscriptions: usize,
    pub mutations_per_second: u32,
    /// Sockets of the whole server.
    pub sessions: usize,
    /// How often the server pings; a client that answers nothing for a little more than twice as long is cut.
    pub heartbeat: Duration,
    /// How long a reader may take no byte of what waits for it.
    pub stalled_after: Duration,
    /// How soon a client says hello.
    pub hello_within: Duration,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            frame_bytes: 1 << 20,
            in_flight: 100,
            subscriptions: 256,
            mutations_per_second: 1000,
            sessions: 50_000,
            heartbeat: Duration::from_secs(20),
            stalled_after: Duration::from_secs(30),
            hello_within: Duration::from_secs(5),
        }
    }
}

/// The table as it is written; what is absent stays as it is by default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    frame_bytes: Option<usize>,
    in_flight: Option<usize>,
    subscriptions: Option<usize>,
    mutations_per_second: Option<u32>,
    sessions: Option<usize>,
    heartbeat_ms: Option<u64>,
    stalled_after_ms: Option<u64>,
    hello_within_ms: Option<u64>,
}

impl File {
    pub(super) fn limits(&self) -> Result<LiveLimits, ConfigError> {
        let default = LiveLimits::default();
        let duration = |name, given: Option<u64>, usual| match given {
            Some(ms) if ms < 10 => Err(ConfigError::Live { name, least: 10 }),
            given => Ok(given.map_or(usual, Duration::from_millis)),
        };
        let limits = LiveLimits {
            frame_bytes: self.frame_bytes.unwrap_or(default.frame_bytes),
            in_flight: self.in_flight.unwrap_or(default.in_flight),
            subscriptions: self.subscriptions.unwrap_or(default.subscriptions),
            mutations_per_second: self.mutations_per_second.unwrap_or(default.mutations_per_second),
            sessions: self.sessions.unwrap_or(default.sessions),
            heartbeat: duration("heartbeat_ms", self.heartbeat_ms, default.heartbeat)?,
            stalled_after: duration("stalled_after_ms", self.stalled_after_ms, default.stalled_after)?,
            hello_within: duration("hello_within_ms", self.hello_within_ms, default.hello_within)?,
        };
        let counts = [
            ("in_flight", limits.in_flight),
            ("subscriptions", limits.subscriptions),
            ("mutations_per_second", limits.mutations_per_second as usize),
            ("sessions", limits.sessions),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Live { name, least: 1 });
        }
        match limits.frame_bytes {
            1024.. => Ok(limits),
            _ => Err(ConfigError::Live { name: "frame_bytes", least: 1024 }),
        }
    }
}

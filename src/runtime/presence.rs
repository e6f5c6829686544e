//! Who is at a document right now. It is told to those who ask and never stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

use crate::json_text;

/// More than these would be told to each other in ever longer messages.
const SEATS: usize = 1000;

/// The peers at one document.
#[derive(Debug, Default)]
pub struct Room {
    /// A lock, because any number of sessions come and go while others read; held for a map access or one encoding,
    /// never across an await.
    peers: Mutex<Peers>,
    /// Made for the first one who looks; who comes later than a change finds it among the peers.
    changes: OnceLock<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct Peers {
    seats: BTreeMap<String, Peer>,
    /// `{seat: {principal, data}}`, encoded when the first one asks after a change.
    encoded: Option<Bytes>,
}

#[derive(Debug, Serialize)]
struct Peer {
    principal: String,
    data: Value,
}

/// The room takes no more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{SEATS} others are at this document already")]
pub struct Crowded;

/// A place in a room, left when it is dropped.
#[derive(Debug)]
pub struct Presence {
    room: Arc<Room>,
    seat: String,
}

impl Room {
    /// Sits down. The first seat of a connection is called as the connection, a further one, on another of its channels,
    /// `<connection>/<channel>`.
    pub fn enter(
        self: &Arc<Self>,
        connection: &str,
        channel: u64,
        principal: &str,
        data: Value,
    ) -> Result<Presence, Crowded> {
        let seat = {
            let mut peers = self.peers();
            if peers.seats.len() >= SEATS {
                return Err(Crowded);
            }
            let is_taken = peers.seats.contains_key(connection);
            let seat = if is_taken { format!("{connection}/{channel}") } else { connection.to_owned() };
            peers.seats.insert(seat.clone(), Peer { principal: principal.to_owned(), data });
            peers.encoded = None;
            seat
        };
        self.changed();
        Ok(Presence { room: Arc::clone(self), seat })
    }

    /// Wakes at every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.get_or_init(|| watch::Sender::new(0)).subscribe()
    }

    fn changed(&self) {
        if let Some(changes) = self.changes.get() {
            changes.send_modify(|changes| *changes += 1);
        }
    }

    /// `{seat: {"principal","data"}}` of everybody here.
    pub fn peers_json(&self) -> Bytes {
        let mut peers = self.peers();
        let Peers { seats, encoded } = &mut *peers;
        encoded.get_or_insert_with(|| json_text::encode(seats).into()).clone()
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().expect("no code panics while it holds this lock")
    }
}

impl Presence {
    pub fn seat(&self) -> &str {
        &self.seat
    }

    /// Says something else about who sits here.
    pub fn update(&self, data: Value) {
        {
            let mut peers = self.room.peers();
            let Some(peer) = peers.seats.get_mut(&self.seat) else { return };
            peer.data = data;
            peers.encoded = None;
        }
        self.room.changed();
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        {
            let mut peers = self.room.peers();
            peers.seats.remove(&self.seat);
            peers.encoded = None;
            // A map keeps the room of its first entries, and most rooms are empty for good when a run has ended.
            if peers.seats.is_empty() {
                peers.seats = BTreeMap::new();
            }
        }
        self.room.changed();
    }
}

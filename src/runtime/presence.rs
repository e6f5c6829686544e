//! Who is at a document right now. It is told to those who ask and never stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

/// More than these would be told to each other in ever longer messages.
const SEATS: usize = 1000;

/// The peers at one document.
#[derive(Debug)]
pub struct Room {
    /// A lock, because any number of sessions come and go while others read; held for a map access or one encoding,
    /// never across an await.
    peers: Mutex<Peers>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Peers {
    seats: BTreeMap<String, Peer>,
    /// `{connection_id: {principal, data}}`, encoded when the first one asks after a change.
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
    connection: String,
}

impl Default for Room {
    fn default() -> Self {
        Self { peers: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Room {
    /// Sits down; the same connection sits once.
    pub fn enter(self: &Arc<Self>, connection: &str, principal: &str, data: Value) -> Result<Presence, Crowded> {
        {
            let mut peers = self.peers();
            if peers.seats.len() >= SEATS && !peers.seats.contains_key(connection) {
                return Err(Crowded);
            }
            peers.seats.insert(connection.to_owned(), Peer { principal: principal.to_owned(), data });
            peers.encoded = None;
        }
        self.changes.send_modify(|changes| *changes += 1);
        Ok(Presence { room: Arc::clone(self), connection: connection.to_owned() })
    }

    /// Wakes at every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// `{connection_id: {"principal","data"}}` of everybody here.
    pub fn peers_json(&self) -> Bytes {
        let mut peers = self.peers();
        let Peers { seats, encoded } = &mut *peers;
        encoded.get_or_insert_with(|| serde_json::to_vec(seats).expect("peers are plain data").into()).clone()
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().expect("no code panics while it holds this lock")
    }
}

impl Presence {
    /// Says something else about who sits here.
    pub fn update(&self, data: Value) {
        {
            let mut peers = self.room.peers();
            let Some(peer) = peers.seats.get_mut(&self.connection) else { return };
            peer.data = data;
            peers.encoded = None;
        }
        self.room.changes.send_modify(|changes| *changes += 1);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        {
            let mut peers = self.room.peers();
            peers.seats.remove(&self.connection);
            peers.encoded = None;
        }
        self.room.changes.send_modify(|changes| *changes += 1);
    }
}

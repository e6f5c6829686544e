//! Channels on documents: opened, fed, left, and who else is there.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::runtime::{DocumentError, DocumentName, Expects, Presence, Proposal, Room, Update, Write};

use super::feed::{Following, Tap};
use super::frame::Subscribe;
use super::session::Session;
use super::told::{self, Told};

/// What a reader that lags has missed is compared with the whole body when it is more than this.
const LARGE: usize = 1 << 10;

/// What a channel stands for.
#[derive(Debug)]
pub(super) enum Channel {
    Document { name: DocumentName, room: Arc<Room>, seat: Option<Presence>, updates: Tap, peers: Option<Tap> },
    Run { events: Tap },
}

impl Channel {
    pub(super) fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. })
    }
}

impl<S> Session<S> {
    /// Opens a channel. It is followed from then on, so that what comes next may name it.
    pub(super) async fn subscribe(&mut self, subscribe: Subscribe) {
        let Subscribe { channel, doc, since, create, presence } = subscribe;
        if self.is_full(channel) {
            return self.complain("overloaded", "this socket has as many channels as it may", Some(channel));
        }
        self.channels.remove(&channel);
        let documents = self.runtime.documents(&self.principal);
        let subscribed = async {
            if let Some(body) = create {
                let create = Write { expects: Expects::Absent, creates: true, ..Write::new(Proposal::Replace(body)) };
                match documents.write(&doc, create).await {
                    Ok(_) | Err(DocumentError::AlreadyExists { .. }) => {}
                    Err(refused) => return Err(refused),
                }
            }
            documents.subscribe(&doc, since).await
        };
        let subscription = match subscribed.await {
            Ok(subscription) => subscription,
            Err(error) => return self.complain(error.code(), &error.to_string(), Some(channel)),
        };
        let room = Arc::clone(subscription.room());
        let peers = presence.then(|| {
            let changes = room.changes();
            self.outbox.push(told::presence(channel, None, &room.peers_json()));
            self.feeds.peers(channel, Arc::clone(&room), changes)
        });
        let mut following = Box::new(Following { subscription, is_live: false });
        self.tell_live(channel, &mut following);
        let updates = self.feeds.document(channel, following);
        self.channels.insert(channel, Channel::Document { name: doc, room, seat: None, updates, peers });
    }

    /// Says so once when the client has everything there is.
    fn tell_live(&mut self, channel: u64, following: &mut Following) {
        if following.is_live || !following.subscription.is_live() {
            return;
        }
        following.is_live = true;
        let version = following.subscription.version().expect("a live reader has a version");
        self.outbox.push(Told::Live { channel, version }.message());
    }

    pub(super) fn unsubscribe(&mut self, channel: u64) {
        if self.channels.remove(&channel).is_none() {
            self.complain("unsubscribed", "nothing is subscribed on this channel", Some(channel));
        }
    }

    /// Passes on what came of a document. Acknowledgements of what it holds go first.
    pub(super) async fn update(
        &mut self,
        channel: u64,
        mut following: Box<Following>,
        update: Result<Update, DocumentError>,
    ) {
        self.answer_waiting();
        let update = match update {
            Ok(Update::Deltas(deltas)) if self.outbox.lags() && deltas.len() > 1 => {
                self.catch_up(channel, &mut following, &deltas).await
            }
            update => update.map(Some),
        };
        match update {
            Ok(Some(Update::Snapshot { epoch, version, data, reason })) => {
                let reason = reason.as_str();
                self.outbox.push(Told::Snapshot { channel, epoch: &epoch, version, data: &data, reason }.message());
            }
            Ok(Some(Update::Deltas(deltas))) => {
                deltas.iter().for_each(|delta| self.outbox.push(told::delta(channel, delta)));
            }
            Ok(Some(Update::Deleted { version })) => self.outbox.push(Told::Deleted { channel, version }.message()),
            Ok(None) => {}
            Err(error) => {
                self.channels.remove(&channel);
                return self.complain(error.code(), &error.to_string(), Some(channel));
            }
        }
        self.tell_live(channel, &mut following);
        let tap = self.feeds.document(channel, following);
        if let Some(Channel::Document { updates, .. }) = self.channels.get_mut(&channel) {
            *updates = tap;
        }
    }

    /// Many versions for a reader that lags: told as one, or as the whole body where that is less.
    async fn catch_up(
        &mut self,
        channel: u64,
        following: &mut Following,
        deltas: &[Arc<crate::runtime::Delta>],
    ) -> Result<Option<Update>, DocumentError> {
        let squashed = crate::runtime::squashed(deltas);
        if squashed.len() > LARGE && squashed.len() > following.subscription.body_bytes().await? {
            return following.subscription.start_over().await.map(Some);
        }
        self.outbox.push(told::squashed(channel, &squashed));
        Ok(None)
    }

    /// Takes a seat at a document, says something else there, or leaves it.
    pub(super) fn sit(&mut self, channel: u64, data: Option<Value>) {
        let Some(Channel::Document { room, seat, .. }) = self.channels.get_mut(&channel) else {
            return self.complain("unsubscribed", "no document is subscribed on this channel", Some(channel));
        };
        match (data, seat.as_ref()) {
            (None, _) => *seat = None,
            (Some(data), Some(seat)) => seat.update(data),
            (Some(data), None) => match room.enter(&self.connection_id, channel, &self.principal.actor(), data) {
                Ok(taken) => *seat = Some(taken),
                Err(crowded) => self.complain("overloaded", &crowded.to_string(), Some(channel)),
            },
        }
    }

    pub(super) fn peers(&mut self, channel: u64, room: Arc<Room>, changes: watch::Receiver<u64>) {
        if let Some(Channel::Document { peers, seat, .. }) = self.channels.get_mut(&channel) {
            let you = seat.as_ref().map(Presence::seat);
            self.outbox.push(told::presence(channel, you, &room.peers_json()));
            *peers = Some(self.feeds.peers(channel, room, changes));
        }
    }
}

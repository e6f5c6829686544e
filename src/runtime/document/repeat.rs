//! A write that is sent twice happens once: idempotency keys, and the numbers that a client gives its mutations.
//!
//! What was answered is stored in the same transaction as what it is the answer to (docs/state-api.md §8).

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::json_text;
use crate::state::document::{Commit, Conflict};
use crate::state::history::Skipped;
use crate::store::Remember;

use super::super::clock::now_ms;
use super::Author;
use super::actor::Broken;
use super::append::{Decision, Pending};
use super::commit::{FURTHEST, text};
use super::load::Live;
use super::write::{Accepted, DocumentError, Once, Origin, Proposal, Rejection, Write};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long an answer is kept for the repetitions of its request.
pub(super) const ANSWERS_MS: i64 = DAY_MS;
/// How long the last number of a client is kept.
const CLIENTS_MS: i64 = 90 * DAY_MS;
/// What is kept of an answer beside the log has at most this size.
const MADE_BYTES: usize = 64 << 10;
/// Clients of one document whose last number stays in memory.
const CLIENTS: usize = 1024;

/// Whether a write was answered before.
pub(super) enum Known {
    Answered(Box<Accepted>),
    Refused(DocumentError),
    /// It changed nothing, and its answer was too large to be kept: it is decided again.
    Anew,
    No,
}

/// The last numbers of the clients that wrote lately, by the key they are stored under.
#[derive(Debug, Default)]
pub(super) struct Clients(HashMap<String, u64>);

impl Clients {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn set(&mut self, key: String, last: u64) {
        if self.0.len() >= CLIENTS {
            self.0.clear();
        }
        self.0.insert(key, last);
    }
}

/// What is remembered of a write.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// Of the request; empty where its number says enough.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    fingerprint: String,
    answer: Answer,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Accepted {
        version: u64,
        created: bool,
        changed: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        conflicts: Vec<Conflict>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skipped: Vec<Skipped>,
        wants_data: bool,
        #[serde(default, skip_serializing_if = "Made::is_nothing")]
        made: Made,
    },
    Refused(Rejection),
    /// Of a dry run whose answer is too large to be kept.
    Anew,
}

/// What an answer tells that cannot be read from the log again: what a dry run would have made was never in it, and of a
/// type with a retention the log lets go.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Made {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<Arc<Commit>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Arc<RawValue>>,
}

impl Made {
    fn is_nothing(&self) -> bool {
        self.commit.is_none() && self.data.is_none()
    }

    fn bytes(&self) -> usize {
        let commit = self.commit.as_ref().map_or(0, |commit| commit.to_json().0.len());
        commit + self.data.as_ref().map_or(0, |data| data.get().len())
    }
}

impl Live {
    /// Whether it says anything by which an earlier request could be the same.
    pub(super) fn may_be_known(&self, write: &Write, author: &Author) -> bool {
        write.once.is_some() || write.origin.is_some() || self.may_be_made(write, author)
    }

    fn may_be_made(&self, write: &Write, author: &Author) -> bool {
        (author.is_resumed || self.is_overtaken) && write.mark.is_some()
    }

    /// Looks for the answer to an earlier request with the same key or number.
    pub(super) async fn known(&mut self, write: &Write, author: &Author) -> Result<Known, Broken> {
        if let Some(once) = &write.once {
            let is_waiting = |pending: &Pending| pending.write.once.as_ref().is_some_and(|own| own.key == once.key);
            if self.pending.iter().any(is_waiting) {
                self.flush().await?;
            }
            if let Some(remembered) = self.remembered(&once.key).await? {
                return match remembered.fingerprint == once.fingerprint {
                    true => self.repeated(remembered.answer, author).await,
                    false => Ok(Known::Refused(DocumentError::IdempotencyMismatch)),
                };
            }
        }
        if let Some(version) = self.made_before(write, author).await? {
            let (created, changed, wants_data) = (false, true, write.wants_data);
            let (conflicts, skipped) = (Vec::new(), Vec::new());
            let made = Made::default();
            let answer = Answer::Accepted { version, created, changed, conflicts, skipped, wants_data, made };
            return self.repeated(answer, author).await;
        }
        let Some(origin) = &write.origin else { return Ok(Known::No) };
        let client = client_key(&self.name.name, author, origin);
        let last = match self.clients.0.get(&client) {
            Some(last) => Some(*last),
            None => self.last_number(&client).await?,
        };
        match last {
            None if origin.mutation_id == 1 => {}
            None => return Ok(Known::Refused(DocumentError::ClientUnknown)),
            Some(last) if origin.mutation_id == last + 1 => {}
            Some(last) if origin.mutation_id > last => {
                return Ok(Known::Refused(DocumentError::MutationGap { expect: last + 1 }));
            }
            Some(_) => {
                // It may be among those that are being stored.
                self.flush().await?;
                return match self.remembered(&answer_key(&client, origin)).await? {
                    Some(remembered) => self.repeated(remembered.answer, author).await,
                    None => Ok(Known::Refused(DocumentError::ClientUnknown)),
                };
            }
        }
        self.clients.set(client, origin.mutation_id);
        Ok(Known::No)
    }

    /// The version in which a run that was cut off has made this write already. Its commits say so, so that nothing has to
    /// be kept for the writes of runs that are never cut off.
    async fn made_before(&self, write: &Write, author: &Author) -> Result<Option<u64>, Broken> {
        if !self.may_be_made(write, author) {
            return Ok(None);
        }
        let commits =
            self.commits_back_to(self.document.version().saturating_sub(FURTHEST).max(self.horizon.dropped)).await?;
        let is_it = |commit: &&Arc<Commit>| commit.mark == write.mark && commit.run_id == author.run_id;
        Ok(commits.iter().find(is_it).map(|commit| commit.version))
    }

    /// What is to be remembered of a decision, in the transaction that makes it durable.
    pub(super) fn remember(&self, pending: &Pending) -> Vec<Remember> {
        let has_no_name = pending.write.once.is_none() && pending.write.origin.is_none();
        if has_no_name || pending.is_repeated {
            return Vec::new();
        }
        let made = self.made(pending);
        let is_too_large = made.bytes() > MADE_BYTES;
        let answer = match &pending.decided {
            Decision::Before(_) => return Vec::new(),
            Decision::Refused(error) if !error.is_final() => return Vec::new(),
            Decision::Refused(error) => Answer::Refused(error.rejection()),
            _ if pending.write.dry_run && is_too_large => Answer::Anew,
            Decision::Changed { .. } | Decision::Unchanged | Decision::Dry(_) => Answer::Accepted {
                version: pending.version,
                created: !pending.existed,
                changed: pending.decided.commit().is_some(),
                conflicts: pending.decided.commit().map(|commit| commit.conflicts.clone()).unwrap_or_default(),
                skipped: pending.skipped.clone(),
                wants_data: pending.write.wants_data && !pending.write.dry_run,
                made: if is_too_large { Made::default() } else { made },
            },
        };
        let is_refused = matches!(answer, Answer::Refused(_));
        match (&pending.write.once, &pending.write.origin) {
            // A refused request with a key is judged anew when it is repeated.
            (Some(Once { key, fingerprint }), _) if !is_refused => {
                vec![self.note(
                    key.clone(),
                    &Remembered { fingerprint: fingerprint.clone(), answer },
                    ANSWERS_MS,
                    false,
                )]
            }
            (_, Some(origin)) => {
                let client = client_key(&self.name.name, &pending.author, origin);
                let remembered = Remembered { fingerprint: String::new(), answer };
                vec![
                    self.note(answer_key(&client, origin), &remembered, ANSWERS_MS, false),
                    self.note(client, &origin.mutation_id, CLIENTS_MS, true),
                ]
            }
            _ => Vec::new(),
        }
    }

    fn made(&self, pending: &Pending) -> Made {
        let Write { dry_run, wants_data, proposal, .. } = &*pending.write;
        let is_thinned = self.rules.as_ref().is_some_and(|rules| !rules.spec.retention.is_endless());
        if !dry_run && !is_thinned {
            return Made::default();
        }
        let commit = match &pending.decided {
            Decision::Dry(accepted) => accepted.commit.clone(),
            decided => decided.commit().cloned(),
        };
        // Only who goes back is told the operations.
        let goes_back = matches!(proposal, Proposal::Rollback { .. } | Proposal::UndoRun { .. });
        Made { commit: commit.filter(|_| goes_back), data: pending.text.clone().filter(|_| *wants_data) }
    }

    async fn shown_at(&self, version: u64, author: &Author) -> Result<Option<Arc<RawValue>>, Broken> {
        let body = self.body_at(version).await?;
        Ok(match self.view(&author.actor) {
            None => Some(text(&body)),
            Some(view) => view.value(&body).map(|body| text(&body)),
        })
    }

    fn note(&self, key: String, value: &impl Serialize, kept_ms: i64, overwrites: bool) -> Remember {
        Remember {
            tenant: self.name.tenant.clone(),
            key,
            result: json_text::encode(value).into(),
            expires_at_ms: now_ms() + kept_ms,
            overwrites,
        }
    }

    async fn remembered(&self, key: &str) -> Result<Option<Remembered>, Broken> {
        let found = self.log.store.remembered(&self.name.tenant, key).await?;
        found.map(|found| serde_json::from_slice(&found).map_err(|error| damaged(key, &error))).transpose()
    }

    async fn last_number(&self, key: &str) -> Result<Option<u64>, Broken> {
        let found = self.log.store.remembered(&self.name.tenant, key).await?;
        found.map(|found| serde_json::from_slice(&found).map_err(|error| damaged(key, &error))).transpose()
    }

    async fn repeated(&mut self, answer: Answer, author: &Author) -> Result<Known, Broken> {
        self.flush().await?;
        let (version, created, changed, conflicts, skipped, wants_data, made) = match answer {
            Answer::Refused(rejection) => return Ok(Known::Refused(DocumentError::Before(Box::new(rejection)))),
            Answer::Anew => return Ok(Known::Anew),
            Answer::Accepted { version, created, changed, conflicts, skipped, wants_data, made } => {
                (version, created, changed, conflicts, skipped, wants_data, made)
            }
        };
        let is_over = version <= self.horizon.dropped;
        let commit = match made.commit {
            None if changed && !is_over => Some(self.commit_at(version).await?),
            kept => kept,
        };
        let data = match made.data {
            None if wants_data && !is_over => self.shown_at(version, author).await?,
            kept => kept,
        };
        Ok(Known::Answered(Box::new(Accepted {
            epoch: self.epoch.clone().unwrap_or_default(),
            version,
            created,
            duplicate: true,
            conflicts,
            skipped,
            commit,
            data,
        })))
    }
}

fn damaged(key: &str, error: &serde_json::Error) -> Broken {
    Broken::new(format!("what is remembered under {key} is damaged: {error}"))
}

/// Under which the last number of a client is kept: one per principal, client and document.
fn client_key(document: &str, author: &Author, origin: &Origin) -> String {
    let mut hash = Sha256::new();
    for part in [&*author.actor, &origin.client_id, document] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("client:{digest}")
}

fn answer_key(client: &str, origin: &Origin) -> String {
    format!("{client}:{}", origin.mutation_id)
}

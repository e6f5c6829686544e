//! A write that spans several documents: all of them change in one commit of the store, or none does.
//!
//! The documents' tasks lend their documents out for the while; borrowing in the order of the names cannot deadlock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::json_text;
use crate::store::{Batch, CommitError, Remember, Store, Tenant};

use super::super::clock::now_ms;
use super::append::{Handed, Pending, Reply};
use super::load::Live;
use super::write::{Accepted, DocumentError, Once, Write};
use super::{Author, DocumentHandle, DocumentRef};

/// How long the answer is remembered for repetitions of the request.
const ANSWERS_MS: i64 = 24 * 60 * 60 * 1000;
/// How often everything is decided again because another node was faster.
const ATTEMPTS: usize = 16;

/// A document in the hands of somebody else than its task.
pub(super) struct Loan {
    pub(super) live: Box<Live>,
    pub(super) back: oneshot::Sender<Box<Live>>,
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("document", &self.live.name.name).finish_non_exhaustive()
    }
}

impl Loan {
    pub(super) fn give_back(self) {
        // An error means that the process is ending.
        drop(self.back.send(self.live));
    }
}

/// One write among several.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) document: Arc<DocumentHandle>,
    pub(crate) name: DocumentRef,
    pub(crate) write: Write,
    pub(crate) author: Author,
}

/// Why nothing was changed, and by which of the writes; `None` when it was none of them in particular.
#[derive(Debug, Clone, Error)]
#[error("{error}")]
pub struct TogetherRefused {
    pub index: Option<usize>,
    pub error: DocumentError,
}

impl From<DocumentError> for TogetherRefused {
    fn from(error: DocumentError) -> Self {
        Self { index: None, error }
    }
}

/// What is remembered to answer a repetition.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    fingerprint: String,
    versions: Vec<u64>,
}

/// Changes all the documents or none; answers the version that holds each write, in order, and whether it had happened
/// before.
pub(crate) async fn write_together(
    store: &dyn Store,
    tenant: &str,
    members: &[Member],
    once: Option<&Once>,
) -> Result<(Vec<u64>, bool), TogetherRefused> {
    let tenant = Tenant::new(tenant);
    if let Some(once) = once
        && let Some(found) = store.remembered(&tenant, &once.key).await.map_err(DocumentError::from)?
    {
        return repeated(&found, once).map(|versions| (versions, true));
    }
    let mut loans = BTreeMap::new();
    for member in members {
        loans.entry(&member.name).or_insert(None);
    }
    for (name, loan) in &mut loans {
        let member = members.iter().find(|member| member.name == **name).expect("the names are the members'");
        *loan = Some(member.document.borrow().await.map_err(DocumentError::from)?);
    }
    let mut loans: BTreeMap<&DocumentRef, Loan> =
        loans.into_iter().filter_map(|(name, loan)| Some((name, loan?))).collect();
    for _ in 0..ATTEMPTS {
        let answers = match decide_all(&mut loans, members).await {
            Ok(answers) => answers,
            Err(refused) => {
                loans.values_mut().for_each(|loan| loan.live.take_back(&refused.error));
                loans.into_values().for_each(Loan::give_back);
                return Err(refused);
            }
        };
        let (batch, handed) = batch(&loans, &tenant, once, &answers);
        let error = match store.commit(batch).await {
            Ok(committed) => {
                let mut committed = committed.into_iter();
                for (mut loan, handed) in loans.into_values().zip(handed) {
                    let own: Vec<_> = committed.by_ref().take(handed.appends()).collect();
                    loan.live.publish(own.into_iter().next(), &handed);
                    loan.give_back();
                }
                return Ok((answers, false));
            }
            Err(CommitError::Repeated { result, .. }) if once.is_some() => {
                let once = once.expect("it was looked at just now");
                loans.values_mut().for_each(|loan| loan.live.take_back(&DocumentError::Overloaded));
                loans.into_values().for_each(Loan::give_back);
                return repeated(&result, once).map(|versions| (versions, true));
            }
            Err(CommitError::Stale { .. } | CommitError::Repeated { .. } | CommitError::Settled { .. }) => {
                for loan in loans.values_mut() {
                    loan.live.take_back(&DocumentError::Overloaded);
                    let reloaded = loan.live.reload().await;
                    reloaded.map_err(|broken| DocumentError::Unavailable { reason: broken.reason })?;
                }
                continue;
            }
            Err(CommitError::Full) => DocumentError::StorageFull,
            // Whether it was written is unknown: the loans are not given back, so the tasks read what is stored.
            Err(error @ (CommitError::Unavailable { .. } | CommitError::Fenced { .. })) => {
                return Err(DocumentError::Unavailable { reason: error.to_string() }.into());
            }
        };
        loans.values_mut().for_each(|loan| loan.live.take_back(&error));
        loans.into_values().for_each(Loan::give_back);
        return Err(error.into());
    }
    loans.into_values().for_each(Loan::give_back);
    Err(DocumentError::Overloaded.into())
}

/// Decides everything in order; the versions that it makes.
async fn decide_all(loans: &mut BTreeMap<&DocumentRef, Loan>, members: &[Member]) -> Result<Vec<u64>, TogetherRefused> {
    let mut versions = Vec::with_capacity(members.len());
    for (index, member) in members.iter().enumerate() {
        let live = &mut loans.get_mut(&member.name).expect("every member's document was borrowed").live;
        let existed = live.document.exists();
        let decided = live.decide(&member.write, &member.author).await;
        let decided = match decided {
            Ok(Ok(decided)) => decided,
            Ok(Err(error)) => {
                let error = error.of_head(live.deltas.version());
                return Err(TogetherRefused { index: Some(index), error });
            }
            Err(broken) => return Err(DocumentError::Unavailable { reason: broken.reason }.into()),
        };
        let version = live.document.version();
        let (reply, _) = oneshot::channel::<Result<Accepted, DocumentError>>();
        let (write, author) = (member.write.clone(), member.author.clone());
        live.pending.push(Pending {
            write: Box::new(write),
            author,
            reply: Reply::Caller(reply),
            decided,
            existed,
            is_repeated: false,
            version,
            text: None,
            skipped: Vec::new(),
        });
        versions.push(version);
    }
    Ok(versions)
}

fn batch(
    loans: &BTreeMap<&DocumentRef, Loan>,
    tenant: &Tenant,
    once: Option<&Once>,
    versions: &[u64],
) -> (Batch, Vec<Handed>) {
    let mut all = Batch::default();
    let mut handed = Vec::with_capacity(loans.len());
    for loan in loans.values() {
        let (batch, of_document) = loan.live.batch();
        all.appends.extend(batch.appends);
        all.put.extend(batch.put);
        handed.push(of_document);
    }
    all.remember.extend(once.map(|once| {
        let remembered = Remembered { fingerprint: once.fingerprint.clone(), versions: versions.to_vec() };
        Remember {
            tenant: tenant.clone(),
            key: once.key.clone(),
            result: json_text::encode(&remembered).into(),
            expires_at_ms: now_ms() + ANSWERS_MS,
            overwrites: false,
        }
    }));
    (all, handed)
}

fn repeated(found: &[u8], once: &Once) -> Result<Vec<u64>, TogetherRefused> {
    let damaged = |error: serde_json::Error| DocumentError::Unavailable {
        reason: format!("what is remembered under {} is damaged: {error}", once.key),
    };
    let remembered: Remembered = serde_json::from_slice(found).map_err(damaged)?;
    match remembered.fingerprint == once.fingerprint {
        true => Ok(remembered.versions),
        false => Err(DocumentError::IdempotencyMismatch.into()),
    }
}

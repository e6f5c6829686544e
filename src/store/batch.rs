//! What is written: appends to streams, results to remember and work to do later, all or nothing.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use uuid::fmt::Simple;

use super::{Fence, Seq, Settle, StreamKey, Tenant, WorkItem};

/// One atomic change of any number of streams. Two appends to one stream are applied in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What is added to which stream.
    pub appends: Vec<Append>,
    /// Results to find again under an idempotency key.
    pub remember: Vec<Remember>,
    /// Work to do later; replaces what waits under the same key.
    pub put: Vec<WorkItem>,
    /// Work that is done with this. Taken out before `put` is put in.
    pub settle: Vec<Settle>,
    /// Streams that go with all they hold, after the appends; one that is absent is no fault.
    pub delete: Vec<StreamKey>,
    /// The lease of the process that writes it; `None` where nobody else can be writing.
    pub fence: Option<Fence>,
}

impl From<Append> for Batch {
    fn from(append: Append) -> Self {
        Self { appends: vec![append], ..Self::default() }
    }
}

/// A change of one stream. What is `None` stays as it was.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream; created when it is absent and `expected` is 0.
    pub stream: StreamKey,
    /// The head position the writer decided on.
    pub expected: Seq,
    /// Added after it, in order; may be empty.
    pub entries: Vec<NewEntry>,
    /// A few bytes for listings, replaced as a whole.
    pub summary: Option<Bytes>,
    /// Whether a restart must look at this stream.
    pub open: Option<bool>,
    /// What the stream amounts to after these entries; replaces the snapshot before.
    pub snapshot: Option<Bytes>,
    /// Drops for good every entry that ends at or before this position, these entries included.
    pub trim: Option<Seq>,
}

impl Append {
    /// An append of nothing yet; fill in what changes.
    pub fn to(stream: StreamKey, expected: Seq) -> Self {
        Self { stream, expected, entries: Vec::new(), summary: None, open: None, snapshot: None, trim: None }
    }
}

/// An entry to append.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// How many positions it takes.
    pub span: NonZeroU32,
    /// Its bytes.
    pub body: Bytes,
}

impl NewEntry {
    /// An entry that takes one position.
    pub fn one(body: impl Into<Bytes>) -> Self {
        Self { span: NonZeroU32::MIN, body: body.into() }
    }
}

/// A result to keep under an idempotency key, in the same transaction as what it is the result of.
#[derive(Clone, Debug)]
pub struct Remember {
    /// Whose key; who in the tenant is for the caller to put into the key.
    pub tenant: Tenant,
    /// Unique in the tenant while it has not expired.
    pub key: String,
    /// What a repeated commit answers.
    pub result: Bytes,
    /// When it may be forgotten, in milliseconds since 1970.
    pub expires_at_ms: i64,
    /// Whether it takes the place of what is remembered under the key, instead of being refused for it.
    pub overwrites: bool,
}

/// Where an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The stream's lineage: another one after the stream was deleted or lost. 16 hexadecimal digits.
    pub epoch: Arc<str>,
    /// The stream's head after the append.
    pub seq: Seq,
}

/// A new lineage: 62 random bits, so that it stays short in the ids clients resume by.
pub(super) fn mint_epoch() -> Arc<str> {
    let mut text = [0; Simple::LENGTH];
    let random: &str = &Uuid::new_v4().simple().encode_lower(&mut text)[16..];
    Arc::from(random)
}

//! A mutation as a JSON object: `{patch | merge | replace | intents, base?, if_version?, create?, reason?, run_id?, dry_run?}`
//! (docs/state-api.md §4). What else the object holds is its caller's.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::runtime::{Proposal, Write};
use crate::state::intent::{self, Intent};
use crate::state::limits::Limits;
use crate::state::patch::{self, Operation};

use super::super::error::problem::{Code, Problem};
use super::super::v1::body::fields;

const PROPOSALS: [&str; 4] = ["patch", "merge", "replace", "intents"];

/// Exactly one of `patch`, `merge`, `replace` and `intents`, and the terms on which it may happen.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `take` takes apart")]
pub(in crate::server) struct Mutation {
    patch: Option<Vec<Operation>>,
    /// RFC 7396.
    merge: Option<Value>,
    /// The whole body; with `base` what differs from that version.
    replace: Option<Value>,
    intents: Option<Vec<Intent>>,
    /// The version its author saw: what others wrote since is merged, not overwritten.
    base: Option<u64>,
    /// The document must be at this version.
    if_version: Option<u64>,
    /// A document that is absent is created; `replace` always does.
    create: Option<bool>,
    reason: Option<String>,
    /// The run on whose behalf this is written.
    run_id: Option<String>,
}

/// Takes the mutation out of an object. `replace` creates the document, the others only with `create: true`.
pub(in crate::server) fn take(members: &mut Map<String, Value>) -> Result<Write, Problem> {
    #[derive(Deserialize)]
    struct Terms {
        base: Option<u64>,
        if_version: Option<u64>,
        #[serde(default)]
        create: bool,
        reason: Option<String>,
        run_id: Option<String>,
        #[serde(default)]
        dry_run: bool,
    }
    let mut given = PROPOSALS.iter().filter_map(|kind| members.remove(*kind).map(|value| (*kind, value)));
    let (Some((kind, value)), None) = (given.next(), given.next()) else {
        return Err(invalid("a mutation holds exactly one of `patch`, `merge`, `replace` and `intents`"));
    };
    drop(given);
    let proposal = match kind {
        "patch" => Proposal::Patch(patch::read(value, &Limits::default())?),
        "merge" => Proposal::Merge(value),
        "intents" => Proposal::Intents(intent::read(value, &Limits::default())?),
        _ => Proposal::Replace(value),
    };
    let terms = ["base", "if_version", "create", "reason", "run_id", "dry_run"];
    let terms: Map<_, _> = terms.iter().filter_map(|term| members.remove_entry(*term)).collect();
    let terms: Terms = fields(terms.into(), "a mutation is an object")?;
    Ok(Write {
        base: terms.base,
        expects: terms.if_version.into(),
        creates: terms.create || kind == "replace",
        reason: terms.reason,
        run_id: terms.run_id,
        dry_run: terms.dry_run,
        ..Write::new(proposal)
    })
}

/// Refuses what nothing was taken of: a precondition that is not understood must not be left out.
pub(super) fn nothing_left(members: &Map<String, Value>) -> Result<(), Problem> {
    match members.keys().next() {
        None => Ok(()),
        Some(member) => Err(invalid(&format!("`{member:.80}` is not a member of this"))),
    }
}

pub(super) fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidBody, detail)
}

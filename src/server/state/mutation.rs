//! A mutation as a JSON object: `{patch | merge | replace | intents, base?, if_version?, create?, reason?, dry_run?}`
//! (docs/state-api.md §4). What else the object holds is its caller's.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::runtime::{Proposal, Write};
use crate::state::limits::Limits;
use crate::state::{intent, patch};

use super::super::error::problem::{Code, Problem};

const PROPOSALS: [&str; 4] = ["patch", "merge", "replace", "intents"];

/// Takes the mutation out of an object. `replace` creates the document, the others only with `create: true`.
pub(in crate::server) fn take(members: &mut Map<String, Value>) -> Result<Write, Problem> {
    #[derive(Deserialize)]
    struct Terms {
        base: Option<u64>,
        if_version: Option<u64>,
        #[serde(default)]
        create: bool,
        reason: Option<String>,
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
    let terms = ["base", "if_version", "create", "reason", "dry_run"];
    let terms: Map<_, _> = terms.iter().filter_map(|term| members.remove_entry(*term)).collect();
    let terms: Terms = serde_json::from_value(terms.into()).map_err(|error| invalid(&error.to_string()))?;
    Ok(Write {
        base: terms.base,
        expects: terms.if_version.into(),
        creates: terms.create || kind == "replace",
        reason: terms.reason,
        dry_run: terms.dry_run,
        ..Write::new(proposal)
    })
}

pub(super) fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidBody, detail)
}

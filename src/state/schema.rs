//! One annotated JSON Schema per type: what a document must look like, how its places merge, who may see and write them.
//!
//! A schema is compiled once. It is closed: a `$ref` stays within it. Patterns are matched by `regex`, in time linear in
//! the text, whatever the pattern; one that needs backtracking (look-around, back-references) is refused.

mod check;
mod compile;
mod settle;
mod unkeyed;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator, ValidatorMap};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::pointer::{Pointer, array_index};

pub use check::Hop;
pub(crate) use compile::local_target;
pub use view::{Reader, View};

/// A compiled schema; a clone shares it.
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    source: Value,
    /// One per subschema, by its fragment (`#/properties/a`).
    validators: ValidatorMap,
    /// The first is the root's.
    places: Vec<Place>,
    whole: Vec<Pointer>,
}

/// What one subschema says of the values it is for.
#[derive(Default)]
struct Place {
    fragment: String,
    members: BTreeMap<String, PlaceId>,
    patterns: Vec<(Validator, PlaceId)>,
    /// For members that are none of the above.
    other_members: Option<PlaceId>,
    refuses_other_members: bool,
    elements: Vec<PlaceId>,
    /// Subschemas that hold for the same value: `$ref`, `allOf`.
    and: Vec<PlaceId>,
    /// Subschemas that may hold for the same value: `anyOf`, `oneOf`, `not`, `if`, `then`, `else`, `dependentSchemas`.
    or: Vec<PlaceId>,
    /// Checks a container without what is in it.
    shallow: Option<Validator>,
    member_names: Option<Validator>,
    /// Its keywords look at several places at once.
    is_whole: bool,
    says: Annotations,
    /// What is said here or anywhere below.
    reach: Reach,
}

#[derive(Default)]
struct Annotations {
    rule: Option<Rule>,
    read: Option<Vec<String>>,
    write: Option<Vec<String>>,
    is_secret: bool,
    transitions: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reach {
    rules: bool,
    cas: bool,
    transitions: bool,
}

type PlaceId = usize;

/// `x-merge`: how two writes of one place come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The later one stands.
    Lww,
    /// The one that did not see the other is refused.
    Cas,
    /// What each added is added.
    Counter,
    /// The larger one stands.
    Max,
    /// The smaller one stands.
    Min,
    /// An array without order: what each put in or took out.
    Set,
    /// An array that grows at its end.
    Append,
    /// An array whose elements are recognised by this member.
    List(String),
    /// Text: what each inserted and deleted.
    Text,
}

/// Why a schema is refused, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is refused at `{path}`: {message}")]
pub struct SchemaError {
    pub path: Pointer,
    pub message: String,
}

/// A place of a value that its schema refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub path: Pointer,
    /// Says what is wrong without quoting the value.
    pub message: String,
}

impl Schema {
    pub fn compile(source: Value) -> Result<Self, SchemaError> {
        compile::compile(source).map(|compiled| Self(Arc::new(compiled)))
    }

    /// As it was written.
    pub fn source(&self) -> &Value {
        &self.0.source
    }

    /// The subschemas below which a commit is not judged by what it touched alone: their keywords (`anyOf`, `uniqueItems` …)
    /// look at several places at once, so that the value they are for is validated whole.
    pub fn whole(&self) -> &[Pointer] {
        &self.0.whole
    }

    /// How writes of `path` itself merge, where something is said of it; of several rules the first.
    pub fn rule_at(&self, path: &Pointer) -> Option<&Rule> {
        self.places_at(path).into_iter().find_map(|id| self.place(id).says.rule.as_ref())
    }

    /// The member that names the elements of the list at `path`.
    pub fn key_at(&self, path: &Pointer) -> Option<&str> {
        self.key_of(&self.places_at(path))
    }

    fn key_of(&self, places: &[PlaceId]) -> Option<&str> {
        match places.iter().find_map(|&id| self.place(id).says.rule.as_ref())? {
            Rule::List(key) => Some(key),
            _ => None,
        }
    }

    pub(crate) fn has_rules(&self) -> bool {
        self.0.places[0].reach.rules
    }

    pub(crate) fn has_cas(&self) -> bool {
        self.0.places[0].reach.cas
    }

    pub(crate) fn has_transitions(&self) -> bool {
        self.0.places[0].reach.transitions
    }

    fn place(&self, id: PlaceId) -> &Place {
        &self.0.places[id]
    }

    fn said<'s>(&'s self, places: &'s [PlaceId]) -> impl Iterator<Item = &'s Annotations> {
        places.iter().map(|&id| &self.place(id).says)
    }

    /// All that may be said of the root.
    fn root(&self) -> Vec<PlaceId> {
        self.with_company(vec![0], true)
    }

    /// All that may be said of the value at `path`.
    fn places_at(&self, path: &Pointer) -> Vec<PlaceId> {
        path.tokens().iter().fold(self.root(), |places, token| self.step(&places, token, true))
    }

    /// What is said of member or element `token` of a value of which `places` speak: with what only may hold, if `or`.
    fn step(&self, places: &[PlaceId], token: &str, or: bool) -> Vec<PlaceId> {
        let mut next = Vec::new();
        for place in places.iter().map(|&id| self.place(id)) {
            if token == "-" || array_index(token).is_some() {
                place.of_index(token, &mut next);
            } else {
                place.of_member(token, &mut next);
            }
        }
        self.with_company(next, or)
    }

    /// Adds the subschemas that speak of the same value.
    fn with_company(&self, mut places: Vec<PlaceId>, or: bool) -> Vec<PlaceId> {
        let mut at = 0;
        while let Some(&id) = places.get(at) {
            let place = self.place(id);
            let company = place.and.iter().chain(place.or.iter().filter(|_| or));
            for &other in company {
                if !places.contains(&other) {
                    places.push(other);
                }
            }
            at += 1;
        }
        places
    }
}

impl Place {
    /// An element, or a member named by digits: a path does not tell. All that such steps may mean counts for each, so
    /// that what is said of one element is said of all.
    fn of_index(&self, name: &str, found: &mut Vec<PlaceId>) {
        found.extend(&self.elements);
        found.extend(self.members.iter().filter(|(name, _)| array_index(name).is_some()).map(|(_, id)| *id));
        if self.elements.is_empty() {
            self.of_member(name, found);
        } else {
            found.extend(self.patterns.iter().map(|(_, id)| *id));
            found.extend(self.other_members);
        }
    }

    fn of_member(&self, name: &str, found: &mut Vec<PlaceId>) {
        let before = found.len();
        found.extend(self.members.get(name));
        let matches = |pattern: &Validator| pattern.is_valid(&Value::String(name.to_owned()));
        found.extend(self.patterns.iter().filter(|(pattern, _)| matches(pattern)).map(|(_, id)| *id));
        if found.len() == before {
            found.extend(self.other_members);
        }
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schema").field(&self.0.source).finish()
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.source == other.0.source
    }
}

/// How everything of a schema is compiled: nothing is fetched, and patterns run in linear time and bounded memory.
fn options() -> jsonschema::ValidationOptions<'static> {
    let patterns = PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20);
    jsonschema::options().with_pattern_options(patterns).offline()
}

#[cfg(test)]
mod tests;

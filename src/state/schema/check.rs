//! Judging a change: what it touched, against what the schema says there, and the hops of lifecycle members.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::Value;

use super::{Fault, PlaceId, Schema};
use crate::state::diff::matches;
use crate::state::later::before;
use crate::state::patch::Operation;
use crate::state::pointer::{Pointer, array_index};
use crate::state::touch::places;

/// No more faults than these are told.
const MAX_FAULTS: usize = 32;
/// A change of more operations is validated whole: following each place would cost more.
const MANY_OPS: usize = 256;

/// A hop of a lifecycle member that `x-transitions` does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    pub path: Pointer,
    pub from: String,
    /// `None`: the member was removed.
    pub to: Option<String>,
    /// The states that may follow.
    pub allowed: Vec<String>,
}

impl Schema {
    /// All that is wrong with a value.
    pub fn faults(&self, value: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.collect(&[0], value, &Pointer::root(), &mut faults);
        faults
    }

    /// What is wrong with `body` after `effects` (in safe form), which made it from a valid value: judged where they touched.
    pub(crate) fn faults_of_change(&self, body: &Value, effects: &[Operation]) -> Vec<Fault> {
        if effects.len() > MANY_OPS {
            return self.faults(body);
        }
        let mut faults = Vec::new();
        let mut judged: BTreeSet<Pointer> = BTreeSet::new();
        let mut touched = places(effects, body);
        touched.sort_unstable_by_key(|path| path.tokens().len());
        for path in touched {
            let is_covered = (0..=path.tokens().len())
                .any(|depth| judged.contains(&Pointer::from_tokens(path.tokens()[..depth].iter().cloned())));
            if !is_covered && faults.len() < MAX_FAULTS {
                judged.insert(self.judge(&path, body, &mut faults));
            }
        }
        faults
    }

    /// Judges as little as is enough for a change at `path`; answers the place that needs no further look.
    fn judge(&self, path: &Pointer, body: &Value, faults: &mut Vec<Fault>) -> Pointer {
        let mut places = self.with_company(vec![0], false);
        let mut here = Pointer::root();
        let mut value = body;
        for (depth, token) in path.tokens().iter().enumerate() {
            if places.iter().any(|&id| self.place(id).is_whole) {
                self.collect(&places, value, &here, faults);
                return here;
            }
            if depth + 1 == path.tokens().len() {
                self.collect_shallow(&places, value, token, &here, faults);
            }
            let next = match value {
                Value::Object(members) => members.get(token),
                Value::Array(elements) => array_index(token).and_then(|index| elements.get(index)),
                _ => None,
            };
            let Some(next) = next else { return path.clone() };
            places = self.step_into(&places, token, value.is_array());
            here = here.join(token);
            value = next;
        }
        self.collect(&places, value, &here, faults);
        here
    }

    fn step_into(&self, places: &[PlaceId], token: &str, is_array: bool) -> Vec<PlaceId> {
        let mut next = Vec::new();
        for place in places.iter().map(|&id| self.place(id)) {
            if is_array {
                next.extend(&place.elements);
            } else {
                place.of_member(token, &mut next);
            }
        }
        self.with_company(next, false)
    }

    fn collect(&self, places: &[PlaceId], value: &Value, at: &Pointer, faults: &mut Vec<Fault>) {
        for place in places.iter().map(|&id| self.place(id)) {
            let validator = self.0.validators.get(&place.fragment).expect("every place has its validator");
            note(validator, value, at, faults);
        }
    }

    /// The container of a touched member or element, but for what is in it.
    fn collect_shallow(&self, places: &[PlaceId], value: &Value, token: &str, at: &Pointer, faults: &mut Vec<Fault>) {
        for place in places.iter().map(|&id| self.place(id)) {
            if let Some(shallow) = &place.shallow {
                note(shallow, value, at, faults);
            }
            if !value.as_object().is_some_and(|members| members.contains_key(token)) {
                continue;
            }
            if place.refuses_other_members {
                let mut known = Vec::new();
                place.of_member(token, &mut known);
                if known.is_empty() {
                    faults.push(Fault { path: at.join(token), message: "this member is not allowed here".into() });
                }
            }
            if let Some(names) = &place.member_names
                && !names.is_valid(&Value::String(token.to_owned()))
            {
                faults
                    .push(Fault { path: at.join(token), message: "a member of this name is not allowed here".into() });
            }
        }
    }

    /// The first hop that is not allowed among the places that `effects`, which `inverse` takes back, touched.
    pub(crate) fn forbidden_hop(&self, body: &Value, effects: &[Operation], inverse: &[Operation]) -> Option<Hop> {
        if !self.has_transitions() {
            return None;
        }
        let mut touched = places(effects, body);
        touched.sort_unstable();
        touched.dedup();
        touched.iter().find_map(|path| {
            let (_, was) = before(path, body, inverse);
            self.hop(&self.places_at(path), was.as_ref()?, path.get(body), path)
        })
    }

    fn hop(&self, places: &[PlaceId], was: &Value, is: Option<&Value>, at: &Pointer) -> Option<Hop> {
        if !places.iter().any(|&id| self.place(id).reach.transitions) {
            return None;
        }
        match (was, is) {
            (Value::String(from), is) => {
                // What goes with its whole object ends there; a member alone may not slip out of its states.
                let to = is.and_then(Value::as_str);
                let mut rules = self.said(places).filter_map(|says| says.transitions.as_ref());
                let allowed = |transitions: &&BTreeMap<String, Vec<String>>| {
                    let allowed = transitions.get(from).map_or(&[][..], Vec::as_slice);
                    to == Some(from) || to.is_some_and(|to| allowed.iter().any(|state| state == to))
                };
                let refusing = rules.find(|transitions| !allowed(transitions))?;
                Some(Hop {
                    path: at.clone(),
                    from: from.clone(),
                    to: to.map(str::to_owned),
                    allowed: refusing.get(from).cloned().unwrap_or_default(),
                })
            }
            (Value::Object(was), Some(Value::Object(is))) => was.iter().find_map(|(name, was)| {
                self.hop(&self.step_into_any(places, name, false), was, is.get(name), &at.join(name))
            }),
            (Value::Array(was), Some(Value::Array(is))) => matches(was, is).into_iter().find_map(|(i, j)| {
                let element = self.step_into_any(places, "-", true);
                self.hop(&element, &was[i], Some(&is[j]), &at.join(j.to_string()))
            }),
            _ => None,
        }
    }

    fn step_into_any(&self, places: &[PlaceId], token: &str, is_array: bool) -> Vec<PlaceId> {
        let next = self.step_into(places, token, is_array);
        self.with_company(next, true)
    }
}

fn note(validator: &Validator, value: &Value, at: &Pointer, faults: &mut Vec<Fault>) {
    let room = MAX_FAULTS.saturating_sub(faults.len());
    for error in validator.iter_errors(value).take(room) {
        let below = Pointer::parse(error.instance_path().as_str()).unwrap_or_default();
        let path = Pointer::from_tokens(at.tokens().iter().chain(below.tokens()).cloned());
        let fault = Fault { path, message: error.masked_with("this value").to_string() };
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

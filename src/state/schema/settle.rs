//! Merge rules by place: which rule a written value meets, there and below.

use serde_json::Value;

use super::{PlaceId, Rule, Schema};
use crate::state::merge::rules::{Settled, settle};
use crate::state::pointer::Pointer;

impl Schema {
    /// What `new`, written at `path` over `base`, comes to where the head holds `head`, by the rules there and below.
    pub(crate) fn settled(&self, path: &Pointer, base: Option<&Value>, head: &Value, new: &Value) -> Option<Settled> {
        let places = self.places_at(path);
        self.rules_in(&places).then(|| {
            let mut settled = Settled { value: new.clone(), conflicts: Vec::new() };
            self.settle_below(&places, base, head, &mut settled.value, &Pointer::root(), &mut settled.conflicts);
            settled
        })
    }

    fn rules_in(&self, places: &[PlaceId]) -> bool {
        places.iter().any(|&id| self.place(id).reach.rules)
    }

    fn settle_below(
        &self,
        places: &[PlaceId],
        base: Option<&Value>,
        head: &Value,
        new: &mut Value,
        at: &Pointer,
        conflicts: &mut Vec<Pointer>,
    ) {
        if !self.rules_in(places) {
            return;
        }
        if let Some(rule) = self.said(places).find_map(|says| says.rule.as_ref())
            && let Some(settled) = settle(rule, base, Some(head), new)
        {
            *new = settled.value;
            let below = |path: Pointer| Pointer::from_tokens(at.tokens().iter().chain(path.tokens()).cloned());
            conflicts.extend(settled.conflicts.into_iter().map(below));
        } else if let (Value::Object(head), Value::Object(new)) = (head, new) {
            for (name, new) in new.iter_mut() {
                let Some(head) = head.get(name) else { continue };
                let base = base.and_then(|base| base.as_object()?.get(name));
                self.settle_below(&self.step(places, name, true), base, head, new, &at.join(name), conflicts);
            }
        }
    }

    /// The place, at `path` or above, of which who writes at `path` must have seen what is there; `None` where anybody may.
    pub(crate) fn cas_over(&self, path: &Pointer) -> Option<Pointer> {
        let mut places = self.root();
        let mut governing = None;
        let mut tokens = path.tokens().iter().enumerate();
        loop {
            let next = tokens.next();
            let depth = next.map_or(path.tokens().len(), |(depth, _)| depth);
            if let Some(rule) = self.said(&places).find_map(|says| says.rule.as_ref()) {
                governing = (*rule == Rule::Cas).then_some(depth);
            }
            let Some((_, token)) = next else { break };
            places = self.step(&places, token, true);
        }
        governing.map(|depth| Pointer::from_tokens(path.tokens()[..depth].iter().cloned()))
    }

    /// The places below `path`, which holds `value`, of which the same is true.
    pub(crate) fn cas_below(&self, path: &Pointer, value: &Value) -> Vec<Pointer> {
        let mut found = Vec::new();
        self.find_cas(&self.places_at(path), path, value, &mut found);
        found
    }

    fn find_cas(&self, places: &[PlaceId], at: &Pointer, value: &Value, found: &mut Vec<Pointer>) {
        if !places.iter().any(|&id| self.place(id).reach.cas) {
            return;
        }
        if self.said(places).any(|says| says.rule == Some(Rule::Cas)) {
            found.push(at.clone());
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.find_cas(&self.step(places, name, true), &at.join(name), value, found);
                }
            }
            Value::Array(elements) => {
                for (index, value) in elements.iter().enumerate() {
                    let token = index.to_string();
                    self.find_cas(&self.step(places, &token, true), &at.join(token), value, found);
                }
            }
            _ => {}
        }
    }
}

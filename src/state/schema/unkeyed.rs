//! Lists whose elements hold secrets and cannot be told apart for sure: who writes such a list without seeing the secrets may
//! lose them.

use super::{PlaceId, Schema};
use crate::state::diff::KEY_MEMBERS;
use crate::state::pointer::Pointer;

impl Schema {
    /// The subschemas of lists that say by no `x-merge: list:<key>` which element is which, nor give their elements an `id` or
    /// a `key`, and below which something is `x-secret`. A list that is secret as a whole is none of them.
    pub fn unkeyed_secrets(&self) -> Vec<Pointer> {
        let (mut found, mut seen, mut next) = (Vec::new(), vec![0], vec![0]);
        while let Some(id) = next.pop() {
            let speaking = self.with_company(vec![id], true);
            if self.is_secret(&speaking) {
                continue;
            }
            let elements = self.elements_of(&speaking);
            if !elements.is_empty() && self.is_unkeyed(&speaking, &elements) && self.holds_secrets(&elements) {
                found.push(Pointer::parse(&self.place(id).fragment[1..]).unwrap_or_default());
            }
            for below in elements.into_iter().chain(self.members_of(&speaking)) {
                if !seen.contains(&below) {
                    seen.push(below);
                    next.push(below);
                }
            }
        }
        found.sort();
        found
    }

    fn is_secret(&self, places: &[PlaceId]) -> bool {
        self.said(places).any(|says| says.is_secret)
    }

    fn is_unkeyed(&self, list: &[PlaceId], elements: &[PlaceId]) -> bool {
        let elements = self.with_company(elements.to_vec(), true);
        let is_key = |name: &&str| elements.iter().any(|&id| self.place(id).members.contains_key(*name));
        self.key_of(list).is_none() && !KEY_MEMBERS.iter().any(is_key)
    }

    /// Whether something in these elements is secret; elements that are so themselves are not told at all.
    fn holds_secrets(&self, elements: &[PlaceId]) -> bool {
        let elements = self.with_company(elements.to_vec(), true);
        let (mut seen, mut next) = (elements.clone(), elements.clone());
        !self.is_secret(&elements)
            && std::iter::from_fn(|| {
                let id = next.pop()?;
                let place = self.with_company(vec![id], true);
                let below = self.members_of(&place).into_iter().chain(self.elements_of(&place));
                let new: Vec<_> = below.filter(|id| !seen.contains(id)).collect();
                seen.extend(&new);
                next.extend(&new);
                Some(self.is_secret(&self.with_company(new, true)))
            })
            .any(|is_secret| is_secret)
    }

    fn elements_of(&self, places: &[PlaceId]) -> Vec<PlaceId> {
        places.iter().flat_map(|&id| self.place(id).elements.iter().copied()).collect()
    }

    fn members_of(&self, places: &[PlaceId]) -> Vec<PlaceId> {
        let members = |&id: &PlaceId| {
            let place = self.place(id);
            let patterns = place.patterns.iter().map(|(_, id)| *id);
            place.members.values().copied().chain(patterns).chain(place.other_members)
        };
        places.iter().flat_map(members).collect()
    }
}

//! Which agents start each other in a circle, as far as their definitions tell.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::agent::definition::{Definition, StateTrigger, TriggerKind, glob};

/// Every circle once, from its first id on: `[a, b, a]`.
pub(super) fn cycles(definitions: &[Definition]) -> Vec<Vec<String>> {
    let mut starts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in definitions {
        for other in definitions {
            if one.asks().any(|asked| asked == other.id) || starts_by_end(one, other) || starts_by_writing(one, other) {
                starts.entry(&one.id).or_default().insert(&other.id);
            }
        }
    }
    starts.keys().filter_map(|first| shortest(first, &starts)).collect()
}

/// Whether a run of `one` that ended starts `other`.
fn starts_by_end(one: &Definition, other: &Definition) -> bool {
    other.triggers.iter().any(|trigger| matches!(&trigger.kind, TriggerKind::Agent { agent, .. } if *agent == one.id))
}

/// Whether what `one` may write starts `other`.
fn starts_by_writing(one: &Definition, other: &Definition) -> bool {
    let own: Vec<String> = one.own_documents().collect();
    let others = &one.documents.write;
    other.triggers.iter().any(|trigger| match &trigger.kind {
        TriggerKind::State(StateTrigger { doc, path, from, .. }) => {
            let hears = match from {
                // Nobody is started by what it wrote itself, unless it asks for it.
                None => one.id != other.id,
                Some(actors) => {
                    actors.iter().any(|actor| actor == "agent" || actor.strip_prefix("agent:") == Some(&one.id))
                }
            };
            let everywhere = one.state.write.is_none();
            let touches = |path: &str| one.state.write.iter().flatten().any(|written| meet(written, path));
            let path = path.as_ref().map(ToString::to_string);
            let writes_own = own.iter().any(|own| glob::overlap(doc, own))
                && path.as_ref().is_none_or(|path| everywhere || touches(path));
            let writes_another = others.iter().any(|place| {
                glob::overlap(doc, &place.pattern)
                    && path.as_ref().is_none_or(|path| meet(&place.path.to_string(), path))
            });
            hears && (writes_own || writes_another)
        }
        TriggerKind::Agent { .. }
        | TriggerKind::Cron { .. }
        | TriggerKind::Interval { .. }
        | TriggerKind::Webhook(_)
        | TriggerKind::Start => false,
    })
}

/// Whether one pointer leads to the other, or further; `*` is any member.
fn meet(one: &str, other: &str) -> bool {
    one.split('/').zip(other.split('/')).all(|(one, other)| one == other || one == "*" || other == "*")
}

/// The shortest way from `first` back to it over ids that come after it.
fn shortest(first: &str, starts: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(here) = queue.pop_front() {
        for &next in starts.get(here).into_iter().flatten() {
            if next == first {
                let (mut way, mut back) = (vec![here.to_owned()], here);
                while back != first {
                    back = from.get(back).expect("every id on the queue was come to from another");
                    way.push(back.to_owned());
                }
                way.reverse();
                way.push(first.to_owned());
                return Some(way);
            }
            if next > first && !from.contains_key(next) {
                from.insert(next, here);
                queue.push_back(next);
            }
        }
    }
    None
}

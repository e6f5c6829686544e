//! One array of a posted state against the versions of it: which elements were edited, removed, added or moved.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use super::past::{Item, Node, pair};
use super::{History, Merge, Slot};
use crate::state::diff::KEY_MEMBERS;
use crate::state::diff::align::increasing;
use crate::state::patch::{self, Operation};
use crate::state::pointer::Pointer;
use crate::state::value::same;

/// At most this many versions are compared whole with the posted array; evidence is taken from all.
const CANDIDATES: usize = 32;

/// Beyond this many comparisons, elements without a place in the closest version count as new.
const MAX_LOOKUPS: usize = 1 << 23;

/// Edits, and how many of them lose an element or its value.
type Cost = (usize, usize);

/// Indexes of elements of a version with those of the posted elements that they are.
type Pairs = Vec<(usize, usize)>;

/// What the post says of a place in its array.
enum Posted {
    /// An element of the head, by its index there.
    Kept(usize),
    /// An element of the head that stands elsewhere in the post than in any version.
    Moved(usize),
    New,
    /// An element that is gone, and as it was.
    Stale,
}

pub(super) fn merge(merge: &mut Merge<'_>, head: &[Value], history: &History<'_>, posted: &[Value], at: &Pointer) {
    let mut list = List::new(head, history);
    let claims = list.claims(posted);
    let claimed: BTreeSet<usize> = claims.iter().flatten().copied().collect();

    let mut gone: Vec<usize> = Vec::new();
    for (index, item) in list.head.iter().enumerate() {
        if !claimed.contains(&item.id) && list.is_in_every_version(item.id) {
            let element = list.element(item.id);
            if !merge.leaves(&element) {
                gone.push(index);
            }
            merge.note_conflict(&element, &at.join(index.to_string()));
        }
    }
    let mut places: Vec<Posted> = Vec::new();
    for (claim, value) in claims.iter().zip(posted) {
        places.push(match claim {
            None => Posted::New,
            Some(id) => match list.index_at_head.get(id) {
                Some(&index) => Posted::Kept(index),
                None if list.element(*id).held(value) => Posted::Stale,
                None => {
                    merge.edits.conflicts.push(at.clone());
                    // Who edits inside an element that another removed loses that edit; a whole value can stand alone.
                    if value.is_object() || value.is_array() || merge.yields { Posted::Stale } else { Posted::New }
                }
            },
        });
    }
    list.find_moves(&claims, &mut places);

    let mut values: Vec<Option<Value>> = posted.iter().map(|_| None).collect();
    for (j, place) in places.iter().enumerate() {
        match place {
            Posted::Kept(index) => {
                if !same(&head[*index], &posted[j]) {
                    let element = list.element(list.head[*index].id);
                    merge.place(&element, &posted[j], &at.join(index.to_string()), Slot::Element);
                }
            }
            Posted::Moved(index) => {
                let mut inside = Merge { yields: merge.yields, ..Merge::default() };
                inside.place(&list.element(list.head[*index].id), &posted[j], &Pointer::root(), Slot::Member);
                let mut value = head[*index].clone();
                patch::replay(&mut value, &inside.edits.ops).expect("edits of an element apply to it");
                values[j] = Some(value);
                gone.push(*index);
                let here = at.join(index.to_string());
                let below = |path: Pointer| Pointer::from_tokens(here.tokens().iter().chain(path.tokens()).cloned());
                merge.edits.conflicts.extend(inside.edits.conflicts.into_iter().map(below));
            }
            Posted::New => values[j] = Some(posted[j].clone()),
            Posted::Stale => {}
        }
    }
    write(&mut merge.edits.ops, head.len(), gone, &places, values, at);
}

/// Removes from the end, then inserts from the start: each element after the one it follows in the post.
fn write(
    ops: &mut Vec<Operation>,
    len: usize,
    mut gone: Vec<usize>,
    places: &[Posted],
    values: Vec<Option<Value>>,
    at: &Pointer,
) {
    gone.sort_unstable();
    for index in gone.iter().rev() {
        ops.push(Operation::Remove { path: at.join(index.to_string()) });
    }
    let gone: BTreeSet<usize> = gone.into_iter().collect();
    let last_kept = places.iter().rposition(|place| matches!(place, Posted::Kept(_)));
    let mut first = Vec::new();
    let mut last = Vec::new();
    let mut after: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    let mut anchor = None;
    for (j, (place, value)) in places.iter().zip(values).enumerate() {
        if let Posted::Kept(index) = place {
            anchor = Some(*index);
        }
        let Some(value) = value else { continue };
        match anchor {
            // What stands at the end of the post goes behind what others appended.
            _ if last_kept.is_none_or(|last_kept| j > last_kept) => last.push(value),
            Some(index) => after.entry(index).or_default().push(value),
            None => first.push(value),
        }
    }
    let mut place = 0;
    let mut insert = |values: Vec<Value>, place: &mut usize| {
        for value in values {
            ops.push(Operation::Add { path: at.join(place.to_string()), value });
            *place += 1;
        }
    };
    insert(first, &mut place);
    for index in (0..len).filter(|index| !gone.contains(index)) {
        place += 1;
        insert(after.remove(&index).unwrap_or_default(), &mut place);
    }
    insert(last, &mut place);
}

/// The versions of one array, by the identity of its elements.
struct List<'h, 'a> {
    head: Vec<Item<'a>>,
    index_at_head: BTreeMap<usize, usize>,
    oldest: BTreeSet<usize>,
    was_always_array: bool,
    history: &'h History<'a>,
    /// The nodes that each element was before the head, where they differ from the head's.
    held: BTreeMap<usize, Vec<Node<'a>>>,
}

impl<'h, 'a> List<'h, 'a> {
    fn new(head: &'a [Value], history: &'h History<'a>) -> Self {
        let head: Vec<_> = head.iter().map(Item::new).collect();
        let index_at_head: BTreeMap<usize, usize> =
            head.iter().enumerate().map(|(index, item)| (item.id, index)).collect();
        let oldest = match history.older.last() {
            Some(Some(oldest)) => oldest.items().iter().map(|item| item.id).collect(),
            _ => BTreeSet::new(),
        };
        let was_always_array = history.older.iter().all(|node| node.as_ref().is_some_and(Node::is_array));
        let mut list = Self { head, index_at_head, oldest, was_always_array, history, held: BTreeMap::new() };
        list.collect_held();
        list
    }

    /// Versions share chunks: each is looked at once, so the cost is that of the changes and not of the versions.
    fn collect_held(&mut self) {
        let mut seen = BTreeSet::new();
        let mut newer: Vec<super::past::Chunk<'a>> = Vec::new();
        for node in self.history.older.iter().flatten() {
            let chunks = node.chunks();
            for chunk in &chunks {
                if !seen.insert(Rc::as_ptr(chunk).addr()) {
                    continue;
                }
                for item in chunk.iter() {
                    let at_head = self.index_at_head.get(&item.id).map(|&index| &self.head[index].node);
                    let held = self.held.entry(item.id).or_default();
                    if !at_head.is_some_and(|node| node.is(&item.node)) && !held.iter().any(|node| node.is(&item.node))
                    {
                        held.push(item.node.clone());
                    }
                }
            }
            // Keeps the chunks alive, so that no address is seen twice for two chunks.
            newer.extend(chunks);
        }
    }

    /// An element once removed never comes back as itself, so that two ends stand for all versions between.
    fn is_in_every_version(&self, id: usize) -> bool {
        self.was_always_array && self.index_at_head.contains_key(&id) && self.oldest.contains(&id)
    }

    fn element(&self, id: usize) -> History<'a> {
        let head = self.index_at_head.get(&id).and_then(|&index| match &self.head[index].node {
            Node::Value(value) => Some(*value),
            Node::Object(_) | Node::Array(_) => None,
        });
        let held = self.held.get(&id).into_iter().flatten().cloned().map(Some);
        let absent = (!self.is_in_every_version(id)).then_some(None);
        History::new(head, held.chain(absent))
    }

    /// For each posted element the identity of the one it is, if it is one that some version held.
    fn claims(&mut self, posted: &[Value]) -> Vec<Option<usize>> {
        let posted_items: Vec<Item<'_>> = posted.iter().map(Item::new).collect();
        let (base, pairs) = self.closest(&posted_items, posted);
        let mut claims: Vec<Option<usize>> = posted.iter().map(|_| None).collect();
        let (likely, doubtful): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|&(i, j)| base[i].node.same(&posted[j]) || alike(&base[i].node, &posted[j]));
        for (i, j) in likely {
            claims[j] = Some(base[i].id);
        }
        let mut claimed: BTreeSet<usize> = claims.iter().flatten().copied().collect();
        let open: Vec<usize> = (0..posted.len()).filter(|&j| claims[j].is_none()).collect();
        if open.len().saturating_mul(self.head.len() + self.held.len()) <= MAX_LOOKUPS {
            for j in open {
                // Seen in another version than the closest, or moved within it.
                if let Some(id) = self.find(&posted[j], &claimed) {
                    claims[j] = Some(id);
                    claimed.insert(id);
                }
            }
        }
        for (i, j) in doubtful {
            // Nothing tells that it is another element, or what it was; one that is not in every version may be unseen.
            let id = base[i].id;
            if claims[j].is_none() && self.is_in_every_version(id) && claimed.insert(id) {
                claims[j] = Some(id);
            }
        }
        claims
    }

    /// A free element that some version held with this value or this key.
    fn find(&self, value: &Value, claimed: &BTreeSet<usize>) -> Option<usize> {
        let is_it = |node: &Node<'a>| node.same(value) || has_its_key(node, value);
        let at_head = self.head.iter().find(|item| !claimed.contains(&item.id) && is_it(&item.node));
        at_head.map(|item| item.id).or_else(|| {
            let mut before = self.held.iter().filter(|(id, _)| !claimed.contains(id));
            before.find(|(_, held)| held.iter().any(is_it)).map(|(id, _)| *id)
        })
    }

    /// The version that needs the fewest edits to become the posted array; of equals the one that loses least, then the oldest.
    fn closest<'p>(&self, posted_items: &[Item<'p>], posted: &[Value]) -> (Vec<Item<'a>>, Pairs)
    where
        'a: 'p,
    {
        let mut best: Option<(Cost, Vec<Item<'a>>, Pairs)> = None;
        for items in self.candidates() {
            let pairs = pair(&items, posted_items, |i, j| items[i].node.same(&posted[j]));
            let is_changed = |&&(i, j): &&(usize, usize)| !items[i].node.same(&posted[j]);
            let (mut changed, mut other) = (0, 0);
            for &(i, j) in pairs.iter().filter(is_changed) {
                changed += 1;
                other += usize::from(!alike(&items[i].node, &posted[j]));
            }
            // Another value in an element's place is a removal and an insert.
            let lost = items.len() - pairs.len() + changed;
            let cost = (lost + posted.len() - pairs.len() + other, lost);
            if best.as_ref().is_none_or(|best| cost <= best.0) {
                best = Some((cost, items, pairs));
            }
        }
        best.map(|(_, items, pairs)| (items, pairs)).unwrap_or_default()
    }

    /// The head and some of the older versions, newest first, the oldest always among them.
    fn candidates(&self) -> impl Iterator<Item = Vec<Item<'a>>> {
        let older = &self.history.older;
        let stride = older.len().div_ceil(CANDIDATES).max(1);
        let picked = older.iter().rev().step_by(stride).rev().flatten().filter(|node| node.is_array());
        std::iter::once(self.head.clone()).chain(picked.map(Node::items))
    }

    /// Marks the kept elements whose order is that of no version.
    fn find_moves(&self, claims: &[Option<usize>], places: &mut [Posted]) {
        let kept: Vec<(usize, usize)> = claims
            .iter()
            .zip(places.iter())
            .enumerate()
            .filter_map(|(j, (claim, place))| Some((j, (*claim).filter(|_| matches!(place, Posted::Kept(_)))?)))
            .collect();
        let mut fewest: Option<Vec<usize>> = None;
        for items in self.candidates() {
            let order: BTreeMap<usize, usize> =
                items.iter().enumerate().map(|(index, item)| (item.id, index)).collect();
            let known: Vec<(usize, usize)> = kept.iter().filter_map(|&(j, id)| Some((j, *order.get(&id)?))).collect();
            let in_order: BTreeSet<usize> = increasing(&known).into_iter().map(|(j, _)| j).collect();
            let moved: Vec<usize> = known.iter().map(|&(j, _)| j).filter(|j| !in_order.contains(j)).collect();
            if moved.is_empty() && known.len() == kept.len() {
                return;
            }
            if known.len() == kept.len() && fewest.as_ref().is_none_or(|fewest| moved.len() <= fewest.len()) {
                fewest = Some(moved);
            }
        }
        for j in fewest.unwrap_or_default() {
            if let Posted::Kept(index) = places[j] {
                places[j] = Posted::Moved(index);
            }
        }
    }
}

/// Whether a changed element is likely the same one: it has its key, or shares a member.
fn alike(node: &Node<'_>, posted: &Value) -> bool {
    match posted {
        Value::Object(members) => {
            has_its_key(node, posted)
                || members.iter().any(|(key, value)| node.get(key).is_some_and(|member| member.same(value)))
        }
        Value::Array(_) => node.is_array(),
        _ => false,
    }
}

fn has_its_key(node: &Node<'_>, posted: &Value) -> bool {
    let key = |name: &str| posted.get(name).and_then(Value::as_str);
    KEY_MEMBERS.into_iter().any(|name| key(name).is_some() && node.text(name) == key(name))
}

//! Elements that a writer adds to a list whose type names their key, where an element of that key is there already: one that
//! others added meanwhile and the writer's come together, one that the writer had seen is in the way.

use serde_json::Value;

use super::{Conflict, Refusal};
use crate::state::diff::fine;
use crate::state::later::{Later, before, inverses, last_writer_before};
use crate::state::merge::rules::{Settled, one_of_two};
use crate::state::patch::{Editor, Operation};
use crate::state::pointer::{Pointer, array_index};
use crate::state::schema::View;
use crate::state::touch::rebase;
use crate::state::value::same;

/// The elements that a mutation put into such lists.
pub(super) struct Added<'a> {
    view: Option<&'a View>,
    since: &'a [Later<'a>],
    elements: Vec<Element>,
}

struct Element {
    /// The operation that put it there.
    index: usize,
    place: Pointer,
    /// How many effects there were then; those after may have moved it.
    effects: usize,
}

/// Where an element is by now, and the other one of its key.
struct Pair {
    list: Pointer,
    key: Value,
    own: usize,
    other: usize,
}

impl<'a> Added<'a> {
    pub(super) fn new(view: Option<&'a View>, since: &'a [Later<'a>]) -> Self {
        Self { view: view.filter(|view| view.schema().has_rules()), since, elements: Vec::new() }
    }

    /// Takes note of what `op`, carried out just now, put into a list.
    pub(super) fn note(&mut self, index: usize, op: &Operation, editor: &Editor<'_>) {
        let Some(view) = self.view else { return };
        if !matches!(op, Operation::Add { .. } | Operation::Copy { .. }) {
            return;
        }
        let Some(Operation::Add { path, .. }) = editor.effects().last() else { return };
        let is_element = |list: &Pointer| list.get(editor.doc()).is_some_and(Value::is_array);
        if path.parent().is_some_and(|list| is_element(&list) && view.schema().key_at(&list).is_some()) {
            self.elements.push(Element { index, place: path.clone(), effects: editor.effects().len() });
        }
    }

    /// Makes one element of each two; what had to go is in the answer, which is `None` where there were no two.
    pub(super) fn bring_together(self, editor: &mut Editor<'_>) -> Result<Option<Vec<Conflict>>, Refusal> {
        let mut conflicts = None;
        for element in &self.elements {
            if let Some(view) = self.view
                && let Some(pair) = pair(element, view, editor)
            {
                conflicts.get_or_insert_with(Vec::new).extend(self.unite(element.index, &pair, view, editor)?);
            }
        }
        Ok(conflicts)
    }

    fn unite(&self, index: usize, pair: &Pair, view: &View, editor: &mut Editor<'_>) -> Result<Vec<Conflict>, Refusal> {
        let (own_place, place) = (pair.list.join(pair.own.to_string()), pair.list.join(pair.other.to_string()));
        let doc = editor.doc();
        let has = |list: Option<Value>| list.is_some_and(|list| of_key(pair, view, &list).next().is_some());
        let at_head = before(&pair.list, doc, editor.steps_back()).1;
        let at_base = before(&pair.list, doc, editor.steps_back().chain(inverses(self.since))).1;
        if !has(at_head) || has(at_base) {
            return Err(Refusal::Conflict { paths: vec![place] });
        }
        let (Some(theirs), Some(own)) = (place.get(doc), own_place.get(doc)) else { return Ok(Vec::new()) };
        let Settled { value, conflicts } = one_of_two(theirs, own);
        if let Some(path) = view.barred(&place, Some(theirs), Some(&value)) {
            return Err(Refusal::ForbiddenPath { path });
        }
        let edits = fine(theirs, &value, &place, true);
        if let Some(claimed) = edits.iter().find_map(|edit| view.schema().cas_over(edit.path())) {
            return Err(Refusal::Conflict { paths: vec![claimed] });
        }
        let told = conflicts.into_iter().map(|below| {
            let path = Pointer::from_tokens(place.tokens().iter().chain(below.tokens()).cloned());
            let (at_head, lost) = before(&path, doc, editor.steps_back());
            let writer = last_writer_before(&path, doc, editor.steps_back(), self.since);
            Conflict {
                path: at_head,
                version: writer.map(|later| later.version),
                actor: writer.map(|later| later.actor.to_owned()),
                lost: lost.unwrap_or(Value::Null),
            }
        });
        let told = told.collect();
        for edit in edits.iter().chain([&Operation::Remove { path: own_place }]) {
            editor.apply(index, edit)?;
        }
        Ok(told)
    }
}

fn pair(element: &Element, view: &View, editor: &Editor<'_>) -> Option<Pair> {
    let (doc, after) = (editor.doc(), &editor.effects()[element.effects..]);
    let followed = Operation::Test { path: element.place.clone(), value: Value::Null };
    // It may be gone again.
    let place = rebase(&[followed], after, doc).ok()?.ops.last()?.path().clone();
    let (list, own) = (place.parent()?, array_index(place.last()?)?);
    let key = place.get(doc)?.get(view.schema().key_at(&list)?)?.clone();
    let mut pair = Pair { list, key, own, other: own };
    let other = of_key(&pair, view, pair.list.get(doc)?).find(|&at| at != own);
    pair.other = other?;
    Some(pair)
}

/// Where the elements of the pair's key are, in the list as it is or was.
fn of_key<'l>(pair: &'l Pair, view: &'l View, list: &'l Value) -> impl Iterator<Item = usize> + 'l {
    let key = view.schema().key_at(&pair.list);
    let is_it = move |element: &Value| key.and_then(|key| element.get(key)).is_some_and(|own| same(own, &pair.key));
    let elements = list.as_array().into_iter().flatten().enumerate();
    elements.filter(move |(_, element)| is_it(element)).map(|(at, _)| at)
}

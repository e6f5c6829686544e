//! Who wrote what: a fold over commits that keeps, for each leaf of the body, the commit that put it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::state::document::Commit;
use crate::state::patch::Operation;
use crate::state::pointer::{Pointer, array_index};

/// The commit that put a leaf where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mark {
    pub version: u64,
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// RFC 3339, UTC.
    pub at: String,
}

impl From<&Commit> for Mark {
    fn from(commit: &Commit) -> Self {
        Self {
            version: commit.version,
            actor: commit.actor.to_string(),
            run_id: commit.run_id.as_deref().map(str::to_owned),
            at: commit.at.to_string(),
        }
    }
}

/// The body's shape with the mark of each leaf; scalars and empty containers are leaves.
#[derive(Debug, Clone)]
pub struct Blame(Node);

#[derive(Debug, Clone)]
enum Node {
    Leaf(Arc<Mark>),
    Object(BTreeMap<String, Node>, Arc<Mark>),
    Array(Vec<Node>, Arc<Mark>),
}

impl Blame {
    /// Begins with `body`, all of it put there by `mark`: `{}` before the first commit.
    pub fn new(body: &Value, mark: Mark) -> Self {
        Self(Node::of(body, &Arc::new(mark)))
    }

    /// Goes on from [`leaves`](Self::leaves) of `body`, where older commits are gone.
    pub fn restored(body: &Value, leaves: &BTreeMap<Pointer, Mark>) -> Self {
        // A container needs no mark of its own while it is not empty: whoever empties it leaves theirs.
        let unknown = Mark { version: 0, actor: String::new(), run_id: None, at: String::new() };
        let mut blame = Self::new(body, leaves.values().next().cloned().unwrap_or(unknown));
        let shared: BTreeMap<u64, Arc<Mark>> =
            leaves.values().map(|mark| (mark.version, Arc::new(mark.clone()))).collect();
        for (place, mark) in leaves {
            if let Some(leaf) = blame.0.at(place) {
                leaf.mark(&shared[&mark.version]);
            }
        }
        blame
    }

    /// Takes the next commit.
    pub fn commit(&mut self, commit: &Commit) {
        let mark = Arc::new(Mark::from(commit));
        for op in &commit.ops {
            self.0.write(op.path().tokens(), op, &mark);
        }
    }

    /// The leaves at and below `path`.
    pub fn leaves(&self, path: &Pointer) -> BTreeMap<Pointer, Mark> {
        let mut leaves = BTreeMap::new();
        let here = path.tokens().iter().try_fold(&self.0, |node, token| match node {
            Node::Object(members, _) => members.get(token),
            Node::Array(elements, _) => elements.get(array_index(token)?),
            Node::Leaf(_) => None,
        });
        if let Some(here) = here {
            here.collect(path, &mut leaves);
        }
        leaves
    }
}

impl Node {
    fn of(value: &Value, mark: &Arc<Mark>) -> Self {
        match value {
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), Self::of(value, mark)));
                Self::Object(members.collect(), Arc::clone(mark))
            }
            Value::Array(elements) => {
                Self::Array(elements.iter().map(|value| Self::of(value, mark)).collect(), Arc::clone(mark))
            }
            _ => Self::Leaf(Arc::clone(mark)),
        }
    }

    fn at(&mut self, place: &Pointer) -> Option<&mut Self> {
        place.tokens().iter().try_fold(self, |node, token| match node {
            Self::Object(members, _) => members.get_mut(token),
            Self::Array(elements, _) => elements.get_mut(array_index(token)?),
            Self::Leaf(_) => None,
        })
    }

    fn mark(&mut self, mark: &Arc<Mark>) {
        let (Self::Leaf(own) | Self::Object(_, own) | Self::Array(_, own)) = self;
        *own = Arc::clone(mark);
    }

    /// A commit's operations apply to the body they were made for; what does not is no leaf of it.
    fn write(&mut self, path: &[String], op: &Operation, mark: &Arc<Mark>) {
        let new = || op.value().map(|value| Self::of(value, mark));
        let Some((step, rest)) = path.split_first() else {
            if let Some(new) = new() {
                *self = new;
            }
            return;
        };
        match self {
            Self::Object(members, own) => {
                if let ([], Some(new)) = (rest, new()) {
                    members.insert(step.clone(), new);
                } else if rest.is_empty() {
                    members.remove(step);
                } else if let Some(member) = members.get_mut(step) {
                    return member.write(rest, op, mark);
                }
                *own = Arc::clone(mark);
            }
            Self::Array(elements, own) => {
                let Some(index) = array_index(step).filter(|&index| index <= elements.len()) else { return };
                match (op, rest) {
                    (Operation::Add { .. }, []) => elements.splice(index..index, new()).for_each(drop),
                    (Operation::Remove { .. }, []) if index < elements.len() => drop(elements.remove(index)),
                    (_, rest) => {
                        if let Some(element) = elements.get_mut(index) {
                            element.write(rest, op, mark);
                        }
                        return;
                    }
                }
                *own = Arc::clone(mark);
            }
            Self::Leaf(_) => {}
        }
    }

    fn collect(&self, at: &Pointer, leaves: &mut BTreeMap<Pointer, Mark>) {
        match self {
            Self::Object(members, _) if !members.is_empty() => {
                members.iter().for_each(|(name, member)| member.collect(&at.join(name), leaves));
            }
            Self::Array(elements, _) if !elements.is_empty() => {
                let elements = elements.iter().enumerate();
                elements.for_each(|(index, element)| element.collect(&at.join(index.to_string()), leaves));
            }
            Self::Leaf(mark) | Self::Object(_, mark) | Self::Array(_, mark) => {
                leaves.insert(at.clone(), mark.as_ref().clone());
            }
        }
    }
}

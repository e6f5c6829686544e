//! Older versions of a value beside its head, sharing what did not change: stepping back costs what the commit changed,
//! and whether a place was touched is whether its nodes are the same node.
//!
//! Elements of arrays keep an identity through inserts, removals, moves and rewrites.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::state::diff::align::align;
use crate::state::diff::{KEY_MEMBERS, unique_keys};
use crate::state::later::Later;
use crate::state::patch::Operation;
use crate::state::pointer::array_index;
use crate::state::value::same;

/// A chunk of an array splits beyond this many elements.
const CHUNK: usize = 128;

/// A value of some version: borrowed where no step changed it.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    Value(&'a Value),
    Object(Rc<Members<'a>>),
    Array(Rc<Vec<Chunk<'a>>>),
}

/// An object as its nearest newer form, and what differs from that.
#[derive(Debug, Clone)]
pub(super) struct Members<'a> {
    base: &'a Map<String, Value>,
    changed: BTreeMap<&'a str, Option<Node<'a>>>,
}

pub(super) type Chunk<'a> = Rc<Vec<Item<'a>>>;

/// An element and its identity: the address at which it was first seen, all values being borrowed for longer than this.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    pub(super) id: usize,
    pub(super) node: Node<'a>,
}

impl<'a> Item<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self { id: std::ptr::from_ref(value).addr(), node: Node::Value(value) }
    }
}

/// The versions of a value before its head, newest first, without repetitions; `None` if an inverse does not apply.
pub(super) fn versions<'a>(head: &'a Value, since: &[Later<'a>]) -> Option<Vec<Node<'a>>> {
    let mut version = Node::Value(head);
    let mut versions = Vec::new();
    for later in since.iter().rev().filter(|later| !later.inverse.is_empty()) {
        let mut removed = Vec::new();
        for op in later.inverse {
            write(&mut version, op.path().tokens(), op, &mut removed)?;
        }
        versions.push(version.clone());
    }
    Some(versions)
}

/// Elements taken out by the step under way: one that the step puts back elsewhere has moved.
type Removed<'a> = Vec<Item<'a>>;

fn write<'a>(node: &mut Node<'a>, path: &'a [String], op: &'a Operation, removed: &mut Removed<'a>) -> Option<()> {
    let Some((step, rest)) = path.split_first() else {
        let (Operation::Add { value, .. } | Operation::Replace { value, .. }) = op else { return None };
        *node = node.become_older(value);
        return Some(());
    };
    node.open()?;
    match node {
        Node::Object(members) => {
            let members = Rc::make_mut(members);
            let base = members.base;
            let member = members.changed.entry(step).or_insert_with(|| base.get(step).map(Node::Value));
            match (member, op) {
                (Some(member), _) if !rest.is_empty() => write(member, rest, op, removed),
                (Some(member), Operation::Add { value, .. } | Operation::Replace { value, .. }) => {
                    *member = member.become_older(value);
                    Some(())
                }
                (member @ None, Operation::Add { value, .. }) if rest.is_empty() => {
                    *member = Some(Node::Value(value));
                    Some(())
                }
                (member @ Some(_), Operation::Remove { .. }) => {
                    *member = None;
                    Some(())
                }
                _ => None,
            }
        }
        Node::Array(chunks) => {
            let chunks = Rc::make_mut(chunks);
            let index = array_index(step)?;
            match op {
                Operation::Add { value, .. } if rest.is_empty() => insert(chunks, index, back_or_new(value, removed)),
                Operation::Remove { .. } if rest.is_empty() => {
                    removed.push(remove(chunks, index)?);
                    Some(())
                }
                _ => write(&mut item_mut(chunks, index)?.node, rest, op, removed),
            }
        }
        Node::Value(_) => None,
    }
}

fn back_or_new<'a>(value: &'a Value, removed: &mut Removed<'a>) -> Item<'a> {
    let key = |name| value.get(name).and_then(Value::as_str);
    let is_back = |item: &Item<'a>| {
        item.node.same(value)
            || KEY_MEMBERS.into_iter().any(|name| key(name).is_some() && item.node.text(name) == key(name))
    };
    match removed.iter().position(is_back) {
        Some(place) => {
            let item = removed.swap_remove(place);
            Item { id: item.id, node: item.node.become_older(value) }
        }
        None => Item::new(value),
    }
}

/// The chunk and the place in it of element `index`; one past the end is in the last chunk.
fn locate(chunks: &[Chunk<'_>], mut index: usize) -> Option<(usize, usize)> {
    for (place, chunk) in chunks.iter().enumerate() {
        if index < chunk.len() || index == chunk.len() && place + 1 == chunks.len() {
            return Some((place, index));
        }
        index -= chunk.len();
    }
    None
}

fn item_mut<'c, 'a>(chunks: &'c mut [Chunk<'a>], index: usize) -> Option<&'c mut Item<'a>> {
    let (place, index) = locate(chunks, index)?;
    Rc::make_mut(&mut chunks[place]).get_mut(index)
}

fn insert<'a>(chunks: &mut Vec<Chunk<'a>>, index: usize, item: Item<'a>) -> Option<()> {
    if chunks.is_empty() && index == 0 {
        chunks.push(Rc::new(vec![item]));
        return Some(());
    }
    let (place, index) = locate(chunks, index)?;
    let chunk = Rc::make_mut(&mut chunks[place]);
    chunk.insert(index, item);
    if chunk.len() > CHUNK {
        let rest = chunk.split_off(CHUNK / 2);
        chunks.insert(place + 1, Rc::new(rest));
    }
    Some(())
}

fn remove<'a>(chunks: &mut Vec<Chunk<'a>>, index: usize) -> Option<Item<'a>> {
    let (place, index) = locate(chunks, index)?;
    let chunk = Rc::make_mut(&mut chunks[place]);
    let item = (index < chunk.len()).then(|| chunk.remove(index))?;
    if chunk.is_empty() {
        chunks.remove(place);
    }
    Some(item)
}

impl<'a> Node<'a> {
    /// Whether nothing at or below this place differs for anybody having written there.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(left), Self::Value(right)) => std::ptr::eq(*left, *right),
            (Self::Object(left), Self::Object(right)) => Rc::ptr_eq(left, right),
            (Self::Array(left), Self::Array(right)) => Rc::ptr_eq(left, right),
            _ => false,
        }
    }

    pub(super) fn same(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Value(own), _) => same(own, value),
            (Self::Object(_), Value::Object(members)) => {
                let mut own_keys = self.keys();
                own_keys.len() == members.len()
                    && own_keys.all(|key| match (self.get(key), members.get(key)) {
                        (Some(own), Some(value)) => own.same(value),
                        _ => false,
                    })
            }
            (Self::Array(chunks), Value::Array(elements)) => {
                let len: usize = chunks.iter().map(|chunk| chunk.len()).sum();
                let mut own = chunks.iter().flat_map(|chunk| chunk.iter()).zip(elements);
                len == elements.len() && own.all(|(item, value)| item.node.same(value))
            }
            _ => false,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Value(value) => (*value).clone(),
            Self::Object(_) => {
                let members = self.keys().filter_map(|key| Some((key.to_owned(), self.get(key)?.to_value())));
                Value::Object(members.collect())
            }
            Self::Array(_) => self.items().iter().map(|item| item.node.to_value()).collect(),
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Value(Value::Object(_)))
    }

    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Value(Value::Array(_)))
    }

    /// Member `key` of an object.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        match self {
            Self::Value(value) => value.as_object()?.get(key).map(Self::Value),
            Self::Object(members) => match members.changed.get(key) {
                Some(member) => member.clone(),
                None => members.base.get(key).map(Self::Value),
            },
            Self::Array(_) => None,
        }
    }

    fn keys(&self) -> std::vec::IntoIter<&'a str> {
        let keys: Vec<&'a str> = match self {
            Self::Value(Value::Object(members)) => members.keys().map(String::as_str).collect(),
            Self::Object(members) => {
                let base = members.base.keys().map(String::as_str).filter(|key| !members.changed.contains_key(key));
                let changed = members.changed.iter().filter(|(_, member)| member.is_some()).map(|(key, _)| *key);
                base.chain(changed).collect()
            }
            _ => Vec::new(),
        };
        keys.into_iter()
    }

    /// Member `name` of an object, if it is a string.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Self::Value(value) => value.as_str(),
            _ => None,
        }
    }

    /// The elements of an array; none for anything else.
    pub(super) fn items(&self) -> Vec<Item<'a>> {
        match self {
            Self::Value(Value::Array(elements)) => elements.iter().map(Item::new).collect(),
            Self::Array(chunks) => chunks.iter().flat_map(|chunk| chunk.iter().cloned()).collect(),
            _ => Vec::new(),
        }
    }

    /// The elements as they are stored: versions share the chunks that no step between them changed.
    pub(super) fn chunks(&self) -> Vec<Chunk<'a>> {
        match self {
            Self::Array(chunks) => chunks.to_vec(),
            _ => vec![Rc::new(self.items())],
        }
    }

    /// Makes a borrowed container changeable; `None` for scalars.
    fn open(&mut self) -> Option<()> {
        let Self::Value(value) = self else { return Some(()) };
        *self = match value {
            Value::Object(base) => Self::Object(Rc::new(Members { base, changed: BTreeMap::new() })),
            Value::Array(elements) => {
                let chunk = |elements: &'a [Value]| Rc::new(elements.iter().map(Item::new).collect());
                Self::Array(Rc::new(elements.chunks(CHUNK / 2).map(chunk).collect()))
            }
            _ => return None,
        };
        Some(())
    }

    /// The node of `older`, which stood here before `self`: what is the same stays the same node, elements keep identity.
    pub(super) fn become_older(&self, older: &'a Value) -> Self {
        if self.same(older) {
            return self.clone();
        }
        match older {
            Value::Object(base) if self.is_object() => {
                let kept = |(key, older): (&'a String, &'a Value)| {
                    let node = self.get(key)?.become_older(older);
                    (!node.is(&Self::Value(older))).then_some((key.as_str(), Some(node)))
                };
                let changed: BTreeMap<_, _> = base.iter().filter_map(kept).collect();
                if changed.is_empty() { Self::Value(older) } else { Self::Object(Rc::new(Members { base, changed })) }
            }
            Value::Array(elements) if self.is_array() => {
                let newer = self.items();
                let older = elements.iter().map(Item::new).collect::<Vec<_>>();
                let pairs = pair(&newer, &older, |i, j| newer[i].node.same(&elements[j]));
                let mut items = older;
                for (i, j) in pairs {
                    items[j] = Item { id: newer[i].id, node: newer[i].node.become_older(&elements[j]) };
                }
                Self::Array(Rc::new(items.chunks(CHUNK / 2).map(|chunk| Rc::new(chunk.to_vec())).collect()))
            }
            _ => Self::Value(older),
        }
    }
}

/// [`align`] for elements of versions.
pub(super) fn pair<'a>(from: &[Item<'a>], to: &[Item<'a>], same: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let keys = |name: &str, items: &[Item<'a>]| unique_keys(items.iter().map(|item| item.node.text(name)));
    let shared = KEY_MEMBERS.into_iter().find_map(|name| Some((keys(name, from)?, keys(name, to)?)));
    align((from.len(), to.len()), shared, same)
}

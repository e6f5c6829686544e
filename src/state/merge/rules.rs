//! What two writers of one place come to by its merge rule: pure arithmetic on the three values.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use crate::state::pointer::Pointer;
use crate::state::schema::Rule;
use crate::state::text;
use crate::state::value::same;

/// A merged value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    pub(crate) value: Value,
    /// Places below the merged one, as they were at the head, where one of two values had to go.
    pub(crate) conflicts: Vec<Pointer>,
}

impl From<Value> for Settled {
    fn from(value: Value) -> Self {
        Self { value, conflicts: Vec::new() }
    }
}

/// What `new`, written over `base`, comes to where the head holds `head` by now.
///
/// `None` where the rule says nothing of such values: the later one stands.
pub(crate) fn settle(rule: &Rule, base: Option<&Value>, head: Option<&Value>, new: &Value) -> Option<Settled> {
    let head = head?;
    match rule {
        Rule::Lww | Rule::Cas => None,
        Rule::Counter => match (base.unwrap_or(&Value::from(0)), head, new) {
            (Value::Number(base), Value::Number(head), Value::Number(new)) => {
                counted(base, head, new).map(Settled::from)
            }
            _ => None,
        },
        Rule::Max => is_greater(head, new).map(|is_greater| if is_greater { head } else { new }.clone().into()),
        Rule::Min => is_greater(new, head).map(|is_greater| if is_greater { head } else { new }.clone().into()),
        Rule::Set => Some(united(base.map_or(Some(&[][..]), elements)?, elements(head)?, elements(new)?).into()),
        Rule::Append => {
            let (base, head, new) = (base.map_or(Some(&[][..]), elements)?, elements(head)?, elements(new)?);
            let is_longer = new.len() >= base.len() && base.iter().zip(new).all(|(base, new)| same(base, new));
            is_longer.then(|| Value::Array(head.iter().chain(&new[base.len()..]).cloned().collect()).into())
        }
        Rule::List(key) => listed(key, base.map_or(Some(&[][..]), elements)?, elements(head)?, elements(new)?),
        Rule::Text => match (base.unwrap_or(&Value::String(String::new())), head, new) {
            (Value::String(base), Value::String(head), Value::String(new)) => {
                let (text, overlaps) = text::merge(base, head, new);
                Some(Settled {
                    value: Value::String(text),
                    conflicts: overlaps.then(Pointer::root).into_iter().collect(),
                })
            }
            _ => None,
        },
    }
}

fn elements(value: &Value) -> Option<&[Value]> {
    value.as_array().map(Vec::as_slice)
}

fn counted(base: &Number, head: &Number, new: &Number) -> Option<Value> {
    if let (Some(base), Some(head), Some(new)) = (base.as_i64(), head.as_i64(), new.as_i64()) {
        return new.checked_sub(base)?.checked_add(head).map(Value::from);
    }
    Number::from_f64(head.as_f64()? + (new.as_f64()? - base.as_f64()?)).map(Value::Number)
}

/// Of two numbers, or of two texts (times, for one).
fn is_greater(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left > right,
            _ => left.as_f64()? > right.as_f64()?,
        }),
        (Value::String(left), Value::String(right)) => Some(left > right),
        _ => None,
    }
}

/// The head without what the writer took out and with what they put in, each once.
fn united(base: &[Value], head: &[Value], new: &[Value]) -> Value {
    let has = |set: &[Value], value: &Value| set.iter().any(|element| same(element, value));
    let mut united: Vec<Value> = Vec::with_capacity(head.len());
    let kept = head.iter().filter(|value| !has(base, value) || has(new, value));
    for value in kept.chain(new.iter().filter(|value| !has(base, value))) {
        if !has(&united, value) {
            united.push(value.clone());
        }
    }
    Value::Array(united)
}

/// Elements by key: edits of different ones, and of different members of one, come together.
fn listed(key: &str, base: &[Value], head: &[Value], new: &[Value]) -> Option<Settled> {
    let (base, head, new) = (Keyed::new(key, base)?, Keyed::new(key, head)?, Keyed::new(key, new)?);
    let mut conflicts = Vec::new();
    let mut merged = |name: &str| -> Option<Value> {
        let (was, theirs, own) = (base.get(name), head.get(name), new.get(name));
        match (was, theirs, own) {
            // One of the two removed it.
            (Some(_), None, _) | (Some(_), _, None) => None,
            (_, None, own) => own.cloned(),
            (_, theirs, None) => theirs.cloned(),
            (was, Some(theirs), Some(own)) => {
                let at = Pointer::root().join(head.places[name].to_string());
                let nothing = Value::Object(Map::new());
                Some(member_wise(was.unwrap_or(&nothing), theirs, own, &at, &mut conflicts))
            }
        }
    };
    // The order is that of who moved something; what only the other has stands behind what it followed there.
    let (skeleton, other) = if new.order_of(&base) == base.order_of(&new) { (&head, &new) } else { (&new, &head) };
    let mut order: Vec<&str> = skeleton.names.clone();
    let mut after: Option<&str> = None;
    for name in &other.names {
        if !skeleton.places.contains_key(name) && !base.places.contains_key(name) {
            let place = after.and_then(|after| order.iter().position(|own| *own == after)).map_or(0, |place| place + 1);
            // What stands at the end stays at the end.
            let is_last = other.names.last() == Some(name) || after == skeleton.names.last().copied();
            let place = if is_last && other.names.ends_with(&[name]) { order.len() } else { place };
            order.insert(place, name);
        }
        after = Some(name);
    }
    let value = Value::Array(order.into_iter().filter_map(&mut merged).collect());
    Some(Settled { value, conflicts })
}

/// Two elements of one key that their writers added without seeing each other's, as one.
pub(crate) fn one_of_two(head: &Value, new: &Value) -> Settled {
    let mut conflicts = Vec::new();
    let value = member_wise(&Value::Object(Map::new()), head, new, &Pointer::root(), &mut conflicts);
    Settled { value, conflicts }
}

/// A list with the places of its keys; `None` if an element has none, or two share one.
struct Keyed<'v> {
    names: Vec<&'v str>,
    places: BTreeMap<&'v str, usize>,
    elements: &'v [Value],
}

impl<'v> Keyed<'v> {
    fn new(key: &str, elements: &'v [Value]) -> Option<Self> {
        let names: Vec<&str> = elements.iter().map(|element| element.get(key)?.as_str()).collect::<Option<_>>()?;
        let places: BTreeMap<&str, usize> = names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        (places.len() == names.len()).then_some(Self { names, places, elements })
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.places.get(name).map(|&place| &self.elements[place])
    }

    /// The keys it shares with `other`, in its order.
    fn order_of(&self, other: &Self) -> Vec<&'v str> {
        self.names.iter().copied().filter(|name| other.places.contains_key(name)).collect()
    }
}

fn member_wise(base: &Value, head: &Value, new: &Value, at: &Pointer, conflicts: &mut Vec<Pointer>) -> Value {
    if same(base, new) || same(head, new) {
        return head.clone();
    }
    if same(base, head) {
        return new.clone();
    }
    let (Value::Object(head), Value::Object(new)) = (head, new) else {
        conflicts.push(at.clone());
        return new.clone();
    };
    let mut members = Map::new();
    let added = new.keys().filter(|name| !head.contains_key(*name));
    for name in head.keys().chain(added) {
        let at = at.join(name);
        let merged = match (base.get(name), head.get(name), new.get(name)) {
            (base, Some(head), Some(new)) => Some(member_wise(base.unwrap_or(&Value::Null), head, new, &at, conflicts)),
            (None, head, new) => head.or(new).cloned(),
            // One removed what the other may have changed meanwhile: the later writer decides, and is told.
            (Some(base), Some(head), None) => {
                conflicts.extend((!same(base, head)).then(|| at.clone()));
                None
            }
            (Some(base), None, Some(new)) => {
                let is_edit = !same(base, new);
                conflicts.extend(is_edit.then(|| at.clone()));
                is_edit.then(|| new.clone())
            }
            (Some(_), None, None) => None,
        };
        if let Some(merged) = merged {
            members.insert(name.clone(), merged);
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(rule: &Rule, [base, head, new]: [Value; 3], then: Option<Value>) {
        let settled = settle(rule, Some(&base), Some(&head), &new).map(|settled| settled.value);
        assert_eq!(settled, then, "{rule:?}: {base}, {head}, {new}");
    }

    #[test]
    fn numbers_come_together_by_sum_and_by_order() {
        check(&Rule::Counter, [json!(3), json!(4), json!(5)], Some(json!(6)));
        check(&Rule::Counter, [json!(1), json!(1.5), json!(2)], Some(json!(2.5)));
        check(&Rule::Counter, [json!(1), json!("1"), json!(2)], None);
        check(&Rule::Max, [json!(1), json!(7), json!(5)], Some(json!(7)));
        check(&Rule::Max, [json!(1), json!(7), json!(9)], Some(json!(9)));
        check(&Rule::Min, [json!(9), json!(7), json!(8)], Some(json!(7)));
        check(&Rule::Max, [json!(""), json!("2026-02"), json!("2026-01")], Some(json!("2026-02")));
    }

    #[test]
    fn sets_and_logs_keep_what_each_put_in() {
        let set = [json!(["a", "b"]), json!(["a", "b", "c"]), json!(["b", "d", "d"])];
        check(&Rule::Set, set, Some(json!(["b", "c", "d"])));
        check(&Rule::Append, [json!([1]), json!([1, 2]), json!([1, 3])], Some(json!([1, 2, 3])));
        check(&Rule::Append, [json!([1]), json!([1, 2]), json!([9])], None);
    }

    #[test]
    fn lists_come_together_by_key() {
        let list = |names: &str| Value::Array(names.chars().map(|name| json!({"sku": name.to_string()})).collect());
        let rule = Rule::List("sku".into());
        check(&rule, [list("ab"), list("axb"), list("aby")], Some(list("axby")));
        check(&rule, [list("ab"), list("abx"), list("aby")], Some(list("abxy")));
        check(&rule, [list("abc"), list("bc"), list("ab")], Some(list("b")));
        check(&rule, [list("abc"), list("abxc"), list("cab")], Some(list("cabx")));
        check(&rule, [list("ab"), list("aa"), list("ab")], None);
        let item = |n: i64, m: i64| json!([{"sku": "a", "n": n, "m": m}]);
        check(&rule, [item(1, 1), item(2, 1), item(1, 3)], Some(item(2, 3)));
        let settled = settle(&rule, Some(&item(1, 1)), Some(&item(2, 1)), &item(3, 1)).unwrap();
        assert_eq!((settled.value, settled.conflicts), (item(3, 1), vec![Pointer::parse("/0/n").unwrap()]));
    }

    #[test]
    fn texts_come_together_by_words() {
        check(&Rule::Text, [json!("a b"), json!("a new b"), json!("a b!")], Some(json!("a new b!")));
    }
}

//! Expressions of definitions: `when` of state triggers, `map` of webhooks.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, Value as Templated};
use serde_json::Value;

/// How many instructions of the template engine one expression may take.
const FUEL: u64 = 100_000;

/// What a state trigger's condition sees.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    /// `None` where nothing was, which reads as `none`.
    pub old: Option<&'c Value>,
    pub new: Option<&'c Value>,
    /// The whole document after the change.
    pub state: &'c Value,
    /// `type/id`.
    pub doc: &'c str,
    /// `user:ada`, `agent:planner`, `system`.
    pub actor: &'c str,
}

/// Whether the condition holds of a change; the error says why that cannot be told.
pub fn holds(condition: &str, change: Change<'_>) -> Result<bool, String> {
    evaluate(condition, |name| match name {
        "old" => Some(change.old.map_or(Templated::from(()), seen)),
        "new" => Some(change.new.map_or(Templated::from(()), seen)),
        "state" => Some(seen(change.state)),
        "doc" => Some(Templated::from(change.doc)),
        "actor" => Some(Templated::from(change.actor)),
        _ => None,
    })
    .map(|value| value.is_true())
}

/// The value of an expression over `body` and `headers` of a delivery.
pub fn value_of(expression: &str, body: &Value, headers: &Value) -> Result<Value, String> {
    let value = evaluate(expression, |name| match name {
        "body" => Some(seen(body)),
        "headers" => Some(seen(headers)),
        _ => None,
    })?;
    serde_json::to_value(&value).map_err(|error| error.to_string())
}

/// Only what the expression names is made known to it: a document can be large.
fn evaluate(expression: &str, known: impl Fn(&str) -> Option<Templated>) -> Result<Templated, String> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    let compiled = environment.compile_expression(expression).map_err(|error| error.to_string())?;
    let named = compiled.undeclared_variables(false);
    let context: BTreeMap<_, _> =
        named.into_iter().filter_map(|name| known(&name).map(|value| (name, value))).collect();
    compiled.eval(Templated::from(context)).map_err(|error| error.to_string())
}

fn seen(value: &Value) -> Templated {
    Templated::from(Serde(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_sees_the_change_and_the_document() {
        let state = json!({"status": "ready", "parts": [{"done": true}], "count": 3});
        let (old, new) = (json!("new"), json!("ready"));
        let check = |condition: &str, expected: bool| {
            let change = Change { old: Some(&old), new: Some(&new), state: &state, doc: "task/1", actor: "user:ada" };
            assert_eq!(holds(condition, change), Ok(expected), "{condition}");
        };
        check("new == 'ready'", true);
        check("old == 'ready'", false);
        check("old == 'new' and state.count >= 3", true);
        check("doc == 'task/1' and actor == 'user:ada'", true);
        check("actor is startingwith('agent:')", false);
        check("state.parts[0].done", true);
        check("state.nothing is defined", false);
    }

    #[test]
    fn what_is_not_there_is_none() {
        let state = json!({});
        let change = Change { old: None, new: None, state: &state, doc: "a/b", actor: "system" };
        assert_eq!(holds("old is none and new is none", change), Ok(true));
    }

    #[test]
    fn a_condition_that_cannot_be_told_says_why() {
        let state = json!({"text": "a"});
        let change = Change { old: None, new: None, state: &state, doc: "a/b", actor: "system" };
        for condition in ["old + 1 > 2", "state.text.nothing()", "new.a.b.c"] {
            assert!(holds(condition, change).is_err(), "{condition}");
        }
    }

    #[test]
    fn a_delivery_is_taken_apart() {
        let (body, headers) = (json!({"issue": {"number": 7, "labels": ["bug"]}}), json!({"x-github-event": "issues"}));
        let check = |expression: &str, expected: Value| {
            assert_eq!(value_of(expression, &body, &headers), Ok(expected), "{expression}");
        };
        check("body", body.clone());
        check("body.issue.number", json!(7));
        check("headers['x-github-event']", json!("issues"));
        check("{'n': body.issue.number, 'first': body.issue.labels[0]}", json!({"n": 7, "first": "bug"}));
    }
}

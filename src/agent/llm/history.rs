//! The conversation as a model's server takes it: the latest messages, every call with its answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::agent::definition::History;
use crate::agui::{Message, Role};

/// What a call is answered with that nobody answered.
pub(super) const INTERRUPTED: &str = r#"{"error":"interrupted"}"#;

pub(super) fn conversation(messages: &[Arc<Message>], history: &History) -> Vec<Arc<Message>> {
    let spoken: Vec<_> = messages.iter().filter(|message| is_spoken(message)).collect();
    let first = history.max_messages.map_or(0, |most| spoken.len().saturating_sub(most));
    complete(&spoken[first..])
}

/// Whether a model is told of a message at all. Which instructions a run is given is decided before.
fn is_spoken(message: &Message) -> bool {
    match message.role() {
        Role::User | Role::Tool | Role::System | Role::Developer => true,
        Role::Assistant => !message.text().is_empty() || !message.tool_calls().is_empty(),
        Role::Activity | Role::Reasoning => false,
    }
}

/// Results right behind their calls; a call without one gets one, a result without a call is dropped.
fn complete(messages: &[&Arc<Message>]) -> Vec<Arc<Message>> {
    let mut results: HashMap<&str, &Arc<Message>> = HashMap::new();
    for &message in messages {
        if let Some(call) = message.tool_call_id() {
            results.entry(call).or_insert(message);
        }
    }
    let mut known = HashSet::new();
    let mut complete = Vec::with_capacity(messages.len());
    for &message in messages.iter().filter(|message| message.tool_call_id().is_none()) {
        let calls = message.tool_calls();
        if !calls.is_empty() && calls.iter().any(|call| !known.insert(call.id.as_str())) {
            // The same call twice: its first message holds it.
            continue;
        }
        complete.push(Arc::clone(message));
        for call in calls {
            let answer = || Arc::new(Message::tool(format!("{}-result", call.id), call.id.as_str(), INTERRUPTED));
            complete.push(results.get(call.id.as_str()).map_or_else(answer, |&result| Arc::clone(result)));
        }
    }
    complete
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(messages: Value, history: History, expected: &[&str]) -> Vec<Arc<Message>> {
        let messages: Vec<_> =
            Message::read_list(&messages.to_string()).expect("messages").into_iter().map(Arc::new).collect();
        let conversation = conversation(&messages, &history);
        assert_eq!(conversation.iter().map(|message| message.id()).collect::<Vec<_>>(), expected);
        conversation
    }

    fn user(id: &str) -> Value {
        json!({ "id": id, "role": "user", "content": "x" })
    }

    fn calling(id: &str, calls: &[&str]) -> Value {
        let call =
            |call: &&str| json!({ "id": call, "type": "function", "function": { "name": "f", "arguments": "{}" } });
        json!({ "id": id, "role": "assistant", "toolCalls": calls.iter().map(call).collect::<Vec<_>>() })
    }

    fn result(id: &str, call: &str) -> Value {
        json!({ "id": id, "role": "tool", "toolCallId": call, "content": "done" })
    }

    #[test]
    fn every_call_has_its_answer_right_behind_it() {
        let messages =
            json!([user("u1"), calling("a1", &["c1", "c2"]), user("u2"), result("r2", "c2"), result("r9", "c9")]);
        let conversation = check(messages, History::default(), &["u1", "a1", "c1-result", "r2", "u2"]);
        assert_eq!(conversation[2].text(), INTERRUPTED);
        let twice = json!([calling("a1", &["c1"]), result("r1", "c1"), result("r2", "c1"), calling("a2", &["c1"])]);
        check(twice, History::default(), &["a1", "r1"]);
    }

    #[test]
    fn only_the_latest_messages_are_told_and_never_half_a_call() {
        let messages = json!([user("u1"), calling("a1", &["c1"]), result("r1", "c1"), user("u2"), user("u3")]);
        let latest = |most| History { max_messages: Some(most), ..History::default() };
        check(messages.clone(), latest(2), &["u2", "u3"]);
        check(messages.clone(), latest(3), &["u2", "u3"]);
        check(messages.clone(), latest(4), &["a1", "r1", "u2", "u3"]);
        check(messages, latest(9), &["u1", "a1", "r1", "u2", "u3"]);
    }

    #[test]
    fn what_a_model_has_no_ear_for_is_left_out() {
        let messages = json!([
            { "id": "s", "role": "system", "content": "obey" },
            { "id": "d", "role": "developer", "content": "obey" },
            user("u"),
            { "id": "r", "role": "reasoning", "content": "hm" },
            { "id": "v", "role": "activity", "activityType": "x", "content": {} },
            { "id": "e", "role": "assistant", "content": "" },
            { "id": "a", "role": "assistant", "content": "yes" },
        ]);
        check(messages, History::default(), &["s", "d", "u", "a"]);
    }
}

//! Plays the turn that fits a request, word by word.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::script::{Part, Script, When};
use crate::agent::model::usage::Counts;
use crate::agent::model::{Answer, Fault, FaultKind, Finish, Piece, Request};
use crate::agui::{Message, Role};
use crate::state::pointer::Pointer;

/// How many characters of a call's arguments come at once.
const ARGUMENT_PIECE: usize = 16;

pub(super) fn answer(script: &Script, request: &Request) -> Result<Answer, Fault> {
    let asked = Asked::of(request);
    let Some(turn) = script.turns.iter().find(|turn| asked.fits(&turn.when, request)) else {
        return Err(Fault::new(FaultKind::Refused, "no turn of the script fits what was asked"));
    };
    let rest = turn.when.text.as_deref().map(|text| asked.after(text)).unwrap_or_default();
    let fill = |text: &str| asked.fill(text, &rest);
    let mut said = 0;
    let mut calls = 0;
    let mut finish = Finish::Complete;
    let mut acts = VecDeque::new();
    for part in &turn.answer {
        match part {
            Part::Say(text) => said += words(&fill(text), &mut acts, Piece::Text),
            Part::Reason(text) => said += words(&fill(text), &mut acts, Piece::Reasoning),
            Part::Call { name, args } => {
                if !request.tools.iter().any(|tool| tool.name == *name) {
                    let message = format!("the script calls `{name}`, which the request does not offer");
                    return Err(Fault::new(FaultKind::Refused, message));
                }
                acts.push_back(Act::Give(Piece::Call { call: calls, id: None, name: name.clone() }));
                let args: Vec<char> = filled(args, &fill).to_string().chars().collect();
                for delta in args.chunks(ARGUMENT_PIECE) {
                    acts.push_back(Act::Give(Piece::Arguments { call: calls, delta: delta.iter().collect() }));
                    acts.push_back(Act::Pause);
                }
                calls += 1;
                said += 1;
            }
            Part::Wait(time) => acts.push_back(Act::Wait(*time)),
            Part::Fail { kind, message } => acts.push_back(Act::Fail(Fault::new(*kind, fill(message)))),
            Part::Finish(reason) => finish = *reason,
        }
    }
    // Words stand for tokens: enough to see accounts at work.
    let heard = request.messages.iter().map(|message| message.text().split_whitespace().count() as u64).sum();
    let counts = Counts { input: heard, output: said, ..Counts::default() };
    acts.push_back(Act::Give(Piece::Usage(counts.normal())));
    acts.push_back(Act::Give(Piece::Finished(finish)));
    let pace = script.pace;
    Ok(Box::pin(futures_util::stream::unfold(acts, move |mut acts| async move {
        loop {
            match acts.pop_front()? {
                Act::Give(piece) => return Some((Ok(piece), acts)),
                Act::Fail(fault) => return Some((Err(fault), VecDeque::new())),
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Pause if pace.is_zero() => {}
                Act::Pause => tokio::time::sleep(pace).await,
            }
        }
    })))
}

enum Act {
    Give(Piece),
    Pause,
    Wait(Duration),
    Fail(Fault),
}

/// Answers how many words there were.
fn words(text: &str, acts: &mut VecDeque<Act>, piece: impl Fn(String) -> Piece) -> u64 {
    let words = text.split_inclusive(' ');
    let count = words.clone().count() as u64;
    for word in words {
        acts.push_back(Act::Give(piece(word.to_owned())));
        acts.push_back(Act::Pause);
    }
    count
}

/// A value whose texts are filled in.
fn filled(value: &Value, fill: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => fill(text).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, fill)).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), filled(value, fill))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// What a request asks, as far as a script can see it.
struct Asked {
    /// The text of the last user message.
    message: String,
    /// The last tool result and the name of its tool, when it is what is to be answered.
    result: Option<(String, String)>,
    /// What a trigger told, when one started the run.
    trigger: Option<Value>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let messages = || request.messages.iter().rev();
        let message = messages().find(|message| message.role() == Role::User).map(|message| message.text());
        // Instructions may stand behind it.
        let last = messages().find(|message| !matches!(message.role(), Role::System | Role::Developer));
        let result = match last.map(AsRef::as_ref) {
            Some(Message::Tool(result)) => {
                let mut calls = request.messages.iter().flat_map(|message| message.tool_calls());
                let call = calls.find(|call| call.id == result.tool_call_id);
                call.map(|call| (call.function.name.clone(), result.content.text()))
            }
            Some(_) | None => None,
        };
        Self { message: message.unwrap_or_default(), result, trigger: messages().find_map(|message| told(message)) }
    }

    fn fits(&self, when: &When, request: &Request) -> bool {
        let tool = self.result.as_ref().map(|(tool, _)| tool.as_str());
        let is_ok = self.result_value().and_then(|result| result.get("ok").and_then(Value::as_bool)) == Some(true);
        // A turn that names no tool answers people.
        tool == when.tool.as_deref()
            && when.ok.is_none_or(|ok| ok == is_ok)
            && when.text.as_ref().is_none_or(|text| self.message.to_lowercase().contains(&text.to_lowercase()))
            && when.trigger.as_ref().is_none_or(|kind| self.trigger_value("/trigger") == Some(kind.as_str().into()))
            && when.offered.as_ref().is_none_or(|name| request.tools.iter().any(|tool| tool.name == *name))
    }

    /// What the message says after `text`.
    fn after(&self, text: &str) -> String {
        let (message, text) = (self.message.to_lowercase(), text.to_lowercase());
        let start = message.find(&text).map(|at| at + text.len());
        // Lower case may be longer than what it came from.
        start.and_then(|start| self.message.get(start..)).unwrap_or_default().trim().to_owned()
    }

    fn trigger_value(&self, path: &str) -> Option<Value> {
        self.trigger.as_ref()?.pointer(path).cloned()
    }

    fn result_value(&self) -> Option<Value> {
        self.result.as_ref().and_then(|(_, result)| serde_json::from_str(result).ok())
    }

    /// The text with `{message}`, `{rest}`, `{result}`, `{result:/pointer}` and `{trigger:/pointer}` filled in.
    fn fill(&self, text: &str, rest: &str) -> String {
        let mut filled = String::new();
        let mut left = text;
        while let Some((before, after)) = left.split_once('{') {
            filled.push_str(before);
            let word = after.split_once('}').and_then(|(name, after)| Some((self.word(name, rest)?, after)));
            match word {
                Some((word, after)) => {
                    filled.push_str(&word);
                    left = after;
                }
                None => {
                    filled.push('{');
                    left = after;
                }
            }
        }
        filled + left
    }

    fn word(&self, name: &str, rest: &str) -> Option<String> {
        match name {
            "message" => Some(self.message.clone()),
            "rest" => Some(rest.to_owned()),
            "result" => Some(self.result.as_ref().map(|(_, result)| result.clone()).unwrap_or_default()),
            _ => {
                let (source, path) = name.split_once(':')?;
                let value = match source {
                    "result" => {
                        let path = Pointer::parse(path).ok()?;
                        self.result_value().and_then(|result| path.get(&result).cloned())
                    }
                    "trigger" => self.trigger_value(path),
                    _ => return None,
                };
                let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Some(value.map_or_else(|| "nothing".to_owned(), text))
            }
        }
    }
}

/// What a trigger tells stands as JSON behind what it asks for.
fn told(message: &Message) -> Option<Value> {
    let is_instruction = matches!(message.role(), Role::Developer | Role::User);
    let text = is_instruction.then(|| message.text())?;
    let told: Value = serde_json::from_str(text.rsplit("\n\n").next()?).ok()?;
    told.get("trigger").is_some().then_some(told)
}

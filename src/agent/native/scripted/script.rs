//! The script: turns, what each waits for, and what it does. Everything is checked before the agent is served.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::agent::config::{ConfigError, Entry, pace};
use crate::agui::{Event, Reading};
use crate::state::json;
use crate::state::limits::Limits;
use crate::state::patch::Operation;

const DEFAULT_PACE: Duration = Duration::from_millis(30);
/// How deeply `step` and `repeat` may be nested.
const MAX_DEPTH: usize = 16;
const MAX_TIMES: u64 = 1_000_000;

pub(super) struct Script {
    /// Between two words.
    pub(super) pace: Duration,
    pub(super) turns: Vec<Turn>,
}

pub(super) struct Turn {
    pub(super) when: When,
    pub(super) acts: Vec<Act>,
}

/// What a turn answers; absent conditions hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// The last user message contains this, whatever its case.
    pub(super) text: Option<String>,
    /// The last message is the result of this tool.
    pub(super) tool: Option<String>,
    /// The run answers an interrupt.
    pub(super) resumed: Option<bool>,
}

pub(super) enum Act {
    Say(String),
    Reason(String),
    Step { name: String, acts: Vec<Act> },
    Patch(Vec<Operation>),
    Tool { name: String, args: Value, result: Value },
    Call { name: String, args: Value },
    Wait(Duration),
    Interrupt(Question),
    Fail { message: String, code: String },
    Repeat { times: u64, acts: Vec<Act> },
    Raw(Box<Event>),
}

/// What an interrupt asks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) id: Option<String>,
    pub(super) reason: String,
    pub(super) message: Option<String>,
    pub(super) tool_call_id: Option<String>,
    pub(super) response_schema: Option<Map<String, Value>>,
}

impl Script {
    pub(super) fn read(config: &Value) -> Result<Self, ConfigError> {
        let config = Entry::root(config);
        let pace = pace(&config, &["turns"], DEFAULT_PACE)?;
        let turns = config.required("turns")?.items()?;
        Ok(Self { pace, turns: turns.iter().map(turn).collect::<Result<_, _>>()? })
    }
}

fn turn(entry: &Entry<'_>) -> Result<Turn, ConfigError> {
    entry.object_of(&["when", "do"])?;
    let when = entry.member("when").map_or_else(|| Ok(When::default()), |when| when.shaped())?;
    Ok(Turn { when, acts: acts(&entry.required("do")?, MAX_DEPTH)? })
}

/// Operations whose values a document can hold: they are written as they stand.
fn patch(entry: &Entry<'_>) -> Result<Vec<Operation>, ConfigError> {
    let operations: Vec<Operation> = entry.shaped()?;
    for item in entry.items()? {
        if let Some(value) = item.member("value")
            && let Err(error) = json::check(value.value, &Limits::default())
        {
            return value.refuse(format!("no document takes this: {error}"));
        }
    }
    Ok(operations)
}

fn acts(entry: &Entry<'_>, depth: usize) -> Result<Vec<Act>, ConfigError> {
    if depth == 0 {
        return entry.refuse(format!("is nested more than {MAX_DEPTH} levels deep"));
    }
    entry.items()?.iter().map(|item| act(item, depth)).collect()
}

fn act(entry: &Entry<'_>, depth: usize) -> Result<Act, ConfigError> {
    let members = entry.object()?;
    let name = match (members.len(), members.keys().next()) {
        (1, Some(name)) => name,
        _ => return entry.refuse("must be one thing to do, such as `say: hello`"),
    };
    let what = entry.required(name)?;
    match name.as_str() {
        "say" => what.text().map(Act::Say),
        "reason" => what.text().map(Act::Reason),
        "wait" => what.duration().map(Act::Wait),
        "patch" => patch(&what).map(Act::Patch),
        "interrupt" => what.shaped().map(Act::Interrupt),
        "step" => {
            what.object_of(&["name", "do"])?;
            let acts = acts(&what.required("do")?, depth - 1)?;
            Ok(Act::Step { name: what.required("name")?.text()?, acts })
        }
        "repeat" => {
            what.object_of(&["times", "do"])?;
            let times = what.required("times")?;
            let acts = acts(&what.required("do")?, depth - 1)?;
            match times.value.as_u64().filter(|count| *count <= MAX_TIMES) {
                Some(times) => Ok(Act::Repeat { times, acts }),
                None => times.refuse(format!("must be a whole number of at most {MAX_TIMES}")),
            }
        }
        "tool" => {
            what.object_of(&["name", "args", "result"])?;
            let result = what.member("result").map_or(Value::Null, |result| result.value.clone());
            Ok(Act::Tool { name: what.required("name")?.text()?, args: args(&what)?, result })
        }
        "call" => {
            what.object_of(&["name", "args"])?;
            Ok(Act::Call { name: what.required("name")?.text()?, args: args(&what)? })
        }
        "fail" => {
            what.object_of(&["message", "code"])?;
            let code = what.member("code").map_or_else(|| Ok("internal".to_owned()), |code| code.text())?;
            Ok(Act::Fail { message: what.required("message")?.text()?, code })
        }
        "raw" => match Event::read(&what.value.to_string()) {
            Ok(Reading::Event(event)) => Ok(Act::Raw(Box::new(event))),
            Ok(Reading::Unknown { event_type }) => what.refuse(format!("AG-UI has no event `{event_type}`")),
            Err(error) => what.refuse(error.to_string()),
        },
        _ => what.refuse(format!(
            "unknown thing to do `{name}`: there are say, reason, step, patch, tool, call, wait, interrupt, fail, \
             repeat, raw"
        )),
    }
}

fn args(entry: &Entry<'_>) -> Result<Value, ConfigError> {
    match entry.member("args") {
        None => Ok(Value::Object(Map::new())),
        Some(args) => args.object().cloned().map(Value::Object),
    }
}

//! The script: turns, what each waits for, and what it answers. Everything is checked before the agent is served.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::agent::config::{ConfigError, Entry, pace};
use crate::agent::model::{FaultKind, Finish};

const DEFAULT_PACE: Duration = Duration::from_millis(30);

pub(super) struct Script {
    /// Between two words.
    pub(super) pace: Duration,
    pub(super) turns: Vec<Turn>,
}

pub(super) struct Turn {
    pub(super) when: When,
    pub(super) answer: Vec<Part>,
}

/// What a turn answers; absent conditions hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// The last user message contains this, whatever its case.
    pub(super) text: Option<String>,
    /// The last message is a result of this tool.
    pub(super) tool: Option<String>,
    /// That result says `ok: true`, or does not.
    pub(super) ok: Option<bool>,
    /// The run was started by a trigger of this type: `state`, `cron`, `webhook` …
    pub(super) trigger: Option<String>,
    /// The request offers this tool.
    pub(super) offered: Option<String>,
}

/// A part of an answer.
pub(super) enum Part {
    Say(String),
    Reason(String),
    Call {
        name: String,
        args: Value,
    },
    Wait(Duration),
    /// The answer fails here.
    Fail {
        kind: FaultKind,
        message: String,
    },
    /// Ends the answer for another reason than that it is complete.
    Finish(Finish),
}

impl Script {
    pub(super) fn read(script: &Value) -> Result<Self, ConfigError> {
        let script = Entry::root(script);
        let pace = pace(&script, &["turns"], DEFAULT_PACE)?;
        let turns = script.required("turns")?.items()?;
        Ok(Self { pace, turns: turns.iter().map(turn).collect::<Result<_, _>>()? })
    }
}

fn turn(entry: &Entry<'_>) -> Result<Turn, ConfigError> {
    entry.object_of(&["when", "answer"])?;
    let when = entry.member("when").map_or_else(|| Ok(When::default()), |when| when.shaped())?;
    let answer = entry.required("answer")?.items()?.iter().map(part).collect::<Result<_, _>>()?;
    Ok(Turn { when, answer })
}

fn part(entry: &Entry<'_>) -> Result<Part, ConfigError> {
    let members = entry.object()?;
    let name = match (members.len(), members.keys().next()) {
        (1, Some(name)) => name,
        _ => return entry.refuse("must be one part of an answer, such as `say: hello`"),
    };
    let what = entry.required(name)?;
    match name.as_str() {
        "say" => what.text().map(Part::Say),
        "reason" => what.text().map(Part::Reason),
        "wait" => what.duration().map(Part::Wait),
        "call" => {
            what.object_of(&["name", "args"])?;
            let args = match what.member("args") {
                Some(args) => args.object()?.clone(),
                None => Map::new(),
            };
            Ok(Part::Call { name: what.required("name")?.text()?, args: Value::Object(args) })
        }
        "fail" => {
            what.object_of(&["code", "message"])?;
            let code = what.required("code")?;
            let kind = match code.text()?.as_str() {
                "rate_limited" => FaultKind::RateLimited,
                "provider_error" => FaultKind::Provider,
                "truncated" => FaultKind::Truncated,
                "timeout" => FaultKind::Timeout,
                "auth" => FaultKind::Auth,
                "context_overflow" => FaultKind::ContextOverflow,
                _ => {
                    return code
                        .refuse("must be rate_limited, provider_error, truncated, timeout, auth or context_overflow");
                }
            };
            Ok(Part::Fail { kind, message: what.required("message")?.text()? })
        }
        "finish" => match what.text()?.as_str() {
            "length" => Ok(Part::Finish(Finish::Length)),
            "filtered" => Ok(Part::Finish(Finish::Filtered)),
            _ => what.refuse("must be length or filtered"),
        },
        _ => what
            .refuse(format!("unknown part of an answer `{name}`: there are say, reason, call, wait, fail and finish")),
    }
}

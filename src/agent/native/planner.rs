//! An agent that makes a list for a goal in its state and works through it, while people edit the same list.
//!
//! It trusts no index across an `.await`: the list is read again before each item and every write tests its target.

mod list;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::suggest::{self, Offer, suggest};
use super::voice::Voice;
use crate::agent::config::{ConfigError, Entry, pace};
use crate::agent::error::StateError;
use crate::agent::{Agent, AgentError, Descriptor, RunContext, RunOutcome};
use crate::agui::{AgentCapabilities, StateCapabilities};
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use list::{Item, Status};

const DEFAULT_PACE: Duration = Duration::from_millis(120);
/// How many items one run works on at most: a list may grow while it is worked through.
const MAX_ITEMS: usize = 100;
/// How often a write is tried again because the list changed under it.
const MAX_TRIES: usize = 8;

/// What to say while something on the list is open, and otherwise.
const OPEN: &[Offer] = &[("Continue", "continue"), ("Another plan", "plan a quiet evening")];
const FRESH: &[Offer] = &[
    ("Plan a picnic", "plan a picnic: choose a place, pack the basket, invite friends"),
    ("Plan a release", "plan a release: freeze the branch, write the notes, tag the build"),
];

/// The state of a planner, as it makes it; people may add to it what they like.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Plan {
    /// What is planned.
    goal: String,
    steps: Vec<Step>,
}

/// One item of the list.
#[derive(Debug, Serialize, JsonSchema)]
struct Step {
    /// Absent when a person added it without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    title: String,
    /// Absent is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

pub(super) struct Planner {
    pace: Duration,
}

impl Planner {
    pub(super) fn new(config: &Value) -> Result<Self, ConfigError> {
        Ok(Self { pace: pace(&Entry::root(config), &[], DEFAULT_PACE)? })
    }
}

#[async_trait]
impl Agent for Planner {
    fn descriptor(&self) -> Descriptor {
        let state = StateCapabilities {
            deltas: Some(true),
            memory: Some(true),
            persistent_state: Some(true),
            ..StateCapabilities::default()
        };
        Descriptor {
            description: "Plans a goal as a list in its state and works through it".to_owned(),
            capabilities: AgentCapabilities { state: Some(state), ..AgentCapabilities::default() },
        }
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let mut voice = Voice::new(&cx, self.pace);
        if suggest::is_asked(&voice) {
            let is_open = list_of(&cx).await?.iter().any(|item| item.status != Status::Done);
            suggest(&mut voice, if is_open { OPEN } else { FRESH }).await?;
            return Ok(RunOutcome::default());
        }
        match list::request(&cx.input().last_user_text()) {
            list::Request::Plan(goal) => {
                plan(&mut voice, &goal).await?;
                work(&mut voice).await?;
            }
            list::Request::Continue => work(&mut voice).await?,
            list::Request::Other => {
                voice
                    .say(
                        "Write “plan” and a goal, such as “plan a picnic”, and I make a list and work through it. \
                         Edit the list while I work, I look again before each item. “continue” takes up what is open.",
                    )
                    .await?;
            }
        }
        Ok(RunOutcome::default())
    }
}

async fn plan(voice: &mut Voice<'_>, goal: &str) -> Result<(), AgentError> {
    let step = |title| Step { id: Some(voice.cx.new_id()), title, status: Some(Status::Pending) };
    let plan = Plan { goal: goal.to_owned(), steps: list::titles(goal).into_iter().map(step).collect() };
    let count = plan.steps.len();
    let Value::Object(members) = serde_json::to_value(&plan).expect("a plan is plain data") else {
        unreachable!("a struct is an object");
    };
    let add = |(name, value): (String, Value)| Operation::Add { path: Pointer::root().join(name), value };
    voice.cx.patch_state(members.into_iter().map(add).collect()).await?;
    voice.say(&format!("I made a plan of {count} steps for “{goal}”.")).await
}

async fn work(voice: &mut Voice<'_>) -> Result<(), AgentError> {
    let mut worked = 0;
    while let Some(item) = next(voice.cx).await? {
        if worked == MAX_ITEMS {
            return voice.say("That is enough for one run. Write “continue” and I go on.").await;
        }
        worked += 1;
        let cx = voice.cx;
        cx.step(&item.title, one(voice, &item)).await?;
    }
    let ending = match (worked, list_of(voice.cx).await?.is_empty()) {
        (0, true) => "There is no list yet. Write “plan” and a goal.",
        (0, false) => "Everything on the list is done.",
        _ => "The list is done.",
    };
    voice.say(ending).await
}

/// Works on one item, unless somebody else ticks or removes it meanwhile.
async fn one(voice: &mut Voice<'_>, item: &Item) -> Result<(), AgentError> {
    if !mark(voice.cx, item, Status::Running).await? {
        return voice.say(&format!("“{}” is settled already, I go on.", item.title)).await;
    }
    voice.say(&format!("I am working on “{}” now.", item.title)).await?;
    let is_ours = mark(voice.cx, item, Status::Done).await?;
    if is_ours {
        return Ok(());
    }
    voice.say(&format!("Somebody settled “{}” while I was at it.", item.title)).await
}

async fn list_of(cx: &RunContext) -> Result<Vec<Item>, AgentError> {
    let steps = cx.read_state(&Pointer::root().join("steps")).await?.value;
    Ok(list::items(steps.as_ref()))
}

/// The first item that is not done.
async fn next(cx: &RunContext) -> Result<Option<Item>, AgentError> {
    Ok(list_of(cx).await?.into_iter().find(|item| item.status != Status::Done))
}

/// Sets an item's status wherever it stands now; `false` when it is done or gone.
async fn mark(cx: &RunContext, item: &Item, status: Status) -> Result<bool, AgentError> {
    for _ in 0..MAX_TRIES {
        let Some(current) = list_of(cx).await?.into_iter().find(|other| other.is(item)) else { return Ok(false) };
        if current.status == Status::Done {
            return Ok(false);
        }
        match cx.patch_state(current.set_status(status)).await {
            Ok(_) => return Ok(true),
            // The list moved between the look and the write: look again.
            Err(StateError::Refused { .. }) => {}
            Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => return Err(error.into()),
        }
    }
    Err(AgentError::new("internal", format!("“{}” could not be marked: the list changes too often", item.title)))
}

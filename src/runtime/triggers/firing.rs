//! What fired a trigger, as the store keeps it until a run is stored for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::json_text;
use crate::state::document::Commit;
use crate::state::watch::Changed;
use crate::store::{Tenant, WorkItem, WorkKey};

use super::super::document::DocumentRef;
use super::super::runs::Lifecycle;
use super::super::thread::ThreadRef;

/// The queue of the store in which firings wait.
pub(super) const QUEUE: &str = "outbox";

/// A debounce is over at the latest after so many times its length, however busy the document is.
const PATIENCE: u32 = 10;
/// So many changes are told one by one; of more, how many there are.
const TOLD: usize = 50;

/// One or several firings of one trigger for one document or run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Firing {
    pub(super) tenant: String,
    /// Whose documents and threads it is about; empty for those of the whole tenant.
    pub(super) owner: String,
    pub(super) agent: String,
    /// The id of the trigger.
    pub(super) trigger: String,
    pub(super) what: What,
    pub(super) first_at_ms: i64,
    pub(super) last_at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A document, `type/id`, changed.
    State {
        doc: String,
        changes: Vec<Change>,
        /// Changes that are not among them.
        #[serde(default)]
        more: u64,
        /// The run that made the latest of them.
        run_id: Option<String>,
    },
    /// A run of another agent ended.
    Ended { agent: String, run_id: String, thread_id: String, status: String, error: Option<String> },
}

/// A change of a watched place, as the run is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<Value>,
    pub(super) version: u64,
    pub(super) actor: String,
}

impl Change {
    pub(super) fn new(changed: Changed, commit: &Commit) -> Self {
        let Changed { path, old, new } = changed;
        Self { path: path.to_string(), old, new, version: commit.version, actor: commit.actor.to_string() }
    }
}

impl Firing {
    /// A trigger of `agent` fired by a commit of `document`.
    pub(super) fn of_commit(
        document: &DocumentRef,
        (agent, trigger): (&str, &str),
        commit: &Commit,
        changed: Vec<Changed>,
        at_ms: i64,
    ) -> Self {
        let changes = changed.into_iter().map(|changed| Change::new(changed, commit)).collect();
        let run_id = commit.run_id.as_deref().map(str::to_owned);
        let what = What::State { doc: document.name.to_string(), changes, more: 0, run_id };
        Self {
            tenant: document.tenant.to_string(),
            owner: document.owner.to_string(),
            agent: agent.to_owned(),
            trigger: trigger.to_owned(),
            what,
            first_at_ms: at_ms,
            last_at_ms: at_ms,
        }
        .bounded()
    }

    /// A trigger of `agent` fired by the end of a run on `thread`.
    pub(super) fn of_end(thread: &ThreadRef, (agent, trigger): (&str, &str), run: &Lifecycle, at_ms: i64) -> Self {
        let what = What::Ended {
            agent: run.agent.clone(),
            run_id: run.run_id.clone(),
            thread_id: run.thread_id.clone(),
            status: run.status.as_str().to_owned(),
            error: run.error.as_ref().map(|error| error.message.clone()),
        };
        Self {
            tenant: thread.tenant.to_string(),
            owner: thread.owner.to_string(),
            agent: agent.to_owned(),
            trigger: trigger.to_owned(),
            what,
            first_at_ms: at_ms,
            last_at_ms: at_ms,
        }
    }

    /// What is one run's work: firings of the same trigger for the same document, or one end.
    pub(super) fn group(&self) -> Group {
        let about = match &self.what {
            What::State { doc, .. } => doc.clone(),
            What::Ended { run_id, .. } => run_id.clone(),
        };
        Group {
            tenant: self.tenant.clone(),
            owner: self.owner.clone(),
            agent: self.agent.clone(),
            trigger: self.trigger.clone(),
            about,
        }
    }

    /// The same with a later firing of the same group: of each place the value before all and the value now.
    pub(super) fn with(mut self, later: Self) -> Self {
        self.last_at_ms = self.last_at_ms.max(later.last_at_ms);
        if let (
            What::State { changes, more, run_id, .. },
            What::State { changes: new, more: new_more, run_id: new_run, .. },
        ) = (&mut self.what, later.what)
        {
            for change in new {
                match changes.iter_mut().find(|known| known.path == change.path) {
                    Some(known) => *known = Change { old: known.old.take(), ..change },
                    None => changes.push(change),
                }
            }
            *more += new_more;
            *run_id = new_run.or(run_id.take());
        }
        self.bounded()
    }

    fn bounded(mut self) -> Self {
        if let What::State { changes, more, .. } = &mut self.what
            && changes.len() > TOLD
        {
            *more += (changes.len() - TOLD) as u64;
            changes.truncate(TOLD);
        }
        self
    }

    /// When a run is to be started for it, in milliseconds since 1970.
    pub(super) fn due_at_ms(&self, debounce: Duration) -> i64 {
        let quiet = |times: u32| i64::try_from((debounce * times).as_millis()).unwrap_or(i64::MAX / 2);
        (self.last_at_ms + quiet(1)).min(self.first_at_ms + quiet(PATIENCE))
    }

    /// As the store keeps it; a key of its own, so that the commit that fires looks at nothing that waits.
    pub(super) fn item(&self, debounce: Duration) -> WorkItem {
        let key = format!("{}/{}/{}", self.agent, self.trigger, uuid::Uuid::now_v7());
        let key = WorkKey { tenant: Tenant::new(self.tenant.as_str()), queue: QUEUE.to_owned(), key };
        let body = json_text::encode(self).into();
        WorkItem { key, due_at_ms: self.due_at_ms(debounce), body }
    }

    /// What the run is told of it.
    pub(super) fn told(&self) -> Value {
        match &self.what {
            What::State { doc, changes, more, .. } => {
                let mut told = Map::from_iter([("doc".to_owned(), json!(doc)), ("changes".to_owned(), json!(changes))]);
                if *more > 0 {
                    told.insert("more_changes".to_owned(), json!(more));
                }
                Value::Object(told)
            }
            What::Ended { agent, run_id, thread_id, status, error } => {
                let mut told = json!({"agent": agent, "run_id": run_id, "thread_id": thread_id, "status": status});
                if let Some(error) = error {
                    told["error"] = json!(error);
                }
                told
            }
        }
    }
}

/// What becomes one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) tenant: String,
    pub(super) owner: String,
    pub(super) agent: String,
    pub(super) trigger: String,
    /// A document, or the run that ended.
    pub(super) about: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(at_ms: i64, changes: &[(&str, Value, Value)], run_id: Option<&str>) -> Firing {
        let change = |(version, (path, old, new)): (usize, &(&str, Value, Value))| Change {
            path: (*path).to_owned(),
            old: Some(old.clone()),
            new: Some(new.clone()),
            version: version as u64 + 1,
            actor: "user:local".to_owned(),
        };
        Firing {
            tenant: "t".to_owned(),
            owner: String::new(),
            agent: "worker".to_owned(),
            trigger: "state-1".to_owned(),
            what: What::State {
                doc: "task/1".to_owned(),
                changes: changes.iter().enumerate().map(change).collect(),
                more: 0,
                run_id: run_id.map(str::to_owned),
            },
            first_at_ms: at_ms,
            last_at_ms: at_ms,
        }
    }

    #[test]
    fn firings_together_tell_the_value_before_all_of_them_and_the_value_now() {
        let first = firing(10, &[("/status", json!("new"), json!("ready"))], Some("r1"));
        let second = firing(20, &[("/status", json!("ready"), json!("done")), ("/n", json!(1), json!(2))], None);
        let both = first.with(second);
        assert_eq!((both.first_at_ms, both.last_at_ms), (10, 20));
        let What::State { changes, run_id, .. } = &both.what else { panic!("{both:?}") };
        let told: Vec<_> = changes.iter().map(|it| (it.path.as_str(), it.old.clone(), it.new.clone())).collect();
        let expected = [("/status", Some(json!("new")), Some(json!("done"))), ("/n", Some(json!(1)), Some(json!(2)))];
        assert_eq!(told, expected);
        assert_eq!(run_id.as_deref(), Some("r1"), "what a person wrote later does not end the chain");
    }

    #[test]
    fn a_debounce_waits_for_quiet_and_not_for_ever() {
        let debounce = Duration::from_millis(500);
        let at = |first_at_ms, last_at_ms| Firing { first_at_ms, last_at_ms, ..firing(0, &[], None) };
        assert_eq!(at(1000, 1000).due_at_ms(Duration::ZERO), 1000);
        assert_eq!(at(1000, 1200).due_at_ms(debounce), 1700);
        assert_eq!(at(1000, 5900).due_at_ms(debounce), 6000);
    }

    #[test]
    fn of_many_changes_some_are_told_and_the_rest_are_counted() {
        let paths: Vec<String> = (0..TOLD + 7).map(|n| format!("/p{n}")).collect();
        let changes: Vec<_> = paths.iter().map(|path| (path.as_str(), json!(0), json!(1))).collect();
        let told = firing(0, &changes, None).bounded().told();
        assert_eq!(told["changes"].as_array().map(Vec::len), Some(TOLD));
        assert_eq!(told["more_changes"], json!(7));
    }
}

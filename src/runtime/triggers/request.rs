//! What a trigger asks for: in whose name and in which thread its run happens, and what the run is told (docs/agents.md §6).

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::access::Principal;
use crate::agent::cause::Cause;
use crate::agent::definition::{Trigger, TriggerThread};
use crate::agui::Message;

use super::super::agents::Hosted;
use super::super::runs::{Behalf, Submission, ThreadChoice};
use super::super::{THREAD_ID_CHARACTERS, document::DocumentRef};

/// Everything of a triggered run but its cause.
#[derive(Debug)]
pub(super) struct Request<'t> {
    trigger: &'t Trigger,
    principal: Principal,
    /// The document that fired.
    doc: Option<String>,
    pub(super) thread: ThreadChoice,
}

impl<'t> Request<'t> {
    /// For something that is about no document.
    pub(super) fn of_agent(trigger: &'t Trigger, agent: &str) -> Self {
        let thread = thread(trigger, || format!("auto:{agent}"));
        Self { trigger, principal: Principal::local(), doc: None, thread }
    }

    /// For a change of a document.
    pub(super) fn of_document(trigger: &'t Trigger, agent: &str, document: &DocumentRef) -> Self {
        let principal = Principal { tenant: document.tenant.to_string(), ..owner_of(document.owner.as_str()) };
        let own = || match thread_of(document) {
            Some(thread) => thread.to_owned(),
            None => bounded(format!("auto:{agent}:{}", document.name)),
        };
        Self { trigger, principal, doc: Some(document.name.to_string()), thread: thread(trigger, own) }
    }

    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The run, which is told `told` as JSON. What is not to be seen in chat is an instruction, and never becomes the
    /// thread's.
    pub(super) fn submission(self, agent: Arc<Hosted>, cause: Cause, told: &Value) -> Submission {
        let id = uuid::Uuid::now_v7().to_string();
        let text = self.text(told);
        let message = if self.trigger.visible { Message::user(id, text) } else { Message::developer(id, text) };
        Submission {
            principal: self.principal,
            agent,
            thread: self.thread,
            messages: vec![message],
            state: None,
            cause,
            behalf: Behalf::Trigger { id: self.trigger.id.clone(), doc: self.doc },
            idempotency_key: None,
            settle: Vec::new(),
            put: Vec::new(),
            keeps_instructions: true,
        }
    }

    fn text(&self, told: &Value) -> String {
        let mut what = json!({ "trigger": self.trigger.kind.as_str() });
        if let (Value::Object(what), Value::Object(told)) = (&mut what, told) {
            what.extend(told.clone());
        }
        match &self.trigger.prompt {
            Some(prompt) => format!("{prompt}\n\n{what}"),
            None => format!("This run was started by a trigger, not by a person:\n\n{what}"),
        }
    }
}

fn thread(trigger: &Trigger, own: impl FnOnce() -> String) -> ThreadChoice {
    match &trigger.thread {
        TriggerThread::Own => ThreadChoice::Named(own()),
        TriggerThread::New => ThreadChoice::New,
        TriggerThread::Named(id) => ThreadChoice::Named(id.clone()),
    }
}

/// The thread of a document that one agent keeps for one thread.
fn thread_of(document: &DocumentRef) -> Option<&str> {
    document.name.strip_prefix("agent/")?.split_once(':').map(|(_, thread)| thread)
}

/// Whose runs those are that a document of this owner starts.
fn owner_of(owner: &str) -> Principal {
    match owner {
        "" => Principal::local(),
        subject => Principal { subject: subject.to_owned(), ..Principal::local() },
    }
}

/// A thread id that is too long ends in a hash of all of it.
fn bounded(id: String) -> String {
    if id.chars().count() <= THREAD_ID_CHARACTERS {
        return id;
    }
    let hash: String = Sha256::digest(id.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let kept: String = id.chars().take(THREAD_ID_CHARACTERS - hash.len() - 1).collect();
    format!("{kept}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::definition::{Outcome, TriggerKind};
    use crate::store::{Owner, Tenant};

    fn trigger(thread: TriggerThread) -> Trigger {
        let kind = TriggerKind::Agent { agent: "other".to_owned(), outcome: Outcome::Any };
        Trigger { id: "agent-1".to_owned(), kind, prompt: None, thread, visible: false, written: Value::Null }
    }

    fn named(document: &str, thread: TriggerThread) -> Option<String> {
        let owner = if document.contains(':') { "ada" } else { "" };
        let document = DocumentRef { tenant: Tenant::new("t"), owner: Owner::new(owner), name: document.into() };
        let trigger = trigger(thread);
        let request = Request::of_document(&trigger, "worker", &document);
        assert_eq!(request.principal.tenant, "t");
        match request.thread {
            ThreadChoice::Named(id) => Some(id),
            ThreadChoice::New => None,
        }
    }

    #[test]
    fn a_run_is_on_the_thread_of_what_fired_or_on_one_of_its_own() {
        let own = |document: &str| named(document, TriggerThread::Own).expect("it has a name");
        assert_eq!(own("agent/planner:t-1"), "t-1");
        assert_eq!(own("task/7"), "auto:worker:task/7");
        assert_eq!(own("agent/planner"), "auto:worker:agent/planner");
        assert_eq!(named("task/7", TriggerThread::New), None);
        assert_eq!(named("task/7", TriggerThread::Named("ops".to_owned())).as_deref(), Some("ops"));
        let long = own(&format!("task/{}", "x".repeat(256)));
        assert_eq!(long.chars().count(), THREAD_ID_CHARACTERS);
        assert_ne!(long, own(&format!("task/{}y", "x".repeat(255))));
    }
}

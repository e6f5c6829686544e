//! The body of a lifecycle document as text that knows where its members stand: from one version to the next texts are
//! compared and copied, and none is parsed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json_text;

use super::super::record::Lifecycle;

/// About as much as the record of a run takes.
const BYTES: usize = 512;
/// How many members it has at most, if no newer version of the program wrote it.
const MEMBERS: usize = 13;

/// A record as JSON.
#[derive(Debug, Clone)]
pub(super) struct Body {
    text: String,
    /// In the order of their names.
    members: Vec<Member>,
}

/// A body that is being written.
struct Writer {
    text: Vec<u8>,
    members: Vec<Member>,
}

/// Whose value stands where in the text.
#[derive(Debug, Clone)]
struct Member {
    name: Cow<'static, str>,
    value: Range<usize>,
}

/// A member that two bodies do not have alike, as each of them has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Differing<'t> {
    pub(super) name: &'t str,
    pub(super) before: Option<&'t str>,
    pub(super) after: Option<&'t str>,
}

impl Body {
    /// The record as serde writes it.
    pub(super) fn of(record: &Lifecycle) -> Self {
        // Named one by one, so that none is forgotten.
        let Lifecycle {
            run_id,
            agent,
            thread_id,
            status,
            cause,
            queued_at,
            started_at,
            finished_at,
            attempt,
            steps,
            usage,
            error,
            pending_tool_calls,
        } = record;
        let mut body = Writer::new(BYTES);
        body.put("run_id", run_id);
        body.put("agent", agent);
        body.put("thread_id", thread_id);
        body.put("status", status);
        body.put("cause", cause);
        body.put_some("queued_at", queued_at.as_ref());
        body.put_some("started_at", started_at.as_ref());
        body.put_some("finished_at", finished_at.as_ref());
        body.put("attempt", attempt);
        body.put("steps", steps);
        body.put("usage", usage);
        body.put_some("error", error.as_ref());
        body.put_some("pending_tool_calls", Some(pending_tool_calls).filter(|calls| !calls.is_empty()));
        body.ended()
    }

    /// Of a record that is stored, with what a newer version of the program has written of it.
    pub(super) fn read(text: &RawValue) -> Result<Self, serde_json::Error> {
        let members: BTreeMap<&str, &RawValue> = serde_json::from_str(text.get())?;
        let mut body = Writer::new(text.get().len());
        members.iter().for_each(|(name, value)| body.put((*name).to_owned(), value));
        Ok(body.ended())
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|member| (&*member.name, &self.text[member.value.clone()]))
    }
}

impl Writer {
    fn new(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), members: Vec::with_capacity(MEMBERS) }
    }

    /// Members of a record are named as fields are, so nothing in a name is to be escaped.
    fn put(&mut self, name: impl Into<Cow<'static, str>>, value: &impl Serialize) {
        let name = name.into();
        self.text.extend_from_slice(if self.members.is_empty() { b"{\"" } else { b",\"" });
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
        let begins = self.text.len();
        json_text::write(&mut self.text, value);
        self.members.push(Member { name, value: begins..self.text.len() });
    }

    fn put_some(&mut self, name: &'static str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn ended(self) -> Body {
        let Self { mut text, mut members } = self;
        text.push(b'}');
        let text = String::from_utf8(text).expect("JSON is text");
        members.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Body { text, members }
    }
}

/// What differs between two bodies, in the order of the names; without one before, all of it.
pub(super) fn differing<'t>(before: Option<&'t Body>, after: &'t Body) -> Vec<Differing<'t>> {
    let Some(before) = before else {
        return after.members().map(|(name, value)| Differing { name, before: None, after: Some(value) }).collect();
    };
    let mut differing = Vec::with_capacity(after.members.len());
    let mut before = before.members().peekable();
    let mut after = after.members().peekable();
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some((before, _)), Some((after, _))) => before.cmp(after),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return differing,
        };
        let before = before.next_if(|_| order.is_le());
        let after = after.next_if(|_| order.is_ge());
        let (name, _) = before.or(after).expect("one of them was looked at");
        let (before, after) = (before.map(|(_, value)| value), after.map(|(_, value)| value));
        if before != after {
            differing.push(Differing { name, before, after });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::cause::{Cause, CauseKind};

    use super::super::super::record::{ModelUsage, RunError, RunStatus, RunUsage};
    use super::*;

    fn begun() -> Lifecycle {
        Lifecycle {
            run_id: "r".to_owned(),
            agent: "a \"quoted\" agent".to_owned(),
            thread_id: "t".to_owned(),
            status: RunStatus::Running,
            cause: Cause::user(),
            queued_at: None,
            started_at: Some("2026-01-01T00:00:00.000Z".to_owned()),
            finished_at: None,
            attempt: 1,
            steps: 0,
            usage: RunUsage::default(),
            error: None,
            pending_tool_calls: Vec::new(),
        }
    }

    fn failed() -> Lifecycle {
        let mut usage = RunUsage::default();
        usage.add_model(&ModelUsage { model: "m".to_owned(), total_tokens: 3, ..ModelUsage::default() });
        let at = || Some("2026-01-01T00:00:01.000Z".to_owned());
        Lifecycle {
            status: RunStatus::Failed,
            cause: Cause::first(CauseKind::Api).after("r0", CauseKind::State),
            queued_at: at(),
            finished_at: at(),
            usage,
            error: Some(RunError { code: "internal".to_owned(), message: "no".to_owned() }),
            pending_tool_calls: vec!["call".to_owned()],
            ..begun()
        }
    }

    #[test]
    fn a_body_is_written_as_serde_writes_the_record() {
        for record in [begun(), failed()] {
            let body = Body::of(&record);
            assert_eq!(body.text(), serde_json::to_string(&record).expect("plain data"));
        }
    }

    #[test]
    fn a_body_that_was_read_does_not_differ_from_the_one_that_was_written() {
        let written = Body::of(&failed());
        let text = serde_json::from_str::<&RawValue>(written.text()).expect("JSON");
        assert!(differing(Some(&Body::read(text).expect("an object")), &written).is_empty());
    }

    #[test]
    fn what_differs_is_named_once_and_in_order() {
        let (begun, failed) = (Body::of(&begun()), Body::of(&failed()));
        let names = |before, after| -> Vec<_> { differing(before, after).iter().map(|of| of.name).collect() };
        let all = ["agent", "attempt", "cause", "run_id", "started_at", "status", "steps", "thread_id", "usage"];
        assert_eq!(names(None, &begun), all);
        let changed = ["cause", "error", "finished_at", "pending_tool_calls", "queued_at", "status", "usage"];
        assert_eq!(names(Some(&begun), &failed), changed);
        assert_eq!(names(Some(&failed), &begun), changed);
    }
}

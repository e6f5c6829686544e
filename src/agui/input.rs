//! What a client posts to start a run (section 1.5): read tolerantly, refused with every issue named.

use std::fmt;
use std::str::Utf8Error;

use serde::de::MapAccess;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::agui::dialect::Dialect;
use crate::agui::json::{Json, Object, same_json, without_lone_surrogates};
use crate::agui::message::Message;
use crate::agui::read::{Incomplete, Read, Reader, Record, Unknown, message_of, read_record, read_text};
use crate::agui::record::{deserialize_as_read, record, words};

record! {
    /// A tool of the caller, mostly of the browser.
    pub struct Tool {
        name: String = "name",
        description: String = "description",
    } optional {
        /// JSON Schema of the arguments.
        parameters: Json = "parameters",
        metadata: Object = "metadata",
    }
}

record! {
    /// Something of the page that the agent should know.
    pub struct Context {
        description: String = "description",
        value: String = "value",
    }
}

words! {
    /// Whether an interrupt was answered or abandoned; a refusal is an answer.
    pub enum ResumeStatus {
        Resolved = "resolved",
        Cancelled = "cancelled",
    }
}

record! {
    /// The answer to one interrupt.
    pub struct ResumeEntry {
        interrupt_id: String = "interruptId",
        status: ResumeStatus = "status",
    } optional {
        payload: Json = "payload",
        metadata: Object = "metadata",
    }
}

/// What starts a run. Two are equal if they write the same JSON.
#[derive(Clone, Debug, Default)]
pub struct RunAgentInput {
    pub thread_id: String,
    pub run_id: String,
    /// The version the client speaks; only 0.x clients send none.
    pub protocol_version: Option<String>,
    pub parent_run_id: Option<String>,
    /// The client's state; a posted null is absent.
    pub state: Option<Json>,
    pub messages: Vec<Message>,
    /// Absent reads as empty.
    pub tools: Vec<Tool>,
    /// Absent reads as empty.
    pub context: Vec<Context>,
    pub forwarded_props: Option<Json>,
    pub resume: Vec<ResumeEntry>,
}

/// One thing that is wrong with what was posted; `path` is its JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    pub path: String,
    pub message: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

/// Everything that is wrong with what was posted: at least one issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InputError {
    pub issues: Vec<Issue>,
}

impl From<Issue> for InputError {
    fn from(issue: Issue) -> Self {
        Self { issues: vec![issue] }
    }
}

impl From<Utf8Error> for InputError {
    fn from(error: Utf8Error) -> Self {
        Issue { path: String::new(), message: format!("the body is not UTF-8: {error}") }.into()
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            issue.fmt(formatter)?;
        }
        Ok(())
    }
}

impl RunAgentInput {
    /// Reads a posted body: optional nulls are absent, defaults are filled in, unknown keys are dropped, `binary` parts
    /// are upgraded, unknown roles and parts are refused.
    pub fn read(body: &[u8]) -> Result<Self, InputError> {
        let text = std::str::from_utf8(body)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        read_text(text, &mut Reader::new(Unknown::Refused)).or_else(|error| match without_lone_surrogates(text) {
            Some(repaired) => read_text(&repaired, &mut Reader::new(Unknown::Refused))
                .map_err(|error| InputError { issues: issues_of(&repaired, &error) }),
            None => Err(InputError { issues: issues_of(text, &error) }),
        })
    }

    /// What may be sent back to this client.
    pub fn dialect(&self) -> Dialect {
        Dialect::of(self.protocol_version.as_deref())
    }
}

/// The slow second look at a body that failed: every field and every element by itself.
fn issues_of(text: &str, error: &serde_json::Error) -> Vec<Issue> {
    struct Fields<'t>(Vec<(String, &'t RawValue)>);
    impl<'de> Deserialize<'de> for Fields<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct FieldsVisitor;
            impl<'de> serde::de::Visitor<'de> for FieldsVisitor {
                type Value = Fields<'de>;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                    let mut fields = Vec::new();
                    while let Some(field) = map.next_entry()? {
                        fields.push(field);
                    }
                    Ok(Fields(fields))
                }
            }
            deserializer.deserialize_map(FieldsVisitor)
        }
    }
    let whole = || vec![Issue { path: String::new(), message: message_of(error) }];
    let Ok(Fields(fields)) = serde_json::from_str(text) else { return whole() };
    let value = |key: &str| fields.iter().rev().find(|(known, _)| known == key).map(|(_, value)| *value);

    let mut issues = Vec::new();
    for key in ["threadId", "runId", "messages"] {
        if value(key).is_none() {
            issues.push(Issue { path: format!("/{key}"), message: "is required".to_owned() });
        }
    }
    for key in ["threadId", "runId"] {
        check_field::<String>(key, value(key), &mut issues);
    }
    for key in ["protocolVersion", "parentRunId"] {
        check_field::<Option<String>>(key, value(key), &mut issues);
    }
    check_list::<Message>("messages", value("messages"), Absence::Refused, &mut issues);
    check_list::<Tool>("tools", value("tools"), Absence::Allowed, &mut issues);
    check_list::<Context>("context", value("context"), Absence::Allowed, &mut issues);
    check_list::<ResumeEntry>("resume", value("resume"), Absence::Allowed, &mut issues);
    if issues.is_empty() { whole() } else { issues }
}

/// Whether a list may be null.
#[derive(Clone, Copy, PartialEq)]
enum Absence {
    Allowed,
    Refused,
}

fn check_field<T: Read>(path: &str, value: Option<&RawValue>, issues: &mut Vec<Issue>) {
    let mut reader = Reader::new(Unknown::Refused);
    if let Some(value) = value
        && let Err(error) = read_text::<T>(value.get(), &mut reader)
    {
        issues.push(Issue { path: format!("/{path}{}", reader.pointer()), message: message_of(&error) });
    }
}

fn check_list<T: Read>(path: &str, list: Option<&RawValue>, absence: Absence, issues: &mut Vec<Issue>) {
    let Some(list) = list else { return };
    if absence == Absence::Allowed && list.get() == "null" {
        return;
    }
    match serde_json::from_str::<Vec<&RawValue>>(list.get()) {
        Ok(items) => {
            for (index, item) in items.into_iter().enumerate() {
                check_field::<T>(&format!("{path}/{index}"), Some(item), issues);
            }
        }
        Err(error) => issues.push(Issue { path: format!("/{path}"), message: message_of(&error) }),
    }
}

#[derive(Default)]
pub(crate) struct Draft {
    thread_id: Option<String>,
    run_id: Option<String>,
    messages: Option<Vec<Message>>,
    rest: RunAgentInput,
}

impl Record for RunAgentInput {
    type Draft = Draft;

    fn take<'de, A: MapAccess<'de>>(
        draft: &mut Draft,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
    ) -> Result<bool, A::Error> {
        let rest = &mut draft.rest;
        match key {
            "threadId" => draft.thread_id = Some(reader.field(map, "threadId")?),
            "runId" => draft.run_id = Some(reader.field(map, "runId")?),
            "messages" => draft.messages = Some(reader.field(map, "messages")?),
            "protocolVersion" => rest.protocol_version = reader.field(map, "protocolVersion")?,
            "parentRunId" => rest.parent_run_id = reader.field(map, "parentRunId")?,
            "state" => rest.state = reader.field(map, "state")?,
            "tools" => rest.tools = reader.field::<Option<_>, A>(map, "tools")?.unwrap_or_default(),
            "context" => rest.context = reader.field::<Option<_>, A>(map, "context")?.unwrap_or_default(),
            "forwardedProps" => rest.forwarded_props = reader.field(map, "forwardedProps")?,
            "resume" => rest.resume = reader.field::<Option<_>, A>(map, "resume")?.unwrap_or_default(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(draft: Draft) -> Result<Self, Incomplete> {
        Ok(Self {
            thread_id: draft.thread_id.ok_or_else(|| Incomplete::missing("threadId"))?,
            run_id: draft.run_id.ok_or_else(|| Incomplete::missing("runId"))?,
            messages: draft.messages.ok_or_else(|| Incomplete::missing("messages"))?,
            ..draft.rest
        })
    }
}

impl Read for RunAgentInput {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_record(deserializer, reader)
    }
}

impl Serialize for RunAgentInput {
    /// Writes `tools` and `context` even when empty: 0.x clients require them in the echo of an input.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("threadId", &self.thread_id)?;
        map.serialize_entry("runId", &self.run_id)?;
        if let Some(version) = &self.protocol_version {
            map.serialize_entry("protocolVersion", version)?;
        }
        if let Some(parent) = &self.parent_run_id {
            map.serialize_entry("parentRunId", parent)?;
        }
        if let Some(state) = &self.state {
            map.serialize_entry("state", state)?;
        }
        map.serialize_entry("messages", &self.messages)?;
        map.serialize_entry("tools", &self.tools)?;
        map.serialize_entry("context", &self.context)?;
        if let Some(forwarded_props) = &self.forwarded_props {
            map.serialize_entry("forwardedProps", forwarded_props)?;
        }
        if !self.resume.is_empty() {
            map.serialize_entry("resume", &self.resume)?;
        }
        map.end()
    }
}

impl PartialEq for RunAgentInput {
    fn eq(&self, other: &Self) -> bool {
        same_json(self, other)
    }
}

deserialize_as_read!(RunAgentInput, Tool, Context, ResumeEntry);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Result<&str, &str>) {
        let read = RunAgentInput::read(body.as_bytes());
        let written = read.as_ref().map(|input| serde_json::to_string(input).unwrap()).map_err(ToString::to_string);
        assert_eq!(written.as_deref().map_err(String::as_str), expected, "{body}");
    }

    #[test]
    fn a_refusal_lists_everything_that_is_wrong() {
        check(
            r#"{"runId":1,"messages":[{"role":"user","content":"x"},{"id":"2","role":"user","content":[{"type":"image_url"}]}],"context":[{"value":""}]}"#,
            Err(concat!(
                "/threadId: is required; /runId: invalid type: integer `1`, expected a string; ",
                r#"/messages/0/id: is required; /messages/1/content/0/type: "image_url" is not known; "#,
                "/context/0/description: is required",
            )),
        );
        check("[]", Err("invalid type: sequence, expected an object"));
        check("{", Err("EOF while parsing an object at line 1 column 1"));
    }

    #[test]
    fn tools_and_context_may_be_absent_and_are_written() {
        check(
            r#"{"threadId":"t","runId":"r","messages":[],"state":null,"resume":null,"x":1}"#,
            Ok(r#"{"threadId":"t","runId":"r","messages":[],"tools":[],"context":[]}"#),
        );
    }

    #[test]
    fn what_old_clients_attach_is_upgraded() {
        check(
            r#"{"threadId":"t","runId":"r","messages":[{"id":"1","role":"user","content":[{"type":"binary","mimeType":"image/png","data":"AA"}]}]}"#,
            Ok(
                r#"{"threadId":"t","runId":"r","messages":[{"role":"user","id":"1","content":[{"type":"image","source":{"type":"data","value":"AA","mimeType":"image/png"}}]}],"tools":[],"context":[]}"#,
            ),
        );
    }
}

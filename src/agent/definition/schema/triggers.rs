//! `triggers`: every entry held against the rules of its type, then read.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::grammar::{
    AGENT_TRIGGER, CRON_TRIGGER, Field, INTERVAL_TRIGGER, START_TRIGGER, STATE_TRIGGER, WEBHOOK_TRIGGER,
};
use super::super::reader::{Fields, Reader};
use super::super::schedule::Cron;
use super::super::span;
use super::super::tree::{Node, Shape};
use super::super::trigger::{
    Idempotency, Outcome, Overlap, StateTrigger, Trigger, TriggerKind, TriggerThread, Verify, Webhook,
};
use crate::state::pointer::Pointer;
use crate::state::watch::Place;

const TYPES: [(&str, &[Field]); 6] = [
    ("state", STATE_TRIGGER),
    ("cron", CRON_TRIGGER),
    ("interval", INTERVAL_TRIGGER),
    ("webhook", WEBHOOK_TRIGGER),
    ("agent", AGENT_TRIGGER),
    ("start", START_TRIGGER),
];

const OVERLAPS: [(&str, Overlap); 3] = [("skip", Overlap::Skip), ("queue", Overlap::Queue), ("allow", Overlap::Allow)];

const OUTCOMES: [(&str, Outcome); 3] =
    [("success", Outcome::Success), ("failure", Outcome::Failure), ("any", Outcome::Any)];

/// How much of the hash of what is written names a trigger.
const HASH_CHARACTERS: usize = 12;

pub(super) fn triggers(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<Trigger> {
    let Some(node) = root.get("triggers") else { return Vec::new() };
    let Shape::List(items) = &node.shape else {
        return reader.expected("a list of mappings", node, "triggers").unwrap_or_default();
    };
    let mut triggers: Vec<Trigger> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("triggers[{index}]");
        let Some(fields) = reader.any_fields(item, &path) else { continue };
        if fields.get("type").is_none() {
            let message = format!("`{path}.type` is missing: write state, cron, interval, webhook, agent or start");
            reader.note(fields.at, &path, message);
            continue;
        }
        let Some(rules) = reader.word(&fields, "type", &TYPES) else { continue };
        let before = reader.problems.len();
        reader.hold_members(&fields, &path, rules);
        // What does not fit its rules was told, and is not read.
        if reader.problems.len() > before {
            continue;
        }
        if let Some(trigger) = trigger(reader, &fields, item, &triggers) {
            triggers.push(trigger);
        }
    }
    triggers
}

fn trigger(reader: &mut Reader<'_>, fields: &Fields<'_>, item: &Node, before: &[Trigger]) -> Option<Trigger> {
    let kind = kind(reader, fields)?;
    if let TriggerKind::Webhook(webhook) = &kind
        && before.iter().any(|other| matches!(&other.kind, TriggerKind::Webhook(other) if other.name == webhook.name))
    {
        let message = format!("the agent has a webhook `{}` already: give each a name of its own", webhook.name);
        reader.note(fields.at, &fields.path_of("name"), message);
        return None;
    }
    let written = item.to_value();
    let repeats = before.iter().filter(|other| other.written == written).count();
    let thread = match text(reader, fields, "thread").as_deref() {
        None => TriggerThread::Own,
        Some("new") => TriggerThread::New,
        Some(name) => TriggerThread::Named(name.to_owned()),
    };
    Some(Trigger {
        id: id(kind.as_str(), &written, repeats),
        kind,
        prompt: text(reader, fields, "prompt"),
        thread,
        visible: reader.bool_or(fields, "visible", false),
        written,
    })
}

/// Two triggers that are written alike are told apart by their order.
fn id(kind: &str, written: &Value, repeats: usize) -> String {
    let hash = Sha256::digest(written.to_string().as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).take(HASH_CHARACTERS / 2).collect();
    match repeats {
        0 => format!("{kind}-{hash}"),
        more => format!("{kind}-{hash}-{more}"),
    }
}

fn kind(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<TriggerKind> {
    Some(match reader.text(fields, "type")?.0 {
        "state" => TriggerKind::State(StateTrigger {
            doc: text(reader, fields, "doc")?,
            path: text(reader, fields, "path").and_then(|path| Place::parse(&path).ok()),
            when: text(reader, fields, "when"),
            debounce: duration(reader, fields, "debounce"),
            from: reader
                .texts(fields, "from")
                .map(|from| from.into_iter().map(|(actor, ..)| actor.to_owned()).collect()),
        }),
        "cron" => {
            let (expression, at) = reader.text(fields, "expr")?;
            let schedule = Cron::parse(expression).ok()?;
            if schedule.next_after(Timestamp::now()).is_none() {
                let message = format!("`{expression}` never fires: there is no such day");
                reader.note(at, &fields.path_of("expr"), message);
                return None;
            }
            let schedule = match reader.text(fields, "tz") {
                None => schedule,
                Some((zone, at)) => match schedule.in_zone(zone) {
                    Ok(schedule) => schedule,
                    Err(message) => {
                        reader.note(at, &fields.path_of("tz"), message);
                        return None;
                    }
                },
            };
            let (overlap, catchup) = timing(reader, fields);
            TriggerKind::Cron { schedule: Box::new(schedule), overlap, catchup }
        }
        "interval" => {
            let every = duration(reader, fields, "every");
            let (overlap, catchup) = timing(reader, fields);
            TriggerKind::Interval { every, overlap, catchup }
        }
        "webhook" => TriggerKind::Webhook(webhook(reader, fields)?),
        "agent" => TriggerKind::Agent {
            agent: text(reader, fields, "agent")?,
            outcome: reader.word(fields, "outcome", &OUTCOMES).unwrap_or_default(),
        },
        _ => TriggerKind::Start,
    })
}

fn timing(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (Overlap, Duration) {
    (reader.word(fields, "overlap", &OVERLAPS).unwrap_or_default(), duration(reader, fields, "catchup"))
}

fn webhook(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Webhook> {
    let name = text(reader, fields, "name")?;
    let verify = match fields.get("verify") {
        None => None,
        Some(node) => {
            let fields = reader.any_fields(node, &fields.path_of("verify"))?;
            let header = text(reader, &fields, "header")?.to_ascii_lowercase();
            Some(Verify { hmac_sha256: reader.secret(&fields, "hmac_sha256")?, header })
        }
    };
    let idempotency = match reader.text(fields, "idempotency") {
        None => None,
        Some((text, at)) => match Idempotency::parse(text) {
            Some(idempotency) => Some(idempotency),
            None => {
                let message = format!("`{text}` is no key: write header:NAME or body:/pointer");
                reader.note(at, &fields.path_of("idempotency"), message);
                return None;
            }
        },
    };
    let mut map = Vec::new();
    if let Some(Node { shape: Shape::Map(members), .. }) = fields.get("map") {
        for (key, node) in members {
            let (Ok(place), Shape::Text(expression)) = (Pointer::parse(&key.name), &node.shape) else {
                let message = format!("`{}` is not a JSON Pointer: write /name/of/member", key.name);
                reader.note(key.at, &fields.path_of("map"), message);
                return None;
            };
            map.push((place, expression.clone()));
        }
    }
    Some(Webhook { name, verify, idempotency, map })
}

fn text(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Option<String> {
    reader.text(fields, name).map(|(text, _)| text.to_owned())
}

/// Nothing when it is absent or written as `0`.
fn duration(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Duration {
    match fields.get(name).map(|node| &node.shape) {
        Some(Shape::Text(_)) => reader.text(fields, name).and_then(|(text, _)| span::parse(text).ok()),
        _ => None,
    }
    .unwrap_or_default()
}

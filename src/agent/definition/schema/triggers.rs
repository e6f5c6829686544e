//! `triggers`: every entry held against the rules of its type.

use super::super::grammar::{
    AGENT_TRIGGER, CRON_TRIGGER, Field, INTERVAL_TRIGGER, START_TRIGGER, STATE_TRIGGER, WEBHOOK_TRIGGER,
};
use super::super::reader::{Fields, Reader};
use super::super::tree::Shape;
use super::super::trigger::{Trigger, TriggerKind};

const TYPES: [(&str, &[Field]); 6] = [
    ("state", STATE_TRIGGER),
    ("cron", CRON_TRIGGER),
    ("interval", INTERVAL_TRIGGER),
    ("webhook", WEBHOOK_TRIGGER),
    ("agent", AGENT_TRIGGER),
    ("start", START_TRIGGER),
];

pub(super) fn triggers(reader: &mut Reader<'_>, root: &Fields<'_>) -> Vec<Trigger> {
    let Some(node) = root.get("triggers") else { return Vec::new() };
    let Shape::List(items) = &node.shape else {
        return reader.expected("a list of mappings", node, "triggers").unwrap_or_default();
    };
    let mut triggers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("triggers[{index}]");
        let Some(fields) = reader.any_fields(item, &path) else { continue };
        if fields.get("type").is_none() {
            let message = format!("`{path}.type` is missing: write state, cron, interval, webhook, agent or start");
            reader.note(fields.at, &path, message);
            continue;
        }
        let Some(rules) = reader.word(&fields, "type", &TYPES) else { continue };
        reader.hold_members(&fields, &path, rules);
        if let Some(kind) = kind(reader, &fields) {
            triggers.push(Trigger { kind, written: item.to_value() });
        }
    }
    triggers
}

fn kind(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<TriggerKind> {
    let text = |reader: &mut Reader<'_>, name| reader.text(fields, name).map(|(text, _)| text.to_owned());
    Some(match reader.text(fields, "type")?.0 {
        "state" => {
            let from = reader.texts(fields, "from");
            TriggerKind::State {
                doc: text(reader, "doc")?,
                path: text(reader, "path"),
                from: from.map(|from| from.into_iter().map(|(actor, ..)| actor.to_owned()).collect()),
            }
        }
        "cron" => TriggerKind::Cron,
        "interval" => TriggerKind::Interval,
        "webhook" => TriggerKind::Webhook,
        "agent" => TriggerKind::Agent { agent: text(reader, "agent")? },
        _ => TriggerKind::Start,
    })
}

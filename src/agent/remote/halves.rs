//! Characters that an endpoint cut in two. JavaScript counts a character beyond U+FFFF as two, and a text that is cut
//! between them ends one delta with the first half and begins the next with the second; clients that count the same way
//! see the character again, and so do all others once it has been put together here.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::agui::{Base, Event};

/// What stands for half a character.
const STAND_IN: char = char::REPLACEMENT_CHARACTER;

/// The first halves whose second has not come yet.
#[derive(Default)]
pub(super) struct Halves {
    held: Vec<Half>,
    /// Events that come before those still to be read.
    ready: VecDeque<Event>,
}

struct Half {
    unit: u16,
    /// Told in its place if the second never comes: a delta of the same message or call.
    alone: Event,
}

impl Halves {
    /// Takes the event that `data` was read as, and answers what comes next; [`Halves::waiting`] has what follows it.
    pub(super) fn pass(&mut self, mut event: Event, data: &str) -> Event {
        if self.held.is_empty() && !delta_of(&mut event).is_some_and(|delta| delta.ends_with(STAND_IN)) {
            return event;
        }
        while let Some(over) = self.held.iter().position(|half| half.is_over_at(&event)) {
            self.ready.push_back(self.held.remove(over).alone);
        }
        self.join(&mut event, data);
        self.ready.push_back(event);
        self.ready.pop_front().expect("an event was pushed just now")
    }

    /// An event that comes before those still to be read.
    pub(super) fn waiting(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// What stands for a half at the end of the stream.
    pub(super) fn left(&mut self) -> Option<Event> {
        self.held.pop().map(|half| half.alone)
    }

    /// Gives a delta the half that was held back for it, and holds its own back.
    fn join(&mut self, event: &mut Event, data: &str) {
        let before = self.held.iter().position(|half| half.goes_on_with(event));
        let Some(delta) = delta_of(event).filter(|delta| !delta.is_empty()) else { return };
        let edges = Edges::of(data).unwrap_or_default();
        if let Some(before) = before {
            let first = self.held.remove(before).unit;
            match edges.second.and_then(|second| char::decode_utf16([first, second]).next()?.ok()) {
                Some(whole) => delta.replace_range(..STAND_IN.len_utf8(), whole.encode_utf8(&mut [0; 4])),
                None => delta.insert(0, STAND_IN),
            }
        }
        if let Some(unit) = edges.first
            && delta.pop() == Some(STAND_IN)
        {
            self.held.push(Half { unit, alone: alone(event) });
        }
    }
}

impl Half {
    /// Whether the event is another delta of the same message or call.
    fn goes_on_with(&self, event: &Event) -> bool {
        let belongs = |ours: &Option<String>, its: &Option<String>| its.is_none() || ours == its;
        let is_same_stream = match (&self.alone, event) {
            (Event::TextMessageContent(ours), Event::TextMessageContent(its)) => ours.message_id == its.message_id,
            (Event::ReasoningMessageContent(ours), Event::ReasoningMessageContent(its)) => {
                ours.message_id == its.message_id
            }
            (Event::ToolCallArgs(ours), Event::ToolCallArgs(its)) => ours.tool_call_id == its.tool_call_id,
            (Event::TextMessageChunk(ours), Event::TextMessageChunk(its)) => belongs(&ours.message_id, &its.message_id),
            (Event::ReasoningMessageChunk(ours), Event::ReasoningMessageChunk(its)) => {
                belongs(&ours.message_id, &its.message_id)
            }
            (Event::ToolCallChunk(ours), Event::ToolCallChunk(its)) => belongs(&ours.tool_call_id, &its.tool_call_id),
            _ => false,
        };
        is_same_stream && self.alone.base().subagent_run_id == event.base().subagent_run_id
    }

    /// Whether nothing can be added after the event: what came in chunks ends with nearly everything else.
    fn is_over_at(&self, event: &Event) -> bool {
        let is_chunk = matches!(
            self.alone,
            Event::TextMessageChunk(_) | Event::ReasoningMessageChunk(_) | Event::ToolCallChunk(_)
        );
        match event {
            _ if is_chunk => !self.goes_on_with(event),
            Event::TextMessageEnd(_) | Event::ReasoningMessageEnd(_) => event.message_id() == self.alone.message_id(),
            Event::ToolCallEnd(_) => event.tool_call_id() == self.alone.tool_call_id(),
            Event::MessagesSnapshot(_) | Event::SubagentFinished(_) | Event::SubagentError(_) => true,
            _ => event.is_terminal(),
        }
    }
}

/// The halves that a delta begins and ends with, as they stood in its JSON.
#[derive(Default)]
struct Edges {
    /// The second half of a character that began before.
    second: Option<u16>,
    /// The first half of a character that goes on later.
    first: Option<u16>,
}

impl Edges {
    fn of(data: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Frame<'d> {
            #[serde(borrow)]
            delta: &'d RawValue,
        }
        let delta = serde_json::from_str::<Frame<'_>>(data).ok()?.delta.get();
        let delta = delta.strip_prefix('"')?.strip_suffix('"')?;
        let second = delta.get(..6).and_then(unit).filter(|unit| (0xDC00..=0xDFFF).contains(unit));
        let last = delta.len().checked_sub(6).and_then(|at| delta.split_at_checked(at));
        let first = last.and_then(|(before, escape)| {
            let backslashes = before.len() - before.trim_end_matches('\\').len();
            unit(escape).filter(|unit| backslashes % 2 == 0 && (0xD800..=0xDBFF).contains(unit))
        });
        Some(Self { second, first })
    }
}

/// The UTF-16 unit that an escape stands for.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?, 16).ok()
}

fn alone(event: &Event) -> Event {
    let mut alone = event.clone();
    *alone.base_mut() = Base::of(event.base().subagent_run_id.clone());
    if let Some(delta) = delta_of(&mut alone) {
        *delta = STAND_IN.to_string();
    }
    alone
}

fn delta_of(event: &mut Event) -> Option<&mut String> {
    match event {
        Event::TextMessageContent(event) => Some(&mut event.delta),
        Event::ReasoningMessageContent(event) => Some(&mut event.delta),
        Event::ToolCallArgs(event) => Some(&mut event.delta),
        Event::TextMessageChunk(event) => event.delta.as_mut(),
        Event::ReasoningMessageChunk(event) => event.delta.as_mut(),
        Event::ToolCallChunk(event) => event.delta.as_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::Reading;

    /// Each event as `<id>: <delta>`, and what has none as its type.
    fn check(frames: &[&str], expected: &[&str]) {
        let mut halves = Halves::default();
        let mut events = Vec::new();
        for frame in frames {
            let Ok(Reading::Event(event)) = Event::read(frame) else { panic!("{frame} is an event") };
            events.push(halves.pass(event, frame));
            events.extend(std::iter::from_fn(|| halves.waiting()));
        }
        events.extend(std::iter::from_fn(|| halves.left()));
        let told = |mut event: Event| {
            let id = event.message_id().or(event.tool_call_id()).unwrap_or_default().to_owned();
            let event_type = event.event_type();
            delta_of(&mut event).map_or_else(|| event_type.to_string(), |delta| format!("{id}: {delta}"))
        };
        assert_eq!(events.into_iter().map(told).collect::<Vec<_>>(), expected, "{frames:?}");
    }

    fn content(id: &str, delta: &str) -> String {
        format!(r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":"{id}","delta":"{delta}"}}"#)
    }

    #[test]
    fn a_character_that_was_cut_is_whole_again() {
        for (event_type, id) in [
            ("TEXT_MESSAGE_CONTENT", "messageId"),
            ("TEXT_MESSAGE_CHUNK", "messageId"),
            ("REASONING_MESSAGE_CONTENT", "messageId"),
            ("REASONING_MESSAGE_CHUNK", "messageId"),
            ("TOOL_CALL_ARGS", "toolCallId"),
            ("TOOL_CALL_CHUNK", "toolCallId"),
        ] {
            let delta = |delta: &str| format!(r#"{{"type":"{event_type}","{id}":"m","delta":"{delta}"}}"#);
            check(&[&delta(r"a\ud83d"), &delta(r"\ude00b")], &["m: a", "m: \u{1f600}b"]);
        }
        let chunk = |delta: &str| format!(r#"{{"type":"TEXT_MESSAGE_CHUNK","delta":"{delta}"}}"#);
        let first = r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"\ud83d"}"#;
        check(&[first, &chunk(r"\ude00\uD83D"), &chunk(r"\uDE01")], &["m: ", ": \u{1f600}", ": \u{1f601}"]);
    }

    #[test]
    fn the_second_half_may_be_late_but_not_elsewhere() {
        let (first, second) = (content("m", r"a\ud83d"), content("m", r"\ude00b"));
        let (empty, other) = (content("m", ""), content("n", r"\ud83d"));
        let custom = r#"{"type":"CUSTOM","name":"n","value":1}"#;
        check(&[&first, custom, &empty, &second], &["m: a", "CUSTOM", "m: ", "m: \u{1f600}b"]);
        check(&[&first, &other, &second], &["m: a", "n: ", "m: \u{1f600}b", "n: \u{fffd}"]);
    }

    #[test]
    fn half_a_character_that_stays_alone_is_a_replacement_character() {
        let (first, plain) = (content("m", r"a\ud83d"), content("m", "b"));
        check(&[&first], &["m: a", "m: \u{fffd}"]);
        check(&[&first, &plain], &["m: a", "m: \u{fffd}b"]);
        check(&[&first, &first], &["m: a", "m: \u{fffd}a", "m: \u{fffd}"]);
        check(&[&content("m", r"\ude00b")], &["m: \u{fffd}b"]);
        check(&[&content("m", r"\\ud83d"), &content("m", r"\ude00")], &["m: \\ud83d", "m: \u{fffd}"]);
        check(&[&content("m", "a\u{fffd}"), &content("m", r"\ude00")], &["m: a\u{fffd}", "m: \u{fffd}"]);
        for over in [
            r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
            r#"{"type":"RUN_ERROR","message":"no"}"#,
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[]}"#,
        ] {
            let event_type = over.split('"').nth(3).expect("a type");
            check(&[&first, over], &["m: a", "m: \u{fffd}", event_type]);
        }
        let chunk = r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"\ud83d"}"#;
        let custom = r#"{"type":"CUSTOM","name":"n","value":1}"#;
        check(&[chunk, custom], &["m: ", "m: \u{fffd}", "CUSTOM"]);
    }
}

//! Streams and what is left of them.

use super::*;
use crate::agui::transcript::Reducer;
use crate::agui::{Admission, Message, PatchOperation, Reading, to_json};

/// Events one per line at positions 1, 2, 3 …; expected is `cut event` per line.
fn check(events: &str, expected: &str) {
    let mut compactor = Compactor::default();
    for (position, line) in lines(events).enumerate() {
        match Event::read(line) {
            Ok(Reading::Event(event)) => compactor.push(position as u64 + 1, event),
            other => panic!("{line}: {other:?}"),
        }
    }
    let compacted: Vec<String> = compactor
        .finish()
        .into_iter()
        .map(|Compacted { event, cut }| {
            let cut = cut.map_or_else(|| "-".to_owned(), |cut| cut.to_string());
            format!("{cut} {}", event.to_json())
        })
        .collect();
    assert_eq!(compacted, lines(expected).collect::<Vec<_>>());
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[test]
fn interleaved_messages_keep_the_order_of_their_starts() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"a"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"1"}
        {"type":"TEXT_MESSAGE_START","messageId":"b"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"2"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"3"}
        {"type":"TEXT_MESSAGE_END","messageId":"b"}
        {"type":"TEXT_MESSAGE_END","messageId":"a"}
        "#,
        r#"
        1 {"type":"TEXT_MESSAGE_START","messageId":"a"}
        - {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"13"}
        - {"type":"TEXT_MESSAGE_START","messageId":"b"}
        5 {"type":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"2"}
        6 {"type":"TEXT_MESSAGE_END","messageId":"b"}
        7 {"type":"TEXT_MESSAGE_END","messageId":"a"}
        "#,
    );
}

#[test]
fn an_empty_text_is_the_content_of_a_message_that_a_call_made() {
    let events = r#"
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}
        {"type":"TOOL_CALL_END","toolCallId":"c"}
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":""}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":""}
        {"type":"TEXT_MESSAGE_END","messageId":"m"}
    "#;
    check(
        events,
        r#"
        1 {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}
        2 {"type":"TOOL_CALL_END","toolCallId":"c"}
        3 {"type":"TEXT_MESSAGE_START","messageId":"m"}
        5 {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":""}
        6 {"type":"TEXT_MESSAGE_END","messageId":"m"}
        "#,
    );
}

#[test]
fn a_joined_delta_is_never_too_large_for_a_client() {
    let piece = "\u{1}".repeat(400_000);
    let deltas = |event: &dyn Fn(&str) -> Event| {
        let mut compactor = Compactor::default();
        for position in 1..=12 {
            compactor.push(position, event(&piece));
            compactor.push(100 + position, Event::text_content("another", "x"));
        }
        compactor.push(200, event(""));
        let compacted = compactor.finish();
        compacted.into_iter().map(|one| one.event).filter(|event| delta_of(event).unwrap().0 == "a").collect::<Vec<_>>()
    };
    let kinds: [&dyn Fn(&str) -> Event; 3] =
        [&|delta| Event::text_content("a", delta), &|delta| Event::reasoning_message_content("a", delta), &|delta| {
            Event::tool_call_args("a", delta)
        }];
    for kind in kinds {
        let events = deltas(kind);
        assert!(events.iter().all(|event| event.to_json().len() < 10 << 20), "{} events", events.len());
        assert_eq!(events.len(), 6);
        assert_eq!(events.iter().map(|event| delta_of(event).unwrap().1).collect::<String>(), piece.repeat(12));
    }
}

#[test]
fn state_and_empty_arguments_vanish_and_belong_to_the_cut_before_them() {
    check(
        r#"
        {"type":"STATE_SNAPSHOT","snapshot":{}}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":""}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{"}
        {"type":"STATE_DELTA","delta":[]}
        {"type":"CUSTOM","name":"x","value":null}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"}"}
        {"type":"TOOL_CALL_END","toolCallId":"c"}
        {"type":"STATE_DELTA","delta":[]}
        "#,
        r#"
        3 {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        - {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{}"}
        7 {"type":"CUSTOM","name":"x","value":null}
        9 {"type":"TOOL_CALL_END","toolCallId":"c"}
        "#,
    );
}

#[test]
fn a_snapshot_of_the_messages_is_a_barrier() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"a"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"1"}
        {"type":"MESSAGES_SNAPSHOT","messages":[]}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"2"}
        {"type":"TEXT_MESSAGE_END","messageId":"a"}
        {"type":"TEXT_MESSAGE_START","messageId":"a"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"3"}
        "#,
        r#"
        1 {"type":"TEXT_MESSAGE_START","messageId":"a"}
        2 {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"1"}
        3 {"type":"MESSAGES_SNAPSHOT","messages":[]}
        4 {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"2"}
        5 {"type":"TEXT_MESSAGE_END","messageId":"a"}
        6 {"type":"TEXT_MESSAGE_START","messageId":"a"}
        7 {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"3"}
        "#,
    );
}

#[test]
fn metadata_is_merged_time_is_the_first_and_provider_events_are_left_out() {
    check(
        r#"
        {"type":"REASONING_MESSAGE_CONTENT","timestamp":1,"messageId":"a","delta":"1","metadata":{"a":1,"b":1},"rawEvent":{}}
        {"type":"REASONING_MESSAGE_CONTENT","timestamp":2,"messageId":"a","delta":"","metadata":{"b":2}}
        {"type":"REASONING_MESSAGE_END","messageId":"a","rawEvent":{"kept":true}}
        "#,
        r#"
        2 {"type":"REASONING_MESSAGE_CONTENT","timestamp":1,"messageId":"a","delta":"1","metadata":{"a":1,"b":2}}
        3 {"type":"REASONING_MESSAGE_END","messageId":"a","rawEvent":{"kept":true}}
        "#,
    );
}

#[test]
fn deltas_of_different_attribution_or_kind_are_not_joined() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"1"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"2","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"3"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"a","delta":"4"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"a","delta":"5"}
        "#,
        r#"
        1 {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"1"}
        2 {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"2","subagentRunId":"s"}
        3 {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"3"}
        5 {"type":"REASONING_MESSAGE_CONTENT","messageId":"a","delta":"45"}
        "#,
    );
}

/// A small generator of numbers, so that a failing stream can be had again by its seed (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn random_event(dice: &mut Dice) -> Event {
    let id = ["a", "b", "c"][dice.roll(3) as usize];
    let call = ["x", "y", "z"][dice.roll(3) as usize];
    let delta = ["", "1", "22", "日本"][dice.roll(4) as usize];
    let mut event = match dice.roll(22) {
        0 => Event::text_start(id),
        1..=4 => Event::text_content(id, delta),
        5 => Event::text_end(id),
        6 => Event::reasoning_message_start(id),
        7..=8 => Event::reasoning_message_content(id, delta),
        9 => Event::reasoning_message_end(id),
        10 => Event::tool_call_start(call, "f", Some(id.to_owned())),
        11 => Event::tool_call_start(call, "g", None),
        12..=14 => Event::tool_call_args(call, delta),
        15 => Event::tool_call_end(call),
        16 => Event::tool_call_result(format!("{call}-result"), call, delta),
        17 => Event::messages_snapshot(vec![Message::assistant(id, delta), Message::user("u", "hi")]),
        18 => Event::activity_snapshot("act", "P", crate::agui::Object::empty()),
        19 => Event::activity_delta("act", "P", vec![PatchOperation::add("/n", to_json(delta))]),
        20 => Event::state_snapshot(to_json(delta)),
        _ => Event::custom("x", to_json(delta)),
    };
    if dice.roll(6) == 0 {
        event.base_mut().subagent_run_id = Some("s".to_owned());
    }
    if dice.roll(6) == 0 {
        let metadata = format!(r#"{{"k{}":{}}}"#, dice.roll(2), dice.roll(9));
        event.base_mut().metadata = Some(serde_json::from_str(&metadata).unwrap());
    }
    event
}

/// What is left of random events when those that may not come are refused.
fn random_run(dice: &mut Dice) -> Vec<Event> {
    let (mut admission, mut run) = (Admission::new("t", "r"), Vec::new());
    for _ in 0..80 {
        // A refusal is the point of the gate here, not a failure.
        let _refused = admission.admit(random_event(dice), &mut run).is_err();
    }
    run
}

fn reduce<'e>(events: impl IntoIterator<Item = &'e Event>) -> Vec<Message> {
    let mut reducer = Reducer::new(vec![Message::user("u", "hi")]);
    events.into_iter().for_each(|event| reducer.apply(event));
    reducer.into_messages()
}

#[test]
fn a_compacted_stream_builds_the_same_conversation_from_the_start_and_from_every_cut() {
    for seed in 0..1000 {
        let mut dice = Dice(seed);
        let raw = random_run(&mut dice);
        let mut compactor = Compactor::default();
        for (position, event) in raw.iter().enumerate() {
            compactor.push(position as u64 + 1, event.clone());
        }
        let compacted = compactor.finish();
        let whole = reduce(&raw);
        assert_eq!(reduce(compacted.iter().map(|one| &one.event)), whole, "seed {seed}");
        for (index, one) in compacted.iter().enumerate() {
            if let Some(cut) = one.cut {
                let seen = &raw[..cut as usize];
                let rest = compacted[index + 1..].iter().map(|one| &one.event);
                assert_eq!(reduce(seen.iter().chain(rest)), whole, "seed {seed}, cut {cut}");
            }
        }
        let joinable = |event: &&Event| delta_of(event).is_none() && event.event_type().as_str() != "STATE_SNAPSHOT";
        let others: Vec<&Event> = raw.iter().filter(joinable).collect();
        let kept: Vec<&Event> = compacted.iter().map(|one| &one.event).filter(joinable).collect();
        assert_eq!(kept, others, "seed {seed}: what is no delta stays in its order");
    }
}

#[test]
fn no_joined_delta_is_larger_than_clients_take_by_its_metadata() {
    let content = |nth: usize, bytes: usize| {
        let note = "x".repeat(bytes);
        let json = format!(
            r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a","metadata":{{"k{nth}":"{note}","last":{nth}}}}}"#
        );
        let Ok(Reading::Event(event)) = Event::read(&json) else { panic!("it is an event") };
        event
    };
    let mut compactor = Compactor::default();
    compactor.push(1, Event::text_start("m"));
    for (nth, bytes) in (2..14).map(|nth| (nth, 1 << 19)).chain([(14, 3 << 20), (15, 10), (16, 10)]) {
        compactor.push(nth, content(nth as usize, bytes));
    }
    let mut reducer = Reducer::new(Vec::new());
    let mut sizes = Vec::new();
    for Compacted { event, cut } in compactor.finish() {
        sizes.push((event.to_json().len(), cut));
        reducer.apply(&event);
    }
    assert_eq!(sizes.len(), 15, "large ones stay apart, small ones are joined");
    assert!(sizes.iter().all(|(bytes, cut)| *bytes < 4 << 20 && cut.is_some()));
    let mut messages = reducer.into_messages();
    let metadata = messages[0].metadata_mut().as_ref().expect("metadata").parse().expect("JSON");
    assert_eq!((metadata.len(), &metadata["last"]), (16, &serde_json::json!(16)));
}

//! What agents send and what goes out, event by event.

use super::*;
use crate::agui::{Dialect, PatchOperation, Reading, to_json};

fn event(line: &str) -> Event {
    match Event::read(line) {
        Ok(Reading::Event(event)) => event,
        other => panic!("{line}: {other:?}"),
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Events one per line; expected is what goes out, and after it the error of the last event if it is refused.
fn check(sent: &str, expected: &str) {
    let (mut admission, mut out, mut refusal) = (Admission::new("T", "R"), Vec::new(), None);
    for line in lines(sent) {
        assert_eq!(refusal, None, "only the last event may be refused");
        refusal = admission.admit(event(line), &mut out).err();
    }
    let out = out.iter().map(Event::to_json).chain(refusal.map(|error| error.to_string()));
    assert_eq!(out.collect::<Vec<_>>(), lines(expected).collect::<Vec<_>>());
}

/// The last event is refused with this text; those before it go out as they are.
fn check_refusal(sent: &str, refusal: &str) {
    let (last, before) =
        lines(sent).collect::<Vec<_>>().split_last().map(|(last, before)| (*last, before.to_vec())).unwrap();
    let (mut admission, mut out) = (Admission::new("T", "R"), Vec::new());
    for line in &before {
        admission.admit(event(line), &mut out).unwrap();
    }
    assert_eq!(admission.admit(event(last), &mut out).unwrap_err().to_string(), refusal);
}

#[test]
fn the_agents_own_start_is_swallowed_once_and_what_follows_the_terminal_too() {
    check(
        r#"
        {"type":"RUN_STARTED","threadId":"x","runId":"y"}
        {"type":"CUSTOM","name":"n","value":1}
        {"type":"RUN_FINISHED","threadId":"x","runId":"y"}
        {"type":"TEXT_MESSAGE_END","messageId":"late"}
        {"type":"RUN_STARTED","threadId":"x","runId":"z"}
        {"type":"RUN_ERROR","message":"late"}
        "#,
        r#"
        {"type":"CUSTOM","name":"n","value":1}
        {"type":"RUN_FINISHED","threadId":"T","runId":"R"}
        "#,
    );
    check_refusal(
        r#"
        {"type":"RUN_STARTED","threadId":"x","runId":"y"}
        {"type":"RUN_STARTED","threadId":"x","runId":"y"}
        "#,
        "Cannot send 'RUN_STARTED' while a run is still active. The previous run must be finished with 'RUN_FINISHED' before starting a new run.",
    );
}

#[test]
fn an_open_id_cannot_be_opened_again_and_a_closed_one_can() {
    check_refusal(
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"x"}
        {"type":"TEXT_MESSAGE_START","messageId":"x"}
        "#,
        "Cannot send 'TEXT_MESSAGE_START' event: A text message with ID 'x' is already in progress. Complete it with 'TEXT_MESSAGE_END' first.",
    );
    check_refusal(
        r#"
        {"type":"TOOL_CALL_START","toolCallId":"x","toolCallName":"f"}
        {"type":"TOOL_CALL_START","toolCallId":"x","toolCallName":"f"}
        "#,
        "Cannot send 'TOOL_CALL_START' event: A tool call with ID 'x' is already in progress. Complete it with 'TOOL_CALL_END' first.",
    );
    check_refusal(
        r#"
        {"type":"REASONING_START","messageId":"x"}
        {"type":"REASONING_MESSAGE_START","messageId":"x","role":"reasoning"}
        {"type":"REASONING_MESSAGE_START","messageId":"x","role":"reasoning"}
        "#,
        "Cannot send 'REASONING_MESSAGE_START' event: A reasoning message with ID 'x' is already in progress. Complete it with 'REASONING_MESSAGE_END' first.",
    );
    check_refusal(
        r#"
        {"type":"REASONING_START","messageId":"x"}
        {"type":"REASONING_START","messageId":"x"}
        "#,
        "Cannot send 'REASONING_START' event: A reasoning span with ID 'x' is already in progress. Complete it with 'REASONING_END' first.",
    );
    let twice = r#"
        {"type":"TEXT_MESSAGE_START","messageId":"x"}
        {"type":"TEXT_MESSAGE_END","messageId":"x"}
        {"type":"TEXT_MESSAGE_START","messageId":"x"}
        {"type":"TEXT_MESSAGE_END","messageId":"x"}
        {"type":"TOOL_CALL_START","toolCallId":"x","toolCallName":"f"}
        {"type":"TOOL_CALL_END","toolCallId":"x"}
        {"type":"TOOL_CALL_START","toolCallId":"x","toolCallName":"f"}
        {"type":"TOOL_CALL_ARGS","toolCallId":"x","delta":""}
    "#;
    check(twice, twice);
}

#[test]
fn what_was_not_opened_cannot_go_on_or_end() {
    let message = r#"{"type":"@","messageId":"x","delta":""}"#;
    let call = r#"{"type":"@","toolCallId":"x","delta":""}"#;
    for (template, event_type, noun, advice) in [
        (message, "TEXT_MESSAGE_CONTENT", "text message", "Start a text message with 'TEXT_MESSAGE_START' first."),
        (message, "TEXT_MESSAGE_END", "text message", "A 'TEXT_MESSAGE_START' event must be sent first."),
        (call, "TOOL_CALL_ARGS", "tool call", "Start a tool call with 'TOOL_CALL_START' first."),
        (call, "TOOL_CALL_END", "tool call", "A 'TOOL_CALL_START' event must be sent first."),
        (
            message,
            "REASONING_MESSAGE_CONTENT",
            "reasoning message",
            "Start a reasoning message with 'REASONING_MESSAGE_START' first.",
        ),
        (
            message,
            "REASONING_MESSAGE_END",
            "reasoning message",
            "Start a reasoning message with 'REASONING_MESSAGE_START' first.",
        ),
        (message, "REASONING_END", "reasoning span", "A 'REASONING_START' event must be sent first."),
    ] {
        check_refusal(
            &template.replace('@', event_type),
            &format!("Cannot send '{event_type}' event: No active {noun} found with ID 'x'. {advice}"),
        );
    }
}

#[test]
fn ids_are_never_empty() {
    for (sent, refusal) in [
        (
            r#"{"type":"TEXT_MESSAGE_START","messageId":""}"#,
            "Cannot send 'TEXT_MESSAGE_START' with an empty 'messageId'.",
        ),
        (
            r#"{"type":"TOOL_CALL_START","toolCallId":"","toolCallName":"f"}"#,
            "Cannot send 'TOOL_CALL_START' with an empty 'toolCallId'.",
        ),
        (
            r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"","content":""}"#,
            "Cannot send 'TOOL_CALL_RESULT' with an empty 'toolCallId'.",
        ),
        (
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"","activityType":"P","content":{}}"#,
            "Cannot send 'ACTIVITY_SNAPSHOT' with an empty 'messageId'.",
        ),
        (
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"","delta":"x"}"#,
            "Cannot send 'TEXT_MESSAGE_START' with an empty 'messageId'.",
        ),
    ] {
        check_refusal(sent, refusal);
    }
}

#[test]
fn thinking_without_ids_gets_ids_of_the_run() {
    check(
        r#"
        {"type":"THINKING_START"}
        {"type":"THINKING_TEXT_MESSAGE_START"}
        {"type":"THINKING_TEXT_MESSAGE_CONTENT","delta":"hm"}
        {"type":"THINKING_TEXT_MESSAGE_END"}
        {"type":"THINKING_END"}
        {"type":"THINKING_TEXT_MESSAGE_START"}
        {"type":"THINKING_TEXT_MESSAGE_END"}
        "#,
        r#"
        {"type":"REASONING_START","messageId":"R-reasoning-1"}
        {"type":"REASONING_MESSAGE_START","messageId":"R-reasoning-2","role":"reasoning"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"R-reasoning-2","delta":"hm"}
        {"type":"REASONING_MESSAGE_END","messageId":"R-reasoning-2"}
        {"type":"REASONING_END","messageId":"R-reasoning-1"}
        {"type":"REASONING_MESSAGE_START","messageId":"R-reasoning-3","role":"reasoning"}
        {"type":"REASONING_MESSAGE_END","messageId":"R-reasoning-3"}
        "#,
    );
}

#[test]
fn a_step_is_finished_by_whoever_started_it() {
    check_refusal(
        r#"
        {"type":"STEP_STARTED","stepName":"n"}
        {"type":"STEP_STARTED","stepName":"n","subagentRunId":"s"}
        {"type":"STEP_STARTED","stepName":"n","subagentRunId":"s"}
        "#,
        "Step \"n\" is already active for 'STEP_STARTED' in subagent 's'",
    );
    check_refusal(
        r#"
        {"type":"STEP_STARTED","stepName":"n"}
        {"type":"STEP_FINISHED","stepName":"n"}
        {"type":"STEP_STARTED","stepName":"n"}
        {"type":"STEP_STARTED","stepName":"n"}
        "#,
        "Step \"n\" is already active for 'STEP_STARTED'",
    );
    check_refusal(
        r#"{"type":"STEP_FINISHED","stepName":"n"}"#,
        "Cannot send 'STEP_FINISHED' for step \"n\" that was not started",
    );
    check_refusal(
        r#"
        {"type":"STEP_STARTED","stepName":"n","subagentRunId":"s"}
        {"type":"STEP_FINISHED","stepName":"n"}
        "#,
        "Cannot send 'STEP_FINISHED' for step \"n\" attributed to (the parent agent): that step is open under 's'. A step must be finished by whoever started it.",
    );
}

#[test]
fn everything_open_is_closed_before_the_terminal() {
    check(
        r#"
        {"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}
        {"type":"SUBAGENT_STARTED","subagentRunId":"s2","name":"n","parentSubagentRunId":"s"}
        {"type":"STEP_STARTED","stepName":"one"}
        {"type":"STEP_STARTED","stepName":"two","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s"}
        {"type":"REASONING_START","messageId":"h"}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"k","delta":"x"}
        {"type":"RUN_FINISHED","threadId":"x","runId":"y","outcome":{"type":"interrupt","interrupts":[{"id":"i","reason":"confirmation","subagentRunId":"s"}]}}
        "#,
        r#"
        {"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}
        {"type":"SUBAGENT_STARTED","subagentRunId":"s2","name":"n","parentSubagentRunId":"s"}
        {"type":"STEP_STARTED","stepName":"one"}
        {"type":"STEP_STARTED","stepName":"two","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"s"}
        {"type":"REASONING_START","messageId":"h"}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        {"type":"TEXT_MESSAGE_START","messageId":"k"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"k","delta":"x"}
        {"type":"TEXT_MESSAGE_END","messageId":"m","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_END","messageId":"k"}
        {"type":"REASONING_MESSAGE_END","messageId":"h"}
        {"type":"REASONING_END","messageId":"h"}
        {"type":"TOOL_CALL_END","toolCallId":"c"}
        {"type":"STEP_FINISHED","stepName":"two","subagentRunId":"s"}
        {"type":"STEP_FINISHED","stepName":"one"}
        {"type":"SUBAGENT_FINISHED","subagentRunId":"s2"}
        {"type":"SUBAGENT_FINISHED","subagentRunId":"s","outcome":{"type":"suspended","interruptIds":["i"]}}
        {"type":"RUN_FINISHED","threadId":"T","runId":"R","outcome":{"type":"interrupt","interrupts":[{"id":"i","reason":"confirmation","subagentRunId":"s"}]}}
        "#,
    );
    check(
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"RUN_ERROR","message":"boom","code":"E"}
        "#,
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TEXT_MESSAGE_END","messageId":"m"}
        {"type":"RUN_ERROR","message":"boom","code":"E"}
        "#,
    );
}

#[test]
fn what_goes_on_under_an_id_belongs_to_its_opener() {
    for (kind, start, next) in [
        ("message", r#""TEXT_MESSAGE_START","messageId""#, r#""TEXT_MESSAGE_CONTENT","delta":"","messageId""#),
        ("message", r#""TEXT_MESSAGE_START","messageId""#, r#""TEXT_MESSAGE_END","messageId""#),
        (
            "tool call",
            r#""TOOL_CALL_START","toolCallName":"f","toolCallId""#,
            r#""TOOL_CALL_ARGS","delta":"","toolCallId""#,
        ),
        ("tool call", r#""TOOL_CALL_START","toolCallName":"f","toolCallId""#, r#""TOOL_CALL_END","toolCallId""#),
        (
            "activity",
            r#""ACTIVITY_SNAPSHOT","activityType":"P","content":{},"messageId""#,
            r#""ACTIVITY_DELTA","activityType":"P","patch":[],"messageId""#,
        ),
        (
            "reasoning message",
            r#""REASONING_MESSAGE_START","role":"reasoning","messageId""#,
            r#""REASONING_MESSAGE_CONTENT","delta":"","messageId""#,
        ),
    ] {
        let event_type = next.split('"').nth(1).unwrap();
        for (opened_by, gone_on_by, owner) in [
            (r#","subagentRunId":"t""#, r#","subagentRunId":"s""#, Some("'t'")),
            ("", r#","subagentRunId":"s""#, Some("(the parent agent)")),
            (r#","subagentRunId":"t""#, "", None),
            (r#","subagentRunId":"t""#, r#","subagentRunId":"t""#, None),
        ] {
            let sent = format!("{{\"type\":{start}:\"x\"{opened_by}}}\n{{\"type\":{next}:\"x\"{gone_on_by}}}");
            match owner {
                Some(owner) => check_refusal(
                    &sent,
                    &format!(
                        "Cannot send '{event_type}': subagentRunId 's' does not match the {kind} 'x' opener's subagent {owner}."
                    ),
                ),
                None => {
                    let (mut admission, mut out) = (Admission::new("T", "R"), Vec::new());
                    lines(&sent).for_each(|line| admission.admit(event(line), &mut out).unwrap());
                    assert_eq!(out.len(), 2, "{sent}");
                }
            }
        }
    }
}

#[test]
fn reasoning_and_its_span_belong_to_one_owner_and_so_does_what_signs_them() {
    let mismatch = |event_type: &str, noun: &str, id: &str| {
        format!(
            "Cannot send '{event_type}': subagentRunId 's' does not match the {noun} '{id}' opener's subagent (the parent agent)."
        )
    };
    check_refusal(
        r#"
        {"type":"REASONING_START","messageId":"h"}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning","subagentRunId":"s"}
        "#,
        &mismatch("REASONING_MESSAGE_START", "reasoning message", "h"),
    );
    check_refusal(
        r#"
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning"}
        {"type":"REASONING_START","messageId":"h","subagentRunId":"s"}
        "#,
        &mismatch("REASONING_START", "reasoning message", "h"),
    );
    check_refusal(
        r#"
        {"type":"REASONING_START","messageId":"h"}
        {"type":"REASONING_END","messageId":"h","subagentRunId":"s"}
        "#,
        &mismatch("REASONING_END", "reasoning message", "h"),
    );
    for (start, subtype, noun) in [
        (r#"{"type":"TEXT_MESSAGE_START","messageId":"x"}"#, "message", "message"),
        (r#"{"type":"REASONING_MESSAGE_START","messageId":"x","role":"reasoning"}"#, "message", "message"),
        (r#"{"type":"TOOL_CALL_START","toolCallId":"x","toolCallName":"f"}"#, "tool-call", "tool call"),
    ] {
        let signed = r#"{"type":"REASONING_ENCRYPTED_VALUE","entityId":"x","encryptedValue":"E","subagentRunId":"s","#;
        let sent = format!("{start}\n{signed}\"subtype\":\"{subtype}\"}}");
        check_refusal(&sent, &mismatch("REASONING_ENCRYPTED_VALUE", noun, "x"));
    }
    let inherited = r#"
        {"type":"REASONING_START","messageId":"h","subagentRunId":"s"}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"h","delta":"hm","subagentRunId":"s"}
        {"type":"REASONING_MESSAGE_END","messageId":"h"}
        {"type":"REASONING_END","messageId":"h","subagentRunId":"s"}
        {"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"h","encryptedValue":"E","subagentRunId":"s"}
    "#;
    check(inherited, inherited);
}

#[test]
fn a_call_belongs_to_the_message_that_carries_it() {
    check_refusal(
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"t"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m","subagentRunId":"s"}
        "#,
        "Cannot send 'TOOL_CALL_START': subagentRunId 's' does not match its parent message 'm' owner 't'. A tool call belongs to the message that carries it.",
    );
    check_refusal(
        r#"
        {"type":"MESSAGES_SNAPSHOT","messages":[{"id":"m","role":"assistant","subagentRunId":"t"}]}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        {"type":"TOOL_CALL_END","toolCallId":"c"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}
        "#,
        "Cannot send 'TOOL_CALL_START': tool call 'c' is owned by (the parent agent) but its parent message 'm' is owned by 't'.",
    );
    check(
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":""}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
    );
}

#[test]
fn a_call_does_not_own_the_message_that_it_is_the_first_to_name() {
    for (call, goes_on) in [
        (
            r#""toolCallId":"c","toolCallName":"f","parentMessageId":"m""#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
        ),
        (r#""toolCallId":"m","toolCallName":"f""#, r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#),
        (
            r#""toolCallId":"c","toolCallName":"f","parentMessageId":"m""#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"d","toolCallName":"f","parentMessageId":"m"}"#,
        ),
    ] {
        let id = if call.contains("parent") { "c" } else { "m" };
        let end = goes_on.replace("_START", "_END").replace(r#","toolCallName":"f","parentMessageId":"m""#, "");
        let sent = format!(
            r#"
            {{"type":"TOOL_CALL_START",{call},"subagentRunId":"s"}}
            {{"type":"TOOL_CALL_END","toolCallId":"{id}"}}
            {goes_on}"#
        );
        check(
            &format!("{sent}\n{}", r#"{"type":"RUN_FINISHED","threadId":"T","runId":"R"}"#),
            &format!("{sent}\n{end}\n{}", r#"{"type":"RUN_FINISHED","threadId":"T","runId":"R"}"#),
        );
    }
    let call = r#"
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m","subagentRunId":"s"}
        {"type":"TOOL_CALL_END","toolCallId":"c"}"#;
    check_refusal(
        &format!(
            r#"{call}
            {{"type":"TEXT_MESSAGE_START","messageId":"m"}}
            {{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"hi","subagentRunId":"s"}}"#
        ),
        "Cannot send 'TEXT_MESSAGE_CONTENT': subagentRunId 's' does not match the message 'm' opener's subagent (the parent agent).",
    );
    let another = format!(
        r#"{call}
        {{"type":"TOOL_CALL_START","toolCallId":"d","toolCallName":"f","parentMessageId":"m","subagentRunId":"t"}}
        {{"type":"TEXT_MESSAGE_START","messageId":"m","subagentRunId":"t"}}"#
    );
    check(&another, &another);
}

#[test]
fn a_subagent_runs_once() {
    let start = r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#;
    let end = r#"{"type":"SUBAGENT_FINISHED","subagentRunId":"s"}"#;
    let error = r#"{"type":"SUBAGENT_ERROR","subagentRunId":"s","message":"m"}"#;
    for (sent, refusal) in [
        (
            format!("{start}\n{start}"),
            "Cannot send 'SUBAGENT_STARTED': subagent 's' is already active. Finish it with 'SUBAGENT_FINISHED' first.",
        ),
        (
            format!("{start}\n{error}\n{start}"),
            "Cannot send 'SUBAGENT_STARTED': subagent 's' has already finished in this run. Subagent IDs are per-invocation and cannot be reused.",
        ),
        (
            r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n","parentSubagentRunId":"p"}"#.to_owned(),
            "Cannot send 'SUBAGENT_STARTED': parentSubagentRunId 'p' has not been started in this run.",
        ),
        (
            end.to_owned(),
            "Cannot send 'SUBAGENT_FINISHED': no active subagent found with ID 's'. A 'SUBAGENT_STARTED' event must be sent first.",
        ),
        (
            format!("{start}\n{end}\n{error}"),
            "Cannot send 'SUBAGENT_ERROR': no active subagent found with ID 's'. A 'SUBAGENT_STARTED' event must be sent first.",
        ),
    ] {
        check_refusal(&sent, refusal);
    }
}

#[test]
fn chunks_come_out_as_start_content_and_end() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a","metadata":{"k":1},"rawEvent":1}
        {"type":"TEXT_MESSAGE_CHUNK","delta":"b","role":"assistant","metadata":{"k":2}}
        {"type":"RAW","event":0}
        {"type":"ACTIVITY_SNAPSHOT","messageId":"act","activityType":"P","content":{}}
        {"type":"ACTIVITY_DELTA","messageId":"act","activityType":"P","patch":[]}
        {"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"m","encryptedValue":"E"}
        {"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}
        {"type":"SUBAGENT_FINISHED","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"m2","role":"user","name":"Ann"}
        {"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"f","parentMessageId":"m","delta":"{"}
        {"type":"TOOL_CALL_CHUNK","delta":"}"}
        {"type":"REASONING_MESSAGE_CHUNK","messageId":"h","delta":"hm"}
        {"type":"STEP_STARTED","stepName":"n"}
        "#,
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m","metadata":{"k":1}}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a","metadata":{"k":1},"rawEvent":1}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b","metadata":{"k":2}}
        {"type":"RAW","event":0}
        {"type":"ACTIVITY_SNAPSHOT","messageId":"act","activityType":"P","content":{}}
        {"type":"ACTIVITY_DELTA","messageId":"act","activityType":"P","patch":[]}
        {"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"m","encryptedValue":"E"}
        {"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}
        {"type":"SUBAGENT_FINISHED","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_END","messageId":"m"}
        {"type":"TEXT_MESSAGE_START","messageId":"m2","role":"user","name":"Ann"}
        {"type":"TEXT_MESSAGE_END","messageId":"m2"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{"}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"}"}
        {"type":"TOOL_CALL_END","toolCallId":"c"}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"h","delta":"hm"}
        {"type":"REASONING_MESSAGE_END","messageId":"h"}
        {"type":"STEP_STARTED","stepName":"n"}
        "#,
    );
}

#[test]
fn a_chunk_that_brings_nothing_but_metadata_brings_that() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a"}
        {"type":"TEXT_MESSAGE_CHUNK"}
        {"type":"TEXT_MESSAGE_CHUNK","metadata":{"k":1}}
        {"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"f"}
        {"type":"TOOL_CALL_CHUNK","toolCallId":"c","rawEvent":1}
        {"type":"REASONING_MESSAGE_CHUNK","messageId":"h"}
        {"type":"REASONING_MESSAGE_CHUNK","metadata":{"k":1}}
        "#,
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"","metadata":{"k":1}}
        {"type":"TEXT_MESSAGE_END","messageId":"m"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"","rawEvent":1}
        {"type":"TOOL_CALL_END","toolCallId":"c"}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"h","delta":"","metadata":{"k":1}}
        "#,
    );
}

#[test]
fn text_of_an_open_message_ends_the_chunks_before_it() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"n","delta":"a"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"c"}
        "#,
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TEXT_MESSAGE_START","messageId":"n"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"n","delta":"a"}
        {"type":"TEXT_MESSAGE_END","messageId":"n"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"c"}
        "#,
    );
}

#[test]
fn each_subagent_has_its_own_lane_of_chunks() {
    check(
        r#"
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a"}
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"n","delta":"b","subagentRunId":"s"}
        {"type":"CUSTOM","name":"x","value":0}
        {"type":"TEXT_MESSAGE_CHUNK","delta":"c"}
        {"type":"MESSAGES_SNAPSHOT","messages":[]}
        "#,
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a"}
        {"type":"TEXT_MESSAGE_START","messageId":"n","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"n","delta":"b","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_END","messageId":"m"}
        {"type":"CUSTOM","name":"x","value":0}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"n","delta":"c","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_END","messageId":"n","subagentRunId":"s"}
        {"type":"MESSAGES_SNAPSHOT","messages":[]}
        "#,
    );
    check_refusal(
        r#"
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a","subagentRunId":"t"}
        {"type":"TEXT_MESSAGE_CHUNK","messageId":"n","delta":"b","subagentRunId":"s"}
        {"type":"TEXT_MESSAGE_CHUNK","delta":"c"}
        "#,
        "Ambiguous 'TEXT_MESSAGE_CHUNK': it has no id and no subagentRunId, and more than one stream is open that it could continue.",
    );
}

#[test]
fn a_chunk_without_id_or_subagent_goes_on_with_the_agents_own_stream() {
    for chunk in [
        r#""TEXT_MESSAGE_CHUNK","messageId""#,
        r#""TOOL_CALL_CHUNK","toolCallName":"f","toolCallId""#,
        r#""REASONING_MESSAGE_CHUNK","messageId""#,
    ] {
        for (first, second) in [("", r#","subagentRunId":"s""#), (r#","subagentRunId":"s""#, "")] {
            let kind = chunk.split('"').nth(1).unwrap();
            let sent = format!(
                r#"
                {{"type":{chunk}:"a","delta":"1"{first}}}
                {{"type":{chunk}:"b","delta":"2"{second}}}
                {{"type":"{kind}","delta":"3"}}"#
            );
            let (mut admission, mut out) = (Admission::new("T", "R"), Vec::new());
            lines(&sent).for_each(|line| admission.admit(event(line), &mut out).unwrap());
            let last = out.last().unwrap();
            let own = if first.is_empty() { "a" } else { "b" };
            assert_eq!(last.tool_call_id().or(last.message_id()), Some(own), "{sent}");
            assert_eq!(last.base().subagent_run_id, None, "{sent}");
        }
    }
}

#[test]
fn a_chunk_cannot_begin_without_ids_or_change_its_stream() {
    for (sent, refusal) in [
        (r#"{"type":"TEXT_MESSAGE_CHUNK","delta":"x"}"#, "First TEXT_MESSAGE_CHUNK must have a messageId"),
        (r#"{"type":"TOOL_CALL_CHUNK","toolCallName":"f"}"#, "First TOOL_CALL_CHUNK must have a toolCallId"),
        (r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c"}"#, "First TOOL_CALL_CHUNK must have a toolCallName"),
        (r#"{"type":"REASONING_MESSAGE_CHUNK","delta":"x"}"#, "First REASONING_MESSAGE_CHUNK must have a messageId"),
        (
            "{\"type\":\"TEXT_MESSAGE_CHUNK\",\"messageId\":\"m\"}\n{\"type\":\"TEXT_MESSAGE_CHUNK\",\"role\":\"user\"}",
            "Cannot continue 'TEXT_MESSAGE_CHUNK': chunk role 'user' does not match the open stream's role 'assistant'.",
        ),
        (
            "{\"type\":\"TOOL_CALL_CHUNK\",\"toolCallId\":\"c\",\"toolCallName\":\"f\"}\n{\"type\":\"TOOL_CALL_CHUNK\",\"toolCallId\":\"c\",\"toolCallName\":\"g\"}",
            "Cannot continue 'TOOL_CALL_CHUNK': chunk toolCallName 'g' does not match the open stream's toolCallName 'f'.",
        ),
    ] {
        check_refusal(sent, refusal);
    }
}

/// After these events, what closing pushes.
fn check_close(sent: &str, closing: Closing, expected: &str) {
    let (mut admission, mut out) = (Admission::new("T", "R"), Vec::new());
    lines(sent).for_each(|line| admission.admit(event(line), &mut out).unwrap());
    let before = out.len();
    admission.close(&closing, &|name| name == "browser", &mut out);
    let closers: Vec<String> = out[before..].iter().map(Event::to_json).collect();
    assert_eq!(closers, lines(expected).collect::<Vec<_>>());

    let length = out.len();
    admission.admit(Event::text_start("late"), &mut out).unwrap();
    admission.close(&closing, &|_| false, &mut out);
    assert_eq!(out.len(), length, "nothing more after closing but the terminal");
    admission.admit(Event::run_finished("", ""), &mut out).unwrap();
    assert_eq!(out.last().map(Event::to_json).unwrap(), r#"{"type":"RUN_FINISHED","threadId":"T","runId":"R"}"#);
    assert_eq!(out.len(), length + 1);
}

const CALLS: &str = r#"
    {"type":"TOOL_CALL_START","toolCallId":"done","toolCallName":"f"}
    {"type":"TOOL_CALL_END","toolCallId":"done"}
    {"type":"TOOL_CALL_RESULT","messageId":"r","toolCallId":"done","content":"ok"}
    {"type":"TOOL_CALL_START","toolCallId":"theirs","toolCallName":"browser"}
    {"type":"TOOL_CALL_END","toolCallId":"theirs"}
    {"type":"TOOL_CALL_START","toolCallId":"ours","toolCallName":"f"}
    {"type":"TOOL_CALL_END","toolCallId":"ours"}
    {"type":"TOOL_CALL_START","toolCallId":"open","toolCallName":"browser"}
    {"type":"TEXT_MESSAGE_START","messageId":"m"}
"#;

#[test]
fn a_stopped_run_answers_the_calls_that_nobody_will() {
    check_close(
        CALLS,
        Closing::Stopped,
        r#"
        {"type":"TEXT_MESSAGE_END","messageId":"m"}
        {"type":"TOOL_CALL_RESULT","messageId":"ours-result","toolCallId":"ours","content":"{\"status\":\"stopped\",\"reason\":\"stop_requested\",\"message\":\"Run stopped by user\"}","role":"tool"}
        {"type":"TOOL_CALL_END","toolCallId":"open"}
        {"type":"TOOL_CALL_RESULT","messageId":"open-result","toolCallId":"open","content":"{\"status\":\"stopped\",\"reason\":\"stop_requested\",\"message\":\"Run stopped by user\"}","role":"tool"}
        "#,
    );
}

#[test]
fn an_interrupted_or_failed_run_says_so_in_its_results() {
    let call = r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","subagentRunId":"s"}"#;
    let end = r#"{"type":"TOOL_CALL_END","toolCallId":"c","subagentRunId":"s"}"#;
    let result = |content: &str| {
        format!(
            r#"{end}
            {{"type":"TOOL_CALL_RESULT","messageId":"c-result","toolCallId":"c","content":"{content}","role":"tool","subagentRunId":"s"}}"#
        )
    };
    check_close(call, Closing::Interrupted, &result(r#"{\"error\":\"interrupted\"}"#));
    check_close(
        call,
        Closing::Failed { reason: "upstream_lost".to_owned(), message: "it \"died\"".to_owned() },
        &result(r#"{\"status\":\"error\",\"reason\":\"upstream_lost\",\"message\":\"it \\\"died\\\"\"}"#),
    );
}

#[test]
fn pending_calls_are_those_without_a_result() {
    let (mut admission, mut out) = (Admission::new("T", "R"), Vec::new());
    lines(CALLS).for_each(|line| admission.admit(event(line), &mut out).unwrap());
    let pending = |admission: &Admission| {
        let calls = admission.pending_tool_calls();
        calls.into_iter().map(|call| format!("{} {} {}", call.id, call.name, call.complete)).collect::<Vec<_>>()
    };
    assert_eq!(pending(&admission), ["theirs browser true", "ours f true", "open browser false"]);
    let answer = Event::messages_snapshot(vec![Message::tool("r2", "ours", "in a snapshot")]);
    admission.admit(answer, &mut out).unwrap();
    assert_eq!(pending(&admission), ["theirs browser true", "open browser false"]);
    assert!(!admission.is_finished());
    admission.admit(Event::run_error("boom", "E"), &mut out).unwrap();
    assert!(admission.is_finished());
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
    let id = ["a", "b", ""][dice.roll(3) as usize];
    let optional_id = [r#""messageId":"a","#, r#""messageId":"b","#, ""][dice.roll(3) as usize];
    let optional_call = [r#""toolCallId":"a","toolCallName":"f","#, r#""toolCallId":"b","toolCallName":"f","#, ""]
        [dice.roll(3) as usize];
    let mut event = match dice.roll(24) {
        0 => Event::text_start(id),
        1 => Event::text_content(id, "x"),
        2 => Event::text_end(id),
        3 => Event::reasoning_message_start(id),
        4 => Event::reasoning_message_content(id, "x"),
        5 => Event::reasoning_message_end(id),
        6 => Event::reasoning_start(id),
        7 => Event::reasoning_end(id),
        8 => Event::tool_call_start(id, "f", None),
        9 => Event::tool_call_start(id, "f", Some(id.to_owned())),
        10 => Event::tool_call_args(id, "x"),
        11 => Event::tool_call_end(id),
        12 => Event::tool_call_result("r", id, "x"),
        13 => Event::step_started(id),
        14 => Event::step_finished(id),
        15 => Event::subagent_started(id, "n"),
        16 => Event::subagent_finished(id),
        17 => Event::messages_snapshot(vec![Message::assistant("a", "x")]),
        18 => Event::activity_delta("act", "P", vec![PatchOperation::remove("/n")]),
        19 => Event::run_started("x", "y"),
        20 => Event::custom("x", to_json(id)),
        21 => event(&format!(r#"{{"type":"TEXT_MESSAGE_CHUNK",{optional_id}"delta":"x"}}"#)),
        22 => event(&format!(r#"{{"type":"TOOL_CALL_CHUNK",{optional_call}"delta":"x"}}"#)),
        _ => event(&format!(r#"{{"type":"REASONING_MESSAGE_CHUNK",{optional_id}"delta":"x"}}"#)),
    };
    if dice.roll(5) == 0
        && !matches!(event, Event::SubagentStarted(_) | Event::SubagentFinished(_) | Event::RunStarted(_))
    {
        event.base_mut().subagent_run_id = Some("a".to_owned());
    }
    event
}

/// Counts brackets by event name and id: none twice, none missing, none left at the terminal.
fn check_brackets(run: &[Event], seed: u64) {
    let mut open: HashSet<(String, String)> = HashSet::new();
    for (index, event) in run.iter().enumerate() {
        let name = event.event_type().as_str();
        assert!(!name.ends_with("_CHUNK") && name != "RUN_STARTED", "seed {seed}: {name}");
        assert!(event.message_id() != Some("") && event.tool_call_id() != Some(""), "seed {seed}: {event:?}");
        let id = match event {
            Event::StepStarted(step) => format!("{:?} {}", step.base.subagent_run_id, step.step_name),
            Event::StepFinished(step) => format!("{:?} {}", step.base.subagent_run_id, step.step_name),
            Event::SubagentStarted(subagent) => subagent.subagent_run_id.clone(),
            Event::SubagentFinished(subagent) => subagent.subagent_run_id.clone(),
            Event::SubagentError(subagent) => subagent.subagent_run_id.clone(),
            other => other.tool_call_id().or(other.message_id()).unwrap_or_default().to_owned(),
        };
        let kind = |suffix: &str| name.strip_suffix(suffix).map(|kind| (kind.to_owned(), id.clone()));
        if let Some(bracket) = kind("_START").or(kind("_STARTED")) {
            assert!(open.insert(bracket), "seed {seed}: twice {event:?}");
        } else if event.is_terminal() {
            assert!(open.is_empty(), "seed {seed}: {open:?} open at the terminal");
            assert_eq!(index + 1, run.len(), "seed {seed}: events after the terminal");
        } else if let Some(bracket) = kind("_END").or(kind("_FINISHED")).or(kind("_ERROR")) {
            assert!(open.remove(&bracket), "seed {seed}: not open {event:?}");
        } else if let Some(bracket) = kind("_CONTENT").or(kind("_ARGS")) {
            assert!(open.contains(&bracket), "seed {seed}: not open {event:?}");
        }
    }
    assert!(run.last().is_some_and(Event::is_terminal), "seed {seed}: no terminal");
}

#[test]
fn whatever_an_agent_sends_a_sound_sequence_goes_out_to_both_kinds_of_clients() {
    for seed in 0..2000 {
        let mut dice = Dice(seed);
        let (mut admission, mut run) = (Admission::new("T", "R"), Vec::new());
        for _ in 0..dice.roll(60) {
            // After a refusal the runtime closes the run; going on regardless must be sound too.
            let _refused = admission.admit(random_event(&mut dice), &mut run).is_err();
        }
        match dice.roll(3) {
            0 => {}
            1 => admission.close(&Closing::Stopped, &|_| false, &mut run),
            _ => admission.close(&Closing::Interrupted, &|_| true, &mut run),
        }
        admission.admit(Event::run_finished("", ""), &mut run).unwrap();
        check_brackets(&run, seed);
        let legacy: Vec<Event> =
            run.iter().filter_map(|event| event.for_dialect(Dialect::Legacy)).map(|event| event.into_owned()).collect();
        check_brackets(&legacy, seed);
    }
}

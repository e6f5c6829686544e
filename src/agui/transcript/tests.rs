//! What streams build, each beside its messages.

use super::*;
use crate::agui::Reading;

/// Both sides are JSON texts; events one per line.
fn check(start: &str, events: &str, expected: &str) {
    let mut reducer = Reducer::new(Message::read_list(start).unwrap());
    for line in events.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match Event::read(line) {
            Ok(Reading::Event(event)) => reducer.apply(&event),
            other => panic!("{line}: {other:?}"),
        }
    }
    let built: Value = serde_json::to_value(reducer.into_messages()).unwrap();
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(built, expected, "built {built}");
}

#[test]
fn text_is_joined_and_metadata_merged() {
    check(
        "[]",
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m","metadata":{"a":1,"b":1}}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"Hel","metadata":{"b":2}}
        {"type":"TEXT_MESSAGE_START","messageId":"u","role":"user","name":"Ann"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"lo"}
        {"type":"TEXT_MESSAGE_END","messageId":"m","metadata":{"c":3}}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"nobody","delta":"x"}
        "#,
        r#"[{"id":"m","role":"assistant","content":"Hello","metadata":{"a":1,"b":2,"c":3}},
            {"id":"u","role":"user","name":"Ann","content":""}]"#,
    );
}

#[test]
fn calls_attach_to_their_parent_or_carry_themselves() {
    check(
        r#"[{"id":"u","role":"user","content":"hi"}]"#,
        r#"
        {"type":"TEXT_MESSAGE_START","messageId":"m"}
        {"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"f","parentMessageId":"m"}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c1","delta":"{\"a\":","metadata":{"k":1}}
        {"type":"TOOL_CALL_ARGS","toolCallId":"c1","delta":"1}"}
        {"type":"TOOL_CALL_START","toolCallId":"c2","toolCallName":"g","parentMessageId":"p"}
        {"type":"TOOL_CALL_START","toolCallId":"c3","toolCallName":"h","parentMessageId":"u"}
        {"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"f2"}
        "#,
        r#"[{"id":"u","role":"user","content":"hi"},
            {"id":"m","role":"assistant","content":"","toolCalls":[{"id":"c1","type":"function","function":{"name":"f2","arguments":"{\"a\":1}"},"metadata":{"k":1}}]},
            {"id":"p","role":"assistant","toolCalls":[{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},
            {"id":"c3","role":"assistant","toolCalls":[{"id":"c3","type":"function","function":{"name":"h","arguments":""}}]}]"#,
    );
}

#[test]
fn results_stand_right_after_the_results_of_their_assistant() {
    check(
        r#"[{"id":"a","role":"assistant","toolCalls":[{"id":"c1","type":"function","function":{"name":"f","arguments":""}},{"id":"c2","type":"function","function":{"name":"f","arguments":""}}]},{"id":"b","role":"assistant","content":"later"}]"#,
        r#"
        {"type":"TOOL_CALL_RESULT","messageId":"r1","toolCallId":"c1","content":"one"}
        {"type":"TOOL_CALL_RESULT","messageId":"r2","toolCallId":"c2","content":[{"type":"text","text":"two"}]}
        {"type":"TOOL_CALL_RESULT","messageId":"r3","toolCallId":"c9","content":"of nobody"}
        {"type":"TOOL_CALL_RESULT","messageId":"r1","toolCallId":"c1","content":"again"}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"!"}
        "#,
        r#"[{"id":"a","role":"assistant","toolCalls":[{"id":"c1","type":"function","function":{"name":"f","arguments":""}},{"id":"c2","type":"function","function":{"name":"f","arguments":""}}]},
            {"id":"r1","role":"tool","toolCallId":"c1","content":"again"},
            {"id":"r2","role":"tool","toolCallId":"c2","content":[{"type":"text","text":"two"}]},
            {"id":"b","role":"assistant","content":"later!"},
            {"id":"r3","role":"tool","toolCallId":"c9","content":"of nobody"}]"#,
    );
}

#[test]
fn a_snapshot_keeps_the_order_that_is_there() {
    check(
        r#"[{"id":"1","role":"user","content":"a"},{"id":"2","role":"reasoning","content":"r"},{"id":"3","role":"activity","activityType":"P","content":{}},{"id":"4","role":"assistant","content":"d"}]"#,
        r#"
        {"type":"MESSAGES_SNAPSHOT","messages":[{"id":"5","role":"user","content":"new"},{"id":"4","role":"assistant","content":"D"},{"id":"6","role":"activity","activityType":"Q","content":{}}]}
        "#,
        r#"[{"id":"2","role":"reasoning","content":"r"},{"id":"4","role":"assistant","content":"D"},
            {"id":"5","role":"user","content":"new"},{"id":"6","role":"activity","activityType":"Q","content":{}}]"#,
    );
}

#[test]
fn activities_are_replaced_patched_or_left_alone() {
    check(
        "[]",
        r#"
        {"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"P","content":{"n":1},"metadata":{"k":1}}
        {"type":"ACTIVITY_DELTA","messageId":"a","activityType":"P","patch":[{"op":"add","path":"/l","value":[]}]}
        {"type":"ACTIVITY_DELTA","messageId":"a","activityType":"P","patch":[{"op":"add","path":"/l/-","value":7}]}
        {"type":"ACTIVITY_DELTA","messageId":"a","activityType":"P","patch":[{"op":"remove","path":"/n"},{"op":"remove","path":"/x"}]}
        {"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"Q","content":{},"replace":false}
        {"type":"ACTIVITY_SNAPSHOT","messageId":"b","activityType":"P","content":{"n":1}}
        {"type":"ACTIVITY_DELTA","messageId":"b","activityType":"P","patch":[{"op":"replace","path":"/n","value":2}]}
        {"type":"ACTIVITY_SNAPSHOT","messageId":"b","activityType":"Q","content":{"z":1},"metadata":{"k":2}}
        {"type":"ACTIVITY_DELTA","messageId":"c","activityType":"P","patch":[]}
        {"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"dropped"}
        "#,
        r#"[{"id":"a","role":"activity","activityType":"P","content":{"n":1,"l":[7]},"metadata":{"k":1}},
            {"id":"b","role":"activity","activityType":"Q","content":{"z":1},"metadata":{"k":2}}]"#,
    );
}

#[test]
fn reasoning_signatures_and_the_echo_of_the_input_are_kept() {
    check(
        r#"[{"id":"u","role":"user","content":"hi"}]"#,
        r#"
        {"type":"RUN_STARTED","threadId":"t","runId":"r","input":{"threadId":"t","runId":"r","messages":[{"id":"u","role":"user","content":"other"},{"id":"u2","role":"user","content":"more"}]}}
        {"type":"REASONING_MESSAGE_START","messageId":"h","role":"reasoning","subagentRunId":"s"}
        {"type":"REASONING_MESSAGE_CONTENT","messageId":"h","delta":"hm"}
        {"type":"REASONING_MESSAGE_END","messageId":"h"}
        {"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}
        {"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"h","encryptedValue":"E"}
        {"type":"REASONING_ENCRYPTED_VALUE","subtype":"tool-call","entityId":"c","encryptedValue":"F"}
        "#,
        r#"[{"id":"u","role":"user","content":"hi"},{"id":"u2","role":"user","content":"more"},
            {"id":"h","role":"reasoning","content":"hm","encryptedValue":"E","subagentRunId":"s"},
            {"id":"c","role":"assistant","toolCalls":[{"id":"c","type":"function","function":{"name":"f","arguments":""},"encryptedValue":"F"}]}]"#,
    );
}

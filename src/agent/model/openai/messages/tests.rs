use super::*;

fn read(messages: Value) -> Vec<Arc<Message>> {
    let messages = Message::read_list(&messages.to_string()).expect("messages of the test");
    messages.into_iter().map(Arc::new).collect()
}

fn check(messages: Value, expected: Value) {
    let chat = chat(&read(messages), "system");
    assert_eq!(serde_json::to_value(chat).expect("JSON"), expected);
}

fn attached(part: Value) -> Value {
    let chat = chat(&read(json!([{ "id": "u", "role": "user", "content": [part] }])), "system");
    chat[0].content[0].clone()
}

#[test]
fn every_role_is_written_as_chat_completions_know_it() {
    check(
        json!([
            { "id": "1", "role": "system", "content": "rules" },
            { "id": "2", "role": "developer", "content": "more rules" },
            { "id": "3", "role": "user", "content": "hi" },
            { "id": "4", "role": "reasoning", "content": "hm" },
            { "id": "5", "role": "activity", "activityType": "x", "content": {} },
            { "id": "6", "role": "assistant", "content": "", "toolCalls": [
                { "id": "c", "type": "function", "function": { "name": "f", "arguments": "{\"a\":" } },
            ] },
            { "id": "7", "role": "tool", "toolCallId": "c", "content": "done" },
            { "id": "8", "role": "assistant", "content": "bye" },
        ]),
        json!([
            { "role": "system", "content": "rules" },
            { "role": "system", "content": "more rules" },
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } },
            ] },
            { "role": "tool", "content": "done", "tool_call_id": "c" },
            { "role": "assistant", "content": "bye" },
        ]),
    );
}

#[test]
fn media_become_the_parts_a_chat_completion_has() {
    let data = |mime: &str| json!({ "type": "data", "value": "aGk=", "mimeType": mime });
    for (part, expected) in [
        (
            json!({ "type": "image", "source": data("image/png") }),
            json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,aGk=" } }),
        ),
        (
            json!({ "type": "image", "source": { "type": "url", "value": "https://x/y.png" } }),
            json!({ "type": "image_url", "image_url": { "url": "https://x/y.png" } }),
        ),
        (
            json!({ "type": "audio", "source": data("audio/wav") }),
            json!({ "type": "input_audio", "input_audio": { "data": "aGk=", "format": "wav" } }),
        ),
        (
            json!({ "type": "document", "source": data("application/pdf"), "metadata": { "filename": "a.pdf" } }),
            json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk=" } }),
        ),
        (
            json!({ "type": "document", "source": data("text/csv"), "metadata": { "filename": "a.csv" } }),
            json!({ "type": "text", "text": "Attached file a.csv:\nhi" }),
        ),
        (
            json!({ "type": "document", "source": { "type": "file", "value": "file-1" } }),
            json!({ "type": "file", "file": { "file_id": "file-1" } }),
        ),
    ] {
        assert_eq!(attached(part.clone()), expected, "{part}");
    }
}

#[test]
fn what_cannot_be_shown_is_a_line_that_says_so() {
    let data = |mime: &str| json!({ "type": "data", "value": "aGk=", "mimeType": mime });
    for (part, said) in [
        (json!({ "type": "video", "source": data("video/mp4") }), "The video (video/mp4) was attached"),
        (json!({ "type": "audio", "source": data("audio/ogg") }), "The audio recording (audio/ogg) was attached"),
        (
            json!({ "type": "audio", "source": { "type": "url", "value": "https://x/y.wav" } }),
            "The audio recording at https://x/y.wav was attached",
        ),
        (
            json!({ "type": "document", "source": data("application/zip"), "metadata": { "filename": "a.zip" } }),
            "The document a.zip (application/zip) was attached",
        ),
        (
            json!({ "type": "document", "source": { "type": "data", "value": "%", "mimeType": "text/plain" } }),
            "(text/plain)",
        ),
    ] {
        let part = attached(part);
        let text = part["text"].as_str().expect("a line of text");
        assert!(part["type"] == "text" && text.contains(said), "{text}");
    }
}

#[test]
fn a_strict_template_gets_one_system_message_and_turns() {
    let messages = chat(
        &read(json!([
            { "id": "1", "role": "system", "content": "rules" },
            { "id": "2", "role": "system", "content": "more" },
            { "id": "3", "role": "user", "content": [{ "type": "text", "text": "hi" }] },
            { "id": "4", "role": "system", "content": "state" },
        ])),
        "system",
    );
    let strict = serde_json::to_value(strict(messages)).expect("JSON");
    let parts = json!([{ "type": "text", "text": "hi" }, { "type": "text", "text": "state" }]);
    assert_eq!(strict, json!([{ "role": "system", "content": "rules\n\nmore" }, { "role": "user", "content": parts }]));
}

#[test]
fn answers_of_tools_stay_apart_however_strict_a_template_is() {
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let messages = read(json!([
        { "id": "1", "role": "user", "content": "hi" },
        { "id": "2", "role": "assistant", "toolCalls": [call("a"), call("b")] },
        { "id": "3", "role": "tool", "toolCallId": "a", "content": "one" },
        { "id": "4", "role": "tool", "toolCallId": "b", "content": "two" },
    ]));
    let strict = serde_json::to_value(strict(chat(&messages, "system"))).expect("JSON");
    let results: Vec<_> = strict.as_array().expect("a list")[2..].iter().map(|it| &it["tool_call_id"]).collect();
    assert_eq!(results, ["a", "b"]);
}

#[test]
fn a_text_file_is_put_into_the_message_up_to_its_limit() {
    use base64::Engine as _;
    let file = |bytes: usize| {
        let value = base64::engine::general_purpose::STANDARD.encode("x".repeat(bytes));
        let source = json!({ "type": "data", "value": value, "mimeType": "text/plain" });
        let part = attached(json!({ "type": "document", "source": source, "metadata": { "filename": "a.txt" } }));
        part["text"].as_str().expect("a text").to_owned()
    };
    assert!(file(256 * 1024).starts_with("Attached file a.txt:\nxxx"));
    assert_eq!(
        file(256 * 1024 + 1),
        "[The document a.txt (text/plain) was attached here, in a form that this model cannot be shown.]"
    );
}

//! Recordings become text through an OpenAI-compatible API, or a refusal that says what to do.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::server::{Home, Server};
use crate::support::upstream::{Answer, Upstream, status};

const KEY: &str = "sk-very-secret";
/// `RIFFaudio`, which is no audio, as nobody here listens.
const RECORDING: &str = "RIFFaudio";
const IN_BASE64: &str = "UklGRmF1ZGlv";

async fn hosting(answer: Answer) -> (Home, Server, Upstream) {
    let api = Upstream::start(answer).await;
    let home = Home::with_agents(&[DEMO]);
    let mut options = home.options();
    options.store = "memory:".to_owned();
    let base = api.url.trim_end_matches('/').to_owned();
    options.flags =
        ["--transcription-url", &format!("{base}/v1/"), "--transcription-model", "tiny"].map(str::to_owned).to_vec();
    // As `$(cat file)` without the shell's help: with the line break that files end with.
    options.env = vec![("COAGENT_TRANSCRIPTION_KEY".to_owned(), format!("{KEY}\n"))];
    (home, Server::start(options), api)
}

fn heard() -> Answer {
    status("200 OK", r#"{"text":"buy milk"}"#)
}

async fn post_form(server: &Server, form: Form) -> (u16, Value) {
    let response =
        server.http().post(server.copilotkit("/transcribe")).multipart(form).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

fn recording(mime_type: Option<&str>) -> Form {
    let part = Part::text(RECORDING).file_name("note.webm");
    Form::new().part(
        "audio",
        match mime_type {
            Some(mime_type) => part.mime_str(mime_type).expect("a content type"),
            None => part,
        },
    )
}

#[tokio::test]
async fn a_recording_is_sent_on_as_a_form_and_its_text_comes_back() {
    let (_home, server, api) = hosting(heard()).await;
    assert_eq!(server.get("/info").await["audioFileTranscriptionEnabled"], true);
    let (status, answer) = post_form(&server, recording(Some("audio/webm;codecs=opus"))).await;
    assert_eq!((status, answer), (200, json!({"text": "buy milk", "size": 9, "type": "audio/webm;codecs=opus"})));
    let (head, form) = api.last_request();
    assert!(head.starts_with("POST /agent/v1/audio/transcriptions HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    let boundary = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: multipart/form-data; boundary="))
        .expect("a form");
    let parts: Vec<&str> = form.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[4]), (5, "", "--\r\n"), "three parts and the end: {form}");
    assert_eq!(parts[1], "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n");
    assert_eq!(parts[2], "\r\nContent-Disposition: form-data; name=\"response_format\"\r\n\r\njson\r\n");
    let file = "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"note.webm\"\r\nContent-Type: audio/webm;codecs=opus\r\n\r\nRIFFaudio\r\n";
    assert_eq!(parts[3], file);
}

#[tokio::test]
async fn a_recording_in_json_is_the_same_by_rest_and_in_an_envelope() {
    let (_home, server, api) = hosting(heard()).await;
    for audio in [IN_BASE64.to_owned(), format!("data:audio/webm;base64,{IN_BASE64}"), format!("{}\n", IN_BASE64)] {
        let body = json!({"audio": audio, "mimeType": "audio/webm"});
        let (status, answer, _) = server.ask(Method::POST, "/transcribe", &body.to_string()).await;
        assert_eq!((status, answer), (200, json!({"text": "buy milk", "size": 9, "type": "audio/webm"})), "{audio}");
        let form = api.last_request().1;
        assert!(form.contains("filename=\"recording.webm\"") && form.contains("RIFFaudio"), "{form}");
    }
    let body = json!({"audio": IN_BASE64, "mimeType": "audio/mp4", "filename": "memo.mp4"});
    let envelope = json!({"method": "transcribe", "body": body}).to_string();
    let (status, answer, _) = server.ask(Method::POST, "", &envelope).await;
    assert_eq!((status, &answer["type"]), (200, &json!("audio/mp4")));
    assert!(api.last_request().1.contains("filename=\"memo.mp4\""));
}

#[tokio::test]
async fn a_form_that_does_not_say_its_type_is_taken_for_what_browsers_record() {
    let (_home, server, _api) = hosting(heard()).await;
    for mime_type in [None, Some("application/octet-stream")] {
        assert_eq!(post_form(&server, recording(mime_type)).await.1["type"], "audio/webm");
    }
}

#[tokio::test]
async fn what_cannot_be_transcribed_is_refused_by_its_code() {
    let (_home, server, _api) = hosting(heard()).await;
    let (status, body) = post_form(&server, recording(Some("video/mp4"))).await;
    let supported = "audio/mpeg, audio/mp3, audio/mp4, audio/wav, audio/webm, audio/ogg, audio/flac, audio/aac";
    let message = format!("Unsupported audio format: video/mp4. Supported: {supported}");
    assert_eq!((status, body), (400, json!({"error": "invalid_audio_format", "message": message, "retryable": false})));
    let invalid = |message: &str| (400, json!({"error": "invalid_request", "message": message, "retryable": false}));
    let no_file = invalid("No audio file found in form data. Please include an 'audio' field.");
    assert_eq!(post_form(&server, Form::new().text("audio", "not a file")).await, no_file);
    assert_eq!(post_form(&server, Form::new().part("file", Part::text("x").file_name("x"))).await, no_file);
    for (body, message) in [
        ("{", "Request body must be valid JSON"),
        ("{}", "Request must include 'audio' field with base64-encoded audio data"),
        (r#"{"audio":"AAAA"}"#, "Request must include 'mimeType' field (e.g., 'audio/webm')"),
        (r#"{"audio":"!!","mimeType":"audio/wav"}"#, "Failed to decode base64 audio data"),
    ] {
        let (status, answer, _) = server.ask(Method::POST, "/transcribe", body).await;
        assert_eq!((status, answer), invalid(message), "{body}");
    }
    let other = server.http().post(server.copilotkit("/transcribe")).header("content-type", "text/plain").body("x");
    let other = other.send().await.unwrap();
    assert_eq!(other.status(), 400);
    let message = "Request must be multipart/form-data or application/json with base64 audio";
    assert_eq!(other.json::<Value>().await.unwrap()["message"], message);
    let broken = server.http().post(server.copilotkit("/transcribe"));
    let broken =
        broken.header("content-type", "multipart/form-data; boundary=b").body("--b\r\nhalf").send().await.unwrap();
    assert_eq!(broken.status(), 500);
    assert_eq!(broken.json::<Value>().await.unwrap()["error"], "provider_error");
}

#[tokio::test]
async fn what_the_api_answers_is_told_without_its_secrets() {
    let (_home, server, api) = hosting(heard()).await;
    let body = json!({"audio": IN_BASE64, "mimeType": "audio/webm"}).to_string();
    let of =
        |code: &str, message: &str, retryable: bool| json!({"error": code, "message": message, "retryable": retryable});
    for (line, said, expected_status, expected) in [
        ("429 Too Many Requests", "{}", 429, of("rate_limited", "Rate limited. Please try again later.", true)),
        (
            "401 Unauthorized",
            r#"{"error":{"message":"bad key sk-very-secret"}}"#,
            401,
            of("auth_failed", "Authentication failed with transcription provider", false),
        ),
        (
            "400 Bad Request",
            r#"{"error":"audio too long"}"#,
            400,
            of("audio_too_long", "Audio file is too long", false),
        ),
        (
            "500 Internal Server Error",
            r#"{"error":{"message":"the disk of sk-very-secret is full"}}"#,
            500,
            of("provider_error", "the disk of … is full", true),
        ),
        (
            "200 OK",
            "<html>",
            500,
            of("provider_error", "the transcription API answered with something other than {\"text\": …}", true),
        ),
    ] {
        api.answers(status(line, said));
        let (status, answer, _) = server.ask(Method::POST, "/transcribe", &body).await;
        assert_eq!((status, answer), (expected_status, expected), "{line}");
    }
    api.answers(Answer { bytes: Vec::new(), ..heard() });
    let (status, answer, _) = server.ask(Method::POST, "/transcribe", &body).await;
    assert_eq!((status, &answer["error"]), (500, &json!("provider_error")), "{answer}");
}

#[tokio::test]
async fn a_server_without_a_transcription_api_says_so_before_anything_else() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let expected = json!({"error": "service_not_configured", "message": "Transcription service is not configured", "retryable": false});
    assert_eq!(server.ask(Method::POST, "/transcribe", "{").await.1, expected);
    assert_eq!(post_form(&server, recording(None)).await, (503, expected.clone()));
    let envelope = json!({"method": "transcribe", "body": {}}).to_string();
    let (status, answer, _) = server.ask(Method::POST, "", &envelope).await;
    assert_eq!((status, answer), (503, expected));
}

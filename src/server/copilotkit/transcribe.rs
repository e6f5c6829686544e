//! `transcribe`: a recording in, its text out (docs/copilotkit.md §7).

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header;
use axum::response::IntoResponse;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::runtime::{Audio, Runtime};

use super::super::error::NotTranscribed;
use super::Answer;

const TYPES: [&str; 8] =
    ["audio/mpeg", "audio/mp3", "audio/mp4", "audio/wav", "audio/webm", "audio/ogg", "audio/flac", "audio/aac"];
/// What recorders of browsers make, and what one is taken for that does not say.
const USUAL_TYPE: &str = "audio/webm";
const USUAL_NAME: &str = "recording.webm";

/// As forgiving as browsers: padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) async fn answer(runtime: &Runtime, content_type: &str, body: Bytes) -> Answer {
    if !runtime.transcribes() {
        return Err(NotTranscribed::NotConfigured.into());
    }
    let audio = if content_type.contains("multipart/form-data") {
        from_form(content_type, body).await?
    } else if content_type.contains("application/json") {
        from_json(&body)?
    } else {
        let message = "Request must be multipart/form-data or application/json with base64 audio";
        return Err(NotTranscribed::invalid(message).into());
    };
    let (size, mime_type) = (audio.bytes.len(), audio.mime_type.clone());
    let text = runtime.transcribe(audio).await.ok_or(NotTranscribed::NotConfigured)?.map_err(NotTranscribed::from)?;
    Ok(Json(json!({"text": text, "size": size, "type": mime_type})).into_response())
}

/// The file field `audio`.
async fn from_form(content_type: &str, body: Bytes) -> Result<Audio, NotTranscribed> {
    let request = Request::builder().header(header::CONTENT_TYPE, content_type).body(Body::from(body));
    let request = request.expect("a content type that came in a header goes into one");
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| unreadable(&error))?;
    while let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        let (Some("audio"), Some(filename)) = (field.name(), field.file_name().map(str::to_owned)) else { continue };
        let mime_type = match field.content_type() {
            None | Some("" | "application/octet-stream") => USUAL_TYPE.to_owned(),
            Some(named) => named.to_owned(),
        };
        check_type(&mime_type)?;
        let bytes = field.bytes().await.map_err(|error| unreadable(&error))?;
        let filename = if filename.is_empty() { USUAL_NAME.to_owned() } else { filename };
        return Ok(Audio { bytes, mime_type, filename });
    }
    Err(NotTranscribed::invalid("No audio file found in form data. Please include an 'audio' field."))
}

fn from_json(body: &[u8]) -> Result<Audio, NotTranscribed> {
    let body: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| NotTranscribed::invalid("Request body must be valid JSON"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let audio = text("audio")
        .ok_or_else(|| NotTranscribed::invalid("Request must include 'audio' field with base64-encoded audio data"))?;
    let mime_type = text("mimeType")
        .ok_or_else(|| NotTranscribed::invalid("Request must include 'mimeType' field (e.g., 'audio/webm')"))?;
    check_type(mime_type)?;
    // A data URL says its type before the comma.
    let base64 = audio.split(',').nth(1).unwrap_or(audio);
    let base64: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(base64).map_err(|_| NotTranscribed::invalid("Failed to decode base64 audio data"))?;
    let filename = text("filename").unwrap_or(USUAL_NAME).to_owned();
    Ok(Audio { bytes: bytes.into(), mime_type: mime_type.to_owned(), filename })
}

fn check_type(mime_type: &str) -> Result<(), NotTranscribed> {
    let base = mime_type.split(';').next().unwrap_or_default().trim();
    if base.is_empty() || base == "application/octet-stream" || TYPES.contains(&base) {
        return Ok(());
    }
    let message = format!("Unsupported audio format: {mime_type}. Supported: {}", TYPES.join(", "));
    Err(NotTranscribed::InvalidFormat { message })
}

fn unreadable(error: &dyn std::fmt::Display) -> NotTranscribed {
    NotTranscribed::Provider { message: format!("the form could not be read: {error}") }
}

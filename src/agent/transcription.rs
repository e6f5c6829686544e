//! Speech to text through any API that speaks OpenAI's `POST /audio/transcriptions`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use thiserror::Error;

use super::outbound::{client, told};

const CONNECT: Duration = Duration::from_secs(10);
/// From the first byte sent to the last one received; a minute of speech takes seconds.
const WHOLE: Duration = Duration::from_secs(120);
/// A transcript is text; an API that says more than this is not one.
const ANSWER_BYTES: usize = 4 << 20;

/// A recording.
#[derive(Debug, Clone)]
pub struct Audio {
    pub bytes: Bytes,
    /// With its parameters, as the recorder named it.
    pub mime_type: String,
    pub filename: String,
}

/// Why there is no text, sorted by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TranscriptionError {
    #[error("the transcription API takes no more requests for now")]
    RateLimited,
    #[error("the transcription API does not accept this server's key")]
    AuthFailed,
    #[error("the recording is too long for the transcription API")]
    AudioTooLong,
    #[error("{message}")]
    Provider { message: String },
}

/// A transcription API.
pub struct Transcriber {
    endpoint: Url,
    model: String,
    key: Option<String>,
    client: Client,
}

impl fmt::Debug for Transcriber {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcriber").field("model", &self.model).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
struct Transcript {
    text: String,
}

impl Transcriber {
    /// Opens no connection; the error is a sentence.
    pub fn new(endpoint: Url, model: String, key: Option<String>) -> Result<Self, String> {
        let client = client(&endpoint, CONNECT)?;
        Ok(Self { endpoint, model, key, client })
    }

    pub async fn transcribe(&self, audio: Audio) -> Result<String, TranscriptionError> {
        let response = self.request(audio)?.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if !status.is_success() {
            let message = self.without_key(said(status, &body));
            tracing::warn!(status = status.as_u16(), message, "a transcription failed");
            return Err(TranscriptionError::of(status, message));
        }
        let unusable = |_| provider("the transcription API answered with something other than {\"text\": …}");
        serde_json::from_slice::<Transcript>(&body).map(|transcript| transcript.text).map_err(unusable)
    }

    fn request(&self, audio: Audio) -> Result<RequestBuilder, TranscriptionError> {
        let unusable = |_| provider(format!("`{}` cannot be sent as a content type", audio.mime_type));
        let file = Part::stream(audio.bytes).file_name(audio.filename).mime_str(&audio.mime_type).map_err(unusable)?;
        let form = Form::new().text("model", self.model.clone()).text("response_format", "json").part("file", file);
        let request = self.client.post(self.endpoint.clone()).timeout(WHOLE).multipart(form);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, TranscriptionError> {
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&bytes);
            if body.len() > ANSWER_BYTES {
                return Err(provider("the transcription API answered with more than a transcript"));
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> TranscriptionError {
        let reason = if error.is_timeout() { format!("no answer within {WHOLE:?}") } else { told(error) };
        tracing::warn!(reason, "the transcription API cannot be reached");
        provider(format!("the transcription API cannot be reached: {reason}"))
    }

    /// Some APIs repeat the key they refuse.
    fn without_key(&self, message: String) -> String {
        self.key.as_ref().map_or(message.clone(), |key| message.replace(key.as_str(), "…"))
    }
}

impl TranscriptionError {
    /// By the status where it says it all, else by what the provider says (docs/copilotkit.md §7).
    fn of(status: StatusCode, message: String) -> Self {
        let said = message.to_lowercase();
        let says = |any: &[&str]| any.iter().any(|words| said.contains(words));
        let begins_a_word = |word: &str| said.split(|c: char| !c.is_alphanumeric()).any(|w| w.starts_with(word));
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::AuthFailed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::AudioTooLong,
            _ if begins_a_word("rate") || says(&["429", "too many"]) => Self::RateLimited,
            _ if begins_a_word("auth") || says(&["401", "api key", "unauthorized"]) => Self::AuthFailed,
            _ if says(&["too long", "duration", "length"]) => Self::AudioTooLong,
            _ => Self::Provider { message },
        }
    }
}

fn provider(message: impl Into<String>) -> TranscriptionError {
    TranscriptionError::Provider { message: message.into() }
}

/// What a refusal says: `{"error": {"message"}}`, `{"error"}`, `{"message"}` or text.
fn said(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(2048)]).trim().to_owned();
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let found = ["/error/message", "/error", "/message", "/detail"].iter().find_map(|at| json.pointer(at)?.as_str());
    match found.map_or(text, str::to_owned) {
        said if said.is_empty() => format!("the transcription API answered {status}"),
        said => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_status_and_words() {
        let other = |message: &str| TranscriptionError::Provider { message: message.to_owned() };
        for (status, message, expected) in [
            (429, "slow down", TranscriptionError::RateLimited),
            (401, "who are you?", TranscriptionError::AuthFailed),
            (403, "not for you", TranscriptionError::AuthFailed),
            (413, "no", TranscriptionError::AudioTooLong),
            (500, "Rate limit reached", TranscriptionError::RateLimited),
            (500, "upstream said 429", TranscriptionError::RateLimited),
            (400, "Too many requests", TranscriptionError::RateLimited),
            (400, "Incorrect API key provided", TranscriptionError::AuthFailed),
            (500, "Authentication is needed", TranscriptionError::AuthFailed),
            (500, "unauthorized", TranscriptionError::AuthFailed),
            (400, "audio duration is over the limit", TranscriptionError::AudioTooLong),
            (400, "the file is too long", TranscriptionError::AudioTooLong),
            (500, "failed to generate a transcript", other("failed to generate a transcript")),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(TranscriptionError::of(status, message.to_owned()), expected, "{status} {message}");
        }
    }

    #[test]
    fn a_refusal_is_read_whatever_its_shape() {
        let status = StatusCode::BAD_GATEWAY;
        for (body, expected) in [
            (r#"{"error":{"message":"no disk"}}"#, "no disk"),
            (r#"{"error":"no disk"}"#, "no disk"),
            (r#"{"detail":"no disk"}"#, "no disk"),
            ("no disk\n", "no disk"),
            ("", "the transcription API answered 502 Bad Gateway"),
        ] {
            assert_eq!(said(status, body.as_bytes()), expected);
        }
    }
}

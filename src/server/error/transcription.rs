//! Why a recording has no text, in the shape CopilotKit's client reads: `{error, message, retryable}`.

use axum::http::StatusCode;

use crate::runtime::TranscriptionError;

use super::Problem;

/// A transcription that did not come about.
#[derive(Debug)]
pub(in crate::server) enum NotTranscribed {
    NotConfigured,
    InvalidFormat { message: String },
    InvalidRequest { message: String },
    RateLimited,
    AuthFailed,
    AudioTooLong,
    Provider { message: String },
}

impl NotTranscribed {
    pub(in crate::server) fn invalid(message: &str) -> Self {
        Self::InvalidRequest { message: message.to_owned() }
    }
}

impl From<TranscriptionError> for NotTranscribed {
    fn from(error: TranscriptionError) -> Self {
        match error {
            TranscriptionError::RateLimited => Self::RateLimited,
            TranscriptionError::AuthFailed => Self::AuthFailed,
            TranscriptionError::AudioTooLong => Self::AudioTooLong,
            TranscriptionError::Provider { message } => Self::Provider { message },
        }
    }
}

impl From<NotTranscribed> for Problem {
    fn from(error: NotTranscribed) -> Self {
        let of = |status, code, message: &str, retryable: bool| {
            Self::new(status, code).with("message", message).with("retryable", retryable)
        };
        match error {
            NotTranscribed::NotConfigured => of(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_not_configured",
                "Transcription service is not configured",
                false,
            ),
            NotTranscribed::InvalidFormat { message } => {
                of(StatusCode::BAD_REQUEST, "invalid_audio_format", &message, false)
            }
            NotTranscribed::InvalidRequest { message } => {
                of(StatusCode::BAD_REQUEST, "invalid_request", &message, false)
            }
            NotTranscribed::RateLimited => {
                of(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Rate limited. Please try again later.", true)
            }
            NotTranscribed::AuthFailed => {
                of(StatusCode::UNAUTHORIZED, "auth_failed", "Authentication failed with transcription provider", false)
            }
            NotTranscribed::AudioTooLong => {
                of(StatusCode::BAD_REQUEST, "audio_too_long", "Audio file is too long", false)
            }
            NotTranscribed::Provider { message } => {
                of(StatusCode::INTERNAL_SERVER_ERROR, "provider_error", &message, true)
            }
        }
    }
}

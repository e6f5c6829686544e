//! What a server says when it gives no answer, in any of the shapes there are, as a [`Fault`].

use reqwest::StatusCode;
use serde_json::Value;

use crate::agent::model::{Fault, FaultKind};

/// How many characters of a server's words are passed on.
const TOLD_CHARACTERS: usize = 300;
/// What servers call a conversation that is too long, in lower case.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "context length",
    "context window",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "exceeds the limit of tokens",
    "exceed context limit",
];
const EXHAUSTED: &[&str] = &["insufficient_quota", "billing", "insufficient credits", "credit balance"];

/// The fault of an answer with an error status.
pub(super) fn of_status(status: StatusCode, body: &[u8]) -> Fault {
    let words = Words::of_body(body);
    let kind = kind_of(status.as_u16(), &words);
    let told = words.told();
    let message = match kind {
        // What a server says of a key may hold a part of it.
        FaultKind::Auth => format!("the model server refused the key ({status}): check `agent.api_key`"),
        FaultKind::ContextOverflow => format!("the conversation is too long for the model ({status}){told}"),
        FaultKind::Exhausted => format!("the account at the model server has nothing left ({status}){told}"),
        FaultKind::RateLimited => format!("the model server takes no more requests for now ({status}){told}"),
        FaultKind::Unreachable
        | FaultKind::ConnectTimeout
        | FaultKind::Timeout
        | FaultKind::Provider
        | FaultKind::Truncated
        | FaultKind::Refused => format!("the model server answered {status}{told}"),
    };
    Fault::new(kind, message)
}

/// The fault of an error that came where a piece of the answer was due.
pub(super) fn in_band(error: &Value) -> Fault {
    let words = Words::of(error);
    let status = words.status().unwrap_or(500);
    let kind = kind_of(status, &words);
    let told = words.told();
    Fault::new(kind, format!("the model server broke its answer off with an error{told}"))
}

fn kind_of(status: u16, words: &Words) -> FaultKind {
    let said = words.all();
    let says = |any: &[&str]| any.iter().any(|word| said.contains(word));
    match status {
        401 | 403 => FaultKind::Auth,
        402 => FaultKind::Exhausted,
        429 if says(EXHAUSTED) => FaultKind::Exhausted,
        429 => FaultKind::RateLimited,
        413 => FaultKind::ContextOverflow,
        400..=499 if says(TOO_LONG) => FaultKind::ContextOverflow,
        408 | 500.. => FaultKind::Provider,
        _ => FaultKind::Refused,
    }
}

/// The words of an error, wherever the server put them.
#[derive(Debug, Default)]
struct Words {
    message: String,
    /// Numbers are written out: vLLM, OpenRouter and Gemini send integers.
    code: String,
    kind: String,
}

impl Words {
    fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let is_page = text.trim_start().starts_with('<');
                Self { message: if is_page { String::new() } else { text.into_owned() }, ..Self::default() }
            }
        }
    }

    /// `{"error": {…}}`, `{"error": "…"}`, `{"detail": …}`, `{"message": …}`, a list of one of them, or the object itself.
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(errors) => errors.first().map(Self::of).unwrap_or_default(),
            Value::String(message) => Self { message: message.clone(), ..Self::default() },
            Value::Object(members) => {
                if let Some(error) = members.get("error").filter(|error| error.is_object() || error.is_string()) {
                    return Self::of(error);
                }
                let text = |name: &str| members.get(name).filter(|value| !value.is_null()).map(written);
                Self {
                    message: text("message").or_else(|| text("detail")).unwrap_or_default(),
                    code: text("code").unwrap_or_default(),
                    kind: text("type").or_else(|| text("status")).unwrap_or_default(),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::default(),
        }
    }

    fn all(&self) -> String {
        format!("{} {} {}", self.message, self.code, self.kind).to_lowercase()
    }

    /// The status an error in the stream stands for, as far as it says.
    fn status(&self) -> Option<u16> {
        let written = self.code.parse().ok().filter(|status| (400..600).contains(status));
        let kind = format!("{} {}", self.code, self.kind).to_lowercase();
        let named = [
            ("rate_limit", 429),
            ("insufficient_quota", 429),
            ("authentication", 401),
            ("permission", 403),
            ("context_length", 400),
            ("too_large", 413),
            ("overloaded", 529),
            ("api_error", 500),
            ("server_error", 500),
            ("billing", 402),
            ("not_found", 404),
            ("invalid_request", 400),
            ("badrequest", 400),
        ];
        written.or_else(|| named.into_iter().find(|(word, _)| kind.contains(word)).map(|(_, status)| status))
    }

    /// `: …`, shortened, or nothing.
    fn told(&self) -> String {
        let message = self.message.trim();
        let told: String = message.chars().take(TOLD_CHARACTERS).collect();
        let rest = if told.len() < message.len() { "…" } else { "" };
        if told.is_empty() { String::new() } else { format!(": {told}{rest}") }
    }
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: FaultKind, said: &str) {
        let fault = of_status(StatusCode::from_u16(status).expect("a status"), body.as_bytes());
        assert_eq!(fault.kind, kind, "{status} {body}: {fault}");
        assert!(fault.message.contains(said), "{fault}");
    }

    #[test]
    fn an_error_body_is_understood_in_every_shape() {
        check(
            429,
            r#"{"error":{"message":"slow down","type":"rate_limit_error","code":null}}"#,
            FaultKind::RateLimited,
            "slow down",
        );
        check(429, r#"{"error":{"message":"slow down","code":429}}"#, FaultKind::RateLimited, "slow down");
        check(429, r#"{"error":{"message":"no money","code":"insufficient_quota"}}"#, FaultKind::Exhausted, "no money");
        check(422, r#"{"detail":"unknown model"}"#, FaultKind::Refused, ": unknown model");
        check(
            422,
            r#"{"detail":[{"loc":["body","stream_options"],"msg":"extra"}]}"#,
            FaultKind::Refused,
            "stream_options",
        );
        check(
            400,
            r#"[{"error":{"code":400,"message":"bad key","status":"INVALID_ARGUMENT"}}]"#,
            FaultKind::Refused,
            "bad key",
        );
        check(404, r#"{"error":"model 'x' not found"}"#, FaultKind::Refused, "model 'x' not found");
        check(
            400,
            r#"{"object":"error","message":"This model's maximum context length is 10 tokens","code":400}"#,
            FaultKind::ContextOverflow,
            "10 tokens",
        );
        check(
            400,
            r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
            FaultKind::ContextOverflow,
            "too long",
        );
        check(503, "<html>down</html>", FaultKind::Provider, "503 Service Unavailable");
        check(500, "out of memory", FaultKind::Provider, ": out of memory");
        check(402, "{}", FaultKind::Exhausted, "402");
        check(408, "{}", FaultKind::Provider, "408");
    }

    #[test]
    fn what_a_server_says_of_a_key_is_not_repeated() {
        check(
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-ab**yz"}}"#,
            FaultKind::Auth,
            "`agent.api_key`",
        );
        let fault = of_status(StatusCode::UNAUTHORIZED, br#"{"error":{"message":"key sk-ab"}}"#);
        assert!(!fault.message.contains("sk-ab"), "{fault}");
    }

    #[test]
    fn an_error_in_the_stream_is_the_providers_unless_it_says_otherwise() {
        for (error, kind) in [
            (r#"{"message":"boom"}"#, FaultKind::Provider),
            (r#"{"message":"boom","code":502}"#, FaultKind::Provider),
            (r#"{"message":"slow","code":"429"}"#, FaultKind::RateLimited),
            (r#"{"message":"slow","type":"rate_limit_error"}"#, FaultKind::RateLimited),
            (r#"{"message":"bad","type":"BadRequestError","code":400}"#, FaultKind::Refused),
            (r#"{"message":"the prompt is too long","type":"invalid_request_error"}"#, FaultKind::ContextOverflow),
            (r#""boom""#, FaultKind::Provider),
        ] {
            let fault = in_band(&serde_json::from_str(error).expect("JSON"));
            assert_eq!(fault.kind, kind, "{error}");
        }
    }
}

//! What is the same of every model's server over HTTP: its refusals, how long it asks to be left alone, what is told when
//! it cannot be reached, and the bounds of what is read.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};

use super::{Fault, FaultKind, refusal};
use crate::agent::outbound;

/// How much of a body that is no answer is read, in bytes.
const REFUSAL_BYTES: usize = 64 * 1024;
/// The longest answer, in bytes of its stream.
pub(super) const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What came instead of a refusal.
pub(super) enum Body {
    /// Events, to be read.
    Events(Response),
    /// A whole answer of a server that does not stream.
    Whole(serde_json::Value),
}

/// Looks at status, headers and, where it is no stream, the body. `at` is the address that was asked.
pub(super) async fn checked(response: Response, at: &Url) -> Result<Body, Fault> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !status.is_success() {
        let wait = wait_asked_for(response.headers());
        let body = read(response, REFUSAL_BYTES).await;
        let fault = refusal::of_status(status, &body);
        let body = String::from_utf8_lossy(&body);
        tracing::warn!(server = %at.authority(), %status, %body, "a model server refused a request");
        return Err(Fault { retry_after: wait, ..fault });
    }
    match kind.as_str() {
        "application/json" => {
            let body = read(response, ANSWER_BYTES).await;
            let whole = serde_json::from_slice(&body)
                .map_err(|_| Fault::new(FaultKind::Truncated, "the model server's answer is not whole JSON"))?;
            Ok(Body::Whole(whole))
        }
        "text/html" => {
            let message = format!("{} answered with a web page: check `agent.base_url`", at.authority());
            Err(Fault::new(FaultKind::Refused, message))
        }
        _ => Ok(Body::Events(response)),
    }
}

/// Why no answer came at all.
pub(super) fn unreachable(error: &reqwest::Error, at: &Url) -> Fault {
    let server = at.authority();
    let reason = outbound::told(error);
    tracing::warn!(server, reason, "a model server cannot be reached");
    let (kind, what) = match (error.is_connect(), error.is_timeout()) {
        (_, true) => (FaultKind::ConnectTimeout, "takes no connection in time"),
        (true, false) => (FaultKind::Unreachable, "cannot be reached"),
        (false, false) => (FaultKind::Unreachable, "broke off before it answered"),
    };
    Fault::new(kind, format!("the model server {server} {what}: {reason}"))
}

/// The answer is longer than any answer should be.
pub(super) fn too_long() -> Fault {
    Fault::new(FaultKind::Refused, format!("the answer is longer than {ANSWER_BYTES} bytes"))
}

/// The connection broke where a piece of the answer was due.
pub(super) fn broke_off(reason: &dyn std::fmt::Display) -> Fault {
    tracing::warn!(%reason, "a model server's answer broke off");
    Fault::new(FaultKind::Truncated, "the connection to the model server broke in the middle of its answer")
}

/// `<base>/<path>`, whatever the base ends with; its query stays.
pub(super) fn endpoint(base: &Url, path: &str) -> Url {
    let mut endpoint = base.clone();
    endpoint.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    endpoint
}

async fn read(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes);
    }
    body.truncate(limit);
    body
}

/// `retry-after-ms`, or `Retry-After` in seconds or as a date.
fn wait_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let asked = text(RETRY_AFTER.as_str())?;
    match number(asked) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => {
            let date = jiff::fmt::rfc2822::parse(asked).ok()?.timestamp();
            Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_follows_the_base_whatever_it_ends_with() {
        for (base, expected) in [
            ("http://x/v1", "http://x/v1/chat/completions"),
            ("http://x/v1/", "http://x/v1/chat/completions"),
            ("http://x", "http://x/chat/completions"),
            ("http://x/d?api-version=1", "http://x/d/chat/completions?api-version=1"),
        ] {
            assert_eq!(endpoint(&Url::parse(base).expect("an address"), "chat/completions").as_str(), expected);
        }
    }

    fn check(name: &'static str, value: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header's value"));
        assert_eq!(wait_asked_for(&headers), expected, "{name}: {value}");
    }

    #[test]
    fn the_wait_a_server_asks_for_is_read_in_every_form() {
        check("retry-after", "2", Some(Duration::from_secs(2)));
        check("retry-after", "0.5", Some(Duration::from_millis(500)));
        check("retry-after-ms", "250", Some(Duration::from_millis(250)));
        check("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO));
        check("retry-after", "soon", None);
        check("retry-after", "-1", None);
    }
}

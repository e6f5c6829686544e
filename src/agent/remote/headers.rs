//! Which of the caller's headers travel on to an endpoint (docs/copilotkit.md §4.3).

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::agent::definition::{ForwardHeaders, Remote};

/// What proxies, clouds and CopilotKit's own services put on a request.
const NEVER: &[&str] = &[
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-real-ip",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-cache",
    "x-served-by",
    "x-request-id",
];
const NEVER_BEGINNING_WITH: &[&str] =
    &["x-amz-", "x-azure-", "x-fastly-", "x-vercel-", "x-middleware-", "x-copilotcloud-"];

/// The headers of a request to `remote`: its own, then the caller's that may travel and that it does not set itself.
pub(super) fn compose(remote: &Remote, callers: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let own = remote.headers.iter();
    let forwarded = callers.iter().filter(|(name, _)| travels(&remote.forward_headers, name));
    for (name, value) in own.chain(forwarded) {
        // A caller's header was read as text from a request; one that cannot be written again stays behind.
        let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) else {
            continue;
        };
        value.set_sensitive(true);
        headers.entry(name).or_insert(value);
    }
    headers
}

fn travels(rule: &ForwardHeaders, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let eligible = name == "authorization" || name.starts_with("x-");
    eligible
        && match rule {
            ForwardHeaders::Nothing => false,
            ForwardHeaders::Only(names) => names.contains(&name),
            ForwardHeaders::Usual => {
                !NEVER.contains(&name.as_str()) && !NEVER_BEGINNING_WITH.iter().any(|prefix| name.starts_with(prefix))
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &ForwardHeaders, expected: &[&str]) {
        let names =
            ["Authorization", "x-team", "x-real-ip", "x-amz-cf-id", "x-amzn-trace-id", "cookie", "accept-language"];
        let travelling: Vec<&str> = names.into_iter().filter(|name| travels(rule, name)).collect();
        assert_eq!(travelling, expected, "{rule:?}");
    }

    #[test]
    fn the_callers_own_headers_travel_and_those_of_proxies_and_cookies_do_not() {
        check(&ForwardHeaders::Usual, &["Authorization", "x-team"]);
        check(&ForwardHeaders::Nothing, &[]);
        check(&ForwardHeaders::Only(vec!["x-real-ip".to_owned()]), &["x-real-ip"]);
        check(&ForwardHeaders::Only(vec!["cookie".to_owned()]), &[]);
    }
}

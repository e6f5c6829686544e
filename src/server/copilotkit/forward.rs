//! Which of a request's headers may travel on to an upstream agent (docs/copilotkit §4.3).

use axum::http::HeaderMap;

/// Set by proxies and platforms, or meant for this hop only.
const DENIED: [&str; 12] = [
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
    "x-copilotcloud-public-api-key",
];
const DENIED_PREFIXES: [&str; 6] = ["x-amz-", "x-azure-", "x-fastly-", "x-vercel-", "x-middleware-", "x-copilotcloud-"];

/// `authorization` and application headers (`x-*`), never cookies. This server consumes no credential itself, so
/// `authorization` is the application's own.
pub(super) fn forwardable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| may_travel(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn may_travel(name: &str) -> bool {
    let eligible = name == "authorization" || name.starts_with("x-");
    eligible && !DENIED.contains(&name) && !DENIED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::may_travel;

    #[test]
    fn application_headers_travel_and_infrastructure_headers_do_not() {
        for name in ["authorization", "x-tenant", "x-team"] {
            assert!(may_travel(name), "{name}");
        }
        for name in [
            "cookie",
            "content-type",
            "x-forwarded-for",
            "x-amz-cf-id",
            "x-vercel-id",
            "x-copilotcloud-public-api-key",
            "host",
        ] {
            assert!(!may_travel(name), "{name}");
        }
    }
}

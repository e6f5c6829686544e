//! Which encoding an `Accept` header asks for (docs/agents.md §2).

use axum::http::{HeaderMap, header};

use crate::agui::{Encoding, protobuf};

/// Protobuf for who names it, or `application/*`, with any weight but 0. Everyone else gets SSE: `*/*` is what tools send
/// that never heard of it, so it does not ask for a binary answer.
pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    let ranges = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let (mut named, mut family) = (None, None);
    for range in ranges.flat_map(|value| value.split(',')) {
        let (media, weight) = parse(range);
        match media.as_deref() {
            Some(protobuf::MEDIA_TYPE) => named = Some(weight.max(named.unwrap_or(0.0))),
            Some("application/*") => family = Some(weight.max(family.unwrap_or(0.0))),
            _ => {}
        }
    }
    // The more exact range decides.
    match named.or(family) {
        Some(weight) if weight > 0.0 => Encoding::Protobuf,
        Some(_) | None => Encoding::Sse,
    }
}

/// The lower-case media range, if it carries no parameter (a parameter names another type), and its weight. What follows
/// the weight belongs to the header, not to the type; a weight that is no number does not exclude.
fn parse(range: &str) -> (Option<String>, f32) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let Some(parameter) = parts.next() else { return (Some(media), 1.0) };
    match parameter.split_once('=') {
        Some((name, weight)) if name.trim().eq_ignore_ascii_case("q") => {
            (Some(media), weight.trim().parse().unwrap_or(1.0))
        }
        Some(_) | None => (None, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_is_for_those_who_name_it() {
        let proto = "application/vnd.ag-ui.event+proto";
        for (accept, expected) in [
            ("", Encoding::Sse),
            ("*/*", Encoding::Sse),
            ("text/event-stream", Encoding::Sse),
            ("application/json", Encoding::Sse),
            ("text/html, */*;q=0.8", Encoding::Sse),
            (proto, Encoding::Protobuf),
            ("Application/VND.ag-ui.event+proto", Encoding::Protobuf),
            ("application/*", Encoding::Protobuf),
            ("application/*;q=0", Encoding::Sse),
            ("text/event-stream, application/vnd.ag-ui.event+proto;q=0.1", Encoding::Protobuf),
            ("application/vnd.ag-ui.event+proto ; q=0.001, text/event-stream", Encoding::Protobuf),
            ("application/vnd.ag-ui.event+proto;q=0", Encoding::Sse),
            ("application/vnd.ag-ui.event+proto;Q=0.0", Encoding::Sse),
            ("application/*, application/vnd.ag-ui.event+proto;q=0", Encoding::Sse),
            ("application/vnd.ag-ui.event+proto; charset=utf-8", Encoding::Sse),
            ("application/vnd.ag-ui.event+proto; charset=utf-8, application/*", Encoding::Protobuf),
            ("application/vnd.ag-ui.event+protobuf", Encoding::Sse),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().expect("a header"));
            }
            assert_eq!(encoding(&headers), expected, "{accept}");
        }
        assert_eq!(encoding(&HeaderMap::new()), Encoding::Sse);
    }
}

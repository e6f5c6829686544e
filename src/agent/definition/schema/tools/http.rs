//! `type: http`: a request that is made of a call's arguments.

use reqwest::Method;
use reqwest::header::HeaderName;

use super::super::super::reader::{Fields, Reader};
use super::super::super::tools::{AllowPrivate, HttpTool};
use super::super::super::tree::Shape;
use super::super::state::pointer;
use crate::state::pointer::Pointer;

/// Headers that belong to the request itself.
const RESERVED_HEADERS: &[&str] =
    &["connection", "content-length", "host", "idempotency-key", "transfer-encoding", "upgrade"];

pub(super) fn http(reader: &mut Reader<'_>, tool: &Fields<'_>) -> Option<HttpTool> {
    let methods = [("GET", 0), ("POST", 1), ("PUT", 2), ("PATCH", 3), ("DELETE", 4)];
    let method = match reader.word_or(tool, "method", &methods, 0) {
        1 => Method::POST,
        2 => Method::PUT,
        3 => Method::PATCH,
        4 => Method::DELETE,
        _ => Method::GET,
    };
    let (url, _) = reader.text(tool, "url")?;
    let plain = HttpTool::new(method, url);
    let description = reader.text(tool, "description").map_or("", |(text, _)| text).to_owned();
    let output_pointer = pointer(reader, tool, "output_pointer")
        .map(|text| Pointer::parse(&text).expect("it was checked when it was read"));
    Some(HttpTool {
        description,
        headers: headers(reader, tool),
        input: reader.object(tool, "input"),
        body: tool.get("body").map(|node| node.to_value()),
        output_pointer,
        timeout: reader.duration_or(tool, "timeout", plain.timeout),
        idempotent: reader.bool_or(tool, "idempotent", plain.idempotent),
        allow_private: allow_private(reader, tool),
        ..plain
    })
}

/// Names and templates of values, which only a call fills in.
fn headers(reader: &mut Reader<'_>, tool: &Fields<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (key, value, _) in reader.named_texts(tool, "headers") {
        let path = format!("{}.{}", tool.path_of("headers"), key.name);
        let name = key.name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            reader.note(key.at, &path, format!("`{}` is not the name of a header", key.name));
        } else if RESERVED_HEADERS.contains(&name.as_str()) {
            reader.note(key.at, &path, format!("the header `{name}` is set by the runtime itself"));
        } else if headers.iter().any(|(earlier, _)| *earlier == name) {
            reader.note(key.at, &path, format!("the header `{name}` is given twice"));
        } else {
            headers.push((name, value.to_owned()));
        }
    }
    headers
}

fn allow_private(reader: &mut Reader<'_>, tool: &Fields<'_>) -> AllowPrivate {
    match tool.get("allow_private").map(|node| (node, &node.shape)) {
        None | Some((_, Shape::Bool(false))) => AllowPrivate::Nothing,
        Some((_, Shape::Bool(true))) => AllowPrivate::Everything,
        Some((_, Shape::List(_))) => {
            let hosts = reader.texts(tool, "allow_private").unwrap_or_default();
            AllowPrivate::Hosts(hosts.into_iter().map(|(host, _, _)| host.to_owned()).collect())
        }
        Some((node, _)) => reader
            .expected("true, false or a list of hosts", node, &tool.path_of("allow_private"))
            .unwrap_or(AllowPrivate::Nothing),
    }
}

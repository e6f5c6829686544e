//! Documents followed over server-sent events (docs/state-api.md §3), one or several in one stream.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::json_text;
use crate::runtime::{DocumentError, DocumentName, Runtime, Since, Subscription, Update};

use super::super::error::problem::{Problem, Reads};
use super::super::stream::{kept_alive, position, streaming};
use super::super::v1::query::{decoded, raw, refused, unescaped};
use super::named::{self, Named};

/// Documents in one stream; the position in each of them is part of every event's id.
const MOST: usize = 100;

/// Follows a document
///
/// Server-sent events: `snapshot` (`SnapshotEvent`) first, or with a valid `Last-Event-ID` what was missed; then `delta`
/// (`DeltaEvent`) and `deleted` (`DeletedEvent`). Each has an id of the form `<epoch>.<version>`.
#[utoipa::path(
    get, path = "/v1/state/{type}/{id}/events", tag = "live", operation_id = "follow_document",
    params(named::Written, ("last-event-id" = Option<String>, Header, description = "What the reader has")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), Reads),
)]
pub(in crate::server) async fn one(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = last_event_id(&headers).map(|id| since(id).unwrap_or_else(nowhere));
    let mut follow = Follow::default();
    follow.add(None, since.as_ref(), runtime.documents(&Principal::local()).subscribe(&name, since.clone()).await?);
    Ok(answer(&runtime, follow))
}

/// Follows several documents
///
/// The same events in one stream, each with its `doc`; ids are opaque.
#[utoipa::path(
    get, path = "/v1/state/events", tag = "live", operation_id = "follow_documents",
    params(
        ("docs" = String, Query, description = "Documents, each percent-encoded, with commas between", example = "shared/board,task/first"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that the reader has"),
    ),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), Reads),
)]
pub(in crate::server) async fn several(
    State(runtime): State<Arc<Runtime>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = names(query.as_deref().unwrap_or_default())?;
    let cursor = last_event_id(&headers);
    let principal = Principal::local();
    let documents = runtime.documents(&principal);
    let mut follow = Follow::default();
    for name in names {
        let since = cursor.map(|cursor| part_of(cursor, &name).unwrap_or_else(nowhere));
        let subscription = documents.subscribe(&name, since.clone()).await;
        let subscription = subscription.map_err(|error| Problem::from(error).with("doc", name.to_string()))?;
        follow.add(Some(name), since.as_ref(), subscription);
    }
    Ok(answer(&runtime, follow))
}

fn answer(runtime: &Runtime, follow: Follow) -> Response {
    let events = stream::unfold(follow, |mut follow| async move { Some((follow.next().await?, follow)) });
    let stopping = runtime.stopping();
    let events = events.take_until(async move { stopping.cancelled().await });
    streaming(kept_alive(events, None))
}

/// The next update of the document of this place, with the cursor that goes on after it.
type Waiting = BoxFuture<'static, (usize, Subscription, Result<Update, DocumentError>)>;

/// Cursors that are told of in one stream.
#[derive(Default)]
struct Follow {
    followed: Vec<Followed>,
    waiting: FuturesUnordered<Waiting>,
}

struct Followed {
    /// Said in every event of a stream of several.
    name: Option<DocumentName>,
    /// `<epoch>.<version>` that the reader has; empty before its first snapshot.
    position: String,
}

impl Follow {
    fn add(&mut self, name: Option<DocumentName>, since: Option<&Since>, subscription: Subscription) {
        let is_known = subscription.version().is_some();
        let position = since.filter(|_| is_known).map_or_else(String::new, |since| {
            let Since { epoch, version } = since;
            format!("{epoch}.{version}")
        });
        self.waiting.push(wait(self.followed.len(), subscription));
        self.followed.push(Followed { name, position });
    }

    /// The next events, written together; an error when they cannot be read. Cancel safe.
    async fn next(&mut self) -> Option<Result<Bytes, DocumentError>> {
        let (index, subscription, update) = self.waiting.next().await?;
        let update = match update {
            Ok(update) => update,
            Err(error) => return Some(Err(error)),
        };
        let mut out = Vec::with_capacity(256);
        let epoch = Arc::clone(subscription.epoch());
        let doc = self.followed[index].name.as_ref().map(ToString::to_string);
        let doc = doc.as_deref();
        match update {
            Update::Snapshot { epoch, version, data, reason } => {
                let id = self.reach(index, &epoch, version);
                let reason = reason.as_str();
                write_event(
                    &mut out,
                    &id,
                    "snapshot",
                    &json(&Snapshot { doc, epoch: &epoch, version, data: &data, reason }),
                );
            }
            Update::Deltas(deltas) => {
                for delta in deltas {
                    let id = self.reach(index, &epoch, delta.version());
                    match doc {
                        None => write_event(&mut out, &id, "delta", &delta.json()),
                        Some(doc) => write_event(&mut out, &id, "delta", &with_doc(doc, &delta.json())),
                    }
                }
            }
            Update::Deleted { version } => {
                let id = self.reach(index, &epoch, version);
                write_event(&mut out, &id, "deleted", &json(&Deleted { doc, version }));
            }
        }
        self.waiting.push(wait(index, subscription));
        Some(Ok(out.into()))
    }

    /// Notes what the reader has then; the id that says so for the whole stream.
    fn reach(&mut self, index: usize, epoch: &str, version: u64) -> String {
        self.followed[index].position = format!("{epoch}.{version}");
        if self.followed[index].name.is_none() {
            return self.followed[index].position.clone();
        }
        let mut cursor = String::with_capacity(32 * self.followed.len());
        for Followed { name, position } in &self.followed {
            if let Some(name) = name.as_ref().filter(|_| !position.is_empty()) {
                let separator = if cursor.is_empty() { "" } else { "," };
                write!(cursor, "{separator}{}:{position}", short(name)).expect("strings take every write");
            }
        }
        cursor
    }
}

fn wait(index: usize, mut subscription: Subscription) -> Waiting {
    Box::pin(async move {
        let update = subscription.next().await;
        (index, subscription, update)
    })
}

fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    // One that is not text is one that is not ours.
    headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default())
}

/// `<epoch>.<version>`.
fn since(id: &str) -> Option<Since> {
    let (epoch, version) = id.rsplit_once('.')?;
    Some(Since { epoch: epoch.to_owned(), version: position(version)? })
}

/// A position in no lineage: its reader gets everything, and hears that what it had is of no use.
fn nowhere() -> Since {
    Since { epoch: String::new(), version: 0 }
}

/// Where a composite cursor stands in one document.
fn part_of(cursor: &str, name: &DocumentName) -> Option<Since> {
    let short = short(name);
    let own = |part: &str| part.split_once(':').filter(|(of, _)| *of == short).and_then(|(_, id)| since(id));
    cursor.split(',').find_map(own)
}

/// Stands for a name in a cursor, which every event carries.
fn short(name: &DocumentName) -> String {
    let digest = Sha256::digest(name.to_string());
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The documents of `docs=shared/a,task/b`, whose items are percent-encoded: a comma in an id is `%2C`. A client may have
/// encoded the whole list once more: it shows by commas that are `%2C` too, between what is a name each, or by a single
/// item that is a name only then.
fn names(query: &str) -> Result<Vec<DocumentName>, Problem> {
    let list = raw(query, "docs").filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| refused("docs", "a list of documents such as `shared/a,task/b`"))?;
    let parse = |item: &str| item.parse::<DocumentName>();
    let mut items: Vec<String> = list.split(',').map(decoded).collect();
    if let [whole] = items.as_slice()
        && (whole.contains(',') || parse(whole).is_err())
    {
        let inner: Vec<String> = whole.split(',').map(unescaped).collect();
        if inner.iter().all(|item| parse(item).is_ok()) {
            items = inner;
        }
    }
    let mut names = items.iter().map(|item| parse(item)).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    match names.len() <= MOST {
        true => Ok(names),
        false => Err(refused("docs", &format!("at most {MOST} documents"))),
    }
}

fn write_event(out: &mut Vec<u8>, id: &str, event: &str, json: &[u8]) {
    for piece in [b"id: ", id.as_bytes(), b"\nevent: ", event.as_bytes(), b"\ndata: ", json, b"\n\n"] {
        out.extend_from_slice(piece);
    }
}

/// `{"from":…}` with the document before it.
fn with_doc(doc: &str, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + doc.len() + 10);
    out.extend_from_slice(b"{\"doc\":");
    json_text::write(&mut out, doc);
    out.push(b',');
    out.extend_from_slice(&json[1..]);
    out
}

fn json(told: &impl Serialize) -> Vec<u8> {
    json_text::encode(told)
}

/// The whole body.
#[derive(Serialize, ToSchema)]
#[schema(as = SnapshotEvent)]
pub(in crate::server) struct Snapshot<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<&'a str>,
    epoch: &'a str,
    version: u64,
    #[schema(value_type = serde_json::Value)]
    data: &'a RawValue,
    /// `new`, `trimmed`, `epoch`, `slow` or `access`.
    reason: &'static str,
}

/// The document is gone; should it be created again, deltas go on from here and `{}`.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedEvent)]
pub(in crate::server) struct Deleted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<&'a str>,
    version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_documents_is_read_however_it_is_encoded() {
        for (query, expected) in [
            ("docs=shared/a,task/b", vec!["shared/a", "task/b"]),
            ("x=1&docs=shared%2Fa%2Ctask%2Fb", vec!["shared/a", "task/b"]),
            ("docs=shared/a%2Cb", vec!["shared/a,b"]),
            ("docs=shared/a%2Cb,task/c", vec!["shared/a,b", "task/c"]),
            ("docs=shared%2Fa%252Cb%2Ctask%2Fc", vec!["shared/a,b", "task/c"]),
            ("docs=shared/a,shared/a", vec!["shared/a"]),
            ("docs=shared/a+b", vec!["shared/a b"]),
            ("docs=shared/p%2Bq", vec!["shared/p+q"]),
            ("docs=shared%2Fp%2Bq%2Ctask%2Fc", vec!["shared/p+q", "task/c"]),
            ("docs=shared%2Fp%252Bq%2Ctask%2Fc", vec!["shared/p+q", "task/c"]),
            ("docs=shared/50%25,task/c", vec!["shared/50%", "task/c"]),
            ("docs=shared/50%2525", vec!["shared/50%25"]),
            ("docs=shared%252Fa", vec!["shared/a"]),
        ] {
            let names: Vec<_> = names(query).expect(query).iter().map(ToString::to_string).collect();
            assert_eq!(names, expected, "{query}");
        }
        for query in ["", "docs=", "docs=shared/a,", "docs=Shared/a", "other=shared/a"] {
            assert!(names(query).is_err(), "{query}");
        }
    }
}

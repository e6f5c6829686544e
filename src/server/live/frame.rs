//! What clients say: one JSON object with a `type` in each text message.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::json_text;
use crate::runtime::{DocumentName, Rejection, Since, Write};
use crate::state::json;
use crate::state::limits::Limits;

use super::super::error::problem::Problem;
use super::super::state::mutation;
use super::super::v1::body::said;

/// Objects of the frame around a document or a patch.
const WRAPPING: usize = 4;
const PRESENCE_BYTES: usize = 2 << 10;
/// Characters of a client's id.
const CLIENT_ID: RangeInclusive<usize> = 1..=128;
const CLIENT_ID_FORM: &str = "`client_id` has 1 to 128 characters and no control characters";

#[derive(Debug)]
pub(super) enum Frame {
    Hello { client_id: String, protocol: u64 },
    Auth,
    Subscribe(Box<Subscribe>),
    Unsubscribe { channel: u64 },
    Mutate(Box<Mutate>),
    Presence { channel: u64, data: Option<Value> },
    Run { channel: u64, agent: String, input: Vec<u8> },
    Follow { channel: u64, thread: String, agent: String, after: Option<String> },
    Stop { thread: String, agent: String, run_id: Option<String> },
    Ping,
}

#[derive(Debug)]
pub(super) struct Subscribe {
    pub(super) channel: u64,
    pub(super) doc: DocumentName,
    pub(super) since: Option<Since>,
    pub(super) create: Option<Value>,
    pub(super) presence: bool,
}

#[derive(Debug)]
pub(super) struct Mutate {
    pub(super) channel: u64,
    /// Whom it is said for, where several clients share the socket.
    pub(super) client_id: Option<String>,
    pub(super) mutation_id: u64,
    /// The write, or why there is none; a refused mutation takes its number too.
    pub(super) write: Result<Write, Rejection>,
}

/// Why a message is no frame.
#[derive(Debug)]
pub(super) enum Misread {
    /// Not JSON at all: the socket cannot go on.
    NotJson,
    /// JSON with fields that are not those of a frame.
    Refused { code: &'static str, message: String, channel: Option<u64> },
}

/// Reads one message.
pub(super) fn read(text: &str) -> Result<Frame, Misread> {
    let limits = Limits { max_depth: Limits::default().max_depth + WRAPPING, ..Limits::of_bytes(text.len()) };
    match json::read(text, &limits) {
        Ok(Value::Object(members)) => frame(members),
        Ok(_) => Err(refused("a frame is a JSON object", None)),
        Err(error) => unacceptable(text, &Problem::from(error)),
    }
}

/// What is left of a frame whose JSON breaks the rules of docs/state-api.md §1: a mutation is refused under its number.
fn unacceptable(text: &str, problem: &Problem) -> Result<Frame, Misread> {
    #[derive(Deserialize)]
    struct Outline {
        r#type: String,
        channel: Option<u64>,
        client_id: Option<String>,
        mutation_id: Option<u64>,
    }
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Err(Misread::NotJson);
    }
    let outline = serde_json::from_str::<Outline>(text).ok();
    match outline {
        Some(Outline { r#type, channel: Some(channel), client_id, mutation_id: Some(mutation_id) })
            if r#type == "mutate" && client_id.as_deref().is_none_or(is_client_id) =>
        {
            let write = Err(problem.rejection());
            Ok(Frame::Mutate(Box::new(Mutate { channel, client_id, mutation_id, write })))
        }
        outline => {
            let channel = outline.and_then(|outline| outline.channel);
            Err(Misread::Refused { code: problem.code(), message: problem.detail().to_owned(), channel })
        }
    }
}

fn frame(mut members: Map<String, Value>) -> Result<Frame, Misread> {
    let channel = members.get("channel").and_then(Value::as_u64);
    let kind = members.remove("type");
    let Some(Value::String(kind)) = kind else {
        return Err(refused("a frame has a `type`", channel));
    };
    match kind.as_str() {
        "hello" => hello(members),
        "auth" => fields::<Token>(members).map(|_| Frame::Auth),
        "subscribe" => subscribe(members),
        "unsubscribe" => fields::<Channel>(members).map(|Channel { channel }| Frame::Unsubscribe { channel }),
        "mutate" => mutate(members, channel),
        "presence" => presence(members),
        "run" => fields::<Run>(members).map(|Run { channel, agent, input }| {
            let input = json_text::encode(&input);
            Frame::Run { channel, agent, input }
        }),
        "follow" => follow(members),
        "stop" => fields::<Stop>(members).map(|Stop { thread, agent, run_id }| Frame::Stop { thread, agent, run_id }),
        "ping" => Ok(Frame::Ping),
        other => Err(refused(format!("`{other}` is not a frame of this protocol"), channel)),
    }
}

#[derive(Deserialize)]
struct Channel {
    channel: u64,
}

#[derive(Deserialize)]
struct Token {
    #[serde(rename = "token")]
    _token: String,
}

#[derive(Deserialize)]
struct Run {
    channel: u64,
    agent: String,
    input: Map<String, Value>,
}

#[derive(Deserialize)]
struct Stop {
    thread: String,
    agent: String,
    run_id: Option<String>,
}

fn hello(members: Map<String, Value>) -> Result<Frame, Misread> {
    #[derive(Deserialize)]
    struct Hello {
        client_id: String,
        #[serde(rename = "token")]
        _token: Option<String>,
        #[serde(default = "current")]
        protocol: u64,
    }
    fn current() -> u64 {
        1
    }
    let Hello { client_id, protocol, .. } = fields(members)?;
    if !is_client_id(&client_id) {
        return Err(refused(CLIENT_ID_FORM, None));
    }
    Ok(Frame::Hello { client_id, protocol })
}

fn is_client_id(text: &str) -> bool {
    CLIENT_ID.contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn subscribe(mut members: Map<String, Value>) -> Result<Frame, Misread> {
    #[derive(Deserialize)]
    struct Fields {
        channel: u64,
        doc: String,
        since: Option<Position>,
        #[serde(default)]
        presence: bool,
    }
    #[derive(Deserialize)]
    #[serde(expecting = "`{\"epoch\", \"version\"}`")]
    struct Position {
        epoch: String,
        version: u64,
    }
    // Taken out first, because `null` is a body too.
    let create = members.remove("create");
    let Fields { channel, doc, since, presence } = fields(members)?;
    let doc = doc.parse::<DocumentName>().map_err(|error| Misread::Refused {
        code: error.code(),
        message: error.to_string(),
        channel: Some(channel),
    })?;
    let since = since.map(|Position { epoch, version }| Since { epoch, version });
    Ok(Frame::Subscribe(Box::new(Subscribe { channel, doc, since, create, presence })))
}

fn mutate(mut members: Map<String, Value>, channel: Option<u64>) -> Result<Frame, Misread> {
    let channel = channel.ok_or_else(|| refused("`channel` is a number", None))?;
    let mutation_id = members.get("mutation_id").and_then(Value::as_u64).filter(|id| *id > 0);
    let mutation_id = mutation_id
        .ok_or_else(|| refused("`mutation_id` is a number: 1, 2, 3 … per client and document", Some(channel)))?;
    let client_id = match members.remove("client_id") {
        None => None,
        Some(Value::String(id)) if is_client_id(&id) => Some(id),
        Some(_) => return Err(refused(CLIENT_ID_FORM, Some(channel))),
    };
    let write = match mutation::take(&mut members) {
        Ok(write) => Ok(Write { wants_data: write.dry_run, ..write }),
        Err(problem) if problem.is_about_form() => return Err(refused(problem.detail(), Some(channel))),
        Err(problem) => Err(problem.rejection()),
    };
    Ok(Frame::Mutate(Box::new(Mutate { channel, client_id, mutation_id, write })))
}

fn presence(mut members: Map<String, Value>) -> Result<Frame, Misread> {
    let data = members.remove("data");
    let Channel { channel } = fields(members)?;
    let size = data.as_ref().map_or(0, |data| data.to_string().len());
    if size > PRESENCE_BYTES {
        let message = format!("presence data has at most {PRESENCE_BYTES} bytes");
        return Err(Misread::Refused { code: "too_large", message, channel: Some(channel) });
    }
    Ok(Frame::Presence { channel, data })
}

fn follow(members: Map<String, Value>) -> Result<Frame, Misread> {
    #[derive(Deserialize)]
    struct Fields {
        channel: u64,
        thread: String,
        agent: String,
        after: Option<After>,
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`after` is a `seq` or an `id` of an earlier event")]
    enum After {
        Seq(u64),
        Id(String),
    }
    let Fields { channel, thread, agent, after } = fields(members)?;
    let after = after.map(|after| match after {
        After::Seq(seq) => format!("*.{seq}"),
        After::Id(id) => id,
    });
    Ok(Frame::Follow { channel, thread, agent, after })
}

fn fields<T: for<'de> Deserialize<'de>>(members: Map<String, Value>) -> Result<T, Misread> {
    let channel = members.get("channel").and_then(Value::as_u64);
    serde_json::from_value(Value::Object(members)).map_err(|error| refused(said(&error), channel))
}

fn refused(message: impl Into<String>, channel: Option<u64>) -> Misread {
    Misread::Refused { code: "invalid_body", message: message.into(), channel }
}

//! `coagent state`: the documents of a running server, from the command line.
//!
//! What was asked for goes to standard output, everything else to standard error. Exit codes: 0 done, 1 refused by the
//! server, 2 bad usage, 3 the server cannot be reached or broke off.

mod document;
mod transfer;
mod watch;

use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::client::{At, Client, Failure, say, show, told_by};
use document::Document;

#[derive(Debug, Args)]
#[command(arg_required_else_help = false)]
pub(super) struct Flags {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a document's data
    Get {
        /// `type/id`
        document: Document,
        /// As it was at this version
        #[arg(long)]
        version: Option<u64>,
        /// Print everything that is known of it, not only its data
        #[arg(long)]
        full: bool,
    },
    /// Replace a document, or create it
    Put {
        /// `type/id`
        document: Document,
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        terms: Terms,
        /// Only create it
        #[arg(long, conflicts_with_all = ["if_version", "base"])]
        create: bool,
    },
    /// Change a document: by a JSON Patch, a merge patch or intents
    Patch {
        /// `type/id`
        document: Document,
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        terms: Terms,
        /// What the input is; without this an object is a merge patch, and an array is told by its operations
        #[arg(long = "as", value_name = "FORM")]
        form: Option<Form>,
        /// Create it when it is absent
        #[arg(long)]
        create: bool,
    },
    /// Print every change of one or more documents as it happens, one JSON object a line
    Watch {
        /// `type/id`, one or more
        #[arg(required = true)]
        documents: Vec<Document>,
        /// Go on after the `id` of an earlier line
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// End after so many lines
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Print a document's commits, oldest first, one a line
    History {
        /// `type/id`
        document: Document,
        /// Commits after this version
        #[arg(long)]
        after: Option<u64>,
        /// Commits before this version
        #[arg(long)]
        before: Option<u64>,
        /// At most so many
        #[arg(long)]
        limit: Option<u64>,
        /// Commits of this author, such as `user:local` or `agent:planner`
        #[arg(long)]
        actor: Option<String>,
        /// Commits of this run
        #[arg(long)]
        run_id: Option<String>,
        /// Commits that touch this JSON pointer
        #[arg(long)]
        path: Option<String>,
    },
    /// Bring a document back to what it was at a version, or take one run's changes back, as a new version
    Rollback {
        /// `type/id`
        document: Document,
        /// The version whose data it gets back
        #[arg(long, value_name = "VERSION", required_unless_present = "run_id", conflicts_with = "run_id")]
        to_version: Option<u64>,
        /// The run whose changes are taken back
        #[arg(long)]
        run_id: Option<String>,
        /// Stored with the commit
        #[arg(long)]
        reason: Option<String>,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write documents with their histories, as JSON lines
    Export {
        /// Only documents of this type
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only documents whose ids begin like this
        #[arg(long)]
        prefix: Option<String>,
        /// File to write; standard output without this
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Read what `export` wrote
    Import {
        /// File to read; standard input without this
        file: Option<PathBuf>,
        /// What to do about documents that exist already
        #[arg(long, value_name = "WHAT", default_value = "refuse")]
        existing: Existing,
    },
}

#[derive(Debug, Args)]
struct Input {
    /// File with JSON; standard input without this or `--data`
    file: Option<PathBuf>,
    /// The JSON itself
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    data: Option<String>,
}

#[derive(Debug, Args)]
struct Terms {
    /// Only when the document is at this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// The version that the change was made from: what others did since is kept
    #[arg(long, value_name = "VERSION")]
    base: Option<u64>,
    /// Stored with the commit
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    JsonPatch,
    Merge,
    Intents,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Existing {
    Refuse,
    Skip,
}

const OPERATIONS: [&str; 6] = ["add", "replace", "remove", "move", "copy", "test"];

pub(super) fn run(flags: Flags) -> ExitCode {
    told_by(async move { obey(Client::new(flags.at.url), flags.command).await.map(|()| 0) })
}

async fn obey(client: Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Get { document, version, full } => {
            let query = version.map(|version| ("version", version.to_string()));
            let mut read = client.json(client.get(&document.path(""), query.as_slice())).await?;
            show(&if full { read } else { read["data"].take() })
        }
        Command::Put { document, input, terms, create } => {
            let mut request = client.write(Method::PUT, &document, &terms).await?;
            if create {
                request = request.header("if-none-match", "*");
            }
            let body = request.header("content-type", "application/json").body(input.read()?);
            show(&client.json(body).await?)
        }
        Command::Patch { document, input, terms, form, create } => {
            let text = input.read()?;
            let kind = match form.map_or_else(|| guess(&text), Ok)? {
                Form::JsonPatch => "application/json-patch+json",
                Form::Merge => "application/merge-patch+json",
                Form::Intents => "application/vnd.coagent.intents+json",
            };
            let mut request = client.write(Method::PATCH, &document, &terms).await?;
            if create {
                request = request.query(&[("create", "true")]);
            }
            show(&client.json(request.header("content-type", kind).body(text)).await?)
        }
        Command::Watch { documents, after, count } => watch::watch(&client, &documents, after, count).await,
        Command::History { document, after, before, limit, actor, run_id, path } => {
            let text = |number: Option<u64>| number.map(|number| number.to_string());
            let asked = [
                ("after", text(after)),
                ("before", text(before)),
                ("limit", text(limit)),
                ("actor", actor),
                ("run_id", run_id),
                ("path", path),
            ];
            let query: Vec<_> = asked.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let page = client.json(client.get(&document.path("/history"), &query)).await?;
            for commit in page["commits"].as_array().into_iter().flatten() {
                say(&commit.to_string())?;
            }
            if page.get("next_cursor").is_some() {
                super::out::remark("there are more: ask with --after or --before the last version shown");
            }
            Ok(())
        }
        Command::Rollback { document, to_version, run_id, reason, dry_run } => {
            let mut wanted = serde_json::json!({ "dry_run": dry_run });
            let members = [
                ("to_version", to_version.map(Value::from)),
                ("run_id", run_id.map(Value::from)),
                ("reason", reason.map(Value::from)),
            ];
            for (name, value) in members {
                if let Some(value) = value {
                    wanted[name] = value;
                }
            }
            show(&client.json(client.request(Method::POST, &document.path("/rollback")).json(&wanted)).await?)
        }
        Command::Export { kind, prefix, output } => transfer::export(&client, kind, prefix, output).await,
        Command::Import { file, existing } => {
            let existing = match existing {
                Existing::Refuse => "refuse",
                Existing::Skip => "skip",
            };
            transfer::import(&client, file, existing).await
        }
    }
}

impl Input {
    fn read(&self) -> Result<String, Failure> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let mut text = String::new();
        let read = match &self.file {
            Some(file) => std::fs::read_to_string(file).map(|read| text = read),
            None => std::io::stdin().read_to_string(&mut text).map(drop),
        };
        let of = || self.file.as_ref().map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
        read.map(|()| text).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => " (a file is read here; the JSON itself goes behind --data)",
                _ => "",
            };
            Failure::Usage(format!("{}: {error}{hint}", of()))
        })
    }
}

/// What a change is, by its form.
fn guess(text: &str) -> Result<Form, Failure> {
    let value: Value = serde_json::from_str(text).map_err(|error| Failure::Usage(format!("not JSON: {error}")))?;
    let Value::Array(operations) = &value else { return Ok(Form::Merge) };
    let is_patch = operations.iter().all(|op| op["op"].as_str().is_some_and(|op| OPERATIONS.contains(&op)));
    // `move` is an operation of both: an intent names a key, a JSON Patch where from.
    let is_intents = operations.iter().any(|op| op["op"] == "move" && op.get("from").is_none());
    Ok(if is_patch && !is_intents { Form::JsonPatch } else { Form::Intents })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_change_is_told_by_its_content() {
        for (text, expected) in [
            (r#"{"a":1}"#, "Merge"),
            ("7", "Merge"),
            ("[]", "JsonPatch"),
            (r#"[{"op":"add","path":"/a","value":1},{"op":"move","from":"/a","path":"/b"}]"#, "JsonPatch"),
            (r#"[{"op":"inc","path":"/n","by":1}]"#, "Intents"),
            (r#"[{"op":"move","path":"/list","key":"x"}]"#, "Intents"),
        ] {
            assert_eq!(format!("{:?}", guess(text).expect(text)), expected, "{text}");
        }
        assert!(guess("{").is_err());
    }
}

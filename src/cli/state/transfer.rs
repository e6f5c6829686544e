//! `coagent state export` and `import`: documents with their histories, streamed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use reqwest::{Body, Method};

use super::super::client::{Client, Failure};
use super::show;

const PIECE_BYTES: usize = 64 << 10;

pub(super) async fn export(
    client: &Client,
    kind: Option<String>,
    prefix: Option<String>,
    output: Option<PathBuf>,
) -> Result<(), Failure> {
    let asked = [("type", kind), ("prefix", prefix)];
    let query: Vec<_> = asked.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let mut response = client.send(client.get("/v1/state:export", &query)).await?;
    let unwritable = |error: std::io::Error| match &output {
        Some(file) => Failure::Usage(format!("{}: {error}", file.display())),
        None => Failure::Output(error),
    };
    let mut to: Box<dyn Write> = match &output {
        Some(file) => Box::new(File::create(file).map_err(unwritable)?),
        None => Box::new(std::io::stdout()),
    };
    while let Some(piece) = response.chunk().await.map_err(|error| client.broken(&error))? {
        to.write_all(&piece).map_err(unwritable)?;
    }
    to.flush().map_err(unwritable)
}

pub(super) async fn import(client: &Client, file: Option<PathBuf>, existing: &str) -> Result<(), Failure> {
    let from: Box<dyn Read + Send> = match &file {
        Some(file) => Box::new(File::open(file).map_err(|error| unreadable(file, &error))?),
        None => Box::new(std::io::stdin()),
    };
    // One piece in memory at a time; a file that cannot be read on breaks the request off.
    let pieces = futures_util::stream::unfold(Some(from), |from| async {
        let mut from = from?;
        let mut piece = vec![0; PIECE_BYTES];
        match from.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(piece), Some(from)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    let request = client.request(Method::POST, "/v1/state:import").query(&[("existing", existing)]);
    let request = request.header("content-type", "application/x-ndjson").body(Body::wrap_stream(pieces));
    show(&client.json(request).await?)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{}: {error}", file.display()))
}

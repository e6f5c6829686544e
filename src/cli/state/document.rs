//! Documents as the command line names them, and writes of them.

use std::str::FromStr;

use reqwest::{Method, RequestBuilder};

use super::super::client::{Client, Failure, encoded};
use super::Terms;

/// A document as it was named; what else is wrong with the name is said by the server.
#[derive(Debug, Clone)]
pub(super) struct Document {
    kind: String,
    id: String,
}

impl FromStr for Document {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        match name.split_once('/') {
            Some((kind, id)) if !kind.is_empty() && !id.is_empty() => {
                Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
            }
            Some(_) | None => Err("write type/id, for example shared/board"),
        }
    }
}

impl Document {
    pub(super) fn path(&self, below: &str) -> String {
        format!("/v1/state/{}/{}{below}", encoded(&self.kind), encoded(&self.id))
    }

    pub(super) fn in_list(&self) -> String {
        format!("{}/{}", encoded(&self.kind), encoded(&self.id))
    }
}

impl Client {
    /// A write on these terms.
    pub(super) async fn write(
        &self,
        method: Method,
        document: &Document,
        terms: &Terms,
    ) -> Result<RequestBuilder, Failure> {
        let mut request = self.request(method, &document.path(""));
        if let Some(version) = terms.if_version {
            // An entity tag names the lineage too, and the server knows which.
            let found = self.send(self.request(Method::GET, &document.path(""))).await?;
            let tag = found.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default();
            let epoch = tag.trim_matches('"').rsplit_once('.').map_or("", |(epoch, _)| epoch);
            request = request.header("if-match", format!("\"{epoch}.{version}\""));
        }
        if let Some(base) = terms.base {
            request = request.header("base-version", base);
        }
        if let Some(reason) = &terms.reason {
            request = request.header("x-reason", reason.as_bytes());
        }
        Ok(request)
    }
}

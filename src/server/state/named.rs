//! The document that a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::runtime::DocumentName;

use super::super::error::problem::{Code, Problem};

/// The `{type}/{id}` of a path, percent-decoded and legal.
#[derive(Debug)]
pub(in crate::server) struct Named(pub(in crate::server) DocumentName);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((kind, id)) =
            path.map_err(|_| Problem::new(Code::InvalidName, "the path is not percent-encoded UTF-8"))?;
        Ok(Self(DocumentName::new(&kind, &id)?))
    }
}

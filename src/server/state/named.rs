//! The document that a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::runtime::DocumentName;

use super::super::error::problem::{Code, Problem};

/// The `{type}/{id}` of a path, percent-decoded and legal.
#[derive(Debug)]
pub(in crate::server) struct Named(pub(in crate::server) DocumentName);

/// The same as it is written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::server) struct Written {
    /// A type: `shared`, `task`, `agent`, `lifecycle`, or one that is declared.
    #[serde(rename = "type")]
    #[param(example = "shared", pattern = "^[a-z][a-z0-9_-]{0,63}$")]
    kind: String,
    /// 1 to 256 characters, percent-encoded.
    #[param(example = "board")]
    id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<Written>::from_request_parts(parts, state).await;
        let Path(Written { kind, id }) =
            path.map_err(|_| Problem::new(Code::InvalidName, "the path is not percent-encoded UTF-8"))?;
        Ok(Self(DocumentName::new(&kind, &id)?))
    }
}

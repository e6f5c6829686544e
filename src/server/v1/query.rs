//! Query strings under `/v1`: each parameter read once, with a clear refusal.

use std::str::FromStr;

use super::super::error::problem::{Code, Problem};

/// The parameters of a request, decoded. A name given twice counts once.
#[derive(Debug, Default)]
pub(in crate::server) struct Query(Vec<(String, String)>);

impl Query {
    pub(in crate::server) fn parse(query: Option<&str>) -> Self {
        let url = query.and_then(|query| reqwest::Url::parse(&format!("query:?{query}")).ok());
        let pairs = url.iter().flat_map(|url| url.query_pairs().into_owned());
        Self(pairs.collect())
    }

    pub(in crate::server) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of another type; `expected` says what it is, for the refusal.
    pub(in crate::server) fn read<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.get(name).map(|value| value.parse().map_err(|_| refused(name, expected))).transpose()
    }

    /// `true` or `false`; absent is `false`.
    pub(in crate::server) fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.read(name, "`true` or `false`")?.unwrap_or(false))
    }

    /// The length of a page, from 1 to `most`.
    pub(in crate::server) fn limit(&self, usual: usize, most: usize) -> Result<usize, Problem> {
        match self.read("limit", "a number from 1")? {
            None => Ok(usual),
            Some(0) => Err(refused("limit", "a number from 1")),
            Some(limit) => Ok(most.min(limit)),
        }
    }
}

/// A parameter as it is in the query, still encoded.
pub(in crate::server) fn raw<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// A piece of a query, decoded; `+` is a space there.
pub(in crate::server) fn decoded(piece: &str) -> String {
    let escaped = piece.replace('&', "%26").replace('=', "%3D").replace('#', "%23");
    Query::parse(Some(&format!("x={escaped}"))).get("x").unwrap_or_default().to_owned()
}

/// The same of a piece that was encoded before it came into a query: `+` is itself there.
pub(in crate::server) fn unescaped(piece: &str) -> String {
    decoded(&piece.replace('+', "%2B"))
}

pub(in crate::server) fn refused(name: &str, expected: &str) -> Problem {
    Problem::new(Code::InvalidQuery, format!("`{name}` is {expected}")).with("parameter", name)
}

//! JSON Pointer (RFC 6901) as a parsed path; knows values only to look one up.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::json_text;

/// A path to a place in a JSON value. As text: `""` is the root, `/a/0` the first element of member `a`.
///
/// Copies share their steps: a path stands in an operation, in what takes it back, and in what is told of both.
#[derive(Debug, Clone, Default)]
pub struct Pointer {
    /// `None` is the root, which takes no memory.
    tokens: Option<Arc<Vec<String>>>,
}

/// The text is not a JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    #[error("`{0}` is not a JSON pointer: it must be empty or start with `/`")]
    NoSlash(String),
    #[error("`{0}` is not a JSON pointer: `~` must be followed by `0` or `1`")]
    BadEscape(String),
}

impl Pointer {
    /// The pointer to the whole value.
    pub const fn root() -> Self {
        Self { tokens: None }
    }

    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PointerError::NoSlash(text.to_owned()));
        };
        let tokens = rest
            .split('/')
            .map(|token| unescape(token).ok_or_else(|| PointerError::BadEscape(text.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(tokens))
    }

    pub fn from_tokens<T: Into<String>>(tokens: impl IntoIterator<Item = T>) -> Self {
        Self::of(tokens.into_iter().map(Into::into).collect())
    }

    fn of(tokens: Vec<String>) -> Self {
        Self { tokens: (!tokens.is_empty()).then(|| Arc::new(tokens)) }
    }

    /// The unescaped steps from the root.
    pub fn tokens(&self) -> &[String] {
        self.tokens.as_ref().map_or(&[], |tokens| tokens)
    }

    pub(crate) fn tokens_mut(&mut self) -> &mut Vec<String> {
        Arc::make_mut(self.tokens.get_or_insert_default())
    }

    pub fn is_root(&self) -> bool {
        self.tokens().is_empty()
    }

    /// The last step; `None` for the root.
    pub fn last(&self) -> Option<&str> {
        self.tokens().last().map(String::as_str)
    }

    /// The pointer to the containing value; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parents) = self.tokens().split_last()?;
        Some(Self::of(parents.to_vec()))
    }

    /// Whether `self` is `prefix` or lies below it.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.tokens().starts_with(prefix.tokens())
    }

    /// Whether one of the two contains the other, or they are the same.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.starts_with(other) || other.starts_with(self)
    }

    /// The pointer to member or element `token` of what `self` points to.
    #[must_use]
    pub fn join(&self, token: impl Into<String>) -> Self {
        let mut tokens = Vec::with_capacity(self.tokens().len() + 1);
        tokens.extend_from_slice(self.tokens());
        tokens.push(token.into());
        Self::of(tokens)
    }

    /// Appends its text as JSON, as serde writes it.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let is_plain = |token: &String| !token.bytes().any(|byte| matches!(byte, ..b' ' | b'"' | b'\\' | b'~' | b'/'));
        if !self.tokens().iter().all(is_plain) {
            return json_text::write(out, self);
        }
        out.push(b'"');
        for token in self.tokens() {
            out.push(b'/');
            out.extend_from_slice(token.as_bytes());
        }
        out.push(b'"');
    }

    /// The value at this place, if there is one.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.tokens().iter().try_fold(value, |value, token| match value {
            Value::Object(members) => members.get(token),
            Value::Array(elements) => elements.get(array_index(token)?),
            _ => None,
        })
    }

    /// Whether a step would reach a JavaScript prototype: `__proto__`, or `prototype` directly under `constructor`.
    pub fn reaches_prototype(&self) -> bool {
        let mut under = None;
        self.tokens().iter().any(|token| {
            let reaches = is_prototype_key(token, under);
            under = Some(token.as_str());
            reaches
        })
    }
}

/// Whether member `key` of the value at `under` would reach a JavaScript prototype in a careless client.
pub(crate) fn is_prototype_key(key: &str, under: Option<&str>) -> bool {
    key == "__proto__" || (key == "prototype" && under == Some("constructor"))
}

/// The element a step names in an array (RFC 6901 §4: digits without leading zeros).
pub fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { token.parse().ok() } else { None }
}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(1)?;
        text.push(match code {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

impl PartialEq for Pointer {
    fn eq(&self, other: &Self) -> bool {
        self.tokens() == other.tokens()
    }
}

impl Eq for Pointer {}

impl PartialOrd for Pointer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pointer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.tokens().cmp(other.tokens())
    }
}

impl Hash for Pointer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tokens().hash(state);
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in self.tokens() {
            out.write_str("/")?;
            if !token.contains(['~', '/']) {
                out.write_str(token)?;
                continue;
            }
            for part in token.split_inclusive(['~', '/']) {
                if let Some(plain) = part.strip_suffix('~') {
                    write!(out, "{plain}~0")?;
                } else if let Some(plain) = part.strip_suffix('/') {
                    write!(out, "{plain}~1")?;
                } else {
                    out.write_str(part)?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl PartialSchema for Pointer {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("json-pointer".to_owned())))
            .description(Some("A JSON pointer (RFC 6901)."))
            .into()
    }
}

impl ToSchema for Pointer {}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, tokens: Option<&[&str]>) {
        let parsed = Pointer::parse(text).ok();
        assert_eq!(parsed, tokens.map(|tokens| Pointer::from_tokens(tokens.iter().copied())), "{text}");
        if let Some(pointer) = parsed {
            assert_eq!(pointer.to_string(), text);
            assert_eq!(serde_json::from_value::<Pointer>(json!(text)).unwrap(), pointer);
        }
    }

    #[test]
    fn pointers_are_read_and_written_as_in_rfc_6901() {
        check("", Some(&[]));
        check("/", Some(&[""]));
        check("/foo/0", Some(&["foo", "0"]));
        check("/a~1b", Some(&["a/b"]));
        check("/m~0n", Some(&["m~n"]));
        check("/~01", Some(&["~1"]));
        check("//", Some(&["", ""]));
        check("/é/ü~0", Some(&["é", "ü~"]));
    }

    #[test]
    fn malformed_pointers_are_refused() {
        for text in ["a", "a/b", "/~", "/~2", "/a~", "#/a", "/~é"] {
            check(text, None);
        }
    }

    #[test]
    fn a_pointer_finds_members_and_elements_only_by_canonical_index() {
        let value = json!({"a": [10, {"": 1}], "0": 2});
        let find = |text: &str| Pointer::parse(text).unwrap().get(&value).cloned();
        assert_eq!(find("/a/1/"), Some(json!(1)));
        assert_eq!(find("/0"), Some(json!(2)));
        for absent in ["/a/01", "/a/-", "/a/+1", "/a/2", "/b", "/a/0/x", "/a/99999999999999999999999"] {
            assert_eq!(find(absent), None, "{absent}");
        }
    }

    #[test]
    fn prototypes_are_reached_by_proto_or_constructor_prototype_only() {
        let reaches = |text: &str| Pointer::parse(text).unwrap().reaches_prototype();
        assert!(reaches("/a/__proto__/b"));
        assert!(reaches("/constructor/prototype"));
        assert!(!reaches("/prototype/constructor"));
        assert!(!reaches("/constructor/a/prototype"));
    }
}

//! How a stream is named: tenant, owner, kind and id, none of which can be swapped or left out.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name as it is; what a valid name is, is decided where it comes in.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Who pays for the data: the outermost wall between streams.
    Tenant
}
name! {
    /// Whose stream it is within a tenant; [`Owner::shared`] for what belongs to the whole tenant.
    Owner
}

impl Owner {
    /// The owner of what belongs to the whole tenant; stored as the empty text.
    pub fn shared() -> Self {
        Self::new("")
    }
}

/// What a stream holds. Stored as short text, so the order here is free and the names are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The commits of one document.
    Document,
    /// The runs of one thread.
    Thread,
    /// Anything else that is only appended.
    Log,
    /// The named versions of one document.
    Tags,
    /// Bodies that one document had, from which versions near them are read.
    Checkpoints,
    /// Versions of one document that are kept though their commits were dropped.
    Kept,
    /// What the runs of one day came to.
    Usage,
    /// What the live run of one thread has done, step by step.
    Journal,
    /// One version of an agent's definition, with the files it was made of.
    Definition,
}

impl Kind {
    /// The text it is stored as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "doc",
            Self::Thread => "thread",
            Self::Log => "log",
            Self::Tags => "tags",
            Self::Checkpoints => "bodies",
            Self::Kept => "kept",
            Self::Usage => "usage",
            Self::Journal => "journal",
            Self::Definition => "definition",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The streams of one kind that one owner has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The outermost wall.
    pub tenant: Tenant,
    /// Whose streams.
    pub owner: Owner,
    /// What they hold.
    pub kind: Kind,
}

impl Scope {
    /// The stream of this scope with that id.
    pub fn stream(&self, id: impl Into<Arc<str>>) -> StreamKey {
        StreamKey { scope: self.clone(), id: id.into() }
    }
}

/// The full name of a stream. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Whose stream, and what it holds.
    pub scope: Scope,
    /// Its id among the streams of that kind and owner.
    pub id: Arc<str>,
}

impl StreamKey {
    /// The stream of another kind that the same owner has under the same id.
    pub fn of_kind(&self, kind: Kind) -> Self {
        let Scope { tenant, owner, .. } = self.scope.clone();
        Scope { tenant, owner, kind }.stream(Arc::clone(&self.id))
    }
}

impl fmt::Display for StreamKey {
    /// `kind tenant/owner/id`, for messages; not a key to parse.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { tenant, owner, kind } = &self.scope;
        write!(f, "{kind} {tenant}/{owner}/{}", self.id)
    }
}

/// A position in a stream: 1, 2, 3 … without gaps; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first position, and the expectation of a stream's first append.
    pub const ZERO: Self = Self(0);

    /// The position `count` further on.
    pub fn plus(self, count: u32) -> Self {
        Self(self.0 + u64::from(count))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! Who is calling: principals and the tenant they belong to.
//!
//! Without configured authentication there is one local principal, and the server listens on loopback only.

/// A caller that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Comes from the credential, never from a request's body.
    pub tenant: String,
    /// Stable within the tenant.
    pub subject: String,
}

impl Principal {
    /// The one principal of a server without authentication.
    pub fn local() -> Self {
        Self { tenant: "default".to_owned(), subject: "local".to_owned() }
    }

    /// How commits name this caller (docs/agents.md §6).
    pub fn actor(&self) -> String {
        ["user:", &self.subject].concat()
    }
}

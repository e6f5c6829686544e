//! What the suite shares.

pub(crate) mod agents;
pub(crate) mod chance;
pub(crate) mod crash;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod faulty;
pub(crate) mod linear;
pub(crate) mod live;
pub(crate) mod mcp;
pub(crate) mod model;
pub(crate) mod mortal;
pub(crate) mod random;
pub(crate) mod runs;
pub(crate) mod server;
pub(crate) mod steps;
pub(crate) mod triggers;
pub(crate) mod upstream;

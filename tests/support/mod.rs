//! What the suite shares.

pub mod agents;
pub mod events;
pub mod server;

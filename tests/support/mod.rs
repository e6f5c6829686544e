//! What the suite shares.

pub mod agents;
pub mod crash;
pub mod events;
pub mod server;

//! What triggers decide, without doing it: whether a change matters, when a timer fires next, whether a delivery is
//! genuine. It knows no store, no clock and no run.

pub mod expression;
pub mod hook;
pub mod timer;

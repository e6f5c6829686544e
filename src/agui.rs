//! AG-UI 1.0: events, messages and input, the rules of their sequence, compaction, SSE and protobuf framing. Pure: it does no IO,
//! reads no clock, draws no randomness, and knows no other layer.

mod admit;
mod capabilities;
mod compact;
mod construct;
mod content;
mod dialect;
mod echo;
mod encoding;
mod event;
mod ids;
mod input;
mod json;
mod kinds;
mod legacy;
mod message;
mod outcome;
mod patch;
pub mod protobuf;
mod read;
mod record;
pub mod sse;
pub mod transcript;

pub use admit::{Admission, Closing, PendingCall, SequenceError};
pub use capabilities::*;
pub use compact::{Compacted, Compactor};
pub use content::*;
pub use dialect::Dialect;
pub use echo::echoed;
pub use encoding::{Encoding, append_as_protobuf};
pub use event::*;
pub use ids::IdKind;
pub use input::{Context, InputError, Issue, ResumeEntry, ResumeStatus, RunAgentInput, Tool};
pub use json::{Json, Object, read_json, to_json};
pub use message::*;
pub use outcome::*;
pub use patch::{PatchOp, PatchOperation};
pub use transcript::Reducer;

//! The codes with which WebSockets are closed (docs/state-api.md §4).

use super::super::live::End;

/// The code and the reason of a session's end; `None` where the client has closed already.
pub(in crate::server) fn code(end: &End) -> Option<(u16, &'static str)> {
    match end {
        End::Gone => None,
        End::BadFrame(reason) => Some((4400, reason)),
        End::NoHello => Some((4401, "`hello` comes first, and soon")),
        End::Stalled => Some((4408, "nothing was read for too long")),
        End::TooMany => Some((4429, "too many frames")),
        End::Draining => Some((4503, "the server is stopping")),
    }
}

/// Whether a transport's error says that the connection is gone, as opposed to a message that is none.
pub(in crate::server) fn is_gone(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<std::io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

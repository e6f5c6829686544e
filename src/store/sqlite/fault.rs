//! What a failure of SQLite means: make room, try again, or stop for good.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::{Seq, StoreError, StreamKey};

/// A failure, by what the engine does about it.
#[derive(Debug)]
pub(super) enum Fault {
    /// No room on the disk: refuse, and try again with the next commit.
    Full,
    /// Something passing: refuse this, and go on.
    Passing(String),
    /// The disk or the database cannot be trusted: never acknowledge anything again. In particular a failed
    /// fsync is not retried, because the kernel may have dropped the pages and would report success.
    Broken(String),
}

impl Fault {
    pub(super) fn of(error: &Error) -> Self {
        let Error::SqliteFailure(failure, _) = error else {
            return Self::Broken(error.to_string());
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            // The log's index is extended before anything is written.
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Self::Passing(format!("another program locks the database: {error}"))
            }
            ErrorCode::OutOfMemory => Self::Passing(error.to_string()),
            _ => Self::Broken(format!("{error} (sqlite code {})", failure.extended_code)),
        }
    }
}

/// The error of a read that is about one stream: damage is told apart from an engine that cannot answer.
pub(super) fn reading(stream: &StreamKey, seq: Seq) -> impl Fn(Error) -> StoreError + '_ {
    move |error| match is_damage(&error) {
        true => StoreError::Corrupt { stream: stream.clone(), seq },
        false => unavailable(error),
    }
}

/// The error of a read that is about no stream in particular.
pub(super) fn unavailable(error: Error) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}

fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) | Error::FromSqlConversionFailure(..) => true,
        Error::Utf8Error(..) => true,
        _ => false,
    }
}

//! The lock beside the database that keeps a second process out: SQLite alone would let both in.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::store::OpenError;

/// A holder that is just ending, or a child of its that has not reached its own program yet, is gone by then.
const MOMENT: Duration = Duration::from_secs(1);

/// Held while the file is open; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Takes the lock of the database at `path`, and leaves this process's id in it for the message a second one gets.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let beside = path.with_added_extension("lock");
        let failed = |error: std::io::Error| OpenError::of_file(&beside, &error);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(&beside).map_err(failed)?;
        match try_for_a_moment(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                let holder = if holder.is_empty() { "unknown" } else { holder.trim() }.to_owned();
                return Err(OpenError::InUse { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Only for the message: on a full disk the id is missing and the lock holds all the same.
        let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(path = %beside.display(), %error, "could not note the process id in the lock file");
        }
        Ok(Self { _held: file })
    }
}

fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < MOMENT => std::thread::sleep(Duration::from_millis(20)),
            tried => return tried,
        }
    }
}

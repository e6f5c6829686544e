//! The database file: found or created, locked, checked to be ours, migrated, and set up to keep what it acknowledges.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::lock::Lock;
use crate::store::OpenError;

/// `COAG`, in the database header: says whose file it is.
const APPLICATION_ID: i32 = 0x434f_4147;

/// Each brings the schema from its index to the next version.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_streams.sql"),
    include_str!("../../../migrations/sqlite/0002_work.sql"),
];

/// The highest count a stream has, or had when it was deleted.
const TOUCHED: &str = "SELECT max(ifnull((SELECT max(touched) FROM streams), 0), \
                       ifnull((SELECT value FROM counters WHERE name = 'touched'), 0))";

/// The fence that was given last.
const FENCE: &str = "SELECT ifnull((SELECT value FROM counters WHERE name = 'fence'), 0)";

const STATEMENTS_CACHED: usize = 32;

/// How long to wait for a lock some other program took on the database.
const BUSY: Duration = Duration::from_secs(5);

/// A database that this process has to itself.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The store-wide counter so far.
    pub(super) touched: u64,
    /// The fence that was given last.
    pub(super) fence: u64,
    pub(super) lock: Lock,
}

/// Opens the file for writing.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let path = settle(path).map_err(|error| OpenError::of_file(path, &error))?;
    let lock = Lock::take(&path)?;
    let failed = |error: rusqlite::Error| OpenError::Failed { path: path.clone(), reason: in_one_line(&error) };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    let version = recognise(&connection, &path)?;
    // SQLite opens what it may not write all the same.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
        return Err(OpenError::ReadOnly { path, reason: "it can only be read".to_owned() });
    }
    set_up_writer(&connection).map_err(failed)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let reason = format!("its file system allows no write-ahead log ({mode}): use a local disk");
        return Err(OpenError::Failed { path, reason });
    }
    migrate(&mut connection, version).map_err(failed)?;
    let touched: i64 = connection.query_row(TOUCHED, [], |row| row.get(0)).map_err(failed)?;
    let fence: i64 = connection.query_row(FENCE, [], |row| row.get(0)).map_err(failed)?;
    let synced = path.parent().map_or(Ok(()), sync_directory);
    synced.map_err(|error| OpenError::of_file(&path, &error))?;
    Ok(Opened { connection, touched: touched.unsigned_abs(), fence: fence.unsigned_abs(), lock, path })
}

/// Opens one more connection, which can only read.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    Ok(connection)
}

/// Creates the directory and answers the one absolute path of the database, so that two spellings meet at one lock.
fn settle(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let missing_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    let (directory, name) = path.parent().zip(path.file_name()).ok_or_else(missing_name)?;
    let missing: Vec<_> = directory.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    std::fs::create_dir_all(directory)?;
    for created in missing.iter().rev() {
        created.parent().map_or(Ok(()), sync_directory)?;
    }
    let path = directory.canonicalize()?.join(name);
    if path.exists() { path.canonicalize() } else { Ok(path) }
}

/// A new file's name survives a power cut only once its directory was synced.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// What went wrong, without the statement.
fn in_one_line(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// The schema version of a database that is ours; 0 for an empty one. Changes nothing.
fn recognise(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Failed { path: path.to_owned(), reason: in_one_line(&error) };
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let empty = application == 0 && found == 0 && objects == 0;
    if application != APPLICATION_ID && !empty {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found == 0 && objects > 0 {
        let reason = "it says that it has no tables (user_version 0) and has some: restore it from a backup".to_owned();
        return Err(OpenError::Failed { path: path.to_owned(), reason });
    }
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(OpenError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() as i64 }),
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Closing must not sync behind our back: after a failed fsync that would be a retry.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // A mapped page of a failing disk is a SIGBUS, a read one an error.
    connection.pragma_update(None, "mmap_size", 0)
}

fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    set_up(connection)?;
    // NORMAL syncs only at checkpoints and loses acknowledged commits at a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer does it, where its errors are seen: SQLite's own swallows them.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -16_384)
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for migration in &MIGRATIONS[version..] {
        transaction.execute_batch(migration)?;
    }
    if version < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    }
    transaction.commit()
}

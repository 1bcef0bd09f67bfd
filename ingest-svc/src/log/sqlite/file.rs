//! The log's file: used by one ingest-svc at a time, also if it has several names, and never opened without its newest records.
//!
//! SQLite keeps the newest commits in a write-ahead log next to the *name* of the database file. A file with several names
//! (symbolic link, hard link, bind mount) would have several of them, each with records that the others lack. So the lock
//! is on the file itself, and the file says by which name it was last opened: what was left next to another name is
//! taken over first.
//!
//! ```text
//! hold: open, lock, ask whether the name still leads to it ─► SQLite ─► (take over, then SQLite again) ─► note the name
//! ```
//!
//! The lock is `flock`, which on a local file system is independent of the `fcntl` locks that SQLite takes on the same
//! file. But closing any descriptor of a file drops the `fcntl` locks that the process has on it. So the locked
//! descriptor is closed after the last connection: each owner of a connection also owns the [`LogFile`], and drops it later.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension, params};

use super::{super::error::LogError, connection::connect, error::FileError};

/// Bytes that the file system must have left: what the largest record writes, and once more to move it into the file. Less,
/// and only as much can be accepted as SQLite happens to have taken before.
const ROOM: u64 = 256 * 1024;

/// How often a file that is replaced while it is being locked is opened again.
const TRIES: usize = 10;
/// How long the lock is waited for. A child process that another thread starts has a copy of all descriptors until it runs its own
/// program, and so keeps the lock of a file that was just closed.
const RELEASE: Duration = Duration::from_millis(200);

/// A file that this process holds alone.
#[derive(Debug)]
pub(super) struct LogFile {
    /// Absolute and without symbolic links, so that nothing changes which file it is but a change of that very name.
    path: PathBuf,
    identity: Identity,
    lock: File,
    _former_lock: File,
}

/// Which file it is, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl From<Metadata> for Identity {
    fn from(metadata: Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl LogFile {
    /// Makes the file if it does not exist, and locks it until dropped.
    pub(super) fn hold(name: &Path) -> Result<Self, FileError> {
        for _ in 0..TRIES {
            // Callers' numbers are in it: only its owner may read a new file, and SQLite makes the other files with
            // the same permissions.
            let mut options = OpenOptions::new();
            options.create(true).append(true).mode(0o600);
            let file = options.open(name).map_err(FileError::File)?;
            let lock = lock(file)?;
            let identity = Identity::from(lock.metadata().map_err(FileError::File)?);
            let path = fs::canonicalize(name).map_err(FileError::File)?;
            // Somebody may have put another file in its place before it was locked.
            if leads_to(&path, identity).map_err(FileError::File)? {
                return Ok(Self { path, identity, lock, _former_lock: former_lock(name)? });
            }
        }
        Err(FileError::File(ErrorKind::ResourceBusy.into()))
    }

    /// What SQLite opens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its name still leads to it. If not, a commit would be lost with the last descriptor of a file that nobody
    /// finds again.
    pub(super) fn check_name(&self) -> Result<(), LogError> {
        match leads_to(&self.path, self.identity) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FileError::Replaced.into()),
            Err(error) => Err(LogError::unavailable(error)),
        }
    }

    /// Bytes of the write-ahead log on disk.
    pub(super) fn wal_bytes(&self) -> u64 {
        // None: it is empty.
        std::fs::metadata(next_to(&self.path, "-wal")).map_or(0, |wal| wal.len())
    }

    /// Whether there is room for another record.
    pub(super) fn check_room(&self) -> Result<(), LogError> {
        let system = rustix::fs::fstatvfs(&self.lock)
            .map_err(|error| LogError::unavailable(io::Error::from(error)))?;
        let left = system.f_bavail.saturating_mul(system.f_frsize);
        // What is left for most users need not be all that is left for this one.
        if left >= ROOM || self.take_room().is_ok() {
            return Ok(());
        }
        Err(FileError::Full { left_kib: left / 1024, needed_kib: ROOM / 1024 }.into())
    }

    /// Takes the room from the file system, and gives it back.
    fn take_room(&self) -> rustix::io::Result<()> {
        use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, open};
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let nameless = open(directory, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR)?;
        fallocate(nameless, FallocateFlags::empty(), 0, ROOM)
    }

    /// Whether the file was last opened by another name, next to which commits may have been left. `connection` has it open
    /// by [its path](Self::path).
    pub(super) fn other_name(&self, connection: &Connection) -> Result<Option<OtherName>, FileError> {
        other_name(connection, &self.path, self.identity)
    }

    /// Notes in the file by which name it is open, and has that written through to the file itself.
    pub(super) fn note_name(&self, connection: &Connection) -> rusqlite::Result<()> {
        let noted = connection.execute(
            "INSERT INTO file (only, name, inode) VALUES (1, ?1, ?2)
             ON CONFLICT (only) DO UPDATE SET name = excluded.name, inode = excluded.inode
               WHERE name != excluded.name OR inode != excluded.inode",
            params![self.path.as_os_str().as_bytes(), self.identity.inode.cast_signed()],
        )?;
        if noted > 0 {
            write_through(connection)?;
        }
        Ok(())
    }
}

/// Whether a file that nobody here has locked is open by another name than `path`, which `connection` has it open by: its
/// newest commits are then next to that name.
pub(super) fn open_elsewhere(connection: &Connection, path: &Path) -> Result<Option<PathBuf>, FileError> {
    let identity = Identity::from(fs::metadata(path).map_err(FileError::File)?);
    Ok(other_name(connection, path, identity)?.map(|OtherName(name)| name))
}

fn other_name(
    connection: &Connection,
    path: &Path,
    identity: Identity,
) -> Result<Option<OtherName>, FileError> {
    if !connection.table_exists(None, "file")? {
        return Ok(None);
    }
    let noted: Option<(Vec<u8>, i64)> = connection
        .query_row("SELECT name, inode FROM file", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((name, inode)) = noted else { return Ok(None) };
    let name = PathBuf::from(OsString::from_vec(name));
    // A copy of the file says what the original was called.
    if name == path || inode != identity.inode.cast_signed() {
        return Ok(None);
    }
    let wal = next_to(&name, "-wal");
    match fs::metadata(&wal) {
        Ok(found) if found.len() > 0 => {
            // The same directory by another name.
            if leads_to(&next_to(path, "-wal"), found.into()).map_err(FileError::File)? {
                return Ok(None);
            }
        }
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::File(error)),
    }
    if leads_to(&name, identity).map_err(FileError::File)? {
        return Ok(Some(OtherName(name)));
    }
    if name.exists() {
        // It belongs to another file by now.
        return Ok(None);
    }
    Err(FileError::Renamed { wal, expected: next_to(path, "-wal") })
}

/// Another name of the file, next to which commits have been left.
pub(super) struct OtherName(PathBuf);

impl OtherName {
    /// Moves those commits into the file. Nobody may have it open by another name.
    pub(super) fn take_over(self) -> Result<(), FileError> {
        let connection = connect(&self.0)?;
        write_through(&connection)?;
        connection.close().map_err(|(_, error)| error)?;
        tracing::warn!(
            name = %self.0.display(),
            "the log was open by another name before, and was not closed; what was left next to that name is taken over"
        );
        Ok(())
    }
}

/// Moves all commits from the write-ahead log into the file, and empties it, unless somebody reads them just now.
pub(super) fn write_through(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Whether there is a file of that name, and it is that file.
fn leads_to(name: &Path, identity: Identity) -> io::Result<bool> {
    match fs::metadata(name) {
        Ok(found) => Ok(Identity::from(found) == identity),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A process that does not get the lock has no connection on the file, so that closing it drops nothing.
fn lock(file: File) -> Result<File, FileError> {
    let until = Instant::now() + RELEASE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(RELEASE / 20),
            Err(TryLockError::WouldBlock) => return Err(FileError::Held),
            Err(TryLockError::Error(error)) => return Err(FileError::Lock(error)),
        }
    }
}

/// Older versions lock only `<name>.lock`: one of them may still be running, or be started while this one runs.
fn former_lock(name: &Path) -> Result<File, FileError> {
    lock(File::create(next_to(name, ".lock")).map_err(FileError::Lock)?)
}

/// The name of a file next to it.
pub(super) fn next_to(name: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

//! Moves a log from SQLite to PostgreSQL, with everything that is in it.
//!
//! ```text
//! hold the file ─► claim the database ─► all tables, in one transaction ─► mark the file as moved ─► commit
//! ```
//!
//! Until the commit the database has empty tables, and a note that this log is being copied to it: no ingest-svc opens it, and the
//! next attempt begins from the start. The file is marked before the commit. At no time can both be opened: positions would be given
//! out twice in one epoch.

mod table;

use std::path::{Path, PathBuf};

use ringpad_runtime::CancellationToken;
use tokio::{sync::mpsc, task::spawn_blocking};
use uuid::Uuid;

use super::{
    postgres::{Servers, State, Target, TargetError},
    sqlite::{FileError, Source},
};
pub(super) use table::{Column, Kind, TABLES, Table, Value};
pub use table::{Fault, Faulty};

/// Batches of rows that are read and not yet written; each has about a megabyte.
const BATCHES: usize = 4;

/// Faulty rows that are named; the others are only counted.
const NAMED: usize = 100;

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Each table, with how many rows it has in the database.
    pub tables: Vec<(&'static str, u64)>,
    /// Rows that PostgreSQL cannot have; they are in the file alone.
    pub left_out: u64,
    /// Rows that are copied, but have a value that ingest-svc cannot read.
    pub unreadable: u64,
    /// The first of those rows.
    pub faulty: Vec<Faulty>,
}

/// What became of a copy that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is complete.
    Copied(Copied),
    /// An earlier one was complete, and nothing was done.
    AlreadyCopied,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Rows that are copied.
    pub rows: u64,
    /// How many there are.
    pub of: u64,
}

/// Why a log was not copied. Unless it says otherwise, the file can be used as before.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is in use, or cannot be read.
    #[error("the log {}", path.display())]
    Source {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// It is not empty, or cannot be written.
    #[error("the database {servers}")]
    Target {
        /// Which one.
        servers: Servers,
        /// What is wrong with it.
        source: TargetError,
    },
    /// It may have been done.
    #[error(
        "the database {servers} has not confirmed the commit, and the log {} is marked as moved; run the same command again",
        path.display()
    )]
    Commit {
        /// The file.
        path: PathBuf,
        /// The database.
        servers: Servers,
        /// What is wrong with it.
        source: TargetError,
    },
    /// The caller has interrupted it.
    #[error("interrupted")]
    Interrupted,
    /// A defect of this code.
    #[error("the reading thread panicked")]
    Panicked,
}

/// Rows of one table.
pub(super) struct Batch {
    pub(super) table: &'static Table,
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) faulty: Vec<Faulty>,
}

/// What a log has apart from its tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) epoch: Uuid,
    /// The key of the newest event.
    pub(super) newest: i64,
    /// Every event up to this key is handled.
    pub(super) relayed: i64,
    /// The highest id that the quarantine has given out.
    pub(super) quarantined: i64,
    /// Of all tables.
    pub(super) rows: u64,
}

/// Moves the log in the file `from` to the empty database `to`. A copy that was interrupted or killed is done by the next one, from the
/// start. `interrupt` has no effect once the file is being marked as moved: the commit follows at once.
///
/// # Errors
/// The reason why it was not copied.
pub async fn copy(
    from: &Path,
    to: &Servers,
    progress: impl FnMut(Progress),
    interrupt: &CancellationToken,
) -> Result<Outcome, CopyError> {
    let written = interrupt.run_until_cancelled(write_all(from, to, progress)).await;
    let Some((source, target, copied)) = written.ok_or(CopyError::Interrupted)?? else {
        return Ok(Outcome::AlreadyCopied);
    };
    let name = to.to_string();
    let marked = on_thread(move || source.mark_moved(&name)).await?;
    marked.map_err(|source| CopyError::Source { path: from.to_owned(), source })?;
    let committed = target.commit().await;
    committed.map_err(|source| CopyError::Commit { path: from.to_owned(), servers: to.clone(), source })?;
    Ok(Outcome::Copied(copied))
}

/// Writes everything, without the commit; `None`: an earlier copy was complete.
async fn write_all(
    from: &Path,
    to: &Servers,
    progress: impl FnMut(Progress),
) -> Result<Option<(Source, Target, Copied)>, CopyError> {
    let at_source = |source| CopyError::Source { path: from.to_owned(), source };
    let at_target = |source| CopyError::Target { servers: to.clone(), source };
    let path = from.to_owned();
    let source = on_thread(move || Source::open(&path)).await?.map_err(at_source)?;
    let marks = source.marks();
    let (target, state) = Target::connect(to, marks.epoch).await.map_err(at_target)?;
    match (state, source.moved()) {
        (State::Complete, Some(_)) => return Ok(None),
        (State::Complete, None) => return Err(at_target(TargetError::HasCopy)),
        (State::Begun, Some(moved)) if moved.to == to.to_string() => {}
        (State::Empty | State::Begun, Some(moved)) => return Err(at_source(moved.clone().into())),
        (State::Empty | State::Begun, None) => {}
    }
    target.begin(state, marks.epoch).await.map_err(at_target)?;

    let (sender, batches) = mpsc::channel(BATCHES);
    let reading = on_thread(move || {
        let read = source.read(|batch| sender.blocking_send(batch).is_ok());
        // This ends the batches.
        drop(sender);
        (source, read)
    });
    let (read, written) = tokio::join!(reading, write(&target, batches, marks.rows, progress));
    let (source, read) = read?;
    // If writing has failed, reading was only stopped.
    let copied = written.map_err(at_target)?;
    read.map_err(at_source)?;
    target.complete(&marks).await.map_err(at_target)?;
    Ok(Some((source, target, copied)))
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CopyError> {
    spawn_blocking(work).await.map_err(|_| CopyError::Panicked)
}

/// Writes the rows of each table, until there are no more.
async fn write(
    target: &Target,
    mut batches: mpsc::Receiver<Batch>,
    all: u64,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, TargetError> {
    let mut copied = Copied::default();
    let mut rows = 0;
    let mut next = batches.recv().await;
    for table in &TABLES {
        let mut writer = target.write(table).await?;
        while let Some(batch) = next.take_if(|batch| batch.table.name == table.name) {
            rows += batch.rows.len() as u64;
            writer.add(batch.rows).await?;
            copied.note(batch.faulty);
            progress(Progress { rows, of: all });
            next = batches.recv().await;
        }
        copied.tables.push((table.name, writer.finish().await?));
    }
    Ok(copied)
}

impl Copied {
    fn note(&mut self, faulty: Vec<Faulty>) {
        for row in faulty {
            match row.fault {
                Fault::LeftOut => self.left_out += 1,
                Fault::Unreadable => self.unreadable += 1,
            }
            if self.faulty.len() < NAMED {
                self.faulty.push(row);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;

//! The connection that writes, and what it has to do between two commits.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use uuid::Uuid;

use super::{
    super::{
        holdings::Holdings,
        job::Job,
        outbox::{Marks, Outbox},
        unreadable::UnreadableRows,
    },
    checkpoint::{self, Emptying},
    connection::PAGE,
    error::FileError,
    file::LogFile,
    open::open_writer,
    purge::Sweep,
    quarantine, stores,
};
use crate::{capacity::LogCapacity, store::Directory};

/// The least time between two commits that also note how far the relay has come: the note takes a page more. If one is lost, what
/// was published after it is published twice, which hubs see by its positions.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// The writing connection, and what the writer knows in memory of what is in the file.
pub(in super::super) struct Writer {
    pub(super) connection: Connection,
    pub(super) directory: Directory,
    pub(in super::super) epoch: Uuid,
    pub(super) popup_ttl: jiff::SignedDuration,
    pub(super) capacity: LogCapacity,
    /// The key of the newest committed event.
    pub(super) newest_key: u64,
    /// How much is in the quarantine.
    pub(super) holdings: Holdings,
    /// Up to which event the relay has come, as the file says.
    pub(super) relayed: u64,
    /// When that was last noted, or the file was opened.
    marked_at: Instant,
    pub(in super::super) outbox: Arc<Outbox>,
    /// Whether memory must be read again before the next commit.
    pub(super) stale: bool,
    /// Until when each job has a savepoint, because one has failed.
    pub(super) careful_until: Option<Instant>,
    pub(super) unreadable: UnreadableRows,
    pub(super) emptying: Arc<Emptying>,
    /// How far the retention has looked through the callers.
    pub(super) sweep: Sweep,
    /// Whether something was deleted after the write-ahead log was last asked to be emptied.
    pub(super) purged: bool,
    /// Jobs, and pages of large ones, since the last checkpoint was asked for.
    since_checkpoint: usize,
    checkpoints: SyncSender<()>,
    /// Dropped after the connection.
    pub(super) file: Arc<LogFile>,
}

impl Writer {
    pub(super) fn open(
        file: &Arc<LogFile>,
        popup_ttl: jiff::SignedDuration,
        capacity: &LogCapacity,
        unreadable: UnreadableRows,
        emptying: Arc<Emptying>,
        checkpoints: SyncSender<()>,
    ) -> Result<Self, FileError> {
        let connection = open_writer(file)?;
        let epoch =
            connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0).map(Uuid::from_bytes))?;
        let marks = marks(&connection)?;
        Ok(Self {
            directory: stores::load(&connection)?,
            holdings: quarantine::holdings(&connection)?,
            connection,
            epoch,
            popup_ttl,
            capacity: *capacity,
            newest_key: marks.newest,
            relayed: marks.relayed,
            marked_at: Instant::now(),
            outbox: Arc::new(Outbox::new(marks, capacity.outbox_bytes)),
            stale: false,
            careful_until: None,
            unreadable,
            emptying,
            sweep: Sweep::default(),
            purged: false,
            since_checkpoint: 0,
            checkpoints,
            file: Arc::clone(file),
        })
    }

    /// Each part of an import writes most pages of the directory's indexes again. What was known of a customer before must not stay in
    /// the write-ahead log.
    pub(super) fn count_towards_checkpoint(&mut self, jobs: &[Job]) {
        self.since_checkpoint += jobs.len() + jobs.iter().map(Job::bytes).sum::<usize>() / usize::from(PAGE);
        if jobs.iter().any(|job| matches!(job, Job::Import(_) | Job::Customers(_) | Job::DeleteCustomer(_))) {
            self.emptying.request_truncation();
        }
    }

    /// Empties the write-ahead log if that is possible now, and asks for a checkpoint now and then.
    pub(in super::super) fn maintain(&mut self) {
        if let Err(error) = self.emptying.empty_if_possible(&self.connection) {
            tracing::warn!(%error, "cannot empty the write-ahead log; trying again");
        }
        // Full: one is asked for already.
        if self.since_checkpoint >= checkpoint::JOBS && self.checkpoints.try_send(()).is_ok() {
            self.since_checkpoint = 0;
        }
    }

    /// Notes how far the relay has come since the last commit.
    pub(in super::super) fn close(mut self) {
        if let Err(error) = self.write_mark() {
            tracing::warn!(%error, "cannot note how far the relay has come; a few events will be published twice");
        }
    }

    /// Notes now and then how far the relay has come.
    pub(super) fn write_mark_if_due(&mut self) -> rusqlite::Result<()> {
        if self.marked_at.elapsed() < MARK_INTERVAL { Ok(()) } else { self.write_mark() }
    }

    /// Notes how far the relay has come, if it has come further.
    fn write_mark(&mut self) -> rusqlite::Result<()> {
        let relayed = self.outbox.relayed();
        if relayed != self.relayed {
            self.connection.prepare_cached("UPDATE meta SET relayed = ?1")?.execute([relayed])?;
            self.relayed = relayed;
            self.marked_at = Instant::now();
        }
        Ok(())
    }

    /// Reads again what a failed commit has left in doubt. While that fails, nothing is written.
    pub(super) fn reload_if_stale(&mut self) -> rusqlite::Result<()> {
        if self.stale {
            self.directory = stores::load(&self.connection)?;
            let marks = marks(&self.connection)?;
            // No key is given out twice, though the newest events may have been deleted, because their store was.
            self.newest_key = self.newest_key.max(marks.newest);
            self.relayed = marks.relayed;
            self.recount()?;
            self.stale = false;
            self.outbox.committed(self.newest_key);
            self.outbox.nudge();
        }
        Ok(())
    }

    /// Reads again how much is in the quarantine.
    pub(super) fn recount(&mut self) -> rusqlite::Result<()> {
        self.holdings = quarantine::holdings(&self.connection)?;
        Ok(())
    }
}

/// The key of the newest event, and the relay's mark. If every event has been deleted, the keys continue after the mark.
fn marks(connection: &Connection) -> rusqlite::Result<Marks> {
    let sql = "SELECT max(relayed, ifnull((SELECT max(key) FROM events), 0)), relayed FROM meta";
    connection.query_row(sql, [], |row| Ok(Marks { newest: row.get(0)?, relayed: row.get(1)? }))
}

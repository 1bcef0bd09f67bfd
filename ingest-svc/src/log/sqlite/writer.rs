//! The one thread that writes. It takes the jobs that have accumulated into one transaction, so that many requests share one
//! flush to disk.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{
    super::{
        batch::Committer,
        holdings::Holdings,
        job::Job,
        metrics::LogMetrics,
        outbox::{Committed, Marks, Outbox},
        queue::Queue,
    },
    checkpoint::{self, Emptying},
    error::OpenError,
    file::LogFile,
    open::open_writer,
    purge::Sweep,
    quarantine, stores,
    unreadable::UnreadableRows,
};
use crate::{capacity::LogCapacity, store::Directory};

/// Bytes of a page of the file.
const PAGE: usize = 4 * 1024;

/// The writing connection, and what the writer knows in memory of what is in the file.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) directory: Directory,
    pub(super) epoch: Uuid,
    pub(super) popup_ttl: jiff::SignedDuration,
    pub(super) capacity: LogCapacity,
    /// The key of the newest committed event.
    pub(super) newest_key: u64,
    /// How much is in the quarantine.
    pub(super) holdings: Holdings,
    /// Up to which event the relay has come, as the file says.
    pub(super) relayed: u64,
    pub(super) committer: Committer,
    /// Whether the last commit succeeded.
    pub(super) writable: bool,
    /// Whether memory must be read again before the next commit.
    pub(super) stale: bool,
    pub(super) unreadable: UnreadableRows,
    pub(super) emptying: Arc<Emptying>,
    /// How far the retention has looked through the callers.
    pub(super) sweep: Sweep,
    /// Whether something was deleted after the write-ahead log was last asked to be emptied.
    pub(super) purged: bool,
    /// Dropped after the connection.
    pub(super) file: Arc<LogFile>,
}

impl Writer {
    pub(super) fn open(
        file: &Arc<LogFile>,
        popup_ttl: jiff::SignedDuration,
        capacity: &LogCapacity,
        metrics: LogMetrics,
        emptying: Arc<Emptying>,
    ) -> Result<(Self, mpsc::Receiver<Committed>), OpenError> {
        let connection = open_writer(file)?;
        let epoch =
            connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0).map(Uuid::from_bytes))?;
        let marks = marks(&connection)?;
        let (fresh, receiver) = mpsc::channel(capacity.outbox_commits);
        let unreadable = UnreadableRows::new(metrics.unreadable_rows.clone());
        let outbox = Arc::new(Outbox::new(marks, capacity.outbox_bytes));
        let writer = Self {
            directory: stores::load(&connection)?,
            holdings: quarantine::holdings(&connection)?,
            connection,
            epoch,
            popup_ttl,
            capacity: capacity.clone(),
            newest_key: marks.newest,
            relayed: marks.relayed,
            committer: Committer { outbox, fresh, written: watch::Sender::new(None), metrics },
            writable: false,
            stale: false,
            unreadable,
            emptying,
            sweep: Sweep::default(),
            purged: false,
            file: Arc::clone(file),
        };
        Ok((writer, receiver))
    }

    pub(super) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.committer.outbox)
    }

    pub(super) fn epoch(&self) -> Uuid {
        self.epoch
    }

    pub(super) fn written(&self) -> watch::Receiver<Option<Instant>> {
        self.committer.written.subscribe()
    }

    /// Works until every sender is gone. Asks for a checkpoint now and then.
    pub(super) fn run(mut self, jobs: mpsc::Receiver<Job>, checkpoints: &SyncSender<()>) {
        let mut queue = Queue::new(jobs, &self.capacity);
        let mut since_checkpoint = 0;
        while let Some(mut waiting) = queue.next() {
            let bytes: usize = waiting.iter().map(Job::bytes).sum();
            let began = Instant::now();
            self.committer.metrics.batch_size.observe(waiting.len() as f64);
            since_checkpoint += waiting.len() + bytes / PAGE;
            if matches!(waiting[..], [Job::Import(..)]) {
                // Each part writes most pages of the directory's indexes again.
                self.emptying.request_truncation();
            }
            self.commit(&mut waiting);
            self.committer.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
            if let Err(error) = self.emptying.empty_if_possible(&self.connection) {
                tracing::warn!(%error, "cannot empty the write-ahead log; trying again");
            }
            // Full: one is asked for already.
            if since_checkpoint >= checkpoint::JOBS && checkpoints.try_send(()).is_ok() {
                since_checkpoint = 0;
            }
        }
        if let Err(error) = self.write_mark() {
            tracing::warn!(%error, "cannot note how far the relay has come; a few events will be published twice");
        }
    }

    /// Notes how far the relay has come, if it has come further.
    pub(super) fn write_mark(&mut self) -> rusqlite::Result<()> {
        let relayed = self.committer.outbox.relayed();
        if relayed != self.relayed {
            self.connection.prepare_cached("UPDATE meta SET relayed = ?1")?.execute([relayed])?;
            self.relayed = relayed;
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
            self.committer.outbox.committed(self.newest_key);
            self.committer.outbox.nudge();
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

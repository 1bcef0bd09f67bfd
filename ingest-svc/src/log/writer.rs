//! The one thread that writes. It takes what has piled up (see [`Queue`]) into one transaction: many requests share one
//! flush to disk. Each job has a savepoint of its own, so that one that fails takes back only itself. Answers
//! go out after the commit.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};

use ringpad_bus::Event;
use rusqlite::Connection;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::metrics::{Counted, LogMetrics};
use super::{
    LogError, OpenError, Status, act,
    checkpoint::{self, Emptying},
    directory::{Assigned, Change, Directory, Upserted},
    file::LogFile,
    ingest::{self, Logged},
    job::{Answer, Import, Job},
    outbox::{COMMITS, Committed, Outbox},
    purge::{self, Sweep},
    quarantine::{self, Holdings, Quarantined},
    queue::Queue,
    schema,
    set_aside::SetAside,
};

/// Bytes of a page of the file.
const PAGE: usize = 4 * 1024;

/// A commit that is younger than this shows well enough that the log can be written: a probe then writes nothing.
const YOUNG: Duration = Duration::from_millis(500);

/// Bytes that a probe writes while all is well: one page.
const PROBE_BYTES: u32 = 16;

/// Bytes that a probe writes after a commit that failed: more than the largest record, so that the log does not count as
/// writable again for the small ones alone.
const LARGE_PROBE_BYTES: u32 = 128 * 1024;

/// An answer that waits for the commit: says what became of the job, or why the commit failed.
type Due = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// What waits for the commit.
#[derive(Default)]
struct Batch {
    due: Vec<Due>,
    events: Vec<Event>,
    changed: Vec<String>,
    logged: Vec<Counted>,
    quarantined: u64,
    dropped: u64,
    last_key: u64,
    /// Whether it has something that SQLite must write, and cannot leave out because nothing has changed.
    writes: bool,
}

/// See the module's text.
pub(super) struct Writer {
    connection: Connection,
    directory: Directory,
    epoch: Uuid,
    popup_ttl: jiff::SignedDuration,
    /// The key of the newest committed event.
    newest_key: u64,
    /// What is in the quarantine.
    quarantined: Holdings,
    /// The relay's mark as it stands in the file.
    relayed: u64,
    outbox: Arc<Outbox>,
    fresh: mpsc::Sender<Committed>,
    /// Whether the last commit went well.
    writable: bool,
    /// When a commit that wrote something was last on disk.
    written: watch::Sender<Option<Instant>>,
    /// Whether memory must be read again before the next commit.
    stale: bool,
    metrics: LogMetrics,
    set_aside: SetAside,
    emptying: Arc<Emptying>,
    /// How far the callers have been looked through.
    sweep: Sweep,
    /// Whether something was deleted since the write-ahead log was last to be emptied.
    purged: bool,
    /// Dropped after the connection.
    file: Arc<LogFile>,
}

impl Writer {
    pub(super) fn open(
        file: &Arc<LogFile>,
        popup_ttl: Duration,
        metrics: LogMetrics,
        emptying: Arc<Emptying>,
    ) -> Result<(Self, mpsc::Receiver<Committed>), OpenError> {
        let connection = schema::open_writer(file)?;
        let epoch =
            connection.query_row("SELECT epoch FROM meta", [], |row| row.get(0).map(Uuid::from_bytes))?;
        let (newest_key, relayed) = marks(&connection)?;
        let directory = Directory::load(&connection)?;
        let outbox = Arc::new(Outbox::new(newest_key, relayed));
        let (fresh, receiver) = mpsc::channel(COMMITS);
        let popup_ttl = popup_ttl.try_into().unwrap_or(jiff::SignedDuration::MAX);
        let writer = Self {
            quarantined: Holdings::load(&connection)?,
            connection,
            directory,
            epoch,
            popup_ttl,
            newest_key,
            relayed,
            outbox,
            fresh,
            writable: false,
            written: watch::Sender::new(None),
            stale: false,
            set_aside: SetAside::new(metrics.unreadable_rows.clone()),
            metrics,
            emptying,
            sweep: Sweep::default(),
            purged: false,
            file: Arc::clone(file),
        };
        Ok((writer, receiver))
    }

    pub(super) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    pub(super) fn epoch(&self) -> Uuid {
        self.epoch
    }

    pub(super) fn written(&self) -> watch::Receiver<Option<Instant>> {
        self.written.subscribe()
    }

    /// Works until every sender is gone. Asks for a checkpoint now and then.
    pub(super) fn run(mut self, jobs: mpsc::Receiver<Job>, checkpoints: SyncSender<()>) {
        let mut queue = Queue::new(jobs);
        let mut since_checkpoint = 0;
        while let Some(mut waiting) = queue.next() {
            let bytes: usize = waiting.iter().map(Job::bytes).sum();
            let began = Instant::now();
            self.metrics.batch_size.observe(waiting.len() as f64);
            since_checkpoint += waiting.len() + bytes / PAGE;
            if matches!(waiting[..], [Job::Import(..)]) {
                // Each part writes most pages of the directory's indexes anew.
                self.emptying.cut_off();
            }
            self.commit(&mut waiting);
            self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
            if let Err(error) = self.emptying.do_if_possible(&self.connection) {
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

    /// One transaction. When it fails as a whole, every job is told so and nothing is half-written.
    fn commit(&mut self, jobs: &mut Vec<Job>) {
        let mut batch = Batch::default();
        let asked = jobs.iter().filter(|job| !matches!(job, Job::Probe(_))).count();
        let outcome = self
            .file
            .check_name()
            .and_then(|()| self.transact(jobs, &mut batch).map_err(|error| LogError::unavailable(&error)));
        self.writable = outcome.is_ok();
        let Err(error) = outcome else { return self.hand_over(batch) };
        // What a probe finds is said by whoever sent it.
        if asked > 0 {
            tracing::error!(%error, jobs = asked, "refusing these requests");
        }
        self.metrics.failed_commits.inc();
        self.recover();
        jobs.drain(..).for_each(|job| job.refuse(error.clone()));
        batch.due.into_iter().for_each(|answer| answer(Err(error.clone())));
    }

    fn transact(&mut self, jobs: &mut Vec<Job>, batch: &mut Batch) -> rusqlite::Result<()> {
        self.reload_if_stale()?;
        batch.last_key = self.newest_key;
        self.execute("BEGIN IMMEDIATE")?;
        for job in jobs.drain(..) {
            let changes_directory = matches!(job, Job::Upsert(..) | Job::Import(..) | Job::Delete(..));
            self.execute("SAVEPOINT job")?;
            if let Err(error) = self.perform(job, batch) {
                // Either SQLite has rolled everything back, e.g. because the disk is full; or the directory in memory
                // may be half-changed, and only reading it again mends that.
                if self.connection.is_autocommit() || changes_directory {
                    return Err(error);
                }
                tracing::error!(%error, "cannot log a request; refusing it alone");
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        self.directory.write_positions(&self.connection)?;
        self.write_mark()?;
        self.execute("COMMIT")
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    /// Does one job inside its savepoint; memory changes only once the file has. A job that fails has been answered.
    fn perform(&mut self, job: Job, batch: &mut Batch) -> rusqlite::Result<()> {
        match job {
            Job::Ingest(record, answer) => {
                let key = batch.last_key + 1;
                let (connection, directory) = (&self.connection, &mut self.directory);
                let (epoch, ttl, set_aside) = (self.epoch, self.popup_ttl, &self.set_aside);
                let outcome = ingest::record(connection, directory, epoch, key, ttl, set_aside, &record);
                let outcome = outcome.map(|Logged { ingested, event, another, is_late, had_more }| {
                    batch.writes |= ingested.status != Status::Duplicate;
                    batch.last_key += u64::from(event.is_some());
                    batch.events.extend(event);
                    let source = Arc::clone(&record.source);
                    batch.logged.push(Counted {
                        source,
                        status: ingested.status,
                        another,
                        had_more,
                        is_late,
                    });
                    ingested
                });
                batch.settle(answer, outcome)
            }
            Job::Act(act, answer) => {
                let key = batch.last_key + 1;
                let outcome =
                    act::act(&self.connection, &mut self.directory, self.epoch, key, &self.set_aside, &act);
                let outcome = outcome.map(|(acted, event)| {
                    batch.writes |= event.is_some();
                    batch.last_key += u64::from(event.is_some());
                    batch.events.extend(event);
                    acted
                });
                batch.settle(answer, outcome)
            }
            Job::Upsert(entry, moving, answer) => {
                let outcome = self.directory.upsert(&self.connection, &entry, moving, &Assigned::default());
                if matches!(outcome, Ok(Upserted::Stored(_))) {
                    batch.changed.push(entry.id);
                }
                batch.settle(answer, outcome)
            }
            Job::Import(import, answer) => {
                let outcome = self.import(*import, batch);
                batch.settle(answer, outcome)
            }
            Job::Delete(id, answer) => {
                let outcome = self.directory.delete(&self.connection, &id);
                batch.changed.push(id);
                batch.settle(answer, outcome)
            }
            Job::Quarantine(request, answer) => {
                let outcome = self.quarantine(&request, batch);
                batch.settle(answer, outcome)
            }
            Job::Release(ids, answer) => {
                let outcome = quarantine::remove(&self.connection, &ids);
                let outcome = outcome.and_then(|()| self.recount());
                batch.settle(answer, outcome)
            }
            Job::Purge(before, answer) => {
                let outcome = self.purge(before);
                batch.settle(answer, outcome)
            }
            Job::Probe(answer) => match self.file.check_room() {
                Ok(()) => {
                    let outcome = self.probe(batch);
                    batch.settle(answer, outcome)
                }
                // Whoever has left is not waiting for it. No failure of the job, which has changed nothing.
                Err(error) => {
                    drop(answer.send(Err(error)));
                    Ok(())
                }
            },
        }
    }

    /// Writes something that SQLite cannot leave out, unless there was a commit just now.
    fn probe(&self, batch: &mut Batch) -> rusqlite::Result<()> {
        let young = self.written.borrow().is_some_and(|at| at.elapsed() < YOUNG);
        if batch.writes || (self.writable && young) {
            return Ok(());
        }
        let bytes = if self.writable { PROBE_BYTES } else { LARGE_PROBE_BYTES };
        self.connection
            .prepare_cached(
                "INSERT INTO probe (only, bytes) VALUES (1, randomblob(?1))
                 ON CONFLICT (only) DO UPDATE SET bytes = excluded.bytes",
            )?
            .execute([bytes])?;
        batch.writes = true;
        Ok(())
    }

    /// One step. What was deleted is still in the write-ahead log, and goes from there once all is deleted.
    fn purge(&mut self, before: i64) -> rusqlite::Result<bool> {
        let step = purge::step(&self.connection, &mut self.sweep, before)?;
        if step.quarantined > 0 {
            self.recount()?;
        }
        self.purged |= step.deleted > 0;
        if !step.more && std::mem::take(&mut self.purged) {
            self.emptying.cut_off();
        }
        Ok(step.more)
    }

    fn recount(&mut self) -> rusqlite::Result<()> {
        self.quarantined = Holdings::load(&self.connection)?;
        Ok(())
    }

    fn quarantine(&mut self, request: &Quarantined, batch: &mut Batch) -> rusqlite::Result<()> {
        batch.dropped += self.quarantined.set_aside(&self.connection, request)?;
        batch.quarantined += 1;
        batch.writes = true;
        Ok(())
    }

    fn import(&mut self, import: Import, batch: &mut Batch) -> rusqlite::Result<Vec<Upserted>> {
        let Import { entries, moving, assigned } = import;
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            let outcome = self.directory.upsert(&self.connection, &entry, moving, &assigned)?;
            // No pad can have the one that is new, and thousands of hints would only keep the bus busy.
            if matches!(outcome, Upserted::Stored(Change::Recreated | Change::Changed)) {
                batch.changed.push(entry.id);
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// After the commit: the events go to the relay, the answers to whoever asked.
    fn hand_over(&mut self, batch: Batch) {
        if batch.writes {
            self.written.send_replace(Some(Instant::now()));
        }
        if !batch.events.is_empty() {
            let committed =
                Committed { first_key: self.newest_key + 1, at: Instant::now(), events: batch.events };
            self.newest_key = batch.last_key;
            self.outbox.committed(batch.last_key);
            self.offer(committed);
        }
        batch.changed.into_iter().for_each(|id| self.outbox.store_changed(id));
        batch.logged.into_iter().for_each(|logged| self.metrics.logged(logged));
        self.metrics.quarantined.inc_by(batch.quarantined);
        self.metrics.quarantine_dropped.inc_by(batch.dropped);
        batch.due.into_iter().for_each(|answer| answer(Ok(())));
    }

    /// Hands a commit to the relay. If it is behind, it will find it in the log.
    fn offer(&self, committed: Committed) {
        let size = committed.size();
        if !self.outbox.has_room(size) {
            self.outbox.nudge();
        } else if self.fresh.try_send(committed).is_err() {
            self.outbox.taken(size);
            self.outbox.nudge();
        }
    }

    fn write_mark(&mut self) -> rusqlite::Result<()> {
        let relayed = self.outbox.relayed();
        if relayed != self.relayed {
            self.connection.prepare_cached("UPDATE meta SET relayed = ?1")?.execute([relayed])?;
            self.relayed = relayed;
        }
        Ok(())
    }

    /// After a failed commit memory may be ahead of the file, or, if only the answer to COMMIT was lost, behind it.
    fn recover(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "cannot roll back");
        }
        self.stale = true;
    }

    /// Reads again what a failed commit has left in doubt. While that fails, nothing is written.
    fn reload_if_stale(&mut self) -> rusqlite::Result<()> {
        if self.stale {
            self.directory = Directory::load(&self.connection)?;
            let (newest_key, relayed) = marks(&self.connection)?;
            // No key is given out twice, though a purge may have deleted the newest events, of a store that is no more.
            self.newest_key = self.newest_key.max(newest_key);
            self.relayed = relayed;
            self.recount()?;
            self.stale = false;
            self.outbox.committed(self.newest_key);
            self.outbox.nudge();
        }
        Ok(())
    }
}

/// The key of the newest event, and the relay's mark. With every event purged, keys would begin anew below the mark.
fn marks(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT max(relayed, ifnull((SELECT max(key) FROM events), 0)), relayed FROM meta";
    connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

impl Batch {
    /// Answers a failed job now, and one that succeeded after the commit. A requester that has gone away needs no
    /// answer: what it asked for is done, and a repeat is recognised.
    fn settle<T: Send + 'static>(
        &mut self,
        answer: Answer<T>,
        outcome: rusqlite::Result<T>,
    ) -> rusqlite::Result<()> {
        match outcome {
            Ok(value) => {
                self.due.push(Box::new(move |committed| drop(answer.send(committed.map(|()| value)))));
                Ok(())
            }
            Err(error) => {
                drop(answer.send(Err(LogError::unavailable(&error))));
                Err(error)
            }
        }
    }
}

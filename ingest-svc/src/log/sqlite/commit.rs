//! One transaction with all jobs that have accumulated. Each job has a savepoint of its own, so that a failed one takes back only
//! itself. Memory changes only after the file has; answers go out after the commit.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        batch::Batch,
        error::LogError,
        job::{Answer, Import, Job},
        metrics::Counted,
    },
    purge, quarantine,
    record::Savepoint,
    stores,
    writer::Writer,
};
use crate::{
    call::{ActionOutcome, ActionRequest, Ingested, RecordOutcome, Status},
    cdr::Record,
    request::Quarantined,
    store::{Assigned, Moving, StoreEntry, Upserted},
};

/// A commit that is younger than this shows well enough that the log can be written: a probe then writes nothing.
const YOUNG: Duration = Duration::from_millis(500);

/// Bytes that a probe writes while all is well: one page.
const PROBE_BYTES: u32 = 16;

/// Bytes that a probe writes after a commit that failed: more than the largest record, so that the log does not count as
/// writable again because small records have room.
const LARGE_PROBE_BYTES: u32 = 128 * 1024;

impl Writer {
    /// Commits all jobs. If the commit fails, every job is answered with the error, and nothing is half-written.
    pub(super) fn commit(&mut self, jobs: &mut Vec<Job>) {
        let mut batch = Batch::default();
        let asked = jobs.iter().filter(|job| !matches!(job, Job::Probe(_))).count();
        let outcome = self.file.check_name().and_then(|()| self.transact(jobs, &mut batch));
        self.writable = outcome.is_ok();
        let Err(error) = outcome else {
            let first_key = self.newest_key + 1;
            self.newest_key += batch.events.len() as u64;
            return self.committer.committed(batch, first_key);
        };
        // What a probe finds is reported by its sender.
        if asked > 0 {
            tracing::error!(%error, jobs = asked, "the commit failed; its requests are refused");
        }
        self.committer.metrics.failed_commits.inc();
        self.roll_back();
        jobs.drain(..).for_each(|job| job.refuse(error.clone()));
        batch.refuse(&error);
    }

    fn transact(&mut self, jobs: &mut Vec<Job>, batch: &mut Batch) -> Result<(), LogError> {
        self.reload_if_stale()?;
        self.execute("BEGIN IMMEDIATE")?;
        for job in jobs.drain(..) {
            let changes_directory = matches!(job, Job::Upsert(..) | Job::Import(..) | Job::Delete(..));
            self.execute("SAVEPOINT job")?;
            if let Err(error) = self.perform(job, batch) {
                // Either SQLite has rolled everything back, e.g. because the disk is full. Or the directory in memory may be
                // half-changed, and must be read again.
                if self.connection.is_autocommit() || changes_directory {
                    return Err(error);
                }
                tracing::error!(%error, "cannot log a request; refusing it alone");
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        stores::write_positions(&self.connection, &mut self.directory)?;
        self.write_mark()?;
        Ok(self.execute("COMMIT")?)
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    /// After a failed commit memory may be ahead of the file, or, if only the answer to COMMIT was lost, behind it.
    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "cannot roll back");
        }
        self.stale = true;
    }

    /// Does one job inside its savepoint. A job that fails has been answered.
    fn perform(&mut self, job: Job, batch: &mut Batch) -> Result<(), LogError> {
        match job {
            Job::Ingest(record, answer) => {
                let outcome = self.ingest(&record, batch);
                settle(batch, answer, outcome)
            }
            Job::Act(request, answer) => {
                let outcome = self.act(&request, batch);
                settle(batch, answer, outcome)
            }
            Job::Upsert(entry, moving, answer) => {
                let outcome = self.upsert(entry, moving, batch);
                settle(batch, answer, outcome)
            }
            Job::Import(import, answer) => {
                let outcome = self.import(*import, batch);
                settle(batch, answer, outcome)
            }
            Job::Delete(id, answer) => {
                let outcome = stores::delete(&self.connection, &mut self.directory, &id);
                batch.changed.push(id);
                settle(batch, answer, outcome)
            }
            Job::Quarantine(request, answer) => {
                let outcome = self.quarantine(&request, batch);
                settle(batch, answer, outcome)
            }
            Job::Release(ids, answer) => {
                let outcome = quarantine::remove(&self.connection, &ids).and_then(|()| self.recount());
                settle(batch, answer, outcome)
            }
            Job::Purge(before, answer) => {
                let outcome = self.purge(before);
                settle(batch, answer, outcome)
            }
            Job::Probe(answer) => match self.file.check_room() {
                Ok(()) => {
                    let outcome = self.probe(batch);
                    settle(batch, answer, outcome)
                }
                // A client that has gone away is not waiting for it. The job has not failed: it has changed nothing.
                Err(error) => {
                    drop(answer.send(Err(error)));
                    Ok(())
                }
            },
        }
    }

    fn savepoint(&mut self, batch: &Batch) -> Savepoint<'_> {
        Savepoint {
            connection: &self.connection,
            directory: &mut self.directory,
            unreadable: &self.unreadable,
            epoch: self.epoch,
            event_key: self.newest_key + batch.events.len() as u64 + 1,
            now: jiff::Timestamp::now(),
        }
    }

    fn ingest(&mut self, record: &Record, batch: &mut Batch) -> rusqlite::Result<Ingested> {
        let popup_ttl = self.popup_ttl;
        let (outcome, event) = self.savepoint(batch).log(record, popup_ttl)?;
        let RecordOutcome { ingested, new_call, is_late, had_more } = outcome;
        batch.writes |= ingested.status != Status::Duplicate;
        batch.events.extend(event);
        let source = Arc::clone(&record.source);
        batch.logged.push(Counted { source, status: ingested.status, new_call, had_more, is_late });
        Ok(ingested)
    }

    fn act(&mut self, request: &ActionRequest, batch: &mut Batch) -> rusqlite::Result<ActionOutcome> {
        let (outcome, event) = self.savepoint(batch).act(request)?;
        batch.writes |= event.is_some();
        batch.events.extend(event);
        Ok(outcome)
    }

    fn upsert(&mut self, entry: StoreEntry, moving: Moving, batch: &mut Batch) -> rusqlite::Result<Upserted> {
        let none = Assigned::default();
        let outcome = stores::upsert(&self.connection, &mut self.directory, &entry, moving, &none)?;
        if outcome.hints_pads() {
            batch.changed.push(entry.id);
        }
        Ok(outcome)
    }

    fn import(&mut self, import: Import, batch: &mut Batch) -> rusqlite::Result<Vec<Upserted>> {
        let Import { entries, moving, assigned } = import;
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            let outcome = stores::upsert(&self.connection, &mut self.directory, &entry, moving, &assigned)?;
            if outcome.hints_pads_after_import() {
                batch.changed.push(entry.id);
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn quarantine(&mut self, request: &Quarantined, batch: &mut Batch) -> rusqlite::Result<()> {
        batch.dropped += quarantine::add(&self.connection, &mut self.holdings, &self.capacity, request)?;
        batch.quarantined += 1;
        batch.writes = true;
        Ok(())
    }

    /// One step. What was deleted is still in the write-ahead log, and is removed from there once everything is deleted.
    fn purge(&mut self, before: i64) -> rusqlite::Result<bool> {
        let step = purge::step(&self.connection, &mut self.sweep, before)?;
        if step.quarantined > 0 {
            self.recount()?;
        }
        self.purged |= step.deleted > 0;
        if !step.more && std::mem::take(&mut self.purged) {
            self.emptying.request_truncation();
        }
        Ok(step.more)
    }

    /// Writes something that SQLite cannot leave out, unless there was a commit just now.
    fn probe(&self, batch: &mut Batch) -> rusqlite::Result<()> {
        let is_young = self.committer.written.borrow().is_some_and(|at| at.elapsed() < YOUNG);
        if batch.writes || (self.writable && is_young) {
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
}

fn settle<T: Send + 'static>(
    batch: &mut Batch,
    answer: Answer<T>,
    outcome: rusqlite::Result<T>,
) -> Result<(), LogError> {
    batch.settle(answer, outcome.map_err(LogError::from))
}

//! One transaction with all jobs of a batch. If one of them fails, all are done again, each in a savepoint of its own, so that the
//! failed one takes back only itself. Usually there are no savepoints, because each copies all pages that its job changes. Memory
//! changes only after the file has.

use std::time::{Duration, Instant};

use ringpad_runtime::ErrorChain;

use super::{
    super::{
        batch::Batch,
        error::{LogError, Obstacle},
        job::{Import, Job, Probe},
    },
    customers, pads,
    purge::{self, Sweep},
    quarantine,
    record::Savepoint,
    stores,
    writer::Writer,
};
use crate::{
    call::{ActionOutcome, ActionRequest, Ingested},
    cdr::Record,
    pad::{PadChange, PadOutcome},
    request::Quarantined,
    store::{Assigned, Moving, StoreEntry, Upserted},
};

/// Bytes that a probe writes while all is well: one page.
const PROBE_BYTES: u32 = 16;

/// Bytes that a probe writes after a commit that failed: more than the largest record.
const LARGE_PROBE_BYTES: u32 = 128 * 1024;

/// How long each job has a savepoint after one has failed: others may fail for the same reason, e.g. a damaged page, and to do a
/// batch again means to read the directory again.
const CAREFUL: Duration = Duration::from_secs(60);

/// What is taken back if a job fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// The whole transaction.
    All,
    /// The job alone.
    One,
}

impl Writer {
    /// Commits all jobs. If the commit fails, nothing is half-written.
    pub(in super::super) fn commit(&mut self, jobs: &mut [Job], probe: Probe) -> Result<Batch, LogError> {
        self.count_towards_checkpoint(jobs);
        let committed = self.file.check_name().and_then(|()| self.transact_all(jobs, probe));
        match &committed {
            Ok(batch) => self.newest_key += batch.events.len() as u64,
            Err(_) => self.roll_back(),
        }
        committed
    }

    /// Does all jobs together, and each in its savepoint only if one of them fails, or one has failed not long ago.
    fn transact_all(&mut self, jobs: &mut [Job], probe: Probe) -> Result<Batch, LogError> {
        if self.careful_until.is_none_or(|until| until <= Instant::now()) {
            if let Some(batch) = self.transact(jobs, probe, Undo::All)? {
                return Ok(batch);
            }
            self.roll_back();
            self.careful_until = Some(Instant::now() + CAREFUL);
        }
        self.transact(jobs, probe, Undo::One)?.ok_or_else(|| Obstacle::NotDone.into())
    }

    /// `None`: a job has failed, which can be taken back only with all others.
    fn transact(&mut self, jobs: &mut [Job], probe: Probe, undo: Undo) -> Result<Option<Batch>, LogError> {
        self.reload_if_stale()?;
        let mut batch = Batch { first_key: self.newest_key + 1, ..Batch::default() };
        self.execute("BEGIN IMMEDIATE")?;
        for job in jobs {
            if undo == Undo::One {
                self.execute("SAVEPOINT job")?;
            }
            if let Err(error) = self.perform(job, probe, &mut batch) {
                let changes_directory = matches!(job, Job::Upsert(_) | Job::Import(_) | Job::Delete(_));
                // Either SQLite has rolled everything back, e.g. because the disk is full. Or the directory in memory may be
                // half-changed, and must be read again.
                if self.connection.is_autocommit() || changes_directory {
                    return Err(error);
                }
                if undo == Undo::All {
                    tracing::warn!(error = %ErrorChain(&error), "cannot log a request; doing each of its batch by itself");
                    return Ok(None);
                }
                tracing::error!(error = %ErrorChain(&error), "cannot log a request; refusing it alone");
                self.execute("ROLLBACK TO job")?;
            }
            if undo == Undo::One {
                self.execute("RELEASE job")?;
            }
        }
        stores::write_positions(&self.connection, &mut self.directory)?;
        self.write_mark_if_due()?;
        self.execute("COMMIT")?;
        Ok(Some(batch))
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
        // What it has deleted is there again.
        self.sweep = Sweep::default();
    }

    /// Does one job inside the transaction.
    fn perform(&mut self, job: &mut Job, probe: Probe, batch: &mut Batch) -> Result<(), LogError> {
        match job {
            Job::Ingest(work) => work.set(self.ingest(&work.input, batch)),
            Job::Act(work) => work.set(self.act(&work.input, batch)),
            Job::Upsert(work) => work.set(self.upsert(&work.input, batch)),
            Job::Import(work) => work.set(self.import(&work.input, batch)),
            Job::Customers(work) => work.set(customers::upsert(&self.connection, &work.input)),
            Job::DeleteCustomer(work) => {
                let (store_id, id) = &work.input;
                work.set(customers::delete(&self.connection, store_id, id))
            }
            Job::Delete(work) => {
                batch.deleted(&work.input);
                work.set(stores::delete(&self.connection, &mut self.directory, &work.input))
            }
            Job::Pads(work) => work.set(self.change_pads(&work.input, batch)),
            Job::Quarantine(work) => work.set(self.quarantine(&work.input, batch)),
            Job::Release(work) => {
                work.set(quarantine::remove(&self.connection, &work.input).and_then(|()| self.recount()))
            }
            Job::Purge(work) => work.set(self.purge(work.input)),
            Job::Probe(work) => match self.file.check_room() {
                Ok(()) => work.set(self.probe(probe, batch)),
                // The job has not failed: it has changed nothing, and its sender reports the error.
                Err(error) => {
                    drop(work.set::<LogError>(Err(error)));
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
            event_key: batch.first_key + batch.events.len() as u64,
            now: jiff::Timestamp::now(),
        }
    }

    fn ingest(&mut self, record: &Record, batch: &mut Batch) -> rusqlite::Result<Ingested> {
        let popup_ttl = self.popup_ttl;
        let (outcome, event) = self.savepoint(batch).log(record, popup_ttl)?;
        Ok(batch.record(record, outcome, event))
    }

    fn act(&mut self, request: &ActionRequest, batch: &mut Batch) -> rusqlite::Result<ActionOutcome> {
        let (outcome, event) = self.savepoint(batch).act(request)?;
        batch.action(event);
        Ok(outcome)
    }

    fn upsert(
        &mut self,
        (entry, moving): &(StoreEntry, Moving),
        batch: &mut Batch,
    ) -> rusqlite::Result<Upserted> {
        let none = Assigned::default();
        let outcome = stores::upsert(&self.connection, &mut self.directory, entry, *moving, &none)?;
        batch.upserted(&entry.id, &outcome);
        Ok(outcome)
    }

    fn import(&mut self, import: &Import, batch: &mut Batch) -> rusqlite::Result<Vec<Upserted>> {
        let Import { entries, moving, assigned } = import;
        let upsert = |entry: &StoreEntry| {
            let outcome = stores::upsert(&self.connection, &mut self.directory, entry, *moving, assigned)?;
            batch.imported(&entry.id, &outcome);
            Ok(outcome)
        };
        entries.iter().map(upsert).collect()
    }

    fn change_pads(&mut self, change: &PadChange, batch: &mut Batch) -> rusqlite::Result<PadOutcome> {
        let outcome = pads::change(&self.connection, change, self.capacity.pairing_codes)?;
        batch.writes |= matches!(outcome, PadOutcome::Begun(_));
        Ok(outcome)
    }

    fn quarantine(&mut self, request: &Quarantined, batch: &mut Batch) -> rusqlite::Result<()> {
        let dropped = quarantine::add(&self.connection, &mut self.holdings, &self.capacity, request)?;
        batch.quarantined(dropped);
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

    /// Writes something that SQLite cannot leave out, unless nothing is needed.
    fn probe(&self, probe: Probe, batch: &mut Batch) -> rusqlite::Result<()> {
        let bytes = match probe {
            Probe::Nothing => return Ok(()),
            _ if batch.writes => return Ok(()),
            Probe::Little => PROBE_BYTES,
            Probe::Much => LARGE_PROBE_BYTES,
        };
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

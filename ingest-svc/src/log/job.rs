//! The jobs of the writer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::{LogError, Obstacle};
use crate::{
    call::{ActionOutcome, ActionRequest, Ingested},
    cdr::Record,
    customer::{CustomerChange, CustomerEntry, Deleted},
    pad::{PadChange, PadOutcome},
    request::Quarantined,
    store::{Assigned, Moving, StoreEntry, Upserted},
};

/// What the writer is asked to do.
pub(super) enum Job {
    /// Log a record.
    Ingest(Box<Work<Record, Ingested>>),
    /// Do a pad's action.
    Act(Box<Work<ActionRequest, ActionOutcome>>),
    /// Make or replace a store.
    Upsert(Box<Work<(StoreEntry, Moving), Upserted>>),
    /// Many stores, in a transaction of their own.
    Import(Box<Work<Import, Vec<Upserted>>>),
    /// Make or replace customers, in a transaction of their own; answers `None` if there is no such store.
    Customers(Box<Work<CustomerImport, Option<Vec<CustomerChange>>>>),
    /// Delete the customer of a store, both by id.
    DeleteCustomer(Box<Work<(String, String), Deleted>>),
    /// Remove a store; answers whether there was one.
    Delete(Box<Work<String, bool>>),
    /// Change what is known of tablets.
    Pads(Box<Work<PadChange, PadOutcome>>),
    /// Keep a request that is not a CDR.
    Quarantine(Box<Work<Quarantined, ()>>),
    /// Remove requests from the quarantine.
    Release(Box<Work<Vec<u64>, ()>>),
    /// Delete a few calls and events from before this Unix second; answers whether there are more.
    Purge(Box<Work<i64, bool>>),
    /// Write something, to see whether it can be done; unless that is known from what was written just now.
    Probe(Box<Work<(), ()>>),
}

/// What a probe writes, unless its transaction writes something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// Nothing: something was written just now.
    Nothing,
    /// As little as shows that all is well.
    Little,
    /// After a commit that failed: more than the largest record, so that the log does not count as writable again because small
    /// records have room.
    Much,
}

/// The input of a job, and its outcome. The input stays until the commit, so that a database can try a batch again.
pub(super) struct Work<I, T> {
    pub(super) input: I,
    /// `None`: the database has not done it yet.
    outcome: Option<Result<T, LogError>>,
    answer: Answer<T>,
}

/// Where an answer goes.
type Answer<T> = oneshot::Sender<Result<T, LogError>>;

/// Where an answer comes from.
pub(super) type Answered<T> = oneshot::Receiver<Result<T, LogError>>;

impl<I, T> Work<I, T> {
    /// Work that is not done yet, and where its answer comes from.
    pub(super) fn new(input: I) -> (Box<Self>, Answered<T>) {
        let (answer, answered) = oneshot::channel();
        (Box::new(Self { input, outcome: None, answer }), answered)
    }

    /// Keeps the outcome, which is answered after the commit.
    ///
    /// # Errors
    /// The job has failed.
    pub(super) fn set<E: Into<LogError>>(&mut self, outcome: Result<T, E>) -> Result<(), LogError> {
        let outcome = outcome.map_err(E::into);
        let failed = outcome.as_ref().err().cloned();
        self.outcome = Some(outcome);
        failed.map_or(Ok(()), Err)
    }

    /// Keeps the outcome of a job that has not failed.
    pub(super) fn done(&mut self, outcome: T) {
        self.outcome = Some(Ok(outcome));
    }

    fn fail(&mut self, error: &LogError) {
        self.outcome = Some(Err(error.clone()));
    }

    /// Answers after a commit, or after a failed one. A client that has gone away needs no answer: what it asked for is done, and
    /// a repeat is recognised.
    fn answer(self, committed: Result<(), &LogError>) {
        let outcome = match (committed, self.outcome) {
            (_, Some(Err(error))) => Err(error),
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Obstacle::NotDone.into()),
        };
        drop(self.answer.send(outcome));
    }
}

/// A part of an import.
#[derive(Debug)]
pub(crate) struct Import {
    /// As many as may be in one transaction.
    pub(crate) entries: Vec<StoreEntry>,
    pub(crate) moving: Moving,
    /// The numbers of all parts.
    pub(crate) assigned: Arc<Assigned>,
}

/// Customers of one store.
#[derive(Debug, Clone)]
pub(crate) struct CustomerImport {
    pub(crate) store_id: String,
    /// As many as may be in one transaction.
    pub(crate) entries: Vec<CustomerEntry>,
}

/// Bytes that a row of an import writes, about, in tables and indexes.
const ROW: usize = 1_500;

impl Job {
    /// Bytes that it writes, where they may be many.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Quarantine(work) => work.input.request.bytes(),
            Self::Import(work) => {
                work.input.entries.iter().map(|entry| (1 + entry.numbers.len()) * ROW).sum()
            }
            Self::Customers(work) => {
                work.input.entries.iter().map(CustomerEntry::weight).sum::<usize>() * ROW
            }
            _ => 0,
        }
    }

    /// Whether it is a part of an import, which takes turns with live jobs.
    pub(super) fn is_part_of_import(&self) -> bool {
        matches!(self, Self::Import(_) | Self::Customers(_))
    }

    /// It has failed.
    pub(super) fn fail(&mut self, error: &LogError) {
        match self {
            Self::Ingest(work) => work.fail(error),
            Self::Act(work) => work.fail(error),
            Self::Upsert(work) => work.fail(error),
            Self::Import(work) => work.fail(error),
            Self::Customers(work) => work.fail(error),
            Self::DeleteCustomer(work) => work.fail(error),
            Self::Delete(work) => work.fail(error),
            Self::Pads(work) => work.fail(error),
            Self::Quarantine(work) => work.fail(error),
            Self::Release(work) => work.fail(error),
            Self::Purge(work) => work.fail(error),
            Self::Probe(work) => work.fail(error),
        }
    }

    /// Answers it after a commit, or after a failed one.
    pub(super) fn answer(self, committed: Result<(), &LogError>) {
        match self {
            Self::Ingest(work) => work.answer(committed),
            Self::Act(work) => work.answer(committed),
            Self::Upsert(work) => work.answer(committed),
            Self::Import(work) => work.answer(committed),
            Self::Customers(work) => work.answer(committed),
            Self::DeleteCustomer(work) => work.answer(committed),
            Self::Delete(work) => work.answer(committed),
            Self::Pads(work) => work.answer(committed),
            Self::Quarantine(work) => work.answer(committed),
            Self::Release(work) => work.answer(committed),
            Self::Purge(work) => work.answer(committed),
            Self::Probe(work) => work.answer(committed),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_jobs_own_error_else_the_commits_else_its_outcome() {
        let own = || Err(LogError::TooLong);
        let failed = LogError::from(Obstacle::Closing);
        let answer = |outcome: Option<Result<u8, LogError>>, committed: Result<(), &LogError>| {
            let (mut work, answered) = Work::new(());
            if let Some(outcome) = outcome {
                drop(work.set(outcome));
            }
            work.answer(committed);
            answered.blocking_recv().unwrap().map_err(|error| matches!(error, LogError::TooLong))
        };
        assert_eq!(answer(Some(Ok(7)), Ok(())), Ok(7));
        assert_eq!(answer(Some(Ok(7)), Err(&failed)), Err(false));
        assert_eq!((answer(Some(own()), Ok(())), answer(Some(own()), Err(&failed))), (Err(true), Err(true)));
        assert_eq!(answer(None, Ok(())), Err(false), "no answer says that it was done");
        // A batch that is tried again.
        let (mut work, _) = Work::<(), u8>::new(());
        assert!(work.set(own()).is_err() && work.set::<LogError>(Ok(7)).is_ok());
    }
}

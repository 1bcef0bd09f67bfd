//! Jobs that share a transaction, chosen by the test: past the queue, which takes what has accumulated.

use ringpad_bus::Event;

use super::*;
use crate::log::{database::DatabaseWriter, job::Probe};

/// A database that is open without a queue.
pub(in super::super) struct Direct {
    pub(in super::super) writer: DatabaseWriter,
    pub(in super::super) reader: LogReader,
    /// What was handed over to the relay.
    pub(in super::super) events: Vec<Event>,
}

impl Direct {
    pub(in super::super) async fn open(database: &Database) -> Self {
        let (capacity, mut registry) = (LogCapacity::default(), Registry::default());
        let metrics = LogMetrics::new(&mut registry);
        let ttl = TTL.try_into().unwrap();
        let open = database.open(ttl, &capacity, &metrics, &mut registry).await.unwrap();
        let reader = LogReader::new(open.epoch, open.reader, &capacity, metrics);
        Self { writer: open.writer, reader, events: Vec::new() }
    }

    /// Does these jobs in one batch, and answers them.
    pub(in super::super) async fn commit(&mut self, mut jobs: Vec<Job>) {
        let batch = self.writer.commit(&mut jobs, Probe::Nothing).await.unwrap();
        self.events.extend(batch.events);
        jobs.into_iter().for_each(|job| job.answer(Ok(())));
    }

    /// Does jobs of one kind in one batch, and returns their answers.
    pub(in super::super) async fn batch<I, T>(
        &mut self,
        kind: fn(Box<Work<I, T>>) -> Job,
        inputs: Vec<I>,
    ) -> Vec<T> {
        let jobs = inputs.into_iter().map(Work::new);
        let (jobs, answers): (Vec<_>, Vec<_>) = jobs.map(|(work, answered)| (kind(work), answered)).unzip();
        self.commit(jobs).await;
        let mut outcomes = Vec::new();
        for answered in answers {
            outcomes.push(answered.await.unwrap().unwrap());
        }
        outcomes
    }
}

/// Each row: the records of one batch, which are one call. The store and the caller come from different ones.
async fn a_caller_is_counted_whatever_records_of_a_batch_name_it(backend: Backend) {
    let place = Place::new(backend).await;
    let mut log = Direct::open(&place.database()).await;
    log.batch(Job::Upsert, vec![(gangnam(), Moving::Refused)]).await;
    let (vn, ton) = (("vn", "050712345678"), ("ton", "025550001"));
    let (nobodys, nobodys_line) = (("vn", "050799999999"), ("ton", "025559999"));
    let (caller, end) = (("fromn", "01012345678"), ("edt", "20261123142600"));
    let batches: &[&[&[(&str, &str)]]] = &[
        &[&[vn, caller]],
        &[&[vn], &[nobodys_line, caller, end]],
        &[&[nobodys_line, caller], &[vn, end]],
        &[&[nobodys, caller], &[ton, end]],
        &[&[nobodys_line], &[nobodys_line, caller], &[vn, end]],
        &[&[ton], &[nobodys_line, end], &[nobodys_line, caller, ("memo", "세차")]],
    ];
    for (number, batch) in batches.iter().enumerate() {
        let (seq, sdt) = (number.to_string(), ("sdt", "20261123142530"));
        let records = batch.iter().map(|more| record(&[&[("seq", seq.as_str()), sdt], *more].concat()));
        log.batch(Job::Ingest, records.collect()).await;
        let updates = updates(&log.reader, "gangnam").await;
        let history = updates.last().unwrap().call.as_ref().unwrap().history.as_ref().unwrap();
        assert_eq!(history.calls as usize, number, "{batch:?}");
    }
    log.writer.close().await;
}

on_each_backend! {
    a_caller_is_counted_whatever_records_of_a_batch_name_it,
}

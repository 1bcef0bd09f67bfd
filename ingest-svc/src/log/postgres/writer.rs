//! Commits the jobs that have accumulated: those of one kind that stand together in one transaction. A transaction that meets another
//! one is tried again; one in which a job fails is done again job by job.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use ringpad_runtime::ErrorChain;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    super::{
        batch::{Batch, Stop},
        error::{LogError, Obstacle},
        job::Job,
        outbox::Outbox,
        unreadable::UnreadableRows,
    },
    customers,
    error::{Failure, ServerError},
    load::{Given, load},
    locks::BEGIN,
    owner, pads,
    purge::{self, Sweep},
    quarantine,
    save::{Mark, save},
    schema::LogId,
    stores,
    target::{Servers, Session},
    working::Working,
};
use crate::capacity::LogCapacity;

/// How often a transaction that met another one is tried again before its jobs are done one by one, each once.
const RETRIES: u32 = 3;

/// How long it waits before it is tried again on a new connection, e.g. while the server starts.
const PAUSE: Duration = Duration::from_millis(200);

/// For how long jobs are done one by one. The requests of the others wait meanwhile, and for 4 s at most.
const ONE_BY_ONE: Duration = Duration::from_secs(3);

/// How long it may take to take over from other ingest-svc; requests wait meanwhile.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// How long a transaction may take. A server that is frozen, or waits for its standby, takes longer than a request waits; the connection is
/// then given up, and another server may have the log by now. The transaction is never cancelled: a commit that waits
/// for the standby would become visible, and could be lost with the server.
const LONGEST: Duration = Duration::from_secs(5);

/// For how long a batch whose connection was lost is tried again on a new one: a request waits 4 s for its answer.
const RECONNECT: Duration = Duration::from_secs(1);

/// The connection that writes, and what the writer knows apart from the tables.
pub(in super::super) struct Writer {
    pub(super) servers: Servers,
    /// `None`: it is lost.
    pub(super) session: Option<Session>,
    pub(super) log: LogId,
    pub(super) epoch: Uuid,
    /// Under which name this ingest-svc commits events; `None`: it has to take a new one.
    pub(super) owner: Option<Uuid>,
    /// The sequence of the newest event that is known to be committed.
    pub(super) newest: u64,
    /// Whether a probe was done, after which it looks for ingest-svc that have died.
    pub(super) probed: bool,
    pub(super) shared_owner: Arc<owner::CurrentOwner>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) popup_ttl: jiff::SignedDuration,
    pub(super) capacity: LogCapacity,
    pub(super) unreadable: UnreadableRows,
    pub(super) sweep: Sweep,
    /// Whether the commit of the last transaction was sent: after a failure it is not known whether it was done.
    pub(super) may_be_committed: bool,
    /// The ids of changed stores whose commit was sent, until it is over. At most as many as stores.
    pub(super) unsettled: BTreeSet<String>,
}

/// Which jobs can share a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Records, actions and probes.
    Live,
    /// Changes of stores.
    Stores,
    /// Changes of customers.
    Customers,
    /// Tablets.
    Pads,
    /// The quarantine.
    Quarantine,
    /// The retention.
    Purge,
}

impl Kind {
    fn of(job: &Job) -> Self {
        match job {
            Job::Ingest(_) | Job::Act(_) | Job::Probe(_) => Self::Live,
            Job::Upsert(_) | Job::Import(_) | Job::Delete(_) => Self::Stores,
            Job::Customers(_) | Job::DeleteCustomer(_) => Self::Customers,
            Job::Pads(_) => Self::Pads,
            Job::Quarantine(_) | Job::Release(_) => Self::Quarantine,
            Job::Purge(_) => Self::Purge,
        }
    }
}

impl Writer {
    pub(in super::super) fn epoch(&self) -> Uuid {
        self.epoch
    }

    pub(in super::super) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    /// Does all jobs, and keeps the outcome of each in it. A probe needs nothing of its own: with it the lease is written.
    ///
    /// # Errors
    /// Nothing was done: the database cannot be written, or the outcome of the first commit is unknown.
    pub(in super::super) async fn commit(&mut self, jobs: &mut [Job]) -> Result<Batch, LogError> {
        let mut batch = Batch::default();
        let (mut done, began) = (0, Instant::now());
        while let Some(first) = jobs.get(done) {
            let kind = Kind::of(first);
            let same = jobs.iter().skip(done).take_while(|job| Kind::of(job) == kind);
            let end = done + same.count();
            let mut group: Vec<_> = jobs.iter_mut().take(end).skip(done).collect();
            match self.group(kind, &mut group, &mut batch, began).await {
                Ok(()) => done = end,
                Err(stop) if done + stop.done == 0 => return Err(stop.error),
                Err(stop) => {
                    // What is committed is committed. The rest is not tried: an unknown outcome would leave a gap in the events.
                    let done = done + stop.done;
                    jobs.iter_mut().skip(done).for_each(|job| job.fail(&stop.error));
                    batch.stop = Some(Stop { done, ..stop });
                    break;
                }
            }
        }
        if std::mem::take(&mut self.probed) {
            self.take_over(&mut batch).await;
        }
        Ok(batch)
    }

    /// Tells push-svc to read what ingest-svc that have died did not publish. What fails is tried again after the next probe.
    async fn take_over(&mut self, batch: &mut Batch) {
        let Some(owner) = self.owner else { return };
        let Some(session) = self.session.take() else { return };
        match timeout(TAKE_OVER, owner::take_over(&session.client, owner, &mut batch.changed)).await {
            Ok(Ok(())) => self.session = Some(session),
            Ok(Err(error)) => {
                tracing::warn!(error = %ErrorChain(&ServerError::from(error)), "cannot look for ingest-svc that have died");
            }
            Err(_) => tracing::warn!("looking for ingest-svc that have died takes too long"),
        }
    }

    /// Does jobs of one kind. A job that fails alone is no error.
    async fn group(
        &mut self,
        kind: Kind,
        jobs: &mut [&mut Job],
        batch: &mut Batch,
        began: Instant,
    ) -> Result<(), Stop> {
        let together = match self.tried(kind, jobs, batch, RETRIES).await {
            Ok(()) => return Ok(()),
            Err(Failure::Unusable(error)) => return Err(Stop { done: 0, error }),
            Err(Failure::Conflict(error) | Failure::Job(error)) => error,
        };
        for (done, job) in jobs.iter_mut().enumerate() {
            if began.elapsed() > ONE_BY_ONE {
                return Err(Stop { done, error: together });
            }
            match self.tried(kind, std::slice::from_mut(job), batch, 0).await {
                Ok(()) => {}
                Err(Failure::Unusable(error)) => return Err(Stop { done, error }),
                Err(Failure::Conflict(error) | Failure::Job(error)) => {
                    tracing::error!(error = %ErrorChain(&error), "cannot log a request; refusing it alone");
                    job.fail(&error);
                }
            }
        }
        Ok(())
    }

    /// Commits jobs of one kind in one transaction; again if it has met another one, or if its connection was lost before the commit was sent.
    async fn tried(
        &mut self,
        kind: Kind,
        jobs: &mut [&mut Job],
        batch: &mut Batch,
        retries: u32,
    ) -> Result<(), Failure> {
        let mut tries = 0;
        let began = Instant::now();
        loop {
            self.may_be_committed = false;
            let outcome = self.bounded(kind, jobs, batch).await;
            match &outcome {
                Err(Failure::Conflict(error)) if tries < retries => {
                    tracing::debug!(error = %ErrorChain(error), "a batch met another one, and is tried again");
                }
                Err(Failure::Unusable(error))
                    if tries < RETRIES
                        && !self.may_be_committed
                        && !error.is_other_epoch()
                        && began.elapsed() < RECONNECT =>
                {
                    tracing::warn!(error = %ErrorChain(error), "a batch is tried again on a new connection to the database");
                    sleep(PAUSE).await;
                }
                _ => return outcome,
            }
            tries += 1;
        }
    }

    /// One attempt. Afterwards there is no open transaction: it is over, or so is the connection.
    async fn bounded(&mut self, kind: Kind, jobs: &mut [&mut Job], batch: &mut Batch) -> Result<(), Failure> {
        let session = match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => session,
            None => self.connect().await?,
        };
        let attempt = timeout(LONGEST, self.transact(&session, kind, jobs)).await;
        let outcome = attempt.unwrap_or_else(|_| Err(Failure::Unusable(Obstacle::NoAnswer.into())));
        let is_usable = match &outcome {
            Ok(_) => true,
            Err(Failure::Unusable(_)) => false,
            Err(_) => matches!(timeout(LONGEST, session.client.batch_execute("ROLLBACK")).await, Ok(Ok(()))),
        };
        if is_usable {
            self.session = Some(session);
        }
        batch.add(outcome?);
        Ok(())
    }

    async fn connect(&self) -> Result<Session, Failure> {
        let session =
            self.servers.connect().await.map_err(|error| Failure::Unusable(LogError::unavailable(error)))?;
        if self.log.epoch(session.timeline.number) != self.epoch {
            return Err(Failure::Unusable(Obstacle::Promoted.into()));
        }
        Ok(session)
    }

    async fn transact(
        &mut self,
        session: &Session,
        kind: Kind,
        jobs: &mut [&mut Job],
    ) -> Result<Batch, Failure> {
        let client = &session.client;
        let mut batch = Batch::default();
        session.forget_warnings();
        match kind {
            Kind::Live => self.live(session, jobs, &mut batch).await?,
            Kind::Stores => stores::change(client, jobs, &mut batch).await?,
            Kind::Customers => customers::change(client, jobs).await?,
            Kind::Pads => pads::change(client, jobs, self.capacity.pairing_codes, &mut batch).await?,
            Kind::Quarantine => quarantine::change(client, jobs, &self.capacity, &mut batch).await?,
            Kind::Purge => self.purge(client, jobs).await?,
        }
        if kind != Kind::Live {
            self.unsettled.extend(std::mem::take(&mut batch.changed));
            self.may_be_committed = true;
            session.commit().await?;
        }
        // Both wait for every earlier change of stores to be over, also for one with an unknown outcome.
        if matches!(kind, Kind::Live | Kind::Stores) {
            batch.changed.extend(std::mem::take(&mut self.unsettled));
        }
        Ok(batch)
    }

    async fn purge(&mut self, client: &Client, jobs: &mut [&mut Job]) -> Result<(), Failure> {
        client.batch_execute(BEGIN).await?;
        for job in jobs {
            if let Job::Purge(work) = &mut **job {
                work.done(purge::step(client, &mut self.sweep, work.input).await?);
            }
        }
        Ok(())
    }

    /// Records, actions and probes. Renews the lease.
    async fn live(
        &mut self,
        session: &Session,
        jobs: &mut [&mut Job],
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let client = &session.client;
        let owner = match self.owner {
            Some(owner) => owner,
            None => self.enter(session).await?,
        };
        let given = Given {
            owner,
            epoch: self.epoch,
            timeline: session.timeline,
            popup_ttl: self.popup_ttl,
            unreadable: &self.unreadable,
        };
        let Some((mut working, newest)) = load(client, jobs, given).await? else {
            // Another ingest-svc took this one for dead, and has told hubs to read its events from the log.
            self.owner = None;
            tracing::warn!(
                "another ingest-svc has taken over the events of this one, which did not answer for 5 seconds; it continues under a new name"
            );
            return Err(Failure::Conflict(Obstacle::TakenOver.into()));
        };
        if newest != self.newest {
            // A commit with an unknown outcome was done: the relay reads its events from the log.
            self.outbox.committed(newest);
            self.outbox.nudge();
            self.newest = newest;
        }
        let probed = do_live(&mut working, jobs, batch)?;
        batch.first_key = newest + 1;
        batch.writes = true;
        self.may_be_committed = true;
        let committed = newest + working.events.len() as u64;
        save(session, working, &Mark { owner, newest, relayed: self.outbox.relayed() }).await?;
        self.newest = committed;
        self.probed |= probed;
        Ok(())
    }

    /// Takes a new name. Its events continue the count, so that the relay sees no jump.
    async fn enter(&mut self, session: &Session) -> Result<Uuid, Failure> {
        let owner = Uuid::now_v7();
        owner::enter(&session.client, owner, self.newest).await?;
        self.shared_owner.set(owner);
        self.owner = Some(owner);
        Ok(owner)
    }

    /// Notes how far the relay has come, and leaves what it has not published to the others.
    pub(in super::super) async fn close(self) {
        let (Some(session), Some(owner)) = (self.session, self.owner) else { return };
        let left = timeout(LONGEST, owner::leave(&session.client, owner, self.outbox.relayed())).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!(
                "cannot give the lease back; another ingest-svc takes it over when it has run out"
            );
        }
        session.close().await;
    }
}

/// Does records, actions and probes in memory; whether there was a probe.
fn do_live(working: &mut Working, jobs: &mut [&mut Job], batch: &mut Batch) -> Result<bool, Failure> {
    let mut probed = false;
    for job in jobs {
        match &mut **job {
            Job::Ingest(work) => {
                let (outcome, event) = working.log(&work.input)?;
                let ingested = batch.record(&work.input, outcome, event);
                work.done(ingested);
            }
            Job::Act(work) => {
                let (outcome, event) = working.act(&work.input)?;
                batch.action(event);
                work.done(outcome);
            }
            Job::Probe(work) => {
                probed = true;
                work.done(());
            }
            _ => {}
        }
    }
    Ok(probed)
}

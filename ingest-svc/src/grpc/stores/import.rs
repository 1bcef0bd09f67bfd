//! `ImportStores`: many stores at once.
//!
//! ```text
//! stream ─► read, and compared with each other ─► compared with the log (a reader) ─► faults? ─► written, part by part
//! ```
//!
//! The whole stream is here before anything is written, so that all faults are told at once and a faulty import changes
//! nothing. Only the last step takes the writer's time; see [`IMPORT`].

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use prost::Message;
use ringpad_proto::v1::{
    FieldViolation, ImportStoresRequest, ImportStoresResponse, Store, StoreFault, store_fault::Reason,
};
use ringpad_runtime::{CancellationToken, grpc};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tonic::{Status, Streaming};

use super::{
    super::unavailable,
    read::{self, ReadStore, shown},
};
use crate::log::{Assigned, Change, IMPORT, Import, Log, Moving, NumberKind, StoreEntry, Upserted};

/// Stores of one import at most.
const STORES: usize = 200_000;
/// Bytes of its messages at most.
const BYTES: usize = 64 * 1024 * 1024;
/// How long the next message may take to come.
const MESSAGE: Duration = Duration::from_secs(30);
/// Stores that are compared with the log in one query.
const COMPARED: usize = 1_000;
/// Bytes of faults in an answer, about: most gRPC libraries take 4 MiB.
const FAULTS: usize = 2 * 1024 * 1024;

/// See the module's text.
pub(super) struct Importer {
    log: Log,
    leaving: CancellationToken,
    /// One import at a time is in memory; the next ones wait, unread.
    turn: Semaphore,
}

/// Everything that was sent.
struct Received {
    stores: Vec<ReadStore>,
    moving: Moving,
    validate_only: bool,
}

/// The faults so far, and how many entries have them.
#[derive(Default)]
struct Faults {
    all: Vec<StoreFault>,
    entries: BTreeSet<usize>,
}

/// A field of an entry: its index, and the field's name or, of a number, the number's index.
type Place<T> = (usize, T);

impl Importer {
    pub(super) fn new(log: Log, leaving: CancellationToken) -> Self {
        Self { log, leaving, turn: Semaphore::new(1) }
    }

    /// Imports what a client sends.
    pub(super) async fn import(
        &self,
        messages: Streaming<ImportStoresRequest>,
    ) -> Result<ImportStoresResponse, Status> {
        let work = async {
            let _turn = self.turn.acquire().await.map_err(|_| Status::internal("no import has a turn"))?;
            let received = receive(messages).await?;
            let mut faults = Faults::default();
            let assigned = compare_with_each_other(&received.stores, &mut faults);
            let plan = self.compare_with_log(&received, &mut faults).await?;
            Ok((received, faults, assigned, plan))
        };
        let checked = self.leaving.run_until_cancelled(work).await;
        let (received, mut faults, assigned, plan) = checked.unwrap_or_else(|| Err(leaving("")))?;
        if !faults.all.is_empty() {
            return Ok(faults.answer(&[]));
        }
        if received.validate_only {
            return Ok(faults.answer(&plan));
        }
        let done = self.write(received, plan, assigned, &mut faults).await?;
        Ok(faults.answer(&done))
    }

    /// What would become of each store, as the log is now.
    async fn compare_with_log(
        &self,
        received: &Received,
        faults: &mut Faults,
    ) -> Result<Vec<Change>, Status> {
        let mut plan = Vec::with_capacity(received.stores.len());
        for stores in received.stores.chunks(COMPARED) {
            let entries = stores.iter().map(|store| store.entry.clone()).collect();
            let outcomes = self.log.reader().plan_stores(entries, received.moving).await;
            for (store, outcome) in stores.iter().zip(outcomes.map_err(unavailable)?) {
                let change = faults.take(plan.len(), store, outcome);
                plan.push(change.unwrap_or(Change::Unchanged));
            }
        }
        Ok(plan)
    }

    /// Writes what the plan changes. The changes of all stores that are then as they were sent.
    async fn write(
        &self,
        received: Received,
        plan: Vec<Change>,
        assigned: Assigned,
        faults: &mut Faults,
    ) -> Result<Vec<Change>, Status> {
        let Received { stores, moving, .. } = received;
        let assigned = Arc::new(assigned);
        let (all, mut done) = (plan.len(), Vec::with_capacity(plan.len()));
        let mut entries: Vec<usize> = (0..all).collect();
        entries.retain(|entry| match plan[*entry] {
            Change::Unchanged => {
                done.push(Change::Unchanged);
                false
            }
            Change::Created | Change::Recreated | Change::Changed => true,
        });
        for part in entries.chunks(IMPORT) {
            let how_far =
                || format!("; {} of {all} stores are imported, running it again does no harm", done.len());
            if self.leaving.is_cancelled() {
                return Err(leaving(&how_far()));
            }
            let entries: Vec<StoreEntry> = part.iter().map(|entry| stores[*entry].entry.clone()).collect();
            let import = Import { entries, moving, assigned: Arc::clone(&assigned) };
            let outcomes = self.log.import_stores(import).await;
            let outcomes = outcomes.map_err(|error| grpc::unavailable(format!("{error}{}", how_far())))?;
            for (entry, outcome) in part.iter().zip(outcomes) {
                if faults.take(*entry, &stores[*entry], outcome).is_some() {
                    done.push(plan[*entry]);
                }
            }
        }
        Ok(done)
    }
}

fn leaving(how_far: &str) -> Status {
    grpc::unavailable(format!("ingest-svc is leaving{how_far}"))
}

/// Reads the stream to its end.
async fn receive(mut messages: Streaming<ImportStoresRequest>) -> Result<Received, Status> {
    let mut received = Received { stores: Vec::new(), moving: Moving::Refused, validate_only: false };
    let (mut bytes, mut is_first) = (0, true);
    loop {
        let next = timeout(MESSAGE, messages.next()).await;
        let next =
            next.map_err(|_| Status::deadline_exceeded("the next message did not come within 30 s"))?;
        let Some(message) = next else { return Ok(received) };
        let message = message.map_err(grpc::unreadable)?;
        bytes += message.encoded_len();
        let ImportStoresRequest { stores, move_numbers, validate_only } = message;
        if received.stores.len() + stores.len() > STORES || bytes > BYTES {
            let most =
                format!("{STORES} stores, and {} MiB of them, at most are expected", BYTES / 1024 / 1024);
            return Err(Status::resource_exhausted(most));
        }
        if std::mem::take(&mut is_first) {
            received.moving = if move_numbers { Moving::Allowed } else { Moving::Refused };
            received.validate_only = validate_only;
        }
        received.stores.extend(read_all(stores).await?);
    }
}

/// Reads numbers for milliseconds: not where requests are answered.
async fn read_all(stores: Vec<Store>) -> Result<Vec<ReadStore>, Status> {
    let read = spawn_blocking(|| stores.into_iter().map(read::read).collect());
    read.await.map_err(|_| Status::internal("reading the stores panicked"))
}

/// Finds the faults of each store, and the ids and numbers that come twice; returns all numbers.
fn compare_with_each_other(stores: &[ReadStore], faults: &mut Faults) -> Assigned {
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut owners: HashMap<(NumberKind, &str), Place<usize>> = HashMap::new();
    for (entry, store) in stores.iter().enumerate() {
        for fault in &store.faults {
            faults.add(entry, store, Reason::Invalid, fault.clone(), None);
        }
        let id = store.entry.id.as_str();
        let is_id = store.faults.iter().all(|fault| fault.field != "id");
        let first = if is_id { *ids.entry(id).or_insert(entry) } else { entry };
        if first != entry {
            let description = format!("store {} comes twice; once is expected", shown(id));
            let fault = FieldViolation { field: "id".to_owned(), description };
            faults.add(entry, store, Reason::Repeated, fault, Some((first, "id".to_owned())));
            continue;
        }
        for (index, owned) in store.entry.numbers.iter().enumerate() {
            let (owner, place) = *owners.entry((owned.kind, &owned.number)).or_insert((entry, index));
            if owner != entry {
                let former = &stores[owner];
                let description = format!(
                    "{} is also store {}'s; a number belongs to one store",
                    owned.display,
                    shown(&former.entry.id)
                );
                let fault = FieldViolation { field: store.field(index), description };
                faults.add(entry, store, Reason::Repeated, fault, Some((owner, former.field(place))));
            }
        }
    }
    owners.into_keys().map(|(kind, number)| (kind, number.into())).collect()
}

impl Faults {
    fn add(
        &mut self,
        entry: usize,
        store: &ReadStore,
        reason: Reason,
        fault: FieldViolation,
        other: Option<Place<String>>,
    ) {
        self.entries.insert(entry);
        let (other_entry, other_field) = other.unwrap_or_default();
        self.all.push(StoreFault {
            entry: number(entry),
            store_id: store.entry.id.clone(),
            field: fault.field,
            reason: reason.into(),
            description: fault.description,
            other_entry: number(other_entry),
            other_field,
        });
    }

    /// The change of a store; `None`: it has faults, which are noted.
    fn take(&mut self, entry: usize, store: &ReadStore, outcome: Upserted) -> Option<Change> {
        match outcome {
            Upserted::Stored(change) => Some(change),
            Upserted::Conflicts(conflicts) => {
                for conflict in &conflicts {
                    self.add(entry, store, Reason::Owned, store.owned_elsewhere(conflict), None);
                }
                None
            }
        }
    }

    fn answer(mut self, done: &[Change]) -> ImportStoresResponse {
        let count = |wanted: fn(&Change) -> bool| number(done.iter().filter(|change| wanted(change)).count());
        self.all.sort_by_key(|fault| fault.entry);
        let found = self.all.len();
        let mut bytes = 0;
        let listed = self.all.into_iter().take_while(|fault| {
            bytes += fault.encoded_len();
            bytes <= FAULTS
        });
        let faults: Vec<_> = listed.collect();
        ImportStoresResponse {
            created: count(|change| change.is_new()),
            changed: count(|change| *change == Change::Changed),
            unchanged: count(|change| *change == Change::Unchanged),
            failed: number(self.entries.len()),
            faults_left_out: number(found - faults.len()),
            faults,
        }
    }
}

/// What is counted here is far less than 2³².
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

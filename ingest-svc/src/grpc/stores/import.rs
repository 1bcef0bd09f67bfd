//! `ImportStores`: many stores at once.
//!
//! ```text
//! stream ─► parsed, and compared with each other ─► compared with the log (a reader) ─► faults? ─► written, part by part
//! ```
//!
//! The whole stream is received before anything is written, so that all faults are reported at once and a faulty import
//! changes nothing. Only the last step takes the writer's time, and not much of it at once.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::StreamExt;
use prost::Message;
use ringpad_proto::v1::{
    FieldViolation, ImportStoresRequest, ImportStoresResponse, Store, StoreFault, store_fault::Reason,
};
use ringpad_runtime::{CancellationToken, ErrorChain, grpc};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tonic::{Status, Streaming};

use super::{
    super::{
        faults::{FaultBudget, number, shown},
        parts::parts,
        status::unavailable,
    },
    read::{self, ParsedStore},
};
use crate::{
    capacity::{ImportCapacity, STORE},
    log::{Import, Log},
    store::{Assigned, Change, Moving, StoreEntry, StoreNumber, Upserted},
};

/// Stores and their numbers that are compared with the log in one query.
const COMPARED: usize = 4_000;

/// Imports stores, one import after the other.
pub(super) struct Importer {
    log: Log,
    capacity: ImportCapacity,
    leaving: CancellationToken,
    /// One import at a time is in memory; the next ones wait and are not read.
    turn: Semaphore,
}

/// Everything that was sent.
struct ReceivedImport {
    stores: Vec<ParsedStore>,
    /// What is left for faults.
    budget: FaultBudget,
    moving: Moving,
    validate_only: bool,
}

/// The faults so far, and how many entries have them.
struct ImportFaults {
    all: Vec<StoreFault>,
    /// How many more faults there are, beyond the budget.
    left_out: usize,
    entries: BTreeSet<usize>,
    budget: FaultBudget,
}

impl Importer {
    pub(super) fn new(log: Log, capacity: ImportCapacity, leaving: CancellationToken) -> Self {
        Self { log, capacity, leaving, turn: Semaphore::new(1) }
    }

    /// Imports what a client sends.
    pub(super) async fn import(
        &self,
        messages: Streaming<ImportStoresRequest>,
    ) -> Result<ImportStoresResponse, Status> {
        let work = async {
            let turn =
                self.turn.acquire().await.map_err(|_| Status::internal("the import queue is closed"))?;
            let received = receive(messages, &self.capacity).await?;
            // On another thread, because it hashes all numbers.
            let compared = spawn_blocking(|| compare_with_each_other(received)).await;
            let (received, mut faults, assigned) =
                compared.map_err(|_| Status::internal("comparing the stores panicked"))?;
            let plan = self.compare_with_log(&received, &mut faults).await?;
            Ok((turn, received, faults, assigned, plan))
        };
        let checked = self.leaving.run_until_cancelled(work).await;
        let (_turn, received, mut faults, assigned, plan) = checked.unwrap_or_else(|| Err(leaving("")))?;
        if !faults.entries.is_empty() {
            return Ok(faults.answer(&[]));
        }
        if received.validate_only {
            return Ok(faults.answer(&plan));
        }
        let done = self.write(received, plan, assigned, &mut faults).await?;
        Ok(faults.answer(&done))
    }

    /// The change that the import would make to each store, with the log as it is now.
    async fn compare_with_log(
        &self,
        received: &ReceivedImport,
        faults: &mut ImportFaults,
    ) -> Result<Vec<Change>, Status> {
        let mut plan = Vec::with_capacity(received.stores.len());
        for stores in parts(&received.stores, COMPARED, ParsedStore::weight) {
            let entries = stores.iter().map(|store| store.entry.clone()).collect();
            let outcomes = self.log.reader().plan_stores(entries, received.moving).await;
            for (store, outcome) in stores.iter().zip(outcomes.map_err(unavailable)?) {
                let change = faults.take(plan.len(), store, outcome);
                plan.push(change.unwrap_or(Change::Unchanged));
            }
        }
        Ok(plan)
    }

    /// Writes the planned changes. Returns those of all stores that then are as they were sent.
    async fn write(
        &self,
        received: ReceivedImport,
        plan: Vec<Change>,
        assigned: Assigned,
        faults: &mut ImportFaults,
    ) -> Result<Vec<Change>, Status> {
        let ReceivedImport { stores, moving, .. } = received;
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
        for part in parts(&entries, self.capacity.commit_rows, |entry| stores[*entry].weight()) {
            let how_far =
                || format!("; {} of {all} stores are imported, running it again does no harm", done.len());
            if self.leaving.is_cancelled() {
                return Err(leaving(&how_far()));
            }
            let entries: Vec<StoreEntry> = part.iter().map(|entry| stores[*entry].entry.clone()).collect();
            let import = Import { entries, moving, assigned: Arc::clone(&assigned) };
            let outcomes = self.log.import_stores(import).await;
            let outcomes = outcomes
                .map_err(|error| grpc::unavailable(format!("{}{}", ErrorChain(&error), how_far())))?;
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
    grpc::unavailable(format!("ingest-svc is shutting down; try again{how_far}"))
}

/// Reads the stream to its end, within the time for all messages.
async fn receive(
    messages: Streaming<ImportStoresRequest>,
    capacity: &ImportCapacity,
) -> Result<ReceivedImport, Status> {
    let minutes = capacity.all_messages.as_secs() / 60;
    let late = |_| Status::deadline_exceeded(format!("the import was not complete after {minutes} min"));
    timeout(capacity.all_messages, receive_all(messages, capacity)).await.map_err(late)?
}

async fn receive_all(
    mut messages: Streaming<ImportStoresRequest>,
    capacity: &ImportCapacity,
) -> Result<ReceivedImport, Status> {
    let mut received = ReceivedImport {
        stores: Vec::new(),
        budget: FaultBudget(capacity.fault_bytes),
        moving: Moving::Refused,
        validate_only: false,
    };
    let (mut bytes, mut numbers, mut is_first) = (0, 0, true);
    loop {
        let next = timeout(capacity.next_message, messages.next()).await.map_err(|_| {
            let seconds = capacity.next_message.as_secs();
            Status::deadline_exceeded(format!("the next message did not arrive within {seconds} s"))
        })?;
        let Some(message) = next else { return Ok(received) };
        let message = message.map_err(grpc::unreadable)?;
        bytes += message.encoded_len();
        let ImportStoresRequest { stores, move_numbers, validate_only } = message;
        numbers += stores.iter().map(|store| store.virtual_numbers.len() + store.lines.len()).sum::<usize>();
        let count = received.stores.len() + stores.len();
        if count > capacity.stores || numbers > capacity.numbers || bytes > capacity.bytes {
            return Err(too_large(capacity));
        }
        if std::mem::take(&mut is_first) {
            received.moving = if move_numbers { Moving::Allowed } else { Moving::Refused };
            received.validate_only = validate_only;
        }
        let budget = std::mem::replace(&mut received.budget, FaultBudget(0));
        let (stores, budget) = read_all(stores, budget).await?;
        received.stores.extend(stores);
        received.budget = budget;
    }
}

fn too_large(capacity: &ImportCapacity) -> Status {
    let ImportCapacity { stores, numbers, bytes, .. } = capacity;
    let mib = bytes / 1024 / 1024;
    Status::resource_exhausted(format!(
        "{stores} stores, {numbers} numbers and {mib} MiB of them at most are expected"
    ))
}

/// Parses on another thread: it takes milliseconds.
async fn read_all(
    stores: Vec<Store>,
    mut budget: FaultBudget,
) -> Result<(Vec<ParsedStore>, FaultBudget), Status> {
    let read = spawn_blocking(move || {
        (stores.into_iter().map(|store| read::parse(store, &mut budget)).collect(), budget)
    });
    read.await.map_err(|_| Status::internal("parsing the stores panicked"))
}

/// Finds the faults of each store, and repeated ids and numbers; also returns all numbers.
fn compare_with_each_other(mut received: ReceivedImport) -> (ReceivedImport, ImportFaults, Assigned) {
    let budget = std::mem::replace(&mut received.budget, FaultBudget(0));
    let mut faults = ImportFaults { all: Vec::new(), left_out: 0, entries: BTreeSet::new(), budget };
    for (entry, store) in received.stores.iter_mut().enumerate() {
        faults.take_over(entry, store);
    }
    let assigned = find_repeated(&received.stores, &mut faults);
    (received, faults, assigned)
}

/// Finds repeated ids and numbers; returns all numbers.
fn find_repeated(stores: &[ParsedStore], faults: &mut ImportFaults) -> Assigned {
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut owners: HashMap<&StoreNumber, (usize, usize)> = HashMap::new();
    for (entry, store) in stores.iter().enumerate() {
        let id = store.entry.id.as_str();
        let first = if store.has_valid_id { *ids.entry(id).or_insert(entry) } else { entry };
        if first != entry {
            let description = format!("store {} is listed twice; once is expected", shown(id));
            let fault = FieldViolation { field: "id".to_owned(), description };
            faults.add(entry, store, Reason::Repeated, fault, Some((first, "id".to_owned())));
            continue;
        }
        for (index, owned) in store.entry.numbers.iter().enumerate() {
            let (owner, place) = *owners.entry(owned.number()).or_insert((entry, index));
            if owner != entry {
                let former = &stores[owner];
                let description = format!(
                    "{} is also store {}'s; a number belongs to one store",
                    owned.display(),
                    shown(&former.entry.id)
                );
                let fault = FieldViolation { field: store.field(index), description };
                faults.add(entry, store, Reason::Repeated, fault, Some((owner, former.field(place))));
            }
        }
    }
    owners.into_keys().cloned().collect()
}

impl ImportFaults {
    /// Takes over the faults that were found when the store was parsed.
    fn take_over(&mut self, entry: usize, store: &mut ParsedStore) {
        if !store.is_faulty() {
            return;
        }
        self.entries.insert(entry);
        self.left_out += store.left_out;
        for fault in std::mem::take(&mut store.faults) {
            self.list(entry, store, Reason::Invalid, fault, None);
        }
    }

    fn add(
        &mut self,
        entry: usize,
        store: &ParsedStore,
        reason: Reason,
        fault: FieldViolation,
        other: Option<(usize, String)>,
    ) {
        self.entries.insert(entry);
        if self.budget.take(&fault) {
            self.list(entry, store, reason, fault, other);
        } else {
            self.left_out += 1;
        }
    }

    fn list(
        &mut self,
        entry: usize,
        store: &ParsedStore,
        reason: Reason,
        fault: FieldViolation,
        other: Option<(usize, String)>,
    ) {
        let (other_entry, other_field) = other.unwrap_or_default();
        self.all.push(StoreFault {
            entry: number(entry),
            store_id: store.entry.id.chars().take(STORE.id).collect(),
            field: fault.field,
            reason: reason.into(),
            description: fault.description,
            other_entry: number(other_entry),
            other_field,
        });
    }

    /// The change of a store, or `None` and its faults.
    fn take(&mut self, entry: usize, store: &ParsedStore, outcome: Upserted) -> Option<Change> {
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
        ImportStoresResponse {
            created: count(|change| change.is_new()),
            changed: count(|change| *change == Change::Changed),
            unchanged: count(|change| *change == Change::Unchanged),
            failed: number(self.entries.len()),
            faults_left_out: number(self.left_out),
            faults: self.all,
        }
    }
}

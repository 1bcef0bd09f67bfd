//! The model's log: two stores and their events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use ringpad_proto::v1::{
    Call, StoreCursor, StoreEvent, StoreEvents, SubscribeResponse, Update, subscribe_response::Event as Sent,
};
use uuid::Uuid;

use super::super::Completeness;

pub(super) const STORES: [&str; 2] = ["gangnam", "suwon"];
/// How many events the log answers at once.
const LIMIT: usize = 5;

#[derive(Default)]
struct Store {
    position: u64,
    /// Events up to this position are purged.
    purged: u64,
    deleted: bool,
    /// How often it was renamed.
    renamed: u32,
}

pub(super) struct TestLog {
    pub(super) epoch: Uuid,
    stores: [Store; STORES.len()],
    /// What may end streams: how often the log was replaced, and how often a store was purged or deleted.
    pub(super) replacements: u32,
    pub(super) purges: u32,
    pub(super) deletions: u32,
}

impl TestLog {
    pub(super) fn new() -> Self {
        let epoch = Uuid::from_u128(1);
        Self { epoch, stores: Default::default(), replacements: 0, purges: 0, deletions: 0 }
    }

    pub(super) fn replace(&mut self) {
        let replacements = self.replacements + 1;
        let epoch = Uuid::from_u128(self.epoch.as_u128() + 1);
        let Self { purges, deletions, .. } = *self;
        let stores = self
            .stores
            .each_ref()
            .map(|Store { renamed, .. }| Store { renamed: *renamed, ..Store::default() });
        *self = Self { epoch, stores, replacements, purges, deletions };
    }

    /// The position of a new ring; `None` for a deleted store.
    pub(super) fn ring(&mut self, store: usize) -> Option<u64> {
        let store = &mut self.stores[store];
        if store.deleted {
            return None;
        }
        store.position += 1;
        Some(store.position)
    }

    pub(super) fn purge(&mut self, store: usize) {
        let store = &mut self.stores[store];
        store.purged = store.position;
        self.purges += 1;
    }

    pub(super) fn delete(&mut self, store: usize) {
        self.stores[store].deleted = true;
        self.deletions += 1;
    }

    pub(super) fn restore(&mut self, store: usize) {
        self.stores[store].deleted = false;
    }

    pub(super) fn rename(&mut self, store: usize) {
        self.stores[store].renamed += 1;
    }

    /// A store never gets an old name again.
    pub(super) fn name(&self, store: usize) -> String {
        format!("{} {}", STORES[store], self.stores[store].renamed)
    }

    pub(super) fn has(&self, store: usize) -> bool {
        !self.stores[store].deleted
    }

    pub(super) fn position(&self, store: usize) -> u64 {
        self.stores[store].position
    }

    /// A page of the events after `after`; empty if the next one is purged.
    pub(super) fn page(&self, store: usize, after: u64) -> Vec<StoreEvent> {
        self.events(store, after, LIMIT)
    }

    fn events(&self, store: usize, after: u64, limit: usize) -> Vec<StoreEvent> {
        let Store { position, purged, .. } = self.stores[store];
        let event =
            |position| StoreEvent { position, subscribe_response: bytes(store, self.epoch, position) };
        let kept = after >= purged;
        (after + 1..=position).take(limit).filter(|_| kept).map(event).collect()
    }

    /// As `ListCallEvents` answers.
    pub(super) fn answer(&self, cursors: &[StoreCursor]) -> (Vec<StoreEvents>, Completeness) {
        let mut left = LIMIT;
        let answers = cursors.iter().map(|StoreCursor { store_id, after_position }| {
            let store = index(store_id);
            if !self.has(store) {
                return StoreEvents { store_id: store_id.clone(), not_found: true, ..StoreEvents::default() };
            }
            let events = self.events(store, *after_position, left);
            left -= events.len();
            StoreEvents {
                store_id: store_id.clone(),
                store_name: self.name(store),
                position: self.position(store),
                events,
                not_found: false,
            }
        });
        let answers = answers.collect();
        (answers, if left > 0 { Completeness::Complete } else { Completeness::Truncated })
    }
}

/// Which store this is.
pub(super) fn index(id: &str) -> usize {
    STORES.iter().position(|store| *store == id).unwrap_or_else(|| panic!("no store of the model: {id}"))
}

/// The wall clock of the model.
pub(super) fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000)
}

/// Whether the ring at `position` still pops up: half of them do, and a quarter never did.
pub(super) fn pops(position: u64) -> bool {
    position % 4 < 2
}

/// The encoding of an event.
pub(super) fn bytes(store: usize, epoch: Uuid, position: u64) -> Bytes {
    let call = Call { id: format!("{}/{epoch}/{position}", STORES[store]), ..Call::default() };
    let seconds = if pops(position) { 1_001 } else { 999 };
    let pop_until = (position % 4 != 3).then_some(ringpad_proto::Timestamp { seconds, nanos: 0 });
    let update = Update { position, call: Some(call), pop_until };
    SubscribeResponse { event: Some(Sent::Update(update)) }.encode_to_vec().into()
}

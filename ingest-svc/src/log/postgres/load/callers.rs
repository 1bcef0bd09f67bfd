//! Which callers a batch may count or change.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::super::{
    super::json::from_json,
    rows::reversed,
    working::{CallRow, CallerKey, Working},
};
use crate::{
    call::Facts,
    cdr::Record,
    store::{StoreKey, StoreNumber},
};

/// The stores and callers of some records, or of a call.
#[derive(Default)]
struct Parties {
    stores: BTreeSet<StoreKey>,
    callers: BTreeSet<String>,
}

impl Parties {
    fn add_record(&mut self, working: &Working, record: &Record) {
        self.stores.extend(owners(working, StoreNumber::of(&record.cdr)));
        self.callers.extend(record.cdr.caller().number().map(|number| reversed(number.e164())));
    }

    fn of_call(working: &Working, call: &CallRow) -> Self {
        let facts = from_json::<Facts>(&call.facts).ok();
        let stores = match call.store {
            Some(store) => BTreeSet::from([store]),
            None => owners(working, facts.iter().flat_map(Facts::store_numbers)).collect(),
        };
        let callers = facts.iter().flat_map(Facts::caller_numbers);
        Self { stores, callers: callers.map(|number| reversed(number.e164())).collect() }
    }

    /// Each store here with each caller there.
    fn with(&self, other: &Self) -> impl Iterator<Item = CallerKey> {
        let pairs =
            self.stores.iter().flat_map(|store| other.callers.iter().map(move |caller| (store, caller)));
        pairs.map(|(store, caller)| (*store, caller.clone()))
    }
}

fn owners(working: &Working, numbers: impl Iterator<Item = StoreNumber>) -> impl Iterator<Item = StoreKey> {
    numbers.filter_map(|number| working.directory.owner(&number))
}

/// Every caller that one of these records, or an action on one of these calls, may count or change. All records with one (source, seq)
/// may belong to one call, which gets its store from one of them, and its caller from another.
pub(super) fn of(working: &Working, records: &[&Record], call_ids: &[Uuid]) -> BTreeSet<CallerKey> {
    let mut by_seq: HashMap<_, Parties> = HashMap::new();
    for record in records {
        let seq = (Arc::clone(&record.source), record.cdr.seq().to_owned());
        by_seq.entry(seq).or_default().add_record(working, record);
    }
    let mut callers = BTreeSet::new();
    for (seq, parties) in &by_seq {
        callers.extend(parties.with(parties));
        let calls = working.by_seq.get(seq).into_iter().flatten();
        for call in calls.filter_map(|key| working.calls.get(key)) {
            let of_call = Parties::of_call(working, call);
            callers.extend(of_call.with(&of_call).chain(of_call.with(parties)));
            if call.store.is_none() {
                callers.extend(parties.with(&of_call));
            }
        }
    }
    for call in call_ids.iter().filter_map(|id| working.calls.get(working.by_id.get(id)?)) {
        let of_call = Parties::of_call(working, call);
        callers.extend(of_call.with(&of_call));
    }
    callers
}

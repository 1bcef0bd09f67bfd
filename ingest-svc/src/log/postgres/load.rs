//! Loads what the records and actions of a batch need, and locks it until the commit. In two round trips: statements that do not
//! need each other's answers are sent together.

mod callers;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::try_join;
use tokio_postgres::{Client, Row, types::Type};
use uuid::Uuid;

use super::{
    super::{error::Obstacle, job::Job, json::from_json, unreadable::UnreadableRows},
    customers,
    error::Failure,
    locks::{self, BEGIN, DIRECTORY},
    rows::{Parameters, can_exist, unsigned},
    target::Timeline,
    working::{CallRow, CallerRow, Working},
};
use crate::{
    call::{CANDIDATES, CallKey, Facts},
    cdr::Record,
    customer::SHOWN,
    store::{Directory, NumberKind, StoreKey, StoreNumber},
};

/// What does not come from the database.
pub(super) struct Given<'a> {
    pub(super) owner: Uuid,
    pub(super) epoch: Uuid,
    /// Of the server when the connection began.
    pub(super) timeline: Timeline,
    pub(super) popup_ttl: jiff::SignedDuration,
    pub(super) unreadable: &'a UnreadableRows,
}

/// What a batch looks for.
#[derive(Default)]
struct Wanted<'a> {
    records: Vec<&'a Record>,
    call_ids: Vec<Uuid>,
}

impl<'a> Wanted<'a> {
    fn of(jobs: &'a [&mut Job]) -> Self {
        let mut wanted = Self::default();
        for job in jobs {
            match &**job {
                Job::Ingest(work) => wanted.records.push(&work.input),
                Job::Act(work) => wanted.call_ids.push(work.input.call_id),
                _ => {}
            }
        }
        wanted
    }

    /// What stands for the calls of each (source, seq), sorted.
    fn locks(&self) -> Vec<i64> {
        let locks: BTreeSet<_> = self.records.iter().map(|record| locks::of_seq(record)).collect();
        locks.into_iter().collect()
    }

    fn numbers(&self) -> BTreeSet<StoreNumber> {
        self.records.iter().flat_map(|record| StoreNumber::of(&record.cdr)).collect()
    }
}

/// Begins the transaction of a batch. `None`: the lease of `given.owner` was taken over. Also returns the sequence of the owner's newest
/// event, which is locked: a commit with an unknown outcome is over by then.
pub(super) async fn load(
    client: &Client,
    jobs: &[&mut Job],
    given: Given<'_>,
) -> Result<Option<(Working, u64)>, Failure> {
    let wanted = Wanted::of(jobs);
    let (numbers, locks) = (wanted.numbers(), wanted.locks());
    // `biased`: after a failure the server refuses what follows, and the first error says why.
    let ((), owner, calls, owned) = try_join!(
        biased;
        client.batch_execute(BEGIN),
        begin(client, &given, &locks),
        calls(client, &wanted),
        load_numbers(client, &numbers),
    )?;
    let Some(owner) = owner else { return Ok(None) };
    // A proxy may have moved this connection to a server that was promoted.
    if owner.try_get::<_, i64>(1)? != given.timeline.number {
        return Err(Failure::Unusable(Obstacle::Promoted.into()));
    }
    let mut working = Working {
        directory: Directory::default(),
        calls: BTreeMap::new(),
        by_seq: HashMap::new(),
        by_id: HashMap::new(),
        callers: BTreeMap::new(),
        events: Vec::new(),
        named: BTreeMap::new(),
        reserved: BTreeMap::new(),
        epoch: given.epoch,
        popup_ttl: given.popup_ttl,
        now: jiff::Timestamp::now(),
        unreadable: given.unreadable.clone(),
    };
    for row in &calls {
        working.add_call(CallKey(row.try_get(0)?), call(row)?);
    }
    let mut stores: BTreeSet<StoreKey> = working.calls.values().filter_map(|call| call.store).collect();
    assign(&mut working, &owned, &mut stores)?;
    // Seldom any: a call without a store is looked for by the numbers of its earlier records, too.
    let earlier = unrouted_numbers(&working).difference(&numbers).cloned().collect();
    assign(&mut working, &load_numbers(client, &earlier).await?, &mut stores)?;
    load_stores(client, &mut working, &wanted, &stores).await?;
    Ok(Some((working, unsigned(owner.try_get(0)?))))
}

/// The numbers of the calls without a store.
fn unrouted_numbers(working: &Working) -> BTreeSet<StoreNumber> {
    let unrouted = working.calls.values().filter(|call| call.store.is_none());
    unrouted
        .filter_map(|call| from_json::<Facts>(&call.facts).ok())
        .flat_map(|facts| facts.store_numbers().collect::<Vec<_>>())
        .collect()
}

/// Gives the numbers to their stores.
fn assign(
    working: &mut Working,
    owned: &[Row],
    stores: &mut BTreeSet<StoreKey>,
) -> Result<(), tokio_postgres::Error> {
    for row in owned {
        let (kind, number, store): (i16, &str, _) =
            (row.try_get(0)?, row.try_get(1)?, StoreKey(row.try_get(2)?));
        working.directory.assign(StoreNumber::from_log(NumberKind::from_log(kind), number), store);
        stores.insert(store);
    }
    Ok(())
}

/// Locks the owner's row, the directory, and what the array stands for.
async fn begin(
    client: &Client,
    given: &Given<'_>,
    locks: &[i64],
) -> Result<Option<Row>, tokio_postgres::Error> {
    let select = format!("SELECT newest, {} FROM batch_begin($1, $2, $3)", given.timeline.expression);
    let parameters: Parameters<'_> =
        &[(&given.owner, Type::UUID), (&DIRECTORY, Type::INT8), (&locks, Type::INT8_ARRAY)];
    client.query_typed_opt(&select, parameters).await
}

/// The calls with the `seq` of each record, those nearest to its `sdt` on each side, and the calls of actions.
async fn calls(client: &Client, wanted: &Wanted<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
    if wanted.records.is_empty() && wanted.call_ids.is_empty() {
        return Ok(Vec::new());
    }
    let records = wanted.records.iter();
    let sources: Vec<_> = records.clone().map(|record| &*record.source).collect();
    let seqs: Vec<_> = records.clone().map(|record| record.cdr.seq()).collect();
    let sdts: Vec<_> = records.map(|record| record.cdr.sdt().as_second()).collect();
    client
        .query_typed(
            "SELECT key, id, source, seq, sdt, store, caller, state, facts, fingerprints, call
             FROM batch_calls($1, $2, $3, $4, $5)",
            &[
                (&sources, Type::TEXT_ARRAY),
                (&seqs, Type::TEXT_ARRAY),
                (&sdts, Type::INT8_ARRAY),
                (&wanted.call_ids, Type::UUID_ARRAY),
                (&CANDIDATES, Type::INT8),
            ],
        )
        .await
}

fn call(row: &Row) -> Result<CallRow, tokio_postgres::Error> {
    let source: &str = row.try_get(2)?;
    let fingerprints: &[u8] = row.try_get(9)?;
    Ok(CallRow {
        id: row.try_get(1)?,
        source: source.into(),
        seq: row.try_get(3)?,
        sdt: row.try_get(4)?,
        store: row.try_get::<_, Option<i64>>(5)?.map(StoreKey),
        caller: row.try_get(6)?,
        state: row.try_get(7)?,
        facts: row.try_get(8)?,
        fingerprints: fingerprints.as_chunks().0.to_vec(),
        seen: row.try_get(10)?,
        is_changed: false,
    })
}

/// Which of these numbers belong to which store.
async fn load_numbers(
    client: &Client,
    numbers: &BTreeSet<StoreNumber>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let (kinds, texts): (Vec<_>, Vec<_>) = numbers
        .iter()
        .map(|number| (number.kind().to_log(), number.as_str()))
        .filter(|(_, text)| can_exist(text))
        .unzip();
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    client
        .query_typed(
            "SELECT kind, number, store FROM batch_numbers($1, $2)",
            &[(&kinds, Type::INT2_ARRAY), (&texts, Type::TEXT_ARRAY)],
        )
        .await
}

const CALLERS: &str =
    "SELECT store, reversed, calls, last_call, last_note, last_reservation FROM batch_callers($1, $2)";
/// Without its parameters.
const CUSTOMERS: &str =
    "SELECT store, reversed, id, name, car_number, note, calls, last_call, last_note FROM batch_customers";

/// Locks the stores, and loads what they know of every caller that the batch can count.
async fn load_stores(
    client: &Client,
    working: &mut Working,
    wanted: &Wanted<'_>,
    stores: &BTreeSet<StoreKey>,
) -> Result<(), Failure> {
    if stores.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = stores.iter().map(|store| store.0).collect();
    let callers = callers::of(working, &wanted.records, &wanted.call_ids);
    let of_stores: Vec<_> = callers.iter().map(|(store, _)| store.0).collect();
    let numbers: Vec<_> = callers.iter().map(|(_, reversed)| reversed.as_str()).collect();
    let of_customers = format!("{CUSTOMERS}($1, $2, {SHOWN})");
    let (stores, known, customers) = try_join!(
        biased;
        async {
            client.query_typed(
            "SELECT key, id, position, deleted FROM batch_stores($1)",
            &[(&keys, Type::INT8_ARRAY)],
        ).await
        },
        look_up(client, CALLERS, &of_stores, &numbers),
        look_up(client, &of_customers, &of_stores, &numbers),
    )?;
    for row in &stores {
        let key = StoreKey(row.try_get(0)?);
        working.directory.add(key, row.try_get(1)?, unsigned(row.try_get(2)?));
        if row.try_get(3)? {
            working.directory.delete(key);
        }
    }
    // A caller that is not found is a new one; one that was not looked for is an error.
    working.callers.extend(callers.into_iter().map(|caller| (caller, CallerRow::default())));
    for row in &known {
        let note: &[u8] = row.try_get(4)?;
        let caller = CallerRow {
            calls: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
            last_call: Some(row.try_get(3)?),
            last_note: String::from_utf8_lossy(note).into_owned(),
            last_reservation: row.try_get(5)?,
            customers: Vec::new(),
            is_changed: false,
        };
        working.callers.insert((StoreKey(row.try_get(0)?), row.try_get(1)?), caller);
    }
    for row in &customers {
        let caller = (StoreKey(row.try_get(0)?), row.try_get(1)?);
        if let Some(caller) = working.callers.get_mut(&caller) {
            caller.customers.push(customers::known(row, 2)?);
        }
    }
    Ok(())
}

/// What a function of the database knows of these callers.
async fn look_up(
    client: &Client,
    statement: &str,
    stores: &[i64],
    numbers: &[&str],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    client.query_typed(statement, &[(&stores, Type::INT8_ARRAY), (&numbers, Type::TEXT_ARRAY)]).await
}

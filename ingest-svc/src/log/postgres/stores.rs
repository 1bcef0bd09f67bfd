//! Changes of stores and their numbers. What they need is loaded, changed in memory job by job, and written back; the lock on the
//! directory keeps all batches of records away meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::try_join;
use tokio_postgres::{Client, Row, types::Type};

use super::{
    super::{batch::Batch, job::Job},
    error::Failure,
    locks::{BEGIN, DIRECTORY},
    rows::{FORMER, can_exist, signed, unsigned},
};
use crate::store::{
    Assigned, Change, Directory, ExistingStore, Moving, NumberKind, OwnedNumber, StoreEntry, StoreKey,
    StoreNumber, Upserted, changed_numbers, plan,
};

/// The stores with these ids, and the stores that own these numbers.
const STORES: &str = "SELECT key, id, name, position, deleted FROM stores WHERE key IN (
    SELECT key FROM stores WHERE id = ANY ($1) UNION
    SELECT store FROM unnest($2, $3) AS wanted (kind, number) JOIN numbers USING (kind, number))";

/// These numbers, and those of the stores with these ids.
const NUMBERS: &str = "SELECT numbers.kind, numbers.number, numbers.display, numbers.store
    FROM unnest($2, $3) AS wanted (kind, number) JOIN numbers USING (kind, number) UNION
    SELECT numbers.kind, numbers.number, numbers.display, numbers.store
    FROM stores JOIN numbers ON numbers.store = stores.key WHERE stores.id = ANY ($1)";

/// Does the jobs; the caller commits.
pub(super) async fn change(client: &Client, jobs: &mut [&mut Job], batch: &mut Batch) -> Result<(), Failure> {
    let (mut ids, mut entries) = (Vec::new(), Vec::new());
    for job in jobs.iter() {
        match &**job {
            Job::Upsert(work) => entries.push(&work.input.0),
            Job::Import(work) => entries.extend(&work.input.entries),
            Job::Delete(work) => ids.push(work.input.as_str()),
            _ => {}
        }
    }
    let wanted = Wanted::of(&ids, &entries);
    let new = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let (_, _, mut stores, keys) = try_join!(
        biased;
        client.batch_execute(BEGIN),
        async { client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&DIRECTORY, Type::INT8)]).await },
        load(client, &wanted),
        async {
            client
                .query_typed(
                    "SELECT nextval('store_keys') FROM generate_series(1, $1)",
                    &[(&new, Type::INT8)],
                )
                .await
        },
    )?;
    for key in &keys {
        stores.unused_keys.push(StoreKey(key.try_get(0)?));
    }
    stores.change(jobs, batch);
    batch.writes |= stores.is_changed();
    stores.save(client).await?;
    Ok(())
}

/// What [`change`] would do with each of these stores now.
pub(super) async fn plans(
    client: &Client,
    entries: &[StoreEntry],
    moving: Moving,
) -> Result<Vec<Upserted>, tokio_postgres::Error> {
    let stores = load(client, &Wanted::of(&[], &entries.iter().collect::<Vec<_>>())).await?;
    Ok(entries.iter().map(|entry| stores.plan(entry, moving).1).collect())
}

/// The store with this id, unless it was deleted.
pub(super) async fn find(client: &Client, id: &str) -> Result<Option<i64>, tokio_postgres::Error> {
    if !can_exist(id) {
        return Ok(None);
    }
    let select = "SELECT key FROM stores WHERE id = $1 AND NOT deleted";
    client.query_typed_opt(select, &[(&id, Type::TEXT)]).await?.map(|row| row.try_get(0)).transpose()
}

/// What is to be loaded.
struct Wanted {
    ids: Vec<String>,
    kinds: Vec<i16>,
    numbers: Vec<String>,
}

impl Wanted {
    fn of(ids: &[&str], entries: &[&StoreEntry]) -> Self {
        let ids = ids.iter().copied().chain(entries.iter().map(|entry| entry.id.as_str()));
        let ids: BTreeSet<_> = ids.filter(|id| can_exist(id)).map(str::to_owned).collect();
        let numbers: BTreeSet<_> =
            entries.iter().flat_map(|entry| &entry.numbers).map(OwnedNumber::number).collect();
        Self {
            ids: ids.into_iter().collect(),
            kinds: numbers.iter().map(|number| number.kind().to_log()).collect(),
            numbers: numbers.iter().map(|number| number.as_str().to_owned()).collect(),
        }
    }
}

async fn load(client: &Client, wanted: &Wanted) -> Result<Stores, tokio_postgres::Error> {
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 3] = [
        (&wanted.ids, Type::TEXT_ARRAY),
        (&wanted.kinds, Type::INT2_ARRAY),
        (&wanted.numbers, Type::TEXT_ARRAY),
    ];
    let (rows, numbers) =
        try_join!(biased; client.query_typed(STORES, &parameters), client.query_typed(NUMBERS, &parameters))?;
    let mut stores = Stores::default();
    for row in &rows {
        let key = StoreKey(row.try_get(0)?);
        let store = StoreRow {
            id: row.try_get(1)?,
            name: row.try_get(2)?,
            position: unsigned(row.try_get(3)?),
            deleted: row.try_get(4)?,
            written: Written::As,
        };
        stores.directory.add(key, &store.id, store.position);
        if store.deleted {
            stores.directory.delete(key);
        }
        stores.by_id.insert(store.id.clone(), key);
        stores.rows.insert(key, store);
    }
    for row in &numbers {
        let (owned, store) = (owned(row)?, StoreKey(row.try_get(3)?));
        stores.directory.assign(owned.number().clone(), store);
        stores.numbers.insert(owned.number().clone(), Some((store, owned)));
    }
    Ok(stores)
}

/// Reads `kind, number, display`.
pub(super) fn owned(row: &Row) -> Result<OwnedNumber, tokio_postgres::Error> {
    let number = StoreNumber::from_log(NumberKind::from_log(row.try_get(0)?), row.try_get::<_, &str>(1)?);
    Ok(OwnedNumber::from_log(number, row.try_get::<_, &str>(2)?))
}

/// Whether a row has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It is as it was loaded.
    As,
    Changed,
    New,
}

/// A store's row.
struct StoreRow {
    id: String,
    name: String,
    position: u64,
    deleted: bool,
    written: Written,
}

/// The loaded part of the stores and numbers.
#[derive(Default)]
struct Stores {
    directory: Directory,
    rows: BTreeMap<StoreKey, StoreRow>,
    by_id: HashMap<String, StoreKey>,
    /// `None`: nobody owns it any more.
    numbers: BTreeMap<StoreNumber, Option<(StoreKey, OwnedNumber)>>,
    changed_numbers: BTreeSet<StoreNumber>,
    /// For new stores.
    unused_keys: Vec<StoreKey>,
}

impl Stores {
    /// The store with this id, if it exists or once did.
    fn existing(&self, id: &str) -> Option<ExistingStore> {
        let key = *self.by_id.get(id)?;
        let row = self.rows.get(&key)?;
        let numbers = self.numbers.values().flatten().filter(|(store, _)| *store == key);
        let numbers = numbers.map(|(_, owned)| owned.clone()).collect();
        Some(ExistingStore { key, name: row.name.clone(), deleted: row.deleted, numbers })
    }

    fn plan(&self, entry: &StoreEntry, moving: Moving) -> (Option<ExistingStore>, Upserted) {
        let existing = self.existing(&entry.id);
        let conflicts = self.directory.conflicts(entry, existing.as_ref().map(|existing| existing.key));
        let outcome = plan(entry, existing.as_ref(), conflicts, moving);
        (existing, outcome)
    }

    fn change(&mut self, jobs: &mut [&mut Job], batch: &mut Batch) {
        for job in jobs {
            match &mut **job {
                Job::Upsert(work) => {
                    let (entry, moving) = &work.input;
                    let outcome = self.upsert(entry, *moving, &Assigned::default());
                    batch.upserted(&entry.id, &outcome);
                    work.done(outcome);
                }
                Job::Import(work) => {
                    let mut outcomes = Vec::with_capacity(work.input.entries.len());
                    for entry in &work.input.entries {
                        let outcome = self.upsert(entry, work.input.moving, &work.input.assigned);
                        batch.imported(&entry.id, &outcome);
                        outcomes.push(outcome);
                    }
                    work.done(outcomes);
                }
                Job::Delete(work) => {
                    let existed = self.delete(&work.input);
                    batch.deleted(&work.input);
                    work.done(existed);
                }
                _ => {}
            }
        }
    }

    /// Makes a store or replaces its name and numbers. With `moving`, takes numbers away from their owners.
    fn upsert(&mut self, entry: &StoreEntry, moving: Moving, assigned: &Assigned) -> Upserted {
        let (existing, outcome) = self.plan(entry, moving);
        if outcome == Upserted::Stored(Change::Unchanged) || matches!(outcome, Upserted::Conflicts(_)) {
            return outcome;
        }
        let (key, before) = match existing {
            None => (self.insert(entry, 0), Vec::new()),
            Some(existing) if existing.deleted => {
                let position = self.retire(existing.key);
                (self.insert(entry, position), Vec::new())
            }
            Some(existing) => {
                if existing.name != entry.name {
                    self.write(existing.key, |row| row.name.clone_from(&entry.name));
                }
                (existing.key, existing.numbers)
            }
        };
        let (lost, written) = changed_numbers(&before, entry, assigned);
        for number in lost {
            self.release(number.clone());
        }
        for owned in written {
            let number = owned.number().clone();
            self.directory.assign(number.clone(), key);
            self.numbers.insert(number.clone(), Some((key, owned.clone())));
            self.changed_numbers.insert(number);
        }
        outcome
    }

    /// A store that is new, or was deleted when its position was this.
    fn insert(&mut self, entry: &StoreEntry, position: u64) -> StoreKey {
        // There is one for each entry.
        let key = self.unused_keys.pop().unwrap_or(StoreKey(i64::MAX));
        let row = StoreRow {
            id: entry.id.clone(),
            name: entry.name.clone(),
            position,
            deleted: false,
            written: Written::New,
        };
        self.directory.add(key, &row.id, position);
        self.by_id.insert(row.id.clone(), key);
        self.rows.insert(key, row);
        key
    }

    /// Takes the id away from a deleted store, for a new one. That has none of its calls, callers and events, and continues from its
    /// position, which is returned.
    fn retire(&mut self, key: StoreKey) -> u64 {
        self.write(key, |row| row.id = format!("{FORMER}{}", key.0));
        self.directory.position(key)
    }

    /// Removes a store and its numbers; its position stays, in case it is made again. False: there is no such store.
    fn delete(&mut self, id: &str) -> bool {
        let Some(existing) = self.existing(id).filter(|existing| !existing.deleted) else { return false };
        self.write(existing.key, |row| row.deleted = true);
        self.directory.delete(existing.key);
        for owned in existing.numbers {
            self.release(owned.number().clone());
        }
        true
    }

    fn release(&mut self, number: StoreNumber) {
        self.directory.release(&number);
        self.numbers.insert(number.clone(), None);
        self.changed_numbers.insert(number);
    }

    fn write(&mut self, key: StoreKey, change: impl FnOnce(&mut StoreRow)) {
        if let Some(row) = self.rows.get_mut(&key) {
            change(row);
            if row.written == Written::As {
                row.written = Written::Changed;
            }
        }
    }

    fn is_changed(&self) -> bool {
        !self.changed_numbers.is_empty() || self.rows.values().any(|row| row.written != Written::As)
    }

    /// Writes what has changed.
    async fn save(self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let rows = |written| self.rows.iter().filter(move |(_, row)| row.written == written);
        // Changed rows first: a former store gives its id away.
        for (written, statement) in [
            (
                Written::Changed,
                "UPDATE stores SET id = new.id, name = new.name, deleted = new.deleted
                 FROM unnest($1, $2, $3, $4, $5) AS new (key, id, name, position, deleted) WHERE stores.key = new.key",
            ),
            (
                Written::New,
                "INSERT INTO stores (key, id, name, position, deleted) SELECT * FROM unnest($1, $2, $3, $4, $5)",
            ),
        ] {
            let keys: Vec<_> = rows(written).map(|(key, _)| key.0).collect();
            if keys.is_empty() {
                continue;
            }
            let ids: Vec<_> = rows(written).map(|(_, row)| row.id.as_str()).collect();
            let names: Vec<_> = rows(written).map(|(_, row)| row.name.as_str()).collect();
            let positions: Vec<_> = rows(written).map(|(_, row)| signed(row.position)).collect();
            let deleted: Vec<_> = rows(written).map(|(_, row)| row.deleted).collect();
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 5] = [
                (&keys, Type::INT8_ARRAY),
                (&ids, Type::TEXT_ARRAY),
                (&names, Type::TEXT_ARRAY),
                (&positions, Type::INT8_ARRAY),
                (&deleted, Type::BOOL_ARRAY),
            ];
            client.execute_typed(statement, &parameters).await?;
        }
        self.save_numbers(client).await
    }

    async fn save_numbers(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let changed = self.changed_numbers.iter();
        let (owned, free): (Vec<_>, Vec<_>) = changed
            .map(|number| (number, self.numbers.get(number).and_then(Option::as_ref)))
            .partition(|(_, owner)| owner.is_some());
        let columns = |numbers: &[(&StoreNumber, _)]| -> (Vec<i16>, Vec<String>) {
            numbers.iter().map(|(number, _)| (number.kind().to_log(), number.as_str().to_owned())).unzip()
        };
        if !free.is_empty() {
            let (kinds, numbers) = columns(&free);
            let delete = "DELETE FROM numbers USING unnest($1, $2) AS free (kind, number)
                          WHERE numbers.kind = free.kind AND numbers.number = free.number";
            client.execute_typed(delete, &[(&kinds, Type::INT2_ARRAY), (&numbers, Type::TEXT_ARRAY)]).await?;
        }
        if !owned.is_empty() {
            let (kinds, numbers) = columns(&owned);
            let (displays, stores): (Vec<_>, Vec<_>) = owned
                .iter()
                .filter_map(|(_, owner)| *owner)
                .map(|(store, owned)| (owned.display(), store.0))
                .unzip();
            client
                .execute_typed(
                    "INSERT INTO numbers (kind, number, display, store) SELECT * FROM unnest($1, $2, $3, $4)
                     ON CONFLICT (kind, number) DO UPDATE SET store = excluded.store, display = excluded.display",
                    &[
                        (&kinds, Type::INT2_ARRAY),
                        (&numbers, Type::TEXT_ARRAY),
                        (&displays, Type::TEXT_ARRAY),
                        (&stores, Type::INT8_ARRAY),
                    ],
                )
                .await?;
        }
        Ok(())
    }
}

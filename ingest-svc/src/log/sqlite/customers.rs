//! The customers of the stores.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Row, params};

use super::{
    super::job::CustomerImport,
    rows::{ReversedNumber, reversed},
    stores,
};
use crate::{
    call::NamedCustomer,
    customer::{
        Customer, CustomerChange, CustomerEntry, CustomerNumber, Deleted, Earlier, KnownCustomer, SHOWN,
    },
    store::StoreKey,
};

/// Who calls a store from this number: the first ones, by id.
pub(super) fn of_caller(
    connection: &Connection,
    store: StoreKey,
    caller: &ReversedNumber,
) -> rusqlite::Result<Vec<KnownCustomer>> {
    connection
        .prepare_cached(
            "SELECT id, name, car_number, note, calls, last_call, last_note FROM customers
             WHERE reversed = ?2 AND store = ?1 ORDER BY id LIMIT ?3",
        )?
        .query_map(params![store, caller, SHOWN], known)?
        .collect()
}

/// Reads `id, name, car_number, note, calls, last_call, last_note`.
fn known(row: &Row<'_>) -> rusqlite::Result<KnownCustomer> {
    Ok(KnownCustomer {
        customer: Customer { id: row.get(0)?, name: row.get(1)?, car_number: row.get(2)?, note: row.get(3)? },
        earlier: Earlier { calls: row.get(4)?, last_call: row.get(5)?, last_note: row.get(6)? },
    })
}

/// Writes the customers; `None`: no such store.
pub(super) fn upsert(
    connection: &Connection,
    import: &CustomerImport,
) -> rusqlite::Result<Option<Vec<CustomerChange>>> {
    let Some(store) = stores::find(connection, &import.store_id)? else { return Ok(None) };
    let write = |entry| {
        let change = plan_one(connection, store, entry)?;
        if change != CustomerChange::Unchanged {
            replace(connection, store, entry)?;
        }
        entry
            .numbers
            .iter()
            .try_for_each(|number| delete_same(connection, store, number, &entry.customer))?;
        Ok(change)
    };
    import.entries.iter().map(write).collect::<Result<_, _>>().map(Some)
}

/// What [`upsert`] would do now; `None`: no such store.
pub(super) fn plan(
    connection: &Connection,
    import: &CustomerImport,
) -> rusqlite::Result<Option<Vec<CustomerChange>>> {
    let Some(store) = stores::find(connection, &import.store_id)? else { return Ok(None) };
    // Of several entries with one id, a later one changes what the one before has written.
    let mut written: HashMap<&str, &CustomerEntry> = HashMap::new();
    let plan = |entry| {
        let entry: &CustomerEntry = entry;
        let change = match written.insert(&entry.customer.id, entry) {
            Some(before) => entry.change(Some(before)),
            None => plan_one(connection, store, entry)?,
        };
        Ok(change)
    };
    import.entries.iter().map(plan).collect::<Result<_, _>>().map(Some)
}

/// Deletes a customer.
pub(super) fn delete(connection: &Connection, store_id: &str, id: &str) -> rusqlite::Result<Deleted> {
    let Some(store) = stores::find(connection, store_id)? else { return Ok(Deleted::NoSuchStore) };
    let deleted = delete_rows(connection, store, id)?;
    Ok(if deleted > 0 { Deleted::Done } else { Deleted::NoSuchCustomer })
}

/// Customers with an id after `after`, by id; `None`: no such store.
pub(super) fn list(
    connection: &mut Connection,
    store_id: &str,
    after: &str,
    limit: u32,
) -> rusqlite::Result<Option<Vec<CustomerEntry>>> {
    let snapshot = connection.transaction()?;
    let Some(store) = stores::find(&snapshot, store_id)? else { return Ok(None) };
    let mut select = snapshot.prepare_cached(
        "SELECT DISTINCT id FROM customers WHERE store = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let ids = select.query_map(params![store, after, limit], |row| row.get::<_, String>(0))?;
    let found = ids.map(|id| read(&snapshot, store, &id?)).filter_map(Result::transpose);
    found.collect::<Result<_, _>>().map(Some)
}

fn plan_one(
    connection: &Connection,
    store: StoreKey,
    entry: &CustomerEntry,
) -> rusqlite::Result<CustomerChange> {
    let existing = read(connection, store, &entry.customer.id)?;
    Ok(entry.change(existing.as_ref()))
}

/// A customer with all numbers, by id.
fn read(connection: &Connection, store: StoreKey, id: &str) -> rusqlite::Result<Option<CustomerEntry>> {
    let mut select = connection.prepare_cached(
        "SELECT id, name, car_number, note, calls, last_call, last_note, reversed, display FROM customers
         WHERE store = ?1 AND id = ?2",
    )?;
    let mut rows = select.query(params![store, id])?;
    let mut found: Option<CustomerEntry> = None;
    while let Some(row) = rows.next()? {
        let (number, display): (ReversedNumber, String) = (row.get(7)?, row.get(8)?);
        let KnownCustomer { customer, earlier } = known(row)?;
        let entry =
            found.get_or_insert_with(|| CustomerEntry { customer, numbers: BTreeSet::new(), earlier });
        entry.numbers.insert(CustomerNumber::from_log(number.forwards(), display));
    }
    Ok(found)
}

fn replace(connection: &Connection, store: StoreKey, entry: &CustomerEntry) -> rusqlite::Result<()> {
    delete_rows(connection, store, &entry.customer.id)?;
    for number in &entry.numbers {
        insert(connection, store, number, &entry.customer, &entry.earlier)?;
    }
    Ok(())
}

/// Deletes what pads have written about the same person, if the adopter's record has all of it.
fn delete_same(
    connection: &Connection,
    store: StoreKey,
    number: &CustomerNumber,
    customer: &Customer,
) -> rusqlite::Result<()> {
    let Customer { id, name, car_number, note } = customer;
    connection
        .prepare_cached(
            "DELETE FROM customers WHERE reversed = ?1 AND store = ?2
             AND id GLOB 'pad-????????-????-????-????-????????????' AND id <> ?3
             AND name = ?4 AND car_number IN ('', ?5) AND note IN ('', ?6)",
        )?
        .execute(params![reversed(number.e164()), store, id, name, car_number, note])?;
    Ok(())
}

/// Adds a number of a customer, unless the customer has it.
fn insert(
    connection: &Connection,
    store: StoreKey,
    number: &CustomerNumber,
    customer: &Customer,
    earlier: &Earlier,
) -> rusqlite::Result<()> {
    let Customer { id, name, car_number, note } = customer;
    let Earlier { calls, last_call, last_note } = earlier;
    let reversed = reversed(number.e164());
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO customers
               (reversed, store, id, display, name, car_number, note, calls, last_call, last_note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            reversed,
            store,
            id,
            number.display(),
            name,
            car_number,
            note,
            calls,
            last_call,
            last_note
        ])?;
    Ok(())
}

/// Writes what a pad knows of a customer. What an older system knew, and other numbers, stay.
pub(super) fn name(connection: &Connection, named: &NamedCustomer) -> rusqlite::Result<()> {
    let NamedCustomer { store, customer, number } = named;
    let Some(number) = number else { return Ok(()) };
    let Customer { id, name, car_number, note } = customer;
    connection
        .prepare_cached(
            "UPDATE customers SET name = ?3, car_number = ?4, note = ?5 WHERE store = ?1 AND id = ?2",
        )?
        .execute(params![store, id, name, car_number, note])?;
    insert(connection, *store, number, customer, &Earlier::default())
}

/// Deletes a customer with all numbers; how many rows there were.
fn delete_rows(connection: &Connection, store: StoreKey, id: &str) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM customers WHERE store = ?1 AND id = ?2")?
        .execute(params![store, id])
}

//! The customers of the stores.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::job::CustomerImport,
    rows::{ReversedNumber, reversed},
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
            "SELECT id, name, car_number, note, calls, last_call, last_note
             FROM customer_numbers AS numbers CROSS JOIN customers
               ON customers.store = numbers.store AND customers.id = numbers.customer
             WHERE numbers.store = ?1 AND numbers.reversed = ?2 ORDER BY numbers.customer LIMIT ?3",
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
    let Some(store) = find_store(connection, &import.store_id)? else { return Ok(None) };
    let write = |entry| {
        let change = plan_one(connection, store, entry)?;
        if change != CustomerChange::Unchanged {
            replace(connection, store, entry)?;
        }
        Ok(change)
    };
    import.entries.iter().map(write).collect::<Result<_, _>>().map(Some)
}

/// What [`upsert`] would do now; `None`: no such store.
pub(super) fn plan(
    connection: &Connection,
    import: &CustomerImport,
) -> rusqlite::Result<Option<Vec<CustomerChange>>> {
    let Some(store) = find_store(connection, &import.store_id)? else { return Ok(None) };
    import.entries.iter().map(|entry| plan_one(connection, store, entry)).collect::<Result<_, _>>().map(Some)
}

/// Deletes a customer.
pub(super) fn delete(connection: &Connection, store_id: &str, id: &str) -> rusqlite::Result<Deleted> {
    let Some(store) = find_store(connection, store_id)? else { return Ok(Deleted::NoSuchStore) };
    delete_numbers(connection, store, id)?;
    let deleted = connection
        .prepare_cached("DELETE FROM customers WHERE store = ?1 AND id = ?2")?
        .execute(params![store, id])?;
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
    let Some(store) = find_store(&snapshot, store_id)? else { return Ok(None) };
    let mut select = snapshot.prepare_cached(
        "SELECT id, name, car_number, note, calls, last_call, last_note FROM customers
         WHERE store = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let found = select.query_map(params![store, after, limit], known)?;
    found.map(|known| with_numbers(&snapshot, store, known?)).collect::<Result<_, _>>().map(Some)
}

fn find_store(connection: &Connection, id: &str) -> rusqlite::Result<Option<StoreKey>> {
    connection
        .prepare_cached("SELECT key FROM stores WHERE id = ?1 AND deleted = 0")?
        .query_row([id], |row| row.get(0))
        .optional()
}

fn plan_one(
    connection: &Connection,
    store: StoreKey,
    entry: &CustomerEntry,
) -> rusqlite::Result<CustomerChange> {
    let known = connection
        .prepare_cached(
            "SELECT id, name, car_number, note, calls, last_call, last_note FROM customers WHERE store = ?1 AND id = ?2",
        )?
        .query_row(params![store, entry.customer.id], known)
        .optional()?;
    let existing = known.map(|known| with_numbers(connection, store, known)).transpose()?;
    Ok(entry.change(existing.as_ref()))
}

fn with_numbers(
    connection: &Connection,
    store: StoreKey,
    known: KnownCustomer,
) -> rusqlite::Result<CustomerEntry> {
    let KnownCustomer { customer, earlier } = known;
    let numbers: BTreeSet<_> = connection
        .prepare_cached("SELECT reversed, display FROM customer_numbers WHERE store = ?1 AND customer = ?2")?
        .query_map(params![store, customer.id], |row| {
            let (number, display): (ReversedNumber, String) = (row.get(0)?, row.get(1)?);
            Ok(CustomerNumber::from_log(number.forwards(), display))
        })?
        .collect::<Result<_, _>>()?;
    Ok(CustomerEntry { customer, numbers, earlier })
}

fn replace(connection: &Connection, store: StoreKey, entry: &CustomerEntry) -> rusqlite::Result<()> {
    let CustomerEntry { customer, numbers, earlier } = entry;
    let Customer { id, name, car_number, note } = customer;
    let Earlier { calls, last_call, last_note } = earlier;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO customers (store, id, name, car_number, note, calls, last_call, last_note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![store, id, name, car_number, note, calls, last_call, last_note])?;
    delete_numbers(connection, store, id)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO customer_numbers (store, reversed, customer, display) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for number in numbers {
        insert.execute(params![store, reversed(number.e164()), id, number.display()])?;
    }
    Ok(())
}

/// Writes what a pad knows of a customer. What an older system knew, and other numbers, stay.
pub(super) fn name(connection: &Connection, named: &NamedCustomer) -> rusqlite::Result<()> {
    let NamedCustomer { store, customer, number } = named;
    let Some(number) = number else { return Ok(()) };
    let Customer { id, name, car_number, note } = customer;
    connection
        .prepare_cached(
            "INSERT INTO customers (store, id, name, car_number, note, calls, last_call, last_note)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, NULL, '')
             ON CONFLICT (store, id) DO UPDATE SET name = excluded.name, car_number = excluded.car_number, note = excluded.note",
        )?
        .execute(params![store, id, name, car_number, note])?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO customer_numbers (store, reversed, customer, display) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![store, reversed(number.e164()), id, number.display()])?;
    Ok(())
}

fn delete_numbers(connection: &Connection, store: StoreKey, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM customer_numbers WHERE store = ?1 AND customer = ?2")?
        .execute(params![store, id])
        .map(drop)
}

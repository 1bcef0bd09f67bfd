//! The customers of the stores.

use std::collections::{BTreeMap, BTreeSet};

use tokio::try_join;
use tokio_postgres::{Client, Row, types::Type};

use super::{
    super::job::{CustomerImport, Job},
    error::Failure,
    locks::{BEGIN, CUSTOMERS, DIRECTORY},
    rows::{Parameters, can_exist, reversed},
    stores,
};
use crate::{
    customer::{Customer, CustomerChange, CustomerEntry, CustomerNumber, Deleted, Earlier, KnownCustomer},
    store::StoreKey,
};

/// Reads `id, name, car_number, note, calls, last_call, last_note`, which begin at a column.
pub(super) fn known(row: &Row, first: usize) -> Result<KnownCustomer, tokio_postgres::Error> {
    Ok(KnownCustomer {
        customer: Customer {
            id: row.try_get(first)?,
            name: row.try_get(first + 1)?,
            car_number: row.try_get(first + 2)?,
            note: row.try_get(first + 3)?,
        },
        earlier: Earlier {
            calls: u32::try_from(row.try_get::<_, i64>(first + 4)?).unwrap_or(u32::MAX),
            last_call: row.try_get(first + 5)?,
            last_note: row.try_get(first + 6)?,
        },
    })
}

/// Changes customers, in a transaction without its commit; one transaction at a time.
pub(super) async fn change(client: &Client, jobs: &mut [&mut Job]) -> Result<(), Failure> {
    client.batch_execute(BEGIN).await?;
    // No store is deleted meanwhile.
    let lock = "SELECT pg_advisory_xact_lock($1), pg_advisory_xact_lock_shared($2)";
    client.query_typed(lock, &[(&CUSTOMERS, Type::INT8), (&DIRECTORY, Type::INT8)]).await?;
    // A batch changes customers of a store whose row it has locked.
    let stores: Vec<_> = jobs.iter().filter_map(|job| store_of(job)).collect();
    let lock = "SELECT FROM stores WHERE id = ANY ($1) ORDER BY key FOR NO KEY UPDATE";
    client.query_typed(lock, &[(&stores, Type::TEXT_ARRAY)]).await?;
    for job in jobs {
        match &mut **job {
            Job::Customers(work) => work.done(upsert(client, &work.input).await?),
            Job::DeleteCustomer(work) => {
                let (store_id, id) = &work.input;
                work.done(delete(client, store_id, id).await?);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The id of the store whose customers a job changes.
fn store_of(job: &Job) -> Option<&str> {
    match job {
        Job::Customers(work) => Some(&work.input.store_id),
        Job::DeleteCustomer(work) => Some(&work.input.0),
        _ => None,
    }
}

/// Writes the customers; `None`: no such store.
async fn upsert(client: &Client, import: &CustomerImport) -> Result<Option<Vec<CustomerChange>>, Failure> {
    let Some(store) = stores::find(client, &import.store_id).await? else { return Ok(None) };
    let mut existing = existing(client, store, import).await?;
    let (mut changes, mut changed) = (Vec::with_capacity(import.entries.len()), BTreeMap::new());
    for entry in &import.entries {
        let id = entry.customer.id.as_str();
        let change = entry.change(existing.get(id));
        changes.push(change);
        if change != CustomerChange::Unchanged {
            existing.insert(id.to_owned(), entry.clone());
            changed.insert(id, entry);
        }
    }
    if !changed.is_empty() {
        replace(client, store, &changed.into_values().collect::<Vec<_>>()).await?;
    }
    delete_same(client, store, &import.entries).await?;
    Ok(Some(changes))
}

/// Deletes what pads have written about the same people, if the adopter's records have all of it.
async fn delete_same(
    client: &Client,
    store: i64,
    entries: &[CustomerEntry],
) -> Result<(), tokio_postgres::Error> {
    let rows =
        || entries.iter().flat_map(|entry| entry.numbers.iter().map(|number| (number, &entry.customer)));
    let column = |of: fn(&Customer) -> &str| rows().map(|(_, customer)| of(customer)).collect::<Vec<_>>();
    let reversed: Vec<_> = rows().map(|(number, _)| reversed(number.e164())).collect();
    let (ids, names) = (column(|customer| &customer.id), column(|customer| &customer.name));
    let (cars, notes) = (column(|customer| &customer.car_number), column(|customer| &customer.note));
    let parameters: Parameters<'_> = &[
        (&store, Type::INT8),
        (&reversed, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&cars, Type::TEXT_ARRAY),
        (&notes, Type::TEXT_ARRAY),
    ];
    client
        .execute_typed(
            "DELETE FROM customers WHERE store = $1 AND reversed = ANY ($2)
             AND id LIKE 'pad-________-____-____-____-____________' AND EXISTS (
               SELECT FROM unnest($2, $3, $4, $5, $6) AS new (reversed, id, name, car, note)
               WHERE new.reversed = customers.reversed AND new.id <> customers.id AND new.name = customers.name
               AND customers.car_number IN ('', new.car) AND customers.note IN ('', new.note))",
            parameters,
        )
        .await
        .map(drop)
}

/// Writes what pads know of customers. What an older system knew, and other numbers, stay.
pub(super) async fn name(
    client: &Client,
    named: &BTreeMap<(StoreKey, String), (Customer, CustomerNumber)>,
) -> Result<(), tokio_postgres::Error> {
    if named.is_empty() {
        return Ok(());
    }
    let stores: Vec<_> = named.keys().map(|(store, _)| store.0).collect();
    let column =
        |of: fn(&Customer) -> &str| named.values().map(|(customer, _)| of(customer)).collect::<Vec<_>>();
    let ids = column(|customer| &customer.id);
    let (names, cars) = (column(|customer| &customer.name), column(|customer| &customer.car_number));
    let notes = column(|customer| &customer.note);
    let numbers: Vec<_> = named.values().map(|(_, number)| reversed(number.e164())).collect();
    let displays: Vec<_> = named.values().map(|(_, number)| number.display()).collect();
    let parameters: Parameters<'_> = &[
        (&stores, Type::INT8_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&cars, Type::TEXT_ARRAY),
        (&notes, Type::TEXT_ARRAY),
        (&numbers, Type::TEXT_ARRAY),
        (&displays, Type::TEXT_ARRAY),
    ];
    client
        .execute_typed("SELECT batch_name_customers($1, $2, $3, $4, $5, $6, $7)", parameters)
        .await
        .map(drop)
}

/// What [`upsert`] would do now; `None`: no such store.
pub(super) async fn plan(
    client: &Client,
    import: &CustomerImport,
) -> Result<Option<Vec<CustomerChange>>, tokio_postgres::Error> {
    let Some(store) = stores::find(client, &import.store_id).await? else { return Ok(None) };
    let mut existing = existing(client, store, import).await?;
    let plan_one = |entry: &CustomerEntry| {
        let change = entry.change(existing.get(&entry.customer.id));
        existing.insert(entry.customer.id.clone(), entry.clone());
        change
    };
    Ok(Some(import.entries.iter().map(plan_one).collect()))
}

async fn delete(client: &Client, store_id: &str, id: &str) -> Result<Deleted, tokio_postgres::Error> {
    let Some(store) = stores::find(client, store_id).await? else { return Ok(Deleted::NoSuchStore) };
    if !can_exist(id) {
        return Ok(Deleted::NoSuchCustomer);
    }
    let parameters: Parameters<'_> = &[(&store, Type::INT8), (&id, Type::TEXT)];
    let deleted =
        client.execute_typed("DELETE FROM customers WHERE store = $1 AND id = $2", parameters).await?;
    Ok(if deleted > 0 { Deleted::Done } else { Deleted::NoSuchCustomer })
}

/// Customers with an id after `after`, by id; `None`: no such store.
pub(super) async fn list(
    client: &Client,
    store_id: &str,
    after: &str,
    limit: u32,
) -> Result<Option<Vec<CustomerEntry>>, tokio_postgres::Error> {
    let Some(store) = stores::find(client, store_id).await? else { return Ok(None) };
    // The ids after what cannot be an id are those after its beginning.
    let after = after.split('\0').next().unwrap_or_default();
    let select = format!(
        "{COLUMNS} WHERE store = $1 AND id IN (SELECT DISTINCT id FROM customers WHERE store = $1 AND id > $2 ORDER BY id LIMIT $3)"
    );
    let parameters: Parameters<'_> =
        &[(&store, Type::INT8), (&after, Type::TEXT), (&i64::from(limit), Type::INT8)];
    let rows = client.query_typed(&select, parameters).await?;
    Ok(Some(entries(&rows)?.into_values().collect()))
}

/// What [`entries`] reads.
const COLUMNS: &str =
    "SELECT id, name, car_number, note, calls, last_call, last_note, reversed, display FROM customers";

/// What the log has of the customers of an import, by id.
async fn existing(
    client: &Client,
    store: i64,
    import: &CustomerImport,
) -> Result<BTreeMap<String, CustomerEntry>, tokio_postgres::Error> {
    let ids: Vec<_> = import.entries.iter().map(|entry| entry.customer.id.as_str()).collect();
    let select = format!("{COLUMNS} WHERE store = $1 AND id = ANY ($2)");
    entries(&client.query_typed(&select, &[(&store, Type::INT8), (&ids, Type::TEXT_ARRAY)]).await?)
}

/// The customers of rows, by id, each with its numbers.
fn entries(rows: &[Row]) -> Result<BTreeMap<String, CustomerEntry>, tokio_postgres::Error> {
    let mut found: BTreeMap<String, CustomerEntry> = BTreeMap::new();
    for row in rows {
        let KnownCustomer { customer, earlier } = known(row, 0)?;
        // To read it backwards once more gives the number.
        let number = CustomerNumber::from_log(reversed(row.try_get(7)?), row.try_get::<_, &str>(8)?);
        let entry = found.entry(customer.id.clone());
        let entry = entry.or_insert_with(|| CustomerEntry { customer, numbers: BTreeSet::new(), earlier });
        entry.numbers.insert(number);
    }
    Ok(found)
}

async fn replace(
    client: &Client,
    store: i64,
    entries: &[&CustomerEntry],
) -> Result<(), tokio_postgres::Error> {
    let all_ids: Vec<_> = entries.iter().map(|entry| entry.customer.id.as_str()).collect();
    let rows: Vec<_> = entries
        .iter()
        .flat_map(|entry| entry.numbers.iter().map(|number| (number, &entry.customer, &entry.earlier)))
        .collect();
    let column =
        |of: fn(&Customer) -> &str| rows.iter().map(|(_, customer, _)| of(customer)).collect::<Vec<_>>();
    let reversed: Vec<_> = rows.iter().map(|(number, ..)| reversed(number.e164())).collect();
    let displays: Vec<_> = rows.iter().map(|(number, ..)| number.display()).collect();
    let (ids, names) = (column(|customer| &customer.id), column(|customer| &customer.name));
    let (cars, notes) = (column(|customer| &customer.car_number), column(|customer| &customer.note));
    let calls: Vec<_> = rows.iter().map(|(.., earlier)| i64::from(earlier.calls)).collect();
    let last_calls: Vec<_> = rows.iter().map(|(.., earlier)| earlier.last_call).collect();
    let last_notes: Vec<_> = rows.iter().map(|(.., earlier)| earlier.last_note.as_str()).collect();
    let replaced: Parameters<'_> = &[(&store, Type::INT8), (&all_ids, Type::TEXT_ARRAY)];
    let inserted: Parameters<'_> = &[
        (&store, Type::INT8),
        (&reversed, Type::TEXT_ARRAY),
        (&displays, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&cars, Type::TEXT_ARRAY),
        (&notes, Type::TEXT_ARRAY),
        (&calls, Type::INT8_ARRAY),
        (&last_calls, Type::INT8_ARRAY),
        (&last_notes, Type::TEXT_ARRAY),
    ];
    try_join!(
        biased;
        client.execute_typed("DELETE FROM customers WHERE store = $1 AND id = ANY ($2)", replaced),
        client.execute_typed(
            "INSERT INTO customers (store, reversed, display, id, name, car_number, note, calls, last_call, last_note)
             SELECT $1, * FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10)",
            inserted,
        ),
    )?;
    Ok(())
}

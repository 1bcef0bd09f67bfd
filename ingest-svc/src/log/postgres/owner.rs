//! Each ingest-svc that runs has a row: how many events it has committed, how many of them its relay has handled, and until when
//! no other ingest-svc takes over the rest. Every batch renews the lease, and a probe comes once a second.
//!
//! An ingest-svc that takes over publishes no event of the dead one, only a hint for each store that has one: hubs then read the log.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use super::{
    error::Failure,
    locks::{BEGIN, LEASE},
    rows::signed,
};

/// Under which name this ingest-svc commits now: what its relay reads from the log.
#[derive(Debug, Default)]
pub(super) struct CurrentOwner(Mutex<Uuid>);

impl CurrentOwner {
    pub(super) fn get(&self) -> Uuid {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, owner: Uuid) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = owner;
    }
}

/// A new owner, whose events are counted from `newest` on.
pub(super) async fn enter(client: &Client, owner: Uuid, newest: u64) -> Result<(), Failure> {
    let statement = format!(
        "INSERT INTO owners (owner, newest, relayed, lease) VALUES ($1, $2, $2, clock_timestamp() + {LEASE})"
    );
    let newest = signed(newest);
    client.execute_typed(&statement, &[(&owner, Type::UUID), (&newest, Type::INT8)]).await?;
    Ok(())
}

/// Takes over the owners whose lease has run out, and adds the ids of the stores with an event that was not handled to `stores`. They are
/// there also if it is not known whether the owners are removed: a hint too many costs a look into the log.
pub(super) async fn take_over(
    client: &Client,
    own: Uuid,
    stores: &mut Vec<String>,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(BEGIN).await?;
    let owners = client
        .query_typed(
            "SELECT owner, relayed FROM owners WHERE lease < clock_timestamp() AND owner <> $1 FOR UPDATE SKIP LOCKED",
            &[(&own, Type::UUID)],
        )
        .await?;
    let mut names = Vec::new();
    for owner in &owners {
        let (name, relayed): (Uuid, i64) = (owner.try_get(0)?, owner.try_get(1)?);
        let left = client
            .query_typed(
                "SELECT id FROM stores WHERE NOT deleted AND key IN (SELECT store FROM events WHERE owner = $1 AND sequence > $2)",
                &[(&name, Type::UUID), (&relayed, Type::INT8)],
            )
            .await?;
        for store in &left {
            stores.push(store.try_get(0)?);
        }
        names.push(name);
    }
    if !names.is_empty() {
        tracing::info!(
            owners = names.len(),
            stores = stores.len(),
            "took over from ingest-svc that have ended; hubs read what was not published from the log"
        );
        client
            .execute_typed("DELETE FROM owners WHERE owner = ANY ($1)", &[(&names, Type::UUID_ARRAY)])
            .await?;
    }
    client.batch_execute("COMMIT").await
}

/// The owner ends. If its relay has handled every event, nothing is left to take over; otherwise the next probe of another
/// ingest-svc does.
pub(super) async fn leave(client: &Client, owner: Uuid, relayed: u64) -> Result<(), tokio_postgres::Error> {
    let relayed = signed(relayed);
    let parameters =
        [(&owner as &(dyn tokio_postgres::types::ToSql + Sync), Type::UUID), (&relayed, Type::INT8)];
    let gone = "DELETE FROM owners WHERE owner = $1 AND newest <= $2";
    if client.execute_typed(gone, &parameters).await? == 0 {
        let left = "UPDATE owners SET relayed = greatest(relayed, $2), lease = '-infinity' WHERE owner = $1";
        client.execute_typed(left, &parameters).await?;
    }
    Ok(())
}

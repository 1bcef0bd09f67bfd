//! The table of tablets: those that were paired, and those that show a code. One ingest-svc at a time changes it, so that there are
//! no more codes than there may be, and no two tablets show the same one.

use tokio::try_join;
use tokio_postgres::{Client, Row, types::Type};
use uuid::Uuid;

use super::{
    super::{batch::Batch, job::Job},
    error::Failure,
    locks::{BEGIN, DIRECTORY, PADS as LOCK},
    rows::can_exist,
    stores,
};
use crate::pad::{
    CODE_SECONDS, CredentialHash, Holder, PadChange, PadChangeKind, PadMark, PadOutcome, PairedPad,
    PairingCode,
};

/// Does the changes one after the other; the caller commits. `most` tablets at a time have a code that nobody has approved.
pub(super) async fn change(
    client: &Client,
    jobs: &mut [&mut Job],
    most: u32,
    batch: &mut Batch,
) -> Result<(), Failure> {
    // No store is deleted meanwhile.
    let locks = "SELECT pg_advisory_xact_lock_shared($1), pg_advisory_xact_lock($2)";
    try_join!(
        biased;
        client.batch_execute(BEGIN),
        async { client.query_typed(locks, &[(&DIRECTORY, Type::INT8), (&LOCK, Type::INT8)]).await },
    )?;
    for job in jobs {
        if let Job::Pads(work) = &mut **job {
            let outcome = one(client, &work.input, most).await?;
            batch.writes |= matches!(outcome, PadOutcome::Begun(_));
            work.done(outcome);
        }
    }
    Ok(())
}

async fn one(
    client: &Client,
    PadChange { at, kind }: &PadChange,
    most: u32,
) -> Result<PadOutcome, tokio_postgres::Error> {
    match kind {
        PadChangeKind::Begin { id, hash, codes } => begin(client, *at, (*id, *hash), codes, most).await,
        PadChangeKind::Approve { code, store_id, name } => approve(client, *at, code, store_id, name).await,
        PadChangeKind::Revoke(id) => {
            let revoke =
                "UPDATE pads SET revoked = coalesce(revoked, $2) WHERE id = $1 AND store IS NOT NULL";
            let revoked = client.execute_typed(revoke, &[(id, Type::UUID), (at, Type::INT8)]).await?;
            Ok(if revoked == 0 { PadOutcome::NoSuchPad } else { PadOutcome::Done })
        }
        PadChangeKind::NoteToken(id) => {
            let note = "UPDATE pads SET last_token = $2 WHERE id = $1";
            client.execute_typed(note, &[(id, Type::UUID), (at, Type::INT8)]).await?;
            Ok(PadOutcome::Done)
        }
    }
}

async fn begin(
    client: &Client,
    at: i64,
    (id, hash): (Uuid, CredentialHash),
    codes: &[PairingCode],
    most: u32,
) -> Result<PadOutcome, tokio_postgres::Error> {
    for forget in [
        "DELETE FROM pads WHERE code IS NOT NULL AND store IS NULL AND expires <= $1",
        // Of a pad that was approved: the code can be shown by another tablet.
        "UPDATE pads SET code = NULL WHERE code IS NOT NULL AND expires <= $1",
    ] {
        client.execute_typed(forget, &[(&at, Type::INT8)]).await?;
    }
    let count = "SELECT count(*), min(expires) FROM pads WHERE code IS NOT NULL AND store IS NULL";
    let row = client.query_typed_one(count, &[]).await?;
    let (waiting, first): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let (hash, expires) = (hash.0.as_slice(), at.saturating_add(CODE_SECONDS));
    if waiting < i64::from(most) {
        for code in codes {
            let insert = "INSERT INTO pads (id, credential, code, expires) VALUES ($1, $2, $3, $4)
                          ON CONFLICT (code) WHERE code IS NOT NULL DO NOTHING";
            let inserted = client
                .execute_typed(
                    insert,
                    &[
                        (&id, Type::UUID),
                        (&hash, Type::BYTEA),
                        (&code.as_str(), Type::TEXT),
                        (&expires, Type::INT8),
                    ],
                )
                .await?;
            if inserted > 0 {
                return Ok(PadOutcome::Begun(code.clone()));
            }
        }
    }
    Ok(PadOutcome::full(first.unwrap_or(at), at))
}

/// A repeat finds the same pad, until the code expires: its first answer may have been lost.
async fn approve(
    client: &Client,
    at: i64,
    code: &PairingCode,
    store_id: &str,
    name: &str,
) -> Result<PadOutcome, tokio_postgres::Error> {
    let select = "SELECT id, store FROM pads WHERE code = $1 AND code IS NOT NULL AND expires > $2 AND revoked IS NULL";
    let shown = client.query_typed(select, &[(&code.as_str(), Type::TEXT), (&at, Type::INT8)]).await?;
    let Some(shown) = shown.first() else { return Ok(PadOutcome::NoSuchCode) };
    let (id, owner): (Uuid, Option<i64>) = (shown.try_get(0)?, shown.try_get(1)?);
    let Some(store) = stores::find(client, store_id).await? else { return Ok(PadOutcome::NoSuchStore) };
    if owner.is_none() {
        client
            .execute_typed(
                "UPDATE pads SET store = $2, name = $3, paired = $4 WHERE id = $1",
                &[(&id, Type::UUID), (&store, Type::INT8), (&name, Type::TEXT), (&at, Type::INT8)],
            )
            .await?;
    }
    let select = format!("{PADS} WHERE pads.id = $1 AND pads.store = $2 AND pads.name = $3");
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 3] =
        [(&id, Type::UUID), (&store, Type::INT8), (&name, Type::TEXT)];
    Ok(match client.query_typed(&select, &parameters).await?.first() {
        Some(row) => PadOutcome::Approved(Box::new(pad(row)?)),
        None => PadOutcome::NoSuchCode,
    })
}

/// Pads as [`pad`] reads them.
const PADS: &str =
    "SELECT pads.id, stores.id, stores.name, pads.name, pads.paired, pads.last_token, pads.revoked
    FROM pads JOIN stores ON stores.key = pads.store AND NOT stores.deleted";

fn pad(row: &Row) -> Result<PairedPad, tokio_postgres::Error> {
    Ok(PairedPad {
        id: row.try_get(0)?,
        store_id: row.try_get(1)?,
        store_name: row.try_get(2)?,
        name: row.try_get(3)?,
        paired: row.try_get(4)?,
        last_token: row.try_get(5)?,
        revoked: row.try_get(6)?,
    })
}

/// Whose credential it is.
pub(super) async fn holder(
    client: &Client,
    credential: CredentialHash,
    now: i64,
) -> Result<Option<Holder>, tokio_postgres::Error> {
    let hash = credential.0.as_slice();
    let select = format!("{PADS} WHERE pads.credential = $1 AND pads.revoked IS NULL");
    if let Some(row) = client.query_typed(&select, &[(&hash, Type::BYTEA)]).await?.first() {
        return Ok(Some(Holder::Paired(pad(row)?)));
    }
    let select = "SELECT FROM pads WHERE credential = $1 AND store IS NULL AND expires > $2";
    let waits = client.query_typed(select, &[(&hash, Type::BYTEA), (&now, Type::INT8)]).await?;
    Ok((!waits.is_empty()).then_some(Holder::Waiting))
}

/// Pads after a place in the order of store, name and id.
pub(super) async fn list(
    client: &Client,
    store_id: &str,
    after: Option<&PadMark>,
    limit: u32,
) -> Result<Vec<PairedPad>, tokio_postgres::Error> {
    // Before every pad's place.
    let nil = Uuid::nil();
    let (store, name, id) =
        after.map_or(("", "", nil), |mark| (mark.store_id.as_str(), mark.name.as_str(), mark.id));
    if ![store_id, store, name].into_iter().all(can_exist) {
        return Ok(Vec::new());
    }
    let of_store = if store_id.is_empty() { "$1 = ''" } else { "stores.id = $1" };
    let select = format!(
        "{PADS} WHERE {of_store} AND (stores.id, pads.name COLLATE \"C\", pads.id) > ($2, $3, $4)
         ORDER BY stores.id, pads.name COLLATE \"C\", pads.id LIMIT $5"
    );
    let limit = i64::from(limit);
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 5] = [
        (&store_id, Type::TEXT),
        (&store, Type::TEXT),
        (&name, Type::TEXT),
        (&id, Type::UUID),
        (&limit, Type::INT8),
    ];
    client.query_typed(&select, &parameters).await?.iter().map(pad).collect()
}

/// Pads that were revoked since a Unix second, and those of deleted stores.
pub(super) async fn revoked(client: &Client, since: i64) -> Result<Vec<Uuid>, tokio_postgres::Error> {
    let select = "SELECT id FROM pads WHERE revoked >= $1
        UNION SELECT pads.id FROM stores JOIN pads ON pads.store = stores.key WHERE stores.deleted";
    let rows = client.query_typed(select, &[(&since, Type::INT8)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

//! The table of tablets: those that were paired, and those that show a code.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::stores;
use crate::{
    pad::{
        CODE_SECONDS, CredentialHash, Holder, PadChange, PadChangeKind, PadMark, PadOutcome, PairedPad,
        PairingCode,
    },
    store::StoreKey,
};

/// Does one change. `most` tablets at a time have a code that nobody has approved.
pub(super) fn change(
    connection: &Connection,
    PadChange { at, kind }: &PadChange,
    most: u32,
) -> rusqlite::Result<PadOutcome> {
    match kind {
        PadChangeKind::Begin { id, hash, codes } => begin(connection, *at, (*id, *hash), codes, most),
        PadChangeKind::Approve { code, store_id, name } => approve(connection, *at, code, store_id, name),
        PadChangeKind::Revoke(id) => {
            let revoked = connection
                .prepare_cached(
                    "UPDATE pads SET revoked = ifnull(revoked, ?2) WHERE id = ?1 AND store IS NOT NULL",
                )?
                .execute(params![id.as_bytes(), at])?;
            Ok(if revoked == 0 { PadOutcome::NoSuchPad } else { PadOutcome::Done })
        }
        PadChangeKind::NoteToken(id) => {
            connection
                .prepare_cached("UPDATE pads SET last_token = ?2 WHERE id = ?1")?
                .execute(params![id.as_bytes(), at])?;
            Ok(PadOutcome::Done)
        }
    }
}

fn begin(
    connection: &Connection,
    at: i64,
    (id, hash): (Uuid, CredentialHash),
    codes: &[PairingCode],
    most: u32,
) -> rusqlite::Result<PadOutcome> {
    connection
        .prepare_cached("DELETE FROM pads WHERE code IS NOT NULL AND store IS NULL AND expires <= ?1")?
        .execute([at])?;
    // Of a pad that was approved: the code can be shown by another tablet.
    connection
        .prepare_cached("UPDATE pads SET code = NULL WHERE code IS NOT NULL AND expires <= ?1")?
        .execute([at])?;
    let (waiting, first): (u32, Option<i64>) = connection
        .prepare_cached("SELECT count(*), min(expires) FROM pads WHERE code IS NOT NULL AND store IS NULL")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let expires = at.saturating_add(CODE_SECONDS);
    let mut insert = connection.prepare_cached(
        "INSERT INTO pads (id, credential, code, expires) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (code) WHERE code IS NOT NULL DO NOTHING",
    )?;
    if waiting < most {
        for code in codes {
            if insert.execute(params![id.as_bytes(), hash.0, code.as_str(), expires])? > 0 {
                return Ok(PadOutcome::Begun(code.clone()));
            }
        }
    }
    Ok(PadOutcome::full(first.unwrap_or(at), at))
}

/// A repeat finds the same pad, until the code expires: its first answer may have been lost.
fn approve(
    connection: &Connection,
    at: i64,
    code: &PairingCode,
    store_id: &str,
    name: &str,
) -> rusqlite::Result<PadOutcome> {
    let shown: Option<([u8; 16], Option<StoreKey>)> = connection
        .prepare_cached(
            "SELECT id, store FROM pads WHERE code = ?1 AND code IS NOT NULL AND expires > ?2 AND revoked IS NULL",
        )?
        .query_row(params![code.as_str(), at], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, owner)) = shown else { return Ok(PadOutcome::NoSuchCode) };
    let Some(store) = stores::find(connection, store_id)? else { return Ok(PadOutcome::NoSuchStore) };
    if owner.is_none() {
        connection
            .prepare_cached("UPDATE pads SET store = ?2, name = ?3, paired = ?4 WHERE id = ?1")?
            .execute(params![id, store, name, at])?;
    }
    let pad = connection
        .prepare_cached(&format!("{PADS} WHERE pads.id = ?1 AND pads.store = ?2 AND pads.name = ?3"))?
        .query_row(params![id, store, name], pad)
        .optional()?;
    Ok(pad.map_or(PadOutcome::NoSuchCode, |pad| PadOutcome::Approved(Box::new(pad))))
}

/// Pads as [`pad`] reads them.
const PADS: &str =
    "SELECT pads.id, stores.id, stores.name, pads.name, pads.paired, pads.last_token, pads.revoked
    FROM pads JOIN stores ON stores.key = pads.store AND stores.deleted = 0";

fn pad(row: &Row<'_>) -> rusqlite::Result<PairedPad> {
    Ok(PairedPad {
        id: Uuid::from_bytes(row.get(0)?),
        store_id: row.get(1)?,
        store_name: row.get(2)?,
        name: row.get(3)?,
        paired: row.get(4)?,
        last_token: row.get(5)?,
        revoked: row.get(6)?,
    })
}

/// Whose credential it is.
pub(super) fn holder(
    connection: &mut Connection,
    credential: CredentialHash,
    now: i64,
) -> rusqlite::Result<Option<Holder>> {
    let snapshot = connection.transaction()?;
    let paired = snapshot
        .prepare_cached(&format!("{PADS} WHERE pads.credential = ?1 AND pads.revoked IS NULL"))?
        .query_row([credential.0], pad)
        .optional()?;
    if let Some(pad) = paired {
        return Ok(Some(Holder::Paired(pad)));
    }
    let waits = snapshot
        .prepare_cached("SELECT 1 FROM pads WHERE credential = ?1 AND store IS NULL AND expires > ?2")?
        .exists(params![credential.0, now])?;
    Ok(waits.then_some(Holder::Waiting))
}

/// Pads after a place in the order of store, name and id.
pub(super) fn list(
    connection: &Connection,
    store_id: &str,
    after: Option<&PadMark>,
    limit: u32,
) -> rusqlite::Result<Vec<PairedPad>> {
    // Before every pad's place.
    let nil = Uuid::nil();
    let (store, name, id) =
        after.map_or(("", "", nil), |mark| (mark.store_id.as_str(), mark.name.as_str(), mark.id));
    let of_store = if store_id.is_empty() { "?1 = ''" } else { "stores.id = ?1" };
    let mut select = connection.prepare_cached(&format!(
        "{PADS} WHERE {of_store} AND (stores.id, pads.name, pads.id) > (?2, ?3, ?4)
         ORDER BY stores.id, pads.name, pads.id LIMIT ?5"
    ))?;
    select.query_map(params![store_id, store, name, id.as_bytes(), limit], pad)?.collect()
}

/// Pads that were revoked since a Unix second, and those of deleted stores.
pub(super) fn revoked(connection: &Connection, since: i64) -> rusqlite::Result<Vec<Uuid>> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM pads WHERE revoked >= ?1
         UNION SELECT pads.id FROM stores INDEXED BY stores_deleted CROSS JOIN pads INDEXED BY pads_of_store
           ON pads.store = stores.key WHERE stores.deleted = 1",
    )?;
    select.query_map([since], |row| row.get(0).map(Uuid::from_bytes))?.collect()
}

//! What is locked, in which order, and for how long.
//!
//! All transactions lock in one order, so that no two wait for each other: the sender's own row of `owners`, the directory (shared),
//! the (source, seq) of their records sorted by their hash, calls sorted by key, stores sorted by key. The lock on (source, seq)
//! stands for a call that does not exist yet: without it two ingest-svc would both make it. The lock on a store is held to
//! the commit, so its positions are in commit order and without a gap. What changes customers takes a lock of its own first,
//! and then the directory (shared) and the stores; a batch changes customers after it has locked their store. What changes tablets takes
//! the directory (shared) and then a lock of its own.

use sha2::{Digest, Sha256};

use crate::cdr::Record;

/// Held while the tables are made. As the next ones, a number that no other program uses.
pub(super) const MIGRATION: i64 = 0x7269_6e67_7061_6401;

/// Held shared by each batch, and alone by a change of stores: a number's owner does not change while a call is given to it.
pub(super) const DIRECTORY: i64 = 0x7269_6e67_7061_6402;

/// Held by the transaction that changes the quarantine.
pub(super) const QUARANTINE: i64 = 0x7269_6e67_7061_6403;

/// Held by the ingest-svc that deletes what is old.
pub(super) const RETENTION: i64 = 0x7269_6e67_7061_6404;

/// Held by the transaction that copies a log from SQLite.
pub(super) const COPY: i64 = 0x7269_6e67_7061_6405;

/// Held by the transaction that changes customers.
pub(super) const CUSTOMERS: i64 = 0x7269_6e67_7061_6406;

/// Held by the transaction that changes what is known of tablets.
pub(super) const PADS: i64 = 0x7269_6e67_7061_6407;

/// For how long an owner's events are left to it. By the database's clock.
pub(super) const LEASE: &str = "interval '5 seconds'";

/// How a transaction that writes begins. The function is in `batch.sql`.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT begin_writing()";

/// What stands for the calls with a record's (source, seq). Two records with one of them only wait for each other.
pub(super) fn of_seq(record: &Record) -> i64 {
    let mut hash = Sha256::new();
    hash.update(record.source.as_bytes());
    hash.update([0]);
    hash.update(record.cdr.seq().as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    hash.as_chunks().0.first().map_or(0, |first| i64::from_le_bytes(*first))
}

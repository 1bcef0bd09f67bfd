//! Moves committed pages from the write-ahead log into the database file, beside the writer: an accept never waits for
//! it. Should it fall behind, SQLite checkpoints in the writer once the write-ahead log has
//! [`WAL_PAGES_AT_MOST`] pages: slower accepts, but a bounded file.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use super::{file::LogFile, schema};

/// Pages (of 4 KiB) in the write-ahead log at which the writer itself checkpoints: 256 MiB.
pub(super) const WAL_PAGES_AT_MOST: i64 = 64 * 1024;

/// How often the write-ahead log is checkpointed on a calm day. A checkpoint's writes delay the commits beside it for
/// some milliseconds, so it is rare; each page then moves once, however often it was written.
const INTERVAL: Duration = Duration::from_secs(4);

/// Jobs after which the writer asks for a checkpoint before that: some ten thousand pages.
pub(super) const JOBS: usize = 8 * 1024;

/// Checkpoints at each request, and at every interval, until the other end of `requests` is dropped.
pub(super) fn run(file: Arc<LogFile>, requests: Receiver<()>) {
    let connection = match schema::open_reader(&file).and_then(|connection| {
        connection.pragma_update(None, "query_only", false)?;
        Ok(connection)
    }) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(%error, "cannot checkpoint beside the writer; it will do so itself, and be slower");
            return;
        }
    };
    while requests.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, "cannot checkpoint the log; trying again");
        }
    }
}

//! For `ringpad quarantine`: lists quarantined requests masked, and replays them once the cause of their faults is repaired.

use ringpad_proto::{
    Timestamp,
    v1::{
        FieldViolation, ListQuarantineRequest, ListQuarantineResponse, QuarantinedRequest,
        ReplayQuarantineRequest, ReplayQuarantineResponse,
    },
};
use tonic::Status;

use super::status::{faulty, unavailable};
use crate::{
    capacity::Entries,
    log::{Log, LogReader},
    request::Quarantined,
    source::Sources,
};

/// The highest id that a log has.
const LAST_ID: u64 = i64::MAX.unsigned_abs();
/// Requests that are replayed together.
const REPLAY_BATCH: u32 = 200;

/// Lists requests, the newest first.
pub(super) async fn list(
    log: &LogReader,
    entries: Entries,
    sources: &Sources,
    request: ListQuarantineRequest,
) -> Result<ListQuarantineResponse, Status> {
    let ListQuarantineRequest { page_size, page_token } = request;
    let before = match page_token.as_str() {
        "" => LAST_ID,
        token => token.parse().ok().filter(|id| *id <= LAST_ID).ok_or_else(|| {
            faulty("page_token", "it is not a valid page token: an answer's next_page_token is expected")
        })?,
    };
    let limit = entries.limit(page_size);
    let page = log.newest_quarantined(before, limit).await.map_err(unavailable)?;
    let last = page.last().filter(|_| page.len() == limit as usize);
    Ok(ListQuarantineResponse {
        next_page_token: last.map(|(id, _)| id.to_string()).unwrap_or_default(),
        requests: page.into_iter().map(|(id, request)| message(id, request, sources)).collect(),
    })
}

/// Replays all requests, or those with the given ids, in the order in which they were received. A request that is logged now
/// leaves the quarantine; if that fails, the next replay finds a duplicate. A late ring does not pop up: the record keeps the
/// time of its first receipt.
pub(super) async fn replay(
    log: &Log,
    sources: &Sources,
    request: ReplayQuarantineRequest,
) -> Result<ReplayQuarantineResponse, Status> {
    let mut answer = ReplayQuarantineResponse::default();
    let ReplayQuarantineRequest { mut ids } = request;
    if !ids.is_empty() {
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let found = log.reader().oldest_quarantined(id.min(LAST_ID), 1).await.map_err(unavailable)?;
            let found = found.into_iter().filter(|(found, _)| *found == id).collect::<Vec<_>>();
            if found.is_empty() {
                return Err(Status::not_found(format!("there is no quarantined request {id}")));
            }
            replay_batch(log, sources, found, &mut answer).await?;
        }
        return Ok(answer);
    }
    let mut from = 0;
    loop {
        let page = log.reader().oldest_quarantined(from, REPLAY_BATCH).await.map_err(unavailable)?;
        let Some((last, _)) = page.last() else { return Ok(answer) };
        from = last + 1;
        replay_batch(log, sources, page, &mut answer).await?;
    }
}

async fn replay_batch(
    log: &Log,
    sources: &Sources,
    requests: Vec<(u64, Quarantined)>,
    answer: &mut ReplayQuarantineResponse,
) -> Result<(), Status> {
    let mut submitted = Vec::new();
    for (id, quarantined) in requests {
        let record = sources
            .get(&quarantined.source)
            .and_then(|source| quarantined.request.record(source, quarantined.received_at).ok());
        match record {
            Some(record) => submitted.push((id, log.submit(record).await.map_err(unavailable)?)),
            None => answer.still_faulty += 1,
        }
    }
    // If the log refuses one request, the others leave the quarantine nevertheless.
    let (mut logged, mut refused) = (Vec::new(), None);
    for (id, record) in submitted {
        match record.ingested().await {
            Ok(_) => logged.push(id),
            Err(error) => {
                answer.still_faulty += 1;
                refused = Some(error);
            }
        }
    }
    if let (true, Some(error)) = (logged.is_empty(), refused) {
        return Err(unavailable(error));
    }
    answer.accepted += u32::try_from(logged.len()).unwrap_or(u32::MAX);
    log.release(logged).await.map_err(unavailable)
}

fn message(id: u64, quarantined: Quarantined, sources: &Sources) -> QuarantinedRequest {
    let Quarantined { source, received_at, request, faults } = quarantined;
    let masked_request = match sources.get(&source) {
        Some(source) => request.masked(source),
        // Without its settings it is not known what has to be masked.
        None => "(its source is not configured any more)".to_owned(),
    };
    QuarantinedRequest {
        id,
        source: source.to_string(),
        received_at: Some(Timestamp {
            seconds: received_at.as_second(),
            nanos: received_at.subsec_nanosecond(),
        }),
        field_violations: faults
            .into_iter()
            .map(|fault| FieldViolation { field: fault.field, description: fault.message })
            .collect(),
        masked_request,
    }
}

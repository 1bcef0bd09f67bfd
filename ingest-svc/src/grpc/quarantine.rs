//! Behind `ringpad quarantine`: what was no CDR, masked, and another try once the cause is mended.

use ringpad_proto::{
    Timestamp,
    v1::{
        FieldViolation, ListQuarantineRequest, ListQuarantineResponse, QuarantinedRequest,
        ReplayQuarantineRequest, ReplayQuarantineResponse,
    },
};
use tonic::Status;

use super::{faulty, unavailable};
use crate::{
    log::{Log, LogReader},
    request::Quarantined,
    source::Sources,
};

/// Requests in one answer at most, and by default.
const PAGE: (u32, u32) = (100, 100);
/// The highest id that SQLite has.
const LAST_ID: u64 = i64::MAX.unsigned_abs();
/// Requests that are tried again together.
const REPLAYED_TOGETHER: u32 = 200;

/// The newest first.
pub(super) async fn list(
    log: &LogReader,
    sources: &Sources,
    request: ListQuarantineRequest,
) -> Result<ListQuarantineResponse, Status> {
    let ListQuarantineRequest { page_size, page_token } = request;
    let before = match page_token.as_str() {
        "" => LAST_ID,
        token => token.parse().ok().filter(|id| *id <= LAST_ID).ok_or_else(|| {
            faulty("page_token", "is none of ours; an answer's next_page_token is expected")
        })?,
    };
    let (most, usual) = PAGE;
    let limit = if page_size == 0 { usual } else { page_size.min(most) };
    let page = log.newest_quarantined(before, limit).await.map_err(unavailable)?;
    let last = page.last().filter(|_| page.len() == limit as usize);
    Ok(ListQuarantineResponse {
        next_page_token: last.map(|(id, _)| id.to_string()).unwrap_or_default(),
        requests: page.into_iter().map(|(id, request)| message(id, request, sources)).collect(),
    })
}

/// Tries requests again, all of them or those with the given ids, in the order in which they came. What is logged now
/// leaves the quarantine; should that fail, the next try finds a duplicate. A late ring does not pop: a record counts as
/// received when it first came.
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
            try_again(log, sources, found, &mut answer).await?;
        }
        return Ok(answer);
    }
    let mut from = 0;
    loop {
        let page = log.reader().oldest_quarantined(from, REPLAYED_TOGETHER).await.map_err(unavailable)?;
        let Some((last, _)) = page.last() else { return Ok(answer) };
        from = last + 1;
        try_again(log, sources, page, &mut answer).await?;
    }
}

async fn try_again(
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
    // One that the log refuses alone must not keep the others in the quarantine.
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
        // How it writes is not known any more, and so not what would have to be masked.
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

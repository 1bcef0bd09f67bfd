//! `IngestService`: CDRs in, calls and events out.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream::unfold};
use jiff::Timestamp;
use prost::Message;
use ringpad_proto::v1::{
    ActOnCallRequest, ActOnCallResponse, Cdr, FieldViolation, IngestCallRequest, IngestCallResponse,
    IngestCallStreamRequest, IngestCallStreamResponse, IngestError, IngestStatus, ListCallEventsRequest,
    ListCallEventsResponse, ListCallsRequest, ListCallsResponse, ListQuarantineRequest,
    ListQuarantineResponse, ReplayQuarantineRequest, ReplayQuarantineResponse,
    ingest_service_server::IngestService,
};
use ringpad_runtime::{
    CancellationToken, grpc,
    traces::{Stage, TRACEPARENT},
};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};
use tonic_types::{ErrorDetails, StatusExt};

use super::{act, calls, quarantine, unavailable};
use crate::{
    Shared,
    call::{self, Ingested},
    cdr::{Fault, Faults, RawFields, Record},
    log::{LogError, Submitted},
    request::MAX_BYTES,
};

/// Records of one stream that may be on their way to the log. When it is full, the stream is read no further.
const IN_FLIGHT: usize = 512;
/// Records of one stream that are still taken once the process leaves: those that had come by then. A client whose last ones
/// they are has all its answers, and one that would send on for ever is told to go.
const LAST_RECORDS: usize = IN_FLIGHT;

/// See the module's text.
pub(super) struct Ingest {
    pub(super) shared: Shared,
    /// Cancelled when the process begins to leave.
    pub(super) leaving: CancellationToken,
}

/// A record on its way to the log, and the stages of its trace that end with it.
struct InFlight {
    record: Submitted,
    _commit: Stage,
    _ingest: Stage,
}

/// Why a record was not taken.
enum Refusal {
    NoSource(String),
    Faults(Faults),
    Log(LogError),
}

#[async_trait]
impl IngestService for Ingest {
    async fn ingest_call(
        &self,
        request: Request<IngestCallRequest>,
    ) -> Result<Response<IngestCallResponse>, Status> {
        let traceparent = traceparent(&request);
        let IngestCallRequest { source, cdr } = request.into_inner();
        let submitted = submit(&self.shared, source, cdr, traceparent.as_deref()).await?;
        let ingested = submitted.ingested().await?;
        Ok(Response::new(IngestCallResponse {
            call_id: ingested.call_id.to_string(),
            status: status(ingested.status).into(),
        }))
    }

    type IngestCallStreamStream =
        Pin<Box<dyn Stream<Item = Result<IngestCallStreamResponse, Status>> + Send>>;

    async fn ingest_call_stream(
        &self,
        request: Request<Streaming<IngestCallStreamRequest>>,
    ) -> Result<Response<Self::IngestCallStreamStream>, Status> {
        let (shared, traceparent) = (self.shared.clone(), traceparent(&request));
        // One after the other into the log, so that the stream's order is the log's; only the answers are waited for
        // together.
        let submitted = until_leaving(request.into_inner(), self.leaving.clone()).then(move |message| {
            let (shared, traceparent) = (shared.clone(), traceparent.clone());
            async move {
                let IngestCallStreamRequest { source, cdr } = message?;
                Ok::<_, Status>(submit(&shared, source, cdr, traceparent.as_deref()).await)
            }
        });
        let answers = submitted.map(|submitted| async {
            Ok(answer(match submitted? {
                Ok(record) => record.ingested().await,
                Err(refusal) => Err(refusal),
            }))
        });
        Ok(Response::new(Box::pin(answers.buffered(IN_FLIGHT))))
    }

    async fn list_calls(
        &self,
        request: Request<ListCallsRequest>,
    ) -> Result<Response<ListCallsResponse>, Status> {
        calls::list_calls(self.shared.log.reader(), request.into_inner()).await.map(Response::new)
    }

    async fn list_call_events(
        &self,
        request: Request<ListCallEventsRequest>,
    ) -> Result<Response<ListCallEventsResponse>, Status> {
        calls::list_call_events(self.shared.log.reader(), request.into_inner()).await.map(Response::new)
    }

    async fn act_on_call(
        &self,
        request: Request<ActOnCallRequest>,
    ) -> Result<Response<ActOnCallResponse>, Status> {
        act::act(&self.shared.log, request.into_inner()).await.map(Response::new)
    }

    async fn list_quarantine(
        &self,
        request: Request<ListQuarantineRequest>,
    ) -> Result<Response<ListQuarantineResponse>, Status> {
        quarantine::list(self.shared.log.reader(), &self.shared.sources, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn replay_quarantine(
        &self,
        request: Request<ReplayQuarantineRequest>,
    ) -> Result<Response<ReplayQuarantineResponse>, Status> {
        quarantine::replay(&self.shared.log, &self.shared.sources, request.into_inner())
            .await
            .map(Response::new)
    }
}

/// What a client sends, until it has sent everything or the process leaves; then UNAVAILABLE. Since it comes in the stream's
/// order, what was read before is answered before.
fn until_leaving(
    messages: Streaming<IngestCallStreamRequest>,
    leaving: CancellationToken,
) -> impl Stream<Item = Result<IngestCallStreamRequest, Status>> {
    unfold(Some((messages, leaving, LAST_RECORDS)), async |open| {
        let (mut messages, leaving, left) = open?;
        let left = left - usize::from(leaving.is_cancelled());
        tokio::select! {
            biased;
            message = messages.next(), if left > 0 => {
                Some((message?.map_err(grpc::unreadable), Some((messages, leaving, left))))
            }
            () = leaving.cancelled() => Some((Err(grpc::unavailable("ingest-svc is leaving")), None)),
        }
    })
}

/// Reads a record and gives it its place in the log.
async fn submit(
    shared: &Shared,
    source: String,
    cdr: Option<Cdr>,
    traceparent: Option<&str>,
) -> Result<InFlight, Refusal> {
    let Some(source) = shared.sources.get(&source) else { return Err(Refusal::NoSource(source)) };
    let cdr = cdr.unwrap_or_default();
    if cdr.encoded_len() > MAX_BYTES {
        let message = format!("has {} bytes; {MAX_BYTES} at most are expected", cdr.encoded_len());
        return Err(Refusal::Faults(Faults(vec![Fault { field: "cdr".to_owned(), message }])));
    }
    let ingest = shared.traces.begin("ingest", traceparent);
    let mut record = {
        let _parse = ingest.child("parse");
        Record::parse(RawFields::from(cdr), source, Timestamp::now()).map_err(Refusal::Faults)?
    };
    record.traceparent = ingest.traceparent();
    let commit = ingest.child("commit");
    let record = shared.log.submit(record).await.map_err(Refusal::Log)?;
    Ok(InFlight { record, _commit: commit, _ingest: ingest })
}

impl InFlight {
    async fn ingested(self) -> Result<Ingested, Refusal> {
        self.record.ingested().await.map_err(Refusal::Log)
    }
}

/// The trace that a caller is within, as its metadata says.
fn traceparent<T>(request: &Request<T>) -> Option<Box<str>> {
    request.metadata().get(TRACEPARENT)?.to_str().ok().map(Box::from)
}

fn status(status: call::Status) -> IngestStatus {
    match status {
        call::Status::Accepted => IngestStatus::Accepted,
        call::Status::Duplicate => IngestStatus::Duplicate,
        call::Status::Unrouted => IngestStatus::Unrouted,
    }
}

/// One record's answer in a stream.
fn answer(outcome: Result<Ingested, Refusal>) -> IngestCallStreamResponse {
    match outcome {
        Ok(ingested) => IngestCallStreamResponse {
            call_id: ingested.call_id.to_string(),
            status: status(ingested.status).into(),
            error: None,
        },
        Err(refusal) => IngestCallStreamResponse {
            call_id: String::new(),
            status: IngestStatus::Unspecified.into(),
            error: Some(IngestError {
                code: refusal.code().into(),
                message: refusal.message(),
                field_violations: refusal
                    .violations()
                    .map(|(field, description)| FieldViolation { field, description })
                    .collect(),
            }),
        },
    }
}

impl Refusal {
    fn code(&self) -> Code {
        match self {
            Self::NoSource(_) => Code::NotFound,
            Self::Faults(_) => Code::InvalidArgument,
            Self::Log(_) => Code::Unavailable,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NoSource(name) => format!("there is no source {name:?}"),
            Self::Faults(_) => "not a call record".to_owned(),
            Self::Log(error) => error.to_string(),
        }
    }

    /// Field and description of each fault; a field is named as over HTTP.
    fn violations(&self) -> impl Iterator<Item = (String, String)> {
        let faults = match self {
            Self::Faults(Faults(faults)) => faults.as_slice(),
            Self::NoSource(_) | Self::Log(_) => &[],
        };
        faults.iter().map(|fault| (fault.field.clone(), fault.message.clone()))
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::new();
        for (field, description) in refusal.violations() {
            details.add_bad_request_violation(field, description);
        }
        match refusal {
            Refusal::Log(error) => unavailable(error),
            Refusal::Faults(_) => Self::with_error_details(refusal.code(), refusal.message(), details),
            Refusal::NoSource(_) => Self::new(refusal.code(), refusal.message()),
        }
    }
}

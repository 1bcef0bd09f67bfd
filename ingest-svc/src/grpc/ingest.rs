//! `IngestService`: CDRs in, calls and events out.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream::unfold};
use jiff::Timestamp;
use prost::Message;
use ringpad_proto::v1::{
    ActOnCallRequest, ActOnCallResponse, Cdr, FieldViolation, IngestCallRequest, IngestCallResponse,
    IngestCallStreamRequest, IngestCallStreamResponse, IngestError, IngestStatus, ListCallEventsRequest,
    ListCallEventsResponse, ListCallsRequest, ListCallsResponse, ListQuarantineRequest,
    ListQuarantineResponse, ListReservationsRequest, ListReservationsResponse, ReplayQuarantineRequest,
    ReplayQuarantineResponse, ingest_service_server::IngestService,
};
use ringpad_runtime::{
    CancellationToken, ErrorChain, grpc,
    traces::{Stage, TRACEPARENT},
};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};
use tonic_types::{ErrorDetails, StatusExt};

use super::{act, calls, quarantine, status::unavailable};
use crate::{
    call::{self, Ingested},
    capacity::{GrpcCapacity, RECORD},
    cdr::{Fault, Faults, RawFields, Record},
    log::{LogError, Submitted},
    shared::Shared,
};

/// The server of `IngestService`.
pub(super) struct Ingest {
    pub(super) shared: Shared,
    pub(super) capacity: GrpcCapacity,
    /// Cancelled when the process begins to leave.
    pub(super) leaving: CancellationToken,
}

/// A record that waits for the log, and the stages of its trace that end with it.
struct InFlight {
    record: Submitted,
    _commit: Stage,
    _ingest: Stage,
}

/// Why a record was not accepted.
enum RecordError {
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
        let most = self.capacity.stream_records;
        // Records go to the log one after the other, so that it has them in the stream's order; only the answers are awaited
        // together.
        let submitted =
            until_leaving(request.into_inner(), self.leaving.clone(), most).then(move |message| {
                let (shared, traceparent) = (shared.clone(), traceparent.clone());
                async move {
                    let IngestCallStreamRequest { source, cdr } = message?;
                    Ok::<_, Status>(submit(&shared, source, cdr, traceparent.as_deref()).await)
                }
            });
        let answers = submitted.map(|submitted| async {
            Ok(answer(match submitted? {
                Ok(record) => record.ingested().await,
                Err(error) => Err(error),
            }))
        });
        Ok(Response::new(Box::pin(answers.buffered(most))))
    }

    async fn list_calls(
        &self,
        request: Request<ListCallsRequest>,
    ) -> Result<Response<ListCallsResponse>, Status> {
        calls::list_calls(self.shared.log.reader(), self.capacity.lists.calls, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_reservations(
        &self,
        request: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        calls::list_reservations(self.shared.log.reader(), self.capacity.lists.calls, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_call_events(
        &self,
        request: Request<ListCallEventsRequest>,
    ) -> Result<Response<ListCallEventsResponse>, Status> {
        calls::list_call_events(self.shared.log.reader(), &self.capacity.lists, request.into_inner())
            .await
            .map(Response::new)
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
        quarantine::list(
            self.shared.log.reader(),
            self.capacity.lists.quarantined,
            &self.shared.sources,
            request.into_inner(),
        )
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

/// A client's messages, until it has sent everything, or until the process leaves; then UNAVAILABLE. Messages that were read
/// before that are answered first, because answers have the stream's order.
///
/// Once the process leaves, `last` messages are still read: at least all that had arrived by then. So a client that had sent its
/// last record gets all answers, and a client that continues to send is ended.
fn until_leaving(
    messages: Streaming<IngestCallStreamRequest>,
    leaving: CancellationToken,
    last: usize,
) -> impl Stream<Item = Result<IngestCallStreamRequest, Status>> {
    unfold(Some((messages, leaving, last)), async |open| {
        let (mut messages, leaving, left) = open?;
        let left = left - usize::from(leaving.is_cancelled());
        tokio::select! {
            biased;
            message = messages.next(), if left > 0 => {
                Some((message?.map_err(grpc::unreadable), Some((messages, leaving, left))))
            }
            () = leaving.cancelled() => Some((Err(grpc::unavailable("ingest-svc is shutting down; try again")), None)),
        }
    })
}

/// Parses a record and gives it to the log.
async fn submit(
    shared: &Shared,
    source: String,
    cdr: Option<Cdr>,
    traceparent: Option<&str>,
) -> Result<InFlight, RecordError> {
    let Some(source) = shared.sources.get(&source) else { return Err(RecordError::NoSource(source)) };
    let cdr = cdr.unwrap_or_default();
    let (bytes, most) = (cdr.encoded_len(), RECORD.request_bytes);
    if bytes > most {
        let message = format!("has {bytes} bytes; {most} at most are expected");
        return Err(RecordError::Faults(Faults(vec![Fault::of("cdr", message)])));
    }
    let ingest = shared.traces.begin("ingest", traceparent);
    let mut record = {
        let _parse = ingest.child("parse");
        Record::parse(RawFields::from(cdr), source, Timestamp::now()).map_err(RecordError::Faults)?
    };
    record.traceparent = ingest.traceparent();
    let commit = ingest.child("commit");
    let record = shared.log.submit(record).await.map_err(RecordError::Log)?;
    Ok(InFlight { record, _commit: commit, _ingest: ingest })
}

impl InFlight {
    async fn ingested(self) -> Result<Ingested, RecordError> {
        self.record.ingested().await.map_err(RecordError::Log)
    }
}

/// The trace context of a request, from its metadata.
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
fn answer(outcome: Result<Ingested, RecordError>) -> IngestCallStreamResponse {
    match outcome {
        Ok(ingested) => IngestCallStreamResponse {
            call_id: ingested.call_id.to_string(),
            status: status(ingested.status).into(),
            error: None,
        },
        Err(error) => IngestCallStreamResponse {
            call_id: String::new(),
            status: IngestStatus::Unspecified.into(),
            error: Some(IngestError {
                code: error.code().into(),
                message: error.message(),
                field_violations: error
                    .violations()
                    .map(|(field, description)| FieldViolation { field, description })
                    .collect(),
            }),
        },
    }
}

impl RecordError {
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
            Self::Log(error) => ErrorChain(error).to_string(),
        }
    }

    /// Field and description of each fault. Fields have the names of HTTP's parameters.
    fn violations(&self) -> impl Iterator<Item = (String, String)> {
        let faults = match self {
            Self::Faults(Faults(faults)) => faults.as_slice(),
            Self::NoSource(_) | Self::Log(_) => &[],
        };
        faults.iter().map(|fault| (fault.field.clone(), fault.message.clone()))
    }
}

impl From<RecordError> for Status {
    fn from(error: RecordError) -> Self {
        let mut details = ErrorDetails::new();
        for (field, description) in error.violations() {
            details.add_bad_request_violation(field, description);
        }
        match error {
            RecordError::Log(error) => unavailable(error),
            RecordError::Faults(_) => Self::with_error_details(error.code(), error.message(), details),
            RecordError::NoSource(_) => Self::new(error.code(), error.message()),
        }
    }
}

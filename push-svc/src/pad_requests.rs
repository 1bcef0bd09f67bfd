//! The single requests of pads: to act on a call of its store, and to list older calls. The log does the work and finds the
//! faults; here the pad's token is turned into its store and its name.

mod metrics;

use std::sync::Arc;

use ringpad_proto::v1::{
    ActOnCallRequest, Call, ListCallsRequest, ListCallsResponse, ListReservationsRequest,
    ListReservationsResponse, PadRef, PadServiceListCallsRequest, PadServiceListCallsResponse,
    PadServiceListReservationsRequest, PadServiceListReservationsResponse, act_on_call_request::Action,
};
use ringpad_runtime::grpc;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    admission::{
        Admission, RequestPermit, Share, ShareExceeded,
        token::{Pad, TokenFault},
    },
    log_client::LogClient,
    stream_end::StreamEnd,
};
pub(crate) use metrics::RequestMetrics;

/// Answers the single requests of pads.
pub(crate) struct PadRequests {
    pub admission: Arc<Admission>,
    pub log: LogClient,
    pub metrics: RequestMetrics,
}

/// What a pad does with a call.
pub(crate) struct PadAction {
    pub call_id: String,
    pub request_id: String,
    pub action: Action,
}

impl PadRequests {
    /// Acts on a call of the pad's store, and returns the changed call.
    ///
    /// # Errors
    /// The fault of the token, the fault that the log finds in the request, or that the log cannot be reached: then the pad
    /// tries again with the same `request_id`.
    pub(crate) async fn act(
        &self,
        token: Result<&str, TokenFault>,
        action: PadAction,
    ) -> Result<Call, Status> {
        let (pad, _permit) = self.admit(token)?;
        let PadAction { call_id, request_id, action } = action;
        let kind = kind(&action);
        let request = ActOnCallRequest {
            store_id: pad.store.to_string(),
            call_id,
            pad: Some(PadRef { id: pad.id.to_string(), name: pad.name.to_string() }),
            action: Some(action),
            request_id,
        };
        let outcome = self.log.act(request).await;
        self.metrics.action(kind, outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
        outcome.map_err(|status| with_field_names_of_pads(&status))
    }

    /// Calls of the pad's store, newest first.
    ///
    /// # Errors
    /// The fault of the token or of the request, or that the log cannot be reached.
    pub(crate) async fn list_calls(
        &self,
        token: Result<&str, TokenFault>,
        request: PadServiceListCallsRequest,
    ) -> Result<PadServiceListCallsResponse, Status> {
        let (pad, _permit) = self.admit(token)?;
        let PadServiceListCallsRequest { page_size, page_token, states, since, until, caller_suffix, query } =
            request;
        let store_id = pad.store.to_string();
        let request = ListCallsRequest {
            store_id,
            page_size,
            page_token,
            states,
            since,
            until,
            caller_suffix,
            for_snapshot: false,
            query,
        };
        // A pad gets the rest from its stream.
        let ListCallsResponse { calls, next_page_token, store: _, epoch: _, position: _ } =
            self.log.search(request).await?;
        Ok(PadServiceListCallsResponse { calls, next_page_token })
    }

    /// Reservations of the pad's store, by their time.
    ///
    /// # Errors
    /// The fault of the token or of the request, or that the log cannot be reached.
    pub(crate) async fn list_reservations(
        &self,
        token: Result<&str, TokenFault>,
        request: PadServiceListReservationsRequest,
    ) -> Result<PadServiceListReservationsResponse, Status> {
        let (pad, _permit) = self.admit(token)?;
        let PadServiceListReservationsRequest { from, until, page_size, page_token } = request;
        let store_id = pad.store.to_string();
        let request = ListReservationsRequest { store_id, from, until, page_size, page_token };
        let ListReservationsResponse { calls, next_page_token } = self.log.reservations(request).await?;
        Ok(PadServiceListReservationsResponse { calls, next_page_token })
    }

    /// Lets a pad make one request.
    ///
    /// # Errors
    /// The fault of the token, or the pad or its store has used up its share.
    pub(crate) fn admit(&self, token: Result<&str, TokenFault>) -> Result<(Pad, RequestPermit), Status> {
        let pad = self.admission.pad(token).map_err(StreamEnd::Token)?;
        let permit = self.admission.permit(&pad).map_err(exhausted)?;
        Ok((pad, permit))
    }
}

/// RESOURCE_EXHAUSTED, with a `google.rpc.RetryInfo`.
fn exhausted(ShareExceeded { share, retry_after }: ShareExceeded) -> Status {
    let message = match share {
        Share::PadConcurrency => "this pad has too many requests at the same time",
        Share::PadRate => "this pad sends too many requests",
        Share::StoreRate => "the pads of this store send too many requests",
    };
    grpc::exhausted(message, retry_after)
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Claim(_) => "claim",
        Action::Release(_) => "release",
        Action::Close(_) => "close",
        Action::Reopen(_) => "reopen",
        Action::Note(_) => "note",
        Action::Customer(_) => "customer",
    }
}

/// The same status, with the names that the fields have in the pad's request.
fn with_field_names_of_pads(status: &Status) -> Status {
    let details = status.get_error_details();
    let Some(faults) = details.bad_request() else { return status.clone() };
    let mut renamed = ErrorDetails::new();
    for fault in &faults.field_violations {
        let field = match fault.field.as_str() {
            "note.text" => "note",
            field => field.strip_prefix("note.").unwrap_or(field),
        };
        renamed.add_bad_request_violation(field, &fault.description);
    }
    Status::with_error_details(status.code(), status.message(), renamed)
}

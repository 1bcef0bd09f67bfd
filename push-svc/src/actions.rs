//! What a pad asks for once: to act on a call of its store, and older calls. The log does it, and knows best what is
//! wrong with it; here only the pad's token is turned into its store and its name.

use ringpad_proto::v1::{
    ActOnCallRequest, Call, ListCallsRequest, ListCallsResponse, NoteAction, PadRef,
    PadServiceListCallsRequest, PadServiceListCallsResponse, SaveNoteRequest, act_on_call_request::Action,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    auth::{Pad, TokenFault},
    end::End,
    pads::Pads,
    shares::{Admitted, TooMuch, Whose},
};

impl Pads {
    /// Has the log do something to a call of the pad's store, and returns the call as it then is.
    ///
    /// # Errors
    /// The token's fault, what the log says is wrong, or that the log cannot be reached: then the pad asks again with the
    /// same `request_id`.
    pub(crate) async fn act(
        &self,
        token: Result<&str, TokenFault>,
        call_id: String,
        request_id: String,
        action: Action,
    ) -> Result<Call, Status> {
        let (pad, _admitted) = self.admitted(token)?;
        let kind = kind(&action);
        let request = ActOnCallRequest {
            store_id: pad.store.to_string(),
            call_id,
            pad: Some(PadRef { id: pad.id.to_string(), name: pad.name.to_string() }),
            action: Some(action),
            request_id,
        };
        let acted = self.log.act(request).await;
        self.metrics.acted(kind, acted.as_ref().map_or_else(Status::code, |_| tonic::Code::Ok));
        acted.map_err(|status| in_the_pads_words(&status))
    }

    /// Calls of the pad's store, newest first.
    ///
    /// # Errors
    /// The token's fault, what is wrong with the request, or that the log cannot be reached.
    pub(crate) async fn list_calls(
        &self,
        token: Result<&str, TokenFault>,
        request: PadServiceListCallsRequest,
    ) -> Result<PadServiceListCallsResponse, Status> {
        let (pad, _admitted) = self.admitted(token)?;
        let PadServiceListCallsRequest { page_size, page_token, states, since, until, caller_suffix } =
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
        };
        // The rest is what a pad has from its stream.
        let ListCallsResponse { calls, next_page_token, store: _, epoch: _, position: _ } =
            self.log.search(request).await?;
        Ok(PadServiceListCallsResponse { calls, next_page_token })
    }

    /// Who asks, unless it asks too much; it counts as asking while what comes with it is kept.
    fn admitted(&self, token: Result<&str, TokenFault>) -> Result<(Pad, Admitted), Status> {
        let pad = self.tokens.admit(token).map_err(End::Token)?;
        let admitted = self.shares.admit(&pad).map_err(|too_much| {
            self.metrics.turned_away(too_much.whose);
            exhausted(too_much)
        })?;
        Ok((pad, admitted))
    }
}

/// RESOURCE_EXHAUSTED, with a `google.rpc.RetryInfo`.
fn exhausted(TooMuch { whose, retry_after }: TooMuch) -> Status {
    let words = match whose {
        Whose::PadAtOnce => "this pad has too many requests at the same time",
        Whose::Pad => "this pad asks too often",
        Whose::Store => "the pads of this store ask too often",
    };
    let details = ErrorDetails::with_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, words, details)
}

/// What is done when a note is saved.
pub(crate) fn note(request: SaveNoteRequest) -> (String, String, Action) {
    let SaveNoteRequest { call_id, request_id, note: text, reservation } = request;
    (call_id, request_id, Action::Note(NoteAction { text, reservation }))
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Claim(_) => "claim",
        Action::Release(_) => "release",
        Action::Close(_) => "close",
        Action::Reopen(_) => "reopen",
        Action::Note(_) => "note",
    }
}

/// The same faults with the names that fields have in the pad's request.
fn in_the_pads_words(status: &Status) -> Status {
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

//! `PairingService`: tablets that become pads.

use std::time::Duration;

use jiff::Timestamp as Instant;
use ringpad_proto::{
    Timestamp,
    v1::{
        self, ApprovePairingRequest, ApprovePairingResponse, BeginRequest, BeginResponse,
        CheckCredentialRequest, CheckCredentialResponse, IssueTokenRequest, IssueTokenResponse,
        ListPadsRequest, ListPadsResponse, ListRevocationsRequest, ListRevocationsResponse, PollRequest,
        PollResponse, RevokePadRequest, RevokePadResponse, StoreRef, pairing_service_server::PairingService,
    },
};
use ringpad_runtime::grpc;
use tonic::{Code, Request, Response, Status, async_trait};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use super::status::{faulty, unavailable};
use crate::{
    capacity::{Entries, PAD_NAME},
    log::Log,
    pad::{
        CODE_SECONDS, Credential, CredentialHash, Holder, NoRandomness, POLL_SECONDS, PadChange,
        PadChangeKind, PadMark, PadOutcome, PairedPad, PairingCode, REVOCATION_SECONDS,
    },
};

/// The server of `PairingService`.
pub(super) struct Pairing {
    pub(super) log: Log,
    pub(super) pads: Entries,
}

impl Pairing {
    async fn change(&self, kind: PadChangeKind) -> Result<PadOutcome, Status> {
        self.log.change_pads(PadChange { at: now(), kind }).await.map_err(unavailable)
    }

    async fn holder(&self, credential: &str) -> Result<Option<Holder>, Status> {
        let hash = CredentialHash::of(credential);
        self.log.reader().holder(hash, now()).await.map_err(unavailable)
    }
}

#[async_trait]
impl PairingService for Pairing {
    async fn begin(&self, _: Request<BeginRequest>) -> Result<Response<BeginResponse>, Status> {
        let credential = Credential::random().map_err(no_randomness)?;
        let codes = PairingCode::candidates().map_err(no_randomness)?;
        let begin = PadChangeKind::Begin { id: Uuid::new_v4(), hash: credential.hash(), codes };
        match self.change(begin).await? {
            PadOutcome::Begun(code) => Ok(Response::new(BeginResponse {
                credential: credential.expose(),
                code: code.as_str().to_owned(),
                expires_after: Some(seconds(CODE_SECONDS)),
                poll_interval: Some(seconds(POLL_SECONDS)),
            })),
            PadOutcome::Full { retry_after } => {
                let message = "too many tablets have a code that nobody has approved";
                Err(grpc::exhausted(message, Duration::from_secs(retry_after)))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn poll(&self, request: Request<PollRequest>) -> Result<Response<PollResponse>, Status> {
        match self.holder(&request.into_inner().credential).await? {
            Some(Holder::Waiting) => Ok(Response::new(PollResponse { pad: None })),
            Some(Holder::Paired(pad)) => Ok(Response::new(PollResponse { pad: Some(message(pad)) })),
            None => Err(Status::not_found("the code has expired, or the pad was revoked: begin again")),
        }
    }

    async fn issue_token(
        &self,
        _: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        Err(Status::unimplemented("push-svc issues tokens"))
    }

    async fn check_credential(
        &self,
        request: Request<CheckCredentialRequest>,
    ) -> Result<Response<CheckCredentialResponse>, Status> {
        let Some(Holder::Paired(pad)) = self.holder(&request.into_inner().credential).await? else {
            return Err(Status::not_found("no pad has this credential"));
        };
        let at = now();
        if pad.needs_token_note(at) {
            self.log.change_pads_later(PadChange { at, kind: PadChangeKind::NoteToken(pad.id) });
        }
        Ok(Response::new(CheckCredentialResponse { pad: Some(message(pad)) }))
    }

    async fn approve_pairing(
        &self,
        request: Request<ApprovePairingRequest>,
    ) -> Result<Response<ApprovePairingResponse>, Status> {
        let approve = approval(request.into_inner())?;
        match self.change(approve).await? {
            PadOutcome::Approved(pad) => {
                tracing::info!(pad = %pad.id, store = pad.store_id, "a tablet was paired");
                Ok(Response::new(ApprovePairingResponse { pad: Some(message(*pad)) }))
            }
            PadOutcome::NoSuchCode => Err(Status::not_found("no tablet shows this code")),
            PadOutcome::NoSuchStore => Err(Status::not_found("there is no such store")),
            other => Err(unexpected(&other)),
        }
    }

    async fn list_pads(
        &self,
        request: Request<ListPadsRequest>,
    ) -> Result<Response<ListPadsResponse>, Status> {
        let ListPadsRequest { store_id, page_size, page_token } = request.into_inner();
        let after = match page_token.as_str() {
            "" => None,
            token => Some(PadMark::parse(token).ok_or_else(|| {
                faulty("page_token", "it is not a valid page token: an answer's next_page_token is expected")
            })?),
        };
        let size = self.pads.limit(page_size);
        let mut pads = self.log.reader().pads(store_id, after, size + 1).await.map_err(unavailable)?;
        let mut next_page_token = String::new();
        if pads.len() > size as usize {
            pads.truncate(size as usize);
            next_page_token = pads.last().map(|pad| PadMark::of(pad).token()).unwrap_or_default();
        }
        let pads = pads.into_iter().map(message).collect();
        Ok(Response::new(ListPadsResponse { pads, next_page_token }))
    }

    async fn revoke_pad(
        &self,
        request: Request<RevokePadRequest>,
    ) -> Result<Response<RevokePadResponse>, Status> {
        let text = request.into_inner().pad_id;
        let no_such_pad = || Status::not_found("there is no such pad");
        let id = Uuid::try_parse(&text).map_err(|_| no_such_pad())?;
        match self.change(PadChangeKind::Revoke(id)).await? {
            PadOutcome::Done => {
                tracing::info!(pad = %id, "a pad was revoked");
                Ok(Response::new(RevokePadResponse {}))
            }
            PadOutcome::NoSuchPad => Err(no_such_pad()),
            other => Err(unexpected(&other)),
        }
    }

    async fn list_revocations(
        &self,
        _: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let since = now().saturating_sub(REVOCATION_SECONDS);
        let revoked = self.log.reader().revoked_pads(since).await.map_err(unavailable)?;
        let pad_ids = revoked.iter().map(Uuid::to_string).collect();
        Ok(Response::new(ListRevocationsResponse { pad_ids }))
    }
}

/// The parsed approval, or all its faults.
fn approval(request: ApprovePairingRequest) -> Result<PadChangeKind, Status> {
    let ApprovePairingRequest { code, store_id, name } = request;
    let mut faults = ErrorDetails::new();
    let code = PairingCode::parse(&code);
    if code.is_none() {
        faults.add_bad_request_violation("code", "the six digits that the tablet shows are expected");
    }
    if store_id.is_empty() {
        faults.add_bad_request_violation("store_id", "the id of a store is expected");
    }
    let name = name.trim();
    if !(1..=PAD_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        faults.add_bad_request_violation("name", format!("1–{PAD_NAME} printable characters are expected"));
    }
    match code {
        Some(code) if faults.bad_request().is_none() => {
            Ok(PadChangeKind::Approve { code, store_id, name: name.to_owned() })
        }
        _ => Err(Status::with_error_details(Code::InvalidArgument, "the approval is not valid", faults)),
    }
}

fn message(pad: PairedPad) -> v1::PairedPad {
    let PairedPad { id, store_id, store_name, name, paired, last_token, revoked } = pad;
    let time = |seconds| Timestamp { seconds, nanos: 0 };
    v1::PairedPad {
        id: id.to_string(),
        store: Some(StoreRef { id: store_id, name: store_name }),
        name,
        paired_at: Some(time(paired)),
        last_token_at: last_token.map(time),
        revoked_at: revoked.map(time),
    }
}

fn now() -> i64 {
    Instant::now().as_second()
}

fn seconds(seconds: i64) -> pbjson_types::Duration {
    pbjson_types::Duration { seconds, nanos: 0 }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn no_randomness(error: NoRandomness) -> Status {
    Status::internal(error.to_string())
}

/// A defect of this code.
fn unexpected(outcome: &PadOutcome) -> Status {
    tracing::error!(?outcome, "the log has done something else than it was asked");
    Status::internal("the log has done something else than it was asked")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_an_approval_are_reported() {
        let request = |code: &str, store_id: &str, name: &str| ApprovePairingRequest {
            code: code.to_owned(),
            store_id: store_id.to_owned(),
            name: name.to_owned(),
        };
        let faulty = |request| {
            let details = approval(request).unwrap_err().get_error_details();
            let faults = details.bad_request().unwrap().field_violations.clone();
            faults.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        assert_eq!(faulty(request("12345", "", "\u{7}")), ["code", "store_id", "name"]);
        assert_eq!(faulty(request("123456", "gangnam", &"가".repeat(101))), ["name"]);
        assert_eq!(faulty(request("123456", "gangnam", " ")), ["name"]);
        assert!(approval(request("123 456", "gangnam", &"가".repeat(100))).is_ok());
    }
}

//! A person at a pad, who takes a call while it rings, closes it when it is over, and then notes what was said; somebody at
//! another pad of the store reopens it. Each tap is repeated with its request id until it is answered, as the pad page does
//! it; what was answered goes into the [`Ledger`].

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use ringpad_proto::v1::{
    Call, ClaimCallRequest, CloseCallRequest, ReopenCallRequest, SaveNoteRequest,
    pad_service_client::PadServiceClient,
};
use tokio::time::{Instant, sleep};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use super::ledger::{Acknowledged, Ledger, PadState, Record, Step, StreamFault};
use crate::{token::with_token, wait::must};

/// How long an answer may take before the tap is repeated.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pad waits before it repeats a tap, about.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// One person, with one call at a time.
#[derive(Debug)]
pub(super) struct Person {
    /// Where pads find nginx with native gRPC.
    pub(super) nginx: SocketAddr,
    pub(super) store: usize,
    /// A pad of the store in the ledger, to which faults found here are added.
    pub(super) number: usize,
    /// The `sub` of the token.
    pub(super) pad: String,
    pub(super) token: String,
    /// The token of another pad of the store.
    pub(super) colleagues_token: String,
    pub(super) ledger: Ledger,
}

impl Person {
    /// Claims a call.
    pub(super) async fn claim(&self, call_id: &str) {
        self.insist(call_id, Step::Claim).await;
    }

    /// Closes the call and writes a note; a colleague reopens it.
    pub(super) async fn finish(&self, call_id: &str) {
        for step in [Step::Close, Step::Note, Step::Reopen] {
            self.insist(call_id, step).await;
        }
    }

    /// Repeats a tap until it is answered. The caller bounds how long this may take.
    async fn insist(&self, call_id: &str, step: Step) {
        let (sent, request_id, mut repeated) = (Instant::now(), Uuid::new_v4().to_string(), false);
        loop {
            match self.tap(call_id, &request_id, step).await {
                Ok(call) => return self.answered(call_id, step, sent, &call),
                Err(status) if is_worth_another_try(&status) => {}
                // A process that was frozen gets all attempts at the same time, which may be more than a pad may have under way.
                Err(status) if repeated && status.code() == Code::ResourceExhausted => {}
                Err(status) => {
                    let words = format!("{step:?} of {call_id} was refused: {status:?}");
                    return self.ledger.wrong(self.number, StreamFault::Broken, words);
                }
            }
            repeated = true;
            sleep(RETRY_PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    async fn tap(&self, call_id: &str, request_id: &str, step: Step) -> Result<Call, Status> {
        // A new connection each time, so that one that a fault has left half open cannot stop further taps.
        let mut client = client(self.nginx);
        let (call_id, request_id) = (call_id.to_owned(), request_id.to_owned());
        let call = match step {
            Step::Claim => {
                let request = self.request(ClaimCallRequest { call_id, request_id });
                client.claim_call(request).await?.into_inner().call
            }
            Step::Note => {
                let note = note_on(&call_id);
                let request = SaveNoteRequest { call_id, request_id, note, reservation: None };
                client.save_note(self.request(request)).await?.into_inner().call
            }
            Step::Close => {
                let request = self.request(CloseCallRequest { call_id, request_id });
                client.close_call(request).await?.into_inner().call
            }
            Step::Reopen => {
                let request = ReopenCallRequest { call_id, request_id };
                let request = with_token(&self.colleagues_token, request);
                client.reopen_call(request).await?.into_inner().call
            }
            Step::Ring | Step::End => unreachable!("the provider's"),
        };
        Ok(call.unwrap_or_default())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        with_token(&self.token, message)
    }

    fn answered(&self, call_id: &str, step: Step, sent: Instant, call: &Call) {
        let state = PadState {
            claimed_by: Some(self.pad.clone()),
            note: if step >= Step::Note { note_on(call_id) } else { String::new() },
            closed: matches!(step, Step::Close | Step::Note),
        };
        if PadState::of(call) != state {
            let words =
                format!("{step:?} of {call_id} was answered with {:?}, not {state:?}", PadState::of(call));
            self.ledger.wrong(self.number, StreamFault::Broken, words);
        }
        let acknowledged = Acknowledged { sent, at: Instant::now(), wall: SystemTime::now() };
        self.ledger.acknowledge(self.store, Record { call_id: call_id.to_owned(), step }, acknowledged);
        self.ledger.answer(self.store, call_id, state);
    }
}

/// A note that is different for every call.
fn note_on(call_id: &str) -> String {
    format!("흰색 SUV {call_id}")
}

/// A pad's client, not yet connected.
pub(super) fn client(nginx: SocketAddr) -> PadServiceClient<Channel> {
    let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{nginx}")));
    PadServiceClient::new(endpoint.connect_timeout(ANSWER_TIMEOUT).timeout(ANSWER_TIMEOUT).connect_lazy())
}

/// Faults can stop an answer, or cut off the log. They are no reason for a refusal.
pub(super) fn is_worth_another_try(status: &Status) -> bool {
    let code = status.code();
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
        // The client's own status: there was no answer.
        || std::error::Error::source(status).is_some()
}

//! What the log is asked about tablets. An answer, or its absence, says nothing about the source of events: an older ingest-svc
//! does not know these calls.

use ringpad_proto::v1::{
    ApprovePairingRequest, BeginRequest, BeginResponse, CheckCredentialRequest, ListRevocationsRequest,
    PairedPad, PollRequest, PollResponse,
};
use ringpad_runtime::grpc;
use tonic::{Code, Request, Response, Status};

use super::{
    LogClient, answer_time,
    instances::{Cost, PairingClient},
    wait_for_turn,
};

impl LogClient {
    /// A credential and a code for a tablet. The clients of one address, `client`, take turns with those of others.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, or `UNAVAILABLE`.
    pub(crate) async fn begin_pairing(&self, client: &str) -> Result<BeginResponse, Status> {
        let call = async |mut log: PairingClient, request| log.begin(request).await;
        self.ask_about_tablet(client, BeginRequest {}, call).await
    }

    /// Whether a tablet's code was approved.
    ///
    /// # Errors
    /// `NOT_FOUND`, or `UNAVAILABLE`.
    pub(crate) async fn poll_pairing(
        &self,
        client: &str,
        request: PollRequest,
    ) -> Result<PollResponse, Status> {
        let call = async |mut log: PairingClient, request| log.poll(request).await;
        self.ask_about_tablet(client, request, call).await
    }

    /// Whose credential it is.
    ///
    /// # Errors
    /// `NOT_FOUND`: nobody's; or `UNAVAILABLE`.
    pub(crate) async fn check_credential(
        &self,
        client: &str,
        request: CheckCredentialRequest,
    ) -> Result<PairedPad, Status> {
        let call = async |mut log: PairingClient, request| log.check_credential(request).await;
        self.ask_about_tablet(client, request, call).await?.pad.ok_or_else(no_pad)
    }

    /// Makes the tablet that shows a code a pad of a store.
    ///
    /// # Errors
    /// The log's own status if it refuses; or `UNAVAILABLE`.
    pub(crate) async fn approve_pairing(&self, request: ApprovePairingRequest) -> Result<PairedPad, Status> {
        let store = request.store_id.clone();
        let call = async |mut log: PairingClient, request| log.approve_pairing(request).await;
        self.ask_about_tablet(&store, request, call).await?.pad.ok_or_else(no_pad)
    }

    /// Asks the log, in the turn of an address or a store.
    async fn ask_about_tablet<Q: Clone, A, F>(
        &self,
        whose: &str,
        message: Q,
        call: impl Fn(PairingClient, Request<Q>) -> F,
    ) -> Result<A, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let (_turn, until) = wait_for_turn(&self.tablets, whose).await?;
        refusal(self.instances.ask_pairing(message, Cost::Little, until, call).await)
    }

    /// The ids of pads that are revoked. Never waits for pads.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn revocations(&self) -> Result<Vec<String>, Status> {
        let call = async |mut client: PairingClient, request| client.list_revocations(request).await;
        let request = ListRevocationsRequest {};
        let answer = self.instances.ask_pairing(request, Cost::Little, answer_time(), call).await?;
        Ok(answer.into_inner().pad_ids)
    }
}

/// The answer of the log, or its refusal. Any other error is no refusal: also `UNAUTHENTICATED`, with which ingest-svc answers a
/// wrong INTERNAL_TOKEN.
fn refusal<T>(answer: Result<Response<T>, Status>) -> Result<T, Status> {
    let status = match answer {
        Ok(answer) => return Ok(answer.into_inner()),
        Err(status) => status,
    };
    match status.code() {
        code @ (Code::InvalidArgument | Code::NotFound | Code::ResourceExhausted) => {
            // Without the headers of the answer.
            Err(Status::with_details(code, status.message(), status.details().to_vec().into()))
        }
        code => {
            tracing::debug!(%code, why = status.message(), "no answer about a tablet");
            Err(grpc::unavailable("the log cannot be reached"))
        }
    }
}

fn no_pad() -> Status {
    grpc::unavailable("the answer of the log has no pad")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use prometheus_client::registry::Registry;
    use ringpad_runtime::readiness::Readiness;
    use tokio::{net::TcpListener, time::timeout};
    use tonic::transport::Endpoint;

    use super::*;
    use crate::{capacity::LogCapacity, event_sources::EventSources};

    #[tokio::test]
    async fn a_tablet_asks_the_log_while_searches_have_all_their_turns() {
        let log = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Endpoint::from_shared(format!("http://{}", log.local_addr().unwrap())).unwrap();
        let sources = EventSources::new(Readiness::default());
        let capacity = LogCapacity::default();
        let client = LogClient::new(vec![url], None, sources, capacity, &mut Registry::default());
        let stores: Vec<_> = (0..capacity.requests.all).map(|store| store.to_string()).collect();
        let _searches = join_all(stores.iter().map(|store| client.requests.wait(store))).await;
        let asks = client.begin_pairing("192.0.2.1");
        tokio::select! {
            connection = timeout(Duration::from_secs(20), log.accept()) => drop(connection.unwrap().unwrap()),
            refused = asks => panic!("it waits: {refused:?}"),
        }
    }

    #[test]
    fn only_what_the_log_says_of_the_tablet_is_a_refusal() {
        let code = |code| refusal::<()>(Err(Status::new(code, "why"))).unwrap_err().code();
        for refused in [Code::InvalidArgument, Code::NotFound, Code::ResourceExhausted] {
            assert_eq!(code(refused), refused);
        }
        for failed in [Code::Unauthenticated, Code::Unimplemented, Code::Internal, Code::DeadlineExceeded] {
            assert_eq!(code(failed), Code::Unavailable, "{failed:?}");
        }
    }
}

//! `PairingService` as tablets and pads see it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use ringpad_proto::v1::{
    ApprovePairingRequest, ApprovePairingResponse, BeginRequest, BeginResponse, CheckCredentialRequest,
    CheckCredentialResponse, IssueTokenRequest, IssueTokenResponse, ListPadsRequest, ListPadsResponse,
    ListRevocationsRequest, ListRevocationsResponse, PollRequest, PollResponse, RevokePadRequest,
    RevokePadResponse, pairing_service_server::PairingService,
};
use tonic::{Request, Response, Status};

use super::{GrpcEdge, token};

impl GrpcEdge {
    /// By which address a request counts.
    fn client<T>(&self, request: &Request<T>) -> IpAddr {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let headers = request.metadata().clone().into_headers();
        self.pairing.client(&headers, peer.map(|ConnectInfo(peer)| peer.ip()))
    }

    async fn approve(
        &self,
        request: Request<ApprovePairingRequest>,
    ) -> Result<ApprovePairingResponse, Status> {
        let (metadata, _, request) = request.into_parts();
        let (pad, _permit) = self.requests.admit(token(&metadata))?;
        let paired = self.pairing.approve(&pad, request).await?;
        Ok(ApprovePairingResponse { pad: Some(paired) })
    }
}

#[tonic::async_trait]
impl PairingService for GrpcEdge {
    async fn begin(&self, request: Request<BeginRequest>) -> Result<Response<BeginResponse>, Status> {
        let answer = self.pairing.begin(self.client(&request)).await;
        self.pairing.metrics.answered("begin", answer)
    }

    async fn poll(&self, request: Request<PollRequest>) -> Result<Response<PollResponse>, Status> {
        let answer = self.pairing.poll(self.client(&request), request.into_inner()).await;
        self.pairing.metrics.answered("poll", answer)
    }

    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        let answer = self.pairing.issue_token(self.client(&request), request.into_inner()).await;
        self.pairing.metrics.answered("issue_token", answer)
    }

    async fn approve_pairing(
        &self,
        request: Request<ApprovePairingRequest>,
    ) -> Result<Response<ApprovePairingResponse>, Status> {
        let answer = self.approve(request).await;
        self.pairing.metrics.answered("approve", answer)
    }

    async fn check_credential(
        &self,
        _: Request<CheckCredentialRequest>,
    ) -> Result<Response<CheckCredentialResponse>, Status> {
        Err(internal())
    }

    async fn list_pads(&self, _: Request<ListPadsRequest>) -> Result<Response<ListPadsResponse>, Status> {
        Err(internal())
    }

    async fn revoke_pad(&self, _: Request<RevokePadRequest>) -> Result<Response<RevokePadResponse>, Status> {
        Err(internal())
    }

    async fn list_revocations(
        &self,
        _: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        Err(internal())
    }
}

fn internal() -> Status {
    Status::unimplemented("only ingest-svc serves this")
}

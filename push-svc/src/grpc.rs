//! The edge for gRPC and gRPC-Web: the same service, for gRPC-Web behind a translating layer and CORS.
//!
//! A leaving replica refuses `Subscribe` with HTTP 503, not with a gRPC error in a 200: only so a load balancer tries
//! the next replica.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use ringpad_proto::{
    FILE_DESCRIPTOR_SET,
    pad_service_server::{self, PadService, PadServiceServer},
    v1::{
        ClaimAction, ClaimCallRequest, ClaimCallResponse, CloseAction, CloseCallRequest, CloseCallResponse,
        PadServiceListCallsRequest, PadServiceListCallsResponse, ReleaseAction, ReleaseCallRequest,
        ReleaseCallResponse, ReopenAction, ReopenCallRequest, ReopenCallResponse, SaveNoteRequest,
        SaveNoteResponse, SubscribeRequest, act_on_call_request::Action,
    },
};
use ringpad_runtime::{
    CancellationToken, Failure,
    grpc::{self, OpenCalls, Protocol},
    readiness::Readiness,
};
use tonic::{
    Status,
    body::Body,
    codec::CompressionEncoding,
    metadata::{MetadataMap, MetadataValue},
    service::Routes,
};
use tonic_web::GrpcWebLayer;
use tower::ServiceExt;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    actions,
    auth::{TokenFault, token_in},
    end::End,
    metrics::Transport,
    pad_stream::PadStream,
    pads::Pads,
};

/// What load balancers and pads are told by a leaving replica. No words, which a gRPC client would take for a message.
pub(crate) const LEAVING: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
/// The largest request, decompressed: a note and a token fit.
const REQUEST_BYTES: usize = 64 * 1024;
/// How long a browser may remember what CORS allows.
const CORS_MAX_AGE: Duration = Duration::from_secs(600);
/// The headers that gRPC-Web clients send.
const REQUEST_HEADERS: [&str; 6] = [
    "authorization",
    "content-type",
    "x-grpc-web",
    "x-user-agent",
    "grpc-timeout",
    "connect-protocol-version",
];
/// The headers that they must be able to read.
const RESPONSE_HEADERS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// The calls that want a token.
const WITH_TOKEN: [&str; 7] = [
    "/ringpad.v1.PadService/Subscribe",
    "/ringpad.v1.PadService/ListCalls",
    "/ringpad.v1.PadService/ClaimCall",
    "/ringpad.v1.PadService/ReleaseCall",
    "/ringpad.v1.PadService/CloseCall",
    "/ringpad.v1.PadService/ReopenCall",
    "/ringpad.v1.PadService/SaveNote",
];

/// The port's own services.
const SERVICES: [&str; 1] = [pad_service_server::SERVICE_NAME];

/// The routes of `PadService`, health and reflection.
///
/// Requests may be compressed with gzip. Answers are not: a popup is a few hundred bytes, which have to leave at once.
///
/// # Errors
/// The descriptors of package `ringpad.v1` cannot be read, which a build with a broken `proto` crate would show.
pub(crate) fn router(
    pads: &Arc<Pads>,
    readiness: Readiness,
    leaving: CancellationToken,
) -> Result<Router, Failure> {
    let (reflection, reflection_v1alpha) = grpc::reflection(FILE_DESCRIPTOR_SET, &SERVICES)?;
    let service = PadServiceServer::new(Edge(pads.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES);
    let routes = Routes::from(Router::new())
        .add_service(service)
        .add_service(grpc::health(readiness, &SERVICES, leaving.clone()))
        .add_service(reflection)
        .add_service(reflection_v1alpha)
        .prepare();
    Ok(routes
        .into_axum_router()
        .layer(from_fn_with_state(OpenCalls::new(leaving), grpc::bound_open_calls))
        .layer(map_response(grpc::too_large_is_exhausted))
        .layer(from_fn_with_state(pads.clone(), check_token))
        .layer(from_fn_with_state(pads.clone(), check_origin))
        .layer(GrpcWebLayer::new())
        .layer(from_fn_with_state(pads.clone(), let_pass))
        .layer(from_fn(grpc::only_grpc))
        .layer(cors(pads)))
}

/// Puts the answer to calls that no service here takes before what answers everything else.
pub(crate) fn before(pads: &Arc<Pads>, otherwise: Router) -> Router {
    let not_served = Router::new().fallback(grpc::not_served).layer(cors(pads));
    otherwise.layer(from_fn_with_state(not_served, turn_away))
}

async fn turn_away(State(not_served): State<Router>, request: Request, next: Next) -> Response {
    // A browser asks before a call, and would not get to see the answer to it otherwise.
    let is_asking = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_asking || grpc::is_call(&request) {
        not_served.oneshot(request).await.into_response()
    } else {
        next.run(request).await
    }
}

fn cors(pads: &Arc<Pads>) -> CorsLayer {
    let pads = pads.clone();
    let allowed = AllowOrigin::predicate(move |_, parts| pads.origins.admit_parts(parts));
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::POST])
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(CORS_MAX_AGE)
}

/// Refuses new streams while leaving, and notes the transport before gRPC-Web is translated.
async fn let_pass(State(pads): State<Arc<Pads>>, mut request: Request, next: Next) -> Response {
    let subscribes = request.uri().path() == "/ringpad.v1.PadService/Subscribe";
    if subscribes && pads.hub.is_leaving() {
        return LEAVING.into_response();
    }
    let transport = match Protocol::of(request.headers()) {
        Some(Protocol::GrpcWeb) => Transport::GrpcWeb,
        Some(Protocol::Grpc) | None => Transport::Grpc,
    };
    request.extensions_mut().insert(transport);
    let response = next.run(request).await;
    // The replica may begin to leave meanwhile. A status in the head is a refusal, not the end of a stream: a load
    // balancer must see it, so that it tries the next replica.
    if subscribes && pads.hub.is_leaving() && response.headers().contains_key(Status::GRPC_STATUS) {
        return LEAVING.into_response();
    }
    response
}

/// Answers as gRPC; [`GrpcWebLayer`] around it translates.
async fn check_origin(State(pads): State<Arc<Pads>>, request: Request, next: Next) -> Response {
    if pads.origins.admit(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    pads.metrics.end(transport(request.extensions()), End::Origin.reason());
    Status::from(End::Origin).into_http::<Body>().into_response()
}

/// Turns away a call without a good token before any of its body is read. The services look at the token again, for whose
/// it is.
async fn check_token(State(pads): State<Arc<Pads>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !WITH_TOKEN.contains(&path) {
        return next.run(request).await;
    }
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let Err(fault) = pads.tokens.admit(token_in(authorization)) else { return next.run(request).await };
    let end = End::Token(fault);
    if path == WITH_TOKEN[0] {
        pads.metrics.end(transport(request.extensions()), end.reason());
    }
    Status::from(end).into_http::<Body>().into_response()
}

fn transport(extensions: &http::Extensions) -> Transport {
    extensions.get().copied().unwrap_or(Transport::Grpc)
}

struct Edge(Arc<Pads>);

/// Yields a stream's messages encoded, and its end as a status.
fn encoded(stream: PadStream) -> BoxStream<'static, Result<bytes::Bytes, Status>> {
    let messages = unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        Some(match stream.next().await {
            Ok(message) => (Ok(message.encoded()), Some(stream)),
            Err(end) => (Err(end.into()), None),
        })
    });
    messages.boxed()
}

fn token(metadata: &MetadataMap) -> Result<&str, TokenFault> {
    token_in(metadata.get("authorization").map(MetadataValue::as_encoded_bytes))
}

#[tonic::async_trait]
impl PadService for Edge {
    type SubscribeStream = BoxStream<'static, Result<bytes::Bytes, Status>>;

    async fn subscribe(
        &self,
        request: tonic::Request<SubscribeRequest>,
    ) -> Result<tonic::Response<Self::SubscribeStream>, Status> {
        let transport = transport(request.extensions());
        let (metadata, _, request) = request.into_parts();
        let stream = self.0.open(token(&metadata), request, transport).await?;
        let mut response = tonic::Response::new(encoded(stream));
        // Asks nginx, and what else knows the header, not to hold messages back.
        response.metadata_mut().insert("x-accel-buffering", MetadataValue::from_static("no"));
        Ok(response)
    }

    async fn list_calls(
        &self,
        request: tonic::Request<PadServiceListCallsRequest>,
    ) -> Result<tonic::Response<PadServiceListCallsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.0.list_calls(token(&metadata), request).await.map(tonic::Response::new)
    }

    async fn claim_call(
        &self,
        request: tonic::Request<ClaimCallRequest>,
    ) -> Result<tonic::Response<ClaimCallResponse>, Status> {
        let (metadata, _, ClaimCallRequest { call_id, request_id }) = request.into_parts();
        let claim = Action::Claim(ClaimAction {});
        let call = self.0.act(token(&metadata), call_id, request_id, claim).await?;
        Ok(tonic::Response::new(ClaimCallResponse { call: Some(call) }))
    }

    async fn release_call(
        &self,
        request: tonic::Request<ReleaseCallRequest>,
    ) -> Result<tonic::Response<ReleaseCallResponse>, Status> {
        let (metadata, _, ReleaseCallRequest { call_id, request_id }) = request.into_parts();
        let release = Action::Release(ReleaseAction {});
        let call = self.0.act(token(&metadata), call_id, request_id, release).await?;
        Ok(tonic::Response::new(ReleaseCallResponse { call: Some(call) }))
    }

    async fn close_call(
        &self,
        request: tonic::Request<CloseCallRequest>,
    ) -> Result<tonic::Response<CloseCallResponse>, Status> {
        let (metadata, _, CloseCallRequest { call_id, request_id }) = request.into_parts();
        let close = Action::Close(CloseAction {});
        let call = self.0.act(token(&metadata), call_id, request_id, close).await?;
        Ok(tonic::Response::new(CloseCallResponse { call: Some(call) }))
    }

    async fn reopen_call(
        &self,
        request: tonic::Request<ReopenCallRequest>,
    ) -> Result<tonic::Response<ReopenCallResponse>, Status> {
        let (metadata, _, ReopenCallRequest { call_id, request_id }) = request.into_parts();
        let reopen = Action::Reopen(ReopenAction {});
        let call = self.0.act(token(&metadata), call_id, request_id, reopen).await?;
        Ok(tonic::Response::new(ReopenCallResponse { call: Some(call) }))
    }

    async fn save_note(
        &self,
        request: tonic::Request<SaveNoteRequest>,
    ) -> Result<tonic::Response<SaveNoteResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let (call_id, request_id, note) = actions::note(request);
        let call = self.0.act(token(&metadata), call_id, request_id, note).await?;
        Ok(tonic::Response::new(SaveNoteResponse { call: Some(call) }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_call_of_a_pad_wants_a_token_before_its_body_is_read() {
        let described = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut services = described.file.iter().flat_map(|file| &file.service);
        let service = services.find(|service| service.name() == "PadService").unwrap();
        let paths = service.method.iter().map(|method| format!("/ringpad.v1.PadService/{}", method.name()));
        assert_eq!(paths.collect::<BTreeSet<_>>(), WITH_TOKEN.map(str::to_owned).into_iter().collect());
    }
}

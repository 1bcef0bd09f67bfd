//! The edge for gRPC and gRPC-Web: the same service, for gRPC-Web behind a translating layer and CORS.
//!
//! A leaving replica refuses `Subscribe` with HTTP 503 and not with a gRPC error in a 200, because a load balancer tries the
//! next replica only after a 503.

mod pairing;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http::{HeaderName, HeaderValue, Method, header};
use ringpad_proto::{
    FILE_DESCRIPTOR_SET,
    pad_service_server::{self, PadService, PadServiceServer},
    v1::{
        ClaimAction, ClaimCallRequest, ClaimCallResponse, CloseAction, CloseCallRequest, CloseCallResponse,
        CustomerAction, NoteAction, PadServiceListCallsRequest, PadServiceListCallsResponse,
        PadServiceListReservationsRequest, PadServiceListReservationsResponse, ReleaseAction,
        ReleaseCallRequest, ReleaseCallResponse, ReopenAction, ReopenCallRequest, ReopenCallResponse,
        SaveCustomerRequest, SaveCustomerResponse, SaveNoteRequest, SaveNoteResponse, SubscribeRequest,
        act_on_call_request::Action,
        pairing_service_server::{self, PairingServiceServer},
    },
};
use ringpad_runtime::{
    CancellationToken, Failure,
    grpc::{self, OpenCalls, Protocol},
    readiness::Readiness,
    serve::LongStream,
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
    admission::{
        Admission,
        token::{TokenFault, token_in},
    },
    pad_requests::{PadAction, PadRequests},
    pad_stream::{PadStream, PadStreams, Transport},
    pairing::Pairing,
    stream_end::{LEAVING_STATUS, StreamEnd},
};

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

/// The calls that require a token.
const WITH_TOKEN: [&str; 10] = [
    "/ringpad.v1.PadService/Subscribe",
    "/ringpad.v1.PadService/ListCalls",
    "/ringpad.v1.PadService/ListReservations",
    "/ringpad.v1.PadService/ClaimCall",
    "/ringpad.v1.PadService/ReleaseCall",
    "/ringpad.v1.PadService/CloseCall",
    "/ringpad.v1.PadService/ReopenCall",
    "/ringpad.v1.PadService/SaveNote",
    "/ringpad.v1.PadService/SaveCustomer",
    "/ringpad.v1.PairingService/ApprovePairing",
];

/// The port's own services.
const SERVICES: [&str; 2] = [pad_service_server::SERVICE_NAME, pairing_service_server::SERVICE_NAME];

/// The routes of `PadService`, `PairingService`, health and reflection.
///
/// Requests may be compressed with gzip, and have `request_bytes` at most when they are decompressed. Answers are not: a popup has a few hundred bytes, which must be sent at once.
///
/// # Errors
/// The descriptors of package `ringpad.v1` cannot be read, which only a fault in crate `proto` can cause.
pub(crate) fn router(
    edge: &GrpcEdge,
    request_bytes: usize,
    readiness: Readiness,
    leaving: CancellationToken,
) -> Result<Router, Failure> {
    let (reflection, reflection_v1alpha) = grpc::reflection(FILE_DESCRIPTOR_SET, &SERVICES)?;
    let service = PadServiceServer::new(edge.clone())
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(request_bytes);
    let pairing = PairingServiceServer::new(edge.clone())
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(request_bytes);
    let routes = Routes::from(Router::new())
        .add_service(service)
        .add_service(pairing)
        .add_service(grpc::health(readiness, &SERVICES, leaving.clone()))
        .add_service(reflection)
        .add_service(reflection_v1alpha)
        .prepare();
    Ok(routes
        .into_axum_router()
        .layer(from_fn_with_state(OpenCalls::new(leaving), grpc::bound_open_calls))
        .layer(map_response(grpc::too_large_is_exhausted))
        .layer(from_fn_with_state(edge.clone(), check_token))
        .layer(from_fn_with_state(edge.clone(), check_origin))
        .layer(GrpcWebLayer::new())
        .layer(from_fn_with_state(edge.clone(), refuse_while_leaving))
        .layer(from_fn(grpc::only_grpc))
        .layer(cors(&edge.admission)))
}

/// Answers gRPC calls of unknown services, and passes all other requests to `fallback`.
pub(crate) fn before(admission: &Arc<Admission>, fallback: Router) -> Router {
    let not_served = Router::new().fallback(grpc::not_served).layer(cors(admission));
    fallback.layer(from_fn_with_state(not_served, answer_unknown_calls))
}

async fn answer_unknown_calls(State(not_served): State<Router>, request: Request, next: Next) -> Response {
    // Without an answer to its preflight request, a browser would not show a page the answer to the call.
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight || grpc::is_call(&request) {
        not_served.oneshot(request).await.into_response()
    } else {
        next.run(request).await
    }
}

fn cors(admission: &Arc<Admission>) -> CorsLayer {
    let admission = admission.clone();
    let allowed = AllowOrigin::predicate(move |_, parts| admission.allows_page(&parts.uri, &parts.headers));
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::POST])
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(CORS_MAX_AGE)
}

/// Refuses new streams while the replica is leaving, and remembers the transport before gRPC-Web is translated.
async fn refuse_while_leaving(State(edge): State<GrpcEdge>, mut request: Request, next: Next) -> Response {
    let subscribes = request.uri().path() == "/ringpad.v1.PadService/Subscribe";
    if subscribes && edge.streams.is_leaving() {
        return LEAVING_STATUS.into_response();
    }
    let transport = match Protocol::of(request.headers()) {
        Some(Protocol::GrpcWeb) => Transport::GrpcWeb,
        Some(Protocol::Grpc) | None => Transport::Grpc,
    };
    request.extensions_mut().insert(transport);
    let response = next.run(request).await;
    // The replica may have begun to leave meanwhile. A gRPC status in the head is a refusal, not the end of a stream: it must
    // become a 503, so that a load balancer tries the next replica.
    if subscribes && edge.streams.is_leaving() && response.headers().contains_key(Status::GRPC_STATUS) {
        return LEAVING_STATUS.into_response();
    }
    response
}

/// Answers as gRPC; [`GrpcWebLayer`] around it translates.
async fn check_origin(State(edge): State<GrpcEdge>, request: Request, next: Next) -> Response {
    if edge.admission.allows_page(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    edge.streams.count_refused(transport(request.extensions()), &StreamEnd::Origin);
    Status::from(StreamEnd::Origin).into_http::<Body>().into_response()
}

/// Refuses a call without a valid token before any of its body is read. The service reads the token again, to know the pad.
async fn check_token(State(edge): State<GrpcEdge>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !WITH_TOKEN.contains(&path) {
        return next.run(request).await;
    }
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let Err(fault) = edge.admission.pad(token_in(authorization)) else { return next.run(request).await };
    let end = StreamEnd::Token(fault);
    if path == WITH_TOKEN[0] {
        edge.streams.count_refused(transport(request.extensions()), &end);
    }
    Status::from(end).into_http::<Body>().into_response()
}

fn transport(extensions: &http::Extensions) -> Transport {
    extensions.get().copied().unwrap_or(Transport::Grpc)
}

/// What the edge uses.
#[derive(Clone)]
pub(crate) struct GrpcEdge {
    pub admission: Arc<Admission>,
    pub streams: Arc<PadStreams>,
    pub requests: Arc<PadRequests>,
    pub pairing: Arc<Pairing>,
}

/// The encoded messages of a stream, and its end as a status.
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
impl PadService for GrpcEdge {
    type SubscribeStream = BoxStream<'static, Result<bytes::Bytes, Status>>;

    async fn subscribe(
        &self,
        request: tonic::Request<SubscribeRequest>,
    ) -> Result<tonic::Response<Self::SubscribeStream>, Status> {
        let transport = transport(request.extensions());
        let (metadata, _, request) = request.into_parts();
        let stream = self.streams.open(token(&metadata), request, transport).await?;
        let mut response = tonic::Response::new(encoded(stream));
        // Asks nginx, and other proxies that know the header, not to buffer messages.
        response.metadata_mut().insert("x-accel-buffering", MetadataValue::from_static("no"));
        response.extensions_mut().insert(LongStream);
        Ok(response)
    }

    async fn list_calls(
        &self,
        request: tonic::Request<PadServiceListCallsRequest>,
    ) -> Result<tonic::Response<PadServiceListCallsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.requests.list_calls(token(&metadata), request).await.map(tonic::Response::new)
    }

    async fn list_reservations(
        &self,
        request: tonic::Request<PadServiceListReservationsRequest>,
    ) -> Result<tonic::Response<PadServiceListReservationsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.requests.list_reservations(token(&metadata), request).await.map(tonic::Response::new)
    }

    async fn claim_call(
        &self,
        request: tonic::Request<ClaimCallRequest>,
    ) -> Result<tonic::Response<ClaimCallResponse>, Status> {
        let (metadata, _, ClaimCallRequest { call_id, request_id }) = request.into_parts();
        let action = Action::Claim(ClaimAction {});
        let call = self.requests.act(token(&metadata), PadAction { call_id, request_id, action }).await?;
        Ok(tonic::Response::new(ClaimCallResponse { call: Some(call) }))
    }

    async fn release_call(
        &self,
        request: tonic::Request<ReleaseCallRequest>,
    ) -> Result<tonic::Response<ReleaseCallResponse>, Status> {
        let (metadata, _, ReleaseCallRequest { call_id, request_id }) = request.into_parts();
        let action = Action::Release(ReleaseAction {});
        let call = self.requests.act(token(&metadata), PadAction { call_id, request_id, action }).await?;
        Ok(tonic::Response::new(ReleaseCallResponse { call: Some(call) }))
    }

    async fn close_call(
        &self,
        request: tonic::Request<CloseCallRequest>,
    ) -> Result<tonic::Response<CloseCallResponse>, Status> {
        let (metadata, _, CloseCallRequest { call_id, request_id }) = request.into_parts();
        let action = Action::Close(CloseAction {});
        let call = self.requests.act(token(&metadata), PadAction { call_id, request_id, action }).await?;
        Ok(tonic::Response::new(CloseCallResponse { call: Some(call) }))
    }

    async fn reopen_call(
        &self,
        request: tonic::Request<ReopenCallRequest>,
    ) -> Result<tonic::Response<ReopenCallResponse>, Status> {
        let (metadata, _, ReopenCallRequest { call_id, request_id }) = request.into_parts();
        let action = Action::Reopen(ReopenAction {});
        let call = self.requests.act(token(&metadata), PadAction { call_id, request_id, action }).await?;
        Ok(tonic::Response::new(ReopenCallResponse { call: Some(call) }))
    }

    async fn save_note(
        &self,
        request: tonic::Request<SaveNoteRequest>,
    ) -> Result<tonic::Response<SaveNoteResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let SaveNoteRequest { call_id, request_id, note: text, reservation } = request;
        let action = Action::Note(NoteAction { text, reservation });
        let call = self.requests.act(token(&metadata), PadAction { call_id, request_id, action }).await?;
        Ok(tonic::Response::new(SaveNoteResponse { call: Some(call) }))
    }

    async fn save_customer(
        &self,
        request: tonic::Request<SaveCustomerRequest>,
    ) -> Result<tonic::Response<SaveCustomerResponse>, Status> {
        let (metadata, _, SaveCustomerRequest { call_id, request_id, customer }) = request.into_parts();
        let action = Action::Customer(CustomerAction { customer });
        let call = self.requests.act(token(&metadata), PadAction { call_id, request_id, action }).await?;
        Ok(tonic::Response::new(SaveCustomerResponse { call: Some(call) }))
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
    fn every_call_of_a_pad_requires_a_token_before_its_body_is_read() {
        let described = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut services = described.file.iter().flat_map(|file| &file.service);
        let service = services.find(|service| service.name() == "PadService").unwrap();
        let paths = service.method.iter().map(|method| format!("/ringpad.v1.PadService/{}", method.name()));
        // Of the calls that concern tablets, one is a pad's.
        let paths = paths.chain(["/ringpad.v1.PairingService/ApprovePairing".to_owned()]);
        assert_eq!(paths.collect::<BTreeSet<_>>(), WITH_TOKEN.map(str::to_owned).into_iter().collect());
    }
}

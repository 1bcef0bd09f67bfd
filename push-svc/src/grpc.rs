//! The edge for gRPC and gRPC-Web: the same service, for gRPC-Web behind a translating layer and CORS.
//!
//! A leaving replica refuses `Subscribe` with HTTP 503, not with a gRPC error in a 200: only so a load balancer tries
//! the next replica.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use ringpad_proto::{
    FILE_DESCRIPTOR_SET,
    pad_service_server::{PadService, PadServiceServer},
    v1::{
        ClaimCallRequest, ClaimCallResponse, CloseCallRequest, CloseCallResponse, PadServiceListCallsRequest,
        PadServiceListCallsResponse, ReleaseCallRequest, ReleaseCallResponse, SaveNoteRequest,
        SaveNoteResponse, SubscribeRequest,
    },
};
use tonic::{Status, body::Body, metadata::MetadataValue, service::Routes};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{auth::bearer, end::End, metrics::Transport, pad_stream::PadStream, pads::Pads};

/// What load balancers and pads are told by a leaving replica. No words, which a gRPC client would take for a message.
pub(crate) const LEAVING: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
/// The largest request: a note and a token fit.
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

/// The routes of `PadService`, health and reflection.
///
/// # Errors
/// The descriptors of package `ringpad.v1` cannot be read, which a build with a broken `proto` crate would show.
pub(crate) fn router(
    pads: &Arc<Pads>,
    health: HealthServer<impl Health>,
) -> Result<Router, tonic_reflection::server::Error> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("ringpad.v1.PadService")
        .with_service_name("grpc.health.v1.Health")
        .build_v1()?;
    let service = PadServiceServer::new(Edge(pads.clone())).max_decoding_message_size(REQUEST_BYTES);
    let routes = Routes::from(Router::new())
        .add_service(service)
        .add_service(health)
        .add_service(reflection)
        .prepare();
    Ok(routes
        .into_axum_router()
        .layer(from_fn_with_state(pads.clone(), check_origin))
        .layer(GrpcWebLayer::new())
        .layer(from_fn_with_state(pads.clone(), let_pass))
        .layer(cors(pads)))
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
    if request.uri().path() == "/ringpad.v1.PadService/Subscribe" && pads.hub.is_leaving() {
        return LEAVING.into_response();
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let transport =
        if content_type.starts_with(b"application/grpc-web") { Transport::GrpcWeb } else { Transport::Grpc };
    request.extensions_mut().insert(transport);
    next.run(request).await
}

/// Answers as gRPC; [`GrpcWebLayer`] around it translates.
async fn check_origin(State(pads): State<Arc<Pads>>, request: Request, next: Next) -> Response {
    if pads.origins.admit(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    pads.metrics.end(transport(request.extensions()), End::Origin.reason());
    Status::from(End::Origin).into_http::<Body>().into_response()
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

fn not_built_yet<T>() -> Result<tonic::Response<T>, Status> {
    Err(Status::unimplemented("not built yet"))
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
        let token = bearer(metadata.get("authorization").and_then(|value| value.to_str().ok()));
        let stream = self.0.open(token, request, transport).await?;
        let mut response = tonic::Response::new(encoded(stream));
        // Asks nginx, and what else knows the header, not to hold messages back.
        response.metadata_mut().insert("x-accel-buffering", MetadataValue::from_static("no"));
        Ok(response)
    }

    async fn list_calls(
        &self,
        _: tonic::Request<PadServiceListCallsRequest>,
    ) -> Result<tonic::Response<PadServiceListCallsResponse>, Status> {
        not_built_yet()
    }

    async fn claim_call(
        &self,
        _: tonic::Request<ClaimCallRequest>,
    ) -> Result<tonic::Response<ClaimCallResponse>, Status> {
        not_built_yet()
    }

    async fn release_call(
        &self,
        _: tonic::Request<ReleaseCallRequest>,
    ) -> Result<tonic::Response<ReleaseCallResponse>, Status> {
        not_built_yet()
    }

    async fn close_call(
        &self,
        _: tonic::Request<CloseCallRequest>,
    ) -> Result<tonic::Response<CloseCallResponse>, Status> {
        not_built_yet()
    }

    async fn save_note(
        &self,
        _: tonic::Request<SaveNoteRequest>,
    ) -> Result<tonic::Response<SaveNoteResponse>, Status> {
        not_built_yet()
    }
}

//! The internal gRPC edge: `IngestService`, `StoreService`, `CustomerService` and `PairingService`, with health and reflection.

mod act;
mod calls;
mod customers;
mod faults;
mod ingest;
mod pairing;
mod parts;
mod quarantine;
mod status;
mod stores;
mod token;

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::Response,
};
use ringpad_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        customer_service_server::{self, CustomerServiceServer},
        ingest_service_server::{self, IngestServiceServer},
        pairing_service_server::{self, PairingServiceServer},
        store_service_server::{self, StoreServiceServer},
    },
};
use ringpad_runtime::{
    CancellationToken, Failure,
    grpc::{self, OpenCalls, Protocol},
    readiness::Readiness,
};
use tonic::{
    codec::CompressionEncoding,
    service::{Routes, interceptor::InterceptedService},
};

use crate::{capacity::GrpcCapacity, settings::Settings, shared::Shared};
use customers::Customers;
use ingest::Ingest;
use pairing::Pairing;
use stores::Stores;
use token::TokenCheck;

/// The services of this port, in addition to health and reflection.
const SERVICES: [&str; 4] = [
    ingest_service_server::SERVICE_NAME,
    store_service_server::SERVICE_NAME,
    customer_service_server::SERVICE_NAME,
    pairing_service_server::SERVICE_NAME,
];

/// Paths of the RPCs whose requests have no time limit, because they are streams.
pub(crate) const STREAMS: [&str; 5] = [
    "/ringpad.v1.IngestService/IngestCallStream",
    "/ringpad.v1.StoreService/ImportStores",
    "/ringpad.v1.CustomerService/UpsertCustomers",
    grpc::REFLECTIONS[0],
    grpc::REFLECTIONS[1],
];

/// The router of the internal port. Health answers everybody; the other services may require a token.
///
/// Requests may be compressed with gzip. Answers are not: this is a private network, and most clients accept gzip although
/// they do not need it.
pub(crate) fn router(
    settings: &Settings,
    shared: Shared,
    capacity: GrpcCapacity,
    readiness: Readiness,
    leaving: CancellationToken,
) -> Result<Router, Failure> {
    let (reflection, reflection_v1alpha) = grpc::reflection(FILE_DESCRIPTOR_SET, &SERVICES)?;
    let check = TokenCheck(settings.internal_token.clone());
    let stores = StoreServiceServer::new(Stores::new(shared.log.clone(), capacity, leaving.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(capacity.request_bytes);
    let customers = CustomerServiceServer::new(Customers::new(shared.log.clone(), capacity, leaving.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(capacity.request_bytes);
    let pairing = Pairing { log: shared.log.clone(), pads: capacity.lists.pads };
    let pairing = PairingServiceServer::new(pairing)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(capacity.request_bytes);
    let ingest = IngestServiceServer::new(Ingest { shared, capacity, leaving: leaving.clone() })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(capacity.request_bytes);
    let routes = Routes::from(Router::new())
        .add_service(grpc::health(readiness, &SERVICES, leaving.clone()))
        .add_service(InterceptedService::new(reflection, check.clone()))
        .add_service(InterceptedService::new(reflection_v1alpha, check.clone()))
        .add_service(InterceptedService::new(ingest, check.clone()))
        .add_service(InterceptedService::new(stores, check.clone()))
        .add_service(InterceptedService::new(customers, check.clone()))
        .add_service(InterceptedService::new(pairing, check));
    Ok(routes
        .prepare()
        .into_axum_router()
        .layer(from_fn_with_state(OpenCalls::new(leaving), grpc::bound_open_calls))
        .layer(map_response(grpc::too_large_is_exhausted))
        .layer(from_fn(no_grpc_web))
        .layer(from_fn(grpc::only_grpc))
        .fallback(grpc::not_served))
}

/// Browsers use push-svc. Here gRPC-Web would be read as gRPC, and its answer would have no status.
async fn no_grpc_web(request: Request, next: Next) -> Response {
    match Protocol::of(request.headers()) {
        Some(Protocol::GrpcWeb) => {
            grpc::unimplemented(request.headers(), "this port does not serve gRPC-Web")
        }
        Some(Protocol::Grpc) | None => next.run(request).await,
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
    fn only_rpcs_with_streams_of_requests_have_no_time_limit() {
        let described = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let services = described.file.iter().flat_map(|file| &file.service);
        let streams = services.flat_map(|service| {
            let streams = service.method.iter().filter(|method| method.client_streaming());
            streams.map(|method| format!("/ringpad.v1.{}/{}", service.name(), method.name()))
        });
        let expected: BTreeSet<_> = streams.chain(grpc::REFLECTIONS.map(str::to_owned)).collect();
        assert_eq!(STREAMS.map(str::to_owned).into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

//! The internal gRPC edge: `IngestService` and `StoreService`, with health and reflection.

mod act;
mod calls;
mod ingest;
mod quarantine;
mod stores;
mod token;

use ringpad_proto::v1::{
    ingest_service_server::IngestServiceServer, store_service_server::StoreServiceServer,
};
use ringpad_runtime::Failure;
use tonic::{
    Code, Status,
    service::{Routes, interceptor::InterceptedService},
};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Shared, log::LogError, settings::Settings};
use ingest::Ingest;
use stores::Stores;
use token::TokenCheck;

/// Bytes of a request at most: a ListCallEvents for all stores of a large replica.
const REQUEST: usize = 4 * 1024 * 1024;

/// All that the internal port serves. Health answers anyone; the rest may want a token.
pub(crate) fn router(
    settings: &Settings,
    shared: Shared,
    health: HealthServer<impl Health>,
) -> Result<axum::Router, Failure> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(ringpad_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| Failure::other("cannot set up gRPC reflection", error))?;
    let check = TokenCheck(settings.internal_token.clone());
    let stores = StoreServiceServer::new(Stores { log: shared.log.clone() });
    let ingest = IngestServiceServer::new(Ingest(shared)).max_decoding_message_size(REQUEST);
    let routes = Routes::new(health)
        .add_service(InterceptedService::new(reflection, check.clone()))
        .add_service(InterceptedService::new(ingest, check.clone()))
        .add_service(InterceptedService::new(stores, check));
    Ok(routes.prepare().into_axum_router())
}

/// One field of a request is wrong.
fn faulty(field: &str, description: impl Into<String>) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, "the request is faulty", details)
}

/// The one place where the log's errors become gRPC's.
fn unavailable(error: LogError) -> Status {
    Status::unavailable(error.to_string())
}

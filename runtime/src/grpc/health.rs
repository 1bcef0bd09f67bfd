//! `grpc.health.v1`, from the process's readiness. `tonic-health`'s own service ends a watch of an unknown service, which by the
//! protocol must continue as SERVICE_UNKNOWN, and its watches do not end when the process leaves.

use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait, codec::CompressionEncoding};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use super::{
    reflection::{OPEN_REQUEST, STANDARD_SERVICES},
    status::unavailable,
};
use crate::readiness::{Readiness, ReadinessChanges};

/// The health of the process as a whole, which is the empty name, and of each of its services by name, health and
/// reflection included: all of them are as ready as the process. Watches end with UNAVAILABLE once it is `leaving`.
pub fn health(
    readiness: Readiness,
    services: &'static [&'static str],
    leaving: CancellationToken,
) -> HealthServer<impl Health> {
    HealthServer::new(OfReadiness { readiness, services, leaving })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(OPEN_REQUEST)
}

struct OfReadiness {
    readiness: Readiness,
    services: &'static [&'static str],
    leaving: CancellationToken,
}

impl OfReadiness {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service) || STANDARD_SERVICES.contains(&service)
    }
}

#[async_trait]
impl Health for OfReadiness {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.into_inner().service) {
            return Err(Status::not_found("this port has no such service"));
        }
        Ok(Response::new(answer(status(&mut self.readiness.changes()))))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = Watch {
            known: self.knows(&request.into_inner().service),
            changes: self.readiness.changes(),
            leaving: self.leaving.clone(),
            sent: None,
        };
        let answers = unfold(Some(watch), async |watch| {
            let mut watch = watch?;
            Some(match watch.next().await {
                Some(status) => (Ok(answer(status)), Some(watch)),
                None => (Err(unavailable("this process is shutting down; try again")), None),
            })
        });
        Ok(Response::new(answers.boxed()))
    }
}

/// One client's watch of one service.
struct Watch {
    known: bool,
    changes: ReadinessChanges,
    leaving: CancellationToken,
    sent: Option<ServingStatus>,
}

impl Watch {
    /// The next status that differs from the last one sent; `None` once the process is leaving, and that was sent.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let leaving = self.leaving.is_cancelled();
            let status = match status(&mut self.changes) {
                _ if !self.known => ServingStatus::ServiceUnknown,
                _ if leaving => ServingStatus::NotServing,
                status => status,
            };
            if self.sent != Some(status) {
                self.sent = Some(status);
                return Some(status);
            }
            if leaving {
                return None;
            }
            tokio::select! {
                () = self.changes.next() => {}
                () = self.leaving.cancelled() => {}
            }
        }
    }
}

fn status(readiness: &mut ReadinessChanges) -> ServingStatus {
    if readiness.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

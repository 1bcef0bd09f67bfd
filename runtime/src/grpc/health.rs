//! `grpc.health.v1`, from the process's readiness. By hand, because `tonic-health`'s own ends a watch of an unknown
//! service, which the protocol says must go on as SERVICE_UNKNOWN, and its watches outlive the process's leave.

use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait, codec::CompressionEncoding};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use super::{BESIDE, REQUEST, unavailable};
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
        .max_decoding_message_size(REQUEST)
}

struct OfReadiness {
    readiness: Readiness,
    services: &'static [&'static str],
    leaving: CancellationToken,
}

impl OfReadiness {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service) || BESIDE.contains(&service)
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
            told: None,
        };
        let answers = unfold(Some(watch), async |watch| {
            let mut watch = watch?;
            Some(match watch.next().await {
                Some(status) => (Ok(answer(status)), Some(watch)),
                None => (Err(unavailable("this process is leaving")), None),
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
    told: Option<ServingStatus>,
}

impl Watch {
    /// The next status that is not the one before; `None` once the process is leaving and that has been told.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let leaving = self.leaving.is_cancelled();
            let status = match status(&mut self.changes) {
                _ if !self.known => ServingStatus::ServiceUnknown,
                _ if leaving => ServingStatus::NotServing,
                status => status,
            };
            if self.told != Some(status) {
                self.told = Some(status);
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

//! An OpenTelemetry collector that keeps the traces it gets over OTLP.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status, async_trait, transport::Server};

use crate::port::free_address;

/// A collector on loopback; it ends when dropped.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    spans: Spans,
    serving: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// It cannot listen.
    pub fn start() -> Self {
        let (address, spans) = (free_address(), Spans::default());
        let service = TraceServiceServer::new(spans.clone());
        let serving = tokio::spawn(async move {
            Server::builder().add_service(service).serve(address).await.expect("the collector can listen");
        });
        Self { address, spans, serving }
    }

    /// All spans so far of one trace.
    pub fn trace(&self, id: &[u8]) -> Vec<Span> {
        let spans = self.spans.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace_id == id).cloned().collect()
    }

    /// Everything that was sent, as text.
    pub fn dump(&self) -> String {
        format!("{:?}", self.spans.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let of_all = request.into_inner().resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        let spans = of_all.flat_map(|spans| spans.spans);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

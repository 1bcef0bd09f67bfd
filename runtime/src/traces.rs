//! Traces of single records, from the request with the record to the pads that show it, with OpenTelemetry. Without an endpoint
//! they are off, and cost nothing.
//!
//! ```text
//! ingest ─┬─ parse
//!         ├─ commit
//!         ├─ publish
//!         ├─ consume   (push-svc, each replica with a pad of the store)
//!         └─ deliver   (push-svc, each pad)
//! ```
//!
//! A trace continues in another process with W3C's `traceparent`, which only a recorded trace has. No span has a phone number.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use clap::Args;
use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    trace::{Span as _, SpanKind, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider, Span},
};

use crate::failure::Failure;

/// The name of the header, and of the same value elsewhere.
pub const TRACEPARENT: &str = "traceparent";

/// Where traces go.
#[derive(Debug, Clone, Default, Args)]
pub struct TraceSettings {
    /// Where traces are sent: an OpenTelemetry collector's OTLP over gRPC, e.g. `http://127.0.0.1:4317`. Without it there
    /// are none. OpenTelemetry's own variables apply besides, e.g. `OTEL_TRACES_SAMPLER`.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_parser = endpoint,
        value_name = "URL",
        hide_env_values = true
    )]
    pub otel_exporter_otlp_endpoint: Option<String>,
}

fn endpoint(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").filter(|host| !host.is_empty() && !host.contains('@'));
    host.map(|_| text.to_owned()).ok_or_else(|| {
        "http://host:port is expected; run a collector next to this process, which can use TLS".to_owned()
    })
}

/// A cloneable handle on one process's traces.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Exported>>);

#[derive(Debug)]
struct Exported {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// An open span of a trace; it ends when dropped. Empty if traces are off.
#[derive(Debug)]
pub struct Stage(Option<(Arc<Exported>, Span)>);

impl Traces {
    /// The traces of `service`. Needs the async runtime, on which they are sent.
    ///
    /// # Errors
    /// The endpoint is not valid.
    pub fn new(service: &'static str, settings: &TraceSettings) -> Result<Self, Failure> {
        let Some(endpoint) = &settings.otel_exporter_otlp_endpoint else { return Ok(Self::default()) };
        let exporter =
            SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(|error| {
                Failure::setting(error).context("OTEL_EXPORTER_OTLP_ENDPOINT: its value cannot be used")
            })?;
        let resource = Resource::builder().with_service_name(service).build();
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        let tracer = provider.tracer("ringpad");
        Ok(Self(Some(Arc::new(Exported { provider, tracer }))))
    }

    /// Whether they are on.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the first stage in this process, in the trace of `traceparent`, or in a new one.
    pub fn begin(&self, name: &'static str, traceparent: Option<&str>) -> Stage {
        Stage(self.0.as_ref().map(|exported| {
            let parent = traceparent.map_or_else(Context::new, context);
            let builder = exported.tracer.span_builder(name).with_kind(SpanKind::Server);
            (Arc::clone(exported), builder.start_with_context(&exported.tracer, &parent))
        }))
    }

    /// Records a stage that began at `began` and ends now.
    pub fn note(&self, name: &'static str, traceparent: &str, began: SystemTime, attributes: Vec<KeyValue>) {
        let Some(exported) = &self.0 else { return };
        let builder = exported.tracer.span_builder(name).with_start_time(began).with_attributes(attributes);
        builder.start_with_context(&exported.tracer, &context(traceparent)).end();
    }

    /// Sends what has not been sent; takes some seconds at most.
    ///
    /// # Errors
    /// The library panicked. That the collector cannot be reached is only logged.
    pub async fn close(self) -> Result<(), Failure> {
        let Some(exported) = self.0 else { return Ok(()) };
        let closed = tokio::task::spawn_blocking(move || exported.provider.shutdown()).await;
        if let Err(error) = closed.map_err(|error| Failure::other("the traces", error))? {
            tracing::warn!(%error, "the last traces could not be sent");
        }
        Ok(())
    }
}

impl Stage {
    /// Begins a stage within this one.
    #[must_use = "it ends when dropped"]
    pub fn child(&self, name: &'static str) -> Self {
        Self(self.0.as_ref().map(|(exported, span)| {
            let parent = Context::new().with_remote_span_context(span.span_context().clone());
            (Arc::clone(exported), exported.tracer.start_with_context(name, &parent))
        }))
    }

    /// Sets an attribute; never a phone number.
    pub fn set(&mut self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some((_, span)) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// The parent for later stages, here or in another process; `None` if the trace is not recorded.
    pub fn traceparent(&self) -> Option<Box<str>> {
        let (_, span) = self.0.as_ref()?;
        let context = span.span_context();
        if !context.is_sampled() {
            return None;
        }
        let mut carrier = HashMap::new();
        let propagator = TraceContextPropagator::new();
        propagator.inject_context(&Context::new().with_remote_span_context(context.clone()), &mut carrier);
        carrier.remove(TRACEPARENT).map(String::into_boxed_str)
    }
}

/// The context of a `traceparent`; empty if it is not valid.
fn context(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

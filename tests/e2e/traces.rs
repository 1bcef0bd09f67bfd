//! The trace of one ring, from the provider's request to the pads.

use std::collections::BTreeMap;

use ringpad_proto::v1::IngestCallRequest;
use ringpad_tests::{
    cdr::urlencoded,
    collector::Collector,
    http::Client,
    pads::{Pad, Transport},
    provider::{FORM, cdr_answer},
    rabbit::RabbitNode,
    services::{Shop, System},
    wait::{SOON, must, until},
};
use tonic::Request;

const TRACE: [u8; 16] = [0x4b; 16];
const PARENT: [u8; 8] = [0xa1; 8];

fn traceparent() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("00-{}-{}-01", hex(&TRACE), hex(&PARENT))
}

/// How often each stage is in the trace.
fn stages(collector: &Collector) -> BTreeMap<String, usize> {
    let mut stages = BTreeMap::new();
    for span in collector.trace(&TRACE) {
        *stages.entry(span.name).or_default() += 1;
    }
    stages
}

async fn traced(collector: &Collector) -> System {
    let endpoint = format!("http://{}", collector.address);
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    System::start_with(&RabbitNode::shared().await.url(), 2, &settings).await
}

/// A replica that gets the first message of a publisher compares with the log, and an event that comes from the log is not
/// traced. After a ring and some heartbeats that is over.
async fn settle<const N: usize>(system: &System, store: &Shop, pads: [&mut Pad; N]) {
    system.ring(store).await;
    for pad in pads {
        pad.update().await;
        pad.until_heartbeats(pad.heartbeats + 3).await;
    }
}

#[tokio::test]
async fn a_ring_over_http_is_one_trace_from_the_request_to_every_pad() {
    let collector = Collector::start();
    let system = traced(&collector).await;
    let store = system.store("gangnam").await;
    let mut near = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let mut far = system.pad(Transport::WebSocket, 1, &store.id).await;
    settle(&system, &store, [&mut near, &mut far]).await;
    let record = system.noted_ring(&store);
    let traceparent = traceparent();
    let headers = [("content-type", FORM), ("traceparent", traceparent.as_str())];
    let mut client = Client::new(system.ingest_at.http);
    let answer = client.send("POST", "/v1/cdr/bizcall", &headers, urlencoded(&record)).await;
    cdr_answer(&must("an answer", answer));
    near.update().await;
    far.update().await;

    let whole = [("commit", 1), ("consume", 2), ("deliver", 2), ("ingest", 1), ("parse", 1), ("publish", 1)];
    let whole: BTreeMap<_, _> = whole.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let mut seen = BTreeMap::new();
    until("the whole trace", SOON, async || {
        let now = stages(&collector);
        if now != seen {
            seen = now;
            eprintln!("the trace so far: {seen:?}");
        }
        (seen == whole).then_some(())
    })
    .await;
    let spans = collector.trace(&TRACE);
    let ingest = spans.iter().find(|span| span.name == "ingest").expect("it was counted");
    assert_eq!(ingest.parent_span_id, PARENT, "the provider's own span is its parent");
    for span in spans.iter().filter(|span| span.name != "ingest") {
        assert_eq!(span.parent_span_id, ingest.span_id, "{}", span.name);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
    }
    system.secrets.assert_none_in("the traces", &collector.dump());
}

#[tokio::test]
async fn a_call_over_grpc_is_traced_too() {
    let collector = Collector::start();
    let system = traced(&collector).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    settle(&system, &store, [&mut pad]).await;
    let cdr = system.noted_ring(&store);
    let mut request = Request::new(IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(cdr) });
    request.metadata_mut().insert("traceparent", must("a header", traceparent().parse()));
    must("an answer", system.calls().await.ingest_call(request).await);
    pad.update().await;
    until("its delivery", SOON, async || stages(&collector).contains_key("deliver").then_some(())).await;
}

//! Internal services that send much at once, or do not read their answers: they have to wait and are never disconnected, and the
//! other calls on their connection continue.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use ringpad_proto::v1::{IngestCallRequest, IngestCallStreamRequest, IngestStatus};
use ringpad_tests::{
    cdr::{self, ring},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, within},
};
use tokio::{task::JoinSet, time::timeout};

/// Streams of one connection, and records of each. More than the log takes in the time in which they are sent.
const BULK: (usize, usize) = (8, 1_000);
/// Calls at a time whose client does not wait for the answer, and their deadline.
const IMPATIENT: (usize, Duration) = (40, Duration::from_millis(2));
/// Other calls, whose client waits.
const PATIENT: usize = 4;
/// How often they are made.
const WAVES: usize = 20;

fn one_record(number: &str) -> IngestCallRequest {
    IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(ring(number, &cdr::caller())) }
}

#[tokio::test]
async fn every_record_is_answered_on_eight_streams_of_one_connection_and_other_calls_too() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let client = system.calls().await;
    let mut streams = JoinSet::new();
    for _ in 0..BULK.0 {
        let records: Vec<_> = (0..BULK.1)
            .map(|_| IngestCallStreamRequest { source: "bizcall".to_owned(), cdr: Some(store.ring()) })
            .collect();
        let mut client = client.clone();
        streams.spawn(async move {
            let answers = client.ingest_call_stream(stream::iter(records)).await;
            let answers = must("IngestCallStream", answers).into_inner();
            let accepted = answers.map(|answer| must("an answer", answer).status());
            accepted.filter(|status| std::future::ready(*status == IngestStatus::Accepted)).count().await
        });
    }
    let (mut others, mut answered) = (client.clone(), Vec::new());
    while answered.len() < BULK.0 {
        let record = one_record(&store.virtual_number);
        must("a call next to the streams", within("an answer", SOON, others.ingest_call(record)).await);
        answered.extend(streams.try_join_next().map(|records| must("a stream", records)));
    }
    assert_eq!(answered, vec![BULK.1; BULK.0]);
    assert!(!system.ingest.logged().contains("ended an HTTP/2 connection"), "{}", system.ingest.logged());
}

#[tokio::test]
async fn a_client_that_does_not_read_answers_delays_no_other_call_of_its_connection() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let client = system.calls().await;
    for _ in 0..WAVES {
        let (mut impatient, mut patient) = (JoinSet::new(), JoinSet::new());
        for _ in 0..IMPATIENT.0 {
            let (mut client, record) = (client.clone(), one_record(&store.virtual_number));
            impatient.spawn(async move { timeout(IMPATIENT.1, client.ingest_call(record)).await.is_ok() });
        }
        for _ in 0..PATIENT {
            let (mut client, record) = (client.clone(), one_record(&store.virtual_number));
            patient
                .spawn(async move { must("a patient call", client.ingest_call(record).await).into_inner() });
        }
        for answer in within("the patient calls", SOON, patient.join_all()).await {
            assert_eq!(answer.status(), IngestStatus::Accepted);
        }
        impatient.join_all().await;
    }
    assert!(!system.ingest.logged().contains("ended an HTTP/2 connection"), "{}", system.ingest.logged());
}

//! Records over gRPC: the same rules as over HTTP, and a faulty one fails alone.

use futures_util::{StreamExt, stream};
use http::StatusCode;
use ringpad_proto::v1::{
    Cdr, IngestCallRequest, IngestCallStreamRequest, IngestCallStreamResponse, IngestStatus,
    ListCallEventsRequest, ListCallsRequest, StoreCursor,
};
use ringpad_tests::{
    cdr::{self, ring, urlencoded},
    http::Client,
    pads::Transport,
    provider::FORM,
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, within},
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

fn of_bizcall(cdr: &Cdr) -> IngestCallStreamRequest {
    IngestCallStreamRequest { source: "bizcall".to_owned(), cdr: Some(cdr.clone()) }
}

#[tokio::test]
async fn an_internal_service_sends_one_call_and_gets_all_faults_at_once() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::GrpcWeb, 0, &store.id).await;
    let mut client = system.calls().await;
    let cdr = system.noted_ring(&store);
    let request =
        |source: &str, cdr: Option<&Cdr>| IngestCallRequest { source: source.to_owned(), cdr: cdr.cloned() };
    let first = must("IngestCall", client.ingest_call(request("bizcall", Some(&cdr))).await).into_inner();
    assert_eq!(first.status(), IngestStatus::Accepted);
    assert_eq!(pad.update().await.call.map(|call| call.id), Some(first.call_id.clone()));
    // The same record over HTTP is a repeat of this one.
    let again = system.provider().deliver(&cdr).await;
    assert_eq!((again.call_id, again.status.as_str()), (first.call_id, "duplicate"));

    let wrong =
        Cdr { sdt: "soon".to_owned(), edt: "later".to_owned(), fromn: cdr::caller(), ..Cdr::default() };
    system.secrets.note(&wrong);
    let status = client.ingest_call(request("bizcall", Some(&wrong))).await.expect_err("no CDR");
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().expect("google.rpc.BadRequest");
    let mut fields: Vec<_> =
        details.field_violations.iter().map(|violation| violation.field.clone()).collect();
    fields.sort();
    let bare: Vec<_> = fields.iter().map(|field| field.trim_start_matches("cdr.")).collect();
    assert_eq!(bare, ["edt", "sdt", "seq", "vn"]);
    assert_eq!(
        client.ingest_call(request("bizcall", None)).await.expect_err("nothing").code(),
        Code::InvalidArgument
    );
    assert_eq!(
        client.ingest_call(request("nobody", Some(&cdr))).await.expect_err("no source").code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn a_stream_is_answered_in_order_and_a_bad_record_fails_alone() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pad = system.pad(Transport::Grpc, 0, &store.id).await;
    let mut records: Vec<_> = (0..200).map(|_| store.ring()).collect();
    records[10].sdt = "never".to_owned();
    records[10].seq = String::new();
    records[20] = records[19].clone();
    records[30].vn = cdr::virtual_number();
    for record in &records {
        system.secrets.note(record);
    }
    let mut sent: Vec<_> = records.iter().map(of_bizcall).collect();
    sent[40].source = "nobody".to_owned();
    let answers = answers(&system, sent).await;
    assert_eq!(answers.len(), records.len());
    for (index, answer) in answers.iter().enumerate() {
        let expected = match index {
            10 | 40 => IngestStatus::Unspecified,
            20 => IngestStatus::Duplicate,
            30 => IngestStatus::Unrouted,
            _ => IngestStatus::Accepted,
        };
        assert_eq!(answer.status(), expected, "{index}: {answer:?}");
        assert_eq!(answer.error.is_some(), matches!(index, 10 | 40), "{index}: {answer:?}");
    }
    assert_eq!(answers[19].call_id, answers[20].call_id);
    let error = answers[10].error.clone().expect("a bad record has an error");
    assert_eq!(error.code, i32::from(Code::InvalidArgument));
    assert_eq!(error.field_violations.len(), 2, "{error:?}");
    assert_eq!(answers[40].error.as_ref().map(|error| error.code), Some(i32::from(Code::NotFound)));

    pad.until_position(196).await;
    let expected = answers.iter().filter(|answer| answer.status() == IngestStatus::Accepted);
    let expected: Vec<_> = expected.map(|answer| answer.call_id.clone()).collect();
    assert_eq!(pad.shown(), expected, "in the order they were sent");
}

async fn answers(system: &System, requests: Vec<IngestCallStreamRequest>) -> Vec<IngestCallStreamResponse> {
    let mut client = system.calls().await;
    let sent = client.ingest_call_stream(Request::new(stream::iter(requests))).await;
    let answers = must("IngestCallStream", sent).into_inner();
    within("all answers", SOON, answers.map(|answer| must("an answer", answer)).collect()).await
}

#[tokio::test]
async fn the_log_is_listed_in_pages_and_with_filters() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let store = system.store("gangnam").await;
    let mut provider = system.provider();
    let mut ids = Vec::new();
    let mut last_caller = String::new();
    for _ in 0..7 {
        last_caller = cdr::caller();
        ids.push(provider.deliver(&ring(&store.virtual_number, &last_caller)).await.call_id);
    }
    let mut client = system.calls().await;
    let mut request =
        ListCallsRequest { store_id: store.id.clone(), page_size: 3, ..ListCallsRequest::default() };
    let mut pages = Vec::new();
    loop {
        let page = must("ListCalls", client.list_calls(request.clone()).await).into_inner();
        assert_eq!(page.position, 7);
        pages.push(page.calls.len());
        for call in page.calls {
            let expected = ids.pop();
            assert_eq!(Some(call.id), expected, "newest first");
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [3, 3, 1]);
    let suffix = last_caller[last_caller.len() - 4..].to_owned();
    let request =
        ListCallsRequest { store_id: store.id.clone(), caller_suffix: suffix, ..ListCallsRequest::default() };
    let found = must("ListCalls", client.list_calls(request).await).into_inner();
    assert_eq!(found.calls.len(), 1);
    let nowhere = ListCallsRequest { store_id: "nowhere".to_owned(), ..ListCallsRequest::default() };
    assert_eq!(client.list_calls(nowhere).await.expect_err("no such store").code(), Code::NotFound);

    let cursor = |store: &str, after_position| StoreCursor { store_id: store.to_owned(), after_position };
    let stores = vec![cursor("nowhere", 0), cursor(&store.id, 5), cursor(&store.id, 7)];
    let events = client.list_call_events(ListCallEventsRequest { stores, ..Default::default() }).await;
    let events = must("ListCallEvents", events).into_inner();
    let shape: Vec<_> = events
        .stores
        .iter()
        .map(|store| {
            (store.not_found, store.position, store.events.iter().map(|event| event.position).collect())
        })
        .collect();
    assert_eq!(shape, [(true, 0, vec![]), (false, 7, vec![6, 7]), (false, 7, vec![])]);
}

#[tokio::test]
async fn a_faulty_record_has_the_same_faults_over_http_and_over_grpc() {
    let system = System::start(&RabbitNode::shared().await.url(), 0).await;
    let right = ring(&cdr::virtual_number(), &cdr::caller());
    let with = |change: &dyn Fn(&mut Cdr)| {
        let mut cdr = right.clone();
        change(&mut cdr);
        cdr
    };
    let faulty = [
        Cdr::default(),
        with(&|cdr| cdr.seq = String::new()),
        with(&|cdr| cdr.seq = "x".repeat(65)),
        with(&|cdr| cdr.seq = "a\u{7}b".to_owned()),
        with(&|cdr| cdr.sdt = String::new()),
        with(&|cdr| cdr.sdt = "20261332000000".to_owned()),
        with(&|cdr| cdr.sdt = "2026-11-23 14:25".to_owned()),
        with(&|cdr| cdr.edt = "20200101000000".to_owned()),
        with(&|cdr| cdr.edt = "soon".to_owned()),
        with(&|cdr| cdr.swidt = "20269999999999".to_owned()),
        with(&|cdr| cdr.vn = String::new()),
        with(&|cdr| (cdr.seq, cdr.sdt, cdr.vn) = (String::new(), "x".to_owned(), String::new())),
    ];
    let mut grpc = system.calls().await;
    let mut http = Client::new(system.ingest_at.http);
    for cdr in faulty {
        let request = IngestCallRequest { source: "bizcall".to_owned(), cdr: Some(cdr.clone()) };
        let status = grpc.ingest_call(request).await.expect_err("it is faulty");
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_details_bad_request().expect("google.rpc.BadRequest");
        let over_grpc: Vec<_> =
            details.field_violations.into_iter().map(|fault| (fault.field, fault.description)).collect();
        let form = [("content-type", FORM)];
        let answer = must("an answer", http.send("POST", "/v1/cdr/bizcall", &form, urlencoded(&cdr)).await);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
        let body = answer.json();
        let text =
            |fault: &serde_json::Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        let errors = body["errors"].as_array().expect("errors");
        let over_http: Vec<_> =
            errors.iter().map(|fault| (text(fault, "field"), text(fault, "message"))).collect();
        assert!(!over_http.is_empty());
        assert_eq!(over_http, over_grpc);
    }
}

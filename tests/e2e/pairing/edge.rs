//! Who may ask for what, and how often: at push-svc's port, and through nginx.

use super::*;

#[tokio::test]
async fn a_pad_approves_tablets_of_its_own_store_and_not_many_codes() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let (store, other) = (system.store("gangnam").await, system.store("suwon").await);
    let (credential, _) = paired(&system, &store.id, "계산대").await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let token = must("IssueToken", tablet.token(&credential).await).token;
    let begun = tablet.begin().await;
    let ask = |store: &str, name: &str| with_token(&token, approval(&begun.code, store, name));
    let without = tablet.approve(Request::new(approval(&begun.code, "", "입구"))).await;
    assert_eq!(without.expect_err("no token").code(), Code::Unauthenticated);
    let foreign = tablet.approve(ask(&other.id, "입구")).await.expect_err("another store");
    assert_eq!(foreign.code(), Code::PermissionDenied);
    let nameless = tablet.approve(ask("", " ")).await.expect_err("no name");
    assert_eq!(nameless.code(), Code::InvalidArgument);
    // The answer of the first may have been lost.
    for store in ["", &store.id] {
        let approved = must("an approval", tablet.approve(ask(store, "입구")).await);
        assert_eq!(approved.store.unwrap_or_default().id, "gangnam");
    }
    let pad = must("Poll", tablet.poll(&begun.credential).await).expect("it is paired");
    assert_eq!(pad.name, "입구");
    assert_eq!(pad.store.unwrap_or_default().name, "gangnam 세차장");

    let refused = until("too many codes were tried", SOON, async || {
        let refused = tablet.approve(with_token(&token, approval("000000", "", "x"))).await;
        Some(refused.expect_err("a wrong code")).filter(|status| status.code() == Code::ResourceExhausted)
    })
    .await;
    let retry = refused.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default();
    assert!(retry > Duration::ZERO && retry <= Duration::from_secs(60), "{retry:?}");
    let elsewhere = Claims::new(&other.id, "counter").token();
    let elsewhere = tablet.approve(with_token(&elsewhere, approval("000000", "", "x"))).await;
    assert_eq!(elsewhere.expect_err("a wrong code").code(), Code::NotFound, "another store is not affected");
}

#[tokio::test]
async fn each_client_address_gets_a_few_codes() {
    let settings = [("PUSH_TRUSTED_PROXIES", "127.0.0.1")];
    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &settings).await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await;
    let mut begin = async |client: &str| {
        let mut request = Request::new(BeginRequest {});
        request.metadata_mut().insert("x-forwarded-for", must("a header", client.parse()));
        tablet.0.begin(request).await.map(tonic::Response::into_inner)
    };
    for _ in 0..10 {
        must("Begin", begin("203.0.113.9").await);
    }
    let refused = begin("198.51.100.1, 203.0.113.9").await.expect_err("the eleventh");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().is_some());
    must("Begin", begin("203.0.113.10").await);
    let metric = r#"ringpad_push_pairing_requests_total{call="begin",code="resource_exhausted"}"#;
    assert!((ringpad_tests::http::metric(system.push_at[0].admin, metric).await - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn a_page_of_another_host_gets_no_code() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let mut page = Client::new(system.push_at[0].pads);
    let mut begin = async |origin: &str| {
        let headers = [("content-type", "application/grpc-web+proto"), ("origin", origin)];
        let path = "/ringpad.v1.PairingService/Begin";
        let answer = must("an answer", page.send("POST", path, &headers, vec![0; 5]).await);
        assert_eq!(answer.status, StatusCode::OK);
        answer
    };
    let foreign = begin("https://evil.example").await;
    assert_eq!(foreign.headers["grpc-status"], "7");
    assert!(foreign.headers.get("access-control-allow-origin").is_none());
    let own = begin(&format!("http://{}", system.push_at[0].pads)).await;
    assert!(own.text().contains("grpc-status:0"), "{own:?}");
    assert!(own.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn tablets_are_paired_through_nginx() {
    let (system, nginx) = balanced(&[("PUSH_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let store = system.store("gangnam").await;
    let mut tablet = Tablet::at(nginx.grpc_at).await;
    let BeginResponse { credential, code, .. } = tablet.begin().await;
    let mut office = Tablet::at(system.ingest_at.grpc).await;
    must("an approval", office.approve(Request::new(approval(&code, &store.id, "계산대"))).await);
    let token = must("IssueToken", tablet.token(&credential).await).token;
    Pad::open(Transport::Grpc, nginx.grpc_at, &Subscription::new(&token)).await;

    // Over gRPC-Web, each client address by itself.
    let begin = async |own: [u8; 4]| {
        let headers = [("content-type", "application/grpc-web+proto")];
        let path = "/ringpad.v1.PairingService/Begin";
        let mut page = Client::new(nginx.at).own(own.into());
        must("an answer", page.send("POST", path, &headers, vec![0; 5]).await)
    };
    // Each of three replicas counts for itself.
    until("one address has had too many codes", SOON, async || {
        begin([127, 0, 0, 2])
            .await
            .headers
            .get("grpc-status")
            .is_some_and(|status| status == "8")
            .then_some(())
    })
    .await;
    let another = begin([127, 0, 0, 3]).await;
    assert!(another.text().contains("grpc-status:0"), "{another:?}");
}

#[tokio::test]
async fn push_svc_does_not_serve_what_is_internal() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let mut tablet = Tablet::at(system.push_at[0].pads).await.0;
    let listed = tablet.list_pads(ListPadsRequest::default()).await;
    assert_eq!(listed.expect_err("internal").code(), Code::Unimplemented);
    let revoked = tablet.revoke_pad(RevokePadRequest::default()).await;
    assert_eq!(revoked.expect_err("internal").code(), Code::Unimplemented);
    let mut office = Tablet::at(system.ingest_at.grpc).await;
    assert_eq!(office.token("x").await.expect_err("push-svc's").code(), Code::Unimplemented);
}

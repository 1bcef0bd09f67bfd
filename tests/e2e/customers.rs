//! The adopter's customers, from a file to the first popup; reservations by day, and the search, from another pad.

use std::fs;

use encoding_rs::EUC_KR;
use ringpad_proto::{
    Timestamp,
    v1::{
        Call, Customer, CustomerRecord, PadServiceListCallsRequest, PadServiceListReservationsRequest,
        Reservation, SaveNoteRequest, UpsertCustomersRequest, customer_service_client::CustomerServiceClient,
        pad_service_client::PadServiceClient,
    },
};
use ringpad_tests::{
    cdr::{self, ring},
    http::channel,
    postgres::PostgresServer,
    rabbit::RabbitNode,
    services::{Shop, System, binary},
    token::{Claims, with_token},
    wait::{SOON, must, within},
};
use tokio::process::Command;
use tonic::{Code, Status, transport::Channel};
use uuid::Uuid;

/// An installation on each database.
async fn systems(replicas: usize) -> [System; 2] {
    let (broker, server) = (RabbitNode::shared().await.url(), PostgresServer::shared().await);
    let database = server.url(&server.create_database().await);
    [
        System::start(&broker, replicas).await,
        System::start_with(&broker, replicas, &[("DATABASE_URL", &database)]).await,
    ]
}

/// `ringpad customers …`: its exit code, standard output and standard error.
async fn customers(system: &System, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("ringpad"));
    command.arg("customers").args(arguments).env_remove("RUST_LOG").kill_on_drop(true);
    command.env("INGEST_URL", format!("http://{}", system.ingest_at.grpc));
    let output = must("ringpad", within("ringpad", SOON, command.output()).await);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file in the directory of a system.
fn file(system: &System, bytes: &[u8]) -> String {
    let path = system.directory.path().join("customers.csv");
    must("a file", fs::write(&path, bytes));
    path.display().to_string()
}

fn names(call: &Call) -> Vec<&str> {
    call.customers.iter().map(|customer| customer.name.as_str()).collect()
}

#[tokio::test]
async fn an_imported_customer_is_in_the_first_popup_on_every_transport() {
    for system in systems(1).await {
        let shop = system.store("shop").await;
        let caller = cdr::caller();
        let digits: String = caller.chars().filter(char::is_ascii_digit).collect();
        // As a shop's own system exports it, with the number in another form, and one line that nobody can read.
        let text = format!(
            "이름,휴대폰,차량번호,메모,통화수,주소\n김민수,+82 {},12가 3456,단골,3,서울\n이영희,x,,,,\n",
            &digits[1..]
        );
        let path = file(&system, &EUC_KR.encode(&text).0);
        let (code, shown, said) =
            customers(&system, &["import", &path, "--store", &shop.id, "--dry-run"]).await;
        assert_eq!((code, shown.as_str()), (Some(1), ""), "{said}");
        assert!(
            said.contains("1 would be created") && said.contains("line 3: number: \"x\" is not"),
            "{said}"
        );
        let (code, _, said) = customers(&system, &["import", &path, "--store", &shop.id]).await;
        assert_eq!(code, Some(1));
        assert!(
            said.contains("read as CP949") && said.contains("1 fault; of the other customers 1 created"),
            "{said}"
        );

        let mut pads = system.pads(&shop.id).await;
        system.provider().deliver(&ring(&shop.virtual_number, &caller)).await;
        for pad in &mut pads {
            let update = pad.update().await;
            assert!(update.pop_until.is_some());
            let call = update.call.unwrap_or_default();
            assert_eq!(names(&call), ["김민수"]);
            assert_eq!((&*call.customers[0].car_number, &*call.customers[0].note), ("12가 3456", "단골"));
            assert_eq!(call.history.unwrap_or_default().calls, 3);
        }

        let (code, shown, _) = customers(&system, &["list", "--store", &shop.id]).await;
        assert!(code == Some(0) && shown.contains("김민수") && !shown.contains(&digits[3..7]), "{shown}");
        assert!(shown.contains("number-********  "), "an id that is made from a number is masked: {shown}");
        let listed = ["list", "--store", &shop.id, "--json", "--whole-numbers"];
        let (_, shown, _) = customers(&system, &listed).await;
        let record: CustomerRecord = must("JSON", serde_json::from_str(&shown));
        assert_eq!(record.numbers, [&*caller]);
        let id = record.customer.unwrap_or_default().id;
        assert_eq!(customers(&system, &["remove", "--store", &shop.id, &id]).await.0, Some(0));
        let (code, _, said) = customers(&system, &["remove", "--store", &shop.id, &id]).await;
        assert!(code == Some(1) && said.contains("has no customer"), "{said}");
        let (code, _, said) = customers(&system, &["list", "--store", "nowhere"]).await;
        assert!(code == Some(1) && said.contains("there is no store \"nowhere\""), "{said}");
    }
}

fn record(name: &str, number: &str) -> CustomerRecord {
    CustomerRecord {
        customer: Some(Customer { name: name.to_owned(), ..Customer::default() }),
        numbers: vec![number.to_owned()],
        ..CustomerRecord::default()
    }
}

#[tokio::test]
async fn a_stream_of_customers_is_written_but_for_those_with_faults() {
    for system in systems(0).await {
        let shop = system.store("shop").await;
        let mut client = CustomerServiceClient::new(system.channel().await);
        let mut upsert = async |messages: Vec<UpsertCustomersRequest>| {
            client.upsert_customers(tokio_stream::iter(messages)).await.map(tonic::Response::into_inner)
        };
        let message = |store_id: &str, customers| UpsertCustomersRequest {
            store_id: store_id.to_owned(),
            customers,
            validate_only: false,
        };
        let number = |index: usize| format!("010-{:04}-{:04}", 1_000 + index / 10_000, index % 10_000);
        let many: Vec<_> = (0..4_500).map(|index| record("김", &number(index))).collect();
        let faulty = vec![record("", &number(1)), record("김", "x")];
        let messages = || {
            vec![
                message(&shop.id, many.clone()),
                message("", faulty.clone()),
                message("", vec![record("이", "02-555-0101")]),
            ]
        };
        let answer = must("UpsertCustomers", upsert(messages()).await);
        assert_eq!([answer.created, answer.changed, answer.unchanged, answer.failed], [4_501, 0, 0, 2]);
        let faults: Vec<_> = answer.faults.iter().map(|fault| (fault.entry, fault.field.as_str())).collect();
        assert_eq!(faults, [(4_500, "name"), (4_501, "numbers[0]")]);
        let again = must("UpsertCustomers", upsert(messages()).await);
        assert_eq!([again.created, again.unchanged, again.failed], [0, 4_501, 2]);
        let code = |answer: Result<_, Status>| answer.map(drop).map_err(|status| status.code());
        assert_eq!(code(upsert(vec![message("nowhere", vec![])]).await), Err(Code::NotFound));
        assert_eq!(code(upsert(vec![]).await), Err(Code::InvalidArgument));
    }
}

/// One tablet's requests.
struct Tablet {
    client: PadServiceClient<Channel>,
    token: String,
}

impl Tablet {
    async fn at(system: &System, replica: usize, shop: &Shop, pad: &str) -> Self {
        let client = PadServiceClient::new(channel(system.push_at[replica].pads).await);
        Self { client, token: Claims::new(&shop.id, pad).token() }
    }

    async fn reserve(&mut self, call_id: &str, name: &str, at: Option<i64>) {
        let reservation = Reservation {
            customer_name: name.to_owned(),
            at: at.map(|seconds| Timestamp { seconds, nanos: 0 }),
            ..Reservation::default()
        };
        let request = SaveNoteRequest {
            call_id: call_id.to_owned(),
            request_id: Uuid::new_v4().to_string(),
            note: String::new(),
            reservation: at.map(|_| reservation),
        };
        must("SaveNote", self.client.save_note(with_token(&self.token, request)).await);
    }

    async fn reservations(&mut self, from: i64, until: i64) -> Result<Vec<String>, Status> {
        let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let mut request = PadServiceListReservationsRequest {
            from: time(from),
            until: time(until),
            page_size: 1,
            ..Default::default()
        };
        let mut names = Vec::new();
        loop {
            let page =
                self.client.list_reservations(with_token(&self.token, request.clone())).await?.into_inner();
            names.extend(
                page.calls.into_iter().map(|call| call.reservation.unwrap_or_default().customer_name),
            );
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(names);
            }
        }
    }

    async fn search(&mut self, query: &str) -> Result<Vec<String>, Status> {
        let request = PadServiceListCallsRequest { query: query.to_owned(), ..Default::default() };
        let page = self.client.list_calls(with_token(&self.token, request)).await?.into_inner();
        Ok(page.calls.into_iter().map(|call| call.reservation.unwrap_or_default().customer_name).collect())
    }
}

#[tokio::test]
async fn reservations_and_searches_are_the_same_from_every_pad_and_no_other_store() {
    const DAY: i64 = 24 * 60 * 60;
    for system in systems(2).await {
        let (shop, other) = (system.store("shop").await, system.store("other").await);
        let mut calls = Vec::new();
        for _ in 0..3 {
            calls.push(system.ring(&shop).await);
        }
        let mut counter = Tablet::at(&system, 0, &shop, "counter").await;
        let mut office = Tablet::at(&system, 1, &shop, "office").await;
        let mut stranger = Tablet::at(&system, 1, &other, "stranger").await;
        let today = 1_800_000_000;
        counter.reserve(&calls[0], "김민수", Some(today + 7_200)).await;
        counter.reserve(&calls[1], "이영희", Some(today + 3_600)).await;
        counter.reserve(&calls[2], "박철수", Some(today + DAY)).await;
        assert_eq!(must("today", office.reservations(today, today + DAY).await), ["이영희", "김민수"]);
        assert_eq!(must("tomorrow", office.reservations(today + DAY, today + 2 * DAY).await), ["박철수"]);
        assert_eq!(must("search", office.search("영희").await), ["이영희"]);
        assert_eq!(must("nothing", stranger.reservations(0, today + 9 * DAY).await), [""; 0]);
        assert_eq!(must("nothing", stranger.search("영희").await), [""; 0]);
        // Changed, and cancelled.
        office.reserve(&calls[0], "김민수", Some(today + DAY + 1)).await;
        office.reserve(&calls[1], "이영희", None).await;
        assert_eq!(must("today", counter.reservations(today, today + DAY).await), [""; 0]);
        assert_eq!(
            must("tomorrow", counter.reservations(today + DAY, today + 2 * DAY).await),
            ["박철수", "김민수"]
        );

        let refused = counter.search(&"가".repeat(101)).await.map_err(|status| status.code());
        assert_eq!(refused, Err(Code::InvalidArgument));
        let without_time = PadServiceListReservationsRequest::default();
        let refused = counter.client.list_reservations(with_token(&counter.token, without_time)).await;
        assert_eq!(refused.map(drop).map_err(|status| status.code()), Err(Code::InvalidArgument));
    }
}

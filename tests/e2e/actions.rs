//! The actions of pads: claim, release, close, reopen, note, search. Every pad of the store sees it, on every transport.

use ringpad_proto::v1::{
    Call, CallState, ClaimCallRequest, CloseCallRequest, PadServiceListCallsRequest, ReleaseCallRequest,
    ReopenCallRequest, Reservation, SaveNoteRequest, pad_service_client::PadServiceClient,
};
use ringpad_tests::{
    cdr::{answered, ring},
    http::channel,
    pads::Pad,
    rabbit::RabbitNode,
    services::{Shop, System},
    token::{Claims, with_token},
    wait::must,
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

/// One tablet's unary calls, at the replica of that index.
struct Tablet {
    client: PadServiceClient<Channel>,
    token: String,
}

impl Tablet {
    async fn at(system: &System, replica: usize, store: &Shop, pad: &str) -> Self {
        let client = PadServiceClient::new(channel(system.push_at[replica].pads).await);
        Self { client, token: Claims::new(&store.id, pad).token() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        with_token(&self.token, message)
    }

    async fn claim(&mut self, call_id: &str, request_id: Uuid) -> Result<Call, Status> {
        let request = ClaimCallRequest { call_id: call_id.to_owned(), request_id: request_id.to_string() };
        let answer = self.client.claim_call(self.request(request)).await?;
        Ok(answer.into_inner().call.unwrap_or_default())
    }

    async fn release(&mut self, call_id: &str) -> Result<Call, Status> {
        let request_id = Uuid::new_v4().to_string();
        let request = ReleaseCallRequest { call_id: call_id.to_owned(), request_id };
        let answer = self.client.release_call(self.request(request)).await?;
        Ok(answer.into_inner().call.unwrap_or_default())
    }

    async fn close(&mut self, call_id: &str) -> Result<Call, Status> {
        let request_id = Uuid::new_v4().to_string();
        let request = CloseCallRequest { call_id: call_id.to_owned(), request_id };
        let answer = self.client.close_call(self.request(request)).await?;
        Ok(answer.into_inner().call.unwrap_or_default())
    }

    async fn reopen(&mut self, call_id: &str, request_id: Uuid) -> Result<Call, Status> {
        let request = ReopenCallRequest { call_id: call_id.to_owned(), request_id: request_id.to_string() };
        let answer = self.client.reopen_call(self.request(request)).await?;
        Ok(answer.into_inner().call.unwrap_or_default())
    }

    async fn note(
        &mut self,
        call_id: &str,
        note: &str,
        reservation: Option<Reservation>,
    ) -> Result<Call, Status> {
        let (call_id, request_id) = (call_id.to_owned(), Uuid::new_v4().to_string());
        let request = SaveNoteRequest { call_id, request_id, note: note.to_owned(), reservation };
        let answer = self.client.save_note(self.request(request)).await?;
        Ok(answer.into_inner().call.unwrap_or_default())
    }

    async fn search(&mut self, caller_suffix: &str) -> Result<Vec<Call>, Status> {
        let caller_suffix = caller_suffix.to_owned();
        let request = PadServiceListCallsRequest { caller_suffix, ..PadServiceListCallsRequest::default() };
        Ok(self.client.list_calls(self.request(request)).await?.into_inner().calls)
    }
}

fn claimant(call: &Call) -> Option<&str> {
    call.claim.as_ref().map(|claim| claim.pad_id.as_str())
}

/// Waits for each pad's next update, which must have this call in its newest state.
async fn on_all_pads(pads: &mut [Pad], call: &Call) {
    for pad in pads {
        let update = pad.update().await;
        assert_eq!(update.call.as_ref(), Some(call), "{:?}", pad.transport);
        assert_eq!(update.pop_until, None, "an action causes no popup");
    }
}

/// Two replicas, a store with a pad on each transport of both, and a call that rings on all of them.
async fn ringing() -> (System, Shop, Vec<Pad>, ringpad_proto::v1::Cdr, String) {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let record = store.ring();
    let id = system.provider().deliver(&record).await.call_id;
    for pad in &mut pads {
        pad.update().await;
    }
    (system, store, pads, record, id)
}

#[tokio::test]
async fn the_first_claim_wins_and_every_pad_sees_who_has_it() {
    let (system, store, mut pads, record, id) = ringing().await;
    let mut counter = Tablet::at(&system, 0, &store, "counter").await;
    let mut office = Tablet::at(&system, 1, &store, "office").await;
    let tap = Uuid::new_v4();
    let claimed = must("a claim", counter.claim(&id, tap).await);
    assert_eq!((claimant(&claimed), claimed.revision), (Some("counter"), 2));
    on_all_pads(&mut pads, &claimed).await;

    let refused = office.claim(&id, Uuid::new_v4()).await.expect_err("the second claim is refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("counter"), "it names the pad that was first: {refused:?}");
    let refused = office.release(&id).await.expect_err("the office has not claimed it");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    // The same tap again, and another tap of the same pad: nothing changes.
    for tap in [tap, Uuid::new_v4()] {
        assert_eq!(must("the same pad's claim", counter.claim(&id, tap).await), claimed);
    }
    let released = must("a release", counter.release(&id).await);
    assert_eq!((claimant(&released), released.revision), (None, 3));
    on_all_pads(&mut pads, &released).await;
    // A repeat that comes late does not claim again.
    assert_eq!(must("the first tap, late", counter.claim(&id, tap).await), released);
    let claimed = must("the office's claim", office.claim(&id, Uuid::new_v4()).await);
    assert_eq!((claimant(&claimed), claimed.revision), (Some("office"), 4));
    on_all_pads(&mut pads, &claimed).await;
    // The next record does not remove the claim.
    system.provider().deliver(&answered(&record)).await;
    for pad in &mut pads {
        let call = pad.update().await.call.unwrap_or_default();
        assert_eq!((call.state(), claimant(&call)), (CallState::Completed, Some("office")));
    }
}

#[tokio::test]
async fn a_note_and_a_reservation_stay_and_are_in_the_history_of_the_callers_next_call() {
    let (mut system, store, mut pads, record, id) = ringing().await;
    let mut counter = Tablet::at(&system, 0, &store, "counter").await;
    let reservation = Reservation {
        customer_name: "김민수".to_owned(),
        car_number: "12가 3456".to_owned(),
        service: "실내 세차".to_owned(),
        at: None,
    };
    let noted = must("a note", counter.note(&id, "흰색 SUV", Some(reservation.clone())).await);
    assert_eq!((noted.note.as_str(), noted.reservation.as_ref()), ("흰색 SUV", Some(&reservation)));
    on_all_pads(&mut pads, &noted).await;
    let closed = must("a close", counter.close(&id).await);
    assert!(closed.closed);
    on_all_pads(&mut pads, &closed).await;
    // It is closed already: nothing changes, and there is no event.
    assert_eq!(must("another close", counter.close(&id).await), closed);

    system.ingest.kill().await;
    system.ingest.start().await;
    let last = system.provider().deliver(&answered(&record)).await;
    assert_eq!(last.call_id, id);
    for pad in &mut pads {
        let call = pad.update().await.call.unwrap_or_default();
        assert_eq!(
            (call.note, call.reservation, call.closed),
            (noted.note.clone(), noted.reservation.clone(), true)
        );
    }
    system.provider().deliver(&ring(&store.virtual_number, &record.fromn)).await;
    for pad in &mut pads {
        let history = pad.update().await.call.and_then(|call| call.history).unwrap_or_default();
        assert_eq!((history.calls, history.last_note.as_str()), (1, "흰색 SUV"));
        assert_eq!(history.last_reservation, noted.reservation);
    }
}

#[tokio::test]
async fn a_pad_acts_only_on_its_own_stores_calls_and_all_faults_are_reported_at_once() {
    let (system, store, mut pads, _, id) = ringing().await;
    let other = system.store("seocho").await;
    let mut other_pad = Tablet::at(&system, 0, &other, "counter").await;
    for outcome in [
        other_pad.claim(&id, Uuid::new_v4()).await,
        other_pad.note(&id, "mine now", None).await,
        other_pad.reopen(&id, Uuid::new_v4()).await,
        other_pad.claim(&Uuid::new_v4().to_string(), Uuid::new_v4()).await,
    ] {
        assert_eq!(outcome.expect_err("a call of another store").code(), Code::NotFound);
    }
    assert_eq!(must("a search", other_pad.search("").await), []);

    let mut counter = Tablet::at(&system, 0, &store, "counter").await;
    let long = Reservation { car_number: "1".repeat(41), ..Reservation::default() };
    let refused = counter.note("no-uuid", &"x".repeat(2_001), Some(long)).await.expect_err("faulty");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let faults = refused.get_error_details();
    let faults = faults.bad_request().map(|faults| faults.field_violations.clone()).unwrap_or_default();
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["call_id", "note", "reservation.car_number"]);
    counter.token = "no.token.at-all".to_owned();
    for refused in [counter.claim(&id, Uuid::new_v4()).await, counter.reopen(&id, Uuid::new_v4()).await] {
        assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
    }
    // The sentinel: none of these was an event.
    let next = system.ring(&store).await;
    for pad in &mut pads {
        assert_eq!(pad.update().await.call.map(|call| call.id).as_ref(), Some(&next));
    }
}

#[tokio::test]
async fn a_closed_call_is_reopened_by_another_pad_once_and_every_pad_sees_it() {
    let (system, store, mut pads, _, id) = ringing().await;
    let mut counter = Tablet::at(&system, 0, &store, "counter").await;
    let mut office = Tablet::at(&system, 1, &store, "office").await;
    let closed = must("a close", counter.close(&id).await);
    assert!(closed.closed);
    on_all_pads(&mut pads, &closed).await;
    let tap = Uuid::new_v4();
    let reopened = must("a reopening", office.reopen(&id, tap).await);
    assert_eq!((reopened.closed, reopened.revision), (false, 3));
    on_all_pads(&mut pads, &reopened).await;
    // The same tap again, and one on a call that is open: nothing changes.
    for tap in [tap, Uuid::new_v4()] {
        assert_eq!(must("a reopening of what is open", office.reopen(&id, tap).await), reopened);
    }
    let closed = must("another close", counter.close(&id).await);
    on_all_pads(&mut pads, &closed).await;
    // A repeat that comes late does not reopen again.
    assert_eq!(must("the first tap, late", office.reopen(&id, tap).await), closed);
    // The sentinel: none of the repeats was an event.
    let claimed = must("a claim", office.claim(&id, Uuid::new_v4()).await);
    assert_eq!(claimed.revision, 5);
    on_all_pads(&mut pads, &claimed).await;
}

#[tokio::test]
async fn calls_are_found_by_the_callers_last_digits_and_without_the_log_a_pad_may_ask_again() {
    let (mut system, store, _pads, record, id) = ringing().await;
    let mut counter = Tablet::at(&system, 1, &store, "counter").await;
    let last_four = record.fromn.rsplit('-').next().unwrap_or_default().to_owned();
    system.ring(&store).await;
    let found = must("a search", counter.search(&last_four).await);
    assert_eq!(found.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    let refused = counter.search("12-34").await.expect_err("digits only");
    assert_eq!(refused.code(), Code::InvalidArgument);

    system.ingest.kill().await;
    let tap = Uuid::new_v4();
    let failed = counter.claim(&id, tap).await.expect_err("the log cannot be reached");
    assert_eq!(failed.code(), Code::Unavailable, "{failed:?}");
    assert!(failed.get_details_retry_info().is_some(), "{failed:?}");
    system.ingest.start().await;
    assert_eq!(claimant(&must("the same tap again", counter.claim(&id, tap).await)), Some("counter"));
}

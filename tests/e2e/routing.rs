//! A call reaches every pad of the store that owns its number, on every replica and transport, and no other pad.

use std::time::{SystemTime, UNIX_EPOCH};

use ringpad_proto::v1::{CallState, CallerKind, Cdr};
use ringpad_tests::{
    cdr::{self, ring, unix_seconds},
    rabbit::RabbitNode,
    services::System,
};

#[tokio::test]
async fn every_pad_of_the_called_store_gets_each_position_once_and_no_other_pad_gets_anything() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let called = system.store("gangnam").await;
    let other = system.store("suwon").await;
    let mut pads = system.pads(&called.id).await;
    let mut others = system.pads(&other.id).await;
    let mut provider = system.provider();

    let mut calls = Vec::new();
    for _ in 0..5 {
        let taken = provider.deliver(&called.ring()).await;
        assert_eq!(taken.status, "accepted");
        calls.push(taken.call_id);
    }
    for pad in &mut pads {
        assert_eq!(pad.snapshot.position, 0);
        pad.until_position(5).await;
        assert_eq!(pad.shown(), calls, "{:?}", pad.transport);
    }

    // The sentinel: an event for the other store's pads would have come before this.
    let sentinel = provider.deliver(&other.ring()).await;
    for pad in &mut others {
        let update = pad.update().await;
        assert_eq!((update.position, update.call.map(|call| call.id)), (1, Some(sentinel.call_id.clone())));
        assert!(pad.early.is_empty() && pad.calls.len() == 1);
    }
    let last = provider.deliver(&called.ring()).await;
    for pad in &mut pads {
        let update = pad.update().await;
        assert_eq!((update.position, update.call.map(|call| call.id)), (6, Some(last.call_id.clone())));
        assert!(pad.early.is_empty() && pad.calls.len() == 6);
    }
}

#[tokio::test]
async fn a_ring_shows_who_calls_and_until_when_it_pops() {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut provider = system.provider();
    let caller = cdr::caller();
    let record = Cdr { memo: "세차 문의".to_owned(), ..ring(&store.virtual_number, &caller) };
    provider.deliver(&record).await;
    provider.deliver(&ring(&store.virtual_number, &caller)).await;

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().cast_signed();
    for pad in &mut pads {
        let transport = pad.transport;
        let store_ref = pad.snapshot.store.clone().expect("a snapshot names its store");
        assert_eq!((store_ref.id.as_str(), store_ref.name.as_str()), ("gangnam", "gangnam 세차장"));
        assert_eq!(pad.snapshot.heartbeat_interval.map(|interval| interval.seconds), Some(1));
        let update = pad.update().await;
        let pops_until = update.pop_until.expect("a fresh ring pops").seconds;
        assert!(
            (now - 60..=now + 31).contains(&pops_until),
            "{transport:?}: pops until {pops_until}, now {now}"
        );
        let call = update.call.expect("an update has a call");
        let from = call.caller.clone().expect("a call has a caller");
        assert_eq!(from.display, caller);
        assert_eq!(from.number, format!("+82{}", &caller.replace('-', "")[1..]));
        assert_eq!(from.kind(), CallerKind::Number);
        assert_eq!(call.state(), CallState::Ringing);
        assert_eq!(call.virtual_number, store.virtual_number);
        assert_eq!(call.started_at.map(|at| at.seconds), Some(unix_seconds(&record.sdt)));
        assert_eq!((call.memo.as_str(), call.answered_at, call.ended_at), ("세차 문의", None, None));
        assert_eq!(call.history.map_or(0, |history| history.calls), 0);

        let again =
            pad.update().await.call.and_then(|call| call.history).expect("a caller who called before");
        assert_eq!(again.calls, 1, "{transport:?}: the earlier call is counted, this one is not");
        assert_eq!(again.last_call_at.map(|at| at.seconds), Some(unix_seconds(&record.sdt)));
    }
}

//! Calls whose records come late, twice, corrected, in the wrong order or before their store exists.

use ringpad_proto::v1::{Call, CallState, Cdr};
use ringpad_tests::{
    cdr::{answered, missed, unix_seconds},
    pads::Pad,
    rabbit::RabbitNode,
    services::{Shop, System},
};

/// One store with a pad on each transport.
async fn shop() -> (System, Shop, Vec<Pad>) {
    let system = System::start(&RabbitNode::shared().await.url(), 1).await;
    let store = system.store("gangnam").await;
    let pads = system.pads(&store.id).await;
    (system, store, pads)
}

/// Sends one more ring and waits until each pad has it: then the pads have everything that was before it.
async fn after_a_sentinel(system: &System, store: &Shop, pads: &mut [Pad]) {
    let sentinel = system.ring(store).await;
    for pad in pads {
        while !pad.calls.contains_key(&sentinel) {
            pad.update().await;
        }
    }
}

/// The call of an update, which must be the same on all pads.
async fn next_call(pads: &mut [Pad]) -> Call {
    let mut seen = Vec::new();
    for pad in pads {
        seen.extend(pad.update().await.call);
    }
    let first = seen.first().cloned().expect("there are pads");
    assert!(seen.iter().all(|call| *call == first), "the transports show different calls: {seen:#?}");
    first
}

#[tokio::test]
async fn a_call_goes_from_ringing_to_completed_or_missed() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    for (finish, state) in [(answered as fn(&Cdr) -> Cdr, CallState::Completed), (missed, CallState::Missed)]
    {
        let record = store.ring();
        let end = finish(&record);
        let id = provider.deliver(&record).await.call_id;
        assert_eq!(next_call(&mut pads).await.state(), CallState::Ringing);
        let taken = provider.deliver(&end).await;
        assert_eq!((taken.call_id, taken.status.as_str()), (id.clone(), "accepted"));
        let call = next_call(&mut pads).await;
        assert_eq!((call.id.clone(), call.state()), (id, state));
        assert_eq!(call.ended_at.map(|at| at.seconds), Some(unix_seconds(&end.edt)));
        assert_eq!(call.answered_at.is_some(), state == CallState::Completed);
        assert!(pads.iter().all(|pad| pad.updates.last().is_some_and(|update| update.pop_until.is_none())));
    }
}

#[tokio::test]
async fn a_final_record_before_its_ring_neither_pops_nor_rings_again() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    let record = store.ring();
    let first = provider.deliver(&missed(&record)).await;
    let second = provider.deliver(&record).await;
    assert_eq!(first.call_id, second.call_id);
    assert_eq!(second.status, "accepted");
    after_a_sentinel(&system, &store, &mut pads).await;
    for pad in &pads {
        let of_call = |update: &&ringpad_proto::v1::Update| {
            update.call.as_ref().is_some_and(|call| call.id == first.call_id)
        };
        for update in pad.updates.iter().filter(of_call) {
            assert_eq!(update.pop_until, None, "{:?}", pad.transport);
            assert_eq!(update.call.as_ref().map(Call::state), Some(CallState::Missed));
        }
        assert!(pad.calls[&first.call_id].ended_at.is_some());
    }
}

#[tokio::test]
async fn a_record_equal_after_parsing_is_a_duplicate_and_makes_no_event() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    let record = store.ring();
    let first = provider.deliver(&record).await;
    let spelled_differently = Cdr {
        fromn: record.fromn.replacen("010-", "+82 10-", 1),
        vn: record.vn.replace('-', ""),
        ..record.clone()
    };
    for again in [record, spelled_differently] {
        let again = provider.deliver(&again).await;
        assert_eq!((again.call_id, again.status.as_str()), (first.call_id.clone(), "duplicate"));
    }
    after_a_sentinel(&system, &store, &mut pads).await;
    assert!(pads.iter().all(|pad| pad.position() == 2));
}

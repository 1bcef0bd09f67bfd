//! Calls whose records come late, twice, corrected, in the wrong order or before their store exists.

use ringpad_proto::v1::{Call, CallState, CallerKind, Cdr};
use ringpad_tests::{
    cdr::{self, answered, hours_ago, later, missed, ring, ring_at, unix_seconds},
    pads::{Pad, Transport},
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
    let sentinel = system.provider().deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    for pad in pads {
        while !pad.calls.contains_key(&sentinel.call_id) {
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
        let record = ring(&store.virtual_number, &cdr::caller());
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
    let record = ring(&store.virtual_number, &cdr::caller());
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
    let record = ring(&store.virtual_number, &cdr::caller());
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

#[tokio::test]
async fn a_corrected_final_record_replaces_the_earlier_one() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    let record = ring(&store.virtual_number, &cdr::caller());
    let first = provider.deliver(&missed(&record)).await;
    assert_eq!(next_call(&mut pads).await.state(), CallState::Missed);
    let corrected = Cdr { memo: "정정".to_owned(), edt: later(&record.sdt, 4), ..answered(&record) };
    let second = provider.deliver(&corrected).await;
    assert_eq!((second.call_id, second.status.as_str()), (first.call_id, "accepted"));
    let call = next_call(&mut pads).await;
    assert_eq!((call.state(), call.memo.as_str()), (CallState::Completed, "정정"));
    assert_eq!(call.ended_at.map(|at| at.seconds), Some(unix_seconds(&corrected.edt)));
}

#[tokio::test]
async fn a_call_that_no_store_owned_is_routed_at_its_next_record() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    let number = cdr::virtual_number();
    let record = ring(&number, &cdr::caller());
    let first = provider.deliver(&record).await;
    assert_eq!(first.status, "unrouted");
    system.upsert(&store, &[&store.virtual_number, &number]).await;
    let second = provider.deliver(&answered(&record)).await;
    assert_eq!((second.call_id, second.status.as_str()), (first.call_id.clone(), "accepted"));
    let call = next_call(&mut pads).await;
    assert_eq!(call.state(), CallState::Completed);
    assert_eq!((call.id, call.revision, call.virtual_number), (first.call_id, 1, number));
}

#[tokio::test]
async fn a_call_stays_with_its_store_when_the_number_moves() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    let record = ring(&store.virtual_number, &cdr::caller());
    let first = provider.deliver(&record).await;
    next_call(&mut pads).await;
    system.upsert(&store, &[&cdr::virtual_number()]).await;
    let new_owner = system.store("mapo").await;
    system.upsert(&new_owner, &[&new_owner.virtual_number, &store.virtual_number]).await;
    let mut new_owners_pad = system.pad(Transport::Grpc, 0, &new_owner.id).await;
    provider.deliver(&missed(&record)).await;
    assert_eq!(next_call(&mut pads).await.id, first.call_id);
    let sentinel = provider.deliver(&ring(&store.virtual_number, &cdr::caller())).await;
    assert_eq!(new_owners_pad.update().await.call.map(|call| call.id), Some(sentinel.call_id));
}

#[tokio::test]
async fn a_withheld_caller_is_shown_as_withheld() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    let forms = [
        ("", CallerKind::Withheld),
        ("anonymous", CallerKind::Withheld),
        ("발신번호표시제한", CallerKind::Withheld),
        ("P", CallerKind::Withheld),
        ("C", CallerKind::Payphone),
        ("O", CallerKind::Unavailable),
        ("010-****-5678", CallerKind::Unparsed),
    ];
    for (form, kind) in forms {
        provider.deliver(&ring(&store.virtual_number, form)).await;
        let caller = next_call(&mut pads).await.caller.expect("a call has a caller");
        assert_eq!((caller.kind(), caller.number.as_str()), (kind, ""), "{form:?}");
        match kind {
            CallerKind::Withheld => assert_eq!(caller.display, "발신번호 표시제한", "{form:?}"),
            CallerKind::Unparsed => assert_eq!(caller.display, form),
            _ => assert!(!caller.display.is_empty(), "{form:?}"),
        }
    }
}

#[tokio::test]
async fn a_seq_used_again_is_another_call_and_rings() {
    let (system, store, mut pads) = shop().await;
    let mut provider = system.provider();
    for hours in [30, 23, 3] {
        let earlier = ring_at(&hours_ago(hours), &store.virtual_number, &cdr::caller());
        let first = provider.deliver(&earlier).await;
        assert_eq!(next_call(&mut pads).await.id, first.call_id);
        assert!(pads.iter().all(|pad| pad.updates.last().is_some_and(|update| update.pop_until.is_none())));
        provider.deliver(&answered(&earlier)).await;
        assert_eq!(next_call(&mut pads).await.state(), CallState::Completed);

        let now = Cdr { seq: earlier.seq.clone(), ..ring(&store.virtual_number, &cdr::caller()) };
        let second = provider.deliver(&now).await;
        assert_eq!(second.status, "accepted");
        let call = next_call(&mut pads).await;
        assert_eq!((&call.id, call.state()), (&second.call_id, CallState::Ringing), "{hours} h later");
        assert_eq!(call.caller.map(|caller| caller.display), Some(now.fromn.clone()));
        assert!(pads.iter().all(|pad| pad.updates.last().is_some_and(|update| update.pop_until.is_some())));
        assert_ne!(second.call_id, first.call_id);

        // Its own end, and repeats of both, find their own calls.
        assert_eq!(provider.deliver(&missed(&now)).await.call_id, second.call_id);
        next_call(&mut pads).await;
        let repeat = provider.deliver(&answered(&earlier)).await;
        assert_eq!((repeat.call_id, repeat.status.as_str()), (first.call_id, "duplicate"));
    }
}

#[tokio::test]
async fn a_seq_that_two_stores_share_shows_each_store_its_own_caller() {
    let (system, store, mut pads) = shop().await;
    let other = system.store("mapo").await;
    let mut others_pads = system.pads(&other.id).await;
    let mut provider = system.provider();
    let ours = ring(&store.virtual_number, &cdr::caller());
    let theirs = Cdr { seq: ours.seq.clone(), ..ring(&other.virtual_number, &cdr::caller()) };
    let first = provider.deliver(&ours).await;
    let second = provider.deliver(&theirs).await;
    assert_ne!(first.call_id, second.call_id);
    for (pads, record, id) in
        [(&mut pads, &ours, &first.call_id), (&mut others_pads, &theirs, &second.call_id)]
    {
        let call = next_call(pads).await;
        assert_eq!((&call.id, call.state()), (id, CallState::Ringing));
        assert_eq!(call.caller.map(|caller| caller.display), Some(record.fromn.clone()));
        provider.deliver(&answered(record)).await;
        let call = next_call(pads).await;
        assert_eq!((&call.id, call.state()), (id, CallState::Completed));
    }
    after_a_sentinel(&system, &store, &mut pads).await;
    after_a_sentinel(&system, &other, &mut others_pads).await;
    assert!(pads.iter().chain(&others_pads).all(|pad| pad.calls.len() == 2), "each sees its own");
}

//! Records become calls, and calls events.

use super::*;

async fn a_ring_and_its_end_are_one_call_in_two_events(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    assert_eq!(opened.status(ring("7", "20261123142530")).await, Status::Accepted);
    assert_eq!(
        opened.status(end("7", "20261123142530", &[("swidt", "20261123142540")])).await,
        Status::Accepted
    );

    let [first, second] = opened.updates("gangnam").await.try_into().unwrap();
    let (ringing, completed) = (first.call.unwrap(), second.call.unwrap());
    assert_eq!((ringing.state(), completed.state()), (CallState::Ringing, CallState::Completed));
    assert_eq!((ringing.revision, completed.revision), (1, 2));
    assert_eq!(ringing.id, completed.id);
    assert_eq!(completed.memo, "세차", "the final record leaves it out");
    assert_eq!(completed.caller.as_ref().unwrap().display, "010-1234-5678");
    assert_eq!(completed.virtual_number, "0507-1234-5678");
    let received = ringing.started_at.unwrap().seconds + 1;
    assert_eq!(first.pop_until.unwrap().seconds, received + 30);
    assert_eq!(second.pop_until, None, "a call that is over does not pop");
    // For pads that come later, in snapshots.
    assert_eq!((ringing.pop_until, completed.pop_until), (first.pop_until, None));
    assert_eq!(opened.calls("gangnam").await, [completed]);
    opened.close().await;
}

async fn an_end_before_its_ring_stays_the_end(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened.status(end("7", "20261123142530", &[])).await;
    assert_eq!(opened.status(ring("7", "20261123142530")).await, Status::Accepted);
    let [_, late] = opened.updates("gangnam").await.try_into().unwrap();
    assert_eq!(late.pop_until, None);
    let call = late.call.unwrap();
    assert_eq!((call.state(), call.memo.as_str()), (CallState::Missed, "세차"));
    opened.close().await;
}

async fn an_equal_record_is_a_duplicate_and_another_one_a_correction(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let first = opened.log.ingest(ring("7", "20261123142530")).await.unwrap();
    let spelled_otherwise = record(&[
        ("seq", "7"),
        ("sdt", "20261123142530"),
        ("fromn", "+82 10-1234-5678"),
        ("vn", "0507-1234-5678"),
        ("memo", "세차"),
    ]);
    let again = opened.log.ingest(spelled_otherwise).await.unwrap();
    assert_eq!(again, Ingested { call_id: first.call_id, status: Status::Duplicate });
    let corrected =
        record(&[("seq", "7"), ("sdt", "20261123142531"), ("vn", "05071234567 8"), ("memo", "왁스")]);
    assert_eq!(opened.status(corrected).await, Status::Accepted);
    let [_, second] = opened.updates("gangnam").await.try_into().unwrap();
    let call = second.call.unwrap();
    assert_eq!(call.memo, "왁스");
    assert_eq!(call.caller.unwrap().display, "010-1234-5678", "it was left out, not withheld");
    opened.close().await;
}

async fn a_call_that_nobody_owns_is_kept_and_routed_at_its_next_record(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let unknown = [("seq", "9"), ("sdt", "20261123142530"), ("fromn", "01012345678"), ("vn", "050799999999")];
    let first = opened.log.ingest(record(&unknown)).await.unwrap();
    assert_eq!(first.status, Status::Unrouted);
    let entry = store("busan", "+8250799999999", "+82515550001");
    opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
    let unknown =
        [("seq", "9"), ("sdt", "20261123142530"), ("edt", "20261123142600"), ("vn", "050799999999")];
    let second = opened.log.ingest(record(&unknown)).await.unwrap();
    assert_eq!(second, Ingested { call_id: first.call_id, status: Status::Accepted });
    assert_eq!(opened.updates("busan").await.len(), 1);
    assert!(opened.updates("gangnam").await.is_empty());
    opened.close().await;
}

async fn an_unrouted_call_keeps_its_number_for_a_record_that_leaves_it_out(backend: Backend) {
    let nobodys = [("vn", "050711111111"), ("ton", "025559999")];
    for (named, nobodys) in [(("vn", "050799999999"), nobodys[1]), (("ton", "0515550001"), nobodys[0])] {
        let (_place, opened) = with_store(backend).await;
        let call = [("seq", "9"), ("sdt", "20261123142530"), ("fromn", "01012345678")];
        let first = record(&[&call[..], &[named]].concat());
        assert_eq!(opened.status(first).await, Status::Unrouted);
        let entry = store("busan", "+8250799999999", "+82515550001");
        opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
        let end = record(&[&call[..], &[nobodys, ("edt", "20261123142600")]].concat());
        assert_eq!(opened.status(end).await, Status::Accepted, "{named:?}");
        opened.status(record(&[("seq", "10"), call[1], call[2], named])).await;
        let calls = opened.updates("busan").await.into_iter().map(|update| update.call.unwrap());
        let earlier: Vec<_> = calls.map(|call| call.history.unwrap().calls).collect();
        assert_eq!(earlier, [0, 1], "{named:?}");
        opened.close().await;
    }
}

async fn the_line_finds_the_store_only_if_the_virtual_number_does_not(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let entry = store("busan", "+8250799999999", "+82515550001");
    opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
    let to = |seq, vn, ton| record(&[("seq", seq), ("sdt", "20261123142530"), ("vn", vn), ("ton", ton)]);
    opened.status(to("1", "05071234 5678", "0515550001")).await;
    opened.status(to("2", "", "0515550001")).await;
    opened.status(to("3", "05070000000", "0515550001")).await;
    assert_eq!(opened.updates("gangnam").await.len(), 1);
    assert_eq!(opened.updates("busan").await.len(), 2);
    opened.close().await;
}

async fn a_withheld_caller_has_no_history_and_a_known_one_has(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened.status(ring("1", "20261122100000")).await;
    opened.status(end("1", "20261122100000", &[])).await;
    opened.status(ring("2", "20261123100000")).await;
    opened
        .status(record(&[
            ("seq", "3"),
            ("sdt", "20261123110000"),
            ("fromn", "anonymous"),
            ("vn", "05071234 5678"),
        ]))
        .await;
    let calls: Vec<_> =
        opened.updates("gangnam").await.into_iter().map(|update| update.call.unwrap()).collect();
    let earlier: Vec<_> = calls.iter().map(|call| call.history.as_ref().unwrap().calls).collect();
    assert_eq!(earlier, [0, 0, 1, 0]);
    let last = calls[2].history.as_ref().unwrap().last_call_at.as_ref().unwrap();
    assert_eq!(Some(last), calls[0].started_at.as_ref());
    let caller = calls[3].caller.as_ref().unwrap();
    assert_eq!((caller.kind(), caller.display.as_str()), (CallerKind::Withheld, "발신번호 표시제한"));
    opened.close().await;
}

async fn a_ring_pops_only_if_it_began_within_two_minutes_of_our_clock(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let rows = [(120, true), (121, false), (-120, true), (-121, false), (-86_400, false), (86_400, false)];
    for (index, (age, pops)) in rows.into_iter().enumerate() {
        let mut ring = ring(&index.to_string(), "20261123142530");
        ring.received_at = ring.cdr.sdt() + jiff::SignedDuration::from_secs(age);
        opened.status(ring).await;
        let update = opened.updates("gangnam").await.pop().unwrap();
        assert_eq!(update.pop_until.is_some(), pops, "{age} s old");
        assert_eq!(update.call.unwrap().pop_until.is_some(), pops, "{age} s old, for pads that come later");
    }
    opened.close().await;
}

async fn the_caller_of_the_final_record_replaces_the_caller_of_the_ring_record(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let from = |caller: &str, edt: &str| {
        record(&[
            ("seq", "1"),
            ("sdt", "20261123142530"),
            ("fromn", caller),
            ("vn", "050712345678"),
            ("edt", edt),
        ])
    };
    opened.status(from("01033334444", "")).await;
    opened.status(from("01055556666", "20261123142630")).await;
    assert_eq!(
        (opened.calls_ending_in("4444").await.len(), opened.calls_ending_in("6666").await.len()),
        (0, 1)
    );
    opened.close().await;
}

on_each_backend! {
    a_ring_and_its_end_are_one_call_in_two_events,
    an_end_before_its_ring_stays_the_end,
    an_equal_record_is_a_duplicate_and_another_one_a_correction,
    a_call_that_nobody_owns_is_kept_and_routed_at_its_next_record,
    an_unrouted_call_keeps_its_number_for_a_record_that_leaves_it_out,
    the_line_finds_the_store_only_if_the_virtual_number_does_not,
    a_withheld_caller_has_no_history_and_a_known_one_has,
    a_ring_pops_only_if_it_began_within_two_minutes_of_our_clock,
    the_caller_of_the_final_record_replaces_the_caller_of_the_ring_record,
}

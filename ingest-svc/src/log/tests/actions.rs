//! Actions of pads, as far as the end-to-end tests do not cover them: calls whose id does not show their `sdt`, and many
//! requests.

use super::*;

fn done(acted: ActionOutcome) -> v1::Call {
    match acted {
        ActionOutcome::Done(call) => v1::Call::decode(call.as_slice()).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn a_call_is_found_whether_its_record_came_in_time_or_months_late(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9)));
    let now = now.strftime("%Y%m%d%H%M%S").to_string();
    for (number, sdt) in (1..).zip([now.as_str(), "20260101100000"]) {
        let id = opened.log.ingest(ring(&number.to_string(), sdt)).await.unwrap().call_id;
        let claimed = done(opened.log.act(act(id, Action::Claim, number)).await.unwrap());
        assert_eq!(claimed.claim.map(|claim| claim.pad_name).as_deref(), Some("카운터"), "{sdt}");
    }
    assert_eq!(opened.updates("gangnam").await.len(), 4);
    opened.close().await;
}

async fn a_request_is_done_once_and_makes_an_event_only_if_it_changes_something(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    let id = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    let note = |text: &str| Action::Note(text.to_owned(), None);
    for (request, text) in [(1, "a"), (2, "b"), (3, "b")] {
        done(opened.log.act(act(id, note(text), request)).await.unwrap());
    }
    assert_eq!(opened.updates("gangnam").await.len(), 3, "the ring and two notes");
    opened.close().await;
    // The first one again, after a restart: it stays done, and undoes nothing.
    let opened = place.open().await;
    let call = done(opened.log.act(act(id, note("a"), 1)).await.unwrap());
    assert_eq!(call.note, "b");
    assert_eq!(opened.updates("gangnam").await.len(), 3);
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    assert_eq!(opened.log.act(act(id, Action::Close, 4)).await.unwrap(), ActionOutcome::NoSuchCall);
    opened.close().await;
}

async fn any_pad_reopens_a_closed_call_and_an_open_call_stays_open(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    let id = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    done(opened.log.act(act(id, Action::Claim, 1)).await.unwrap());
    let untouched = done(opened.log.act(act(id, Action::Reopen, 2)).await.unwrap());
    assert_eq!((untouched.closed, untouched.revision), (false, 2), "the ring and the claim");
    done(opened.log.act(act(id, Action::Close, 3)).await.unwrap());
    let office = ActingPad { id: "office".to_owned(), name: "사무실".to_owned() };
    let reopen = ActionRequest { pad: office, ..act(id, Action::Reopen, 4) };
    let reopened = done(opened.log.act(reopen.clone()).await.unwrap());
    assert_eq!((reopened.closed, reopened.revision), (false, 4));
    assert_eq!(
        reopened.claim.map(|claim| claim.pad_id).as_deref(),
        Some("counter"),
        "it is still whose it was"
    );
    opened.close().await;
    // Each of them once more, after a restart: neither is done again.
    let opened = place.open().await;
    for again in [reopen.clone(), act(id, Action::Close, 3)] {
        assert!(!done(opened.log.act(again).await.unwrap()).closed);
    }
    assert_eq!(opened.updates("gangnam").await.len(), 4);
    let elsewhere = ActionRequest { store_id: "busan".to_owned(), request_id: Uuid::from_u128(5), ..reopen };
    assert_eq!(opened.log.act(elsewhere).await.unwrap(), ActionOutcome::NoSuchCall);
    opened.close().await;
}

async fn the_next_call_tells_note_and_reservation_until_they_are_taken_back_where_they_were_made(
    backend: Backend,
) {
    let (_place, opened) = with_store(backend).await;
    let write = |note: &str, service: &str| {
        let reserved = Reservation { service: service.to_owned(), at: Some(1), ..Reservation::default() };
        Action::Note(note.to_owned(), (!service.is_empty()).then_some(reserved))
    };
    let mut calls = 0;
    let mut next_call = async || {
        calls += 1;
        let sdt = format!("202611231425{calls:02}");
        let id = opened.log.ingest(ring(&calls.to_string(), &sdt)).await.unwrap().call_id;
        let history = opened.updates("gangnam").await.pop().and_then(|update| update.call?.history).unwrap();
        let service = history.last_reservation.map_or(String::new(), |last| last.service);
        (id, format!("{}/{service}", history.last_note))
    };
    let wrote = async |id: Uuid, note: &str, service: &str, request: u128| {
        done(opened.log.act(act(id, write(note, service), request)).await.unwrap());
    };
    let (first, told) = next_call().await;
    assert_eq!(told, "/");
    wrote(first, "단골", "손세차", 1).await;
    let (second, told) = next_call().await;
    assert_eq!(told, "단골/손세차");
    // What is said of another call takes nothing back.
    wrote(second, "", "광택", 2).await;
    let (third, told) = next_call().await;
    assert_eq!(told, "단골/광택");
    wrote(third, "주말", "", 3).await;
    assert_eq!(next_call().await.1, "주말/광택");
    // Where it was said, it does.
    wrote(third, "", "", 4).await;
    assert_eq!(next_call().await.1, "/광택");
    wrote(second, "", "", 5).await;
    assert_eq!(next_call().await.1, "/");
    opened.close().await;
}

async fn a_repeated_request_that_had_no_effect_has_none_later(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    let id = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    done(opened.log.act(act(id, Action::Release, 1)).await.unwrap());
    done(opened.log.act(act(id, Action::Claim, 2)).await.unwrap());
    opened.close().await;
    let opened = place.open().await;
    let call = done(opened.log.act(act(id, Action::Release, 1)).await.unwrap());
    assert!(call.claim.is_some(), "the release came before the claim, and late again");
    assert_eq!(opened.updates("gangnam").await.len(), 2, "the ring and the claim");
    opened.close().await;
}

on_each_backend! {
    a_call_is_found_whether_its_record_came_in_time_or_months_late,
    a_request_is_done_once_and_makes_an_event_only_if_it_changes_something,
    any_pad_reopens_a_closed_call_and_an_open_call_stays_open,
    the_next_call_tells_note_and_reservation_until_they_are_taken_back_where_they_were_made,
    a_repeated_request_that_had_no_effect_has_none_later,
}

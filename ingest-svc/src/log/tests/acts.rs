//! What pads do, where the end-to-end tests do not look: calls whose id says nothing of their `sdt`, and many requests.

use super::*;

fn act(call_id: Uuid, action: Action, request: u128) -> Act {
    Act {
        store_id: "gangnam".to_owned(),
        call_id,
        pad: ActingPad { id: "counter".to_owned(), name: "카운터".to_owned() },
        action,
        request_id: Uuid::from_u128(request),
        received_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn done(acted: Acted) -> v1::Call {
    match acted {
        Acted::Done(call) => v1::Call::decode(call.as_slice()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_found_whether_its_record_came_in_time_or_months_late() {
    let (_directory, opened) = with_store().await;
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9)));
    let now = now.strftime("%Y%m%d%H%M%S").to_string();
    for (number, sdt) in (1..).zip([now.as_str(), "20260101100000"]) {
        let id = opened.log.ingest(ring(&number.to_string(), sdt)).await.unwrap().call_id;
        let claimed = done(opened.log.act(act(id, Action::Claim, number)).await.unwrap());
        assert_eq!(claimed.claim.map(|claim| claim.pad_name).as_deref(), Some("카운터"), "{sdt}");
    }
    assert_eq!(opened.updates("gangnam").await.len(), 4);
    opened.close();
}

#[tokio::test]
async fn a_request_is_done_once_and_what_changes_nothing_is_no_event() {
    let (directory, opened) = with_store().await;
    let id = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    let note = |text: &str| Action::Note(text.to_owned(), None);
    for (request, text) in [(1, "a"), (2, "b"), (3, "b")] {
        done(opened.log.act(act(id, note(text), request)).await.unwrap());
    }
    assert_eq!(opened.updates("gangnam").await.len(), 3, "the ring and two notes");
    opened.close();
    // The first one again, after a restart: it stays done, and undoes nothing.
    let opened = open_in(&directory);
    let call = done(opened.log.act(act(id, note("a"), 1)).await.unwrap());
    assert_eq!(call.note, "b");
    assert_eq!(opened.updates("gangnam").await.len(), 3);
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    assert_eq!(opened.log.act(act(id, Action::Close, 4)).await.unwrap(), Acted::NoSuchCall);
    opened.close();
}

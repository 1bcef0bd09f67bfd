//! A `seq` that is used again: which records are one call.

use super::*;

/// Minutes behind 14:00.
fn at(minutes: i64) -> String {
    let two: jiff::civil::DateTime = "2026-11-23T14:00:00".parse().unwrap();
    (two + jiff::SignedDuration::from_mins(minutes)).strftime("%Y%m%d%H%M%S").to_string()
}

/// A record with the `seq` 7 that began so many minutes behind 14:00.
fn begun(minutes: i64, more: &[(&str, &str)]) -> Record {
    let sdt = at(minutes);
    let mut parameters = vec![("seq", "7"), ("sdt", sdt.as_str())];
    parameters.extend(more);
    record(&parameters)
}

const GANGNAM: (&str, &str) = ("vn", "050712345678");
const BUSAN: (&str, &str) = ("vn", "050799999999");
const NOBODYS: (&str, &str) = ("vn", "050700000000");
const UNREADABLE: (&str, &str) = ("vn", "0507-****-5678");
const GANGNAMS_LINE: (&str, &str) = ("ton", "025550001");
const BUSANS_LINE: (&str, &str) = ("ton", "0515550001");
const A_MOBILE: (&str, &str) = ("ton", "01099998888");

async fn two_stores(backend: Backend) -> (Place, OpenLog, Registry) {
    let mut registry = Registry::default();
    let place = Place::new(backend).await;
    let opened = place.open_with(&LogCapacity::default(), &mut registry).await;
    for entry in [gangnam(), store("busan", "+8250799999999", "+82515550001")] {
        opened.log.upsert_store(entry, Moving::Refused).await.unwrap();
    }
    (place, opened, registry)
}

/// How many reused names were counted, by reason.
fn reused(registry: &Registry, reason: &str) -> u64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let line = format!("ringpad_records_seq_reused_total{{source=\"bizcall\",reason=\"{reason}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

async fn the_next_days_call_with_the_same_seq_rings_with_its_own_caller(backend: Backend) {
    let (_place, opened, registry) = two_stores(backend).await;
    let first = [GANGNAM, ("fromn", "01011112222")];
    opened.status(begun(0, &first)).await;
    opened.status(begun(0, &[&first[..], &[("edt", &at(3)), ("swidt", &at(1))]].concat())).await;
    assert_eq!(opened.status(begun(23 * 60, &[GANGNAM, ("fromn", "01033334444")])).await, Status::Accepted);
    let last = opened.updates("gangnam").await.pop().unwrap();
    assert!(last.pop_until.is_some());
    let call = last.call.unwrap();
    let caller = call.caller.as_ref().unwrap();
    assert_eq!((call.state(), caller.display.as_str()), (CallState::Ringing, "010-3333-4444"));
    assert_eq!(opened.calls("gangnam").await.len(), 2);
    assert_eq!(reused(&registry, "apart"), 1);
    opened.close().await;
}

async fn a_seq_with_the_numbers_of_two_stores_is_two_calls(backend: Backend) {
    let (_place, opened, registry) = two_stores(backend).await;
    for (number, caller) in [(GANGNAM, "01011112222"), (BUSAN, "01033334444")] {
        opened.status(begun(0, &[number, ("fromn", caller)])).await;
    }
    // The ends, and repeats of all four, find their own.
    for (number, caller) in [(GANGNAM, "01011112222"), (BUSAN, "01033334444")] {
        opened.status(begun(0, &[number, ("fromn", caller), ("edt", &at(1))])).await;
    }
    for more in [&[][..], &[("edt", at(1))]] {
        for (number, caller) in [(GANGNAM, "01011112222"), (BUSAN, "01033334444")] {
            let more = more.iter().map(|(name, value): &(&str, String)| (*name, value.as_str()));
            let parameters: Vec<_> = [number, ("fromn", caller)].into_iter().chain(more).collect();
            assert_eq!(opened.status(begun(0, &parameters)).await, Status::Duplicate);
        }
    }
    for (store, caller) in [("gangnam", "010-1111-2222"), ("busan", "010-3333-4444")] {
        let updates = opened.updates(store).await;
        assert_eq!(updates.len(), 2, "{store}");
        assert!(updates[0].pop_until.is_some(), "{store}");
        for update in updates {
            assert_eq!(update.call.unwrap().caller.unwrap().display, caller, "{store}");
        }
    }
    assert_eq!(reused(&registry, "number"), 1);
    opened.close().await;
}

async fn which_records_are_one_call(backend: Backend) {
    use Status::{Accepted, Unrouted};
    let (end, next) = (("edt", at(3)), ("edt", at(9)));
    let (end, next) = ((end.0, end.1.as_str()), (next.0, next.1.as_str()));
    /// A minute and parameters.
    type Sent<'a> = (i64, &'a [(&'a str, &'a str)]);
    // Two records, what becomes of the second one, and why it is another call's.
    let rows: &[(&str, Sent<'_>, Sent<'_>, Status, Option<&str>)] = &[
        ("its end", (0, &[GANGNAM]), (0, &[GANGNAM, end]), Accepted, None),
        ("the end came first", (0, &[GANGNAM, end]), (0, &[GANGNAM]), Accepted, None),
        ("no begin before the end", (0, &[GANGNAM, ("edt", &at(0))]), (0, &[GANGNAM]), Accepted, None),
        ("corrected by minutes", (0, &[GANGNAM, end]), (3, &[GANGNAM, next]), Accepted, None),
        ("corrected the other way", (5, &[GANGNAM]), (0, &[GANGNAM, next]), Accepted, None),
        ("it had ended", (0, &[GANGNAM, end]), (4, &[GANGNAM]), Accepted, Some("ended")),
        (
            "it had ended, and so has this",
            (0, &[GANGNAM, end]),
            (4, &[GANGNAM, next]),
            Accepted,
            Some("ended"),
        ),
        ("this had ended", (4, &[GANGNAM]), (0, &[GANGNAM, end]), Accepted, Some("ended")),
        ("two hours", (0, &[GANGNAM]), (120, &[GANGNAM]), Accepted, None),
        ("two hours back", (120, &[GANGNAM]), (0, &[GANGNAM]), Accepted, None),
        ("more", (0, &[GANGNAM]), (121, &[GANGNAM]), Accepted, Some("apart")),
        ("more, back", (121, &[GANGNAM]), (0, &[GANGNAM]), Accepted, Some("apart")),
        ("a month", (0, &[GANGNAM]), (-30 * 24 * 60, &[GANGNAM]), Accepted, Some("apart")),
        ("another store", (0, &[GANGNAM]), (0, &[BUSAN]), Accepted, Some("number")),
        ("another store's end", (0, &[GANGNAM]), (1, &[BUSAN, end]), Accepted, Some("number")),
        ("its line", (0, &[GANGNAM]), (0, &[GANGNAMS_LINE, end]), Accepted, None),
        ("its virtual number", (0, &[GANGNAMS_LINE]), (0, &[GANGNAM, end]), Accepted, None),
        ("another's line", (0, &[GANGNAM]), (0, &[BUSANS_LINE, end]), Accepted, Some("number")),
        (
            "its own, by another's line",
            (0, &[GANGNAM, BUSANS_LINE]),
            (0, &[BUSANS_LINE, end]),
            Accepted,
            None,
        ),
        ("answered elsewhere", (0, &[GANGNAM]), (0, &[A_MOBILE, end]), Accepted, None),
        ("unreadable", (0, &[GANGNAM]), (0, &[UNREADABLE, end]), Accepted, None),
        ("nobody's number", (0, &[GANGNAM]), (0, &[NOBODYS, end]), Unrouted, Some("number")),
        ("nobody's, by its line", (0, &[GANGNAM]), (0, &[NOBODYS, GANGNAMS_LINE]), Accepted, None),
        ("nobody's call gets a line", (0, &[NOBODYS]), (0, &[NOBODYS, BUSANS_LINE]), Accepted, None),
        ("nobody's call, and a store's", (0, &[NOBODYS]), (0, &[BUSAN]), Accepted, Some("number")),
        ("nobody's twice", (0, &[NOBODYS]), (0, &[NOBODYS, end]), Unrouted, None),
    ];
    for (what, first, second, status, reason) in rows {
        let (_place, opened, registry) = two_stores(backend).await;
        let call = opened.log.ingest(begun(first.0, first.1)).await.unwrap().call_id;
        let second = opened.log.ingest(begun(second.0, second.1)).await.unwrap();
        assert_eq!(second.status, *status, "{what}");
        assert_eq!(second.call_id != call, reason.is_some(), "{what}");
        for each in ["number", "ended", "apart"] {
            assert_eq!(reused(&registry, each), u64::from(*reason == Some(each)), "{what}: {each}");
        }
        opened.close().await;
    }
}

async fn a_call_keeps_its_records_when_its_number_moves(backend: Backend) {
    let (_place, opened, registry) = two_stores(backend).await;
    let first = opened.log.ingest(begun(0, &[GANGNAM, GANGNAMS_LINE])).await.unwrap();
    let heir = store("heir", "+8250712345678", "+8225550001");
    opened.log.upsert_store(heir, Moving::Allowed).await.unwrap();
    for (more, edt) in [(GANGNAM, at(1)), (GANGNAMS_LINE, at(2))] {
        let second = opened.log.ingest(begun(0, &[more, ("edt", &edt)])).await.unwrap();
        assert_eq!(second, Ingested { call_id: first.call_id, status: Status::Accepted });
    }
    assert_eq!((opened.updates("gangnam").await.len(), opened.updates("heir").await.len()), (3, 0));
    assert_eq!(reused(&registry, "number"), 0);
    opened.close().await;
}

async fn each_record_finds_its_own_call_among_many_with_its_seq(backend: Backend) {
    let (_place, opened, _registry) = two_stores(backend).await;
    // A source that gives every call the same one.
    let rings = |minute: i64| [begun(minute, &[GANGNAM]), begun(minute, &[BUSAN])];
    let ends = |minute: i64| [GANGNAM, BUSAN].map(|number| begun(minute, &[number, ("edt", &at(minute))]));
    let mut calls = Vec::new();
    for minute in 0..60 {
        for (ring, end) in rings(minute).into_iter().zip(ends(minute)) {
            let id = opened.log.ingest(ring).await.unwrap().call_id;
            assert_eq!(opened.log.ingest(end).await.unwrap().call_id, id);
            calls.push(id);
        }
    }
    for minute in 0..60 {
        let again = rings(minute).into_iter().zip(ends(minute)).enumerate();
        for (which, (ring, end)) in again {
            let call_id = calls[minute as usize * 2 + which];
            for record in [ring, end] {
                let repeat = opened.log.ingest(record).await.unwrap();
                assert_eq!(repeat, Ingested { call_id, status: Status::Duplicate });
            }
        }
    }
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), 120);
    opened.close().await;
}

async fn parameters_that_a_call_has_no_room_for_are_counted_once(backend: Backend) {
    let (_place, opened, registry) = two_stores(backend).await;
    let dropped = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.contains("ringpad_records_parameters_dropped_total{source=\"bizcall\"} 1\n")
    };
    let names: Vec<_> = (10..60).map(|number| format!("x{number}")).collect();
    for (few, counts) in
        [(&names[..20], false), (&names[20..40], true), (&names[20..40], true), (&names[40..], true)]
    {
        let others = few.iter().map(|name| (name.as_str(), "1"));
        opened.status(begun(0, &[GANGNAM].into_iter().chain(others).collect::<Vec<_>>())).await;
        assert_eq!(dropped(), counts);
    }
    opened.close().await;
}

on_each_backend! {
    the_next_days_call_with_the_same_seq_rings_with_its_own_caller,
    a_seq_with_the_numbers_of_two_stores_is_two_calls,
    which_records_are_one_call,
    a_call_keeps_its_records_when_its_number_moves,
    each_record_finds_its_own_call_among_many_with_its_seq,
    parameters_that_a_call_has_no_room_for_are_counted_once,
}

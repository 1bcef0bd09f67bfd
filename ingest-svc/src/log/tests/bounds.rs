//! Long texts: each answer of the log stays within what a client reads, also from a file that was written before there were
//! bounds.

use std::collections::BTreeSet;

use super::*;
use crate::{bounds, log::read::ANSWER};

/// As long as a record could be.
const LONG: usize = 60_000;
/// So many of them are far more than one answer.
const CALLS: usize = 60;

/// Puts into the file what a version without bounds would have written for these rings.
fn lengthen(directory: &TempDir) {
    let file = Connection::open(directory.path().join("log.db")).unwrap();
    let memo = "세".repeat(LONG / 3);
    let rows = |sql: &str| -> Vec<(i64, Vec<u8>)> {
        let mut select = file.prepare(sql).unwrap();
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let lengthen = |call: &mut v1::Call| {
        call.memo.clone_from(&memo);
        call.caller.as_mut().unwrap().display = "x".repeat(LONG);
    };
    for (key, call) in rows("SELECT key, call FROM calls") {
        let mut call = v1::Call::decode(call.as_slice()).unwrap();
        lengthen(&mut call);
        let set =
            "UPDATE calls SET call = ?2, facts = replace(facts, '\"memo\":\"세차\"', ?3) WHERE key = ?1";
        file.execute(set, rusqlite::params![key, call.encode_to_vec(), format!("\"memo\":\"{memo}\"")])
            .unwrap();
    }
    for (key, event) in rows("SELECT key, bytes FROM events") {
        let mut update = update(&event);
        lengthen(update.call.as_mut().unwrap());
        let event = v1::SubscribeResponse { event: Some(Sent::Update(update)) }.encode_to_vec();
        file.execute("UPDATE events SET bytes = ?2 WHERE key = ?1", (key, event)).unwrap();
    }
}

/// All of the store's calls, page by page.
async fn paged(reader: &LogReader, limit: u32) -> Vec<v1::Call> {
    let mut query = CallQuery {
        store_id: "gangnam".to_owned(),
        limit,
        after: None,
        states: vec![],
        since: None,
        until: None,
        caller_suffix: String::new(),
        purpose: Purpose::Search,
    };
    let mut calls = Vec::new();
    loop {
        let page = reader.calls(query.clone()).await.unwrap().unwrap();
        assert!(!page.calls.is_empty() && page.calls.iter().map(Vec::len).sum::<usize>() <= ANSWER);
        calls.extend(page.calls.iter().map(|call| v1::Call::decode(call.as_slice()).unwrap()));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return calls,
        }
    }
}

/// All of the store's events, answer by answer, and how many answers that took.
async fn missed(reader: &LogReader, limit: usize) -> (Vec<v1::Update>, usize) {
    let (mut updates, mut answers) = (Vec::<v1::Update>::new(), 0);
    loop {
        let after = updates.last().map_or(0, |update| update.position);
        let other = Cursor { store_id: "nowhere".to_owned(), after: 0 };
        let cursor = Cursor { store_id: "gangnam".to_owned(), after };
        let AllMissed { stores, extent } = reader.missed(vec![other, cursor], limit, None).await.unwrap();
        answers += 1;
        let events = &stores[1].events;
        assert!(events.iter().map(|(_, event)| event.len()).sum::<usize>() <= ANSWER);
        updates.extend(events.iter().map(|(_, event)| update(event)));
        if extent == Extent::Whole {
            return (updates, answers);
        }
        assert!(!events.is_empty(), "whoever asks again gets on");
    }
}

#[tokio::test]
async fn what_was_logged_before_there_were_bounds_is_cut_where_it_is_read() {
    let (directory, opened) = with_store().await;
    let rings: Vec<_> = (0..CALLS).map(|seq| ring(&format!("{seq}"), "20261123142530")).collect();
    for ring in rings {
        opened.status(ring).await;
    }
    lengthen(&directory);
    let is_bounded = |call: &v1::Call| {
        let caller = call.caller.as_ref().unwrap();
        let (memo, display) = (call.memo.len(), caller.display.len());
        (bounds::MEMO - 3..=bounds::MEMO).contains(&memo)
            && call.memo.starts_with("세세")
            && call.memo.ends_with("세…")
            && display == bounds::TEXT
            && caller.display.ends_with("x…")
    };
    let reader = opened.log.reader();
    let calls = paged(reader, 500).await;
    assert!(calls.len() == CALLS && calls.iter().all(is_bounded));
    let (updates, _) = missed(reader, 500).await;
    assert!(updates.len() == CALLS && updates.iter().all(|update| is_bounded(update.call.as_ref().unwrap())));
    let all = PageSize { events: 1_000, bytes: usize::MAX };
    let published = reader.outbox(0, 0, all).await.unwrap().events;
    assert!(published.iter().all(|event| is_bounded(update(&event.bytes).call.as_ref().unwrap())));
    // What a later record makes of such a call.
    opened.status(end("7", "20261123142530", &[])).await;
    let memo = opened.updates("gangnam").await.pop().unwrap().call.unwrap().memo;
    assert!(memo.len() <= bounds::MEMO && memo.ends_with('…'), "{}", memo.len());
    opened.close();
}

#[tokio::test]
async fn what_the_relay_reads_at_once_has_a_bounded_number_of_bytes() {
    let (_directory, opened) = with_store().await;
    for seq in 0..10 {
        opened.status(ring(&format!("{seq}"), "20261123142530")).await;
    }
    let reader = opened.log.reader();
    let read = async |events, bytes| reader.outbox(3, 0, PageSize { events, bytes }).await.unwrap();
    let keys = |page: &OutboxPage| page.events.iter().map(|event| event.key).collect::<Vec<_>>();
    let all = read(100, usize::MAX).await;
    assert_eq!((keys(&all), all.extent), ((3..=10).collect(), Extent::Whole));
    let two = all.events[..2].iter().map(|event| event.bytes.len()).sum();
    for (events, bytes, wanted) in [(100, two, 2), (100, two - 1, 1), (100, 0, 1), (5, usize::MAX, 5)] {
        let page = read(events, bytes).await;
        assert_eq!((page.events.len(), page.extent), (wanted, Extent::Part), "{events}, {bytes}");
    }
    opened.close();
}

#[tokio::test]
async fn an_answer_has_a_bounded_number_of_bytes_and_the_next_one_goes_on() {
    let (_directory, opened) = with_store().await;
    for seq in 0..4 * CALLS {
        let Ingested { call_id, .. } =
            opened.log.ingest(ring(&format!("{seq}"), "20261123142530")).await.unwrap();
        let act = Act {
            store_id: "gangnam".to_owned(),
            call_id,
            pad: ActingPad { id: "counter".to_owned(), name: "counter".to_owned() },
            action: Action::Note("\u{1F697}".repeat(2_000), None),
            request_id: Uuid::new_v4(),
            received_at: jiff::Timestamp::now(),
        };
        assert!(matches!(opened.log.act(act).await.unwrap(), Acted::Done(_)));
    }
    let reader = opened.log.reader();
    let ids: BTreeSet<_> = paged(reader, 500).await.into_iter().map(|call| call.id).collect();
    assert_eq!(ids.len(), 4 * CALLS);
    // By bytes, by number, and one by one.
    for (limit, least) in [(10_000, 3), (100, 5), (1, 8 * CALLS)] {
        let (updates, answers) = missed(reader, limit).await;
        let positions: Vec<_> = updates.iter().map(|update| update.position).collect();
        assert_eq!(positions, (1..=8 * CALLS as u64).collect::<Vec<_>>());
        assert!(answers >= least, "{answers} for {limit}");
    }
    opened.close();
}

/// Bytes that the log's file has of calls: their facts at most, and everything of them together.
fn stored(directory: &TempDir) -> (usize, usize) {
    let file = Connection::open(directory.path().join("log.db")).unwrap();
    let sum = "SELECT max(octet_length(facts)),
               sum(octet_length(facts) + octet_length(call) + octet_length(fingerprints)) FROM calls";
    file.query_one(sum, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test]
async fn a_calls_records_are_bounded_whatever_they_name() {
    let (directory, opened) = with_store().await;
    let mut largest = 0;
    for round in 0..300 {
        // Far more than is kept: of new names, of long ones, of long values, and of control characters.
        let (length, value) = match round % 4 {
            0 => (10, "x"),
            1 => (600, "가"),
            2 => (10, "\u{1}"),
            _ => (50, "가"),
        };
        let name = |at| format!("{round}-{at}-{}", "n".repeat(length));
        let parameters: Vec<_> = (0..80).map(|at| (name(at), value.repeat(120))).collect();
        let (sdt, edt) = ("20261123142530", "20261123143000");
        let mut sent = vec![("seq", "7"), ("sdt", sdt), ("vn", "050712345678"), ("memo", "\u{1}")];
        sent.extend((round % 3 == 0).then_some(("edt", edt)));
        sent.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(opened.status(record(&sent)).await, Status::Accepted);
        largest = stored(&directory).0.max(largest);
    }
    let (facts, all) = stored(&directory);
    // Control characters take six bytes each; without them it is a quarter of that.
    assert!(largest <= 64 * 1024, "{largest}");
    assert!(all - facts <= 16 * 1024, "{all}");
    assert_eq!(opened.calls("gangnam").await.len(), 1);
    opened.close();
}

#[tokio::test]
async fn what_a_call_held_before_there_was_a_bound_is_cut_at_its_next_record() {
    let (directory, opened) = with_store().await;
    opened.status(ring("7", "20261123142530")).await;
    let many: std::collections::BTreeMap<_, _> =
        (0..5_000).map(|at| (format!("{at}"), "x".repeat(40))).collect();
    let many = serde_json::to_string(&many).unwrap();
    let file = Connection::open(directory.path().join("log.db")).unwrap();
    let set = "UPDATE calls SET facts = json_set(facts, '$.ring.other', json(?1))";
    file.execute(set, [many]).unwrap();
    assert!(stored(&directory).0 > 200_000);
    opened.status(end("7", "20261123142530", &[])).await;
    assert!(stored(&directory).0 < 16 * 1024);
    opened.close();
}

//! Long texts: each answer of the log stays within what a client reads, also from a file that was written before there were
//! bounds.

use super::*;
use crate::{
    capacity::RECORD,
    log::tests::answers::{CALLS, missed, paged},
};

/// As long as a record could be.
const LONG: usize = 60_000;
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

#[tokio::test]
async fn a_text_from_before_there_were_bounds_is_cut_when_it_is_read() {
    let (directory, opened) = with_store().await;
    let rings: Vec<_> = (0..CALLS).map(|seq| ring(&format!("{seq}"), "20261123142530")).collect();
    for ring in rings {
        opened.status(ring).await;
    }
    lengthen(&directory);
    let is_bounded = |call: &v1::Call| {
        let caller = call.caller.as_ref().unwrap();
        let (memo, display) = (call.memo.len(), caller.display.len());
        (RECORD.memo - 3..=RECORD.memo).contains(&memo)
            && call.memo.starts_with("세세")
            && call.memo.ends_with("세…")
            && display == RECORD.text
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
    assert!(memo.len() <= RECORD.memo && memo.ends_with('…'), "{}", memo.len());
    opened.close().await;
}

/// Bytes that the log's file has of calls: their facts at most, and everything of them together.
fn stored(directory: &TempDir) -> (usize, usize) {
    let file = Connection::open(directory.path().join("log.db")).unwrap();
    let sum = "SELECT max(octet_length(facts)),
               sum(octet_length(facts) + octet_length(call) + octet_length(fingerprints)) FROM calls";
    file.query_one(sum, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test]
async fn the_records_of_a_call_are_bounded_with_any_parameters() {
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
    opened.close().await;
}

#[tokio::test]
async fn a_call_from_before_there_were_bounds_is_cut_at_its_next_record() {
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
    opened.close().await;
}

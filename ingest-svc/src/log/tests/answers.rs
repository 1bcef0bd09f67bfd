//! An answer of the log is bounded, and the next one continues where it ended.

use std::collections::BTreeSet;

use super::*;

/// So many long calls are far more than one answer.
pub(in crate::log) const CALLS: usize = 60;

/// All of the store's calls, page by page.
pub(in crate::log) async fn paged(reader: &LogReader, limit: u32) -> Vec<v1::Call> {
    let mut query = CallQuery { limit, ..any_call() };
    let mut calls = Vec::new();
    loop {
        let page = reader.calls(query.clone()).await.unwrap().unwrap();
        assert!(
            !page.calls.is_empty()
                && page.calls.iter().map(Vec::len).sum::<usize>() <= LogCapacity::default().answer_bytes
        );
        calls.extend(page.calls.iter().map(|call| v1::Call::decode(call.as_slice()).unwrap()));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return calls,
        }
    }
}

/// All of the store's events, answer by answer, and how many answers that took.
pub(in crate::log) async fn missed(reader: &LogReader, limit: usize) -> (Vec<v1::Update>, usize) {
    let (mut updates, mut answers) = (Vec::<v1::Update>::new(), 0);
    loop {
        let after = updates.last().map_or(0, |update| update.position);
        let other = Cursor { store_id: "nowhere".to_owned(), after: 0 };
        let cursor = Cursor { store_id: "gangnam".to_owned(), after };
        let AllMissed { stores, extent } = reader.missed(vec![other, cursor], limit, None).await.unwrap();
        answers += 1;
        let events = &stores[1].events;
        assert!(
            events.iter().map(|(_, event)| event.len()).sum::<usize>() <= LogCapacity::default().answer_bytes
        );
        updates.extend(events.iter().map(|(_, event)| update(event)));
        if extent == Extent::Whole {
            return (updates, answers);
        }
        assert!(!events.is_empty(), "a reader that asks again makes progress");
    }
}

async fn a_page_for_the_relay_has_a_bounded_number_of_bytes(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
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
    opened.close().await;
}

async fn an_answer_has_a_bounded_number_of_bytes_and_the_next_one_continues(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    for seq in 0..4 * CALLS {
        let Ingested { call_id, .. } =
            opened.log.ingest(ring(&format!("{seq}"), "20261123142530")).await.unwrap();
        let act = ActionRequest {
            store_id: "gangnam".to_owned(),
            call_id,
            pad: ActingPad { id: "counter".to_owned(), name: "counter".to_owned() },
            action: Action::Note("\u{1F697}".repeat(2_000), None),
            request_id: Uuid::new_v4(),
            received_at: jiff::Timestamp::now(),
        };
        assert!(matches!(opened.log.act(act).await.unwrap(), ActionOutcome::Done(_)));
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
    opened.close().await;
}

on_each_backend! {
    a_page_for_the_relay_has_a_bounded_number_of_bytes,
    an_answer_has_a_bounded_number_of_bytes_and_the_next_one_continues,
}

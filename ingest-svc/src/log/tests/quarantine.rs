//! Requests that are not CDRs.

use super::*;

async fn the_quarantine_keeps_the_newest(backend: Backend) {
    let (place, most) = (Place::new(backend).await, 20);
    let capacity = LogCapacity { quarantine_requests: most, ..LogCapacity::default() };
    let opened = place.open_with(&capacity, &mut Registry::default()).await;
    let request = |number: u64| Quarantined {
        source: "bizcall".into(),
        received_at: jiff::Timestamp::now(),
        request: RawRequest {
            query: format!("seq={number}"),
            body: RawBody::Form("a=b".into()),
            charset: Some(encoding_rs::SHIFT_JIS),
        },
        faults: vec![Fault { field: "sdt".to_owned(), message: "is missing".to_owned() }],
    };
    let all = (1..=most + 3).map(|number| opened.log.quarantine(request(number)));
    futures_util::future::try_join_all(all).await.unwrap();
    let reader = opened.log.reader();
    let oldest = reader.oldest_quarantined(0, 1).await.unwrap();
    assert_eq!(oldest[0].0, 4, "three too many");
    let expected = RawRequest { query: "seq=4".to_owned(), ..request(0).request };
    assert!(oldest[0].1.request == expected);
    opened.log.release(vec![4, 5, 4711]).await.unwrap();
    assert_eq!(reader.oldest_quarantined(0, 1).await.unwrap()[0].0, 6);
    let newest = reader.newest_quarantined(most + 3, 2).await.unwrap();
    let ids: Vec<_> = newest.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [most + 2, most + 1]);
    opened.close().await;
}

async fn a_source_that_fills_the_quarantine_pushes_out_its_own(backend: Backend) {
    let (place, most) = (Place::new(backend).await, 50);
    let capacity =
        LogCapacity { quarantine_requests: most, quarantine_bytes: 5_000_000, ..LogCapacity::default() };
    let opened = place.open_with(&capacity, &mut Registry::default()).await;
    let request = |source: &str, length: usize| Quarantined {
        source: source.into(),
        received_at: jiff::Timestamp::now(),
        request: RawRequest { query: "x".repeat(length), body: RawBody::None, charset: None },
        faults: vec![],
    };
    opened.log.quarantine(request("quiet", 1_000_000)).await.unwrap();
    // In large ones, and in many.
    for (length, count, left) in [(1_000_000, 10, 9), (10, most, 13)] {
        let all = (0..count).map(|_| opened.log.quarantine(request("loud", length)));
        futures_util::future::try_join_all(all).await.unwrap();
        let reader = opened.log.reader();
        let oldest = reader.oldest_quarantined(0, 10).await.unwrap();
        assert_eq!((&*oldest[0].1.source, oldest[1].0), ("quiet", left));
    }
    opened.close().await;
}

on_each_backend! {
    the_quarantine_keeps_the_newest,
    a_source_that_fills_the_quarantine_pushes_out_its_own,
}

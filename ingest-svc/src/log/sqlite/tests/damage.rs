//! A row that cannot be read costs itself, and not its store: whatever is wrong with it.

use super::*;
use crate::call::SearchWords;

/// What makes bytes unreadable: none, what is no message, one that breaks off, a message of nothing, and no bytes at all.
const DAMAGES: [&str; 5] = ["x''", "x'ffff'", "substr(bytes, 1, length(bytes) - 2)", "x'7a00'", "'text'"];

impl OpenLog {
    /// Changes the file past the writer.
    fn damage(&self, directory: &TempDir, sql: &str) {
        let changed = Connection::open(directory.path().join("log.db")).unwrap().execute(sql, []).unwrap();
        assert_eq!(changed, 1, "{sql}");
    }

    /// The positions of the events after one, and the store's position.
    async fn reach(&self, after: u64) -> (Vec<u64>, Option<u64>) {
        let cursor = Cursor { store_id: "gangnam".to_owned(), after };
        let missed = self.log.reader().missed(vec![cursor], 100, None).await.unwrap().stores.remove(0);
        (missed.events.iter().map(|(position, _)| *position).collect(), missed.position)
    }
}

#[tokio::test]
async fn events_are_read_up_to_an_unreadable_one() {
    for damage in DAMAGES {
        let (directory, opened) = with_store().await;
        for seq in 1..=5 {
            opened.status(ring(&seq.to_string(), "20261123142530")).await;
        }
        opened.damage(&directory, &format!("UPDATE events SET bytes = {damage} WHERE position = 3"));
        // A reader that is told of a newer position, and of no event, begins anew with a snapshot.
        assert_eq!(opened.reach(0).await, (vec![1, 2], Some(5)), "{damage}");
        assert_eq!(opened.reach(2).await, (vec![], Some(5)), "{damage}");
        assert_eq!(opened.reach(3).await, (vec![4, 5], Some(5)), "{damage}");
        assert_eq!(opened.calls("gangnam").await.len(), 5, "the snapshot has the call");
        let all = PageSize { events: 100, bytes: usize::MAX };
        let published = opened.log.reader().outbox(0, 0, all).await.unwrap().events;
        let positions: Vec<_> = published.iter().map(|event| event.position).collect();
        assert_eq!(positions, [1, 2, 0, 4, 5], "a hint in its place");
        assert!(published[2].bytes.is_empty());
        opened.close().await;
    }
}

#[tokio::test]
async fn events_are_read_up_to_a_missing_one() {
    let (directory, opened) = with_store().await;
    for seq in 1..=5 {
        opened.status(ring(&seq.to_string(), "20261123142530")).await;
    }
    // It was written while the clock was wrong, and was deleted before older ones.
    opened.damage(&directory, "DELETE FROM events WHERE position = 3");
    assert_eq!(opened.reach(0).await, (vec![1, 2], Some(5)));
    assert_eq!(opened.reach(2).await, (vec![], Some(5)), "the reader needs a snapshot");
    assert_eq!(opened.reach(3).await, (vec![4, 5], Some(5)));
    opened.close().await;
}

#[tokio::test]
async fn an_event_of_another_position_cannot_be_read() {
    let (directory, opened) = with_store().await;
    for seq in 1..=3 {
        opened.status(ring(&seq.to_string(), "20261123142530")).await;
    }
    let other = "UPDATE events SET bytes = (SELECT bytes FROM events WHERE position = 1) WHERE position = 2";
    opened.damage(&directory, other);
    assert_eq!(opened.reach(0).await, (vec![1], Some(3)));
    opened.close().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_read_is_left_out_and_the_others_are_shown() {
    for damage in DAMAGES.into_iter().chain(["7"]).map(|damage| damage.replace("bytes", "call")) {
        let (directory, opened) = with_store().await;
        for seq in 1..=5 {
            opened.status(ring(&seq.to_string(), "20261123142530")).await;
        }
        opened.damage(&directory, &format!("UPDATE calls SET call = {damage} WHERE seq = '3'"));
        assert_eq!(opened.calls("gangnam").await.len(), 4, "{damage}");
        assert_eq!(opened.calls_ending_in("5678").await.len(), 4, "{damage}");
        let words = CallQuery { words: SearchWords::parse("1234-5678").unwrap(), ..any_call() };
        assert_eq!(opened.found(words).await.len(), 4, "{damage}");
        let pages = CallQuery { limit: 2, ..any_call() };
        let first = opened.log.reader().calls(pages.clone()).await.unwrap().unwrap();
        let second = CallQuery { after: first.next, ..pages };
        assert_eq!((first.calls.len(), opened.found(second).await.len()), (2, 2));
        // Its next record makes it whole again.
        opened.status(end("3", "20261123142530", &[])).await;
        assert_eq!(opened.calls("gangnam").await.len(), 5, "{damage}");
        opened.close().await;
    }
}

#[tokio::test]
async fn an_unreadable_earlier_record_does_not_refuse_a_new_one() {
    for damage in ["x''", "'{'", "'[1,2]'", "x'ff'", "7"] {
        let (directory, opened) = with_store().await;
        let first = opened.log.ingest(ring("1", "20261122142530")).await.unwrap().call_id;
        opened.damage(&directory, &format!("UPDATE calls SET facts = {damage}"));
        opened.damage(&directory, &format!("UPDATE callers SET last_reservation = {damage}"));
        let ended = opened.log.ingest(end("1", "20261122142530", &[])).await.unwrap();
        assert_eq!(ended.status, Status::Accepted, "{damage}");
        assert_ne!(ended.call_id, first, "a call of its own");
        let again = opened.log.ingest(end("1", "20261122142530", &[])).await.unwrap();
        assert_eq!(again, Ingested { call_id: ended.call_id, status: Status::Duplicate }, "{damage}");
        let act = ActionRequest {
            store_id: "gangnam".to_owned(),
            call_id: first,
            pad: ActingPad { id: "counter".to_owned(), name: "counter".to_owned() },
            action: Action::Claim,
            request_id: Uuid::from_u128(1),
            received_at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(opened.log.act(act).await.unwrap(), ActionOutcome::NoSuchCall, "{damage}");
        opened.close().await;
    }
}

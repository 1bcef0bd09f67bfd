//! Two ingest-svc give codes, and approve them, at the same time.

use futures_util::future::join_all;

use super::*;
use crate::{
    capacity::LogCapacity,
    log::tests::{Backend, Place, gangnam},
    pad::{Credential, Holder, PadChange, PadChangeKind, PadOutcome, PairingCode},
    store::Moving,
};

fn code(number: usize) -> PairingCode {
    PairingCode::parse(&format!("{number:06}")).unwrap()
}

#[tokio::test]
async fn no_two_tablets_show_one_code_there_are_no_more_than_there_may_be_and_each_is_approved_once() {
    let place = Place::new(Backend::Postgres).await;
    let capacity = LogCapacity { pairing_codes: 10, ..LogCapacity::default() };
    let open = async || place.open_with(&capacity, &mut Registry::default()).await;
    let both = [open().await, open().await];
    both[0].log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    let at = jiff::Timestamp::now().as_second();
    let change = async |log: usize, kind| {
        let changed = both[log % 2].log.change_pads(PadChange { at, kind }).await;
        changed.unwrap()
    };

    // Each is given the same codes to choose from, one more than there may be.
    let tablets: Vec<_> = (0..40).map(|_| Credential::random().unwrap().hash()).collect();
    let begun = join_all(tablets.iter().enumerate().map(|(log, hash)| {
        let codes = (0..11).map(code).collect();
        change(log, PadChangeKind::Begin { id: Uuid::new_v4(), hash: *hash, codes })
    }))
    .await;
    let given: Vec<_> = begun
        .iter()
        .filter_map(|outcome| match outcome {
            PadOutcome::Begun(code) => Some(code.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!((given.len(), given.iter().collect::<BTreeSet<_>>().len()), (10, 10));

    let approvals = (0..20).map(|log| {
        let (store_id, name) = ("gangnam".to_owned(), format!("pad {log}"));
        change(log, PadChangeKind::Approve { code: code(0), store_id, name })
    });
    let approved = join_all(approvals).await;
    assert_eq!(approved.iter().filter(|outcome| matches!(outcome, PadOutcome::Approved(_))).count(), 1);
    let holders = tablets.iter().map(|hash| both[0].log.reader().holder(*hash, at));
    let holders: Vec<_> = join_all(holders).await.into_iter().flat_map(Result::unwrap).collect();
    let paired = holders.iter().filter(|holder| matches!(holder, Holder::Paired(_))).count();
    assert_eq!((holders.len(), paired), (10, 1));
    for opened in both {
        opened.close().await;
    }
}

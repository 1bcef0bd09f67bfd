//! Tablets: codes, approval, credentials, revocation.

use super::*;
use crate::pad::{
    CODE_SECONDS, Credential, CredentialHash, Holder, PadChangeKind, PadMark, PairedPad, PairingCode,
    REVOCATION_SECONDS,
};

/// When the tests begin, in Unix seconds: now, because codes that have expired are deleted by the clock.
fn begin() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn code(text: &str) -> PairingCode {
    PairingCode::parse(text).unwrap()
}

/// A tablet's credential, and what it is told.
async fn shows(opened: &OpenLog, at: i64, codes: &[&str]) -> (CredentialHash, PadOutcome) {
    let hash = Credential::random().unwrap().hash();
    let codes = codes.iter().map(|text| code(text)).collect();
    let kind = PadChangeKind::Begin { id: Uuid::new_v4(), hash, codes };
    (hash, opened.log.change_pads(PadChange { at, kind }).await.unwrap())
}

async fn approve(opened: &OpenLog, at: i64, shown: &str, store: &str, name: &str) -> PadOutcome {
    let (store_id, name) = (store.to_owned(), name.to_owned());
    let kind = PadChangeKind::Approve { code: code(shown), store_id, name };
    opened.log.change_pads(PadChange { at, kind }).await.unwrap()
}

async fn revoke(opened: &OpenLog, at: i64, id: Uuid) -> PadOutcome {
    opened.log.change_pads(PadChange { at, kind: PadChangeKind::Revoke(id) }).await.unwrap()
}

/// A paired pad of `gangnam`, and its credential.
async fn paired(opened: &OpenLog, at: i64, shown: &str, name: &str) -> (CredentialHash, PairedPad) {
    let (hash, _) = shows(opened, at, &[shown]).await;
    match approve(opened, at, shown, "gangnam", name).await {
        PadOutcome::Approved(pad) => (hash, *pad),
        other => panic!("{other:?}"),
    }
}

async fn listed(opened: &OpenLog) -> Vec<PairedPad> {
    opened.log.reader().pads(String::new(), None, 100).await.unwrap()
}

async fn a_credential_is_valid_from_the_approval_of_its_code_until_it_is_revoked(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    let at = begin();
    let (hash, begun) = shows(&opened, at, &["042917"]).await;
    assert_eq!(begun, PadOutcome::Begun(code("042917")));
    let holder = async |hash, now| opened.log.reader().holder(hash, now).await.unwrap();
    assert_eq!(holder(hash, at).await, Some(Holder::Waiting));
    assert_eq!(holder(Credential::random().unwrap().hash(), at).await, None);
    assert!(listed(&opened).await.is_empty(), "a tablet that shows a code is no pad");

    assert_eq!(approve(&opened, at, "042918", "gangnam", "계산대").await, PadOutcome::NoSuchCode);
    assert_eq!(approve(&opened, at, "042917", "busan", "계산대").await, PadOutcome::NoSuchStore);
    let approved = approve(&opened, at + 1, "042917", "gangnam", "계산대").await;
    let PadOutcome::Approved(pad) = approved else { panic!("{approved:?}") };
    assert_eq!((&*pad.store_id, &*pad.store_name, &*pad.name), ("gangnam", "강남점", "계산대"));
    assert_eq!((pad.paired, pad.last_token, pad.revoked), (at + 1, None, None));
    // The answer was lost, and the request is repeated; anything else is not a repeat.
    let again = approve(&opened, at + 2, "042917", "gangnam", "계산대").await;
    assert_eq!(again, PadOutcome::Approved(pad.clone()));
    assert_eq!(approve(&opened, at + 2, "042917", "gangnam", "입구").await, PadOutcome::NoSuchCode);
    opened.close().await;

    let opened = place.open().await;
    let reader = opened.log.reader().clone();
    let holder = async |hash, now| reader.holder(hash, now).await.unwrap();
    let a_day_later = at + 24 * 60 * 60;
    assert_eq!(holder(hash, a_day_later).await, Some(Holder::Paired((*pad).clone())));
    let note = PadChange { at: a_day_later, kind: PadChangeKind::NoteToken(pad.id) };
    opened.log.change_pads(note).await.unwrap();
    assert_eq!(listed(&opened).await[0].last_token, Some(a_day_later));

    assert_eq!(revoke(&opened, at + 3, Uuid::new_v4()).await, PadOutcome::NoSuchPad);
    for later in [3, 4] {
        assert_eq!(revoke(&opened, at + later, pad.id).await, PadOutcome::Done);
        assert_eq!(listed(&opened).await[0].revoked, Some(at + 3), "the first time stays");
    }
    assert_eq!(holder(hash, at + 4).await, None);
    assert_eq!(approve(&opened, at + 4, "042917", "gangnam", "계산대").await, PadOutcome::NoSuchCode);
    assert_eq!(reader.revoked_pads(at + 3).await.unwrap(), [pad.id]);
    assert!(reader.revoked_pads(at + 4).await.unwrap().is_empty());
    opened.close().await;
}

async fn a_code_expires_and_is_then_given_to_another_tablet(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let at = begin();
    let (first, _) = shows(&opened, at, &["111111"]).await;
    let (_, second) = shows(&opened, at, &["111111", "222222"]).await;
    assert_eq!(second, PadOutcome::Begun(code("222222")), "no two tablets show one code");
    paired(&opened, at, "333333", "계산대").await;
    let (_, taken) = shows(&opened, at, &["333333"]).await;
    assert!(matches!(taken, PadOutcome::Full { .. }), "{taken:?}");

    let after = at + CODE_SECONDS;
    assert_eq!(approve(&opened, after, "111111", "gangnam", "입구").await, PadOutcome::NoSuchCode);
    assert_eq!(approve(&opened, after, "333333", "gangnam", "계산대").await, PadOutcome::NoSuchCode);
    assert_eq!(opened.log.reader().holder(first, after).await.unwrap(), None);
    for shown in ["111111", "333333"] {
        assert_eq!(shows(&opened, after, &[shown]).await.1, PadOutcome::Begun(code(shown)));
    }
    assert_eq!(listed(&opened).await.len(), 1, "a pad stays when its code is given away");
    opened.close().await;
}

async fn there_are_only_so_many_codes_at_a_time(backend: Backend) {
    let place = Place::new(backend).await;
    let capacity = LogCapacity { pairing_codes: 3, ..LogCapacity::default() };
    let opened = place.open_with(&capacity, &mut Registry::default()).await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    let at = begin();
    for (later, shown) in ["000001", "000002", "000003"].into_iter().enumerate() {
        shows(&opened, at + later as i64, &[shown]).await;
    }
    let (_, fourth) = shows(&opened, at + 100, &["000004"]).await;
    assert_eq!(fourth, PadOutcome::Full { retry_after: CODE_SECONDS as u64 - 100 });
    approve(&opened, at + 100, "000002", "gangnam", "계산대").await;
    assert_eq!(shows(&opened, at + 100, &["000004"]).await.1, PadOutcome::Begun(code("000004")));
    assert!(matches!(shows(&opened, at + 100, &["000005"]).await.1, PadOutcome::Full { .. }));
    let after = at + CODE_SECONDS;
    assert_eq!(shows(&opened, after, &["000005"]).await.1, PadOutcome::Begun(code("000005")));
    opened.close().await;
}

async fn pads_are_listed_by_store_and_name_page_by_page(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened.log.upsert_store(store("busan", "+8250799999999", "+82515550001"), Moving::Refused).await.unwrap();
    let at = begin();
    for (number, name) in ["나", "가", "가", "B", "a"].into_iter().enumerate() {
        paired(&opened, at, &format!("{number:06}"), name).await;
    }
    shows(&opened, at, &["999999"]).await;
    approve(&opened, at, "999999", "busan", "다").await;
    let reader = opened.log.reader();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = reader.pads(String::new(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = PadMark::parse(&PadMark::of(last).token());
        names.extend(page.into_iter().map(|pad| pad.name));
    }
    assert_eq!(names, ["다", "B", "a", "가", "가", "나"]);
    assert_eq!(reader.pads("gangnam".to_owned(), None, 100).await.unwrap().len(), 5);
    for nobody in ["seoul", "gang\0nam"] {
        assert!(reader.pads(nobody.to_owned(), None, 100).await.unwrap().is_empty());
    }
    opened.close().await;
}

async fn a_pad_of_a_deleted_store_is_revoked_also_if_the_store_is_made_again(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let at = begin();
    let (hash, pad) = paired(&opened, at, "123456", "계산대").await;
    let reader = opened.log.reader().clone();
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    let is_revoked = async || {
        assert_eq!(reader.holder(hash, at).await.unwrap(), None);
        assert_eq!(reader.revoked_pads(at).await.unwrap(), [pad.id]);
        assert!(listed(&opened).await.is_empty());
    };
    is_revoked().await;
    assert_eq!(approve(&opened, at, "123456", "gangnam", "계산대").await, PadOutcome::NoSuchStore);
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    is_revoked().await;
    assert_eq!(approve(&opened, at, "123456", "gangnam", "계산대").await, PadOutcome::NoSuchCode);
    // Its tokens are valid for a while.
    while opened.log.purge(at).await.unwrap() {}
    opened.log.upsert_store(store("busan", "+8250799999999", "+82515550001"), Moving::Refused).await.unwrap();
    is_revoked().await;
    opened.close().await;
}

async fn what_is_due_is_deleted(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let now = begin();
    let long_ago = now - 2 * REVOCATION_SECONDS;
    let (expired, _) = shows(&opened, now - CODE_SECONDS, &["000001"]).await;
    let (shown, _) = shows(&opened, now, &["000002"]).await;
    let (kept, _) = paired(&opened, long_ago, "000003", "a").await;
    let (_, old) = paired(&opened, long_ago, "000004", "b").await;
    let (_, recent) = paired(&opened, long_ago, "000005", "c").await;
    revoke(&opened, long_ago, old.id).await;
    revoke(&opened, now - 60, recent.id).await;
    let names = async || listed(&opened).await.into_iter().map(|pad| pad.name).collect::<Vec<_>>();
    while opened.log.purge(long_ago).await.unwrap() {}
    assert_eq!(names().await, ["a", "b", "c"], "a revoked pad is listed for the retention");
    // Also with a retention of a second, push-svc is told of it.
    while opened.log.purge(now - 1).await.unwrap() {}
    assert_eq!(names().await, ["a", "c"]);
    let reader = opened.log.reader();
    assert_eq!(reader.revoked_pads(now - REVOCATION_SECONDS).await.unwrap(), [recent.id]);
    assert!(matches!(reader.holder(kept, now).await.unwrap(), Some(Holder::Paired(_))));
    assert_eq!(reader.holder(shown, now).await.unwrap(), Some(Holder::Waiting));
    assert_eq!(reader.holder(expired, now - 1).await.unwrap(), None);
    opened.close().await;
}

on_each_backend! {
    a_credential_is_valid_from_the_approval_of_its_code_until_it_is_revoked,
    a_code_expires_and_is_then_given_to_another_tablet,
    there_are_only_so_many_codes_at_a_time,
    pads_are_listed_by_store_and_name_page_by_page,
    a_pad_of_a_deleted_store_is_revoked_also_if_the_store_is_made_again,
    what_is_due_is_deleted,
}

//! Reservations by their time, and the search by words.

use super::*;

/// Logs a call, and saves its reservation for this Unix second.
async fn reserve(opened: &OpenLog, seq: &str, name: &str, at: Option<i64>) -> Uuid {
    let caller = format!("0101234567{seq}");
    let ring = [("seq", seq), ("sdt", "20261123142530"), ("fromn", &*caller), ("vn", "050712345678")];
    let call = opened.log.ingest(record(&ring)).await.unwrap().call_id;
    save(opened, call, name, Some(at)).await;
    call
}

/// `None`: takes the reservation back.
async fn save(opened: &OpenLog, call: Uuid, name: &str, at: Option<Option<i64>>) {
    let reservation =
        at.map(|at| Reservation { customer_name: name.to_owned(), at, ..Reservation::default() });
    let action = Action::Note(format!("{name} 님"), reservation);
    opened.log.act(act(call, action, Uuid::new_v4().as_u128())).await.unwrap();
}

fn of_day() -> ReservationQuery {
    ReservationQuery { store_id: "gangnam".to_owned(), from: 1_000, until: 2_000, limit: 100, after: None }
}

/// The customers of a page of reservations, and where the next page continues.
async fn page(opened: &OpenLog, query: ReservationQuery) -> (Vec<String>, Option<PageMark>) {
    let (calls, next) = opened.log.reader().reservations(query).await.unwrap().unwrap();
    let name = |call: &Vec<u8>| v1::Call::decode(call.as_slice()).unwrap().reservation.unwrap().customer_name;
    (calls.iter().map(name).collect(), next)
}

async fn reservations_are_found_by_their_time_changed_and_taken_back(backend: Backend) {
    let (place, opened) = with_store(backend).await;
    let late = reserve(&opened, "1", "late", Some(1_999)).await;
    let early = reserve(&opened, "2", "early", Some(1_000)).await;
    reserve(&opened, "3", "next day", Some(2_000)).await;
    reserve(&opened, "4", "undecided", None).await;
    reserve(&opened, "5", "with early", Some(1_000)).await;
    assert_eq!(
        page(&opened, of_day()).await,
        (vec!["early".into(), "with early".into(), "late".into()], None)
    );
    let (first, next) = page(&opened, ReservationQuery { limit: 2, ..of_day() }).await;
    assert_eq!(first, ["early", "with early"]);
    assert!(next.is_some());
    assert_eq!(
        page(&opened, ReservationQuery { limit: 2, after: next, ..of_day() }).await,
        (vec!["late".into()], None)
    );
    save(&opened, late, "soon", Some(Some(1_001))).await;
    save(&opened, early, "nobody", None).await;
    opened.close().await;
    let opened = place.open().await;
    assert_eq!(page(&opened, of_day()).await.0, ["with early", "soon"]);
    let nowhere = ReservationQuery { store_id: "busan".to_owned(), ..of_day() };
    assert!(opened.log.reader().reservations(nowhere).await.unwrap().is_none());
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    assert!(opened.log.reader().reservations(of_day()).await.unwrap().is_none());
    while opened.log.purge(i64::MIN / 10_000).await.unwrap() {}
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert_eq!(page(&opened, of_day()).await, (vec![], None));
    opened.close().await;
}

async fn a_call_is_kept_until_its_reservation_is_old(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let now = 1_800_000_000;
    let ahead = ReservationQuery { from: 0, until: i64::MAX, ..of_day() };
    reserve(&opened, "1", "ahead", Some(now + 1_000)).await;
    reserve(&opened, "2", "undecided", None).await;
    while opened.log.purge(now).await.unwrap() {}
    assert_eq!(page(&opened, ahead.clone()).await.0, ["ahead"]);
    assert_eq!(opened.calls("gangnam").await.len(), 1);
    while opened.log.purge(now + 2_000).await.unwrap() {}
    assert_eq!(page(&opened, ahead).await, (vec![], None));
    assert_eq!(opened.calls("gangnam").await.len(), 0);
    opened.close().await;
}

async fn calls_are_found_by_words(backend: Backend) {
    let place = Place::new(backend).await;
    let capacity = LogCapacity { page_looks: 600, ..LogCapacity::default() };
    let opened = place.open_with(&capacity, &mut Registry::default()).await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    reserve(&opened, "1", "김민수", Some(1_000)).await;
    reserve(&opened, "2", "이영희", None).await;
    let search = |typed: &str, suffix: &str, states: &[CallState]| CallQuery {
        words: SearchWords::parse(typed).unwrap(),
        caller_suffix: suffix.to_owned(),
        states: states.iter().map(|state| *state as i32).collect(),
        ..any_call()
    };
    let names = async |query| {
        let calls = opened.found(query).await.into_iter();
        calls.map(|call| call.reservation.unwrap().customer_name).collect::<Vec<_>>()
    };
    assert_eq!(names(search("민수", "", &[])).await, ["김민수"]);
    assert_eq!(names(search("010 1234 님", "", &[])).await, ["이영희", "김민수"]);
    assert_eq!(names(search("님", "5672", &[CallState::Ringing])).await, ["이영희"]);
    assert_eq!(names(search("님", "9999", &[])).await, [""; 0]);
    assert_eq!(names(search("님", "", &[CallState::Missed])).await, [""; 0]);
    // A page that has looked at as many calls as it may is short, and the next one continues.
    for seq in 10..710 {
        opened.status(ring(&seq.to_string(), "20261124142530")).await;
    }
    let first = opened.log.reader().calls(search("민수", "", &[])).await.unwrap().unwrap();
    assert!(first.calls.is_empty() && first.next.is_some());
    let second = CallQuery { after: first.next, ..search("민수", "", &[]) };
    assert_eq!(names(second).await, ["김민수"]);
    opened.close().await;
}

on_each_backend! {
    reservations_are_found_by_their_time_changed_and_taken_back,
    a_call_is_kept_until_its_reservation_is_old,
    calls_are_found_by_words,
}

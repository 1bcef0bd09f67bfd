//! The adopter's customers.

use super::*;
use crate::customer::{Customer, CustomerEntry, CustomerNumber, Earlier};

fn customer(id: &str, name: &str, numbers: &[&str]) -> CustomerEntry {
    let number = |number: &&str| CustomerNumber::new(&PhoneNumber::parse(number).unwrap());
    CustomerEntry {
        customer: Customer {
            id: id.to_owned(),
            name: name.to_owned(),
            car_number: format!("12가 {id}"),
            note: format!("{name} 님"),
        },
        numbers: numbers.iter().map(number).collect(),
        earlier: Earlier::default(),
    }
}

fn known(id: &str, name: &str, calls: u32, last_call: i64, last_note: &str) -> CustomerEntry {
    let earlier = Earlier { calls, last_call: Some(last_call), last_note: last_note.to_owned() };
    CustomerEntry { earlier, ..customer(id, name, &["010-1234-5678"]) }
}

impl OpenLog {
    async fn import(&self, entries: &[CustomerEntry]) -> Vec<CustomerChange> {
        let import = CustomerImport { store_id: "gangnam".to_owned(), entries: entries.to_vec() };
        let plan = self.log.reader().plan_customers(import.clone()).await.unwrap();
        let done = self.log.import_customers(import).await.unwrap();
        assert_eq!(plan, done);
        done.unwrap()
    }

    async fn customers(&self, after: &str, limit: u32) -> Vec<CustomerEntry> {
        self.log.reader().customers("gangnam".to_owned(), after.to_owned(), limit).await.unwrap().unwrap()
    }

    /// The newest event's call.
    async fn newest(&self) -> v1::Call {
        self.updates("gangnam").await.pop().unwrap().call.unwrap()
    }
}

fn names(call: &v1::Call) -> Vec<&str> {
    call.customers.iter().map(|customer| customer.name.as_str()).collect()
}

async fn the_first_event_of_a_ring_has_the_customers_of_its_caller(backend: Backend) {
    use CustomerChange::{Changed, Created, Unchanged};
    let (place, opened) = with_store(backend).await;
    let all = [
        customer("a", "김민수", &["010-1234-5678", "02-555-0101"]),
        customer("b", "이영희", &["+82 10 1234 5678"]),
        customer("c", "박철수", &["010-9999-0000"]),
    ];
    assert_eq!(opened.import(&all).await, [Created, Created, Created]);
    assert_eq!(opened.customers("", 10).await, all);
    assert_eq!(opened.customers("a", 1).await, all[1..2]);
    opened.status(ring("1", "20261123142530")).await;
    let call = opened.newest().await;
    assert_eq!(names(&call), ["김민수", "이영희"]);
    assert_eq!(call.customers[0], v1::Customer::from(all[0].customer.clone()));
    assert_eq!(call.history, Some(v1::CallerHistory::default()), "its first call");
    // A change counts from the next call on; a call that is known keeps what was known then.
    let renamed = [
        CustomerEntry {
            customer: Customer { name: "김민서".to_owned(), ..all[0].customer.clone() },
            ..all[0].clone()
        },
        all[1].clone(),
        customer("c", "박철수", &["010-1234-5678"]),
    ];
    assert_eq!(opened.import(&renamed).await, [Changed, Unchanged, Changed]);
    assert_eq!(opened.import(&all[2..]).await, [Changed], "it has the other number again");
    opened.status(end("1", "20261123142530", &[])).await;
    assert_eq!(names(&opened.newest().await), ["김민수", "이영희"]);
    opened.close().await;
    let opened = place.open().await;
    opened.status(ring("2", "20261123142530")).await;
    assert_eq!(names(&opened.newest().await), ["김민서", "이영희"]);
    assert_eq!(opened.newest().await.history.unwrap().calls, 1);
    opened.close().await;
}

async fn a_call_shows_five_customers_at_most(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let family: Vec<_> = (1..=7).map(|id| customer(&id.to_string(), "김", &["010-1234-5678"])).collect();
    opened.import(&family).await;
    opened.status(ring("1", "20261123142530")).await;
    let call = opened.newest().await;
    let ids: Vec<_> = call.customers.iter().map(|customer| customer.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);
    opened.close().await;
}

async fn what_an_older_system_knew_counts_until_a_pad_knows_better(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened
        .import(&[known("a", "김민수", 3, 1_700_000_000, ""), known("b", "김민지", 2, 1_600_000_000, "흰색")])
        .await;
    let first = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    let history = opened.newest().await.history.unwrap();
    let at = |history: &v1::CallerHistory| history.last_call_at.as_ref().unwrap().seconds;
    assert_eq!((history.calls, at(&history), &*history.last_note), (3, 1_700_000_000, "흰색"));
    opened.log.act(act(first, Action::Note("검은색".to_owned(), None), 1)).await.unwrap();
    opened.status(ring("2", "20261124142530")).await;
    let history = opened.newest().await.history.unwrap();
    let began = opened.calls("gangnam").await.pop().unwrap().started_at.unwrap().seconds;
    assert_eq!((history.calls, at(&history), &*history.last_note), (4, began, "검은색"));
    opened.close().await;
}

async fn a_caller_in_nobody_s_records_is_who_the_newest_reservation_was_for(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let first = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    assert_eq!(names(&opened.newest().await), [""; 0]);
    let reservation = Reservation {
        customer_name: "최유진".to_owned(),
        car_number: "34나 7890".to_owned(),
        ..Reservation::default()
    };
    opened.log.act(act(first, Action::Note(String::new(), Some(reservation)), 1)).await.unwrap();
    opened.status(ring("2", "20261124142530")).await;
    let saved = opened.newest().await.customers;
    assert_eq!(
        (saved.len(), &*saved[0].id, &*saved[0].name, &*saved[0].car_number),
        (1, "", "최유진", "34나 7890")
    );
    opened.import(&[customer("a", "최유나", &["010-1234-5678"])]).await;
    opened.status(ring("3", "20261125142530")).await;
    assert_eq!(names(&opened.newest().await), ["최유나"], "the adopter's record");
    opened.close().await;
}

async fn a_reservation_that_is_taken_back_leaves_who_it_was_for(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let first = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    let agreed = Reservation { customer_name: "최유진".to_owned(), at: Some(1), ..Reservation::default() };
    opened.log.act(act(first, Action::Note(String::new(), Some(agreed)), 1)).await.unwrap();
    opened.log.act(act(first, Action::Note(String::new(), None), 2)).await.unwrap();
    let second = opened.log.ingest(ring("2", "20261124142530")).await.unwrap().call_id;
    let call = opened.newest().await;
    assert_eq!((names(&call), &call.history.as_ref().unwrap().last_reservation), (vec!["최유진"], &None));
    // A name that the adopter's record does not have.
    opened.import(&[customer("a", "", &["010-1234-5678"])]).await;
    opened.status(ring("3", "20261125142530")).await;
    assert_eq!(names(&opened.newest().await), ["최유진"]);
    opened.log.delete_customer("gangnam".to_owned(), "a".to_owned()).await.unwrap();
    // Whoever takes back a name alone means the name.
    let name = Reservation { customer_name: "최유나".to_owned(), ..Reservation::default() };
    opened.log.act(act(second, Action::Note(String::new(), Some(name)), 3)).await.unwrap();
    opened.log.act(act(second, Action::Note(String::new(), None), 4)).await.unwrap();
    opened.status(ring("4", "20261126142530")).await;
    assert_eq!(names(&opened.newest().await), [""; 0]);
    opened.close().await;
}

async fn a_customer_is_deleted_and_none_is_left_of_a_deleted_store(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened
        .import(&[customer("a", "김민수", &["010-1234-5678"]), customer("b", "이영희", &["010-1234-5678"])])
        .await;
    let delete = async |store: &str, id: &str| {
        opened.log.delete_customer(store.to_owned(), id.to_owned()).await.unwrap()
    };
    assert_eq!(delete("gangnam", "a").await, Deleted::Done);
    assert_eq!(delete("gangnam", "a").await, Deleted::NoSuchCustomer);
    assert_eq!(delete("gangnam", "\0").await, Deleted::NoSuchCustomer);
    assert_eq!(delete("busan", "b").await, Deleted::NoSuchStore);
    opened.status(ring("1", "20261123142530")).await;
    assert_eq!(names(&opened.newest().await), ["이영희"]);
    opened.log.delete_store("gangnam".to_owned()).await.unwrap();
    let import = CustomerImport { store_id: "gangnam".to_owned(), entries: vec![] };
    assert_eq!(opened.log.import_customers(import).await.unwrap(), None);
    let listed = opened.log.reader().customers("gangnam".to_owned(), String::new(), 10).await.unwrap();
    assert_eq!(listed, None);
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    assert_eq!(opened.customers("", 10).await, []);
    opened.status(ring("2", "20261123142530")).await;
    assert_eq!(names(&opened.calls("gangnam").await[0]), [""; 0]);
    // All rows of the deleted store go, the store among them.
    while opened.log.purge(i64::MIN / 10_000).await.unwrap() {}
    opened.import(&[customer("c", "김", &["010-1234-5678"])]).await;
    opened.close().await;
}

async fn a_store_does_not_see_another_one_s_customers(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened.log.upsert_store(store("busan", "+8250799990009", "+82515551001"), Moving::Refused).await.unwrap();
    opened.import(&[customer("a", "김민수", &["010-1234-5678"])]).await;
    let other = [("seq", "1"), ("sdt", "20261123142530"), ("fromn", "01012345678"), ("vn", "050799990009")];
    opened.status(record(&other)).await;
    let call = opened.updates("busan").await.pop().unwrap().call.unwrap();
    assert_eq!(names(&call), [""; 0]);
    opened.close().await;
}

async fn what_a_pad_writes_about_a_caller_is_shown_now_and_at_the_next_call(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    opened.import(&[known("a", "김민수", 3, 1_700_000_000, "흰색")]).await;
    let write = |id: &str, name: &str| {
        Action::Customer(Customer { id: id.to_owned(), name: name.to_owned(), ..Customer::default() })
    };
    let act = async |call, action, request| opened.log.act(act(call, action, request)).await.unwrap();
    let call = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    // The adopter's record is changed, and keeps its numbers and what an older system knew.
    act(call, write("a", "김민서"), 1).await;
    assert_eq!(names(&opened.newest().await), ["김민서"]);
    // Someone else with the same phone; a repeat makes no third one.
    for _ in 0..2 {
        act(call, write("", "김민지"), 2).await;
    }
    let positions = opened.updates("gangnam").await.len();
    assert_eq!(act(call, write("b", "nobody"), 3).await, ActionOutcome::NoSuchCustomer);
    assert!(matches!(act(call, write("a", "김민서"), 4).await, ActionOutcome::Done(_)));
    assert_eq!(opened.updates("gangnam").await.len(), positions, "neither has changed anything");
    opened.status(ring("2", "20261124142530")).await;
    let next = opened.newest().await;
    assert_eq!(names(&next), ["김민서", "김민지"]);
    assert!(next.customers[1].id.starts_with("pad-"));
    let history = next.history.unwrap();
    assert_eq!((history.calls, &*history.last_note), (4, "흰색"));
    // A caller without a number is shown in this call alone.
    let withheld = [("seq", "3"), ("sdt", "20261124142530"), ("fromn", "P"), ("vn", "050712345678")];
    let call = opened.log.ingest(record(&withheld)).await.unwrap().call_id;
    act(call, write("", "박철수"), 5).await;
    assert_eq!(names(&opened.newest().await), ["박철수"]);
    assert_eq!(opened.customers("", 10).await.len(), 2);
    opened.close().await;
}

async fn a_customer_whom_a_pad_names_replaces_what_a_reservation_said(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let first = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    let reservation = Reservation { customer_name: "최유진".to_owned(), ..Reservation::default() };
    opened.log.act(act(first, Action::Note(String::new(), Some(reservation)), 1)).await.unwrap();
    let second = opened.log.ingest(ring("2", "20261124142530")).await.unwrap().call_id;
    let named = Customer { name: "최유나".to_owned(), ..Customer::default() };
    opened.log.act(act(second, Action::Customer(named), 2)).await.unwrap();
    assert_eq!(names(&opened.newest().await), ["최유나"]);
    opened.status(ring("3", "20261125142530")).await;
    assert_eq!(names(&opened.newest().await), ["최유나"]);
    opened.close().await;
}

async fn a_record_of_the_adopter_replaces_what_a_pad_wrote_about_the_same_person(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let written = |name: &str, car: &str| {
        Action::Customer(Customer {
            name: name.to_owned(),
            car_number: car.to_owned(),
            ..Customer::default()
        })
    };
    let first = opened.log.ingest(ring("1", "20261123142530")).await.unwrap().call_id;
    for (request, action) in (1..).zip([
        written("김민수", "12가 a"),
        // The adopter's record has another car, and another name.
        written("김민수", "34나 7890"),
        written("김민지", ""),
    ]) {
        opened.log.act(act(first, action, request)).await.unwrap();
    }
    opened.import(&[customer("a", "김민수", &["010-1234-5678"])]).await;
    opened.status(ring("2", "20261124142530")).await;
    let call = opened.newest().await;
    let mut known: Vec<_> = call.customers.iter().map(|known| (&*known.name, &*known.car_number)).collect();
    known.sort_unstable();
    assert_eq!(known, [("김민수", "12가 a"), ("김민수", "34나 7890"), ("김민지", "")]);
    assert_eq!(call.customers[0].id, "a");
    // Read from a list and imported again, a pad's record stays.
    let listed = opened.customers("", 10).await;
    opened.import(&listed).await;
    assert_eq!(opened.customers("", 10).await, listed);
    // Also if the pad writes it when the adopter's record is there, which its call did not show yet.
    opened.log.act(act(first, written("김민수", "12가 a"), 4)).await.unwrap();
    assert_eq!(opened.customers("", 10).await.len(), 4);
    opened.import(&[customer("a", "김민수", &["010-1234-5678"])]).await;
    assert_eq!(opened.customers("", 10).await, listed);
    // The adopter's own records are left alone, whatever their ids.
    let own = ["PAD-1", "pad-1"].map(|id| customer(id, "", &["010-1234-5678"]));
    let own = own.map(|mut own| {
        own.customer.car_number.clear();
        own
    });
    opened.import(&own).await;
    opened.import(&[customer("b", "", &["010-1234-5678"])]).await;
    assert_eq!(opened.customers("", 10).await.len(), 6);
    opened.close().await;
}

async fn what_a_pad_wrote_before_the_number_came_is_found_by_the_number(backend: Backend) {
    let (_place, opened) = with_store(backend).await;
    let begun = |caller| {
        record(&[("seq", "1"), ("sdt", "20261123142530"), ("fromn", caller), ("vn", "050712345678")])
    };
    let call = opened.log.ingest(begun("P")).await.unwrap().call_id;
    let named = Customer { name: "박철수".to_owned(), ..Customer::default() };
    opened.log.act(act(call, Action::Customer(named), 1)).await.unwrap();
    let agreed = Reservation { service: "손세차".to_owned(), at: Some(1), ..Reservation::default() };
    opened.log.act(act(call, Action::Note("단골".to_owned(), Some(agreed)), 2)).await.unwrap();
    opened.import(&[customer("a", "박철수", &["010-1234-5678"])]).await;
    let end = [("edt", "20261123142630"), ("cstat", "1")];
    let known = [("seq", "1"), ("sdt", "20261123142530"), ("fromn", "01012345678"), ("vn", "050712345678")];
    assert_eq!(opened.log.ingest(record(&[&known[..], &end].concat())).await.unwrap().call_id, call);
    assert_eq!(names(&opened.newest().await), ["박철수", "박철수"]);
    opened.status(ring("2", "20261124142530")).await;
    let next = opened.newest().await;
    assert_eq!(names(&next), ["박철수", "박철수"]);
    let history = next.history.unwrap();
    assert_eq!((history.calls, &*history.last_note), (1, "단골"));
    assert_eq!(history.last_reservation.unwrap().service, "손세차");
    opened.close().await;
}

async fn a_dry_run_of_two_entries_with_one_id_says_what_the_import_does(backend: Backend) {
    use CustomerChange::{Changed, Created, Unchanged};
    let (_place, opened) = with_store(backend).await;
    let one = customer("a", "김민수", &["010-1234-5678"]);
    let other = customer("a", "김민서", &["010-1234-5678"]);
    assert_eq!(opened.import(&[one, other.clone(), other]).await, [Created, Changed, Unchanged]);
    opened.close().await;
}

on_each_backend! {
    a_record_of_the_adopter_replaces_what_a_pad_wrote_about_the_same_person,
    what_a_pad_wrote_before_the_number_came_is_found_by_the_number,
    a_dry_run_of_two_entries_with_one_id_says_what_the_import_does,
    the_first_event_of_a_ring_has_the_customers_of_its_caller,
    a_call_shows_five_customers_at_most,
    what_an_older_system_knew_counts_until_a_pad_knows_better,
    a_caller_in_nobody_s_records_is_who_the_newest_reservation_was_for,
    a_reservation_that_is_taken_back_leaves_who_it_was_for,
    a_customer_is_deleted_and_none_is_left_of_a_deleted_store,
    what_a_pad_writes_about_a_caller_is_shown_now_and_at_the_next_call,
    a_customer_whom_a_pad_names_replaces_what_a_reservation_said,
    a_store_does_not_see_another_one_s_customers,
}

//! What a store knows of a caller from earlier calls.

use ringpad_proto::v1;
use serde::{Deserialize, Serialize};

use super::{action::NamedCustomer, pad_state::PadState, timestamps::timestamp};
use crate::{
    customer::{Customer, KnownCustomer, SHOWN},
    phone::PhoneNumber,
    store::StoreKey,
};

/// What the store knew of the caller when the call came in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) calls: u32,
    /// In Unix seconds.
    pub(crate) last_call: Option<i64>,
    pub(crate) last_note: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_reservation: Option<Reservation>,
    /// Who calls. Kept in the call as pads see it, and not once more here: an accept would write a tenth more.
    #[serde(skip)]
    pub(crate) customers: Vec<Customer>,
}

impl History {
    /// Adds the adopter's records of the caller. A caller who is in none of them, or has no name there, is who the newest reservation
    /// was for. Of a reservation that was taken back only that is left.
    pub(crate) fn with_customers(mut self, known: Vec<KnownCustomer>) -> Self {
        // Each of several people with one number has the calls of that number.
        let calls = known.iter().map(|known| known.earlier.calls).max().unwrap_or_default();
        self.calls = self.calls.saturating_add(calls);
        self.last_call = known.iter().filter_map(|known| known.earlier.last_call).chain(self.last_call).max();
        if self.last_note.is_empty() {
            let mut notes = known.iter().map(|known| &known.earlier.last_note);
            self.last_note = notes.find(|note| !note.is_empty()).cloned().unwrap_or_default();
        }
        self.customers = known.into_iter().map(|known| known.customer).collect();
        if let Some(reserved_for) = self.last_reservation.as_ref().and_then(Reservation::customer) {
            match &mut *self.customers {
                [] => self.customers.push(reserved_for),
                [nameless] if nameless.name.is_empty() => nameless.name = reserved_for.name,
                _ => {}
            }
        }
        self.last_reservation = self.last_reservation.filter(Reservation::is_agreed);
        self
    }

    /// Adds customers whom a pad named before the caller's number was known.
    pub(super) fn add_named(&mut self, named: &[NamedCustomer]) {
        if named.is_empty() {
            return;
        }
        // Who a reservation was for is known better now.
        self.customers.retain(|known| !known.id.is_empty());
        self.customers.truncate(SHOWN.saturating_sub(named.len()));
        self.customers.extend(named.iter().map(|named| named.customer.clone()));
    }
}

/// What a caller and the shop agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The customer.
    pub customer_name: String,
    /// The car.
    pub car_number: String,
    /// What is to be done.
    pub service: String,
    /// When, in Unix seconds.
    pub at: Option<i64>,
}

impl Reservation {
    /// Whether it says what is to be done, or when. If not, it only says who the caller is.
    fn is_agreed(&self) -> bool {
        !self.service.is_empty() || self.at.is_some()
    }

    /// What is left when it is taken back: who it was for. A pad that takes back a name alone means the name.
    fn taken_back(self) -> Option<Self> {
        let is_for_somebody = self.customer().is_some();
        let left = Self { service: String::new(), at: None, ..self.clone() };
        (self.is_agreed() && is_for_somebody).then_some(left)
    }

    /// Who it is for, if it says so.
    fn customer(&self) -> Option<Customer> {
        let (name, car_number) = (self.customer_name.clone(), self.car_number.clone());
        (!name.is_empty() || !car_number.is_empty()).then(|| Customer {
            name,
            car_number,
            ..Customer::default()
        })
    }
}

impl From<Reservation> for v1::Reservation {
    fn from(reservation: Reservation) -> Self {
        let Reservation { customer_name, car_number, service, at } = reservation;
        Self { customer_name, car_number, service, at: at.map(timestamp) }
    }
}

/// What a note changes in what the store knows of the caller; the caller's next call shows it. A reservation without a note
/// leaves an earlier call's note as it is, and the other way round: an empty value only takes back what was
/// written on the same call.
#[derive(Debug)]
pub(crate) struct CallerChange {
    pub(crate) store: StoreKey,
    pub(crate) caller: PhoneNumber,
    pub(crate) note: String,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) keeps_note: bool,
    pub(crate) keeps_reservation: bool,
}

impl CallerChange {
    /// `before`: what the call had until now.
    pub(super) fn new(
        (store, caller): (StoreKey, PhoneNumber),
        before: Written,
        note: &str,
        reservation: Option<&Reservation>,
    ) -> Self {
        let keeps_note = note.is_empty() && !before.note;
        let keeps_reservation = reservation.is_none() && before.reservation.is_none();
        let reservation = reservation.cloned().or_else(|| before.reservation?.taken_back());
        Self { store, caller, note: note.to_owned(), reservation, keeps_note, keeps_reservation }
    }

    /// What is written on a call whose caller was not known until now.
    pub(super) fn of_call((store, caller): (StoreKey, PhoneNumber), written: &PadState) -> Self {
        let PadState { note, reservation, .. } = written;
        let (keeps_note, keeps_reservation) = (note.is_empty(), reservation.is_none());
        Self {
            store,
            caller,
            note: note.clone(),
            reservation: reservation.clone(),
            keeps_note,
            keeps_reservation,
        }
    }
}

/// What was written on a call before.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) note: bool,
    pub(super) reservation: Option<Reservation>,
}

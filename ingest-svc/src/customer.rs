//! The customers of a store: people in the adopter's own records, found by the numbers that they call from. Pure: no database, no
//! clock.

use std::{collections::BTreeSet, fmt};

use ringpad_proto::v1;

use crate::phone::{PhoneNumber, mask_text};

/// Customers of one number that a call shows, by id.
pub(crate) const SHOWN: usize = 5;

/// How the ids of customers begin that pads have made, and not the adopter; a UUID follows. Imports look for this form, in SQL.
pub(crate) const FROM_A_PAD: &str = "pad-";

/// A person, as pads see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Customer {
    /// Of the adopter's records, or [`FROM_A_PAD`] and a UUID; empty if a pad saved the customer with a reservation.
    pub id: String,
    /// What people call the customer.
    pub name: String,
    /// The car.
    pub car_number: String,
    /// What the shop should know.
    pub note: String,
}

impl From<v1::Customer> for Customer {
    fn from(customer: v1::Customer) -> Self {
        let v1::Customer { id, name, car_number, note } = customer;
        Self { id, name, car_number, note }
    }
}

impl From<Customer> for v1::Customer {
    fn from(customer: Customer) -> Self {
        let Customer { id, name, car_number, note } = customer;
        Self { id, name, car_number, note }
    }
}

/// What an older system knew of a customer's calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// How many there were.
    pub calls: u32,
    /// When the last of them began, in Unix seconds.
    pub last_call: Option<i64>,
    /// What was noted then.
    pub last_note: String,
}

/// A customer and what an older system knew: what an accept reads of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownCustomer {
    pub(crate) customer: Customer,
    pub(crate) earlier: Earlier,
}

/// A number that a customer calls from. Masked in `Debug`. Ordered by E.164.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CustomerNumber {
    e164: Box<str>,
    display: Box<str>,
}

impl CustomerNumber {
    /// A number without its extension.
    pub fn new(number: &PhoneNumber) -> Self {
        Self { e164: number.e164().into(), display: number.national().into() }
    }

    /// A number as the log keeps it.
    pub(crate) fn from_log(e164: impl Into<Box<str>>, display: impl Into<Box<str>>) -> Self {
        Self { e164: e164.into(), display: display.into() }
    }

    /// The whole number in E.164.
    pub(crate) fn e164(&self) -> &str {
        &self.e164
    }

    /// The whole number as people write it.
    pub fn display(&self) -> &str {
        &self.display
    }
}

impl fmt::Debug for CustomerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_text(&self.display))
    }
}

/// Everything that is known of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerEntry {
    /// The person.
    pub customer: Customer,
    /// Each once.
    pub numbers: BTreeSet<CustomerNumber>,
    /// From an older system.
    pub earlier: Earlier,
}

impl CustomerEntry {
    /// Rows that it has in the log.
    pub(crate) fn weight(&self) -> usize {
        1 + self.numbers.len()
    }

    /// What it is to write this entry, if the log has `existing`.
    pub(crate) fn change(&self, existing: Option<&Self>) -> CustomerChange {
        match existing {
            None => CustomerChange::Created,
            Some(existing) if existing == self => CustomerChange::Unchanged,
            Some(_) => CustomerChange::Changed,
        }
    }
}

/// What became of a customer that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerChange {
    /// It did not exist before.
    Created,
    /// Something has changed.
    Changed,
    /// Nothing has.
    Unchanged,
}

/// What became of the order to delete a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is deleted.
    Done,
    /// The store has no such customer.
    NoSuchCustomer,
    /// There is no such store.
    NoSuchStore,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_masked_where_it_is_printed() {
        let number = CustomerNumber::from_log("+821012345678", "010-1234-5678");
        assert_eq!(format!("{number:?}"), "010-****-5678");
    }
}

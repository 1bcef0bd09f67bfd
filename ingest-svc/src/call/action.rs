//! What a pad does to a call: claim, release, close, reopen, note, and who the caller is. The first claim wins, and a request that comes twice is
//! done once. An action that changes something becomes an event; an action that changes nothing does not.

use prost::Message;
use uuid::Uuid;

use super::{
    encode::encode_update,
    event::NewEvent,
    facts::Call,
    history::CallerChange,
    merge::Popup,
    pad_state::{ActingPad, Action, Claim},
};
use crate::{
    customer::{Customer, CustomerNumber, FROM_A_PAD, SHOWN},
    store::{Directory, StoreKey},
};

/// A pad's action on a call of its own store.
#[derive(Debug, Clone)]
pub struct ActionRequest {
    /// The pad's store.
    pub store_id: String,
    /// The call.
    pub call_id: Uuid,
    /// The pad.
    pub pad: ActingPad,
    /// What it does.
    pub action: Action,
    /// A repeat with the same id is the same action.
    pub request_id: Uuid,
    /// When ingest-svc received it.
    pub received_at: jiff::Timestamp,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionOutcome {
    /// Done, now or by an earlier request with this id: the call as it now is, an encoded `ringpad.v1.Call`.
    Done(Vec<u8>),
    /// Another pad has claimed the call.
    ClaimedBy(Claim),
    /// The store has no such call, or there is no such store.
    NoSuchCall,
    /// The call has no customer with this id.
    NoSuchCustomer,
}

/// What an action has done to its call, and what a backend stores of that.
#[derive(Debug)]
pub(crate) enum Applied {
    /// The call's store was deleted. Nothing is stored.
    NoSuchCall,
    /// The call has no customer with this id. Nothing is stored.
    NoSuchCustomer,
    /// Another pad has claimed the call. Nothing is stored.
    ClaimedBy(Claim),
    /// An earlier request with this id was the same action. Nothing is stored; the answer is the call as pads see it.
    Repeat,
    /// Pads see the call as before, with its former revision: that is the answer. The call is stored all the same, because it
    /// remembers the request: done later, it might change something.
    Unchanged,
    /// Pads see a change. The call is stored, and the event.
    Changed(Box<ActionChange>),
}

/// What an action has changed.
#[derive(Debug)]
pub(crate) struct ActionChange {
    /// What the caller's next call shows, if that is changed, too.
    pub(crate) caller: Option<CallerChange>,
    /// Who the caller is, if a pad has written that.
    pub(crate) customer: Option<NamedCustomer>,
    /// The time of its reservation, if a pad has written that; `Some(None)`: there is none, or none any more.
    pub(crate) reserved: Option<Option<i64>>,
    /// The call as pads see it, an encoded `ringpad.v1.Call`: the answer.
    pub(crate) seen: Vec<u8>,
    pub(crate) event: NewEvent,
}

/// Does an action.
pub(crate) fn apply(call: &mut Call, request: &ActionRequest, directory: &Directory) -> Applied {
    let Some(next) = call.store.and_then(|store| directory.next_position(store)) else {
        return Applied::NoSuchCall;
    };
    let state = &mut call.facts.pad_state;
    if state.has_done(request.request_id) {
        return Applied::Repeat;
    }
    let before = state.written();
    let is_changed = match &request.action {
        Action::Customer(customer) => match change_customer(call, customer, request.request_id) {
            Some(is_changed) => is_changed,
            None => return Applied::NoSuchCustomer,
        },
        action => match state.change(action, &request.pad, request.received_at) {
            Ok(is_changed) => is_changed,
            Err(claim) => return Applied::ClaimedBy(claim),
        },
    };
    call.facts.pad_state.remember(request.request_id);
    if !is_changed {
        return Applied::Unchanged;
    }
    let customer = named_customer(call, request, next.store);
    let caller = match (&request.action, call.facts.caller_number()) {
        (Action::Note(note, reservation), Some(caller)) => {
            let caller = (next.store, caller.clone());
            Some(CallerChange::new(caller, before, note, reservation.as_ref()))
        }
        _ => None,
    };
    let reserved = match &request.action {
        Action::Note(_, reservation) => Some(reservation.as_ref().and_then(|reservation| reservation.at)),
        _ => None,
    };
    let seen = call.as_seen(next.position);
    let encoded = seen.encode_to_vec();
    // It does not pop up: pads that were to show the ring have done so.
    let bytes = encode_update(next.position, seen, Popup::None);
    Applied::Changed(Box::new(ActionChange {
        caller,
        customer,
        reserved,
        seen: encoded,
        event: NewEvent { next, bytes, receipt: None },
    }))
}

/// What a pad has written about the caller, for the store's customers.
#[derive(Debug)]
pub(crate) struct NamedCustomer {
    pub(crate) store: StoreKey,
    pub(crate) customer: Customer,
    /// `None`: the caller has no number, so only this call shows it.
    pub(crate) number: Option<CustomerNumber>,
}

/// Changes who the caller is; whether anything has changed. `None`: the call has no such customer.
fn change_customer(call: &mut Call, written: &Customer, request_id: Uuid) -> Option<bool> {
    let known = &mut call.facts.history.get_or_insert_default().customers;
    if let Some(customer) = known.iter_mut().find(|known| !written.id.is_empty() && known.id == written.id) {
        let is_changed = customer != written;
        customer.clone_from(written);
        return Some(is_changed);
    }
    if !written.id.is_empty() {
        return None;
    }
    // What was known from a reservation is now known better.
    known.retain(|known| !known.id.is_empty());
    known.truncate(SHOWN - 1);
    known.push(Customer { id: id_of_new(request_id), ..written.clone() });
    Some(true)
}

/// The id of a customer that a pad makes.
fn id_of_new(request_id: Uuid) -> String {
    format!("{FROM_A_PAD}{request_id}")
}

fn named_customer(call: &Call, request: &ActionRequest, store: StoreKey) -> Option<NamedCustomer> {
    let Action::Customer(written) = &request.action else { return None };
    let id = if written.id.is_empty() { id_of_new(request.request_id) } else { written.id.clone() };
    let number = call.facts.caller_number().map(CustomerNumber::new);
    Some(NamedCustomer { store, customer: Customer { id, ..written.clone() }, number })
}

//! `ActOnCall`: a pad's action, parsed with all its faults at once.

use prost::Message;
use prost_types::Any;
use ringpad_proto::v1::{
    self, ActOnCallRequest, ActOnCallResponse, Call, CustomerAction, NoteAction, PadRef,
    act_on_call_request::Action as Wanted,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use super::status::unavailable;
use crate::{
    bounds::cut,
    call::{ActingPad, Action, ActionOutcome, ActionRequest, Claim, Reservation},
    capacity::{ACTION, CUSTOMER, RECORD},
    customer::Customer,
    log::Log,
};

/// The last second of the year 9999.
const LATEST: i64 = 253_402_300_799;

pub(super) async fn act(log: &Log, request: ActOnCallRequest) -> Result<ActOnCallResponse, Status> {
    let act = parse(request)?;
    match log.act(act).await.map_err(unavailable)? {
        ActionOutcome::Done(call) => {
            let call = Call::decode(call.as_slice());
            let call = call.map_err(|error| {
                Status::data_loss(format!("the log has a call that cannot be read: {error}"))
            })?;
            Ok(ActOnCallResponse { call: Some(call) })
        }
        ActionOutcome::NoSuchCall => Err(Status::not_found("the store has no such call")),
        ActionOutcome::NoSuchCustomer => Err(Status::not_found("the call has no such customer")),
        ActionOutcome::ClaimedBy(claim) => Err(claimed_by(&claim)),
    }
}

/// Which pad has claimed the call: as a message, as a standard detail, and as the claim itself.
fn claimed_by(claim: &Claim) -> Status {
    let ActingPad { id, name } = &claim.by;
    let words = format!("{name} has taken the call");
    let standard = ErrorDetails::with_precondition_failure_violation("CLAIMED", id, name);
    let standard = Status::with_error_details(Code::FailedPrecondition, words, standard);
    // It has just been encoded, so it can be decoded.
    let mut all = tonic_types::Status::decode(standard.details()).unwrap_or_default();
    all.details.push(Any {
        type_url: "type.googleapis.com/ringpad.v1.Claim".to_owned(),
        value: v1::Claim::from(claim).encode_to_vec(),
    });
    Status::with_details(standard.code(), standard.message(), all.encode_to_vec().into())
}

/// The parsed action, or all its faults.
fn parse(request: ActOnCallRequest) -> Result<ActionRequest, Status> {
    let mut faults = ErrorDetails::new();
    let ActOnCallRequest { store_id, call_id, pad: pad_ref, action, request_id } = request;
    let call_id = uuid(SentText { field: "call_id", value: &call_id }, &mut faults);
    let request_id = uuid(SentText { field: "request_id", value: &request_id }, &mut faults);
    let pad = pad(pad_ref.unwrap_or_default(), &mut faults);
    let action = match action {
        Some(Wanted::Claim(_)) => Action::Claim,
        Some(Wanted::Release(_)) => Action::Release,
        Some(Wanted::Close(_)) => Action::Close,
        Some(Wanted::Reopen(_)) => Action::Reopen,
        Some(Wanted::Note(NoteAction { text: note, reservation: sent })) => {
            text(SentText { field: "note.text", value: &note }, ACTION.note, &mut faults);
            let reserved = sent.map(|sent| reservation(sent, &mut faults));
            Action::Note(note, reserved)
        }
        Some(Wanted::Customer(CustomerAction { customer: sent })) => {
            Action::Customer(customer(sent.unwrap_or_default(), &mut faults))
        }
        None => {
            faults.add_bad_request_violation(
                "action",
                "it is missing: claim, release, close, reopen, note or customer is expected",
            );
            Action::Close
        }
    };
    if faults.has_bad_request_violations() {
        return Err(Status::with_error_details(Code::InvalidArgument, "the request is not valid", faults));
    }
    Ok(ActionRequest { store_id, call_id, pad, action, request_id, received_at: jiff::Timestamp::now() })
}

/// The acting pad. A long id is refused, because ids are compared; a long name is cut, because it is only shown.
fn pad(pad: PadRef, faults: &mut ErrorDetails) -> ActingPad {
    let PadRef { id, mut name } = pad;
    if id.is_empty() {
        faults.add_bad_request_violation("pad.id", "it is missing: the acting pad's id is expected");
    } else if id.len() > RECORD.text {
        let most = RECORD.text;
        faults
            .add_bad_request_violation("pad.id", format!("{} bytes: {most} at most are expected", id.len()));
    }
    cut(&mut name, RECORD.text);
    ActingPad { id, name }
}

fn reservation(sent: v1::Reservation, faults: &mut ErrorDetails) -> Reservation {
    let v1::Reservation { customer_name, car_number, service, at } = sent;
    let at = at.map(|at| at.seconds);
    text(
        SentText { field: "note.reservation.customer_name", value: &customer_name },
        ACTION.customer_name,
        faults,
    );
    text(SentText { field: "note.reservation.car_number", value: &car_number }, ACTION.car_number, faults);
    text(SentText { field: "note.reservation.service", value: &service }, ACTION.service, faults);
    if at.is_some_and(|at| !(0..=LATEST).contains(&at)) {
        faults.add_bad_request_violation(
            "note.reservation.at",
            "an instant between the years 1970 and 9999 is expected",
        );
    }
    Reservation { customer_name, car_number, service, at }
}

fn customer(sent: v1::Customer, faults: &mut ErrorDetails) -> Customer {
    let v1::Customer { id, name, car_number, note } = sent;
    let mut line = |field, sent: &str, most| {
        let value = sent.split_whitespace().collect::<Vec<_>>().join(" ");
        text(SentText { field, value: &value }, most, faults);
        if value.chars().any(char::is_control) {
            faults.add_bad_request_violation(field, "control characters: none are expected");
        }
        value
    };
    let name = line("customer.name", &name, CUSTOMER.name);
    let car_number = line("customer.car_number", &car_number, CUSTOMER.car_number);
    let note = line("customer.note", &note, CUSTOMER.note);
    if name.is_empty() && car_number.is_empty() {
        faults.add_bad_request_violation(
            "customer.name",
            "it is missing: a name or a car's number is expected",
        );
    }
    Customer { id, name, car_number, note }
}

/// A text of the request, and the field that has it.
struct SentText<'a> {
    field: &'static str,
    value: &'a str,
}

/// A UUID. After a fault its value is not used.
fn uuid(SentText { field, value }: SentText<'_>, faults: &mut ErrorDetails) -> Uuid {
    Uuid::try_parse(value).unwrap_or_else(|_| {
        faults.add_bad_request_violation(field, format!("{value:?} is not a UUID"));
        Uuid::nil()
    })
}

fn text(SentText { field, value }: SentText<'_>, most: usize, faults: &mut ErrorDetails) {
    let length = value.chars().count();
    if length > most {
        faults.add_bad_request_violation(field, format!("{length} characters: {most} at most are expected"));
    }
}

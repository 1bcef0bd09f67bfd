//! The pad's output: a line of JSON for each message, or lines for people.
//!
//! It has whole phone numbers, as every pad of the store does, and goes to standard output only.

use std::{collections::HashMap, fmt::Write, time::Instant};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use ringpad_proto::v1::{
    Call, CallState, CallerHistory, Claim, Customer, Reservation, Snapshot, SubscribeResponse,
    subscribe_response::Event,
};
use ringpad_runtime::Failure;

use crate::terminal::{harmless, print};

/// Early rings that are remembered until their update comes; normally there are very few.
const EARLY_RINGS: usize = 1_000;

/// How an instant of another day is written.
const DAY_AND_TIME: &str = "%Y-%m-%d %H:%M";

/// Where messages are shown.
pub(super) enum Screen {
    /// For machines.
    Json,
    /// For people.
    People(Board),
    /// For a test.
    #[cfg(test)]
    Observed(std::sync::mpsc::Sender<SubscribeResponse>),
}

/// What a person's screen must remember.
pub(super) struct Board {
    zone: TimeZone,
    /// When this began. The time is counted from here, so that a change of the machine's clock does not matter.
    began: (Timestamp, Instant),
    /// The server's clock minus this machine's.
    ahead: SignedDuration,
    /// Calls shown ahead of their turn, by id: their revision then.
    early: HashMap<String, u64>,
}

impl Screen {
    pub(super) fn json() -> Self {
        Self::Json
    }

    pub(super) fn people() -> Self {
        Self::People(Board {
            zone: TimeZone::system(),
            began: (Timestamp::now(), Instant::now()),
            ahead: SignedDuration::ZERO,
            early: HashMap::new(),
        })
    }

    /// Shows one message.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn show(&mut self, message: &SubscribeResponse) -> Result<(), Failure> {
        match self {
            Self::Json => {
                let line = serde_json::to_string(message)
                    .map_err(|error| Failure::other("cannot write JSON", error))?;
                print(line)
            }
            Self::People(board) => board.lines(message, board.now()).into_iter().try_for_each(print),
            #[cfg(test)]
            Self::Observed(observer) => {
                observer.send(message.clone()).map_err(|error| Failure::other("the test has ended", error))
            }
        }
    }
}

impl Board {
    fn now(&self) -> Timestamp {
        let (at, since) = self.began;
        at.checked_add(since.elapsed()).unwrap_or(at)
    }

    fn lines(&mut self, message: &SubscribeResponse, now: Timestamp) -> Vec<String> {
        match &message.event {
            Some(Event::Snapshot(snapshot)) => {
                self.set_clock(snapshot.server_time.as_ref(), now);
                self.snapshot(snapshot)
            }
            Some(Event::Heartbeat(heartbeat)) => {
                self.set_clock(heartbeat.server_time.as_ref(), now);
                Vec::new()
            }
            Some(Event::Early(early)) => {
                let Some(call) = &early.call else { return Vec::new() };
                if self.early.len() < EARLY_RINGS {
                    self.early.insert(call.id.clone(), call.revision);
                }
                vec![self.line(call, self.pops(early.pop_until.as_ref(), now))]
            }
            Some(Event::Update(update)) => {
                let Some(call) = &update.call else { return Vec::new() };
                if self.early.remove(&call.id) == Some(call.revision) {
                    return Vec::new();
                }
                vec![self.line(call, self.pops(update.pop_until.as_ref(), now))]
            }
            // `PadClient` reports a reconnect; messages of a newer server are not shown.
            Some(Event::Reconnect(_)) | None => Vec::new(),
        }
    }

    fn set_clock(&mut self, server: Option<&ringpad_proto::Timestamp>, now: Timestamp) {
        if let Some(server) = instant(server) {
            self.ahead = server.duration_since(now);
        }
    }

    /// Whether a call is still worth a popup, by the server's clock.
    fn pops(&self, until: Option<&ringpad_proto::Timestamp>, now: Timestamp) -> Popup {
        match (instant(until), now.checked_add(self.ahead)) {
            (Some(until), Ok(server_now)) if until > server_now => Popup::Due,
            _ => Popup::Late,
        }
    }

    fn snapshot(&self, snapshot: &Snapshot) -> Vec<String> {
        let store = snapshot.store.as_ref().map_or("", |store| &store.name);
        if snapshot.resumed {
            return vec![format!(
                "── {}: connected again, from position {}",
                harmless(store),
                snapshot.position
            )];
        }
        let (open, recent) = (&snapshot.open_calls, &snapshot.recent_calls);
        let mut lines = vec![format!(
            "── {}: connected; {} open and {} recent calls",
            harmless(store),
            open.len(),
            recent.len()
        )];
        // Newest last, as a terminal scrolls.
        lines.extend(open.iter().rev().map(|call| self.line(call, Popup::Late)));
        lines
    }

    fn line(&self, call: &Call, popup: Popup) -> String {
        let (word, at) = match (call.state(), popup) {
            (CallState::Ringing, Popup::Due) => ("RINGING ", &call.started_at),
            (CallState::Ringing, Popup::Late) => ("rang    ", &call.started_at),
            (CallState::Answered, _) => ("answered", &call.answered_at),
            (CallState::Completed, _) => ("ended   ", &call.ended_at),
            (CallState::Missed, _) => ("MISSED  ", &call.ended_at),
            (CallState::Unspecified, _) => ("?       ", &call.started_at),
        };
        let at = instant(at.as_ref().or(call.started_at.as_ref()));
        let at = at.map_or_else(|| "--:--:--".to_owned(), |at| self.local(at, "%H:%M:%S"));
        let mut line = format!("{at}  {word}");
        for detail in self.details(call) {
            // Writing to a String cannot fail.
            write!(line, "  {detail}").unwrap_or_default();
        }
        line
    }

    /// Everything in a call except its state and its times.
    fn details(&self, call: &Call) -> Vec<String> {
        let Call {
            id: _,
            revision: _,
            state: _,
            caller,
            virtual_number,
            started_at: _,
            answered_at: _,
            ended_at: _,
            history,
            claim,
            note,
            memo,
            closed,
            reservation,
            pop_until: _,
            customers,
        } = call;
        let mut details = vec![harmless(caller.as_ref().map_or("", |caller| &caller.display))];
        details.extend(customers.iter().map(person));
        if !virtual_number.is_empty() {
            details.push(format!("to {}", harmless(virtual_number)));
        }
        details.extend(history.as_ref().map(|history| self.history(history)));
        if let Some(Claim { pad_id, pad_name, at: _ }) = claim {
            let who = if pad_name.is_empty() { pad_id } else { pad_name };
            details.push(format!("taken by {}", harmless(who)));
        }
        for (what, text) in [("memo", memo), ("note", note)] {
            if !text.is_empty() {
                details.push(format!("{what}: {}", harmless(text)));
            }
        }
        details.extend(reservation.as_ref().map(|reserved| format!("reserved: {}", self.reserved(reserved))));
        if *closed {
            details.push("done".to_owned());
        }
        details
    }

    fn history(&self, history: &CallerHistory) -> String {
        let CallerHistory { calls, last_call_at, last_note, last_reservation } = history;
        let mut text = match calls {
            0 => "first call".to_owned(),
            1 => "1 call before".to_owned(),
            calls => format!("{calls} calls before"),
        };
        if let Some(last) = instant(last_call_at.as_ref()) {
            text = format!("{text}, last {}", self.local(last, DAY_AND_TIME));
        }
        if !last_note.is_empty() {
            text = format!("{text}, {:?}", harmless(last_note));
        }
        if let Some(reserved) = last_reservation {
            text = format!("{text}, last reserved: {}", self.reserved(reserved));
        }
        text
    }

    fn reserved(&self, reservation: &Reservation) -> String {
        let Reservation { customer_name, car_number, service, at } = reservation;
        let at = instant(at.as_ref()).map(|at| self.local(at, DAY_AND_TIME)).unwrap_or_default();
        let parts = [at, harmless(customer_name), harmless(car_number), harmless(service)];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    fn local(&self, instant: Timestamp, format: &str) -> String {
        instant.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

fn person(customer: &Customer) -> String {
    let Customer { id: _, name, car_number, note } = customer;
    let parts = [name, car_number, note].map(|part| harmless(part));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Whether a ring is to be shown as ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Popup {
    Due,
    /// Too late for a popup, or the call is only listed.
    Late,
}

fn instant(timestamp: Option<&ringpad_proto::Timestamp>) -> Option<Timestamp> {
    timestamp.and_then(|timestamp| Timestamp::new(timestamp.seconds, timestamp.nanos).ok())
}

#[cfg(test)]
mod tests {
    use ringpad_proto::v1::{Caller, Early, Heartbeat, StoreRef, Update};

    use super::*;

    fn seconds(seconds: i64) -> Option<ringpad_proto::Timestamp> {
        Some(ringpad_proto::Timestamp { seconds, nanos: 0 })
    }

    fn board() -> Board {
        let began = (Timestamp::UNIX_EPOCH, Instant::now());
        Board { zone: TimeZone::UTC, began, ahead: SignedDuration::ZERO, early: HashMap::new() }
    }

    fn call() -> Call {
        Call {
            id: "a".to_owned(),
            revision: 1,
            state: CallState::Ringing.into(),
            caller: Some(Caller { display: "010-1234-5678".to_owned(), ..Caller::default() }),
            virtual_number: "0507-1234-5678".to_owned(),
            started_at: seconds(3_600),
            history: Some(CallerHistory {
                calls: 2,
                last_call_at: seconds(0),
                last_note: "단골".to_owned(),
                last_reservation: None,
            }),
            ..Call::default()
        }
    }

    fn update(call: Call, pop_until: Option<ringpad_proto::Timestamp>) -> SubscribeResponse {
        let update = Update { position: call.revision, call: Some(call), pop_until };
        SubscribeResponse { event: Some(Event::Update(update)) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn a_ring_shows_the_caller_and_the_history() {
        assert_eq!(
            board().lines(&update(call(), seconds(3_630)), at(3_601)),
            [
                "01:00:00  RINGING   010-1234-5678  to 0507-1234-5678  2 calls before, last 1970-01-01 00:00, \"단골\""
            ]
        );
    }

    #[test]
    fn every_field_of_a_call_is_shown() {
        let reservation = |service: &str| {
            let [customer_name, car_number] = ["김민수", "12가 3456"].map(str::to_owned);
            Some(Reservation { customer_name, car_number, service: service.to_owned(), at: seconds(7_200) })
        };
        let claim = Some(Claim { pad_id: "p".to_owned(), pad_name: "카운터".to_owned(), at: seconds(0) });
        let history = call()
            .history
            .map(|history| CallerHistory { last_reservation: reservation("왁스"), ..history });
        let [memo, note] = ["세차", "흰색"].map(str::to_owned);
        let call =
            Call { claim, history, memo, note, closed: true, reservation: reservation("세차"), ..call() };
        let line = board().lines(&update(call, None), at(3_601)).remove(0);
        assert_eq!(
            line,
            "01:00:00  rang      010-1234-5678  to 0507-1234-5678  2 calls before, last 1970-01-01 00:00, \"단골\", \
             last reserved: 1970-01-01 02:00, 김민수, 12가 3456, 왁스  taken by 카운터  memo: 세차  note: 흰색  \
             reserved: 1970-01-01 02:00, 김민수, 12가 3456, 세차  done"
        );
    }

    #[test]
    fn a_late_ring_does_not_pop_by_the_servers_clock() {
        let mut board = board();
        assert!(board.lines(&update(call(), None), at(3_601))[0].contains("rang"));
        // Ours is an hour behind the server's.
        let heartbeat = Heartbeat { server_time: seconds(7_200), position: 0 };
        assert!(
            board
                .lines(&SubscribeResponse { event: Some(Event::Heartbeat(heartbeat)) }, at(3_600))
                .is_empty()
        );
        assert!(board.lines(&update(call(), seconds(3_630)), at(3_601))[0].contains("rang"));
        assert!(board.lines(&update(call(), seconds(7_230)), at(3_601))[0].contains("RINGING"));
    }

    #[test]
    fn an_early_ring_is_shown_once_and_its_next_state_is_shown_too() {
        let mut board = board();
        let early = Early { call: Some(call()), pop_until: seconds(3_630) };
        assert_eq!(board.lines(&SubscribeResponse { event: Some(Event::Early(early)) }, at(3_601)).len(), 1);
        assert!(board.lines(&update(call(), seconds(3_630)), at(3_602)).is_empty());
        let missed =
            Call { revision: 2, state: CallState::Missed.into(), ended_at: seconds(3_660), ..call() };
        assert!(board.lines(&update(missed, None), at(3_661))[0].starts_with("01:01:00  MISSED"));
    }

    #[test]
    fn a_snapshot_lists_the_open_calls() {
        let store = Some(StoreRef { id: "s".to_owned(), name: "행복\u{7}세차".to_owned() });
        let snapshot = Snapshot { store, open_calls: vec![call()], ..Snapshot::default() };
        let lines = board().lines(&SubscribeResponse { event: Some(Event::Snapshot(snapshot)) }, at(4_000));
        assert_eq!(lines[0], "── 행복 세차: connected; 1 open and 0 recent calls");
        assert!(lines[1].contains("rang"));
    }
}

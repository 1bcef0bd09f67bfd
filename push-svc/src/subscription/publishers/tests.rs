use super::*;

const LOG: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const SECOND: Duration = Duration::from_secs(1);

/// An instance of ingest-svc with a connection.
#[derive(Clone, Copy)]
struct Process {
    origin: Origin,
    publisher: Uuid,
    number: u64,
}

impl Process {
    fn of(epoch: Uuid) -> Self {
        let origin = Origin { epoch, instance: Uuid::new_v4() };
        Self { origin, publisher: Uuid::new_v4(), number: 0 }
    }

    fn reconnect(&mut self) {
        *self = Self { origin: self.origin, publisher: Uuid::new_v4(), number: 0 };
    }

    fn message(&mut self) -> Head {
        self.number += 1;
        let Self { origin, publisher, number } = *self;
        Head { publisher, number, origin: Some(origin), goodbye: false, sent_at: None }
    }

    fn goodbye(&mut self) -> Head {
        Head { goodbye: true, ..self.message() }
    }
}

/// One replica over time.
struct Replica {
    publishers: Publishers,
    log: Option<Uuid>,
    now: Instant,
}

impl Replica {
    fn new() -> Self {
        let now = Instant::now();
        Self { publishers: Publishers::new(PublisherCapacity::default(), now), log: Some(LOG), now }
    }

    fn receive(&mut self, head: Head) -> MessageSource {
        self.publishers.receive(self.log, &head, self.now)
    }

    /// A second passes, in which each of these sends a message.
    fn second(&mut self, senders: &mut [&mut Process]) -> Liveness {
        self.now += SECOND;
        for process in senders {
            self.receive(process.message());
        }
        self.liveness()
    }

    fn liveness(&mut self) -> Liveness {
        self.publishers.liveness(self.now)
    }
}

#[test]
fn an_instance_that_sends_a_message_every_second_is_alive() {
    let (mut replica, mut ours) = (Replica::new(), Process::of(LOG));
    assert_eq!(replica.liveness(), Liveness::TooEarly);
    for _ in 0..10 {
        assert_eq!(replica.second(&mut [&mut ours]), Liveness::AllAlive);
    }
    for expected in [Liveness::AllAlive, Liveness::AllAlive, Liveness::NoneAlive] {
        assert_eq!(replica.second(&mut []), expected);
    }
}

#[test]
fn a_connection_without_a_message_for_three_seconds_is_silent() {
    let mut replica = Replica::new();
    for expected in [Liveness::TooEarly, Liveness::TooEarly, Liveness::NoneAlive] {
        assert_eq!(replica.second(&mut []), expected);
    }
}

#[test]
fn messages_of_another_log_do_not_show_that_ours_is_alive() {
    let (mut replica, mut ours, mut other) = (Replica::new(), Process::of(LOG), Process::of(OTHER));
    assert_eq!(replica.second(&mut [&mut ours, &mut other]), Liveness::AllAlive);
    let silent_since = replica.publishers.silent_since();
    for expected in [Liveness::AllAlive, Liveness::AllAlive, Liveness::NoneAlive, Liveness::NoneAlive] {
        assert_eq!(replica.second(&mut [&mut other]), expected);
    }
    assert_eq!(replica.publishers.silent_since(), silent_since, "they do not delay the new connection");
    assert!(replica.publishers.receives_others(replica.now));
    assert_eq!(replica.second(&mut [&mut ours]), Liveness::AllAlive);
}

#[test]
fn another_log_is_new_once() {
    let (mut replica, mut other) = (Replica::new(), Process::of(OTHER));
    assert_eq!(replica.receive(other.message()), MessageSource::OtherLog { new: true });
    assert_eq!(replica.receive(other.message()), MessageSource::OtherLog { new: false });
    assert_eq!(replica.receive(Process::of(OTHER).message()), MessageSource::OtherLog { new: false });
}

#[test]
fn the_number_of_other_logs_is_limited() {
    let mut replica = Replica::new();
    let new = (10..1_000).filter(|epoch| {
        replica.receive(Process::of(Uuid::from_u128(*epoch)).message())
            == MessageSource::OtherLog { new: true }
    });
    assert_eq!(new.count(), PublisherCapacity::default().other_logs);
    assert_eq!(replica.publishers.other_logs.len(), PublisherCapacity::default().other_logs);
}

#[test]
fn a_message_without_a_log_does_not_show_that_ours_is_alive() {
    let (mut replica, mut old) = (Replica::new(), Process::of(LOG));
    for expected in [Liveness::TooEarly, Liveness::TooEarly, Liveness::TooEarly, Liveness::NoneAlive] {
        assert_eq!(replica.receive(Head { origin: None, ..old.message() }), MessageSource::OlderVersion);
        assert_eq!(replica.liveness(), expected);
        replica.now += SECOND;
    }
    assert!(replica.publishers.receives_others(replica.now));
}

#[test]
fn no_instance_is_ours_until_the_log_has_answered() {
    let (mut replica, mut ours) = (Replica { log: None, ..Replica::new() }, Process::of(LOG));
    for expected in [Liveness::TooEarly, Liveness::TooEarly, Liveness::NoneAlive] {
        assert_eq!(replica.second(&mut [&mut ours]), expected);
    }
    replica.log = Some(LOG);
    assert_eq!(replica.receive(ours.message()), MessageSource::OurLog { gap: true });
    assert_eq!(replica.liveness(), Liveness::AllAlive);
}

#[test]
fn one_silent_instance_of_several_is_reported_until_it_is_alive_again() {
    let (mut replica, mut one, mut two) = (Replica::new(), Process::of(LOG), Process::of(LOG));
    replica.second(&mut [&mut one, &mut two]);
    for expected in [Liveness::AllAlive, Liveness::AllAlive, Liveness::SomeSilent(1), Liveness::SomeSilent(1)]
    {
        assert_eq!(replica.second(&mut [&mut one]), expected);
    }
    assert_eq!(replica.publishers.silent_count(replica.now), 1);
    two.reconnect();
    assert_eq!(replica.receive(two.message()), MessageSource::OurLog { gap: true });
    assert_eq!(replica.liveness(), Liveness::AllAlive);
}

#[test]
fn an_instance_that_reconnects_is_not_counted_as_silent() {
    let (mut replica, mut ours) = (Replica::new(), Process::of(LOG));
    for _ in 0..10 {
        ours.reconnect();
        assert_eq!(replica.second(&mut [&mut ours]), Liveness::AllAlive);
    }
}

#[test]
fn an_instance_that_said_goodbye_is_not_silent() {
    let (mut replica, mut one, mut two) = (Replica::new(), Process::of(LOG), Process::of(LOG));
    replica.second(&mut [&mut one, &mut two]);
    assert_eq!(replica.receive(two.goodbye()), MessageSource::OurLog { gap: false });
    for _ in 0..10 {
        assert_eq!(replica.second(&mut [&mut one]), Liveness::AllAlive);
    }
}

#[test]
fn a_goodbye_as_the_first_message_or_after_a_jump_is_a_gap() {
    let (mut replica, mut ours) = (Replica::new(), Process::of(LOG));
    assert_eq!(replica.receive(ours.goodbye()), MessageSource::OurLog { gap: true });
    let mut two = Process::of(LOG);
    replica.receive(two.message());
    two.number += 1;
    assert_eq!(replica.receive(two.goodbye()), MessageSource::OurLog { gap: true });
}

#[test]
fn three_seconds_after_the_last_goodbye_none_is_alive() {
    let (mut replica, mut ours) = (Replica::new(), Process::of(LOG));
    replica.second(&mut [&mut ours]);
    replica.receive(ours.goodbye());
    for expected in [Liveness::AllAlive, Liveness::AllAlive, Liveness::NoneAlive] {
        assert_eq!(replica.second(&mut []), expected);
    }
    assert_eq!(replica.publishers.silent_count(replica.now), 0);
}

#[test]
fn a_dead_instance_is_forgotten_after_a_minute() {
    let (mut replica, mut dead, mut successor) = (Replica::new(), Process::of(LOG), Process::of(LOG));
    replica.second(&mut [&mut dead]);
    let seconds =
        (0..120).filter(|_| replica.second(&mut [&mut successor]) == Liveness::SomeSilent(1)).count();
    assert_eq!(seconds as u64, (FORGET_AFTER - SILENT).as_secs());
    assert_eq!(replica.liveness(), Liveness::AllAlive);
}

#[test]
fn without_a_successor_none_is_alive_for_any_time() {
    let (mut replica, mut ours, mut other) = (Replica::new(), Process::of(LOG), Process::of(OTHER));
    replica.second(&mut [&mut ours]);
    replica.now += SILENT;
    for _ in 0..600 {
        assert_eq!(replica.second(&mut [&mut other]), Liveness::NoneAlive);
    }
}

#[test]
fn on_a_new_connection_each_instance_must_send_a_message_again() {
    let (mut replica, mut one, mut two) = (Replica::new(), Process::of(LOG), Process::of(LOG));
    replica.second(&mut [&mut one, &mut two]);
    // Without a connection no message can come; that does not count against an instance.
    replica.now += FORGET_AFTER * 2;
    replica.publishers.connected(replica.now);
    for expected in [Liveness::TooEarly, Liveness::TooEarly, Liveness::SomeSilent(1)] {
        assert_eq!(replica.second(&mut [&mut one]), expected);
    }
    assert_eq!(replica.second(&mut [&mut one, &mut two]), Liveness::AllAlive);
}

#[test]
fn a_new_log_has_new_publishers() {
    let (mut replica, mut old, mut new) = (Replica::new(), Process::of(LOG), Process::of(OTHER));
    replica.second(&mut [&mut old]);
    assert_eq!(replica.receive(new.message()), MessageSource::OtherLog { new: true });
    replica.log = Some(OTHER);
    assert_eq!(replica.receive(new.message()), MessageSource::OurLog { gap: true });
    assert_eq!(replica.receive(old.message()), MessageSource::OtherLog { new: true }, "it was left running");
    for _ in 0..10 {
        assert_eq!(replica.second(&mut [&mut new, &mut old]), Liveness::AllAlive);
    }
}

#[test]
fn a_new_connection_and_a_jump_are_gaps() {
    let (mut replica, mut one, mut two) = (Replica::new(), Process::of(LOG), Process::of(LOG));
    assert_eq!(replica.receive(one.message()), MessageSource::OurLog { gap: true });
    let second = one.message();
    assert_eq!(replica.receive(second), MessageSource::OurLog { gap: false });
    assert_eq!(replica.receive(second), MessageSource::OurLog { gap: false }, "delivered again");
    assert_eq!(replica.receive(two.message()), MessageSource::OurLog { gap: true });
    one.number += 1;
    assert_eq!(replica.receive(one.message()), MessageSource::OurLog { gap: true });
    assert_eq!(replica.receive(one.message()), MessageSource::OurLog { gap: false });
    one.reconnect();
    assert_eq!(replica.receive(one.message()), MessageSource::OurLog { gap: true });
}

#[test]
fn the_number_of_instances_is_limited() {
    let mut replica = Replica::new();
    for _ in 0..1_000 {
        assert_eq!(replica.receive(Process::of(LOG).message()), MessageSource::OurLog { gap: true });
    }
    assert_eq!(replica.publishers.instances.len(), PublisherCapacity::default().instances);
}

#[test]
fn no_change_is_missed_by_waiting_for_the_next_one() {
    let (mut replica, mut one, mut two) = (Replica::new(), Process::of(LOG), Process::of(LOG));
    replica.second(&mut [&mut one]);
    replica.now += Duration::from_millis(300);
    replica.receive(two.message());
    let mut seen = Vec::new();
    while let Some(next) = replica.publishers.next_change(replica.now) {
        let before = replica.liveness();
        // Just before it nothing has changed.
        replica.now = next - Duration::from_millis(1);
        assert_eq!(replica.liveness(), before);
        replica.now = next;
        seen.push(replica.liveness());
    }
    assert_eq!(seen[..2], [Liveness::SomeSilent(1), Liveness::NoneAlive]);
    assert!(replica.publishers.instances.is_empty(), "all are forgotten in the end");
}

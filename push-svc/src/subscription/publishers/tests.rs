use super::*;

const LOG: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const SECOND: Duration = Duration::from_secs(1);

/// A process with a connection.
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

    fn says(&mut self) -> Head {
        self.number += 1;
        let Self { origin, publisher, number } = *self;
        Head { publisher, number, origin: Some(origin), goodbye: false, sent_at: None }
    }

    fn says_goodbye(&mut self) -> Head {
        Head { goodbye: true, ..self.says() }
    }
}

/// The judgement of one replica over time.
struct Ear {
    publishers: Publishers,
    log: Option<Uuid>,
    now: Instant,
}

impl Ear {
    fn new() -> Self {
        let now = Instant::now();
        Self { publishers: Publishers::new(now), log: Some(LOG), now }
    }

    fn hear(&mut self, head: Head) -> Heard {
        self.publishers.hear(self.log, &head, self.now)
    }

    /// A second passes, in which these say something.
    fn second(&mut self, speaking: &mut [&mut Process]) -> Hearing {
        self.now += SECOND;
        for process in speaking {
            self.hear(process.says());
        }
        self.hearing()
    }

    fn hearing(&mut self) -> Hearing {
        self.publishers.hearing(self.now)
    }
}

#[test]
fn one_that_says_something_every_second_is_heard() {
    let (mut ear, mut ours) = (Ear::new(), Process::of(LOG));
    assert_eq!(ear.hearing(), Hearing::TooEarly);
    for _ in 0..10 {
        assert_eq!(ear.second(&mut [&mut ours]), Hearing::All);
    }
    for hearing in [Hearing::All, Hearing::All, Hearing::Nobody] {
        assert_eq!(ear.second(&mut []), hearing);
    }
}

#[test]
fn a_connection_on_which_nobody_is_heard_for_three_seconds_is_silent() {
    let mut ear = Ear::new();
    for hearing in [Hearing::TooEarly, Hearing::TooEarly, Hearing::Nobody] {
        assert_eq!(ear.second(&mut []), hearing);
    }
}

#[test]
fn another_logs_messages_are_no_sign_of_life_of_ours() {
    let (mut ear, mut ours, mut other) = (Ear::new(), Process::of(LOG), Process::of(OTHER));
    assert_eq!(ear.second(&mut [&mut ours, &mut other]), Hearing::All);
    let quiet_since = ear.publishers.quiet_since();
    for hearing in [Hearing::All, Hearing::All, Hearing::Nobody, Hearing::Nobody] {
        assert_eq!(ear.second(&mut [&mut other]), hearing);
    }
    assert_eq!(ear.publishers.quiet_since(), quiet_since, "they do not hold up the rebuilding");
    assert!(ear.publishers.hears_others(ear.now));
    assert_eq!(ear.second(&mut [&mut ours]), Hearing::All);
}

#[test]
fn another_log_is_new_once() {
    let (mut ear, mut other) = (Ear::new(), Process::of(OTHER));
    assert_eq!(ear.hear(other.says()), Heard::OtherLog { new: true });
    assert_eq!(ear.hear(other.says()), Heard::OtherLog { new: false });
    assert_eq!(ear.hear(Process::of(OTHER).says()), Heard::OtherLog { new: false });
}

#[test]
fn other_logs_do_not_add_up() {
    let mut ear = Ear::new();
    let new = (10..1_000).filter(|epoch| {
        ear.hear(Process::of(Uuid::from_u128(*epoch)).says()) == Heard::OtherLog { new: true }
    });
    assert_eq!(new.count(), OTHER_LOGS);
    assert_eq!(ear.publishers.other_logs.len(), OTHER_LOGS);
}

#[test]
fn a_message_without_a_log_is_no_sign_of_life() {
    let (mut ear, mut old) = (Ear::new(), Process::of(LOG));
    for hearing in [Hearing::TooEarly, Hearing::TooEarly, Hearing::TooEarly, Hearing::Nobody] {
        assert_eq!(ear.hear(Head { origin: None, ..old.says() }), Heard::Unsaid);
        assert_eq!(ear.hearing(), hearing);
        ear.now += SECOND;
    }
    assert!(ear.publishers.hears_others(ear.now));
}

#[test]
fn until_the_log_has_said_which_one_it_is_nobody_is_heard() {
    let (mut ear, mut ours) = (Ear { log: None, ..Ear::new() }, Process::of(LOG));
    for hearing in [Hearing::TooEarly, Hearing::TooEarly, Hearing::Nobody] {
        assert_eq!(ear.second(&mut [&mut ours]), hearing);
    }
    ear.log = Some(LOG);
    assert_eq!(ear.hear(ours.says()), Heard::Ours { gap: true });
    assert_eq!(ear.hearing(), Hearing::All);
}

#[test]
fn one_of_several_that_falls_silent_is_noticed_until_it_is_heard_again() {
    let (mut ear, mut one, mut two) = (Ear::new(), Process::of(LOG), Process::of(LOG));
    ear.second(&mut [&mut one, &mut two]);
    for hearing in [Hearing::All, Hearing::All, Hearing::NotAll(1), Hearing::NotAll(1)] {
        assert_eq!(ear.second(&mut [&mut one]), hearing);
    }
    assert_eq!(ear.publishers.silent(ear.now), 1);
    two.reconnect();
    assert_eq!(ear.hear(two.says()), Heard::Ours { gap: true });
    assert_eq!(ear.hearing(), Hearing::All);
}

#[test]
fn one_that_reconnects_leaves_no_silent_one_behind() {
    let (mut ear, mut ours) = (Ear::new(), Process::of(LOG));
    for _ in 0..10 {
        ours.reconnect();
        assert_eq!(ear.second(&mut [&mut ours]), Hearing::All);
    }
}

#[test]
fn one_that_said_goodbye_may_be_silent() {
    let (mut ear, mut one, mut two) = (Ear::new(), Process::of(LOG), Process::of(LOG));
    ear.second(&mut [&mut one, &mut two]);
    assert_eq!(ear.hear(two.says_goodbye()), Heard::Ours { gap: false });
    for _ in 0..10 {
        assert_eq!(ear.second(&mut [&mut one]), Hearing::All);
    }
}

#[test]
fn a_goodbye_that_is_all_one_hears_may_follow_a_loss() {
    let (mut ear, mut ours) = (Ear::new(), Process::of(LOG));
    assert_eq!(ear.hear(ours.says_goodbye()), Heard::Ours { gap: true });
    let mut two = Process::of(LOG);
    ear.hear(two.says());
    two.number += 1;
    assert_eq!(ear.hear(two.says_goodbye()), Heard::Ours { gap: true });
}

#[test]
fn after_the_last_ones_goodbye_nobody_is_heard_three_seconds_later() {
    let (mut ear, mut ours) = (Ear::new(), Process::of(LOG));
    ear.second(&mut [&mut ours]);
    ear.hear(ours.says_goodbye());
    for hearing in [Hearing::All, Hearing::All, Hearing::Nobody] {
        assert_eq!(ear.second(&mut []), hearing);
    }
    assert_eq!(ear.publishers.silent(ear.now), 0);
}

#[test]
fn one_that_died_is_forgotten_a_minute_after_its_successor_is_heard() {
    let (mut ear, mut dead, mut successor) = (Ear::new(), Process::of(LOG), Process::of(LOG));
    ear.second(&mut [&mut dead]);
    let seconds = (0..120).filter(|_| ear.second(&mut [&mut successor]) == Hearing::NotAll(1)).count();
    assert_eq!(seconds as u64, (GONE - SILENT).as_secs());
    assert_eq!(ear.hearing(), Hearing::All);
}

#[test]
fn alone_one_that_is_gone_for_long_is_still_missed() {
    let (mut ear, mut ours, mut other) = (Ear::new(), Process::of(LOG), Process::of(OTHER));
    ear.second(&mut [&mut ours]);
    ear.now += SILENT;
    for _ in 0..600 {
        assert_eq!(ear.second(&mut [&mut other]), Hearing::Nobody);
    }
}

#[test]
fn on_a_new_connection_each_must_be_heard_again() {
    let (mut ear, mut one, mut two) = (Ear::new(), Process::of(LOG), Process::of(LOG));
    ear.second(&mut [&mut one, &mut two]);
    // Nobody could be heard for so long, which is nobody's fault.
    ear.now += GONE * 2;
    ear.publishers.connected(ear.now);
    for hearing in [Hearing::TooEarly, Hearing::TooEarly, Hearing::NotAll(1)] {
        assert_eq!(ear.second(&mut [&mut one]), hearing);
    }
    assert_eq!(ear.second(&mut [&mut one, &mut two]), Hearing::All);
}

#[test]
fn a_log_made_anew_has_publishers_of_its_own() {
    let (mut ear, mut old, mut new) = (Ear::new(), Process::of(LOG), Process::of(OTHER));
    ear.second(&mut [&mut old]);
    assert_eq!(ear.hear(new.says()), Heard::OtherLog { new: true });
    ear.log = Some(OTHER);
    assert_eq!(ear.hear(new.says()), Heard::Ours { gap: true });
    assert_eq!(ear.hear(old.says()), Heard::OtherLog { new: true }, "it was left running");
    for _ in 0..10 {
        assert_eq!(ear.second(&mut [&mut new, &mut old]), Hearing::All);
    }
}

#[test]
fn a_new_connection_and_a_jump_are_gaps() {
    let (mut ear, mut one, mut two) = (Ear::new(), Process::of(LOG), Process::of(LOG));
    assert_eq!(ear.hear(one.says()), Heard::Ours { gap: true });
    let second = one.says();
    assert_eq!(ear.hear(second), Heard::Ours { gap: false });
    assert_eq!(ear.hear(second), Heard::Ours { gap: false }, "delivered again");
    assert_eq!(ear.hear(two.says()), Heard::Ours { gap: true });
    one.number += 1;
    assert_eq!(ear.hear(one.says()), Heard::Ours { gap: true });
    assert_eq!(ear.hear(one.says()), Heard::Ours { gap: false });
    one.reconnect();
    assert_eq!(ear.hear(one.says()), Heard::Ours { gap: true });
}

#[test]
fn processes_do_not_add_up() {
    let mut ear = Ear::new();
    for _ in 0..1_000 {
        assert_eq!(ear.hear(Process::of(LOG).says()), Heard::Ours { gap: true });
    }
    assert_eq!(ear.publishers.instances.len(), INSTANCES);
}

#[test]
fn whoever_waits_for_the_next_change_misses_none() {
    let (mut ear, mut one, mut two) = (Ear::new(), Process::of(LOG), Process::of(LOG));
    ear.second(&mut [&mut one]);
    ear.now += Duration::from_millis(300);
    ear.hear(two.says());
    let mut seen = Vec::new();
    while let Some(next) = ear.publishers.next_change(ear.now) {
        let before = ear.hearing();
        // Just before it nothing has changed.
        ear.now = next - Duration::from_millis(1);
        assert_eq!(ear.hearing(), before);
        ear.now = next;
        seen.push(ear.hearing());
    }
    assert_eq!(seen[..2], [Hearing::NotAll(1), Hearing::Nobody]);
    assert!(ear.publishers.instances.is_empty(), "all are forgotten in the end");
}

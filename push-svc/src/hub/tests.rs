//! The hub against a simple model. The bus may lose, repeat and swap messages, the log may answer late or not at all, and
//! pads may come, leave, return and move between replicas that drain or are killed: each pad gets each position of its own
//! store once and in order, and in the end all of them.

mod log;
mod pads;
mod replica;
mod world;

use proptest::prelude::*;

use super::*;
use crate::capacity::StoreCapacity;
use world::World;

/// So little that the steps of a world reach every limit of a store.
const SMALL: HubCapacity = HubCapacity {
    streams_per_pad: 8,
    store: StoreCapacity { recent_events: 4, recent_bytes: 4 * 1024 * 1024, ahead_events: 3 },
};

/// A step of the world. Each number selects one of several things; see [`of`].
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The log has a new event of a store.
    Ring(u8),
    /// The new events of the log are published in one batch, which the bus will deliver to both replicas.
    Publish,
    /// ingest-svc connects again, and publishes its last batch again.
    NewPublisher,
    /// The bus delivers a batch that is under way.
    Deliver(u8, u8),
    /// The same, and it will deliver the batch again.
    DeliverTwice(u8, u8),
    /// The same, but the events in it were damaged on the way.
    DeliverBroken(u8, u8),
    /// The bus loses a batch.
    Lose(u8, u8),
    /// A store is changed, renamed, deleted or restored, and a hint is published.
    Change(u8),
    Rename(u8),
    Delete(u8),
    Restore(u8),
    /// The log forgets a store's oldest events.
    Purge(u8),
    /// The log is replaced by another, empty one.
    NewLog,
    /// A pad comes to a replica.
    Join(u8, u8),
    /// A pad loses its streams, and connects to a replica with its last position.
    Return(u8, u8),
    /// A pad opens its next stream at a replica, and keeps the one it has.
    Move(u8, u8),
    /// A pad closes all streams but the newest.
    Close(u8),
    /// A pad leaves.
    Leave(u8),
    /// The log is read for a pad whose stream is being opened.
    Read(u8),
    /// The stream that is being opened begins.
    Begin(u8),
    /// A pad no longer waits for its stream.
    GiveUp(u8),
    /// A pad takes all events that its streams have for it.
    Pull(u8),
    /// A pad checks for an early ring.
    Early(u8),
    /// A replica asks the log about the stores that need it.
    AskDue(u8),
    /// A replica compares all its stores with the log.
    AskAll(u8),
    /// A replica gets the log's answer.
    Answer(u8),
    /// It gets none.
    Fail(u8),
    /// Time passes: until the log is asked about a gap, or until rings after it are sent early.
    Wait,
    WaitLonger,
    /// A replica leaves, and asks its pads to reconnect; after its last stream a new replica takes its place.
    Drain(u8),
    /// A replica is killed, and a new one takes its place.
    Kill(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let one = any::<u8>;
    let two = || (any::<u8>(), any::<u8>());
    prop_oneof![
        12 => one().prop_map(Step::Ring),
        10 => Just(Step::Publish),
        1 => Just(Step::NewPublisher),
        16 => two().prop_map(|(replica, batch)| Step::Deliver(replica, batch)),
        2 => two().prop_map(|(replica, batch)| Step::DeliverTwice(replica, batch)),
        1 => two().prop_map(|(replica, batch)| Step::DeliverBroken(replica, batch)),
        3 => two().prop_map(|(replica, batch)| Step::Lose(replica, batch)),
        1 => one().prop_map(Step::Change),
        2 => one().prop_map(Step::Rename),
        1 => one().prop_map(Step::Delete),
        3 => one().prop_map(Step::Restore),
        1 => one().prop_map(Step::Purge),
        1 => Just(Step::NewLog),
        4 => two().prop_map(|(store, replica)| Step::Join(store, replica)),
        2 => two().prop_map(|(pad, replica)| Step::Return(pad, replica)),
        4 => two().prop_map(|(pad, replica)| Step::Move(pad, replica)),
        2 => one().prop_map(Step::Close),
        1 => one().prop_map(Step::Leave),
        7 => one().prop_map(Step::Read),
        8 => one().prop_map(Step::Begin),
        1 => one().prop_map(Step::GiveUp),
        8 => one().prop_map(Step::Pull),
        4 => one().prop_map(Step::Early),
        5 => one().prop_map(Step::AskDue),
        4 => one().prop_map(Step::AskAll),
        7 => one().prop_map(Step::Answer),
        6 => one().prop_map(Step::Fail),
        3 => Just(Step::Wait),
        1 => Just(Step::WaitLonger),
        1 => one().prop_map(Step::Drain),
        1 => one().prop_map(Step::Kill),
    ]
}

/// Each world lacks some kinds of steps, and half of them are short, to find faults that an early or later question to the
/// log would hide.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![1..50_usize, 1..300_usize];
    let steps = length.prop_flat_map(|length| prop::collection::vec(step(), length));
    (steps, any::<u32>()).prop_map(|(mut steps, lacks)| {
        steps.retain(|step| step.rare().is_none_or(|kind| lacks & (1 << kind) == 0));
        steps
    })
}

impl Step {
    /// The number of its kind, if a world can lack it.
    fn rare(self) -> Option<u32> {
        match self {
            Self::Ring(_) | Self::Publish | Self::Deliver(..) => None,
            Self::Join(..) | Self::Read(_) | Self::Begin(_) => None,
            Self::DeliverTwice(..) => Some(0),
            Self::Lose(..) => Some(1),
            Self::Return(..) => Some(2),
            Self::Leave(_) => Some(3),
            Self::Pull(_) => Some(4),
            Self::AskDue(_) => Some(5),
            Self::AskAll(_) => Some(6),
            Self::Answer(_) => Some(7),
            Self::Wait => Some(8),
            Self::NewLog => Some(9),
            Self::NewPublisher => Some(10),
            Self::Change(_) => Some(11),
            Self::Delete(_) | Self::Restore(_) => Some(12),
            Self::Purge(_) => Some(13),
            Self::Move(..) => Some(14),
            Self::Close(_) => Some(15),
            Self::GiveUp(_) => Some(16),
            Self::Early(_) => Some(17),
            Self::Fail(_) => Some(18),
            Self::WaitLonger => Some(19),
            Self::Drain(_) => Some(20),
            Self::Kill(_) => Some(21),
            Self::Rename(_) => Some(22),
            Self::DeliverBroken(..) => Some(23),
        }
    }
}

/// How the hub finds the last events, which the bus lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// The bus is silent: all stores are compared.
    Comparison,
    /// A canary comes: its message number shows the loss.
    Canary,
    /// One more event of each store comes.
    Sentinel,
    /// Not at all. But all events up to the highest position that came, or was seen in the log, must come.
    Silence,
}

/// Which of `count` things a number selects.
fn of(number: u8, count: usize) -> usize {
    usize::from(number) % count
}

fn settled() -> impl Strategy<Value = Settled> {
    prop_oneof![
        Just(Settled::Comparison),
        Just(Settled::Canary),
        Just(Settled::Sentinel),
        Just(Settled::Silence)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_pad_gets_each_position_once_and_in_order(steps in steps(), by in settled()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle(by);
        world.check_streams(by);
        // A pad without a stream gets all events when it returns.
        world.all_come_back();
        world.check_streams(Settled::Comparison);
        world.check_pads();
        world.pads.clear();
        for replica in &world.replicas {
            prop_assert!(replica.hub.all_cursors(world.now).is_empty(), "a store without pads is not held");
            prop_assert_eq!(replica.hub.next_catch_up(world.now), None);
        }
    }
}

//! The hub against a simple model: whatever the bus loses, repeats or swaps, whoever publishes, whenever the log answers
//! or fails to, and however pads come, go, return and move between replicas that drain and are killed, each pad gets each
//! position of its own store once and in order, and in the end all of them.

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

/// A step of the world. Each number, [`of`] how many there are, says which.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The log has a new event of a store.
    Ring(u8),
    /// What the log has since is published in one batch, which the bus will bring to both replicas.
    Publish,
    /// ingest-svc connects anew, and publishes its last batch once more.
    NewPublisher,
    /// The bus brings a replica a batch that is under way.
    Deliver(u8, u8),
    /// The same, and will bring it again.
    DeliverTwice(u8, u8),
    /// The same, but that somebody on the way has broken the events in it.
    DeliverBroken(u8, u8),
    /// The bus loses a batch.
    Lose(u8, u8),
    /// A store is changed, renamed or deleted, or comes back: a hint will say so.
    Change(u8),
    Rename(u8),
    Delete(u8),
    Restore(u8),
    /// The log forgets a store's oldest events.
    Purge(u8),
    /// The log is made anew.
    NewLog,
    /// A pad comes to a replica.
    Join(u8, u8),
    /// A pad loses its streams, and comes to a replica with what it has.
    Return(u8, u8),
    /// A pad opens its next stream at a replica, and goes on with the one it has.
    Move(u8, u8),
    /// A pad closes all streams but the newest.
    Close(u8),
    /// A pad goes.
    Leave(u8),
    /// The log is read for a pad that is being let in.
    Read(u8),
    /// A pad that is being let in gets its answer.
    LetIn(u8),
    /// A pad that is being let in waits no longer.
    GiveUp(u8),
    /// A pad takes what there is.
    Pull(u8),
    /// A pad looks for a ring ahead of its turn.
    Early(u8),
    /// A replica asks the log about whatever is due.
    AskDue(u8),
    /// A replica compares all its stores with the log.
    AskAll(u8),
    /// A replica gets the log's answer.
    Answer(u8),
    /// It gets none.
    Fail(u8),
    /// Time passes: a gap is no longer held, or what follows it is shown early.
    Wait,
    WaitLonger,
    /// A replica leaves, and sends its pads away; with its last stream gone, the next begins in its place.
    Drain(u8),
    /// A replica is killed, and the next begins in its place.
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
        8 => one().prop_map(Step::LetIn),
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

/// Each world lacks some kinds of steps, and half of them are short: what only shows when nobody asks the log in between
/// or afterwards, shows there.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![1..50_usize, 1..300_usize];
    let steps = length.prop_flat_map(|length| prop::collection::vec(step(), length));
    (steps, any::<u32>()).prop_map(|(mut steps, lacks)| {
        steps.retain(|step| step.rare().is_none_or(|kind| lacks & (1 << kind) == 0));
        steps
    })
}

impl Step {
    /// The number of its kind, if a world can do without.
    fn rare(self) -> Option<u32> {
        match self {
            Self::Ring(_) | Self::Publish | Self::Deliver(..) => None,
            Self::Join(..) | Self::Read(_) | Self::LetIn(_) => None,
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

/// How the hub learns of the last events that the bus lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// The bus is silent: all stores are compared.
    Comparison,
    /// A sign of life comes from whoever publishes: its number tells.
    Canary,
    /// One more event of each store comes.
    Sentinel,
    /// Not at all: but whatever came, or was seen in the log, is a promise that all up to it will come.
    Silence,
}

/// Which of `count` things a number means.
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
        // Whoever has no stream any more is given all of it when it comes back.
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

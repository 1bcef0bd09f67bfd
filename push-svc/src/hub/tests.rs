//! The hub against a simple model: whatever the bus loses, repeats or swaps, whenever the log answers, and however pads
//! come, go and return, each pad gets each position once and in order, and in the end all of them.

mod world;

use proptest::{prelude::*, sample::Index};

use super::*;
use world::World;

/// A step of the world.
#[derive(Debug, Clone)]
enum Step {
    /// The log has a new event; the bus will bring it.
    Ring,
    /// The bus brings an event that is under way.
    Deliver(Index),
    /// The bus brings an event, and will bring it again.
    DeliverTwice(Index),
    /// The bus loses an event.
    Lose(Index),
    /// A pad comes.
    Join,
    /// A pad goes, and returns with what it has.
    Return(Index),
    /// The log is read for the pad that is being let in.
    Read,
    /// The pad that is being let in gets its answer.
    LetIn,
    /// A pad goes.
    Leave(Index),
    /// A pad takes what there is.
    Pull(Index),
    /// Whatever is due is asked of the log.
    AskDue,
    /// All stores are compared with the log.
    AskAll,
    /// The hub gets the log's answer.
    Answer,
    /// Time passes.
    Wait,
    /// The log is made anew.
    NewLog,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Ring),
        8 => any::<Index>().prop_map(Step::Deliver),
        2 => any::<Index>().prop_map(Step::DeliverTwice),
        2 => any::<Index>().prop_map(Step::Lose),
        3 => Just(Step::Join),
        2 => any::<Index>().prop_map(Step::Return),
        4 => Just(Step::Read),
        4 => Just(Step::LetIn),
        1 => any::<Index>().prop_map(Step::Leave),
        6 => any::<Index>().prop_map(Step::Pull),
        3 => Just(Step::AskDue),
        2 => Just(Step::AskAll),
        4 => Just(Step::Answer),
        2 => Just(Step::Wait),
        1 => Just(Step::NewLog),
    ]
}

/// Each world lacks some kinds of steps: what only shows when nobody asks the log in between, shows there.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    (prop::collection::vec(step(), 1..200), any::<u16>()).prop_map(|(mut steps, lacks)| {
        steps.retain(|step| step.rare().is_none_or(|kind| lacks & (1 << kind) == 0));
        steps
    })
}

impl Step {
    /// The number of its kind, if a world can do without.
    fn rare(&self) -> Option<u32> {
        match self {
            Self::Ring | Self::Deliver(_) | Self::Join | Self::Read | Self::LetIn => None,
            Self::DeliverTwice(_) => Some(0),
            Self::Lose(_) => Some(1),
            Self::Return(_) => Some(2),
            Self::Leave(_) => Some(3),
            Self::Pull(_) => Some(4),
            Self::AskDue => Some(5),
            Self::AskAll => Some(6),
            Self::Answer => Some(7),
            Self::Wait => Some(8),
            Self::NewLog => Some(9),
        }
    }
}

/// How the hub learns of the last events that the bus lost.
#[derive(Debug, Clone, Copy)]
enum Settled {
    /// All stores are compared.
    Comparison,
    /// One more event comes.
    Sentinel,
    /// Not at all: but whatever came, or was seen in the log, is a promise that all up to it will come.
    Silence,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_pad_gets_each_position_once_and_in_order(
        steps in steps(),
        by in prop_oneof![Just(Settled::Comparison), Just(Settled::Sentinel), Just(Settled::Silence)],
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle(by);
        for pad in &world.pads {
            match (&pad.ended, by) {
                (Some(end), _) => {
                    prop_assert_eq!(end, &End::Anew);
                    prop_assert!(world.new_logs > 0, "ended for nothing");
                }
                (None, Settled::Comparison | Settled::Sentinel) => {
                    prop_assert_eq!((pad.epoch, pad.cursor), (world.epoch, world.position));
                }
                (None, Settled::Silence) if pad.epoch == world.epoch => prop_assert!(pad.cursor >= world.known),
                (None, Settled::Silence) => prop_assert_eq!(world.known, 0, "the other log was seen"),
            }
        }
        drop(world.pads);
        prop_assert!(world.hub.all(world.now).is_empty(), "a store without pads is not held");
    }
}

//! When a ring passes which point, read from the packets.

use std::{collections::HashMap, time::Duration};

use crate::{capture::Packet, statistics::median};

/// The points in the order of the way, and what is seen there.
const POINTS: [(&str, &str); 6] = [
    ("accepted", "the request has reached ingest-svc"),
    ("flushed", "its answer, which follows the flush"),
    ("published", "the message to the broker"),
    ("delivered", "the message to push-svc"),
    ("written", "the event to the pad"),
    ("seen", "the pad has it"),
];

/// The ports of one system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// ingest-svc, for number providers.
    pub(super) ingest: u16,
    pub(super) broker: u16,
    /// push-svc, for pads.
    pub(super) pads: u16,
}

impl Ports {
    /// All three.
    pub(super) fn all(self) -> [u16; 3] {
        [self.ingest, self.broker, self.pads]
    }
}

/// When a ring passed each point, since 1970, and when its request began.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    begun: Option<Duration>,
    at: [Option<Duration>; POINTS.len()],
}

/// Prints when the rings of each round passed each point: medians of the rounds' p50 and p99, counted from the request's first byte,
/// and the median of the time since the point before. `seen`: when the pad had each ring, by its caller's number.
pub(super) fn print(ports: Ports, packets: &[Packet], seen: &[HashMap<u32, Duration>]) {
    let passed = passed(ports, packets);
    let rounds = seen.iter().map(|seen| {
        let complete = |(number, at): (&u32, &Duration)| passed.get(number)?.complete(*at);
        seen.iter().filter_map(complete).collect::<Vec<_>>()
    });
    let rounds: Vec<_> = rounds.collect();
    let (rings, shown) =
        (seen.iter().map(HashMap::len).sum::<usize>(), rounds.iter().map(Vec::len).sum::<usize>());
    if shown < rings {
        println!("  the points of {shown} of {rings} rings were captured");
    }
    for (point, (name, what)) in POINTS.iter().enumerate() {
        let figure = |share: f64, of: &dyn Fn(&[f64; POINTS.len()]) -> f64| {
            let of_round = |round: &Vec<[f64; POINTS.len()]>| rank(round.iter().map(of).collect(), share);
            median(&rounds.iter().map(of_round).collect::<Vec<_>>())
        };
        let since =
            |at: &[f64; POINTS.len()]| at[point] - point.checked_sub(1).map_or(0.0, |before| at[before]);
        println!(
            "  {name:9} {:5.2} (p99 {:5.2}), {:+.2} (p99 {:+.2}): {what}",
            figure(0.5, &|at| at[point]),
            figure(0.99, &|at| at[point]),
            figure(0.5, &since),
            figure(0.99, &since),
        );
    }
}

impl Passed {
    /// Milliseconds from the request's first byte to each point, the last of which is `seen`, if all others were captured.
    fn complete(&self, seen: Duration) -> Option<[f64; POINTS.len()]> {
        let (begun, mut at) = (self.begun?, self.at);
        at[POINTS.len() - 1] = Some(seen);
        let mut milliseconds = [0.0; POINTS.len()];
        for (milliseconds, at) in milliseconds.iter_mut().zip(at) {
            *milliseconds = (at?.as_secs_f64() - begun.as_secs_f64()) * 1e3;
        }
        Some(milliseconds)
    }
}

/// The points that each ring has passed, by its caller's number. Canaries, heartbeats and confirms have no caller.
fn passed(ports: Ports, packets: &[Packet]) -> HashMap<u32, Passed> {
    let mut passed: HashMap<u32, Passed> = HashMap::new();
    // The ring whose answer a provider's connection waits for.
    let mut asked: HashMap<u16, u32> = HashMap::new();
    for packet in packets {
        let (ring, point) = match (packet.from, packet.to) {
            (provider, to) if to == ports.ingest => match caller(&packet.payload) {
                Some(ring) => {
                    passed.entry(ring).or_default().begun.get_or_insert(packet.at);
                    asked.insert(provider, ring);
                    (Some(ring), 0)
                }
                // The rest of a request in several packets.
                None => (asked.get(&provider).copied(), 0),
            },
            (from, provider) if from == ports.ingest => (asked.remove(&provider), 1),
            (_, to) if to == ports.broker => (caller(&packet.payload), 2),
            // With several replicas the first one counts, which may be the one without the pad: it gets the message at the same time.
            (from, _) if from == ports.broker => (caller(&packet.payload), 3),
            (from, _) if from == ports.pads => (caller(&packet.payload), 4),
            _ => continue,
        };
        let Some(ring) = ring else { continue };
        let at = &mut passed.entry(ring).or_default().at[point];
        // A request is complete with its last packet; everything else begins with its first.
        *at = if point == 0 { Some(packet.at) } else { at.or(Some(packet.at)) };
    }
    passed
}

/// The last eight digits of the first number `010-….-….` in a payload: the caller's.
fn caller(payload: &[u8]) -> Option<u32> {
    payload.windows(13).find_map(|number| {
        let rest = number.strip_prefix(b"010-")?;
        let (middle, last) = (rest.get(..4)?, rest.get(4..)?.strip_prefix(b"-")?);
        std::str::from_utf8(&[middle, last].concat()).ok()?.parse().ok()
    })
}

/// The value that `share` of all values do not exceed.
fn rank(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the values")]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 values")]
    let rank = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(rank).copied().unwrap_or(f64::NAN)
}

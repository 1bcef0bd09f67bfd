//! What each replica costs that has no pad for an event: a fanout exchange sends every event to every replica.

use std::{sync::Arc, time::Duration};

use ringpad_tests::{
    cdr::ring,
    http::metric,
    rabbit::RabbitNode,
    services::Shop,
    wait::{SOON, until},
};
use tokio::time::sleep;

use crate::{
    ROUNDS,
    accepts::{IN_FLIGHT, over_stream},
    installation::Installation,
    open_loop::schedule,
    usage::{Part, Usage},
};

/// Replicas, none of which has a pad.
const REPLICAS: [usize; 4] = [1, 2, 4, 8];
/// Stores that the calls go to.
const STORES: usize = 50;
/// Calls a second on a quiet line, and those of a round.
const QUIET: u32 = 50;
const CALLS: u32 = 200;

/// A system with some replicas, and what it has spent.
struct System<'a> {
    installation: Installation<'a>,
    shops: Arc<Vec<Shop>>,
    /// Without calls, for as long as a round on a quiet line takes.
    rest: Usage,
    /// On a quiet line and in a burst, and the calls.
    spent: [(Usage, u32); 2],
}

/// Prints what an event costs each replica and the broker, on a quiet line and in a burst.
pub(crate) async fn measure(node: &RabbitNode) {
    let mut systems = Vec::new();
    for replicas in REPLICAS {
        let (installation, mut shops) = (Installation::on_sqlite(node, replicas).await, Vec::new());
        for number in 0..STORES {
            shops.push(installation.system.store(&format!("store-{number}")).await);
        }
        systems.push(System {
            installation,
            shops: Arc::new(shops),
            rest: Usage::default(),
            spent: <_>::default(),
        });
    }
    for _ in 0..ROUNDS {
        for system in &mut systems {
            system.round(node).await;
        }
    }
    println!("CPU µs of an event for which no replica has a pad:");
    for (system, replicas) in systems.iter().zip(REPLICAS) {
        system.report(replicas);
    }
}

impl System<'_> {
    async fn round(&mut self, node: &RabbitNode) {
        let Self { installation, shops, rest, spent: [quiet, burst] } = self;
        rest.begin(installation, node);
        sleep(Duration::from_secs(1) * CALLS / QUIET).await;
        rest.end(installation, node);

        quiet.0.begin(installation, node);
        let (mut due, mut provider) = (schedule(QUIET, CALLS as usize), installation.system.provider());
        while let Some(due) = due.recv().await {
            let caller = format!("010-7{:03}-{:04}", quiet.1 / 10_000, quiet.1 % 10_000);
            provider.deliver(&ring(&shops[due.number % shops.len()].virtual_number, &caller)).await;
            quiet.1 += 1;
        }
        quiet.0.end(installation, node);

        burst.0.begin(installation, node);
        let at = installation.system.ingest_at;
        burst.1 += over_stream(at.grpc, shops, IN_FLIGHT).await;
        until("all is published", SOON, async || {
            (metric(at.admin, "ringpad_outbox_age_seconds").await == 0.0).then_some(())
        })
        .await;
        burst.0.end(installation, node);
    }

    fn report(&self, replicas: usize) {
        let [(quiet, calls), (burst, accepted)] = &self.spent;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let count = replicas as f64;
        for (line, usage, calls, rest) in [
            (format!("quiet line, {QUIET} calls/s"), quiet, *calls, Some(&self.rest)),
            (format!("burst, {IN_FLIGHT} in flight"), burst, *accepted, None),
        ] {
            let each = |part| usage.each(part, calls) - rest.map_or(0.0, |rest| rest.each(part, calls));
            println!(
                "  {replicas} replicas, {line}: each replica {:.1}, RabbitMQ {:.1}, ingest-svc {:.1}",
                (each(Part::FirstReplica) + each(Part::OtherReplicas)) / count,
                each(Part::RabbitMq),
                each(Part::Ingest)
            );
        }
    }
}

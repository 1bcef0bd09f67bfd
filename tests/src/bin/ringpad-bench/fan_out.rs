//! What each replica costs that has no pad for an event: a fanout exchange sends every event to every replica.

use std::sync::Arc;

use ringpad_tests::{
    cdr::ring,
    http::metric,
    rabbit::RabbitNode,
    services::Shop,
    wait::{SOON, until},
};

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
const CALLS: usize = 200;

/// A system with some replicas, and what it has spent.
struct System<'a> {
    installation: Installation<'a>,
    shops: Arc<Vec<Shop>>,
    /// On a quiet line and in a burst.
    spent: [(Usage, usize); 2],
}

/// Prints what an event costs each replica and the broker, on a quiet line and in a burst.
pub(crate) async fn measure(node: &RabbitNode) {
    let mut systems = Vec::new();
    for replicas in REPLICAS {
        let (installation, mut shops) = (Installation::on_sqlite(node, replicas).await, Vec::new());
        for number in 0..STORES {
            shops.push(installation.system.store(&format!("store-{number}")).await);
        }
        systems.push(System { installation, shops: Arc::new(shops), spent: <_>::default() });
    }
    for _ in 0..ROUNDS {
        for system in &mut systems {
            system.round(node).await;
        }
    }
    for (line, name) in
        [format!("quiet line, {QUIET} calls/s"), format!("burst, {IN_FLIGHT} in flight")].iter().enumerate()
    {
        println!("events without a pad, {name}; CPU µs an event:");
        for (system, replicas) in systems.iter().zip(REPLICAS) {
            let (usage, calls) = &system.spent[line];
            let each = |part| usage.each(part, *calls);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let replica = (each(Part::FirstReplica) + each(Part::OtherReplicas)) / replicas as f64;
            println!(
                "  {replicas} replicas: each {replica:.1}, RabbitMQ {:.1}, ingest-svc {:.1}",
                each(Part::RabbitMq),
                each(Part::Ingest)
            );
        }
    }
}

impl System<'_> {
    async fn round(&mut self, node: &RabbitNode) {
        let Self { installation, shops, spent: [quiet, burst] } = self;
        quiet.0.begin(installation, node);
        let (mut due, mut provider) = (schedule(QUIET, CALLS), installation.system.provider());
        while let Some(due) = due.recv().await {
            let caller = format!("010-7{:03}-{:04}", quiet.1 / 10_000, quiet.1 % 10_000);
            provider.deliver(&ring(&shops[due.number % shops.len()].virtual_number, &caller)).await;
            quiet.1 += 1;
        }
        quiet.0.end(installation, node);

        burst.0.begin(installation, node);
        let at = installation.system.ingest_at;
        burst.1 += over_stream(at.grpc, shops, IN_FLIGHT).await as usize;
        until("all is published", SOON, async || {
            (metric(at.admin, "ringpad_outbox_age_seconds").await == 0.0).then_some(())
        })
        .await;
        burst.0.end(installation, node);
    }
}

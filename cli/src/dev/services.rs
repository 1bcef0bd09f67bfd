//! The three services of `ringpad dev`: started with settings of their own, joined in order.

use clap::{CommandFactory, FromArgMatches, builder::Resettable};
use ringpad_bus::Bus;
use ringpad_runtime::{CancellationToken, Failure, settings::one_line};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use super::{
    place::Place,
    ports::{Listeners, Ports, REPLICAS},
};

/// Over how long pads are sent away: long enough to see it, short enough not to wait for.
const DRAIN_WINDOW: &str = "500ms";

/// The running services.
pub(super) struct Services {
    ingest: JoinSet<Result<(), Failure>>,
    replicas: JoinSet<Result<(), Failure>>,
    ingest_leaves: CancellationToken,
    replicas_leave: CancellationToken,
}

impl Services {
    /// Starts ingest-svc and the replicas.
    ///
    /// # Errors
    /// A service does not take the settings that are made for it here.
    pub(super) fn start(
        ports: &Ports,
        listeners: Listeners,
        place: &Place,
        bus: &Bus,
    ) -> Result<Self, Failure> {
        let mut services = Self {
            ingest: JoinSet::new(),
            replicas: JoinSet::new(),
            ingest_leaves: CancellationToken::new(),
            replicas_leave: CancellationToken::new(),
        };
        let settings = ingest_settings(ports, place)?;
        let leaves = services.ingest_leaves.clone();
        services.ingest.spawn(ingest_svc::run(settings, bus.clone(), listeners.ingest, leaves));
        for (index, listeners) in listeners.replicas.into_iter().enumerate() {
            let settings = replica_settings(ports, place, index)?;
            let leave = services.replicas_leave.clone();
            services.replicas.spawn(push_svc::run(settings, bus.clone(), listeners, leave));
        }
        Ok(services)
    }

    /// Waits for a service that ends without being told to.
    pub(super) async fn first_end(&mut self) -> Failure {
        let ended = tokio::select! {
            Some(ended) = self.ingest.join_next() => ("ingest-svc", ended),
            Some(ended) = self.replicas.join_next() => ("push-svc", ended),
        };
        let (name, ended) = ended;
        match ended {
            Ok(Ok(())) => Failure::other(name, "ended by itself"),
            Ok(Err(failure)) => named(name, failure),
            Err(panicked) => Failure::other(name, panicked),
        }
    }

    /// Ends the services in order: first the replicas, which need the log to the last, then ingest-svc.
    ///
    /// # Errors
    /// The first service that did not end well.
    pub(super) async fn leave(mut self) -> Result<(), Failure> {
        self.replicas_leave.cancel();
        let replicas = join("push-svc", &mut self.replicas).await;
        self.ingest_leaves.cancel();
        let ingest = join("ingest-svc", &mut self.ingest).await;
        replicas.and(ingest)
    }
}

async fn join(name: &str, tasks: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|panicked| Err(Failure::other(name, panicked)));
        outcome = outcome.and(ended.map_err(|failure| named(name, failure)));
    }
    outcome
}

fn named(name: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Setting(why) => Failure::Setting(format!("{name}: {why}")),
        Failure::Other(why) => Failure::Other(format!("{name}: {why}")),
        Failure::Unread => Failure::Unread,
    }
}

fn ingest_settings(ports: &Ports, place: &Place) -> Result<ingest_svc::Settings, Failure> {
    settings(&[
        ("--ingest-http-addr", ports.http.to_string()),
        ("--ingest-grpc-addr", ports.grpc.to_string()),
        ("--ingest-admin-addr", ports.ingest_admin.to_string()),
        ("--database-url", place.database_url()),
        ("--ingest-config", place.sources().display().to_string()),
    ])
}

fn replica_settings(ports: &Ports, place: &Place, index: usize) -> Result<push_svc::Settings, Failure> {
    let replica = ports.replicas[index % REPLICAS];
    settings(&[
        ("--push-addr", replica.pads.to_string()),
        ("--push-admin-addr", replica.admin.to_string()),
        ("--ingest-url", format!("http://{}", ports.grpc)),
        ("--pad-token-secret", place.secret().expose_secret().to_owned()),
        ("--drain-window", DRAIN_WINDOW.to_owned()),
    ])
}

/// A service's settings: its own defaults, and these flags. The environment is meant for services that run apart.
fn settings<S: CommandFactory + FromArgMatches>(flags: &[(&str, String)]) -> Result<S, Failure> {
    let command = S::command().mut_args(|argument| argument.env(Resettable::Reset));
    let arguments =
        std::iter::once("ringpad dev").chain(flags.iter().flat_map(|(flag, value)| [*flag, value]));
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| S::from_arg_matches(&matches));
    // Not clap's whole message: it might quote the key.
    parsed.map_err(|error| Failure::other("ringpad dev", one_line(&error.kind().to_string())))
}

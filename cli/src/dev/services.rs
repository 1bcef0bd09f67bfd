//! The three services of `ringpad dev`: started with their own settings, and joined in order.

use clap::{CommandFactory, FromArgMatches, builder::Resettable};
use ringpad_bus::Bus;
use ringpad_runtime::{CancellationToken, Failure};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use super::{
    data_directory::DataDirectory,
    ports::{Listeners, Ports, REPLICAS},
};

/// The time over which pads are asked to leave: long enough to be seen, and too short to be a nuisance.
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
    /// A service refuses the settings that are made for it here.
    pub(super) fn start(
        ports: &Ports,
        listeners: Listeners,
        data: &DataDirectory,
        bus: &Bus,
    ) -> Result<Self, Failure> {
        let mut services = Self {
            ingest: JoinSet::new(),
            replicas: JoinSet::new(),
            ingest_leaves: CancellationToken::new(),
            replicas_leave: CancellationToken::new(),
        };
        let mut checked = ingest_settings(ports, data)?.check()?;
        checked.bus = bus.clone();
        let leaves = services.ingest_leaves.clone();
        services.ingest.spawn(ingest_svc::run(checked, listeners.ingest, leaves));
        for (index, listeners) in listeners.replicas.into_iter().enumerate() {
            let mut checked = replica_settings(ports, data, index)?.check()?;
            checked.bus = bus.clone();
            let leave = services.replicas_leave.clone();
            services.replicas.spawn(push_svc::run(checked, listeners, leave));
        }
        Ok(services)
    }

    /// Waits until a service ends without being asked to.
    pub(super) async fn first_end(&mut self) -> Failure {
        let ended = tokio::select! {
            Some(ended) = self.ingest.join_next() => ("ingest-svc", ended),
            Some(ended) = self.replicas.join_next() => ("push-svc", ended),
        };
        let (name, ended) = ended;
        match ended {
            Ok(Ok(())) => Failure::other(name, "stopped unexpectedly"),
            Ok(Err(failure)) => failure.context(name),
            Err(panicked) => Failure::other(name, panicked),
        }
    }

    /// Ends the services in order: first the replicas, which need the log until they end, then ingest-svc.
    ///
    /// # Errors
    /// Of the first service that failed.
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
        outcome = outcome.and(ended.map_err(|failure| failure.context(name)));
    }
    outcome
}

fn ingest_settings(ports: &Ports, data: &DataDirectory) -> Result<ingest_svc::Settings, Failure> {
    settings(&[
        ("--ingest-http-addr", ports.http.to_string()),
        ("--ingest-grpc-addr", ports.grpc.to_string()),
        ("--ingest-admin-addr", ports.ingest_admin.to_string()),
        ("--database-url", data.database_url()),
        ("--ingest-config", data.sources().display().to_string()),
    ])
}

fn replica_settings(
    ports: &Ports,
    data: &DataDirectory,
    index: usize,
) -> Result<push_svc::Settings, Failure> {
    let replica = ports.replicas[index % REPLICAS];
    settings(&[
        ("--push-addr", replica.pads.to_string()),
        ("--push-admin-addr", replica.admin.to_string()),
        ("--ingest-url", format!("http://{}", ports.grpc)),
        ("--pad-token-secret", data.secret().expose_secret().to_owned()),
        ("--drain-window", DRAIN_WINDOW.to_owned()),
    ])
}

/// A service's settings: its defaults and these flags. The environment is not used: it is for services that run as programs of their own.
fn settings<S: CommandFactory + FromArgMatches>(flags: &[(&str, String)]) -> Result<S, Failure> {
    let command = S::command().mut_args(|argument| argument.env(Resettable::Reset));
    let arguments =
        std::iter::once("ringpad dev").chain(flags.iter().flat_map(|(flag, value)| [*flag, value]));
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| S::from_arg_matches(&matches));
    // Without clap's own message, which may quote the key.
    parsed.map_err(|error| Failure::other("ringpad dev", error.kind().to_string()))
}

//! `DATABASE_URL=postgres://…`: which servers, and how to connect to them.

mod tls;
mod url;

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use ringpad_runtime::ErrorChain;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls,
    config::{Host, SslMode, TargetSessionAttrs},
    error::{Severity, SqlState},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::error::Obstacle,
    error::{ConnectError, Failure, ServerError},
};
use tls::Trust;

/// How long one server may take to accept a connection, its answers included: a frozen one must not delay the next one.
const CONNECT: Duration = Duration::from_secs(2);
/// After how long without an answer a connection counts as lost. A server that is frozen still has its kernel answer.
const SILENCE: Duration = Duration::from_secs(10);

/// The servers of `DATABASE_URL`. With several hosts, the first that writes is used.
#[derive(Clone)]
pub struct Servers {
    config: Box<Config>,
    trust: Trust,
}

/// Without the password.
impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Servers({self})")
    }
}

/// The hosts and the database alone.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts().iter().map(name).collect();
        write!(f, "{} on {}", self.config.get_dbname().unwrap_or("the user's database"), hosts.join(", "))
    }
}

impl FromStr for Servers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut config, trust) = url::parse(text)?;
        if config.get_application_name().is_none() {
            config.application_name("ingest-svc");
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(SILENCE).connect_timeout(CONNECT).ssl_mode(trust.mode());
        // A standby takes no record.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config: Box::new(config), trust })
    }
}

fn name(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match (config.get_hosts(), config.get_hostaddrs()) {
        ([Host::Tcp(host), ..], _) => format!("{host}:{port}"),
        ([Host::Unix(path), ..], _) => path.display().to_string(),
        ([], [address, ..]) => format!("{address}:{port}"),
        ([], []) => String::new(),
    }
}

impl Servers {
    /// One configuration for each host.
    fn hosts(&self) -> Vec<Config> {
        let all = &*self.config;
        let count = all.get_hosts().len().max(all.get_hostaddrs().len());
        let mut one = Config::new();
        one.ssl_mode(all.get_ssl_mode())
            .channel_binding(all.get_channel_binding())
            .target_session_attrs(all.get_target_session_attrs())
            .connect_timeout(CONNECT)
            .keepalives(all.get_keepalives())
            .keepalives_idle(all.get_keepalives_idle());
        if let Some(user) = all.get_user() {
            one.user(user);
        }
        if let Some(password) = all.get_password() {
            one.password(password);
        }
        if let Some(database) = all.get_dbname() {
            one.dbname(database);
        }
        if let Some(options) = all.get_options() {
            one.options(options);
        }
        if let Some(name) = all.get_application_name() {
            one.application_name(name);
        }
        if let Some(silence) = all.get_tcp_user_timeout() {
            one.tcp_user_timeout(*silence);
        }
        let ports = all.get_ports();
        (0..count)
            .map(|index| {
                let mut host = one.clone();
                match all.get_hosts().get(index) {
                    Some(Host::Tcp(name)) => drop(host.host(name)),
                    // The server encrypts no connection of its own machine.
                    Some(Host::Unix(path)) => drop(host.host_path(path).ssl_mode(SslMode::Disable)),
                    None => {}
                }
                if let Some(address) = all.get_hostaddrs().get(index) {
                    host.hostaddr(*address);
                    if host.get_hosts().is_empty() {
                        // The name that its certificate is checked for.
                        host.host(address.to_string());
                    }
                }
                if let Some(port) = ports.get(index).or(ports.first()) {
                    host.port(*port);
                }
                host
            })
            .collect()
    }

    /// The same, for a connection that sends more than the server can write for a while: it takes nothing then.
    pub(super) fn with_stalls(&self, longest: Duration) -> Self {
        let mut servers = self.clone();
        servers.config.tcp_user_timeout(longest);
        servers
    }

    /// Connects to the first server that writes.
    pub(super) async fn connect(&self) -> Result<Session, ConnectError> {
        let mut failures = Vec::new();
        for host in self.hosts() {
            match timeout(CONNECT, connect(&host, &self.trust)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => failures.push(format!("{}: {}", name(&host), ErrorChain(&error))),
                Err(_) => failures.push(format!("{}: it does not answer", name(&host))),
            }
        }
        Err(ConnectError(failures.join("; ")))
    }
}

/// The timeline of the server's write-ahead log: another one after a standby was promoted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    pub(super) number: i64,
    /// The expression that a server computes it with.
    pub(super) expression: &'static str,
}

impl Timeline {
    const OF_THE_LOG: &'static str =
        "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint";

    /// All servers of an Aurora cluster use one storage, so that a failover loses no commit.
    const OF_ONE_STORAGE: Self = Self { number: 0, expression: "0::bigint" };

    async fn read(client: &Client) -> Result<Self, ConnectFault> {
        let statement = format!("SELECT {}", Self::OF_THE_LOG);
        match client.query_typed_one(&statement, &[]).await {
            Ok(row) => Ok(Self { number: row.try_get(0)?, expression: Self::OF_THE_LOG }),
            Err(error) if is_without_log(&error) && is_aurora(client).await? => Ok(Self::OF_ONE_STORAGE),
            Err(error) if error.code().is_some() => Err(ConnectFault::Timeline(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    /// The number at the server that the connection has now. Also an error on a standby.
    pub(super) async fn now(self, client: &Client) -> Result<i64, tokio_postgres::Error> {
        client.query_typed_one(&format!("SELECT {}", self.expression), &[]).await?.try_get(0)
    }
}

/// Whether a server says that it has no write-ahead log that can be asked.
fn is_without_log(error: &tokio_postgres::Error) -> bool {
    let codes = [&SqlState::FEATURE_NOT_SUPPORTED, &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE];
    error.code().is_some_and(|code| codes.contains(&code))
}

async fn is_aurora(client: &Client) -> Result<bool, tokio_postgres::Error> {
    client.query_typed_one("SELECT to_regproc('aurora_version') IS NOT NULL", &[]).await?.try_get(0)
}

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
enum ConnectFault {
    #[error(transparent)]
    Server(ServerError),
    #[error("its certificate is not accepted: {advice}")]
    Certificate { advice: &'static str, source: ServerError },
    #[error(
        "its role must be allowed to execute pg_current_wal_lsn() and pg_walfile_name(), which tell whether a standby was promoted"
    )]
    Timeline(#[source] ServerError),
}

impl From<tokio_postgres::Error> for ConnectFault {
    fn from(error: tokio_postgres::Error) -> Self {
        match tls::advice(&error) {
            Some(advice) => Self::Certificate { advice, source: error.into() },
            None => Self::Server(error.into()),
        }
    }
}

/// A connection to a server that writes. When it is dropped, the socket is closed at once.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) timeline: Timeline,
    /// Whether the server has sent a warning.
    is_warned: Arc<AtomicBool>,
    driver: AbortOnDropHandle<()>,
}

impl Session {
    /// A transaction begins, to which earlier warnings do not belong.
    pub(super) fn forget_warnings(&self) {
        self.is_warned.store(false, Ordering::Release);
    }

    /// Commits.
    pub(super) async fn commit(&self) -> Result<(), Failure> {
        self.client.batch_execute("COMMIT").await?;
        self.check_commit()
    }

    /// After the server's answer to a commit: an error if it came with a warning. The server warns when it stops to wait for its
    /// standby, and answers as if it had not.
    pub(super) fn check_commit(&self) -> Result<(), Failure> {
        // The warning is read before the answer, by the task that passes the answer on.
        match self.is_warned.load(Ordering::Acquire) {
            true => Err(Failure::Unusable(Obstacle::CommitWarning.into())),
            false => Ok(()),
        }
    }

    /// Ends it as the server expects.
    pub(super) async fn close(self) {
        drop(self.client);
        // If the server does not take the last message, the socket is closed all the same.
        drop(timeout(CONNECT, self.driver).await);
    }
}

async fn connect(host: &Config, trust: &Trust) -> Result<Session, ConnectFault> {
    let is_warned = Arc::new(AtomicBool::new(false));
    let (client, driver) = match trust.connector() {
        Some(connector) if host.get_ssl_mode() != SslMode::Disable => {
            let (client, connection) = host.connect(connector.clone()).await?;
            (client, tokio::spawn(drive(connection, Arc::clone(&is_warned))))
        }
        _ => {
            let (client, connection) = host.connect(NoTls).await?;
            (client, tokio::spawn(drive(connection, Arc::clone(&is_warned))))
        }
    };
    let driver = AbortOnDropHandle::new(driver);
    let timeline = Timeline::read(&client).await?;
    Ok(Session { client, timeline, is_warned, driver })
}

/// Moves messages until the client is dropped. An error is also the error of what the client waits for.
async fn drive<S, T>(mut connection: Connection<S, T>, is_warned: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = stream::poll_fn(|context| connection.poll_message(context));
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                is_warned.store(true, Ordering::Release);
                // It says that there was nothing to roll back, after a batch that had failed.
                if notice.code() != &SqlState::NO_ACTIVE_SQL_TRANSACTION {
                    tracing::warn!(
                        warning = notice.message(),
                        code = notice.code().code(),
                        "the database warns"
                    );
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&ServerError::from(error)), "a connection to the database has ended");
                return;
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

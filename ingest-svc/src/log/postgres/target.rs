//! `DATABASE_URL=postgres://…`: which servers, and how to connect to them.

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
    error::Severity,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::error::Obstacle,
    error::{ConnectError, Failure, ServerError},
};

/// How long one server may take to accept a connection, its answers included: a frozen one must not delay the next one.
const CONNECT: Duration = Duration::from_secs(2);
/// After how long without an answer a connection counts as lost. A server that is frozen still has its kernel answer.
const SILENCE: Duration = Duration::from_secs(10);

/// The servers of `DATABASE_URL`. With several hosts, the first that writes is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers(Box<Config>);

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
        write!(f, "{} on {}", self.0.get_dbname().unwrap_or("the user's database"), hosts.join(", "))
    }
}

impl FromStr for Servers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "postgres://user:password@host:5432/database is expected, or several hosts with commas between them";
        // The parser's own message names the option and never its value; its cause may quote the value.
        let mut config: Config = text.parse().map_err(|error| format!("{expected} ({error})"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(format!("it names no host; {expected}"));
        }
        let (hosts, ports) = (config.get_hosts().len(), config.get_ports().len());
        if ports > 1 && ports != hosts {
            return Err(format!("{hosts} hosts and {ports} ports: give each host its port, or all one port"));
        }
        if config.get_application_name().is_none() {
            config.application_name("ingest-svc");
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(SILENCE).connect_timeout(CONNECT);
        // A standby takes no record.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self(Box::new(config)))
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
        let all = &*self.0;
        let count = all.get_hosts().len().max(all.get_hostaddrs().len());
        let mut one = Config::new();
        one.ssl_mode(all.get_ssl_mode())
            .ssl_negotiation(all.get_ssl_negotiation())
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
                    Some(Host::Unix(path)) => drop(host.host_path(path)),
                    None => {}
                }
                if let Some(address) = all.get_hostaddrs().get(index) {
                    host.hostaddr(*address);
                }
                if let Some(port) = ports.get(index).or(ports.first()) {
                    host.port(*port);
                }
                host
            })
            .collect()
    }

    /// Connects to the first server that writes.
    pub(super) async fn connect(&self) -> Result<Session, ConnectError> {
        let mut failures = Vec::new();
        for host in self.hosts() {
            match timeout(CONNECT, connect(&host)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => {
                    failures.push(format!("{}: {}", name(&host), ErrorChain(&ServerError::from(error))))
                }
                Err(_) => failures.push(format!("{}: it does not answer", name(&host))),
            }
        }
        Err(ConnectError(failures.join("; ")))
    }
}

/// The timeline of the server's write-ahead log: another one after a standby was promoted.
pub(super) const TIMELINE: &str = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint";

/// A connection to a server that writes. When it is dropped, the socket is closed at once.
pub(super) struct Session {
    pub(super) client: Client,
    /// See [`TIMELINE`].
    pub(super) timeline: i64,
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

async fn connect(host: &Config) -> Result<Session, tokio_postgres::Error> {
    let is_warned = Arc::new(AtomicBool::new(false));
    let (client, driver) = match host.get_ssl_mode() {
        SslMode::Require => {
            let (client, connection) = host.connect(MakeRustlsConnect::with_webpki_roots()).await?;
            (client, tokio::spawn(drive(connection, Arc::clone(&is_warned))))
        }
        // Encryption without a check of the certificate would only seem to protect.
        _ => {
            let (client, connection) = host.connect(NoTls).await?;
            (client, tokio::spawn(drive(connection, Arc::clone(&is_warned))))
        }
    };
    let driver = AbortOnDropHandle::new(driver);
    let timeline = timeline(&client).await?;
    Ok(Session { client, timeline, is_warned, driver })
}

/// See [`TIMELINE`]. Also an error on a standby.
pub(super) async fn timeline(client: &Client) -> Result<i64, tokio_postgres::Error> {
    client.query_typed_one(&format!("SELECT {TIMELINE}"), &[]).await?.try_get(0)
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
                tracing::warn!(warning = notice.message(), code = notice.code().code(), "the database warns");
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
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_port_and_no_password_is_shown() {
        let text = "postgres://ringpad:s3cret@db1:5433,db2:5434/ringpad?target_session_attrs=read-write";
        let servers: Servers = text.parse().unwrap();
        assert_eq!(servers.to_string(), "ringpad on db1:5433, db2:5434");
        assert!(!format!("{servers:?}").contains("s3cret"));
        let one: Servers = "postgresql://u@[::1]/x".parse().unwrap();
        assert_eq!(one.to_string(), "x on ::1:5432");
    }

    #[test]
    fn a_faulty_url_is_refused_without_quoting_it() {
        for text in [
            "postgres:///x",
            "postgres://u:s3cret@h/d?nonsense=1",
            "postgres://u:s3cret@a:1,b:2,c:x/d",
            "postgres://u:s3cret@h:99999999/d",
        ] {
            let error = text.parse::<Servers>().unwrap_err();
            assert!(!error.contains("s3cret") && error.contains("expected"), "{error}");
        }
    }
}

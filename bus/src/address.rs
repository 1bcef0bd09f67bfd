//! `AMQP_URL`: the broker's address, with user and password. Parsed once; no text shows the password.

use std::{fmt, str::FromStr, time::Duration};

use amq_protocol::uri::{AMQPScheme, AMQPUri};

/// Seconds between two heartbeats of each side, unless the URL sets `heartbeat`. A connection from which nothing came for
/// twice as long counts as lost at the next half of it.
const HEARTBEAT: u16 = 10;
/// Bytes of a virtual host's name at most: AMQP's short string.
const VIRTUAL_HOST: usize = 255;

/// A broker's address with user and password. [`Debug`](fmt::Debug) and [`Display`](fmt::Display) show host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerAddress(AMQPUri);

impl BrokerAddress {
    /// Its parts.
    pub(crate) fn uri(&self) -> &AMQPUri {
        &self.0
    }

    /// The virtual host, decoded, e.g. `/`.
    pub(crate) fn virtual_host(&self) -> &str {
        &self.0.vhost
    }

    /// How long connecting may take, if the URL sets it.
    pub(crate) fn connection_timeout(&self) -> Option<Duration> {
        self.0.query.connection_timeout.map(Duration::from_millis)
    }

    /// Whether it is `amqps`.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.0.authority;
        match authority.host.contains(':') {
            true => write!(formatter, "[{}]:{}", authority.host, authority.port),
            false => write!(formatter, "{}:{}", authority.host, authority.port),
        }
    }
}

impl fmt::Debug for BrokerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BrokerAddress({self})")
    }
}

/// What is wrong with an `AMQP_URL`. Repeats no part of it, because any part of a mistyped URL may be the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme, or none.
    #[error("a URL that begins with amqp:// or amqps:// is expected")]
    Scheme,
    /// Cannot be parsed.
    #[error(
        "amqp://user:password@host:port/virtual-host is expected, with other than letters and digits percent-encoded in \
         user, password and virtual host"
    )]
    Malformed,
    /// A slash with nothing after it, which stands for the virtual host with an empty name.
    #[error("the virtual host is empty; the default one is written /%2f")]
    EmptyVirtualHost,
    /// AMQP has no room for its name.
    #[error("a virtual host of at most 255 bytes is expected")]
    LongVirtualHost,
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((_, rest)) =
            text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "amqp" | "amqps"))
        else {
            return Err(AddressError::Scheme);
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let mut uri: AMQPUri = text.parse().map_err(|_| AddressError::Malformed)?;
        // The parser silently replaces an IPv6 address, or a missing host, by localhost.
        match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((address, _)) => address.clone_into(&mut uri.authority.host),
            None if host.is_empty() || host.starts_with(':') => return Err(AddressError::Malformed),
            None => {}
        }
        if uri.vhost.is_empty() {
            return Err(AddressError::EmptyVirtualHost);
        }
        if uri.vhost.len() > VIRTUAL_HOST {
            return Err(AddressError::LongVirtualHost);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn parsed(text: &str) -> AMQPUri {
        text.parse::<BrokerAddress>().unwrap().0
    }

    #[test]
    fn the_default_is_guest_at_the_default_virtual_host() {
        let uri = parsed("amqp://guest:guest@127.0.0.1:5672/%2f");
        assert_eq!(
            (uri.vhost.as_str(), uri.authority.host.as_str(), uri.authority.port),
            ("/", "127.0.0.1", 5672)
        );
        assert_eq!(uri.authority.userinfo.username, "guest");
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT));
    }

    #[test]
    fn parts_are_percent_decoded_and_have_defaults() {
        let uri = parsed("amqps://ring%40pad:p%2fw@broker.example/calls%2fkr?heartbeat=30");
        assert_eq!(uri.authority.userinfo.username, "ring@pad");
        assert_eq!(uri.authority.userinfo.password, "p/w");
        assert_eq!((uri.authority.port, uri.vhost.as_str()), (5671, "calls/kr"));
        assert_eq!(uri.query.heartbeat, Some(30));
        assert_eq!(parsed("amqp://broker.example").vhost, "/");
    }

    #[test]
    fn an_ipv6_address_is_not_taken_for_localhost() {
        let address: BrokerAddress = "amqp://guest:guest@[fd00::7]:5673/%2f".parse().unwrap();
        assert_eq!(address.0.authority.host, "fd00::7");
        assert_eq!(address.to_string(), "[fd00::7]:5673");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let wrong = [
            ("http://guest:hunter2@host/", AddressError::Scheme),
            ("guest:hunter2@host", AddressError::Scheme),
            ("amqp://guest:hunter2@host/", AddressError::EmptyVirtualHost),
            ("amqp://guest:hunter2@:5672/%2f", AddressError::Malformed),
            ("amqp:///%2f", AddressError::Malformed),
            ("amqp://guest:hunter2@host:99999/%2f", AddressError::Malformed),
            ("amqp://guest:hunter2@host/%2f?heartbeat=hunter2", AddressError::Malformed),
            ("amqp://guest:hunt/er2@host/%2f", AddressError::Malformed),
        ];
        for (text, expected) in wrong {
            let error = text.parse::<BrokerAddress>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let long = |bytes: usize| format!("amqp://host/{}", "v".repeat(bytes)).parse::<BrokerAddress>();
        assert!(long(VIRTUAL_HOST).is_ok());
        assert_eq!(long(VIRTUAL_HOST + 1), Err(AddressError::LongVirtualHost));
    }

    #[test]
    fn the_password_shows_nowhere() {
        let address: BrokerAddress = "amqp://guest:hunter2@host/%2f".parse().unwrap();
        assert_eq!(format!("{address} {address:?}"), "host:5672 BrokerAddress(host:5672)");
    }
}

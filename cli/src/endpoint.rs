//! The address of a service: `http://host[:port]`, without a path. The commands have no TLS.

use std::{fmt, net::SocketAddr};

use http::{
    Uri,
    uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};

/// A service's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Authority);

impl Endpoint {
    /// Reads `http://host[:port]`. For `#[arg(value_parser = …)]`.
    ///
    /// # Errors
    /// What is expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected = || "http://host:port is expected".to_owned();
        let uri: Uri = text.parse().map_err(|_: InvalidUri| expected())?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err("https is not supported; http://host:port is expected".to_owned());
        }
        match (uri.scheme(), uri.authority(), uri.path_and_query().map(PathAndQuery::as_str)) {
            (Some(scheme), Some(authority), None | Some("/")) if *scheme == Scheme::HTTP => {
                // A user name or password would not be used, and would be in errors.
                if authority.as_str().contains('@') { Err(expected()) } else { Ok(Self(authority.clone())) }
            }
            _ => Err(expected()),
        }
    }

    /// The service at `address`.
    pub(crate) fn at(address: SocketAddr) -> Result<Self, String> {
        Self::parse(&format!("http://{address}"))
    }

    /// The address of `path`, which begins with `/` and is already percent-encoded.
    ///
    /// # Errors
    /// `path` is not a valid path.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, http::Error> {
        Uri::builder().scheme(Scheme::HTTP).authority(self.0.clone()).path_and_query(path).build()
    }

    /// Host and port to connect to.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        // A socket address takes an IPv6 host without the brackets that a URL needs.
        (self.0.host().trim_start_matches('[').trim_end_matches(']'), self.0.port_u16().unwrap_or(80))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_is_accepted() {
        for right in ["http://127.0.0.1:8080", "http://push.internal", "http://[::1]:8081/"] {
            assert!(Endpoint::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "127.0.0.1:8080",
            "https://a",
            "http://a/b",
            "http://a/?b",
            "ws://a",
            "http://u:p@a",
            "",
            "http://",
        ] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_port_is_80() {
        assert_eq!(Endpoint::parse("http://[::1]:8081").map(|e| e.host_and_port().1), Ok(8081));
        assert_eq!(
            Endpoint::parse("http://[::1]").map(|e| (e.host_and_port().0.to_owned(), e.host_and_port().1)),
            Ok(("::1".to_owned(), 80))
        );
    }
}

//! Which web pages may use this replica: the CORS rule of gRPC-Web and the check of `Origin` for WebSockets.
//!
//! Behind a load balancer that ends TLS the scheme of `Origin` differs from ours, so our own page is recognised by its
//! host alone. A request without `Origin` does not come from a browser, and is let in: the token protects the data.

use std::{fmt, str::FromStr};

use http::{HeaderMap, Uri, header};

/// A web origin: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageOrigin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// Further origins than the page's own, as `PAD_ALLOWED_ORIGINS` lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<PageOrigin>);

impl AllowedOrigins {
    /// Whether the request comes from an allowed page, or from a client that is not a browser.
    pub(crate) fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        // `null`, for example, is not an origin, and no page that we allow sends it.
        let Some(origin) = origin.to_str().ok().and_then(|text| text.parse::<PageOrigin>().ok()) else {
            return false;
        };
        host(uri, headers).is_some_and(|host| host == origin.host) || self.0.contains(&origin)
    }
}

/// The host that the request was sent to, without its port: HTTP/2 has it in the URI, HTTP/1.1 in `Host`.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = || headers.get(header::HOST)?.to_str().ok()?.parse::<http::uri::Authority>().ok();
    let authority = uri.authority().cloned().or_else(named)?;
    Some(authority.host().to_ascii_lowercase())
}

impl FromStr for PageOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "an origin is expected, e.g. https://shop.example".to_owned();
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let scheme =
            uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(expected)?;
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(expected)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(expected());
        }
        let standard = if scheme == "https" { 443 } else { 80 };
        Ok(Self {
            scheme: scheme.to_owned(),
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().filter(|port| *port != standard),
        })
    }
}

impl fmt::Display for PageOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for AllowedOrigins {
    type Err = String;

    /// Reads origins with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        origins.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn allows(allowed: &str, uri: &str, headers: &[(header::HeaderName, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        allowed.parse::<AllowedOrigins>().unwrap().allow(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn a_request_without_origin_is_allowed() {
        assert!(allows("", "/v1/subscribe", &[(header::HOST, "pads.example")]));
    }

    #[test]
    fn the_pages_own_host_is_allowed_with_any_scheme_and_port() {
        let from = |origin| allows("", "/", &[(header::HOST, "pads.example:8081"), (header::ORIGIN, origin)]);
        assert!(from("https://pads.example"));
        assert!(from("http://PADS.example:8082"));
        assert!(!from("https://pads.example.evil"));
        assert!(!from("https://evil.example"));
        assert!(!from("null"));
        assert!(!from("https://pads.example@evil.example"));
    }

    #[test]
    fn http2_has_the_host_in_the_uri() {
        assert!(allows("", "http://[::1]:8081/x", &[(header::ORIGIN, "http://[::1]:8081")]));
        assert!(!allows("", "http://a.example/x", &[(header::ORIGIN, "http://b.example")]));
    }

    #[test]
    fn listed_origins_are_compared_whole() {
        let allowed = "https://shop.example, http://localhost:3000";
        let from = |origin| allows(allowed, "/", &[(header::HOST, "pads.example"), (header::ORIGIN, origin)]);
        assert!(from("https://shop.example"));
        assert!(from("https://shop.example:443"));
        assert!(from("http://localhost:3000"));
        assert!(!from("http://shop.example"));
        assert!(!from("http://localhost:3001"));
        assert!(!from("https://sub.shop.example"));
    }

    #[test]
    fn a_setting_that_is_not_an_origin_is_refused() {
        for text in ["shop.example", "*", "https://shop.example/pads", "ftp://shop.example", "https://"] {
            assert!(text.parse::<AllowedOrigins>().is_err(), "{text}");
        }
    }
}

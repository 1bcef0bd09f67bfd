//! The settings of push-svc: an environment variable each, or the same flag in kebab case.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use http::Uri;
use ringpad_bus::{Bus, BusSettings};
use ringpad_runtime::{
    Failure, backoff::RetrySettings, forwarded::Networks, settings::duration, telemetry::LoggingSettings,
    traces::TraceSettings,
};
use secrecy::SecretString;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::Endpoint,
};

use crate::admission::{origin::AllowedOrigins, token::PadTokens};

/// Streams popups to the pads that are connected to this replica: gRPC, gRPC-Web, WebSocket and the pad page on one port.
#[derive(Debug, Clone, Parser)]
#[command(name = "push-svc", version)]
pub struct Settings {
    /// Where pads connect: gRPC-Web, gRPC without TLS, WebSocket, and the pad page at `/`. Not used when a socket is passed
    /// as `pads` (`LISTEN_FDNAMES`); so with `admin`.
    #[arg(long, env = "PUSH_ADDR", default_value = "0.0.0.0:8081", value_parser = address)]
    pub push_addr: SocketAddr,
    /// Networks of our own load balancers, with commas between them, e.g. `10.0.0.0/8`: their connections are not bounded
    /// by their address, but their requests by the one in `X-Forwarded-For`.
    #[arg(long, env = "PUSH_TRUSTED_PROXIES", default_value = "", hide_default_value = true)]
    pub push_trusted_proxies: Networks,
    /// Where `/metrics` is served.
    #[arg(long, env = "PUSH_ADMIN_ADDR", default_value = "127.0.0.1:9465", value_parser = address)]
    pub push_admin_addr: SocketAddr,
    /// The internal gRPC of ingest-svc, which has the log.
    #[arg(long, env = "INGEST_URL", default_value = "http://127.0.0.1:50051", value_delimiter = ',', value_parser = endpoint)]
    pub ingest_url: Vec<Endpoint>,
    /// Bearer token of the internal gRPC, if ingest-svc wants one.
    #[arg(long, env = "INTERNAL_TOKEN", hide_env_values = true, value_parser = bearer)]
    pub internal_token: Option<MetadataValue<Ascii>>,
    /// The HS256 key of pad tokens: 32 bytes or more.
    #[arg(long, env = "PAD_TOKEN_SECRET", hide_env_values = true, value_parser = key)]
    pub pad_token_secret: PadTokens,
    /// Where the pad page gets its next token: `GET` with cookies, answers the JWT as text. Your own back end.
    #[arg(long, env = "PAD_TOKEN_URL", value_parser = token_url)]
    pub pad_token_url: Option<TokenUrl>,
    /// Origins of other pages that may connect, with commas between them, e.g. `https://shop.example`. Pages of the same
    /// host always may.
    #[arg(long, env = "PAD_ALLOWED_ORIGINS", default_value = "", hide_default_value = true)]
    pub pad_allowed_origins: AllowedOrigins,
    /// How often each pad is told that its stream is alive.
    #[arg(long, env = "HEARTBEAT_INTERVAL", default_value = "5s", value_parser = duration)]
    pub heartbeat_interval: Duration,
    /// How long this process, told to stop, continues as before, but not ready: for a load balancer that looks at the
    /// readiness and tries no other replica after a 503. Not at all, unless it is set.
    #[arg(long, env = "DRAIN_DELAY", value_parser = duration)]
    pub drain_delay: Option<Duration>,
    /// Over how long the pads are then sent away.
    #[arg(long, env = "DRAIN_WINDOW", default_value = "10s", value_parser = duration)]
    pub drain_window: Duration,
    /// The exchange.
    #[command(flatten)]
    pub bus: BusSettings,
    /// Trying again.
    #[command(flatten)]
    pub retry: RetrySettings,
    /// The process's own log lines.
    #[command(flatten)]
    pub logging: LoggingSettings,
    /// Where traces go.
    #[command(flatten)]
    pub traces: TraceSettings,
}

/// Where the pad page gets its next token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUrl {
    url: String,
    origin: Option<String>,
}

impl TokenUrl {
    /// The URL, or a path on the page's own host.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port, if it is on another host.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }
}

/// Settings that have been checked, and what was made of them.
#[derive(Debug)]
pub struct Checked {
    /// The settings themselves.
    pub settings: Settings,
    /// The broker; tests and `ringpad dev` put one in its place that runs in the process.
    pub bus: Bus,
}

impl Settings {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`Failure::Setting`]: one line that names the setting and what would be right.
    pub fn check(self) -> Result<Checked, Failure> {
        let bus = self.bus.bus().map_err(Failure::setting)?;
        Ok(Checked { settings: self, bus })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are expected, e.g. 127.0.0.1:8081".to_owned())
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let wrong = || "http:// with a host and a port is expected, e.g. http://127.0.0.1:50051".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    Ok(Endpoint::from(uri))
}

/// The value of the `authorization` header for the internal gRPC.
fn bearer(token: &str) -> Result<MetadataValue<Ascii>, String> {
    let printable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = printable.then(|| MetadataValue::try_from(format!("Bearer {token}")).ok()).flatten();
    let mut value = value.ok_or_else(|| "printable ASCII without spaces is expected".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn key(text: &str) -> Result<PadTokens, String> {
    PadTokens::new(&SecretString::from(text)).map_err(|fault| fault.to_string())
}

fn token_url(text: &str) -> Result<TokenUrl, String> {
    let wrong =
        || "http(s):// and a host, or a path, is expected, e.g. https://shop.example/pad-token".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let origin = match (uri.scheme_str(), uri.authority()) {
        (None, None) if text.starts_with('/') => None,
        (Some(scheme @ ("http" | "https")), Some(authority)) if !authority.as_str().contains('@') => {
            Some(format!("{scheme}://{authority}"))
        }
        _ => return Err(wrong()),
    };
    Ok(TokenUrl { url: text.to_owned(), origin })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const KEY: &str = "--pad-token-secret=0123456789abcdef0123456789abcdef";

    #[test]
    fn defaults_are_the_contracts() {
        let settings = Settings::try_parse_from(["push-svc", KEY]).unwrap();
        assert_eq!(settings.push_addr.to_string(), "0.0.0.0:8081");
        assert_eq!(settings.push_admin_addr.to_string(), "127.0.0.1:9465");
        assert_eq!(settings.ingest_url[0].uri().to_string(), "http://127.0.0.1:50051/");
        assert_eq!(settings.heartbeat_interval, Duration::from_secs(5));
        assert_eq!(settings.drain_delay, None);
        assert_eq!(settings.drain_window, Duration::from_secs(10));
        assert_eq!(settings.pad_allowed_origins, AllowedOrigins::default());
    }

    #[test]
    fn the_key_is_required_and_long() {
        assert!(Settings::try_parse_from(["push-svc"]).is_err());
        assert!(Settings::try_parse_from(["push-svc", "--pad-token-secret=short"]).is_err());
    }

    #[test]
    fn secrets_do_not_show() {
        let settings = Settings::try_parse_from(["push-svc", KEY, "--internal-token=hunter2"]).unwrap();
        let shown = format!("{settings:?} {}", Settings::command().render_long_help());
        assert!(!shown.contains("0123456789abcdef") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn every_setting_is_documented_and_named_after_its_variable() {
        for argument in Settings::command().get_arguments() {
            let long = argument.get_long().unwrap();
            if matches!(long, "help" | "version") {
                continue;
            }
            assert!(argument.get_help().is_some(), "{long}");
            let variable = argument.get_env().unwrap().to_str().unwrap();
            assert_eq!(variable.to_lowercase().replace('_', "-"), long);
        }
    }

    #[test]
    fn urls() {
        assert!(endpoint("https://log.example:443").is_err());
        assert!(endpoint("127.0.0.1:50051").is_err());
        assert_eq!(
            token_url("https://shop.example/token?x=1").unwrap().origin(),
            Some("https://shop.example")
        );
        assert_eq!(token_url("/token").unwrap().origin(), None);
        assert!(token_url("shop.example/token").is_err());
        assert!(token_url("javascript:alert(1)").is_err());
    }
}

//! Tablets that become pads. A tablet without a token shows a code; once somebody has approved it, the tablet gets short-lived tokens
//! for its credential. Everything is kept in the log.

mod attempts;
mod metrics;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringpad_proto::{
    Timestamp,
    v1::{
        ApprovePairingRequest, BeginResponse, CheckCredentialRequest, IssueTokenRequest, IssueTokenResponse,
        PairedPad, PollRequest, PollResponse,
    },
};
use ringpad_runtime::{
    ErrorChain,
    forwarded::{self, Networks},
    grpc,
};
use tonic::{Code, Status};

use crate::{
    admission::{Admission, token::Pad},
    capacity::PairingCapacity,
    log_client::LogClient,
};
use attempts::Attempts;
pub(crate) use metrics::PairingMetrics;

/// How long a token for a credential is valid. ingest-svc tells replicas for longer that a pad was revoked.
const TOKEN_VALID: Duration = Duration::from_secs(60 * 60);

/// Answers tablets without a token, and the pads that approve them.
pub(crate) struct Pairing {
    admission: Arc<Admission>,
    log: LogClient,
    /// Codes that were given to the clients of an address, or over IPv6 of a [`network`].
    begun: Attempts<IpAddr>,
    /// Codes that the pads of a store have tried.
    tried: Attempts<Arc<str>>,
    /// Whose `X-Forwarded-For` is believed.
    proxies: Networks,
    pub(crate) metrics: PairingMetrics,
}

impl Pairing {
    pub(crate) fn new(
        admission: Arc<Admission>,
        log: LogClient,
        capacity: PairingCapacity,
        proxies: Networks,
        metrics: PairingMetrics,
    ) -> Self {
        let (begun, tried) = (Attempts::new(capacity), Attempts::new(capacity));
        Self { admission, log, begun, tried, proxies, metrics }
    }

    /// By which address a request counts. All whose address is not known count as one.
    pub(crate) fn client(&self, headers: &http::HeaderMap, peer: Option<IpAddr>) -> IpAddr {
        let trusts = |address| forwarded::contains(&self.proxies.0, address);
        let client = peer.and_then(|peer| forwarded::client(headers, peer, trusts));
        client.map_or(IpAddr::from([0, 0, 0, 0]), forwarded::owner)
    }

    /// A credential and a code for a tablet.
    ///
    /// # Errors
    /// Too many codes, or the log cannot be reached.
    pub(crate) async fn begin(&self, client: IpAddr) -> Result<BeginResponse, Status> {
        self.begun
            .add(&network(client))
            .map_err(|retry| grpc::exhausted("too many codes for your address", retry))?;
        self.log.begin_pairing(&client.to_string()).await
    }

    /// Whether a tablet's code was approved.
    ///
    /// # Errors
    /// The code has expired, or the log cannot be reached.
    pub(crate) async fn poll(&self, client: IpAddr, request: PollRequest) -> Result<PollResponse, Status> {
        self.log.poll_pairing(&client.to_string(), request).await
    }

    /// A token for a credential.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` only if the log has said that it is nobody's credential; else `UNAVAILABLE`.
    pub(crate) async fn issue_token(
        &self,
        client: IpAddr,
        IssueTokenRequest { credential }: IssueTokenRequest,
    ) -> Result<IssueTokenResponse, Status> {
        let request = CheckCredentialRequest { credential };
        let paired = self.log.check_credential(&client.to_string(), request).await;
        let paired = paired.map_err(|status| match status.code() {
            Code::NotFound => {
                Status::unauthenticated("the pad was revoked, or its code was never approved: begin again")
            }
            Code::Unavailable => status,
            _ => grpc::unavailable("the log did not answer as expected"),
        })?;
        let (pad, expires_at) = pad(&paired, SystemTime::now() + TOKEN_VALID);
        let token = self.admission.sign(&pad).map_err(|error| {
            tracing::error!(error = %ErrorChain(&error), "cannot sign a token");
            grpc::unavailable("the token cannot be signed")
        })?;
        Ok(IssueTokenResponse { token, expires_at: Some(expires_at), pad: Some(paired) })
    }

    /// Makes the tablet that shows a code a pad of the same store as `pad`.
    ///
    /// # Errors
    /// Another store is asked for, no tablet shows this code, or the pads of the store have tried too many.
    pub(crate) async fn approve(
        &self,
        pad: &Pad,
        request: ApprovePairingRequest,
    ) -> Result<PairedPad, Status> {
        let store = &pad.store;
        if !request.store_id.is_empty() && request.store_id != **store {
            return Err(Status::permission_denied("a pad approves tablets of its own store only"));
        }
        // Right codes count as well: it is not known yet which this is.
        self.tried
            .add(store)
            .map_err(|retry| grpc::exhausted("too many codes were tried in this store", retry))?;
        self.log.approve_pairing(ApprovePairingRequest { store_id: store.to_string(), ..request }).await
    }
}

/// By which address a request for a code counts. Over IPv6 one connection to the internet often has a network of 56 bits (RFC 6177):
/// 256 networks of 64 bits, so a few connections could ask for all codes that there are.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 72 << 72)),
        address => address,
    }
}

/// The pad as its token describes it, and when that expires, to the second.
fn pad(paired: &PairedPad, expires: SystemTime) -> (Pad, Timestamp) {
    let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let store = paired.store.as_ref().map(|store| store.id.as_str()).unwrap_or_default();
    let pad = Pad {
        id: paired.id.as_str().into(),
        name: paired.name.as_str().into(),
        store: store.into(),
        expires: UNIX_EPOCH + Duration::from_secs(seconds),
    };
    (pad, Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn over_ipv6_the_codes_of_a_network_of_56_bits_count_together() {
        let network = |text: &str| network(forwarded::owner(text.parse().unwrap()));
        assert_eq!(network("2001:db8:1:200::7"), network("2001:db8:1:2ff:1::8"));
        assert_ne!(network("2001:db8:1:200::7"), network("2001:db8:1:300::7"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}

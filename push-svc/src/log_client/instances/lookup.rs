//! What the names in `INGEST_URL` stand for: the addresses of each are looked up again and again.

use std::{collections::BTreeSet, io, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use ringpad_runtime::ErrorChain;
use tokio::{net::lookup_host, time::interval};
use tonic::transport::Endpoint;

use super::{Instance, Instances};

/// How often the names of instances are looked up.
const LOOKUP: Duration = Duration::from_secs(5);

impl Instances {
    /// Looks up each name by itself, without end.
    pub(super) async fn look_up_names(&self) {
        let all = self.0.urls.iter().enumerate().map(async |(index, url)| {
            let (mut tick, mut failed) = (interval(LOOKUP), false);
            loop {
                tick.tick().await;
                failed = !self.found(index, addresses(url).await, failed);
            }
        });
        join_all(all).await;
    }

    /// Puts one instance for each address in place of those of this URL. If its name cannot be looked up, they stay; an operator is
    /// told unless it had `failed` before. Returns whether the name was found.
    fn found(&self, index: usize, addresses: io::Result<BTreeSet<SocketAddr>>, failed: bool) -> bool {
        let Some(url) = self.0.urls.get(index) else { return true };
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(error) => {
                self.0.lookup_failures.inc();
                if !failed {
                    tracing::warn!(url = %url.uri(), error = %ErrorChain(&error), "cannot look up a name of ingest-svc; the addresses known so far are used");
                }
                return false;
            }
        };
        if failed {
            tracing::info!(url = %url.uri(), "the name of ingest-svc is found again");
        }
        let wanted = instances_of(url, &addresses);
        if let Some(known) = self.lock().get_mut(index) {
            let kept = |name: &str| known.iter().find(|instance| &*instance.name == name).cloned();
            let next: Vec<_> = wanted
                .into_iter()
                .map(|(name, endpoint)| kept(&name).unwrap_or_else(|| Instance::new(&name, endpoint)))
                .collect();
            // Nobody checks the health of the others any more: what they were asked goes to another instance now.
            let gone = known.iter().filter(|old| next.iter().all(|instance| instance.name != old.name));
            gone.for_each(|old| {
                old.fails.send_replace(true);
            });
            *known = next;
        }
        self.recount();
        true
    }
}

/// The name and the endpoint of each instance that a URL with these addresses stands for. One address is not used: each connection
/// looks the name up again.
fn instances_of(url: &Endpoint, addresses: &BTreeSet<SocketAddr>) -> Vec<(String, Endpoint)> {
    if addresses.len() < 2 {
        return vec![(url.uri().to_string(), url.clone())];
    }
    let at = |address: &SocketAddr| {
        let name = format!("http://{address}/");
        match Endpoint::from_shared(name.clone()) {
            Ok(endpoint) => Some((name, endpoint.origin(url.uri().clone()))),
            Err(error) => {
                tracing::error!(%error, name, "an address is not valid in a URL");
                None
            }
        }
    };
    addresses.iter().filter_map(at).collect()
}

/// The IPv4 addresses of a URL's host: a host that has addresses of both versions is one instance.
async fn addresses(url: &Endpoint) -> io::Result<BTreeSet<SocketAddr>> {
    let uri = url.uri();
    let host = uri.host().unwrap_or_default();
    let found = lookup_host((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))).await?;
    Ok(found.filter(SocketAddr::is_ipv4).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_name_with_several_addresses_stands_for_an_instance_at_each() {
        let url = Endpoint::from_static("http://ingest:50051");
        let names = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            instances_of(&url, &addresses).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["http://ingest:50051/"]);
        assert_eq!(names(&["10.0.0.1:50051"]), ["http://ingest:50051/"]);
        assert_eq!(
            names(&["10.0.0.2:50051", "10.0.0.1:50051"]),
            ["http://10.0.0.1:50051/", "http://10.0.0.2:50051/"]
        );
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_keeps_its_addresses_and_does_not_hold_up_another_one() {
        let urls = vec![Endpoint::from_static("http://a:1"), Endpoint::from_static("http://b:1")];
        let mut registry = Registry::default();
        let instances = Instances::new(urls, None, &mut registry);
        let found =
            |addresses: &[&str]| Ok(addresses.iter().map(|address| address.parse().unwrap()).collect());
        let known = || instances.known().iter().map(|instance| instance.name.to_string()).collect::<Vec<_>>();
        assert_eq!(known(), ["http://a:1/", "http://b:1/"]);
        let nothing = || Err(io::Error::other("no such name"));
        assert!(!instances.found(0, nothing(), false));
        assert!(instances.found(1, found(&["10.0.0.1:1", "10.0.0.2:1"]), false));
        assert_eq!(known(), ["http://a:1/", "http://10.0.0.1:1/", "http://10.0.0.2:1/"]);
        assert!(!instances.found(1, nothing(), false));
        assert!(instances.found(0, found(&["10.0.0.3:1", "10.0.0.4:1"]), true));
        let all = ["http://10.0.0.3:1/", "http://10.0.0.4:1/", "http://10.0.0.1:1/", "http://10.0.0.2:1/"];
        assert_eq!((known(), instances.0.lookup_failures.get()), (all.map(str::to_owned).to_vec(), 2));
    }
}

//! Sources: the configured number providers, who may send for them, and how they write their records.

mod config;
mod guard;

use std::{borrow::Borrow, collections::HashMap, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use jiff::tz::TimeZone;

pub use guard::AdmissionError;
use guard::Guard;

/// The only source without `INGEST_CONFIG`.
const DEFAULT_SOURCE: &str = "bizcall";
/// The time zone of a source without a setting for it.
const DEFAULT_TIMEZONE: &str = "Asia/Seoul";
/// The parameter of answered calls, for a source without a setting for it.
const DEFAULT_ANSWERED_BY: &str = "swidt";

/// One configured number provider, e.g. `bizcall`.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    timezone: TimeZone,
    answered_by: String,
    decode_twice: Vec<String>,
    guard: Guard,
}

/// All sources, by name.
#[derive(Debug)]
pub struct Sources {
    by_name: HashMap<Name, Source>,
}

/// A source's name, by which it is found.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name(Arc<str>);

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Source {
    /// Its name, as in `/v1/cdr/<name>`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The time zone in which it writes instants.
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The parameter that it sends only for answered calls: a call whose final record has it was answered.
    pub fn answered_by(&self) -> &str {
        &self.answered_by
    }

    /// Whether it percent-encodes this parameter twice.
    pub fn encodes_twice(&self, parameter: &str) -> bool {
        self.decode_twice.iter().any(|name| name == parameter)
    }

    /// Whether an address is a trusted proxy, so that the client address in its headers is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.guard.trusts(address)
    }

    /// Admits a request. `client` is absent if the client address is not known.
    ///
    /// # Errors
    /// Secret, address and rate are checked in this order. A request with a wrong secret or address does not count for the
    /// source's rate.
    pub fn admit(&self, secret: Option<&str>, client: Option<IpAddr>) -> Result<(), AdmissionError> {
        self.guard.admit(secret, client)
    }
}

impl Sources {
    /// One source, `bizcall`, for which everybody may send.
    pub fn open() -> Self {
        let source = Source {
            name: Arc::from(DEFAULT_SOURCE),
            // It is compiled in, so UTC is never used.
            timezone: TimeZone::get(DEFAULT_TIMEZONE).unwrap_or(TimeZone::UTC),
            answered_by: DEFAULT_ANSWERED_BY.to_owned(),
            decode_twice: Vec::new(),
            guard: Guard::default(),
        };
        Self { by_name: HashMap::from([(Name(source.name.clone()), source)]) }
    }

    /// The trusted proxies of all sources.
    pub fn proxies(&self) -> Arc<[IpNet]> {
        self.by_name.values().flat_map(|source| source.guard.trusted_proxies()).copied().collect()
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.by_name.get(name)
    }

    fn of(sources: Vec<Source>) -> Result<Self, String> {
        let mut by_name = HashMap::new();
        for source in sources {
            let name = source.name.clone();
            if by_name.insert(Name(name.clone()), source).is_some() {
                return Err(format!(
                    "name: more than one [[source]] has the name {name:?}; each needs a name of its own"
                ));
            }
        }
        if by_name.is_empty() {
            return Err("source: there is no [[source]]; at least one is expected".to_owned());
        }
        Ok(Self { by_name })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
